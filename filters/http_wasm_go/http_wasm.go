// Package httpwasm has what the Go guests here use of http-wasm's host functions. No SDK is needed for that.
package httpwasm

import (
	"strings"
	"unsafe"
)

// Kinds of headers and bodies.
const (
	Request  = 0
	Response = 1
)

// Features.
const (
	BufferRequest  = 1
	BufferResponse = 2
)

// Levels of the log.
const (
	Info  = 0
	Warn  = 1
	Error = 2
)

//go:wasmimport http_handler enable_features
func enableFeatures(features uint32) uint32

//go:wasmimport http_handler get_config
func getConfig(buffer unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler log
func log(level int32, message unsafe.Pointer, length uint32)

//go:wasmimport http_handler get_header_values
func getHeaderValues(kind uint32, name unsafe.Pointer, length uint32, buffer unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler set_header_value
func setHeaderValue(kind uint32, name unsafe.Pointer, length uint32, value unsafe.Pointer, valueLength uint32)

//go:wasmimport http_handler add_header_value
func addHeaderValue(kind uint32, name unsafe.Pointer, length uint32, value unsafe.Pointer, valueLength uint32)

//go:wasmimport http_handler remove_header
func removeHeader(kind uint32, name unsafe.Pointer, length uint32)

//go:wasmimport http_handler read_body
func readBody(kind uint32, buffer unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler write_body
func writeBody(kind uint32, bytes unsafe.Pointer, length uint32)

//go:wasmimport http_handler set_status_code
func setStatusCode(status uint32)

//go:wasmimport http_handler get_status_code
func getStatusCode() uint32

func text(value string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(value)), uint32(len(value))
}

func bytes(value []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value))
}

// all calls get with a buffer that is large enough.
func all(get func(buffer unsafe.Pointer, limit uint32) uint32) []byte {
	buffer := make([]byte, 2048)
	for {
		length := get(bytes(buffer))
		if int(length) <= len(buffer) {
			return buffer[:length]
		}
		buffer = make([]byte, length)
	}
}

// Enable asks for features.
func Enable(features uint32) { enableFeatures(features) }

// Config is the guest's configuration.
func Config() string { return string(all(getConfig)) }

// Log writes a line.
func Log(level int32, line string) {
	message, length := text(line)
	log(level, message, length)
}

// Values are those of all headers of a name.
func Values(kind uint32, name string) []string {
	count := uint64(0)
	values := all(func(buffer unsafe.Pointer, limit uint32) uint32 {
		pointer, length := text(name)
		result := getHeaderValues(kind, pointer, length, buffer, limit)
		count = result >> 32
		return uint32(result)
	})
	return strings.SplitN(string(values), "\x00", int(count)+1)[:count]
}

// Set leaves one header of the name.
func Set(kind uint32, name, value string) {
	n, nLength := text(name)
	v, vLength := text(value)
	setHeaderValue(kind, n, nLength, v, vLength)
}

// Add adds a header.
func Add(kind uint32, name, value string) {
	n, nLength := text(name)
	v, vLength := text(value)
	addHeaderValue(kind, n, nLength, v, vLength)
}

// Remove drops all headers of the name.
func Remove(kind uint32, name string) {
	pointer, length := text(name)
	removeHeader(kind, pointer, length)
}

// Read is all of a body.
func Read(kind uint32) []byte {
	var body []byte
	buffer := make([]byte, 16384)
	for {
		pointer, limit := bytes(buffer)
		result := readBody(kind, pointer, limit)
		body = append(body, buffer[:uint32(result)]...)
		if result>>32 != 0 {
			return body
		}
	}
}

// Write replaces a body, or adds to what was written.
func Write(kind uint32, body []byte) {
	pointer, length := bytes(body)
	writeBody(kind, pointer, length)
}

// SetStatus sets the response's status.
func SetStatus(status uint32) { setStatusCode(status) }

// Status is the response's.
func Status() uint32 { return getStatusCode() }

// Next has the next handler see the request; the guest gets context back with the response.
func Next(context uint32) uint64 { return uint64(context)<<32 | 1 }

// Stop answers the request with what has been written.
func Stop() uint64 { return 0 }
