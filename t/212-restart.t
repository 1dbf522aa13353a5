# Modules that fail are started again: by the next request, or by themselves, at intervals that grow while they
# do not start; and where a trap happens, one line tells it with the names of the guest's functions.

use Test::Nginx::Socket 'no_plan';
use Control;

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# A module that does not start before a time, in workers only: the configuration is checked with nginx's first
# log, of level notice.
sub late_module {
    my ($file, $seconds) = @_;
    my $deadline = int((Time::HiRes::time() + $seconds) * 1e9);
    open my $out, '>', "$main::html/$file" or die $!;
    print $out qq{(module
      (import "env" "proxy_get_log_level" (func \$level (param i32) (result i32)))
      (import "env" "proxy_get_current_time_nanoseconds" (func \$time (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "proxy_abi_version_0_2_1"))
      (func \$early (export "_initialize")
        (drop (call \$level (i32.const 0)))
        (drop (call \$time (i32.const 8)))
        (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 3)) (then
          (if (i64.lt_u (i64.load (i32.const 8)) (i64.const $deadline)) (then unreachable))))))};
    close $out;
}

# A guest whose functions trap under these names; `boom` traps where its caller is exported under a name.
sub trapping {
    my ($type, $name, $result) = @_;
    return qq{(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
      (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
      (func \$boom unreachable)
      (func \$outer (export "$name") $type (call \$boom) $result))};
}

sub status { return $_[0] =~ m{\AHTTP/1\.1 (\d+) } ? $1 : "no status: $_[0]" }

# When lines that match were written, in seconds of the day.
sub times {
    my $regex = shift;
    return map { /(\d+):(\d+):(\d+) / ? $1 * 3600 + $2 * 60 + $3 : () } main::matches(qr/.*$regex/);
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: background work goes on after a trap, without a request, and a trap in every tick does not spin
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module q $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module p $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /m { wasm_filter m '{"configure":[["set_tick",5]],"tick":[["abort"]]}'; return 204; }
    location /q { wasm_filter q '{"configure":[["log","warn","configured"],["register_queue","lines","q"]],"queue_ready":[["dequeue",{"var":"queue"},"line"],["log","warn",{"join":["got ",{"var":"line"}]}],["if",{"var":"line"},"bad",[["abort"]]]]}'; return 204; }
    location /p { wasm_filter p '{"request_headers":[["resolve_queue","q","lines","q"],["if_path","/p/bad",[["enqueue",{"var":"q"},"bad"]]],["if_path","/p/good",[["enqueue",{"var":"q"},"good"]]]]}'; return 204; }
    location /t { return 204; }
--- init
my $began = Time::HiRes::time();
main::get('/p/bad');
Test::More::is(scalar(main::wait_for(qr/\[wasm\] q: proxy_on_queue_ready trapped: /)), 1, 'a trap');
main::get('/p/good');
Test::More::is(scalar(main::wait_for(qr/\[wasm\] q: configured/, 3)), 3, 'started again: the dry run, the worker, and after the trap');
Test::More::is(join(' ', main::wait_for(qr/\[wasm\] q: got \K\w+/, 2)), 'bad good', 'what came meanwhile is done');
main::wait_for(qr/\[wasm\] m: proxy_on_tick trapped/, 4);
my $took = Time::HiRes::time() - $began;
Test::More::cmp_ok(scalar main::matches(qr/\[wasm\] m: proxy_on_tick trapped/), '<=', 2 + $took, 'at most one a second');
Test::More::cmp_ok(scalar main::matches(qr/\[wasm\] m: proxy_on_tick trapped/), '>=', 4, 'and not fewer');
my $before = main::matches(qr/\[wasm\] m: proxy_on_tick trapped/);
Test::More::ok(main::quit(), 'it exits');
Test::More::cmp_ok(scalar main::matches(qr/\[wasm\] m: proxy_on_tick trapped/), '<=', $before + 1, 'it waits for no timer of these');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 2: a module that does not start is tried again after 1, 2, 4 seconds, by itself; success resets it
--- workers: 1
--- post_setup_server_root: main::late_module('m.wat', 5)
--- http_config
    wasm_module m ../html/m.wat;
    wasm_module open ../html/m.wat on_failure=open;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /open { wasm_filter open; return 200 served; }
    location /t { return 204; }
--- init
my $requests = 0;
while ($requests++ < 4000 && main::status(main::get('/m')) != 200) {
    Test::More::fail('open serves') if main::body_of(main::get('/open')) ne 'served';
    Time::HiRes::sleep(0.05);
}
my @retries = main::matches(qr/\[error\] .*\[wasm\] m: _initialize trapped: wasm trap: .* in early; tried again in \K\d+ s/);
Test::More::is("@retries", '1 s 2 s 4 s', 'one line for each attempt');
my @at = main::times(qr/\[wasm\] m: _initialize trapped/);
Test::More::cmp_ok($at[1] - $at[0], '<=', 2, 'the first');
Test::More::cmp_ok($at[2] - $at[1], '>=', 1, 'the second');
Test::More::cmp_ok($at[2] - $at[1], '<=', 3, 'not later');
Test::More::is(main::body_of(main::get('/m')), 'served', 'it runs');
Test::More::is(scalar main::matches(qr/\[notice\] .*\[wasm\] m: started, after 3 attempts that failed/), 1, 'which the log says');
Test::More::is(scalar main::matches(qr/\[info\] .*\[wasm\] m: did not start a moment ago/), $requests - 1, 'requests meanwhile: level info, no attempt');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 3: a worker that waits to try again exits at once
--- workers: 1
--- post_setup_server_root: main::late_module('m.wat', 60)
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /t { return 204; }
--- init
main::wait_for(qr/tried again in 2 s/);
my $before = main::matches(qr/_initialize trapped/);
Test::More::ok(main::quit(), 'it exits');
Test::More::is(scalar main::matches(qr/_initialize trapped/), $before, 'and does not wait for the next attempt');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 4: the line of a trap, in every callback: module, callback, reason, names of functions
--- http_config
    wasm_module context_create ../html/context_create.wat on_failure=open;
    wasm_module request_headers ../html/request_headers.wat on_failure=open;
    wasm_module done ../html/done.wat on_failure=open;
    wasm_module log ../html/log.wat on_failure=open;
    wasm_module delete ../html/delete.wat on_failure=open;
    wasm_module tick ../html/tick.wat;
--- config
    location /context_create { wasm_filter context_create; return 204; }
    location /request_headers { wasm_filter request_headers; return 204; }
    location /done { wasm_filter done; return 204; }
    location /log { wasm_filter log; return 204; }
    location /delete { wasm_filter delete; return 204; }
    location /tick { wasm_filter tick; return 204; }
    location /t { return 204; }
--- user_files eval
[
    # A root context has no parent.
    ['context_create.wat', '(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func $boom unreachable)
        (func $outer (export "proxy_on_context_create") (param i32 i32) (if (local.get 1) (then (call $boom)))))'],
    ['request_headers.wat', main::trapping('(param i32 i32 i32) (result i32)', 'proxy_on_request_headers', '(i32.const 0)')],
    ['done.wat', main::trapping('(param i32) (result i32)', 'proxy_on_done', '(i32.const 1)')],
    ['log.wat', main::trapping('(param i32)', 'proxy_on_log', '')],
    ['delete.wat', main::trapping('(param i32)', 'proxy_on_delete', '')],
    ['tick.wat', '(module (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
        (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func $boom unreachable)
        (func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $period (i32.const 300))) (i32.const 1))
        (func $outer (export "proxy_on_tick") (param i32) (call $boom)))'],
]
--- init
for (qw(context_create request_headers done log delete)) {
    Test::More::is(main::status(main::get("/$_")), 204, $_);
    my @lines = main::wait_for(qr/\[error\] .*\[wasm\] $_: \K.*/);
    Test::More::is(scalar @lines, 1, "$_: one line");
    Test::More::like($lines[0], qr/\Aproxy_on_$_ trapped: wasm trap: wasm `unreachable` instruction executed in boom < outer(?: while [a-z ]+)?, client: 127\.0\.0\.1, server: localhost, request: "GET \/$_ HTTP/, "$_: the line");
}
my @lines = main::wait_for(qr/\[error\] \d+#\d+: \[wasm\] tick: \K.*/);
Test::More::is($lines[0], 'proxy_on_tick trapped: wasm trap: wasm `unreachable` instruction executed in boom < outer', 'a tick');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 5: the line of a trap in what comes in from outside, and in root contexts
--- workers: 1
--- http_config
    wasm_module call $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=open;
    wasm_module foreign $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=open;
    wasm_module queue $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=open;
    wasm_module grpc $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=open;
    wasm_module end $TEST_NGINX_FILTERS/hostcalls.wasm;
    server { listen 127.0.0.1:$TEST_NGINX_PORT_1; http2 on; location / { return 200 ok; } }
    server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { return 200 ok; } }
--- config
    location /call { wasm_filter call '{"request_headers":[["http_call","c","127.0.0.1:$TEST_NGINX_PORT_2",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],1000],["action","pause"]],"http_call_response":[["abort"]]}'; return 200 served; }
    location /grpc { wasm_filter grpc '{"request_headers":[["grpc_call","c","127.0.0.1:$TEST_NGINX_PORT_1","s","m",[],"",1000],["action","pause"]],"grpc_close":[["abort"]]}'; return 200 served; }
    location /foreign { wasm_filter foreign '{"request_headers":[["call_foreign_function","resolve","localhost","x"],["action","pause"]],"foreign_function":[["abort"]]}'; return 200 served; }
    location /queue { wasm_filter queue '{"request_headers":[["register_queue","q","q"],["enqueue",{"var":"q"},"x"],["action","pause"]],"queue_ready":[["abort"]]}'; return 200 served; }
    location /end { wasm_filter end '{"root_done":[["abort"]]}'; return 200 served; }
    location /t { return 204; }
--- init
for (['call', 'proxy_on_http_call_response'], ['grpc', 'proxy_on_grpc_close'], ['foreign', 'proxy_on_foreign_function'], ['queue', 'proxy_on_queue_ready']) {
    my ($name, $callback) = @$_;
    Test::More::is(main::body_of(main::get("/$name")), 'served', "$name: the request that waited goes on");
    my @lines = main::wait_for(qr/\[error\] .*\[wasm\] $name: \K.*trapped.*/);
    Test::More::is(scalar @lines, 1, "$name: one line");
    Test::More::like($lines[0], qr/\A$callback trapped: wasm trap: wasm `unreachable` instruction executed in \S.* < \S/, "$name: the line");
}
Test::More::ok(main::quit(), 'exits');
my @lines = main::wait_for(qr/\[error\] .*\[wasm\] end: \K.*/);
Test::More::like($lines[0], qr/\Aproxy_on_done trapped: wasm trap: wasm `unreachable` instruction executed in \S.* < \S/, 'when the worker exits');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 6: a start that fails in the start section is told, too
--- workers: 1
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_log_level" (func $level (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func $boom unreachable)
  (func $begin
    (drop (call $level (i32.const 0)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 3)) (then (call $boom))))
  (start $begin))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /t { return 204; }
--- init
my @lines = main::wait_for(qr/\[error\] \d+#\d+: \[wasm\] m: \K.*/);
Test::More::is($lines[0], 'cannot be instantiated: wasm trap: wasm `unreachable` instruction executed in boom < begin; tried again in 1 s', 'the line');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad
