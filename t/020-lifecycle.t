# The life of instances and contexts: which callbacks come when, with which ids, counts and
# end-of-stream, and what guests log in them.

use Test::Nginx::Socket 'no_plan';
use Control;

# Callbacks with their arguments, without the words that nginx adds.
our $callback = qr/\[wasm\] \w+: \Kon_\w+(?: \w+=\w+)*/;
# Guests' messages, likewise.
our $message = qr/\[wasm\] \K\w+: .*?(?=, client:| while logging request, client:|$)/;

no_long_string();
run_tests();

__DATA__

=== TEST 1: a GET, from the start of the worker on
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- request
GET /t
--- response_body: hello
--- grep_error_log eval: $::callback
--- grep_error_log_out
on_context_create id=1 parent=0
on_vm_start id=1 size=0
on_configure id=1 size=14
on_context_create id=2 parent=1
on_request_headers id=2 count=5 eos=true
on_response_headers id=2 count=6 eos=false
on_response_body id=2 size=5 eos=true
on_done id=2
on_log id=2
on_delete id=2
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 2: the counts are those of the header maps
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true, "request_headers":[["log_headers","request"]],
            "response_headers":[["log_headers","response"]]}';
        add_header X-One 1;
        return 200 "hello";
    }
--- request
GET /t
--- more_headers
X-A: 1
X-A: 2
X-B: 3
--- response_body: hello
--- grep_error_log eval: qr/(?:on_(?:request|response)_headers.*(?=, client)|(?:request|response) (?:has \d+ pairs|[\w:-]+=))/
--- grep_error_log_out
on_request_headers id=2 count=8 eos=true
request has 8 pairs
request :authority=
request :path=
request :method=
request :scheme=
request connection=
request x-a=
request x-a=
request x-b=
on_response_headers id=2 count=6 eos=false
response has 6 pairs
response :status=
response server=
response date=
response content-type=
response content-length=
response connection=


=== TEST 3: a POST with a body
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- request
POST /t
0123456789
--- response_body: hello
--- grep_error_log eval: $::callback
--- grep_error_log_out
on_context_create id=1 parent=0
on_vm_start id=1 size=0
on_configure id=1 size=14
on_context_create id=2 parent=1
on_request_headers id=2 count=6 eos=false
on_request_body id=2 size=10 eos=true
on_response_headers id=2 count=6 eos=false
on_response_body id=2 size=5 eos=true
on_done id=2
on_log id=2
on_delete id=2


=== TEST 4: a POST of no bytes has no body
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- more_headers
Content-Length: 0
--- request
POST /t
--- response_body: hello
--- grep_error_log eval: qr/on_request_\w+ id=\w+ \w+=\d+ eos=\w+/
--- grep_error_log_out
on_request_headers id=2 count=6 eos=true


=== TEST 5: a chunked POST
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- raw_request eval
"POST /t HTTP/1.1\r
Host: localhost\r
Connection: close\r
Transfer-Encoding: chunked\r
\r
5\r
01234\r
3\r
567\r
0\r
\r
"
--- response_body: hello
--- grep_error_log eval: qr/on_request_\w+ id=\w+ \w+=\d+ eos=\w+/
--- grep_error_log_out
on_request_headers id=2 count=6 eos=false
on_request_body id=2 size=8 eos=true


=== TEST 6: a chunked POST without a chunk ends in the body callback
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- raw_request eval
"POST /t HTTP/1.1\r
Host: localhost\r
Connection: close\r
Transfer-Encoding: chunked\r
\r
0\r
\r
"
--- response_body: hello
--- grep_error_log eval: qr/on_request_\w+ id=\w+ \w+=\d+ eos=\w+/
--- grep_error_log_out
on_request_headers id=2 count=6 eos=false
on_request_body id=2 size=0 eos=true


=== TEST 7: responses without a body end with their headers: HEAD, 204, 304, an empty file, an empty one from upstream
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_filter m '{"trace":true}';
    server {
        listen $TEST_NGINX_PORT_1;
        wasm_filter off;
        location / { return 200; }
    }
--- user_files
>>> empty 201001010000.00
>>> file 201001010000.00
hello
--- config
    location /204 { return 204; }
    location /proxy { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /none { wasm_filter off; return 200; }
--- init
my @cases = (
    ["HEAD /file", '', 200],
    ["GET /file", "If-Modified-Since: Fri, 01 Jan 2010 00:00:00 GMT\r\n", 304],
    ["GET /204", '', 204],
    ["GET /empty", '', 200],
    ["GET /proxy", '', 200],
);
my $id = 2;
for my $case (@cases) {
    my ($request, $headers, $status) = @$case;
    my $socket = main::connection();
    print $socket "$request HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n$headers\r\n";
    Test::More::like(main::receive($socket), qr{\AHTTP/1\.1 $status .*\r\n\r\n\z}s, "$request: status, no body");
    my @calls = main::matches(qr/on_response_\w+ id=$id .*?eos=\w+/);
    Test::More::is(scalar @calls, 1, "$request: one response callback");
    Test::More::like($calls[0], qr/\Aon_response_headers id=$id count=\d+ eos=true\z/, "$request: end of stream");
    $id++;
}
--- request
GET /none
--- error_code: 200


=== TEST 8: an empty chunked response ends in the body callback
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        proxy_http_version 1.1;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- tcp_listen eval: $ENV{TEST_NGINX_PORT_1}
--- tcp_reply eval
"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
--- request
GET /t
--- response_body:
--- grep_error_log eval: qr/on_response_\w+ id=\w+ (?:count=\d+ |size=\d+ )eos=\w+/
--- grep_error_log_out eval
qr/\Aon_response_headers id=2 count=\d+ eos=false\non_response_body id=2 size=0 eos=true\n\z/


=== TEST 9: requests of one connection, then of another: ids count on, contexts end before the next begin
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true}';
        return 204;
    }
    location /t { return 204; }
--- init
my $socket = main::connection();
for (1 .. 2) {
    print $socket "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    Test::More::like(main::receive($socket, qr/\r\n\r\n/), qr{\AHTTP/1\.1 204 }, "request $_ of the connection");
}
close $socket;
main::get('/a');
Test::More::is_deeply([main::wait_for(qr/\*\d+ \[wasm\] m: on_\w+ id=\d+/, 15)], [
    map {
        my ($connection, $id) = @$_;
        map { "*$connection [wasm] m: on_$_ id=$id" } qw(context_create request_headers response_headers done log delete)
    } [1, 2], [1, 3], [2, 4]
], 'callbacks by connection');
--- request
GET /t
--- error_code: 204


=== TEST 10: what guests log in their callbacks has the module's name and, in requests, nginx's suffix
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm
        'vm_config={"root_create":[["log","info","in root_create"]],"vm_start":[["log","info","in vm_start"]]}';
--- config
    location /t {
        wasm_filter m '{"configure":[["log","info","in configure"]],
            "context_create":[["log","info","in context_create"]],
            "request_headers":[["log","info","in request_headers"]],
            "request_body":[["log","info","in request_body"]],
            "response_headers":[["log","info","in response_headers"]],
            "response_body":[["log","info","in response_body"]],
            "done":[["log","info","in done"]],
            "log":[["log","info","in log"]],
            "delete":[["log","info","in delete"]]}';
        return 200 "hello";
    }
--- request
POST /t?a=b
x
--- response_body: hello
--- grep_error_log eval: qr/\[info\] \d+#\d+: (?:\*1 )?\K\[wasm\] .*/
--- grep_error_log_out
[wasm] m: in root_create
[wasm] m: in vm_start
[wasm] m: in configure
[wasm] m: in context_create, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in request_headers, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in request_body, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in response_headers, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in response_body, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in done while logging request, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in log while logging request, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in delete while logging request, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"


=== TEST 11: the guest's levels are nginx's
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- log_level: debug
--- config
    location /t {
        wasm_filter m '{"request_headers":[["log","trace","six"],["log","debug","five"],["log","info","four"],
            ["log","warn","three"],["log","error","two"],["log","critical","one"],["log",6,"none"],["log_level"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- error_log eval
[qr/\[debug\] \d+#\d+: \*1 \[wasm\] m: six$/,
 qr/\[debug\] \d+#\d+: \*1 \[wasm\] m: five$/,
 qr/\[info\] \d+#\d+: \*1 \[wasm\] m: four, client/,
 qr/\[warn\] \d+#\d+: \*1 \[wasm\] m: three, client/,
 qr/\[error\] \d+#\d+: \*1 \[wasm\] m: two, client/,
 qr/\[crit\] \d+#\d+: \*1 \[wasm\] m: one, client/,
 qr/\[wasm\] m: log 6: status 2, client/,
 qr/\[wasm\] m: log_level 1, client/]
--- no_error_log
none


=== TEST 12: lines below the level of error_log do not appear
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- log_level: error
--- config
    location /t {
        wasm_filter m '{"configure":[["log","info","i"],["log","warn","w"],["log","error","e"]],
            "request_headers":[["log","trace","six"],["log","debug","five"],["log","info","four"],
            ["log","warn","three"],["log","error","two"],["log","critical","one"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: qr/\d+#\d+: \*1 \K\[wasm\] m: [^,]*/
--- grep_error_log_out
[wasm] m: two
[wasm] m: one
--- error_log
[crit]


=== TEST 13: a location's own error_log takes the lines of its requests
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- log_level: warn
--- config
    location /a {
        error_log logs/own.log info;
        wasm_filter m '{"request_headers":[["log","info","to the own log"]]}';
        return 204;
    }
    location /t { return 204; }
--- init
main::get('/a');
open my $in, '<', "$main::root/logs/own.log" or die $!;
Test::More::like(join('', <$in>), qr/\[info\] \d+#\d+: \*1 \[wasm\] m: to the own log, client: 127\.0\.0\.1, /, 'own.log');
--- request
GET /t
--- error_code: 204
--- no_error_log
to the own log


=== TEST 14: a message is one line, whatever is in it
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["log","warn","first\\nsecond\\r\\nthird\\u0000\\u001b[31m %s %n end"],["stdout","out"],["stderr","err"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: qr/\[(?:info|warn|error)\] \d+#\d+: \*1 \K\[wasm\] .*/
--- grep_error_log_out
[wasm] m: first\x0Asecond\x0D\x0Athird\x00\x1B[31m %s %n end, client: 127.0.0.1, server: localhost, request: "GET /t HTTP/1.1", host: "localhost"
[wasm] m: out, client: 127.0.0.1, server: localhost, request: "GET /t HTTP/1.1", host: "localhost"
[wasm] m: err, client: 127.0.0.1, server: localhost, request: "GET /t HTTP/1.1", host: "localhost"


=== TEST 15: ticks come in the root context, and stop
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module stops $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true,"configure":[["set_tick",20]]}'; }
    location /b { wasm_filter stops '{"trace":true,"configure":[["set_tick",20]],"tick":[["set_tick",0]]}'; }
    location /t { return 204; }
--- init
Test::More::is((main::wait_for(qr/\[wasm\] m: \Kon_tick id=\d+/, 4))[3], 'on_tick id=1', 'ticks');
Test::More::is_deeply([main::matches(qr/\[wasm\] stops: \Kon_tick id=\d+/)], ['on_tick id=1'], 'one tick');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]


=== TEST 16: host calls while there is no context: a status each, and no crash
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
--- config
    location /t {
        wasm_filter m;
        return 200 "served";
    }
--- request
GET /t
--- response_body: served
--- grep_error_log eval: qr/\[wasm\] m: .*/
--- grep_error_log_out
[wasm] m: x-init
[wasm] m: initialize log = 0
[wasm] m: initialize get_current_time_nanoseconds = 0
[wasm] m: initialize get_buffer_bytes:plugin_configuration = 1
[wasm] m: initialize get_buffer_bytes:request = 1
[wasm] m: initialize get_buffer_status = 1
[wasm] m: initialize set_buffer_bytes = 2
[wasm] m: initialize get_header_map_pairs = 0
[wasm] m: initialize get_header_map_value = 1
[wasm] m: initialize add_header_map_value = 2
[wasm] m: initialize get_property = 1
[wasm] m: initialize send_local_response = 2
[wasm] m: initialize continue_stream = 2
[wasm] m: initialize close_stream = 2
[wasm] m: initialize set_effective_context = 2
[wasm] m: initialize set_tick_period_milliseconds = 2
[wasm] m: initialize done = 1
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 17: host calls in the start section
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "status -")
  (func (export "proxy_abi_version_0_2_1"))
  (func $say (param $status i32)
    (i32.store8 (i32.const 7) (i32.add (i32.const 48) (local.get $status)))
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 8))))
  (func $begin
    (call $say (call $log (i32.const 2) (i32.const 0) (i32.const 6)))
    (call $say (call $respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const -1)))
    (call $say (call $get (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 100) (i32.const 104)))
    (call $say (call $property (i32.const 0) (i32.const 6) (i32.const 100) (i32.const 104))))
  (start $begin))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t {
        wasm_filter m;
        return 200 "served";
    }
--- request
GET /t
--- response_body: served
--- grep_error_log eval: qr/\[wasm\] m: .*/
--- grep_error_log_out
[wasm] m: status
[wasm] m: status 0
[wasm] m: status 2
[wasm] m: status 1
[wasm] m: status 1


=== TEST 18: a guest without any callback, allocator or entry point
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_0")))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t {
        wasm_filter m 'a configuration';
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
    }
    location /up {
        wasm_filter m;
        return 200 "served";
    }
--- request
POST /t
x
--- response_body: served
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 19: on_done can put off the rest until proxy_done
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"done":[["status","done"],["set_tick",20],["return_false"]],
            "tick":[["effective_context",2],["done"],["effective_context","own"],["set_tick",0]],"log":[["log","info","late"]]}';
        return 204;
    }
    location /t { return 204; }
--- init
main::get('/a');
Test::More::is_deeply([main::wait_for(qr/\[wasm\] m: \K(?:on_(?:done|log|delete) id=2|status done = \d+|late|done: status \d+)/, 5)],
    ['on_done id=2', 'status done = 1', 'on_log id=2', 'late', 'on_delete id=2'], 'the end of the context');
--- request
GET /t
--- error_code: 204


=== TEST 20: proxy_done for a context that does not wait for it
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["status","done"]],"configure":[["status","done"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: status done = 1
m: status done = 1
