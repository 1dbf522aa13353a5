# http-wasm guests that trap, misuse the ABI, loop and grow: 500 before the next handler, an aborted connection behind it.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use Wire;

# What a guest does wrong before the next handler, and what the log says of it.
our %wrong = (
    trap      => ['(unreachable)', 'wasm trap: wasm `unreachable` instruction executed'],
    pointer   => ['(drop (call $get_method (i32.const -2) (i32.const 100)))', "outside of the guest's memory"],
    limit     => ['(drop (call $read_body (i32.const 0) (i32.const 8192) (i32.const -1)))', "outside of the guest's memory"],
    zero      => ['(drop (call $read_body (i32.const 0) (i32.const 8192) (i32.const 0)))', 'misuse: a body is read with a limit of 0 bytes'],
    name      => [q{(call $set_header_value (i32.const 0) '' 'a')}, "misuse: a header's name is empty"],
    kind      => [q{(call $set_header_value (i32.const 9) 'a' 'a')}, 'misuse: there is no kind 9 of headers'],
    method    => [q{(call $set_method '')}, 'misuse: the method is empty'],
    'bad-method' => [q{(call $set_method 'a b')}, 'misuse: the method cannot be sent'],
    uri       => [q{(call $set_uri 'a b')}, 'misuse: the URI is not an absolute path with an optional query'],
    status    => ['(call $set_status_code (i32.const 99))', 'misuse: the status 99 cannot be sent'],
    loop      => ['(loop $on (br $on))', 'over cpu_time=100ms'],
    hostloop  => ["(loop \$on (drop (call \$get_header_names (i32.const 0) (i32.const 0) (i32.const 0))) (br \$on))", 'over cpu_time=100ms'],
    memory    => ['(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))', 'memory=1m'],
    stack     => ['(call $deep)', 'call stack exhausted'],
);

# What it does wrong behind it.
our %late = (
    trap     => ['(unreachable)', 'wasm trap'],
    header   => [q{(call $set_header_value (i32.const 1) 'a' 'a')}, 'a response header is used after the next handler, without the feature buffer_response'],
    request  => [q{(call $set_header_value (i32.const 0) 'a' 'a')}, 'a request header is changed after the next handler'],
    body     => [q{(call $write_body (i32.const 1) 'a')}, "the response's body is used after the next handler"],
    status   => ['(drop (call $get_status_code))', 'the status is used after the next handler'],
    uri      => [q{(call $set_uri '/')}, 'the URI is changed after the next handler'],
    loop     => ['(loop $on (br $on))', 'over cpu_time=100ms'],
);

sub modules {
    my %with = @_;
    my $parameters = "cpu_time=100ms memory=1m on_failure=$with{policy}";
    return join '', map { "wasm_module $_ ../html/$_.wat $parameters;\n" } @{$with{names}};
}

sub locations {
    return join '', map { qq{location /$_ { wasm_filter $_; proxy_pass http://up; }\n} } @_;
}

our $deep = '(func $deep (call $deep))';
our $requests = join '', map { guest("r-$_", items => $deep, request => $wrong{$_}[0]) } sort keys %wrong;
our $responses = join '', map { guest("s-$_", response => $late{$_}[0]) } sort keys %late;
our @requests = map { "r-$_" } sort keys %wrong;
our @responses = map { "s-$_" } sort keys %late;

run_tests();

__DATA__

=== TEST 1: before the next handler: 500, and nothing of the trap in the answer; the next request finds another instance
--- http_config eval: main::modules(names => \@main::requests, policy => 'closed')
--- config eval: main::locations(@main::requests) . 'location /fine { proxy_pass http://up; }'
--- user_files eval: $::requests
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup") }
--- client eval: sub { answers(map { ("/$_", "/$_ body") } @main::requests) . answers('/fine') }
--- client_out eval: "500\n" x (2 * @main::requests) . "200 up\n"
--- error_log eval: qr/r-trap: handle_request trapped/
--- no_error_log eval: $HttpWasm::alive



=== TEST 2: each of them says why
--- http_config eval: main::modules(names => \@main::requests, policy => 'closed')
--- config eval: main::locations(@main::requests)
--- user_files eval: $::requests
--- client eval: sub { answers(map { "/$_" } @main::requests) }
--- client_out eval: "500\n" x @main::requests
--- error_log eval: [map { qr/r-$_: handle_request trapped: .*\Q$main::wrong{$_}[1]\E/ } sort keys %main::wrong]
--- no_error_log eval: $HttpWasm::alive



=== TEST 3: with on_failure=open, the request goes on without the guest, its body whole
--- http_config eval: main::modules(names => \@main::requests, policy => 'open')
--- config eval: main::locations(@main::requests)
--- user_files eval: $::requests
--- upstream eval: sub { my ($head, $body) = $_[0]->message; my $text = "up $body"; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text") }
--- client eval: sub { answers(map { "/$_ body" } @main::requests) }
--- client_out eval: "200 up body\n" x @main::requests
--- error_log eval: qr/r-trap: handle_request trapped/
--- no_error_log eval: $HttpWasm::alive



=== TEST 4: behind the next handler: the connection is aborted
--- http_config eval: main::modules(names => \@main::responses, policy => 'closed')
--- config eval: main::locations(@main::responses)
--- user_files eval: $::responses
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup") }
--- client eval: sub { rows(map { ask("GET /$_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") eq '' ? 'nothing' : 'an answer' } @main::responses) }
--- client_out eval: "nothing\n" x @main::responses
--- error_log eval: [map { qr/s-$_: handle_response trapped: .*\Q$main::late{$_}[1]\E/ } sort keys %main::late]
--- no_error_log eval: $HttpWasm::alive



=== TEST 5: with on_failure=open, the response goes on as it is
--- http_config eval: main::modules(names => \@main::responses, policy => 'open')
--- config eval: main::locations(@main::responses)
--- user_files eval: $::responses
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup") }
--- client eval: sub { answers(map { "/$_" } @main::responses) }
--- client_out eval: "200 up\n" x @main::responses
--- error_log eval: qr/s-trap: handle_response trapped/
--- no_error_log eval: $HttpWasm::alive



=== TEST 6: a trap while the response is held back
--- http_config
    wasm_module closed ../html/holds.wat;
    wasm_module open ../html/holds.wat on_failure=open;
--- config
    location /closed { wasm_filter closed; proxy_pass http://up; }
    location /open { wasm_filter open; proxy_pass http://up; }
--- user_files eval
guest('holds', items => '(func (export "_start") (drop (call $enable_features (i32.const 2))))',
    response => '(drop (call $read_body (i32.const 1) (i32.const 0) (i32.const 1))) (unreachable)')
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" . 'b' x 100000) }
--- client eval
sub { rows(ask("GET /closed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") eq '' ? 'nothing' : 'an answer') . answers('/open') =~ s/b+/CORE::length $&/er }
--- client_out
nothing
200 100000
--- error_log eval: qr/closed: handle_response trapped/
--- no_error_log eval: $HttpWasm::alive



=== TEST 7: headers that cannot be sent
--- http_config
    wasm_module request ../html/request.wat;
    wasm_module response ../html/response.wat;
    wasm_module pseudo ../html/pseudo.wat;
--- config
    location /request { wasm_filter request; proxy_pass http://up; }
    location /response { wasm_filter response; return 200; }
    location /pseudo { wasm_filter pseudo; proxy_pass http://up; }
--- user_files eval
guest('request', request => q{(call $set_header_value (i32.const 0) 'x-a' 'a\0d\0ab: c')})
    . guest('response', items => '(func (export "_start") (drop (call $enable_features (i32.const 2))))',
        response => q{(call $set_header_value (i32.const 1) 'x a' 'a')})
    . guest('pseudo', request => q{(call $set_header_value (i32.const 0) ':path' '/other')})
--- client eval: sub { answers('/request', '/response', '/pseudo') }
--- client_out
503
502
503
--- error_log eval
[qr/request: wrote a header of the request that cannot be sent: "x-a"; the request ends with 503/,
 qr/response: wrote a header of the response that cannot be sent: "x a"; the request ends with 502/]
--- no_error_log eval: $HttpWasm::alive



=== TEST 8: more headers than a guest may write
--- http_config
    wasm_module request ../html/request.wat;
    wasm_module response ../html/response.wat;
--- config
    location /request { wasm_filter request; proxy_pass http://up; }
    location /response { wasm_filter response; return 200; }
--- user_files eval
my $many = sub { my $kind = shift; qq{(loop \$on (call \$add_header_value (i32.const $kind) 'x-a' 'value')
    (global.set \$count (i32.add (global.get \$count) (i32.const 1))) (br_if \$on (i32.lt_u (global.get \$count) (i32.const 100000))))} };
my $count = '(global $count (mut i32) (i32.const 0))';
guest('request', items => $count, request => $many->(0)) . guest('response', items => $count, request => $many->(1))
--- client eval: sub { answers('/request', '/response') }
--- client_out
413
502
--- error_log eval
[qr/request: wrote more into the headers of the request than the headers= of wasm_buffer_size/,
 qr/response: wrote more into the headers of the response/]
--- no_error_log eval: $HttpWasm::alive
