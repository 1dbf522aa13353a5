// Answers a share of the requests with a fixed response.
//
// The same filter exists in Rust and AssemblyScript; all three take the same
// configuration, log the same errors and answer the same bytes.
package main

import (
	"math/rand/v2"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// The host calls init by way of _initialize; main never runs.
func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext {
		return &plugin{}
	})
}

type plugin struct {
	types.DefaultPluginContext
	config *config
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	// The SDK's error for an empty configuration is the same as for none.
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		text = nil
	}
	config, err := parse(text)
	if err != nil {
		proxywasm.LogError("invalid configuration: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	p.config = config
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{config: p.config}
}

type stream struct {
	types.DefaultHttpContext
	config *config
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	if rand.Float64()*100 >= s.config.percentage {
		return types.ActionContinue
	}
	if err := proxywasm.SendHttpResponse(s.config.httpStatus, nil, s.config.body, -1); err != nil {
		proxywasm.LogErrorf("send_local_response: %v", err)
		return types.ActionContinue
	}
	return types.ActionPause
}
