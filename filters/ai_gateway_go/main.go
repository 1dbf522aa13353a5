// A gateway to servers of language models, for requests of the form of OpenAI's
// chat completions. Chooses the server by the model that a request names, lets
// the answer pass as it comes, counts the tokens that it says it has used in
// Redis, and refuses who has used up a quota. Built with Higress' SDK, whose ABI
// is 0.2.100.
package main

import (
	"encoding/json"
	"errors"
	"fmt"

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

// The plugin configuration, JSON.
type config struct {
	Redis struct {
		// As proxy_redis_init takes it.
		Service   string `json:"service"`
		Username  string `json:"username"`
		Password  string `json:"password"`
		TimeoutMs uint32 `json:"timeout_ms"`
	} `json:"redis"`
	// The server of each model: the value of the header Server in the request.
	Models map[string]string `json:"models"`
	// Tokens that each user may use in so many seconds.
	Quota  int64 `json:"quota"`
	Window int64 `json:"window"`
	// Serves without a count while Redis cannot be asked.
	FailOpen bool `json:"fail_open"`
}

// The header by which nginx chooses an upstream.
const server = "x-model-server"

type plugin struct {
	types.DefaultPluginContext
	config
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		err = p.parse(text)
	}
	if err == nil {
		r := p.Redis
		if err = proxywasm.RedisInit(r.Service, r.Username, r.Password, r.TimeoutMs); err != nil {
			err = fmt.Errorf("redis: %q: %w", r.Service, err)
		}
	}
	if err != nil {
		proxywasm.LogError("invalid configuration: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (c *config) parse(text []byte) error {
	c.Window, c.Redis.TimeoutMs = 60, 1000
	if err := json.Unmarshal(text, c); err != nil {
		return err
	}
	switch {
	case c.Redis.Service == "":
		return errors.New("redis.service is missing")
	case len(c.Models) == 0:
		return errors.New("models is missing")
	case c.Quota <= 0:
		return errors.New("quota must be above 0")
	case c.Window <= 0:
		return errors.New("window must be above 0")
	}
	return nil
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{config: &p.config}
}
