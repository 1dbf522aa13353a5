;; Makes proxy_on_done, proxy_on_log if wanted, and proxy_on_delete. The result says how far it has come.
(module $proxy-wasm-host
  (import "guest" "done" (func $done (param i32) (result i32)))
  (import "guest" "log" (func $log (param i32)))
  (import "guest" "delete" (func $delete (param i32)))
  (global $at (export "at") (mut i32) (i32.const 0))
  (global $stop (export "stop") (mut i32) (i32.const 0))
  (func (export "run") (param $id i32) (param $logs i32) (result i32)
    (global.set $at (i32.const 0))
    (global.set $stop (i32.const 0))
    (if (i32.eqz (call $done (local.get $id))) (then (return (i32.const 0))))
    (if (global.get $stop) (then (return (i32.const 1))))
    (if (local.get $logs) (then
      (global.set $at (i32.const 1))
      (call $log (local.get $id))
      (if (global.get $stop) (then (return (i32.const 2))))))
    (global.set $at (i32.const 2))
    (call $delete (local.get $id))
    (i32.const 3)))
