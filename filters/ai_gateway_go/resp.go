package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A command as RESP.
func command(parts []string) []byte {
	var query strings.Builder
	fmt.Fprintf(&query, "*%d\r\n", len(parts))
	for _, part := range parts {
		fmt.Fprintf(&query, "$%d\r\n%s\r\n", len(part), part)
	}
	return []byte(query.String())
}

// The two numbers of a reply.
func pair(reply string) (first, second int64, ok bool) {
	lines := strings.Split(reply, "\r\n")
	if len(lines) != 4 || lines[0] != "*2" {
		return 0, 0, false
	}
	first, errFirst := strconv.ParseInt(strings.TrimPrefix(lines[1], ":"), 10, 64)
	second, errSecond := strconv.ParseInt(strings.TrimPrefix(lines[2], ":"), 10, 64)
	return first, second, errFirst == nil && errSecond == nil
}
