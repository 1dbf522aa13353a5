package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

// One request. It goes on when its body is there, which names the model, and
// Redis has said what its user has left, whichever comes last.
type stream struct {
	types.DefaultHttpContext
	*config
	// The key of the user's count in Redis; empty as long as nobody is to be charged.
	key string
	// Whether the body is complete and its model known; whether the quota allows it.
	routed, allowed bool
	used            int64
	answer          answer
}

// Asks for a user's count, and for the seconds that it still holds.
const askScript = `return {tonumber(redis.call('GET', KEYS[1]) or 0), redis.call('TTL', KEYS[1])}`

func (s *stream) OnHttpRequestHeaders(_ int, end bool) types.Action {
	user, _ := proxywasm.GetHttpRequestHeader("authorization")
	if user == "" {
		return s.refuse(401, nil, "a request needs an authorization header")
	}
	if end {
		return s.refuse(400, nil, "a request needs a body of JSON that names a model")
	}
	// A client does not choose the server, nor a coding of the answer that could not be read here. The body's
	// length may change.
	for _, name := range []string{server, "accept-encoding", "content-length"} {
		if err := proxywasm.RemoveHttpRequestHeader(name); err != nil {
			proxywasm.LogErrorf("%s: %v", name, err)
		}
	}
	// Redis need not know what users authenticate with.
	hash := sha256.Sum256([]byte(user))
	s.key = "tokens:" + hex.EncodeToString(hash[:16])
	if err := s.redis(s.asked, "EVAL", askScript, "1", s.key); err != nil {
		proxywasm.LogErrorf("redis: %v", err)
		if action := s.uncounted(); action != types.ActionContinue {
			return action
		}
	}
	// The header waits, and body callbacks go on.
	return types.HeaderStopIteration
}

// What Redis says the user has used.
func (s *stream) asked(status, size int) {
	reply, err := proxywasm.GetRedisCallResponse(0, size)
	used, ttl, ok := pair(string(reply))
	if status != 0 || err != nil || !ok {
		proxywasm.LogErrorf("no count: status %d, %q", status, reply)
		if s.uncounted() != types.ActionContinue {
			return
		}
	} else if used >= s.Quota {
		retry := [][2]string{{"retry-after", strconv.FormatInt(max(ttl, 1), 10)}}
		s.refuse(429, retry, "the quota of "+strconv.FormatInt(s.Quota, 10)+" tokens is used up")
		return
	}
	s.used, s.allowed = used, true
	if s.routed {
		if err := proxywasm.ResumeHttpRequest(); err != nil {
			proxywasm.LogErrorf("resume: %v", err)
		}
	}
}

// What becomes of a request while Redis cannot be asked.
func (s *stream) uncounted() types.Action {
	s.key = ""
	if s.FailOpen {
		s.allowed = true
		return types.ActionContinue
	}
	return s.refuse(503, nil, "the quota cannot be checked")
}

func (s *stream) OnHttpRequestBody(size int, end bool) types.Action {
	if !end {
		return types.DataStopIterationAndBuffer
	}
	body, err := proxywasm.GetHttpRequestBody(0, size)
	var request map[string]json.RawMessage
	var model string
	if err != nil || json.Unmarshal(body, &request) != nil || json.Unmarshal(request["model"], &model) != nil {
		return s.refuse(400, nil, "a request needs a body of JSON that names a model")
	}
	chosen, known := s.Models[model]
	if !known {
		return s.refuse(404, nil, "there is no model "+strconv.Quote(model))
	}
	if err := proxywasm.ReplaceHttpRequestHeader(server, chosen); err != nil {
		proxywasm.LogErrorf("%s: %v", server, err)
	}
	if changed := withUsage(request); changed != nil {
		if err := proxywasm.ReplaceHttpRequestBody(changed); err != nil {
			proxywasm.LogErrorf("body: %v", err)
		}
	}
	if s.routed = true; !s.allowed {
		return types.DataStopIterationAndBuffer
	}
	return types.ActionContinue
}

// The body of a request for a stream that does not ask for the usage at its end,
// with that; nil if it need not change.
func withUsage(request map[string]json.RawMessage) []byte {
	var streams bool
	if json.Unmarshal(request["stream"], &streams) != nil || !streams {
		return nil
	}
	options := map[string]any{}
	if json.Unmarshal(request["stream_options"], &options) == nil && options["include_usage"] == true {
		return nil
	}
	// `null` makes no map.
	if options == nil {
		options = map[string]any{}
	}
	options["include_usage"] = true
	request["stream_options"], _ = json.Marshal(options)
	changed, _ := json.Marshal(request)
	return changed
}

// Answers in place of the server, as OpenAI's errors are.
func (s *stream) refuse(status uint32, headers [][2]string, message string) types.Action {
	s.key = ""
	body, _ := json.Marshal(map[string]any{"error": map[string]any{"message": message, "code": status}})
	headers = append(headers, [2]string{"content-type", "application/json"})
	if err := proxywasm.SendHttpResponse(status, headers, append(body, '\n'), -1); err != nil {
		proxywasm.LogErrorf("send_http_response: %v", err)
	}
	return types.HeaderStopAllIterationAndWatermark
}

// Sends a command to Redis.
func (s *stream) redis(told func(status, size int), parts ...string) error {
	service, _, _ := strings.Cut(s.Redis.Service, "?")
	_, err := proxywasm.DispatchRedisCall(service, command(parts), told)
	return err
}
