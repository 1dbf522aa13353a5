module http_wasm_body_go

go 1.24

require httpwasm v0.0.0

replace httpwasm => ../http_wasm_go
