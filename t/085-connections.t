# Connections: keep-alive, pipelining, clients that leave at any time, timeouts, closed streams, requests
# that nginx refuses, and upstreams that break off. Contexts end once, and nothing stays behind.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "[$request_method $uri a=$http_x_a]"; }
    location /echo {
        add_header X-Body "$request_body";
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/ok;
    }
    location /big { alias html/big.txt; }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $big = [['big.txt', "0123456789abcde\n" x (512 * 1024)]];

# Requests that nginx works at, but the one that asks, now or as soon as there are none.
sub busy { return writing() - 1 }

# Sends a request and leaves when the log matches; tells what nginx still works at.
sub leave {
    my ($request, $when) = @_;
    my $c = connection();
    $c->write($request);
    log_has($when) or return "never came so far\n";
    $c->reset;
    log_has(qr/on_delete/) or return "contexts do not end\n";
    return "busy: " . busy() . "\n";
}

run_tests();

__DATA__

=== TEST 1: three requests on a connection: a context each, and edits end with their request
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["if_path","/t/1",[["set_header","request","x-a","filter"]]]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- client eval
sub {
    my $c = connection();
    rows(map { $c->write("GET /t/$_ HTTP/1.1\r\nHost: a\r\nX-A: client\r\n\r\n"); $c->answer } 1 .. 3);
}
--- client_out
200 [GET /t/1 a=filter]
200 [GET /t/2 a=client]
200 [GET /t/3 a=client]
--- contexts: 3
--- guests_like eval: qr/on_context_create|on_delete/
--- guests eval
rows(map { ("a: on_context_create id=$_ parent=1", "a: on_delete id=$_") } 2 .. 4)
--- no_error_log eval: $::bad



=== TEST 2: three pipelined requests in one write are answered in order
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,0,">"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- client eval
sub {
    my $c = connection();
    $c->write(CORE::join '', map { "GET /t/$_ HTTP/1.1\r\nHost: a\r\n\r\n" } 1 .. 3);
    rows(map { $c->answer } 1 .. 3);
}
--- client_out
200 >[GET /t/1 a=]
200 >[GET /t/2 a=]
200 >[GET /t/3 a=]
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 3: pipelined requests with bodies, by length and chunked, rewritten
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_body":[["set_body","request",1,1,"--"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/echo;
    }
--- client eval
sub {
    my $c = connection();
    $c->write("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        . "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
        . "GET /t HTTP/1.1\r\nHost: a\r\n\r\n"
        . "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz");
    rows(map { my ($head) = $c->message; $head =~ /X-Body: (.*)\r/ ? $1 : '-' } 1 .. 4);
}
--- client_out
a--c
d--f
-
x--z
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 4: a local response does not leave the body of its request to be taken for the next request
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["local_response",403,[],"no"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /body {
        wasm_filter a '{"trace":true,"request_body":[["local_response",413,[],"not this"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /next { return 200 next; }
--- client eval
sub {
    my $c = connection();
    my $trick = "GET /trick HTTP/1.1\r\nHost: a\r\n\r\n";
    my $length = length $trick;
    $c->write("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: $length\r\n\r\n$trick"
        . "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n", $length) . "$trick\r\n0\r\n\r\n"
        . "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: $length\r\n\r\n$trick"
        . "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    rows(map { $c->answer } 1 .. 4);
}
--- client_out
403 no
403 no
413 not this
200 next
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 5: the client leaves while a filter pauses in the request headers
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"request_headers":[["action","pause"]]}'; }
    location /status { stub_status; }
--- client eval: sub { main::leave("GET /t HTTP/1.1\r\nHost: a\r\n\r\n", qr/on_request_headers/) }
--- client_out
busy: 0
--- contexts: 1
--- error_log
client prematurely closed connection
--- no_error_log eval: $::bad



=== TEST 6: the client leaves while a filter pauses at the end of the request body
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"request_body":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /status { stub_status; }
--- client eval: sub { main::leave("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", qr/on_request_body/) }
--- client_out
busy: 0
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 7: the client leaves in the middle of its request body
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /status { stub_status; }
--- client eval: sub { main::leave("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbody", qr/on_request_headers/) }
--- client_out
busy: 0
--- contexts: 1
--- no_error_log eval
[$::bad, qr/on_request_body/]



=== TEST 8: the client leaves while a filter pauses in the response headers
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"response_headers":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /status { stub_status; }
--- client eval: sub { main::leave("GET /t HTTP/1.1\r\nHost: a\r\n\r\n", qr/on_response_headers/) }
--- client_out
busy: 0
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 9: the client leaves while a filter holds the response body
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"response_body":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /status { stub_status; }
--- client eval: sub { main::leave("GET /t HTTP/1.1\r\nHost: a\r\n\r\n", qr/on_response_body/) }
--- client_out
busy: 0
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 10: the client leaves while a filter pauses in the response headers of a file
--- http_config eval: $::module
--- config
    location /big { wasm_filter a '{"trace":true,"response_headers":[["action","pause"]]}'; alias html/big.txt; }
    location /status { stub_status; }
--- user_files eval: $::big
--- client eval: sub { main::leave("GET /big HTTP/1.1\r\nHost: a\r\n\r\n", qr/on_response_headers/) }
--- client_out
busy: 0
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 11: a slow client leaves while a large response is sent, as it came and rewritten
The filter does not see all of the 8 MiB: there is back-pressure up to it.
--- http_config eval
$::module . <<'_EOC_'
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_2 sndbuf=16k;
    location /same { wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /new { wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,1,"X"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /file { wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,1,"X"]]}'; alias html/big.txt; }
}
_EOC_
--- config
    location /status { stub_status; }
--- user_files eval: $::big
--- client eval
sub {
    my $out = '';
    my $number = 0;
    for my $path (qw(/same /new /file)) {
        my $c = connection($ENV{TEST_NGINX_PORT_2});
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        my $some = length $c->take(100000);
        $c->reset;
        $number++;
        log_has(qr/(on_delete[^\x00]*){$number}/) or return "$out$path: contexts do not end\n";
        $out .= "$path $some busy " . main::busy() . "\n";
    }
    $out . (log_text() =~ /on_response_body.*eos=true/ ? "a filter saw all\n" : '');
}
--- client_out
/same 100000 busy 0
/new 100000 busy 0
/file 100000 busy 0
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 12: send_timeout ends a request whose client reads nothing
--- http_config eval
$::module . <<'_EOC_'
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_2 sndbuf=16k;
    send_timeout 300ms;
    location /t { wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,1,"X"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /plain { wasm_filter a '{"trace":true}'; alias html/big.txt; }
}
_EOC_
--- config
    location /status { stub_status; }
--- user_files eval: $::big
--- client eval
sub {
    my @connections = map { my $c = connection($ENV{TEST_NGINX_PORT_2}); $c->write("GET $_ HTTP/1.1\r\nHost: a\r\n\r\n"); $c } qw(/t /plain);
    log_has(qr/on_delete[^\x00]*on_delete/) or return "contexts do not end\n";
    "busy: " . main::busy() . "\n";
}
--- client_out
busy: 0
--- contexts: 2
--- error_log
client timed out
--- no_error_log eval: $::bad



=== TEST 13: client_body_timeout: the body that does not come whole reaches no filter
--- http_config eval: $::module
--- config
    location /t { client_body_timeout 200ms; wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /status { stub_status; }
--- client eval
sub {
    my $c = connection();
    $c->write("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    my $answer = $c->rest;
    log_has(qr/on_delete/) or return "contexts do not end\n";
    "[$answer] busy: " . main::busy() . "\n";
}
--- client_out
[] busy: 0
--- contexts: 1
--- no_error_log eval
[$::bad, qr/on_request_body/]



=== TEST 14: a guest that continues the stream itself before it returns Pause has not paused
--- http_config eval: $::module
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["continue","request"],["action","pause"]],"request_body":[["continue","request"],["action","pause"]],"response_headers":[["continue","response"],["action","pause"]],"response_body":[["continue","response"],["action","pause"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
POST /t
body
--- response_body chomp
[POST /t a=]
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 15: close_stream in each callback closes the connection; what follows on it is not served
--- http_config eval: $::module
--- config eval
(CORE::join '', map { qq~
    location /$_ {
        wasm_filter a '{"trace":true,"$_":[["close","~ . (/request/ ? 'request' : 'response') . qq~"]]}';
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
    }~ } qw(request_headers request_body response_headers response_body)) . '
    location /status { stub_status; }'
--- client eval
sub {
    rows(map {
        my $answer = ask("POST /$_ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" . "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
        "$_ [$answer] " . main::busy();
    } qw(request_headers request_body response_headers response_body));
}
--- client_out
request_headers [] 0
request_body [] 0
response_headers [] 0
response_body [] 0
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 16: requests that nginx refuses reach no filter
--- http_config eval: $::module
--- config
    large_client_header_buffers 2 1k;
    wasm_filter a '{"trace":true}';
    location /t { return 200; }
--- client eval
sub {
    rows(map { ask($_) =~ m{^HTTP/1.1 (\d+)} ? $1 : '-' }
        "GET /t HTTP/1.1\r\n\r\n",
        "G=T /t HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /t HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /t HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /t HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "GET /t HTTP/1.1\r\nHost: a\r\nX: " . ("x" x 2000) . "\r\n\r\n",
        "GET /" . ("x" x 2000) . " HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /t HTTP/3.1\r\nHost: a\r\n\r\n",
        "GET /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00");
}
--- client_out
400
400
400
400
400
400
414
505
501
400
--- contexts: 0
--- no_error_log eval: $::bad



=== TEST 17: HTTP/0.9: the filters run, and the client gets the body alone
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"request_headers":[["log_header","request",":authority"],["log_header","request",":path"]],"response_headers":[["add_header","response","x","1"]],"response_body":[["set_body","response",0,0,"filtered "]]}'; return 200 "text\n"; }
    location /local { wasm_filter a '{"trace":true,"request_headers":[["local_response",200,[["x","1"]],"local"]]}'; }
--- client eval
sub { rows(map { "[" . ask("GET $_\r\n") . "]" } qw(/t /local)) }
--- client_out
[filtered text
]
[local]
--- contexts: 2
--- guests_like eval: qr/request :/
--- guests
a: request :authority: status 1
a: request :path=/t
--- no_error_log eval: $::bad



=== TEST 18: HTTP/1.0: a body of unknown length ends with the connection
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_body","response",0,0,"filtered "]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
--- client eval
sub {
    my $answer = ask("GET /t HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    my ($head, $body) = split /\r\n\r\n/, $answer, 2;
    rows($body, CORE::join ' ', sort map { lc } $head =~ /^(content-length|transfer-encoding|connection: \w+)/mgi);
}
--- client_out
filtered [GET /t a=]
connection: close
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 19: large headers and many of them
--- http_config eval: $::module . 'large_client_header_buffers 8 16k;'
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["copy_header","request","x-500","request","x-a"],["remove_header","request","x-1"]],"response_headers":[["copy_header","request","x-large","response","x-large"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\n" . CORE::join('', map { "X-$_: value $_\r\n" } 1 .. 500) . "X-Large: " . ("v" x 15000) . "\r\n\r\n");
    my ($head, $body) = $c->message;
    my ($large) = $head =~ /^x-large: (v+)\r/mi;
    "$body " . length($large // '') . "\n";
}
--- client_out
[GET /t a=value 500] 15000
--- contexts: 1
--- guests_like eval: qr/on_request_headers/
--- guests
a: on_request_headers id=2 count=505 eos=true
--- no_error_log eval: $::bad



=== TEST 20: lingering close: a client that still sends its body gets all of a local response
--- http_config eval: $::module
--- config
    lingering_time 1s;
    location /t { wasm_filter a '{"trace":true,"request_headers":[["local_response",403,[["connection","close"]],"no thanks"]]}'; }
    location /status { stub_status; }
--- client eval
sub {
    my $c = connection();
    $c->write("POST /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n" . ("x" x 1000000));
    my $answer = $c->answer;
    $c->write("x" x 1000000);
    $c->close;
    "$answer busy: " . main::busy() . "\n";
}
--- client_out
403 no thanks busy: 0
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 21: the upstream breaks off its body: what came is passed on, and the client can tell
--- http_config eval: $::module
--- config
    location /stream { wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /grow { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_body","response",0,0,">"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /status { stub_status; }
--- upstream eval
sub {
    my $c = shift;
    my ($head) = $c->message;
    if ($head =~ /chunked/) {
        $c->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    } else {
        $c->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    }
}
--- client eval
sub {
    rows(map {
        my $c = connection();
        my $path = $_;
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        my ($head, $body) = $c->message;
        my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
        my ($length) = $head =~ /content-length: (\d+)/i;
        CORE::join ' ', $path, $status, $length // '-', $body, $c->rest eq '' ? 'closed' : 'more', main::busy();
    } qw(/stream /grow));
}
--- client_out
/stream 200 100 hello closed 0
/grow 200 - >hello(cut) closed 0
--- contexts: 2
--- error_log
upstream prematurely closed connection
--- no_error_log eval: $::bad



=== TEST 22: the upstream breaks off its body while a filter waits for the end of it
The end never comes; the header has not been sent yet, so the client can be told.
--- http_config eval: $::module
--- config
    location /t { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["action","continue"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /status { stub_status; }
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
    my $answer = $c->rest;
    my ($status) = $answer =~ m{^HTTP/1.1 (\d+)};
    $status . ($answer =~ /hello/ ? ' with' : ' without') . " the upstream's, busy: " . main::busy() . "\n";
}
--- client_out
502 without the upstream's, busy: 0
--- contexts: 1
--- error_log
upstream prematurely closed connection
--- no_error_log eval: $::bad



=== TEST 23: the upstream resets, before and within its response
--- http_config eval: $::module
--- config
    location ~ ^/(before|within)$ { wasm_filter a '{"trace":true,"response_headers":[["add_header","response","x-seen","1"],["remove_header","response","content-length"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /status { stub_status; }
--- upstream eval
sub {
    my $c = shift;
    my ($head) = $c->message;
    if ($head =~ m{ /within}) {
        $c->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        log_has(qr/on_response_body/);
    }
    $c->reset;
}
--- client eval
sub {
    rows(map {
        my $answer = ask("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($status) = $answer =~ m{^HTTP/1.1 (\d+)};
        CORE::join ' ', $_, $status, $answer =~ /^x-seen: 1/mi ? 'seen' : 'not seen', $answer =~ /\r\n0\r\n\r\n\z/ ? 'complete' : 'broken off', main::busy();
    } qw(/before /within));
}
--- client_out
/before 502 seen complete 0
/within 200 seen broken off 0
--- contexts: 2
--- error_log
Connection reset by peer
--- no_error_log eval: $::bad



=== TEST 24: the upstream sends garbage: nginx's 502 passes the filters, garbage within a body is as without a filter
--- http_config eval: $::module
--- config
    proxy_http_version 1.1;
    location ~ ^/(header|chunk)$ { wasm_filter a '{"trace":true,"response_headers":[["log_header","response",":status"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /plain { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9/chunk; }
    location /status { stub_status; }
--- upstream eval
sub {
    my $c = shift;
    my ($head) = $c->message;
    $c->write($head =~ m{ /header} ? "HTTP/1.1 200 OK\r\nbad header\x00\r\n\r\n" : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzzz");
}
--- client eval
sub {
    rows(map {
        my $answer = ask("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($status) = $answer =~ m{^HTTP/1.1 (\d+)};
        CORE::join ' ', $_, $status // 'nothing', main::busy();
    } qw(/header /chunk /plain));
}
--- client_out
/header 502 0
/chunk nothing 0
/plain nothing 0
--- contexts: 2
--- guests_like eval: qr/:status/
--- guests
a: response :status=502
a: response :status=200
--- no_error_log eval: $::bad



=== TEST 25: an upstream's connection is closed where a local response took its response's place
As in Envoy: what else it sends is not waited for. The next request has a new one.
--- http_config eval
$::module . '
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; keepalive 4; }'
--- config
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location /local { wasm_filter a '{"trace":true,"response_headers":[["local_response",503,[],"local"]]}'; proxy_pass http://up; }
    location /plain { proxy_pass http://up; }
--- upstream eval
sub {
    my ($c, $connection) = @_;
    for my $request (1 .. 9) {
        my ($head) = $c->message;
        last if $head eq '';
        my $body = "connection $connection request $request";
        $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    }
}
--- client eval
sub {
    rows(map {
        my $c = connection();
        $c->write("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        $c->answer;
    } qw(/plain /local /local /plain));
}
--- client_out
200 connection 1 request 1
503 local
503 local
200 connection 3 request 1
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 26: a kept client connection goes on after a local response in each phase
--- http_config eval: $::module
--- config eval
CORE::join '', map { qq~
    location /$_ {
        wasm_filter a '{"trace":true,"$_":[["local_response",418,[],"$_"]]}';
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
    }~ } qw(request_headers request_body response_headers response_body)
--- client eval
sub {
    my $c = connection();
    rows(map { $c->write("POST /$_ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"); $c->answer }
        qw(request_headers request_body response_headers response_body request_headers));
}
--- client_out
418 request_headers
418 request_body
418 response_headers
418 response_body
418 request_headers
--- contexts: 5
--- no_error_log eval: $::bad
