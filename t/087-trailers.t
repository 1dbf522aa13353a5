# Response trailers, which nginx has from gRPC upstreams. The upstream is nginx itself with `add_trailer`;
# the client is nghttp, which shows each header line as it comes.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Wire::H2;

log_level('info');
no_long_string();

our $upstream = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    http2 on;
    default_type application/grpc;
    location / {
        add_trailer Grpc-Status 0;
        add_trailer X-Up one;
        return 200 "grpc body";
    }
    location /unknown-length {
        add_trailer Grpc-Status 0;
        sub_filter_types *;
        sub_filter x y;
        return 200 "grpc body";
    }
    location /none { return 200 "grpc body"; }
    location /only { add_header Grpc-Status 5; return 200; }
    location /big {
        add_trailer Grpc-Status 0;
        alias html/big.txt;
    }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# The server under test: HTTP/2 on TEST_NGINX_PORT_2, with these locations.
sub server {
    my $locations = shift;
    return $upstream . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . "\n$locations\n}";
}

# What nghttp gets for a path: "body: ..." and the header lines that match, in order; those behind the
# body are its trailers.
sub get {
    my ($path, $wanted) = @_;
    my $out = output_of('nghttp', '-v', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$path");
    $out =~ s/\e\[[0-9;]*m//g;
    my ($bytes, @lines) = 0;
    for (split /\n/, $out) {
        if (/recv \(stream_id=\d+(?:, sensitive)?\) (.*)/) {
            my $line = $1;
            push @lines, ($bytes ? 'trailer ' : 'header ') . $line if $line =~ $wanted;
        }
        $bytes += $1 if /recv DATA frame <length=(\d+)/;
    }
    return rows(@lines, "$bytes bytes");
}

run_tests();

__DATA__

=== TEST 1: a filter sees the trailers behind the body, and they reach the client
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"response_trailers":[["log_headers","response_trailers"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/', qr/^(grpc-status|x-up|:status)/) }
--- client_out
header :status: 200
trailer grpc-status: 0
trailer x-up: one
9 bytes
--- contexts: 1
--- guests_like eval: qr/on_response|trailers/
--- guests eval
qr/\Aa: on_response_headers id=2 count=\d+ eos=false
(?:a: on_response_body id=2 size=\d+ eos=false
)+a: on_response_trailers id=2 count=2
a: response_trailers has 2 pairs
a: response_trailers grpc-status=0
a: response_trailers x-up=one
\z/
--- no_error_log eval: $::bad



=== TEST 2: a filter adds, changes and removes trailers
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"response_trailers":[["set_header","response_trailers","grpc-status","13"],["add_header","response_trailers","grpc-message","from the filter"],["remove_header","response_trailers","X-UP"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/', qr/^(grpc|x-up)/) }
--- client_out
trailer grpc-status: 13
trailer grpc-message: from the filter
9 bytes
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 3: two filters: the last of the chain sees the trailers first
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"response_trailers":[["log_header","response_trailers","x-b"]]}';
    wasm_filter b '{"trace":true,"response_trailers":[["log_header","response_trailers","x-b"],["add_header","response_trailers","x-b","1"]]}';
    grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/', qr/^x-b/) }
--- client_out
trailer x-b: 1
9 bytes
--- contexts: 2
--- guests_like eval: qr/response_trailers x-b/
--- guests
b: response_trailers x-b: status 1
a: response_trailers x-b=1
--- no_error_log eval: $::bad



=== TEST 4: a body that a filter holds goes out behind the trailer callback, changed
The end of the body is told by the trailers: no body callback has end-of-stream set.
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_trailers":[["log_body","response",0,-1],["set_body","response",0,4,"GRPC and"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/', qr/^(grpc-status|x-up)/) }
--- client_out
trailer grpc-status: 0
trailer x-up: one
13 bytes
--- contexts: 1
--- guests_like eval: qr/body response/
--- guests
a: body response 0 4294967295 = grpc body
--- no_error_log eval: $::bad



=== TEST 5: without trailers the body ends as usual, and the trailer callback is not made
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/none', qr/^(grpc-status|x-up)/) }
--- client_out
9 bytes
--- contexts: 1
--- guests_like eval: qr/eos=true|trailers/
--- guests eval: qr/\Aa: on_request_headers id=2 count=\d+ eos=true\na: on_response_body id=2 size=\d eos=true\n\z/
--- no_error_log eval: $::bad



=== TEST 6: a gRPC response of headers alone
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"response_headers":[["log_header","response","grpc-status"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/only', qr/^grpc-status/) }
--- client_out
header grpc-status: 5
0 bytes
--- contexts: 1
--- guests_like eval: qr/on_response|grpc/
--- guests eval: qr/\Aa: on_response_headers id=2 count=\d+ eos=true\na: response grpc-status=5\n\z/
--- no_error_log eval: $::bad



=== TEST 7: a large body with trailers through a streaming and a buffering filter
--- http_config eval
main::server(q~
location /stream { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_trailers":[["add_header","response_trailers","x-f","stream"]]}'; rewrite ^ /big break; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
location /hold { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_trailers":[["log_body_length","response",0,-1],["set_body","response",0,0,"!"],["add_header","response_trailers","x-f","hold"]]}'; rewrite ^ /big break; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
~)
--- config
--- user_files eval: [['big.txt', "0123456789abcde\n" x 65536]]
--- client eval: sub { main::get('/stream', qr/^(grpc-status|x-f)/) . main::get('/hold', qr/^(grpc-status|x-f)/) }
--- client_out
trailer grpc-status: 0
trailer x-f: stream
1048576 bytes
trailer grpc-status: 0
trailer x-f: hold
1048577 bytes
--- contexts: 2
--- guests_like eval: qr/body response/
--- guests
a: body response 0 4294967295: 1048576 bytes
--- no_error_log eval: $::bad



=== TEST 8: nginx's own add_trailer comes behind the filters: not theirs to see
--- http_config eval
main::server(q~location / { add_trailer X-Own mine; wasm_filter a '{"trace":true,"response_trailers":[["log_headers","response_trailers"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- client eval: sub { main::get('/', qr/^(grpc-status|x-)/) }
--- client_out
trailer grpc-status: 0
trailer x-up: one
trailer x-own: mine
9 bytes
--- contexts: 1
--- guests_like eval: qr/pairs/
--- guests
a: response_trailers has 2 pairs
--- no_error_log eval: $::bad



=== TEST 9: a filter without a trailer callback leaves the trailers alone
--- http_config eval
$::upstream . 'wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; location / { wasm_filter upper; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; } }'
--- config
--- client eval
sub { main::get('/', qr/^(grpc-status|x-up)/) . output_of('curl', '-sS', '--http2-prior-knowledge', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/") . "\n" }
--- client_out
trailer grpc-status: 0
trailer x-up: one
9 bytes
GRPC BODY
--- no_error_log eval: $::bad



=== TEST 10: trailers and an HTTP/1.1 client: the same lines with and without a filter
--- http_config eval
main::server(q~
location /plain { rewrite ^ /unknown-length break; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
location /filter { wasm_filter a '{"trace":true}'; rewrite ^ /unknown-length break; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
~)
--- config
--- client eval
sub {
    my ($plain, $filter) = map { ask("GET $_ HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_2}) } qw(/plain /filter);
    rows(map { /grpc body/ ? 'body' : "no body: $_", (/\r\n0\r\n(.*)\r\n\z/s)[0] // 'not chunked' } $plain, $filter);
}
--- client_out eval: qr/\Abody\n(?!not chunked)(.*)\nbody\n\1\n\z/s
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 11: a trap in the trailer callback ends the stream, not the worker
--- http_config eval
main::server(q~
location / { wasm_filter a '{"trace":true,"response_trailers":[["abort"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
location /other { return 200 other; }
~)
--- config
--- client eval
sub {
    my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    $h2->get(1, '/');
    my %first = $h2->answers(1);
    $h2->get(3, '/other');
    my %second = $h2->answers(3);
    rows($first{1} =~ /^reset/ ? 'reset' : "got $first{1}", $second{3});
}
--- client_out eval: qr/\A(?:reset|got )\nother\n\z/
--- error_log eval: qr/\[error\] .*proxy_on_response_trailers trapped/
--- no_error_log eval: $::bad



=== TEST 12: a response without trailers: their map is there and empty; the request's is not
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"response_headers":[["log_headers","response_trailers"],["log_header","response_trailers","x"],["log_headers","request_trailers"]]}'; return 200 text; }~)
--- config
--- client eval: sub { main::get('/', qr/^:status/) }
--- client_out
header :status: 200
4 bytes
--- contexts: 1
--- guests_like eval: qr/_trailers/
--- guests
a: response_trailers has 0 pairs
a: response_trailers x: status 1
a: request_trailers has 0 pairs
--- no_error_log eval: $::bad



=== TEST 13: a request body that a filter changes on its way to a gRPC upstream
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"request_headers":[["set_header","request",":path","/saw"]],"request_body":[["log_body","request",0,-1],["set_body","request",0,3,"filtered"]]}';
    grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1;
}~) =~ s/    location \/none/    location = \/saw { add_header X-Saw "\$request_method \$http_content_length \$request_body"; proxy_pass http:\/\/127.0.0.1:\$TEST_NGINX_PORT_1\/none; }\n    location \/none/r
--- config
--- client eval
sub {
    my $with_length = output_of('curl', '-sSi', '--http2-prior-knowledge', '-d', 'the body', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/");
    my $streamed = output_of('curl', '-sSi', '--http2-prior-knowledge', '-d', 'the body', '-H', 'Content-Length:', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/");
    rows(map { /^x-saw: (.*)\r/m ? $1 : $_ } $with_length, $streamed);
}
--- client_out
POST  filtered body
POST  filtered body
--- contexts: 2
--- guests_like eval: qr/body request/
--- guests
a: body request 0 4294967295 = the body
a: body request 0 4294967295 = the body
--- no_error_log eval: $::bad
