# Request bodies that stream over HTTP/2, and gRPC streams in both directions, with grpcio at both ends.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Wire::H2;
use Pause;
use Upload;
use Servers;

log_level('warn');
no_long_string();
no_root_location();

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $worse = qr/\[(?:alert|crit|emerg)\]/;
our $grpc = Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_3});
our $modules = module_lines('a', 'b') . <<'_EOC_';
wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
wasm_module rust $TEST_NGINX_FILTERS/headers.wasm;
wasm_module go $TEST_NGINX_FILTERS/headers_go.wasm;
wasm_module as $TEST_NGINX_FILTERS/headers_as.wasm;
wasm_module cpp $TEST_NGINX_FILTERS/trace_cpp.wasm;
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
proxy_http_version 1.1;
proxy_request_buffering off;
_EOC_

# An HTTP/2 server with these locations.
sub server {
    my ($locations) = @_;
    return $modules . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; client_max_body_size 0; ' . "\n$locations\n}";
}

# What a gRPC client says.
sub client {
    # Much is to be done, on a machine that may be busy.
    local $Wire::PATIENCE = 300;
    return output_of($ENV{TEST_NGINX_PYTHON}, "$FindBin::Bin/servers/grpc_client.py", "127.0.0.1:$ENV{TEST_NGINX_PORT_2}", @_);
}

# The begin of an upload on stream 1.
sub h2_post {
    my ($path, @lines) = @_;
    my $c = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    $c->headers(1, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => $path, ':authority' => 'a', @lines);
    return $c;
}

run_tests();

__DATA__

=== TEST 1: 10,000 messages there and back through three filters, two of which change them
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"request_headers":[["set_header","request","x-a","b"]]}';
    wasm_filter upper '{"direction":"request"}';
    wasm_filter b '{"request_body":[["set_body","request",5,1,"#"]]}';
    grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_3;
}~)
--- config
--- client eval: sub { main::client('chat', 10000, '#ESSAGE-{number}') }
--- client_out
10000 messages
--- no_error_log eval: $::bad



=== TEST 2: an answer comes while the client's side is open: SDK filters in Rust, Go, AssemblyScript, C++
--- http_config eval
main::server(q~location / { wasm_filter rust '{}'; wasm_filter go '{}'; wasm_filter as ''; wasm_filter cpp; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_3; }~)
--- config
--- client eval: sub { CORE::join '', map { main::client(@$_) } ['first'], ['flood', 3000], ['count', 500], ['unary', 'one'] }
--- client_out
1: one, then 0
3000 messages
500 500000
one
--- no_error_log eval: $::bad



=== TEST 3: so it does through a name in a variable
--- http_config eval
main::server(q~location / { wasm_filter rust '{}'; set $grpc 127.0.0.1:$TEST_NGINX_PORT_3; grpc_pass grpc://$grpc; }~)
--- config
--- client eval: sub { main::client('first') }
--- client_out
1: one, then 0
--- no_error_log eval: $::bad



=== TEST 4: with wasm_request_buffering on, the filters see the whole body
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true}'; wasm_request_buffering on; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_3; }~)
--- config
--- log_level: info
--- client eval: sub { main::client('count', 50) }
--- client_out
50 50000
--- guests_like eval: qr/on_request_body/
--- guests
a: on_request_body id=2 size=50250 eos=true
--- no_error_log eval: $::bad



=== TEST 5: a filter ends a stream by a local response: before the answer's header it is the answer, behind it the stream is reset
--- http_config eval
main::server(q~
location / {
    wasm_filter a '{"request_body":[["log_body","request",0,-1]]}';
    wasm_filter b '{"request_body":[["let","n",{"add":[{"var":"n"},1]}],["if",{"var":"n"},"2",[["local_response",403,[],"no more",7]]]]}';
    grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_3;
}
location /test.Echo/Count {
    wasm_filter b '{"request_body":[["local_response",403,[],"none at all",7]]}';
    grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_3;
}~)
--- config
--- client eval: sub { main::client('count', 50) . (main::client('status', 'one', 'two') =~ /^(1: one \w+)/)[0] . "\n" . (log_has(qr/response headers were already sent; the connection is closed/) ? 'told' : 'not told') . "\n" }
--- client_out
PERMISSION_DENIED none at all
1: one INTERNAL
told
--- no_error_log eval: $::worse



=== TEST 6: a pause in the middle of a stream, and its end
--- http_config eval
main::server(go_locations(['a']) . q~
location /test.Echo/ {
    wasm_filter a '{"request_body":[["log","warn","held"],["action","pause"]]}';
    grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_3;
}~)
--- config
--- client eval
sub {
    my $pid = open(my $out, '-|', $ENV{TEST_NGINX_PYTHON}, "$FindBin::Bin/servers/grpc_client.py", "127.0.0.1:$ENV{TEST_NGINX_PORT_2}", 'first') or die;
    for my $n (1, 2) {
        until_logged('a: held', $n);
        output_of('curl', '-sS', '--http2-prior-knowledge', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/go/a") eq 'go' or return "not continued\n";
    }
    local $/;
    return <$out>;
}
--- client_out
1: one, then 0
--- no_error_log eval: $::bad



=== TEST 7: HTTP/2 to an HTTP/1.1 upstream, with a length and without one
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true}'; proxy_pass http://up; }~)
--- config
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $lines ([], ['content-length' => 9]) {
        my $c = main::h2_post('/', @$lines);
        $c->data(1, 0, 'first');
        push @got, has_seen(qr/\r\n\r\n(?:5\r\n)?first(?:\r\n)?\z/), framing();
        $c->data(1, 1, 'last');
        push @got, {$c->answers(1)}->{1};
        unlink $Upload::file;
    }
    rows(@got);
}
--- client_out
seen
chunked
got firstlast
seen
length 9
got firstlast
--- no_error_log eval: $::bad



=== TEST 8: a filter has removed content-length: in chunks; a body that is not as long as declared is refused
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"request_headers":[["remove_header","request","content-length"]],"request_body":[["set_body","request",0,0,"<"]]}';
    proxy_pass http://up;
}~)
--- config
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::h2_post('/', 'content-length' => 9);
    $c->data(1, 0, 'first');
    my @got = (has_seen(qr/<first\r\n\z/), framing());
    $c->data(1, 1, 'last');
    push @got, {$c->answers(1)}->{1};
    for my $body ('short', 'far too long') {
        unlink $Upload::file;
        $c = main::h2_post('/', 'content-length' => 9);
        $c->data(1, 0, 'one');
        push @got, has_seen(qr/<one\r\n\z/);
        $c->data(1, 1, $body);
        push @got, {$c->answers(1)}->{1} =~ /(400 Bad Request|reset \d+)/, has_seen(qr/<one\r\n\(end\)\z/);
    }
    # All of it at once: with the right length.
    unlink $Upload::file;
    $c = main::h2_post('/', 'content-length' => 9);
    $c->data(1, 1, 'firstlast');
    rows(@got, {$c->answers(1)}->{1});
}
--- client_out
seen
chunked
got <first<last
seen
400 Bad Request
seen
seen
400 Bad Request
seen
got <firstlast
--- no_error_log eval: $::worse



=== TEST 9: a body that is there at once, without a length, changed and not
--- http_config eval
main::server(q~
location / { wasm_filter a '{}'; proxy_pass http://up; }
location /more { wasm_filter a '{"request_body":[["if_end_of_stream",[["set_body","request",0,0,"more "]]]]}'; proxy_pass http://up; }
location /off { wasm_filter a '{"request_body":[["if_end_of_stream",[["set_body","request",0,0,"more "]]]]}'; wasm_request_buffering off; proxy_request_buffering on; proxy_pass http://up; }
~)
--- config
--- upstream eval: recorder()
--- client eval
sub {
    rows(map {
        my $c = main::h2_post($_);
        $c->data(1, 1, 'body');
        my %answer = $c->answers(1);
        $answer{1};
    } '/', '/more', '/off');
}
--- client_out
got body
got more body
got more body
--- no_error_log eval: $::bad



=== TEST 10: a filter that holds a body back without reading it on leaves it with the client, by HTTP/2's windows
--- http_config eval
main::server(q~location / {
    client_body_buffer_size 16k;
    wasm_filter a '{"trace":true,"request_headers":[["action","pause"]]}';
    proxy_pass http://up;
}~)
--- config
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::h2_post('/', 'content-length' => 200_000);
    my ($sent, $window) = (0, 65535);
    # nginx grants what it reads ahead (http2_body_preread_size), and no more while the filter waits.
    while ($sent < $window) {
        my $n = $window - $sent < 16000 ? $window - $sent : 16000;
        $c->data(1, 0, 'x' x $n);
        $sent += $n;
    }
    $c->frame('ping', 0, 0, 'abcdefgh');
    my @got;
    while (my $frame = $c->next) {
        last if $frame->{type} eq 'ping';
        push @got, "window of stream $frame->{stream}" if $frame->{type} eq 'window_update' && $frame->{stream};
    }
    rows(@got, 'no more');
}
--- client_out
no more
--- no_error_log eval: $::bad
