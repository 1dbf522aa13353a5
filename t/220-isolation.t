# isolation=request: every request has an instance of its own, made from the state after configuration.

use Test::Nginx::Socket 'no_plan';
use Control;
use Time::HiRes ();

# Counts its requests in a global, in a constant's place in memory, and in memory that it grows; answers with the three, and
# with whether anybody has left anything in its memory.
our $counter = <<'_EOC_';
>>> counter.wat
(module
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $count (mut i32) (i32.const 48))
  (data (i32.const 100) "0")
  (data (i32.const 200) "configured")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (global.set $count (i32.const 49))
    (drop (call $log (i32.const 2) (i32.const 200) (i32.const 10)))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $at i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
    (i32.store8 (i32.const 300) (global.get $count))
    (i32.store8 (i32.const 301) (i32.load8_u (i32.const 100)))
    (i32.store8 (i32.const 302) (i32.add (i32.const 48) (memory.grow (i32.const 1))))
    (i32.store8 (i32.const 303) (i32.const 45))
    (local.set $at (i32.const 2048))
    (loop $search
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0xA7)) (then (i32.store8 (i32.const 303) (i32.const 33))))
      (i32.store8 (local.get $at) (i32.const 0xA7))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $search (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
    (drop (call $answer (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
_EOC_

# The same without growing, in memory of 16 MiB: one byte of each page.
(our $plain = $counter) =~ s/counter\.wat/plain.wat/;
$plain =~ s/\(export "memory"\) 2\b/(export "memory") 256/;
$plain =~ s/\s+\(i32\.store8 \(i32\.const 302\).*\n/\n/;
$plain =~ s/\(i32\.const 303\)/(i32.const 302)/g;
$plain =~ s/\(i32\.const 300\) \(i32\.const 4\)/(i32.const 300) (i32.const 3)/;
$plain =~ s/\(i32\.add \(local\.get \$at\) \(i32\.const 1\)\)/(i32.add (local.get \$at) (i32.const 40960))/;



worker_connections(512);
no_long_string();
run_tests();

__DATA__

=== TEST 1: nothing of a request is there for the next: globals, data, grown memory
--- http_config
    wasm_module own ../html/counter.wat isolation=request;
    wasm_module shared ../html/counter.wat;
--- config
    location /own { wasm_filter own; return 204; }
    location /shared { wasm_filter shared; return 204; }
    location /t { return 204; }
--- user_files eval: $::counter
--- init
Test::More::is(main::body_of(main::get('/shared')), '212-', 'a shared instance, first request');
Test::More::is(main::body_of(main::get('/shared')), '323!', 'second');
for my $turn (1 .. 100) {
    my $got = main::body_of(main::get('/own'));
    next if $got eq '212-';
    Test::More::is($got, '212-', "an own instance, request $turn");
    last;
}
Test::More::is(main::body_of(main::get('/own')), '212-', 'own instances');
Test::More::is(scalar(() = main::matches(qr/\[wasm\] own: configured/)), 1, 'configured once');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 2: guests of every SDK
--- http_config
    wasm_module rust $TEST_NGINX_FILTERS/headers.wasm isolation=request;
    wasm_module go $TEST_NGINX_FILTERS/headers_go.wasm isolation=request;
    wasm_module cpp $TEST_NGINX_FILTERS/headers_cpp.wasm isolation=request;
    wasm_module as $TEST_NGINX_FILTERS/headers_as.wasm isolation=request;
--- config
    location /rust { wasm_filter rust '{"response":{"set":{"x-a":"rust"}}}'; return 200 served; }
    location /go { wasm_filter go '{"response":{"set":{"x-a":"go"}}}'; return 200 served; }
    location /cpp { wasm_filter cpp "response set x-a cpp"; return 200 served; }
    location /as { wasm_filter as "response set x-a as"; return 200 served; }
    location /all { wasm_filter rust '{"response":{"set":{"x-b":"rust"}}}'; wasm_filter go '{"response":{"set":{"x-a":"go"}}}'; wasm_filter rust '{"response":{"set":{"x-a":"rust"}}}'; return 200 served; }
    location /t { return 204; }
--- init
for my $turn (1 .. 20) {
    for my $language (qw(rust go cpp as)) {
        my $got = main::get("/$language");
        next if $turn < 20 && $got =~ /^x-a: $language\r\n.*served\z/ms;
        Test::More::like($got, qr/^x-a: $language\r\n.*served\z/ms, "$language: request $turn");
    }
}
Test::More::like(main::get('/all'), qr/^x-a: go\r\nx-b: rust\r\n.*served\z/ms, 'a chain');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 3: the contexts are those of a request alone; filters of a module in a chain share an instance
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request;
--- config
    location /one { wasm_filter m '{"trace":true}'; return 204; }
    location /two { wasm_filter m '{"trace":true,"request_headers":[["log","info","first"]]}'; wasm_filter m '{"trace":true,"request_headers":[["log","info","second"]]}'; return 204; }
    location /t { return 204; }
--- init
main::get('/one');
main::get('/two');
main::get('/one');
Test::More::is_deeply([main::matches(qr/\[wasm\] m: \Kon_(?:context_create|delete) id=\d+(?: root=\d+)?/)], [
    (map { "on_context_create id=$_" } 1 .. 3),
    'on_context_create id=4', 'on_delete id=4',
    'on_context_create id=4', 'on_context_create id=5', 'on_delete id=4', 'on_delete id=5',
    'on_context_create id=4', 'on_delete id=4',
], 'contexts');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 4: a trap costs its request alone
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request;
--- config
    location /trap { wasm_filter m '{"request_headers":[["abort"]]}'; return 200 served; }
    location /good { wasm_filter m '{"trace":true}'; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $pid = main::body_of(main::get('/good'));
Test::More::like(main::get('/trap'), qr{\AHTTP/1\.1 503 }, 'the status') for 1 .. 3;
Test::More::is(main::body_of(main::get('/good')), $pid, 'the next request');
Test::More::is(scalar(() = main::matches(qr/\[error\] .*\[wasm\] m: proxy_on_request_headers trapped: /)), 3, 'a line each');
Test::More::is(scalar(() = main::matches(qr/on_configure id=/)), 1, 'nothing is started again');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked



=== TEST 5: no more than instances= at once
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request instances=2;
    wasm_module open $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request instances=1 on_failure=open;
--- config
    location /m { wasm_filter m '{"trace":true,"request_headers":[["action","pause"]]}'; return 200 served; }
    location /open { wasm_filter open '{"trace":true,"request_headers":[["action","pause"]]}'; return 200 served; }
    location /t { return 204; }
--- init
my $send = sub { my $socket = main::connection(); print $socket "GET $_[0] HTTP/1.1\r\nHost: localhost\r\n\r\n"; return $socket };
my @held = map { $send->('/m') } 1, 2;
main::wait_for(qr/m: on_request_headers/, 2);
Test::More::like(main::get('/m'), qr{\AHTTP/1\.1 503 }, 'the third');
Test::More::like((main::wait_for(qr/\[error\] .*\[wasm\] \Km: all of .*? in use/))[0], qr/\Am: all of instances=2 are in use\z/, 'the line');
push @held, $send->('/open');
main::wait_for(qr/open: on_request_headers/);
Test::More::like(main::get('/open'), qr{\AHTTP/1\.1 200 .*served\z}s, 'on_failure=open');
close $_ for splice @held;
my $taken = sub {
    my $before = main::matches(qr/m: on_request_headers/);
    my $socket = $send->('/m');
    my $is_taken;
    main::wait_until(sub { ($is_taken = main::matches(qr/m: on_request_headers/) > $before) || main::receive($socket, undef, 0.01) ne '' });
    return $is_taken;
};
Test::More::ok(main::wait_until($taken), 'room again');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked



=== TEST 6: calls: the answer comes to the request's instance, which waits for those made from on_log
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request instances=3;
    upstream up { server 127.0.0.1:$TEST_NGINX_SERVER_PORT; }
--- config
    location /call { wasm_filter m '{"request_headers":[["http_call","a","up",[[":method","GET"],[":path","/upstream"],[":authority","up"]],"",[],1000],["action","pause"]],"http_call_response":[["log","info","answered"],["continue","request"]]}'; return 200 served; }
    location /log { wasm_filter m '{"trace":true,"log":[["http_call","late","up",[[":method","GET"],[":path","/upstream"],[":authority","up"]],"",[],1000]]}'; return 200 served; }
    location /configured { wasm_filter m '{"configure":[["http_call","early","up",[[":method","GET"],[":path","/upstream"],[":authority","up"]],"",[],1000]],"request_headers":[["http_call","a","up",[[":method","GET"],[":path","/upstream"],[":authority","up"]],"",[],1000],["action","pause"]],"http_call_response":[["continue","request"]]}'; return 200 served; }
    location /upstream { return 200 answer; }
    location /t { return 204; }
--- init
# The guest remembers the call of its configuration, which another instance is told of.
Test::More::like(main::get('/configured'), qr{\AHTTP/1\.1 200 .*served\z}s, 'a call beside that of the configuration');
for my $turn (1 .. 10) {
    Test::More::like(main::get('/call'), qr{\AHTTP/1\.1 200 .*served\z}s, 'a request that waits for a call');
    Test::More::like(main::get('/log'), qr{\AHTTP/1\.1 200 .*served\z}s, 'a request with a call from on_log');
    main::wait_for(qr/\[wasm\] m: on_http_call_response id=\d+ call=late/, $turn);
}
Test::More::is(scalar(() = main::matches(qr/\[wasm\] m: answered/)), 10, 'answers');
Test::More::is(scalar(() = main::matches(qr/\[wasm\] m: on_http_call_response id=\d+ call=late headers=[1-9]/)), 10, 'answers to calls from on_log');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 7: ticks are those of the ordinary instance, and of a request while it lasts
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request;
--- config
    location /m { wasm_filter m '{"trace":true,"configure":[["set_tick",50]]}'; return 204; }
    location /t { return 204; }
--- init
main::get('/m') for 1 .. 5;
Test::More::cmp_ok(scalar(main::wait_for(qr/\[wasm\] m: on_tick id=1/, 3)), '>=', 3, 'ticks');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 8: memory and descriptors stay what they are
--- http_config
    wasm_module m ../html/counter.wat isolation=request;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /pid { return 200 $pid; }
    location /t { return 204; }
--- user_files eval: $::counter
--- init
my $pid = main::body_of(main::get('/pid'));
my $measure = sub {
    open my $status, '<', "/proc/$pid/status" or die $!;
    my ($rss) = map { /^VmRSS:\s+(\d+)/ } <$status>;
    open my $maps, '<', "/proc/$pid/maps" or die $!;
    return ($rss, scalar(() = glob("/proc/$pid/fd/*")), scalar(() = <$maps>));
};
my $load = sub {
    for (1 .. $_[0]) {
        my $socket = main::connection();
        print $socket "GET /m HTTP/1.1\r\nHost: localhost\r\n\r\n" x 89 . "GET /m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        my $got = main::receive($socket);
        return 0 unless (() = $got =~ /212-/g) == 90;
    }
    return 1;
};
Test::More::ok($load->(5), 'warm');
my @before = $measure->();
Test::More::ok($load->(40), 'thousands of requests');
my @after = $measure->();
Test::More::diag("RSS $before[0] -> $after[0] KiB, descriptors $before[1] -> $after[1], mappings $before[2] -> $after[2]");
# AddressSanitizer keeps what was freed, up to 256 MiB.
Test::More::cmp_ok($after[0] - $before[0], '<', $ENV{ASAN_OPTIONS} ? 400_000 : 2048, 'resident memory');
Test::More::cmp_ok($after[1] - $before[1], '<=', 1, 'descriptors');
Test::More::cmp_ok($after[2] - $before[2], '<=', 8, 'mappings');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 9: modules that cannot have it are told at nginx -t
--- http_config
    wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t { return 204; }
--- user_files
>>> table.wat
(module (memory (export "memory") 1) (table $t 1 funcref) (func (export "proxy_abi_version_0_2_1")) (func (table.set $t (i32.const 0) (ref.null func))))
--- init
main::reload('wasm_module good', "wasm_module bad ../html/table.wat isolation=request; wasm_module good");
Test::More::like((main::wait_for(qr/\[emerg\] .*: \Kwasm module.*/))[0], qr/\Awasm module "bad" \(".*table\.wat"\): cannot have an instance for each request: the module has the instruction table\.set in /, 'the line');
--- request
GET /t
--- error_code: 204



=== TEST 10: an instance that is used again, with all that requests leave in it
--- http_config
    wasm_module m ../html/plain.wat isolation=request;
--- config
    location /m { wasm_filter m; return 204; }
    location /pid { return 200 $pid; }
    location /t { return 204; }
--- user_files eval: $::plain
--- init
my $pid = main::body_of(main::get('/pid'));
my $measure = sub {
    open my $status, '<', "/proc/$pid/status" or die $!;
    my ($rss) = map { /^VmRSS:\s+(\d+)/ } <$status>;
    open my $maps, '<', "/proc/$pid/maps" or die $!;
    return ($rss, scalar(() = glob("/proc/$pid/fd/*")), scalar(() = <$maps>));
};
my $load = sub {
    for (1 .. $_[0]) {
        my $socket = main::connection();
        print $socket "GET /m HTTP/1.1\r\nHost: localhost\r\n\r\n" x 89 . "GET /m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        my $got = main::receive($socket);
        return 0 unless (() = $got =~ /21-/g) == 90;
    }
    return 1;
};
Test::More::ok($load->(5), 'hundreds of requests');
my @before = $measure->();
Test::More::ok($load->(40), 'thousands of requests');
my @after = $measure->();
Test::More::diag("RSS $before[0] -> $after[0] KiB, descriptors $before[1] -> $after[1], mappings $before[2] -> $after[2]");
Test::More::cmp_ok($after[0] - $before[0], '<', $ENV{ASAN_OPTIONS} ? 400_000 : 2048, 'resident memory');
Test::More::cmp_ok($after[1] - $before[1], '<=', 1, 'descriptors');
Test::More::cmp_ok($after[2] - $before[2], '<=', 8, 'mappings');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 11: many at once, again and again: more than are kept for the next
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request log_rate=off;
--- config
    location /m { wasm_filter m '{"trace":true,"request_headers":[["action","pause"]]}'; return 200 served; }
    location /t { return 204; }
--- init
my $ids = sub { scalar(() = main::matches(qr/\[wasm\] m: on_request_headers id=2 /)) };
for my $turn (1 .. 3) {
    my @held = map { my $socket = main::connection(); print $socket "GET /m HTTP/1.1\r\nHost: localhost\r\n\r\n"; $socket } 1 .. 100;
    Test::More::ok(main::wait_until(sub { $ids->() == 100 * $turn }), "turn $turn: each with the first context");
    close $_ for @held;
    Test::More::ok(main::wait_until(sub { (() = main::matches(qr/\[wasm\] m: on_delete id=2/)) == 100 * $turn }), "turn $turn: all ended");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 12: ticks, queues and calls of a request end with it, and are not those of the next
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm isolation=request log_rate=off;
    wasm_module sender $TEST_NGINX_FILTERS/hostcalls.wasm vm_id=m;
    upstream up { server 127.0.0.1:$TEST_NGINX_SERVER_PORT; }
--- config
    location /leave { wasm_filter m '{"trace":true,"request_headers":[["set_tick",10],["register_queue","q","q"]]}'; return 200 served; }
    location /call { wasm_filter m '{"trace":true,"request_headers":[["http_call","a","up",[[":method","GET"],[":path","/upstream"],[":authority","up"]],"",[],1000]]}'; return 200 served; }
    location /hold { wasm_filter m '{"trace":true,"request_headers":[["http_call","b","up",[[":method","GET"],[":path","/upstream"],[":authority","up"]],"",[],1000],["action","pause"]],"http_call_response":[["continue","request"]]}'; return 200 served; }
    location /send { wasm_filter sender '{"request_headers":[["resolve_queue","m","q","q"],["enqueue",{"var":"q"},"message"]]}'; return 200 sent; }
    location /upstream { return 200 answer; }
    location /t { return 204; }
--- init
my $until = Time::HiRes::time() + 0.3;
my $turns = 0;
while (Time::HiRes::time() < $until) {
    $turns++;
    for my $path (qw(/leave /hold /send /call /hold)) {
        my $got = main::get($path);
        next if $got =~ /\A\S+ 200 /;
        Test::More::fail("$path: $got");
    }
}
my $lines = sub { scalar(() = main::matches($_[0])) };
Test::More::cmp_ok($turns, '>', 1, 'requests');
Test::More::is($lines->(qr/\[wasm\] m: on_queue_ready/), 0, 'queues');
Test::More::is($lines->(qr/on_tick/), 0, 'ticks');
Test::More::is($lines->(qr/call=b headers=[1-9]/), 2 * $turns, 'each has the answer to its own call');
Test::More::is(scalar(main::wait_for(qr/call=a headers=[1-9]/, $turns)), $turns, 'also behind its request');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked
