# How many lines a second a guest may write to the log: log_rate= of wasm_module.

use Test::Nginx::Socket 'no_plan';
use Control;

# A guest that writes a line as often as the request's path is long.
our $chatty = <<'_EOC_';
>>> chatty.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ":pathguest\0a")
  (data (i32.const 32) "\05\00\00\00\06\00\00\00")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func $lines (param $level i32) (param $count i32)
    (block $out (loop $on
      (br_if $out (i32.eqz (local.get $count)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (drop (call $log (local.get $level) (i32.const 5) (i32.const 5)))
      (br $on))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $header (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 16) (i32.const 20)))
    ;; /md…: below the level of the log; /mw…: by WASI; /mt…: and a trap.
    (if (i32.eq (i32.load8_u (i32.const 1026)) (i32.const 100))
      (then (call $lines (i32.const 1) (i32.const 1000)))
      (else (call $lines (i32.const 2) (i32.load (i32.const 20)))))
    (if (i32.eq (i32.load8_u (i32.const 1026)) (i32.const 119))
      (then (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 64)))))
    (if (i32.eq (i32.load8_u (i32.const 1026)) (i32.const 116)) (then unreachable))
    (i32.const 0)))
_EOC_

no_long_string();
run_tests();

__DATA__

=== TEST 1: lines over the rate are summed up within about a second, though the guest falls silent
--- http_config
    wasm_module m ../html/chatty.wat log_rate=10;
    wasm_module other ../html/chatty.wat log_rate=10;
    wasm_module free ../html/chatty.wat log_rate=off;
--- user_files eval: $::chatty
--- config
    location /m { wasm_filter m; return 204; }
    location /a { wasm_filter other; return 204; }
    location /f { wasm_filter free; return 204; }
    location /t { return 204; }
--- init
my $started = Time::HiRes::time();
main::get('/m' . 'x' x 38);
main::get('/' . 'a' x 3);
main::get('/' . 'f' x 39);
Test::More::is(scalar main::matches(qr/\[wasm\] m: guest/), 10, 'as many lines as the rate');
Test::More::is(scalar main::matches(qr/\[wasm\] other: guest/), 4, 'another module has its own');
Test::More::is(scalar main::matches(qr/\[wasm\] free: guest/), 40, 'without a rate');
Test::More::is_deeply([main::wait_for(qr/\[warn\] \d+#\d+: \K\[wasm\] .*/)], ['[wasm] m: 30 lines not written, over log_rate=10'], 'the sum');
Test::More::cmp_ok(Time::HiRes::time() - $started, '<', $main::PATIENCE, 'without another line of the guest');
main::get('/mx');
Test::More::is(scalar main::matches(qr/\[wasm\] m: guest/), 13, 'and the next second');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 2: what the log's level does not let through is not counted
--- http_config
    wasm_module m ../html/chatty.wat log_rate=10;
--- user_files eval: $::chatty
--- config
    location /m { wasm_filter m; return 204; }
    location /t { return 204; }
--- init
main::get('/mdebug');
main::get('/mxxxxxxxx');
Test::More::is(scalar main::matches(qr/\[wasm\] m: guest/), 10, 'the lines');
main::quit();
Test::More::is(scalar main::matches(qr/not written/), 0, 'no sum');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 3: a trap's own line is none of the guest's; lines by WASI are; at exit the rest is summed up
--- http_config
    wasm_module m ../html/chatty.wat log_rate=4;
--- user_files eval: $::chatty
--- config
    location /m { wasm_filter m; return 204; }
    location /t { return 204; }
--- init
main::get('/mw3456');
main::get('/mtrap');
Test::More::is(scalar main::matches(qr/\[wasm\] m: guest/), 4, 'the lines');
Test::More::is(scalar main::matches(qr/\[error\] .*\[wasm\] m: proxy_on_request_headers trapped: /), 1, 'the trap');
Test::More::ok(main::quit(), 'nginx is gone');
# The instance has changed, the count is the module's: 7 and 1 by WASI, 6.
Test::More::is_deeply([main::matches(qr/\[warn\] \d+#\d+: \K\[wasm\] .*/)], ['[wasm] m: 10 lines not written, over log_rate=4'], 'the sum');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked



=== TEST 4: the timer of a sum does not keep a worker that is to go
--- workers: 1
--- http_config
    wasm_module m ../html/chatty.wat log_rate=1;
--- user_files eval: $::chatty
--- config
    location /m { wasm_filter m; return 200 $pid; }
    location /t { return 204; }
--- init
my $old = main::body_of(main::get('/mx'));
my $started = Time::HiRes::time();
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the old worker is gone');
Test::More::is(scalar main::matches(qr/ $old#\d+: \[wasm\] m: 2 lines not written, over log_rate=1/), 1, 'with its sum');
Test::More::isnt(main::body_of(main::get('/m')), $old, 'another worker');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 5: the check of the configuration
--- http_config
    wasm_module m ../html/m.wat log_rate=2;
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "guest")
  (func $line (drop (call $log (i32.const 2) (i32.const 0) (i32.const 5))))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (call $line) (call $line) (call $line) (call $line) (call $line) (i32.const 1)))
--- config
    location /a { wasm_filter m; return 204; }
    location /t { return 204; }
--- init
my $said = `$ENV{TEST_NGINX_BINARY} -t -e stderr -p $main::root/ -c $main::conf 2>&1`;
Test::More::is($?, 0, 'the configuration is taken');
open my $in, '<', $main::log;
my $text = join '', <$in>;
Test::More::cmp_ok(scalar(() = "$said$text" =~ /\[wasm\] m: 3 lines not written, over log_rate=2/g), '>=', 1, 'the sum');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked
