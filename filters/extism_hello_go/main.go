// POST a name, and get a greeting.
package main

import (
	"encoding/json"

	"extism"
)

type greeting struct {
	Message string `json:"message"`
}

//go:wasmexport hello
func hello() int32 {
	output, err := json.Marshal(greeting{"🦀 Hello " + string(extism.Input())})
	if err != nil {
		return extism.Fail(err)
	}
	extism.Output(output)
	return 0
}

func main() {}
