;; Makes proxy_on_context_create and proxy_on_request_headers. The first result: have the headers been told?
(module $proxy-wasm-host
  (import "guest" "create" (func $create (param i32 i32)))
  (import "guest" "headers" (func $headers (param i32 i32 i32) (result i32)))
  (global $at (export "at") (mut i32) (i32.const 0))
  (global $stop (export "stop") (mut i32) (i32.const 0))
  (func (export "run") (param $id i32) (param $parent i32) (param $count i32) (param $end i32) (result i32 i32)
    (global.set $at (i32.const 0))
    (global.set $stop (i32.const 0))
    (call $create (local.get $id) (local.get $parent))
    (if (global.get $stop) (then (return (i32.const 0) (i32.const 0))))
    (global.set $at (i32.const 1))
    (i32.const 1)
    (call $headers (local.get $id) (local.get $count) (local.get $end))))
