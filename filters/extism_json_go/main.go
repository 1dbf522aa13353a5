// A request comes as JSON, and a response goes as JSON: what `input=json` of `wasm_handler` does. It answers as
// extism_json does.
package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"extism"
)

type headers map[string][]string

type request struct {
	Method     string  `json:"method"`
	URI        string  `json:"uri"`
	Path       string  `json:"path"`
	Query      string  `json:"query"`
	Headers    headers `json:"headers"`
	Body       string  `json:"body"`
	RemoteAddr string  `json:"remote_addr"`
}

type response struct {
	Status  int     `json:"status"`
	Headers headers `json:"headers"`
	Body    string  `json:"body"`
}

//go:wasmexport handle
func handle() int32 {
	var asked request
	if err := json.Unmarshal(extism.Input(), &asked); err != nil {
		return extism.Fail(err)
	}
	output, err := json.Marshal(answer(asked))
	if err != nil {
		return extism.Fail(err)
	}
	extism.Output(output)
	return 0
}

func answer(asked request) response {
	answer := response{
		Status:  200,
		Headers: headers{"content-type": {"text/plain"}, "x-method": {asked.Method}, "x-two": {"1", "2"}},
	}
	switch asked.Path {
	case "/teapot":
		answer.Status = 418
	case "/none":
		answer.Status = 204
		return answer
	}
	answer.Body = fmt.Sprintf("%s %s\npath %s\nquery %s\nfrom %s\nx-name %s\nbody %s\n", asked.Method, asked.URI, asked.Path,
		asked.Query, asked.RemoteAddr, strings.Join(asked.Headers["x-name"], ","), asked.Body)
	return answer
}

func main() {}
