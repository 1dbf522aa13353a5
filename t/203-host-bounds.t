# What a guest can pile up in the host, outside of its own memory, has an end.

use Test::Nginx::Socket 'no_plan';
use Control;

# The most memory that a process has had, in kilobytes.
sub peak {
    open my $in, '<', "/proc/$_[0]/status" or die $!;
    return (map { /^VmHWM:\s+(\d+)/ } <$in>)[0];
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: requests of calls, with their bodies: 256m for an instance; what has ended does not count
It answers with how many of nine calls with bodies of 32m it could make.
--- http_config
    wasm_module m ../html/m.wat;
--- user_files
>>> m.wat
(module
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 600)
  (data (i32.const 0) "127.0.0.1:1")
  (data (i32.const 100) "\03\00\00\00\07\00\00\00\04\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00POST\00:path\00/\00:authority\00a\00")
  (global $made (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $left i32) (local $made i32)
    (local.set $left (i32.const 9))
    (loop $on
      (if (i32.eqz (call $call (i32.const 0) (i32.const 11) (i32.const 100) (i32.const 64) (i32.const 8192) (i32.const 33554432) (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 64)))
        (then (local.set $made (i32.add (local.get $made) (i32.const 1)))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $on (local.get $left)))
    (drop (call $answer (i32.add (i32.const 400) (local.get $made)) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
--- config
    location /m { wasm_filter m; return 200; }
    location /t { return 204; }
--- init
for my $round (1, 2) {
    Test::More::like(main::get('/m'), qr{\AHTTP/1\.1 407 }, 'seven fit');
    Test::More::is(scalar main::wait_for(qr/call to "127\.0\.0\.1:1" failed/, 7 * $round), 7 * $round, 'they end');
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]
[emerg]
panicked



=== TEST 2: ticks asked for again and again, and a long message, take no memory
--- http_config
    wasm_module m ../html/m.wat cpu_time=1m;
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (memory (export "memory") 1000)
  (data (i32.const 0) "here it begins")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const 8000000))
    (loop $on
      (drop (call $tick (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $on (local.get $left)))
    (call $log (i32.const 2) (i32.const 0) (i32.const 65000000))))
--- config
    location /m { wasm_filter m; return 200 $pid; }
    location /t { return 204; }
--- init
my $pid = main::pid();
my $before = main::peak($pid);
Test::More::is(main::body_of(main::get('/m')), $pid, 'served');
Test::More::cmp_ok(main::peak($pid) - $before, '<', 16 * 1024, 'memory');
my @lines = main::matches(qr/\[wasm\] m: here it begins.*/);
Test::More::is(scalar @lines, 1, 'the message');
Test::More::cmp_ok(length $lines[0], '<', 2100, 'is cut');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked
