// Counts requests in Redis, for each value of a header, and refuses those over a
// quota: many machines share it. Built with Higress' SDK, whose ABI is 0.2.100.
package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

// Adds one, and has the number forgotten a while after the first.
const script = `local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return n`

// The host calls init by way of _initialize; main never runs.
func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext {
		return &plugin{}
	})
}

// Lines of the configuration, each a name, a space and a value.
type config struct {
	service, username, password string
	// The header that says who asks.
	header string
	// Requests in so many seconds.
	limit  int
	window string
}

type plugin struct {
	types.DefaultPluginContext
	config
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	text, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		err = p.parse(string(text))
	}
	if err == nil {
		err = proxywasm.RedisInit(p.service, p.username, p.password, 2000)
	}
	if err != nil {
		proxywasm.LogError("invalid configuration: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (c *config) parse(text string) (err error) {
	c.header, c.window = "x-user", "60"
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "service":
			c.service = value
		case "username":
			c.username = value
		case "password":
			c.password = value
		case "header":
			c.header = value
		case "window":
			c.window = value
		case "limit":
			c.limit, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown line %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{config: &p.config}
}

type stream struct {
	types.DefaultHttpContext
	*config
	left int
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	user, err := proxywasm.GetHttpRequestHeader(s.header)
	if err != nil {
		user = "nobody"
	}
	service, _, _ := strings.Cut(s.service, "?")
	query := command("EVAL", script, "1", "quota:"+user, s.window)
	if _, err := proxywasm.DispatchRedisCall(service, query, s.counted); err != nil {
		proxywasm.LogErrorf("redis_call: %v", err)
		return types.ActionContinue
	}
	return types.HeaderStopAllIterationAndWatermark
}

func (s *stream) counted(status, size int) {
	reply, err := proxywasm.GetRedisCallResponse(0, size)
	count, number := strings.CutPrefix(strings.TrimSuffix(string(reply), "\r\n"), ":")
	n, wrong := strconv.Atoi(count)
	if status != 0 || err != nil || !number || wrong != nil {
		// Better served than refused while Redis is away.
		proxywasm.LogErrorf("no count: status %d, %q", status, reply)
		n = 0
	}
	if s.left = s.limit - n; s.left < 0 {
		headers := [][2]string{{"retry-after", s.window}}
		if err := proxywasm.SendHttpResponse(429, headers, []byte("over the quota\n"), -1); err != nil {
			proxywasm.LogErrorf("send_http_response: %v", err)
		}
		return
	}
	if err := proxywasm.ResumeHttpRequest(); err != nil {
		proxywasm.LogErrorf("resume: %v", err)
	}
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	if err := proxywasm.ReplaceHttpResponseHeader("x-quota-left", strconv.Itoa(max(s.left, 0))); err != nil {
		proxywasm.LogErrorf("x-quota-left: %v", err)
	}
	return types.ActionContinue
}

// A command as RESP.
func command(parts ...string) []byte {
	var query strings.Builder
	fmt.Fprintf(&query, "*%d\r\n", len(parts))
	for _, part := range parts {
		fmt.Fprintf(&query, "$%d\r\n%s\r\n", len(part), part)
	}
	return []byte(query.String())
}
