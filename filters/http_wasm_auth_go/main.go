// Sessions in a cookie, as ../http_wasm_auth has them.
package main

import (
	"strings"

	"httpwasm"
)

var sessions = map[string]string{}

func init() {
	for line := range strings.Lines(httpwasm.Config()) {
		if session, user, found := strings.Cut(strings.TrimSpace(line), " "); found {
			sessions[session] = user
		}
	}
}

func user() (string, bool) {
	for _, cookies := range httpwasm.Values(httpwasm.Request, "cookie") {
		for cookie := range strings.SplitSeq(cookies, ";") {
			session, found := strings.CutPrefix(strings.TrimSpace(cookie), "session=")
			if user, known := sessions[session]; found && known {
				return user, true
			}
		}
	}
	return "", false
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	if user, known := user(); known {
		// Whatever the client says of itself.
		httpwasm.Set(httpwasm.Request, "x-user", user)
		return httpwasm.Next(0)
	}
	httpwasm.SetStatus(401)
	httpwasm.Set(httpwasm.Response, "content-type", "text/plain")
	httpwasm.Set(httpwasm.Response, "www-authenticate", "Cookie")
	httpwasm.Write(httpwasm.Response, []byte("who are you?\n"))
	return httpwasm.Stop()
}

//go:wasmexport handle_response
func handleResponse(context, isError uint32) {}

func main() {}
