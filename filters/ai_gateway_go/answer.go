package main

import (
	"bytes"
	"encoding/json"
)

// What is kept of an answer at most: an event's line, or all of a JSON answer.
const most = 1 << 20

// An answer of a model's server, which comes in pieces: server-sent events, each
// a piece of the text, or JSON.
type answer struct {
	events bool
	// What has come of a line, or of the JSON; whether it has become too long.
	kept []byte
	long bool
	// Events with a text, which are about a token each, and what the server says.
	deltas int64
	total  *int64
}

func (a *answer) take(piece []byte) {
	for a.events {
		end := bytes.IndexByte(piece, '\n')
		if end < 0 {
			break
		}
		a.keep(piece[:end])
		if !a.long {
			a.line(bytes.TrimSpace(a.kept))
		}
		a.kept, a.long, piece = a.kept[:0], false, piece[end+1:]
	}
	a.keep(piece)
}

func (a *answer) keep(piece []byte) {
	if a.long = a.long || len(a.kept)+len(piece) > most; !a.long {
		a.kept = append(a.kept, piece...)
	}
}

func (a *answer) line(line []byte) {
	data, found := bytes.CutPrefix(line, []byte("data:"))
	if data = bytes.TrimSpace(data); !found || string(data) == "[DONE]" {
		return
	}
	a.read(data)
}

// Reads an event's data, or a whole answer.
func (a *answer) read(text []byte) {
	var said struct {
		Choices []json.RawMessage `json:"choices"`
		Usage   *struct {
			Total int64 `json:"total_tokens"`
		} `json:"usage"`
	}
	if json.Unmarshal(text, &said) != nil {
		return
	}
	if len(said.Choices) > 0 {
		a.deltas++
	}
	if said.Usage != nil && said.Usage.Total >= 0 {
		a.total = &said.Usage.Total
	}
}

// What is charged: the total that the server has said, or else, for a stream that
// broke off before it, one for each event.
func (a *answer) tokens() int64 {
	if !a.long {
		if a.events {
			a.line(bytes.TrimSpace(a.kept))
		} else {
			a.read(a.kept)
		}
	}
	a.kept = nil
	switch {
	case a.total != nil:
		return *a.total
	case a.events:
		return a.deltas
	}
	return 0
}
