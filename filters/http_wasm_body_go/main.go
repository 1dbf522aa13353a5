// Logs bodies and replaces a text in them, as ../http_wasm_body does.
package main

import (
	"bytes"
	"fmt"

	"httpwasm"
)

var find, replace []byte

func init() {
	httpwasm.Enable(httpwasm.BufferRequest | httpwasm.BufferResponse)
	find, replace, _ = bytes.Cut([]byte(httpwasm.Config()), []byte(" "))
}

// see answers the size of the body that has come.
func see(kind uint32) int {
	body := httpwasm.Read(kind)
	if len(find) > 0 && bytes.Contains(body, find) {
		httpwasm.Write(kind, bytes.ReplaceAll(body, find, replace))
	}
	return len(body)
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	return httpwasm.Next(uint32(see(httpwasm.Request)))
}

//go:wasmexport handle_response
func handleResponse(size, isError uint32) {
	if isError == 1 {
		httpwasm.Log(httpwasm.Warn, "no response")
		return
	}
	status := httpwasm.Status()
	got := see(httpwasm.Response)
	httpwasm.Log(httpwasm.Info, fmt.Sprintf("request of %d bytes, response %d of %d bytes", size, status, got))
}

func main() {}
