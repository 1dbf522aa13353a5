// Rules for headers, as ../http_wasm_header has them.
package main

import (
	"os"
	"strings"

	"httpwasm"
)

type rule struct {
	side   uint32
	change func(kind uint32)
}

var rules []rule

func parse(line string) (rule, bool) {
	words := strings.SplitN(strings.TrimSpace(line), " ", 4)
	sides := map[string]uint32{"request": httpwasm.Request, "response": httpwasm.Response}
	side, known := sides[words[0]]
	if !known || len(words) < 3 {
		return rule{}, false
	}
	name, value := words[2], ""
	if len(words) == 4 {
		value = words[3]
	}
	switch words[1] {
	case "set":
		return rule{side, func(kind uint32) { httpwasm.Set(kind, name, value) }}, true
	case "add":
		return rule{side, func(kind uint32) { httpwasm.Add(kind, name, value) }}, true
	case "remove":
		return rule{side, func(kind uint32) { httpwasm.Remove(kind, name) }}, true
	}
	return rule{}, false
}

func apply(side uint32) {
	for _, rule := range rules {
		if rule.side == side {
			rule.change(side)
		}
	}
}

func init() {
	for line := range strings.Lines(httpwasm.Config()) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		rule, valid := parse(line)
		if !valid {
			httpwasm.Log(httpwasm.Error, "invalid rule: "+strings.TrimSpace(line))
			os.Exit(1)
		}
		if rule.side == httpwasm.Response {
			// Else a response cannot be changed any more.
			httpwasm.Enable(httpwasm.BufferResponse)
		}
		rules = append(rules, rule)
	}
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	apply(httpwasm.Request)
	return httpwasm.Next(0)
}

//go:wasmexport handle_response
func handleResponse(context, isError uint32) {
	apply(httpwasm.Response)
}

func main() {}
