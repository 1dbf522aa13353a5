// Sends each request to the server of its upstream that has the fewest requests per weight, unless a
// header of the request names one. Built with Higress' SDK, whose ABI is 0.2.100.
package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
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
	// The header that names a server.
	header string
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	header, err := proxywasm.GetPluginConfiguration()
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	if p.header = strings.TrimSpace(string(header)); p.header == "" {
		p.header = "x-server"
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{plugin: p}
}

type stream struct {
	types.DefaultHttpContext
	*plugin
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	server, err := proxywasm.GetHttpRequestHeader(s.header)
	if err != nil || server == "" {
		server = least()
	}
	if server != "" {
		if err := proxywasm.SetUpstreamOverrideHost([]byte(server)); err != nil {
			proxywasm.LogErrorf("%s: %v", server, err)
		}
	}
	return types.ActionContinue
}

type host struct {
	Status  string `json:"health_status"`
	Metrics string `json:"metrics"`
}

// The healthy server that has the fewest requests per weight; none leaves the choice to the proxy.
func least() (best string) {
	hosts, err := proxywasm.GetUpstreamHosts()
	if err != nil {
		proxywasm.LogErrorf("upstream hosts: %v", err)
	}
	least := 0.0
	for _, pair := range hosts {
		var host host
		if err := json.Unmarshal([]byte(pair[1]), &host); err != nil {
			proxywasm.LogErrorf("%s: %v", pair[0], err)
			continue
		}
		if host.Status != "Healthy" {
			continue
		}
		load := host.metric("nginx_upstream_server_active") / max(host.metric("nginx_upstream_server_weight"), 1)
		if best == "" || load < least {
			best, least = pair[0], load
		}
	}
	return best
}

// A gauge of Prometheus' text format; 0 where there is none.
func (h *host) metric(name string) float64 {
	for line := range strings.Lines(h.Metrics) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			number, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return number
		}
	}
	return 0
}
