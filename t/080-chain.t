# Several filters in one chain: order, what each sees of the others' work, and what becomes of the
# rest when one pauses, answers or traps.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

our $modules = <<'_EOC_';
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module c $TEST_NGINX_FILTERS/hostcalls.wasm;

    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_1;
        location / {
            client_body_buffer_size 1m;
            add_header X-Upstream "chain=$http_x_chain";
            return 200 "upstream\n";
        }
        location /echo {
            # $request_body is there once the body has been read to be proxied.
            add_header X-Saw "$request_method $http_content_length $request_body";
            proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
        }
    }
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_2;
        location / {
            return 200 "ok";
        }
    }
_EOC_

our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

run_tests();

__DATA__

=== TEST 1: request callbacks run first to last, response callbacks last to first
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"trace":true}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
POST /t
hello
--- response_body
upstream
--- contexts: 3
--- guests_like eval: qr/ on_/
--- guests eval
my @lines = (
    (map { "$_: on_context_create id=2 parent=1" } qw(a b c)),
    (map { "$_: on_request_headers id=2 count=6 eos=false" } qw(a b c)),
    (map { "$_: on_request_body id=2 size=5 eos=true" } qw(a b c)),
    (map { "$_: on_response_headers id=2 count=7 eos=false" } qw(c b a)),
    (map { "$_: on_response_body id=2 size=9 eos=true" } qw(c b a)),
    (map { my $name = $_; map { "$name: on_$_ id=2" } qw(done log delete) } qw(a b c)),
);
rows(@lines)
--- no_error_log eval: $::alive



=== TEST 2: each filter sees the request headers that the earlier ones made
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"request_headers":[["set_header","request","x-chain","a"],["set_header","request","x-gone","1"]]}';
        wasm_filter b '{"request_headers":[["log_header","request","x-chain"],["set_header","request","x-chain","a,b"],["remove_header","request","x-gone"]]}';
        wasm_filter c '{"request_headers":[["log_header","request","x-chain"],["log_header","request","x-gone"],["add_header","request","x-chain","c"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_headers
X-Upstream: chain=a,b, c
--- guests
b: request x-chain=a
c: request x-chain=a,b
c: request x-gone: status 1
--- no_error_log eval: $::alive



=== TEST 3: each filter sees the response headers that the later ones made
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"response_headers":[["log_header","response","x-chain"],["log_header","response",":status"],["add_header","response","x-chain","a"]]}';
        wasm_filter b '{"response_headers":[["log_header","response","x-chain"],["set_header","response","x-chain","b"],["set_header","response",":status","203"]]}';
        wasm_filter c '{"response_headers":[["log_header","response","x-chain"],["set_header","response","x-chain","c"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- error_code: 203
--- raw_response_headers_like: (?i)x-chain: b\r\nx-chain: a\r\n
--- guests
c: response x-chain: status 1
b: response x-chain=c
a: response x-chain=b
a: response :status=203
--- no_error_log eval: $::alive



=== TEST 4: a request body grows through three filters in order
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"request_body":[["log_body","request",0,-1],["set_body","request",0,0,"a"]]}';
        wasm_filter b '{"request_body":[["log_body","request",0,-1],["set_body","request",0,0,"b"]]}';
        wasm_filter c '{"request_body":[["log_body","request",0,-1],["set_body","request",0,1,"CCC"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/echo;
    }
--- request
POST /t
hello
--- response_headers
X-Saw: POST 9 CCCahello
--- guests
a: body request 0 4294967295 = hello
b: body request 0 4294967295 = ahello
c: body request 0 4294967295 = bahello
--- no_error_log eval: $::alive



=== TEST 5: a response body grows through three filters in reverse order
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"response_body":[["log_body","response",0,-1],["set_body","response",0,0,"a"]]}';
        wasm_filter b '{"response_body":[["log_body","response",0,-1],["set_body","response",0,0,"b"]]}';
        wasm_filter c '{"response_body":[["log_body","response",0,-1],["set_body","response",9999,0,"c"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_headers
Content-Length: 12
--- response_body chomp
abupstream
c
--- guests
c: body response 0 4294967295 = upstream\x0a
b: body response 0 4294967295 = upstream\x0ac
a: body response 0 4294967295 = bupstream\x0ac
--- no_error_log eval: $::alive



=== TEST 6: the middle filter pauses in the request headers until its root context continues it
The third is not called before, the first not again.
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"trace":true,"configure":[["set_tick",50]],"tick":[["effective_context",2],["continue","request"],["set_tick",0]],"request_headers":[["set_tick",50],["action","pause"]]}';
        wasm_filter c '{"trace":true,"request_headers":[["set_header","request","x-chain","c"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_headers
X-Upstream: chain=c
--- contexts: 3
--- guests_like eval: qr/ on_re/
--- guests eval
rows((map { "$_: on_request_headers id=2 count=5 eos=true" } qw(a b c)),
    (map { "$_: on_response_headers id=2 count=7 eos=false" } qw(c b a)),
    (map { "$_: on_response_body id=2 size=9 eos=true" } qw(c b a)))
--- no_error_log eval: $::alive



=== TEST 7: the middle filter pauses in the response headers until its root context continues it
As in Envoy, the filter that was called before it sees the body meanwhile.
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_headers":[["log_header","response","x-chain"]]}';
        wasm_filter b '{"trace":true,"tick":[["effective_context",2],["continue","response"],["set_tick",0]],"response_headers":[["set_tick",50],["set_header","response","x-chain","b"],["action","pause"]]}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_body
upstream
--- response_headers
X-Chain: b
--- contexts: 3
--- guests_like eval: qr/ on_re|x-chain/
--- guests eval
rows((map { "$_: on_request_headers id=2 count=5 eos=true" } qw(a b c)),
    "c: on_response_headers id=2 count=7 eos=false", "b: on_response_headers id=2 count=7 eos=false",
    "c: on_response_body id=2 size=9 eos=true",
    "a: on_response_headers id=2 count=8 eos=false", "a: response x-chain=b",
    (map { "$_: on_response_body id=2 size=9 eos=true" } qw(b a)))
--- no_error_log eval: $::alive



=== TEST 8: the middle filter buffers a response body that comes in three pieces
The filter behind it in the chain sees each piece, and the end of its own when nginx learns of it;
the one before it sees the whole.
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_body":[["log_body","response",0,-1]]}';
        wasm_filter b '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["set_body","response",0,5,"HELLO, "],["action","continue"]]}';
        wasm_filter c '{"trace":true,"response_body":[["log_body","response",0,-1]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
        proxy_buffering off;
    }
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nhello");
    log_has(qr/c: on_response_body id=2 size=5 eos=false/);
    $c->write("world");
    log_has(qr/c: body response 0 4294967295 = world/);
    $c->write("again");
}
--- request
GET /t
--- response_headers
!Content-Length
--- response_body chomp
HELLO, worldagain
--- contexts: 3
--- guests_like eval: qr/on_response_body|body response/
--- guests eval
rows("c: on_response_body id=2 size=5 eos=false", "c: body response 0 4294967295 = hello",
    "b: on_response_body id=2 size=5 eos=false",
    "c: on_response_body id=2 size=5 eos=false", "c: body response 0 4294967295 = world",
    "b: on_response_body id=2 size=10 eos=false",
    "c: on_response_body id=2 size=5 eos=false", "c: body response 0 4294967295 = again",
    "b: on_response_body id=2 size=15 eos=false",
    "c: on_response_body id=2 size=0 eos=true", "c: body response 0 4294967295 = ",
    "b: on_response_body id=2 size=15 eos=true",
    "a: on_response_body id=2 size=17 eos=true",
    "a: body response 0 4294967295 = HELLO, worldagain")
--- no_error_log eval: $::alive



=== TEST 9: a local response by the second filter: the third is not called in the request
As in Envoy, the response passes the response callbacks of the filters that have run.
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_headers":[["log_header","response",":status"],["add_header","response","x-a","seen"]],"response_body":[["log_body","response",0,-1],["set_body","response",0,0,">"]]}';
        wasm_filter b '{"trace":true,"request_headers":[["local_response",418,[["x-b","1"]],"teapot"]],"response_headers":[["log_header","response",":status"]]}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- error_code: 418
--- response_headers
X-A: seen
X-B: 1
Content-Length: 7
!X-Upstream
--- response_body chomp
>teapot
--- contexts: 3
--- guests_like eval: qr/ on_re|:status|body response/
--- guests
a: on_request_headers id=2 count=5 eos=true
b: on_request_headers id=2 count=5 eos=true
b: on_response_headers id=2 count=7 eos=false
b: response :status=418
a: on_response_headers id=2 count=7 eos=false
a: response :status=418
b: on_response_body id=2 size=6 eos=true
a: on_response_body id=2 size=6 eos=true
a: body response 0 4294967295 = teapot
--- no_error_log eval: $::alive



=== TEST 10: a local response by the first filter: no other is called for the request or the response
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["local_response",200,[],"a"]]}';
        wasm_filter b '{"trace":true}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_body chomp
a
--- contexts: 3
--- guests_like eval: qr/ on_re/
--- guests
a: on_request_headers id=2 count=5 eos=true
a: on_response_headers id=2 count=6 eos=false
a: on_response_body id=2 size=1 eos=true
--- no_error_log eval: $::alive



=== TEST 11: a local response in the middle filter's response headers replaces the response
No callback is made for the replacement, and the filter that was to come is not called.
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"trace":true,"response_headers":[["local_response",504,[["x-b","1"]],"late"]]}';
        wasm_filter c '{"trace":true,"response_headers":[["add_header","response","x-c","1"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- error_code: 504
--- response_headers
X-B: 1
!X-C
!X-Upstream
Content-Length: 4
--- response_body chomp
late
--- contexts: 3
--- guests_like eval: qr/ on_response/
--- guests
c: on_response_headers id=2 count=7 eos=false
b: on_response_headers id=2 count=8 eos=false
--- no_error_log eval: $::alive



=== TEST 12: two filters buffer the request body, the inner one changes what the outer one made
--- http_config eval: $::modules
--- config
    location /t {
        client_body_buffer_size 1k;
        wasm_filter a '{"request_body":[["action","pause"]],"request_body_end":[["log_body_length","request",0,-1],["set_body","request",0,100000,"first "],["action","continue"]]}';
        wasm_filter b '{"request_body":[["action","pause"]],"request_body_end":[["log_body_length","request",0,-1],["set_body","request",0,0,"second "],["action","continue"]]}';
        wasm_filter c '{"request_body":[["log_body","request",0,-1]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/echo;
    }
--- request eval
"POST /t\n" . ("x" x 100000) . "yz"
--- response_headers
X-Saw: POST 15 second first yz
--- guests
a: body request 0 4294967295: 100002 bytes
b: body request 0 4294967295: 8 bytes
c: body request 0 4294967295 = second first yz
--- no_error_log eval: $::alive



=== TEST 13: two filters buffer the response body
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["log_body_length","response",0,-1],["set_body","response",2,6,"."],["action","continue"]]}';
        wasm_filter b '{"response_body":[["log_body_length","response",0,-1]]}';
        wasm_filter c '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["log_body_length","response",0,-1],["repeat_body","response","abc",100],["action","continue"]]}';
        alias html/big.txt;
    }
--- user_files eval
[["big.txt", "x" x 300000]]
--- request
GET /t
--- response_body eval
"ab." . "c" . ("abc" x 97)
--- guests
c: body response 0 4294967295: 300000 bytes
b: body response 0 4294967295: 300 bytes
a: body response 0 4294967295: 300 bytes
--- no_error_log eval: $::alive



=== TEST 14: one module with three configurations: a context in each root context's name
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["log_context"],["add_header","request","x-chain","1"]]}';
        wasm_filter a '{"trace":true,"request_headers":[["log_context"],["add_header","request","x-chain","2"]]}';
        wasm_filter a '{"trace":true,"request_headers":[["log_context"],["add_header","request","x-chain","3"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_headers
X-Upstream: chain=1, 2, 3
--- contexts: 3
--- guests_like eval: qr/create|context |on_response_headers/
--- guests
a: on_context_create id=4 parent=1
a: on_context_create id=5 parent=2
a: on_context_create id=6 parent=3
a: context 4 root 1
a: context 5 root 2
a: context 6 root 3
a: on_response_headers id=6 count=7 eos=false
a: on_response_headers id=5 count=7 eos=false
a: on_response_headers id=4 count=7 eos=false
--- no_error_log eval: $::alive



=== TEST 15: one module with the same configuration twice: two contexts of one root context
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["add_header","request","x-chain","x"]]}';
        wasm_filter a '{"trace":true,"request_headers":[["add_header","request","x-chain","x"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_headers
X-Upstream: chain=x, x
--- contexts: 2
--- guests_like eval: qr/create/
--- guests
a: on_context_create id=2 parent=1
a: on_context_create id=3 parent=1
--- no_error_log eval: $::alive



=== TEST 16: a trap of the middle filter costs this request; the next one is served
The others' contexts end in order; the dead instance is not called again, and a new one is made.
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"trace":true,"request_headers":[["if_header","request","x-trap","1",[["abort"]]]]}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- client eval
sub {
    my $trap = ask("GET /t HTTP/1.1\r\nHost: a\r\nX-Trap: 1\r\nConnection: close\r\n\r\n");
    my $next = ask("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    log_has(qr/(c: on_delete[^\x00]*){2}/);
    return rows(map { m{^HTTP/1.1 (\d+)} ? $1 : $_ } $trap, $next);
}
--- client_out
503
200
--- guests_like eval: qr/: on_(request|d|log)/
--- guests eval
my @ends = qw(done log delete);
rows(
    "a: on_request_headers id=2 count=6 eos=true",
    "b: on_request_headers id=2 count=6 eos=true",
    (map { "a: on_$_ id=2" } @ends),
    (map { "c: on_$_ id=2" } @ends),
    "a: on_request_headers id=3 count=5 eos=true",
    "b: on_request_headers id=2 count=5 eos=true",
    "c: on_request_headers id=3 count=5 eos=true",
    (map { "a: on_$_ id=3" } @ends),
    (map { "b: on_$_ id=2" } @ends),
    (map { "c: on_$_ id=3" } @ends),
)
--- error_log eval
qr/\[error\] .*\[wasm\] b: .*unreachable/
--- no_error_log eval: $::alive



=== TEST 17: a trap of the middle filter in its response headers: 503, and nothing of the upstream's
--- http_config eval: $::modules
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"trace":true,"response_headers":[["abort"]]}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- error_code: 503
--- response_headers
!X-Upstream
--- response_body chomp
--- error_log eval
qr/\[error\] .*\[wasm\] b: .*unreachable/
--- no_error_log eval: $::alive



=== TEST 18: a trap in any callback of the middle filter: the request ends, and the next one is served
A trap in the last callbacks comes when the client has its answer.
--- http_config eval: $::modules
--- config eval
(CORE::join '', map { qq~
    location /$_ {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"$_":[["abort"]]}';
        wasm_filter c '{"trace":true}';
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
    }~ } qw(context_create request_headers request_body response_headers response_body done log delete)) . q~
    location /next {
        wasm_filter b '{"response_headers":[["add_header","response","x-f","b"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /status { stub_status; }~
--- client eval
sub {
    rows(map {
        my $answer = ask("POST /$_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody");
        my ($status, $body) = $answer =~ m{^HTTP/1.1 (\d+).*\r\n\r\n(.*)}s;
        $body = $body eq "upstream\n" ? 'upstream' : length $body ? 'error page' : 'empty';
        my ($next) = ask("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /^x-f: (b)\r/m;
        my $busy = writing();
        "$_: $status $body, next " . ($next // 'fails') . ", writing $busy";
    } qw(context_create request_headers request_body response_headers response_body done log delete));
}
--- client_out eval
rows((map { "$_: 503 error page, next b, writing 1" } qw(context_create request_headers request_body)),
    (map { "$_: 503 empty, next b, writing 1" } qw(response_headers response_body)),
    (map { "$_: 200 upstream, next b, writing 1" } qw(done log delete)))
--- error_log eval
[map { qr/\[error\] .*\[wasm\] b: proxy_on_$_ trapped/ } qw(context_create request_headers request_body response_headers response_body done log delete)]
--- no_error_log eval: $::alive
