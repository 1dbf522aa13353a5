package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

type config struct {
	// The response's body; default empty. Sent as it is.
	body []byte
	// The response's status, 200 to 599.
	httpStatus uint32
	// The share of requests that are answered, 0 to 100; default 100.
	percentage float64
}

// The texts are part of the filter's behaviour: those of the Rust and
// AssemblyScript versions are the same.
var (
	errNotJSON       = errors.New("not valid JSON")
	errNotAnObject   = errors.New("must be a JSON object")
	errBody          = errors.New(`"body" must be a string`)
	errStatusMissing = errors.New(`"http_status" is missing`)
	errStatus        = errors.New(`"http_status" must be an integer from 200 to 599`)
	errPercentage    = errors.New(`"percentage" must be a number from 0 to 100`)
)

var keys = []string{"body", "http_status", "percentage"}

// parse parses the plugin configuration. Of several problems, the first in the
// order of the checks below is told; of several unknown keys, the first in
// byte order.
func parse(text []byte) (*config, error) {
	if !json.Valid(text) || !utf8.Valid(text) || hasLoneSurrogate(text) {
		return nil, errNotJSON
	}
	if text = bytes.TrimLeft(text, " \t\r\n"); text[0] != '{' {
		return nil, errNotAnObject
	}
	// Values stay text here, so that 200.0 is told from 200 and null from none.
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, errNotJSON
	}
	var unknown []string
	for key := range object {
		if !slices.Contains(keys, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf(
			`unknown key "%s"; known are "body", "http_status" and "percentage"`,
			slices.Min(unknown))
	}
	c := &config{percentage: 100}
	if value, ok := object["body"]; ok {
		var body string
		if value[0] != '"' || json.Unmarshal(value, &body) != nil {
			return nil, errBody
		}
		c.body = []byte(body)
	}
	value, ok := object["http_status"]
	if !ok {
		return nil, errStatusMissing
	}
	status, err := strconv.ParseUint(string(value), 10, 32)
	if err != nil || status < 200 || status > 599 {
		return nil, errStatus
	}
	c.httpStatus = uint32(status)
	if value, ok := object["percentage"]; ok {
		// Of all JSON values, ParseFloat takes only numbers.
		percentage, err := strconv.ParseFloat(string(value), 64)
		if err != nil || percentage < 0 || percentage > 100 {
			return nil, errPercentage
		}
		c.percentage = percentage
	}
	return c, nil
}

// hasLoneSurrogate tells whether valid JSON has a \uD800 to \uDFFF that is not
// half of a pair: encoding/json would put a replacement character there, the
// other languages' parsers refuse it.
func hasLoneSurrogate(text []byte) bool {
	unit := func(at int) uint64 {
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0
		}
		unit, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		if err != nil {
			return 0
		}
		return unit
	}
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			continue
		}
		switch first := unit(at) >> 10; first {
		case 0xd800 >> 10:
			if unit(at+6)>>10 != 0xdc00>>10 {
				return true
			}
			at += 11
		case 0xdc00 >> 10:
			return true
		default:
			at++ // The escaped character may be a backslash itself.
		}
	}
	return false
}
