// Asks an upstream about each request and tells the request what came; numbers
// the requests in shared data, counts them in metrics, and collects a line for
// each in a queue. Takes the same configuration as the Rust version.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const (
	// Milliseconds that bound the call.
	timeout = 2000
	// The key in shared data.
	key = "dispatch"
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
	*config
	queueID  uint32
	requests proxywasm.MetricCounter
	// Sizes of answers, in bytes.
	size proxywasm.MetricHistogram
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	// The SDK's error for an empty configuration is the same as for none.
	text, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		text = nil
	}
	if p.config, err = parse(string(text)); err != nil {
		proxywasm.LogError("invalid configuration: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	if p.queueID, err = proxywasm.RegisterSharedQueue(p.queue); err != nil {
		proxywasm.LogErrorf("register %s: %v", p.queue, err)
		return types.OnPluginStartStatusFailed
	}
	p.requests = proxywasm.DefineCounterMetric("dispatch.requests")
	p.size = proxywasm.DefineHistogramMetric("dispatch.size")
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnQueueReady(queue uint32) {
	for {
		message, err := proxywasm.DequeueSharedQueue(queue)
		if err != nil {
			if !errors.Is(err, types.ErrorStatusEmpty) {
				proxywasm.LogErrorf("dequeue: %v", err)
			}
			return
		}
		proxywasm.LogInfo("queue: " + string(message))
	}
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{plugin: p}
}

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	path   string
	number uint64
	// Status and size of the answer, and the request's number.
	result string
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.path, _ = proxywasm.GetHttpRequestHeader(":path")
	s.number = next()
	s.plugin.requests.Increment(1)
	_, err := proxywasm.DispatchHttpCall(s.plugin.upstream, [][2]string{
		{":method", "GET"},
		{":path", s.plugin.config.path},
		{":authority", s.plugin.authority},
		{"x-path", s.path},
	}, nil, nil, timeout, s.answered)
	if err != nil {
		proxywasm.LogError("no such upstream: " + s.plugin.upstream)
		return types.ActionContinue
	}
	return types.ActionPause
}

func (s *stream) answered(headers, size, _ int) {
	if headers == 0 {
		s.result = fmt.Sprintf("failed 0 %d", s.number)
	} else {
		s.result = fmt.Sprintf("%s %d %d", status(), size, s.number)
		if body, err := proxywasm.GetHttpCallResponseBody(0, size); err == nil {
			line, _, _ := strings.Cut(strings.ReplaceAll(string(body), "\r", "\n"), "\n")
			report(proxywasm.ReplaceHttpRequestHeader("x-answer", line))
		}
	}
	s.plugin.size.Record(uint64(size))
	report(proxywasm.ReplaceHttpRequestHeader("x-dispatch", s.result))
	report(proxywasm.ResumeHttpRequest())
}

// The answer's :status. The SDK has no getter for a single header of it.
func status() string {
	headers, err := proxywasm.GetHttpCallResponseHeaders()
	report(err)
	for _, header := range headers {
		if header[0] == ":status" {
			return header[1]
		}
	}
	return ""
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	report(proxywasm.AddHttpResponseHeader("x-dispatch", s.result))
	requests := strconv.FormatUint(s.plugin.requests.Value(), 10)
	report(proxywasm.AddHttpResponseHeader("x-requests", requests))
	return types.ActionContinue
}

func (s *stream) OnHttpStreamDone() {
	report(proxywasm.EnqueueSharedQueue(s.plugin.queueID, []byte(s.path+" "+s.result)))
}

// One more than the last, over all workers.
func next() uint64 {
	for {
		value, cas, err := proxywasm.GetSharedData(key)
		if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
			report(err)
			return 0
		}
		last, _ := strconv.ParseUint(string(value), 10, 64)
		err = proxywasm.SetSharedData(key, strconv.AppendUint(nil, last+1, 10), cas)
		if errors.Is(err, types.ErrorStatusCasMismatch) {
			// Somebody else was quicker.
			continue
		}
		report(err)
		return last + 1
	}
}

func report(err error) {
	if err != nil {
		proxywasm.LogError(err.Error())
	}
}
