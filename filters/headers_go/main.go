// Removes, sets and adds request and response headers; takes the same
// configuration as the Rust version.
package main

import (
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
	rules *rules
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	// The SDK's error for an empty configuration is the same as for none.
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		text = nil
	}
	rules, err := parse(text)
	if err != nil {
		proxywasm.LogError("invalid configuration: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	p.rules = rules
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{rules: p.rules}
}

type stream struct {
	types.DefaultHttpContext
	rules *rules
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	apply(s.rules.Request, proxywasm.RemoveHttpRequestHeader,
		proxywasm.ReplaceHttpRequestHeader, proxywasm.AddHttpRequestHeader)
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	apply(s.rules.Response, proxywasm.RemoveHttpResponseHeader,
		proxywasm.ReplaceHttpResponseHeader, proxywasm.AddHttpResponseHeader)
	return types.ActionContinue
}

func apply(c changes, remove func(string) error, set, add func(string, string) error) {
	for _, name := range c.Remove {
		report("remove", name, remove(name))
	}
	for _, h := range c.Set {
		report("set", h.name, set(h.name, h.value))
	}
	for _, h := range c.Add {
		report("add", h.name, add(h.name, h.value))
	}
}

func report(operation, name string, err error) {
	if err != nil {
		proxywasm.LogErrorf("%s %s: %v", operation, name, err)
	}
}
