package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

type rules struct {
	Request  changes `json:"request"`
	Response changes `json:"response"`
}

// Applied in the order of the fields.
type changes struct {
	Remove []string `json:"remove"`
	Set    headers  `json:"set"`
	Add    headers  `json:"add"`
}

type header struct{ name, value string }

// headers is a JSON object of names and values, in the byte order of the
// names; a name whose value is an array stands once for each element.
type headers []header

func (h *headers) UnmarshalJSON(text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		var values []string
		if value := object[name]; value[0] == '"' {
			values = make([]string, 1)
			if err := json.Unmarshal(value, &values[0]); err != nil {
				return err
			}
		} else if json.Unmarshal(value, &values) != nil || values == nil {
			return fmt.Errorf("%q must be a string or an array of strings", name)
		}
		for _, value := range values {
			*h = append(*h, header{name, value})
		}
	}
	return nil
}

// parse parses the plugin configuration.
func parse(text []byte) (*rules, error) {
	if !json.Valid(text) {
		return nil, errors.New("not valid JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	rules := &rules{}
	if err := decoder.Decode(rules); err != nil {
		return nil, err
	}
	return rules, nil
}
