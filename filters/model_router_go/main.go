// Tells by the body of a request which model it is for, in a header that nginx can route by, and answers for an
// upstream that fails. Built with Higress' SDK, whose ABI is 0.2.100: a header waits while the filter
// looks at the body.
package main

import (
	"encoding/json"
	"strconv"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

// What a client gets for a failed upstream.
const fallback = `{"error":"no model is there"}` + "\n"

// The host calls init by way of _initialize; main never runs.
func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext {
		return &plugin{}
	})
}

type plugin struct{ types.DefaultPluginContext }

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{} }

type stream struct {
	types.DefaultHttpContext
	// The upstream has failed.
	failed bool
}

func (s *stream) OnHttpRequestHeaders(_ int, end bool) types.Action {
	if end {
		return types.HeaderContinue
	}
	return types.HeaderStopIteration
}

func (s *stream) OnHttpRequestBody(size int, end bool) types.Action {
	if !end {
		return types.DataStopIterationAndBuffer
	}
	var asked struct{ Model string }
	body, err := proxywasm.GetHttpRequestBody(0, size)
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil {
		check(proxywasm.SendHttpResponse(400, nil, []byte("no request for a model\n"), -1))
		return types.DataStopIterationAndBuffer
	}
	check(proxywasm.ReplaceHttpRequestHeader("x-model", asked.Model))
	return types.DataContinue
}

func (s *stream) OnHttpResponseHeaders(_ int, end bool) types.Action {
	status, err := proxywasm.GetHttpResponseHeader(":status")
	check(err)
	if s.failed = len(status) == 3 && status[0] == '5'; s.failed {
		check(proxywasm.ReplaceHttpResponseHeader("content-type", "application/json"))
	}
	if s.failed && end {
		// There will be no body callback.
		_, err := proxywasm.CallForeignFunction("inject_encoded_data_to_filter_chain_on_header", message(fallback, true))
		check(err)
	}
	if s.failed || !end {
		return types.HeaderStopIteration
	}
	return types.HeaderContinue
}

func (s *stream) OnHttpResponseBody(size int, end bool) types.Action {
	switch {
	case s.failed && end:
		check(proxywasm.InjectEncodedDataToFilterChain([]byte(fallback), true))
		return types.DataStopIterationNoBuffer
	case s.failed:
		return types.DataStopIterationNoBuffer
	case !end:
		return types.DataStopIterationAndBuffer
	}
	check(proxywasm.ReplaceHttpResponseHeader("x-bytes", strconv.Itoa(size)))
	return types.DataContinue
}

// The arguments of the foreign function, as protobuf: a string, field 1, and a bool, field 2.
func message(body string, end bool) []byte {
	text := append([]byte{1<<3 | 2, byte(len(body))}, body...)
	if end {
		text = append(text, 2<<3, 1)
	}
	return text
}

func check(err error) {
	if err != nil {
		proxywasm.LogErrorf("model_router: %v", err)
	}
}
