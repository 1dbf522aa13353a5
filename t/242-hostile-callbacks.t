# Loops without end in the callbacks that come from outside of a request's own way: answers to calls, gRPC, queues. Each costs what waits in that instance, after cpu_time; the next request has a fresh one, in the same process.

use Test::Nginx::Socket 'no_plan';
use Calls;
use JSON::PP ();
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $grpc = Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_2}, tls => $ENV{TEST_NGINX_PORT_3});
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm cpu_time=50ms; wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $beside = 'location /good { wasm_filter b "{}"; return 200 "good from $pid"; }';
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

our @loop = ['repeat', 2000000000, [['repeat', 2000000000, [['let', 'a', 'b']]]]];
our $up = '127.0.0.1:$TEST_NGINX_PORT_2';

run_tests();

__DATA__

=== TEST 1: answers to HTTP and gRPC calls, messages of queues
--- http_config eval: $::module
--- config eval
$::beside . ::location('/http_call_response', {request_headers => [::http('a', path => '/echo'), ::pause()], http_call_response => \@::loop})
. (CORE::join '', map { ::location("/$_", {request_headers => [::stream('a', 'Chat', upstream => $::up), ['grpc_send', 'a', 'x', JSON::PP::true], ::pause()], $_ => \@::loop}) } qw(grpc_initial_metadata grpc_receive grpc_trailing_metadata grpc_close))
. ::location('/queue_ready', {configure => [['register_queue', 'q', 'q']], request_headers => [['enqueue', {var => 'q'}, 'x'], ::pause()], queue_ready => \@::loop})
--- client eval
sub {
    my $good = ::get('/good');
    my @all = qw(http_call_response grpc_initial_metadata grpc_receive grpc_trailing_metadata grpc_close queue_ready);
    my @seen;
    for my $callback (@all) {
        my $status = (split / /, ::get("/$callback"))[0];
        push @seen, "$callback $status " . (::get('/good') eq $good ? 'others go on' : 'others do not');
    }
    return rows(@seen, map { s/ in .*//r } grep { /trapped/ } ::errors());
}
--- client_out
http_call_response 503 others go on
grpc_initial_metadata 503 others go on
grpc_receive 503 others go on
grpc_trailing_metadata 503 others go on
grpc_close 503 others go on
queue_ready 503 others go on
a: proxy_on_http_call_response trapped: over cpu_time=50ms
a: proxy_on_grpc_receive_initial_metadata trapped: over cpu_time=50ms
a: proxy_on_grpc_receive trapped: over cpu_time=50ms
a: proxy_on_grpc_receive_trailing_metadata trapped: over cpu_time=50ms
a: proxy_on_grpc_close trapped: over cpu_time=50ms
a: proxy_on_queue_ready trapped: over cpu_time=50ms
--- no_error_log eval: $::alive



=== TEST 2: trailers of a response
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_5; http2 on; location / { add_trailer x-t 1; return 200 body; } }'
--- config eval
$::beside . ::location('/trailers', {response_trailers => \@::loop}, 'grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_5;')
--- client eval
sub {
    my $good = ::get('/good');
    ask("GET /trailers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_for(sub { scalar(grep { /trapped/ } ::errors()) });
    return rows(::get('/good') eq $good ? 'others go on' : 'others do not', map { s/ in .*//r } grep { /trapped/ } ::errors());
}
--- client_out
others go on
a: proxy_on_response_trailers trapped: over cpu_time=50ms
--- no_error_log eval: $::alive
