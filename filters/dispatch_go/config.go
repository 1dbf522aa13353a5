package main

import (
	"fmt"
	"strings"
)

// A key and its value a line, as in the other languages.
type config struct {
	upstream, authority, path, queue string
}

func parse(text string) (*config, error) {
	var c config
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		switch key {
		case "upstream":
			c.upstream = value
		case "authority":
			c.authority = value
		case "path":
			c.path = value
		case "queue":
			c.queue = value
		default:
			return nil, fmt.Errorf("line %d: expected \"upstream|authority|path|queue VALUE\"", i+1)
		}
	}
	for _, field := range [][2]string{
		{"upstream", c.upstream}, {"authority", c.authority}, {"path", c.path}, {"queue", c.queue},
	} {
		if field[1] == "" {
			return nil, fmt.Errorf("%s is missing", field[0])
		}
	}
	return &c, nil
}
