// Answers every request with a page made from a template. The template engine makes it a guest of
// more than 5 MiB: what it takes to start is what is measured of it.
package main

import (
	"bytes"
	"encoding/json"
	"text/template"

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
	page *template.Template
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		p.page, err = parse(text)
	}
	if err != nil {
		proxywasm.LogErrorf("invalid configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

// parse takes {"page": template}; the template's .Path is the request's path.
func parse(text []byte) (*template.Template, error) {
	var config struct {
		Page string `json:"page"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	return template.New("page").Parse(config.Page)
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{page: p.page}
}

type stream struct {
	types.DefaultHttpContext
	page *template.Template
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	path, err := proxywasm.GetHttpRequestHeader(":path")
	if err != nil {
		proxywasm.LogErrorf("no :path: %v", err)
		return types.ActionContinue
	}
	var body bytes.Buffer
	if err := s.page.Execute(&body, struct{ Path string }{path}); err != nil {
		proxywasm.LogErrorf("the template: %v", err)
		return types.ActionContinue
	}
	if err := proxywasm.SendHttpResponse(200, nil, body.Bytes(), -1); err != nil {
		proxywasm.LogErrorf("no response: %v", err)
		return types.ActionContinue
	}
	return types.ActionPause
}
