;; Extism's memory functions, as far as guests call them often: each is a call from one module to another.
;;
;; Offsets are positions in this memory, which starts with cells that the host and these functions share, at the
;; addresses that layout.rs names. Blocks are from address 64 on; the host keeps the book of them. What is "in use" are
;; the bytes from 64 on that blocks and their headers have taken since the last reset.
(module
  (memory (export "memory") 1)

  ;; Are there `len` bytes in use from `at` on? `len` may be anything.
  (func $in_use (param $at i64) (param $len i64) (result i32)
    (local $used i64)
    (local.set $at (i64.sub (local.get $at) (i64.const 64)))
    (local.set $used (i64.load offset=8 (i32.const 0)))
    (i32.and
      (i64.lt_u (local.get $at) (local.get $used))
      (i64.le_u (local.get $len) (i64.sub (local.get $used) (local.get $at)))))

  (func (export "load_u8") (param $at i64) (result i32)
    (if (i64.ge_u (i64.sub (local.get $at) (i64.const 64)) (i64.load offset=8 (i32.const 0)))
      (then (return (i32.const 0))))
    (i32.load8_u (i32.wrap_i64 (local.get $at))))

  (func (export "load_u64") (param $at i64) (result i64)
    (if (i64.ge_u (i64.sub (local.get $at) (i64.const 64)) (i64.load offset=16 (i32.const 0)))
      (then (return (i64.const 0))))
    (i64.load (i32.wrap_i64 (local.get $at))))

  (func (export "store_u8") (param $at i64) (param $value i32)
    (if (i64.ge_u (i64.sub (local.get $at) (i64.const 64)) (i64.load offset=8 (i32.const 0)))
      (then (return)))
    (i32.store8 (i32.wrap_i64 (local.get $at)) (local.get $value)))

  (func (export "store_u64") (param $at i64) (param $value i64)
    (if (i64.ge_u (i64.sub (local.get $at) (i64.const 64)) (i64.load offset=16 (i32.const 0)))
      (then (return)))
    (i64.store (i32.wrap_i64 (local.get $at)) (local.get $value)))

  (func (export "input_load_u8") (param $at i64) (result i32)
    (if (i64.ge_u (local.get $at) (i64.load offset=32 (i32.const 0)))
      (then (return (i32.const 0))))
    (i32.load8_u (i32.wrap_i64 (i64.add (local.get $at) (i64.load offset=24 (i32.const 0))))))

  (func (export "input_load_u64") (param $at i64) (result i64)
    (local $length i64)
    (local.set $length (i64.load offset=32 (i32.const 0)))
    (if (i32.or
          (i64.ge_u (local.get $at) (local.get $length))
          (i64.lt_u (i64.sub (local.get $length) (local.get $at)) (i64.const 8)))
      (then (return (i64.const 0))))
    (i64.load (i32.wrap_i64 (i64.add (local.get $at) (i64.load offset=24 (i32.const 0))))))

  (func (export "input_set") (param $at i64) (param $len i64)
    (if (call $in_use (local.get $at) (local.get $len))
      (then
        (i64.store offset=24 (i32.const 0) (local.get $at))
        (i64.store offset=32 (i32.const 0) (local.get $len)))))

  (func (export "output_set") (param $at i64) (param $len i64)
    (if (call $in_use (local.get $at) (local.get $len))
      (then
        (i64.store offset=40 (i32.const 0) (local.get $at))
        (i64.store offset=48 (i32.const 0) (local.get $len)))))

  (func (export "error_set") (param $at i64)
    (if (i32.or (i64.eqz (local.get $at)) (call $in_use (local.get $at) (i64.const 1)))
      (then (i64.store offset=56 (i32.const 0) (local.get $at)))))

  (func (export "input_offset") (result i64) (i64.load offset=24 (i32.const 0)))
  (func (export "input_length") (result i64) (i64.load offset=32 (i32.const 0)))
  (func (export "output_offset") (result i64) (i64.load offset=40 (i32.const 0)))
  (func (export "output_length") (result i64) (i64.load offset=48 (i32.const 0)))
  (func (export "error_get") (result i64) (i64.load offset=56 (i32.const 0))))
