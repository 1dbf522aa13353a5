# http-wasm guests and Proxy-Wasm filters in one chain, in any order.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use Wire;

# A guest that adds its letter to a request header and, with the feature, to a response header and both bodies.
sub letter {
    my ($name, $letter, %with) = @_;
    my $enable = $with{buffers} ? '(drop (call $enable_features (i32.const 3)))' : '';
    my $body = sub { my $kind = shift; $with{bodies} ? qq{
        (global.set \$length (i32.wrap_i64 (call \$read_body (i32.const $kind) (i32.const 8192) (i32.const 8192))))
        (call \$write_body (i32.const $kind) (i32.const 8192) (global.get \$length))
        (call \$write_body (i32.const $kind) '$letter')} : '' };
    return guest($name, items => qq{(global \$length (mut i32) (i32.const 0)) (func (export "_start") $enable)},
        request => "(call \$add_header_value (i32.const 0) 'x-seen' '$letter')" . $body->(0),
        response => "(call \$log (i32.const 0) '$letter')"
            . ($with{buffers} ? "(call \$add_header_value (i32.const 1) 'x-seen' '$letter')" . $body->(1) : ''));
}

# A Proxy-Wasm filter that does the same.
sub wasm {
    my ($letter, %with) = @_;
    my $bodies = $with{bodies}
        ? qq~,"request_body":[["if_end_of_stream",[["set_body","request",1000,0,"$letter"]]]],"response_body":[["if_end_of_stream",[["set_body","response",1000,0,"$letter"]]]]~ : '';
    return qq~wasm_filter hostcalls '{"request_headers":[["remove_header","request","content-length"],["add_header","request","x-seen","$letter"]],"response_headers":[["remove_header","response","content-length"],["add_header","response","x-seen","$letter"]]$bodies}';~;
}

# Answers with what has been seen.
sub seen {
    my $connection = shift;
    my ($head, $body) = $connection->message;
    return if $head eq '';
    my $text = join('', $head =~ /^x-seen: *(\w)\r$/mgi) . ($body eq '' ? '' : " $body") . ' ';
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
}

our $guests = letter('a', 'a') . letter('b', 'b', buffers => 1) . letter('c', 'c', buffers => 1, bodies => 1);
our $modules = CORE::join '', map { "wasm_module $_ ../html/$_.wat;\n" } 'a' .. 'c';

run_tests();

__DATA__

=== TEST 1: before, between and behind: requests go down the chain, responses up
--- http_config eval: $::modules
--- config eval
my %chains = (
    '/before'  => 'wasm_filter a; ' . main::wasm('1') . main::wasm('2'),
    '/between' => main::wasm('1') . 'wasm_filter b; ' . main::wasm('2'),
    '/behind'  => main::wasm('1') . main::wasm('2') . 'wasm_filter b;',
    '/alone'   => 'wasm_filter a; wasm_filter b; wasm_filter c;',
    '/mixed'   => 'wasm_filter b; ' . main::wasm('1') . 'wasm_filter c; ' . main::wasm('2') . 'wasm_filter a;',
);
CORE::join '', map { "location $_ { $chains{$_} proxy_pass http://up; proxy_http_version 1.1; }\n" } sort keys %chains;
--- user_files eval: $::guests
--- upstream eval: \&main::seen
--- client eval
sub { rows(map { s/ x-seen: / /gr } split /\n/, answers('/before', '/between', '/behind', '/alone', '/mixed')) }
--- client_out
200 2 1 a12 
200 2 b 1 1b2 
200 b 2 1 12b 
200 c b abc c c
200 2 c 1 b b1c2a c c



=== TEST 2: bodies pass all of them, whole or in pieces
--- http_config eval: $::modules
--- config eval
my $mixed = main::wasm('1', bodies => 1) . 'wasm_filter c; ' . main::wasm('2', bodies => 1);
"location /mixed { $mixed proxy_pass http://up; proxy_http_version 1.1; }
location /streamed { proxy_request_buffering off; $mixed proxy_pass http://up; proxy_http_version 1.1; }"
--- user_files eval: $::guests
--- upstream eval: \&main::seen
--- client eval
sub { rows(map { s/ x-seen: / /gr } split /\n/, answers('/mixed body', '/mixed', '/streamed body')) }
--- client_out
200 2 c 1 1c2 body1c2 2c1
200 2 c 1 1c2 c2 2c1
200 2 c 1 1c2 body1c2 2c1



=== TEST 3: an answer of a guest passes the filters before it, and no others
--- http_config
    wasm_module stops ../html/stops.wat;
    wasm_module b ../html/b.wat;
--- config eval
"location / { wasm_filter b; " . main::wasm('1') . "wasm_filter stops; " . main::wasm('2') . "return 404; }"
--- user_files eval
$::guests . guest('stops', answers => 1, request => q{(call $set_status_code (i32.const 418))
    (call $add_header_value (i32.const 1) 'x-seen' 'stops') (call $write_body (i32.const 1) 'answer') (i64.const 0)},
    response => '(unreachable)')
--- client eval: sub { answers('/', '/ body', 'HEAD /') }
--- client_out
418 x-seen: stops x-seen: 1 x-seen: b answer
418 x-seen: stops x-seen: 1 x-seen: b answer
418 x-seen: stops x-seen: 1 x-seen: b



=== TEST 4: an answer of a Proxy-Wasm filter is the response of the guests before it
--- http_config eval: $::modules
--- config
    location / {
        wasm_filter b;
        wasm_filter c;
        wasm_filter hostcalls '{"request_headers":[["local_response",403,[["x-seen","filter"]],"no"]]}';
        wasm_filter a;
        return 404;
    }
--- user_files eval: $::guests
--- client eval: sub { answers('/') }
--- client_out
403 x-seen: filter x-seen: c x-seen: b noc



=== TEST 5: a guest waits for a Proxy-Wasm filter that pauses, and its request with it
--- http_config eval
$::modules . 'wasm_module pauses $TEST_NGINX_FILTERS/hostcalls.wasm; upstream call { server 127.0.0.1:$TEST_NGINX_PORT_9; }'
--- config
    location / {
        wasm_filter b;
        wasm_filter pauses '{"request_headers":[["http_call","a","call",[[":method","GET"],[":path","/call"],[":authority","x"]],"",[],5000],["action","pause"]],"http_call_response":[["add_header","request","x-seen","p"],["continue","request"]]}';
        wasm_filter a;
        proxy_pass http://up;
        proxy_http_version 1.1;
    }
--- user_files eval: $::guests
--- upstream eval: \&main::seen
--- client eval: sub { answers('/') }
--- client_out
200 x-seen: b bpa 
