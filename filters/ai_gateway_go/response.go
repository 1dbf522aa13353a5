package main

import (
	"strconv"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

// Adds to a user's count, which is forgotten a window after its first token.
const addScript = `local n = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return n`

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	if s.key == "" {
		return types.ActionContinue
	}
	kind, _ := proxywasm.GetHttpResponseHeader("content-type")
	s.answer.events = strings.HasPrefix(kind, "text/event-stream")
	left := strconv.FormatInt(max(s.Quota-s.used, 0), 10)
	if err := proxywasm.ReplaceHttpResponseHeader("x-quota-left", left); err != nil {
		proxywasm.LogErrorf("x-quota-left: %v", err)
	}
	return types.ActionContinue
}

// Reads each piece and lets it go on at once.
func (s *stream) OnHttpResponseBody(size int, end bool) types.Action {
	if s.key == "" {
		return types.ActionContinue
	}
	if size > 0 {
		piece, err := proxywasm.GetHttpResponseBody(0, size)
		if err != nil {
			proxywasm.LogErrorf("response body: %v", err)
		}
		s.answer.take(piece)
	}
	if end {
		s.count()
	}
	return types.ActionContinue
}

// Also for a client that left, or an answer that broke off.
func (s *stream) OnHttpStreamDone() {
	s.count()
}

// Charges the user, once.
func (s *stream) count() {
	if s.key == "" {
		return
	}
	key := s.key
	s.key = ""
	tokens := strconv.FormatInt(s.answer.tokens(), 10)
	if err := proxywasm.SetProperty([]string{"ai_tokens"}, []byte(tokens)); err != nil {
		proxywasm.LogErrorf("ai_tokens: %v", err)
	}
	if tokens == "0" {
		return
	}
	counted := func(status, size int) {
		if reply, err := proxywasm.GetRedisCallResponse(0, size); status != 0 || err != nil || !strings.HasPrefix(string(reply), ":") {
			proxywasm.LogErrorf("%s tokens not counted: status %d, %q", tokens, status, reply)
		}
	}
	if err := s.redis(counted, "EVAL", addScript, "1", key, tokens, strconv.FormatInt(s.Window, 10)); err != nil {
		proxywasm.LogErrorf("%s tokens not counted: %v", tokens, err)
	}
}
