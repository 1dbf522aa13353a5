// Package extism has what the Go plugins here use of Extism's host functions: input, output and errors. Extism's own
// PDK for Go is not needed for that.
package extism

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(length uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeU8(offset uint64, value uint32)

//go:wasmimport extism:host/env store_u64
func storeU64(offset uint64, value uint64)

//go:wasmimport extism:host/env output_set
func outputSet(offset, length uint64)

//go:wasmimport extism:host/env error_set
func errorSet(offset uint64)

// Input is the input of the call.
func Input() []byte {
	input := make([]byte, inputLength())
	at := 0
	for ; at+8 <= len(input); at += 8 {
		word := inputLoadU64(uint64(at))
		for i := range 8 {
			input[at+i] = byte(word >> (8 * i))
		}
	}
	for ; at < len(input); at++ {
		input[at] = byte(inputLoadU8(uint64(at)))
	}
	return input
}

// store copies bytes into a block of the host's memory, and returns its offset; 0 if there are none, or no room.
func store(bytes []byte) uint64 {
	block := alloc(uint64(len(bytes)))
	if block == 0 {
		return 0
	}
	at := 0
	for ; at+8 <= len(bytes); at += 8 {
		word := uint64(0)
		for i := range 8 {
			word |= uint64(bytes[at+i]) << (8 * i)
		}
		storeU64(block+uint64(at), word)
	}
	for ; at < len(bytes); at++ {
		storeU8(block+uint64(at), uint32(bytes[at]))
	}
	return block
}

// Output makes the bytes the output of the call.
func Output(bytes []byte) {
	outputSet(store(bytes), uint64(len(bytes)))
}

// Fail makes the call fail with this error; what it returns is to be returned.
func Fail(err error) int32 {
	errorSet(store([]byte(err.Error())))
	return 1
}
