# Filters and what nginx does with upstreams: another try, upgrades, streams that flush, rates, caches,
# timeouts.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
proxy_cache_path proxy_temp/cache keys_zone=cache:1m;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    root html;
    location / { add_header X-Up "$connection"; return 200 "upstream"; }
    location /file { }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# An upstream that tells the request's method, path, X-A, length and body.
our $mirror = sub {
    my $c = shift;
    while (1) {
        my ($head, $body) = $c->message;
        last if $head eq '';
        my ($line) = $head =~ m{^(\S+ \S+)};
        my ($a) = $head =~ /^x-a: (\S+)\r/mi;
        my ($length) = $head =~ /^content-length: (\d+)\r/mi;
        my $text = join ' ', $line, 'a=' . ($a // ''), $length // '-', length($body) > 100 ? substr($body, 0, 5) . '...' . substr($body, -5) : $body;
        $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
    }
};

run_tests();

__DATA__

=== TEST 1: the next upstream gets the same changed headers and body, and callbacks run once
The first one takes the request and closes without an answer.
--- http_config eval
$::module . 'upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9 max_fails=0; server 127.0.0.1:$TEST_NGINX_PORT_9 backup; }'
--- config
    location /small { wasm_filter a '{"trace":true,"request_headers":[["set_header","request","x-a","f"],["set_header","request",":path","/new"]],"request_body":[["set_body","request",0,0,"new "]]}'; proxy_next_upstream error non_idempotent; proxy_pass http://up; }
    location /large { client_body_buffer_size 1k; wasm_filter a '{"trace":true,"request_body_end":[["set_body","request",10000000,0," tail"]]}'; proxy_next_upstream error non_idempotent; proxy_pass http://up; }
--- upstream eval
sub {
    my ($c, $number) = @_;
    if ($number % 2) {
        $c->message;
        return;
    }
    $::mirror->($c);
}
--- client eval
sub {
    rows(map {
        my ($path, $body) = @$_;
        my $c = connection();
        $c->write("POST $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
        $c->answer;
    } ['/small', 'body'], ['/large', 'head ' . 'x' x 300000]);
}
--- client_out
200 POST /new a=f 8 new body
200 POST /large a= 300010 head ... tail
--- contexts: 2
--- guests_like eval: qr/on_request/
--- guests eval
qr/\Aa: on_request_headers id=3 .*\na: on_request_body id=3 .*\na: on_request_headers id=4 .*\n(?:a: on_request_body id=4 .*\n)+\z/
--- no_error_log eval: $::bad



=== TEST 2: a connection that is upgraded: the filter sees the 101, and the bytes behind it go through
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_headers":[["log_header","response",":status"],["add_header","response","x-f","1"]],"response_body":[["action","pause"]]}';
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ");
    my $line = $c->until(qr/\n/);
    $c->write("echo: $line");
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    my ($head) = $c->message;
    $c->write("line\n");
    my $rest = $c->rest;
    my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
    $status . ($head =~ /^x-f: 1\r/m ? ' seen ' : ' not seen ') . $rest;
}
--- client_out
101 seen hello echo: line
--- contexts: 1
--- guests_like eval: qr/on_response|:status/
--- guests eval: qr/\Aa: on_response_headers id=2 count=\d+ eos=true\na: response :status=101\n\z/
--- no_error_log eval: $::bad



=== TEST 3: a stream of events: header and pieces reach the client as they come
The upstream goes on only when the client has got the part before.
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,0,"> "]],"response_headers":[]}';
        proxy_buffering off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
--- upstream eval
sub {
    my $c = shift;
    my $got = "$ENV{TEST_NGINX_SERVER_ROOT}/logs/got";
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    wait_for(sub { -e "$got.head" });
    for my $number (1, 2) {
        $c->write("event $number\n");
        wait_for(sub { -e "$got.$number" });
    }
}
--- client eval
sub {
    my $note = sub { open my $file, '>', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/got.$_[0]" };
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $head = $c->until(qr/\r\n\r\n/);
    $note->('head');
    my @events = map { my $event = $c->until(qr/> event $_\n\r\n/); $note->($_); $event =~ /(> event \d)/ } 1, 2;
    rows($head =~ m{^HTTP/1.1 (\d+)}, @events, $c->rest =~ /\r\n0\r\n\r\n\z/ || 'no end');
}
--- client_out
200
> event 1
> event 2
1
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 4: limit_rate, with a filter that changes each piece
--- http_config eval: $::module
--- config
    location /t {
        limit_rate 400k;
        wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",100000000,0,"end"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/file/x.txt;
    }
--- user_files eval: [['file/x.txt', 'abc' x 100000]]
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
    my ($head, $body) = $c->message;
    length($body) . ' ' . substr($body, -6) . "\n";
}
--- client_out
300003 abcend
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 5: nginx caches what the upstream sent; the filter changes each answer anew
--- http_config eval: $::module
--- config
    location /t {
        proxy_cache cache;
        proxy_cache_valid 1m;
        add_header X-Cache $upstream_cache_status;
        wasm_filter a '{"trace":true,"response_body":[["log_body","response",0,-1],["set_body","response",0,0,"filtered "]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- client eval
sub {
    rows(map {
        my $c = connection();
        $c->write("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($head, $body) = $c->message;
        my ($cache) = $head =~ /^x-cache: (\w+)/mi;
        my ($length) = $head =~ /^content-length: (\d+)/mi;
        "$cache $length $body";
    } 1 .. 3);
}
--- client_out
MISS 17 filtered upstream
HIT 17 filtered upstream
HIT 17 filtered upstream
--- contexts: 3
--- guests_like eval: qr/body response/
--- guests eval: "a: body response 0 4294967295 = upstream\n" x 3
--- no_error_log eval: $::bad



=== TEST 6: a cached response over 64 KiB, from its file
--- http_config eval: $::module
--- config
    location /t {
        proxy_cache cache;
        proxy_cache_valid 1m;
        add_header X-Cache $upstream_cache_status;
        wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",100000000,0,"end"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/file/x.txt;
    }
--- user_files eval: [['file/x.txt', 'abc' x 100000]]
--- client eval
sub {
    rows(map {
        my $c = connection();
        $c->write("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($head, $body) = $c->message;
        my ($cache) = $head =~ /^x-cache: (\w+)/mi;
        "$cache " . ($body eq 'abc' x 100000 . 'end' ? 'as it should be' : length $body);
    } 1 .. 3);
}
--- client_out
MISS as it should be
HIT as it should be
HIT as it should be
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 7: not modified: the filter sees nginx's 304 without a body
--- http_config eval: $::module
--- config
    location /file { wasm_filter a '{"trace":true,"response_headers":[["log_header","response",":status"],["add_header","response","x-f","1"]],"response_body":[["set_body","response",0,-1,"changed"]]}'; }
--- user_files
>>> file/x.txt 201001010000
text
--- client eval
sub {
    my $answer = ask("GET /file/x.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2010 00:00:00 GMT\r\nConnection: close\r\n\r\n");
    rows($answer =~ m{^HTTP/1.1 (\d+)}, $answer =~ /^(x-f: \d)/m, $answer =~ /\r\n\r\n\z/ ? 'no body' : 'a body');
}
--- client_out
304
x-f: 1
no body
--- contexts: 1
--- guests_like eval: qr/:status|on_response_body/
--- guests
a: response :status=304
--- no_error_log eval: $::bad



=== TEST 8: auth_request behind a filter that changed the body: both requests are right
--- http_config eval: $::module
--- config
    location /t {
        auth_request /auth;
        wasm_filter a '{"trace":true,"request_body":[["set_body","request",0,0,"new "]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
    location /auth {
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
--- upstream eval: $::mirror
--- request
POST /t
body
--- response_body chomp
POST /t a= 8 new body
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 9: the upstream answers before it has read the body
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_body_end":[["set_body","request",100000000,0,"end"]],"response_body":[["set_body","response",0,0,"filtered "]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
--- upstream eval
sub {
    my $c = shift;
    $c->until(qr/\r\n\r\n/);
    $c->write("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge");
    $c->rest;
}
--- client eval
sub {
    my $c = connection();
    $c->write("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" . 'x' x 3000000);
    $c->answer . "\n";
}
--- client_out
413 filtered large
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 10: proxy_read_timeout behind the headers, while a filter is paused in them
The client is not left to wait when nobody continues.
--- http_config eval: $::module
--- config
    location /t {
        proxy_read_timeout 300ms;
        wasm_filter a '{"trace":true,"response_headers":[["action","pause"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
    location /status { stub_status; }
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
    $c->rest;
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
    my $answer = $c->rest;
    $answer =~ m{^HTTP/1.1 200.*\r\n\r\nhalf .{5}}s ? "complete\n" : "ended\n";
}
--- client_out
ended
--- contexts: 1
--- error_log
upstream timed out
--- no_error_log eval: $::bad



=== TEST 11: proxy_read_timeout while a filter holds the body: the client is not left to wait
--- http_config eval: $::module
--- config
    location /t {
        proxy_read_timeout 300ms;
        wasm_filter a '{"trace":true,"response_body":[["action","pause"]],"response_body_end":[["action","continue"]]}';
        proxy_buffering off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
    $c->rest;
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
    my $answer = $c->rest;
    $answer =~ m{^HTTP/1.1 200.*\r\n\r\nhalf .{5}}s ? "complete\n" : "ended\n";
}
--- client_out
ended
--- contexts: 1
--- error_log
upstream timed out
--- no_error_log eval: $::bad



=== TEST 12: a chain of twenty filters
--- http_config eval: $::module
--- config eval
"location /t {\n" . (CORE::join '', map { qq~wasm_filter a '{"trace":true,"request_headers":[["add_header","request","x-a","$_"]],"response_body":[["set_body","response",0,0,"$_ "]]}';\n~ } 1 .. 20)
. 'proxy_set_header X-A $http_x_a; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/; }'
--- request
GET /t
--- response_body chomp
1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 upstream
--- contexts: 20
--- no_error_log eval: $::bad



=== TEST 13: a local response of an earlier filter, while a later one holds the body
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_headers":[["local_response",503,[],"first"]]}';
        wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["action","continue"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/file/x.txt;
    }
--- user_files eval: [['file/x.txt', 'abc' x 100000]]
--- client eval
sub {
    my $c = connection();
    rows(map { $c->write("GET /t HTTP/1.1\r\nHost: a\r\n\r\n"); $c->answer } 1, 2);
}
--- client_out
503 first
503 first
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 14: a request body that is not buffered for the upstream, with a filter that sees headers alone
--- http_config eval
$::module . 'wasm_module headers ../html/headers.wat;'
--- config
    location /t {
        proxy_request_buffering off;
        proxy_http_version 1.1;
        wasm_filter headers;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
--- user_files
>>> headers.wat
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "x-a")
  (data (i32.const 32) "f")
  (func (export "proxy_abi_version_0_2_0"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 32) (i32.const 1)))
    (i32.const 0)))
--- upstream eval
sub {
    my $c = shift;
    my $head = $c->until(qr/\r\n\r\n/);
    # The first half is here before the client has sent the second.
    my $half = $c->take(5);
    open my $file, '>', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/half";
    CORE::close $file;
    my $rest = $c->take(5);
    my ($a) = $head =~ /^x-a: (\S+)\r/mi;
    $c->write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n$half+$rest a=$a");
}
--- client eval
sub {
    my $c = connection();
    $c->write("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    wait_for(sub { -e "$ENV{TEST_NGINX_SERVER_ROOT}/logs/half" }) or return "the first half does not come\n";
    $c->write("world");
    $c->answer . "\n";
}
--- client_out
200 hello+world a=f
--- no_error_log eval: $::bad



=== TEST 15: uwsgi, fastcgi and scgi upstreams that fail: the 502 passes the filter
--- http_config eval: $::module
--- config eval
CORE::join '', map { qq~location /$_ { wasm_filter a '{"trace":true,"response_headers":[["add_header","response","x-f","$_"]]}'; ${_}_pass 127.0.0.1:\$TEST_NGINX_PORT_5; }\n~ } qw(fastcgi uwsgi scgi)
--- client eval: sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/fastcgi /uwsgi /scgi)) }
--- client_out
/fastcgi 502 fastcgi
/uwsgi 502 uwsgi
/scgi 502 scgi
--- contexts: 3
--- no_error_log eval: $::bad
