# What http-wasm guests ask of a request, function by function, before the next handler and behind it.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use Wire;

# Shows what a function answers: a guest that answers itself.
sub shows {
    my %shown = @_;
    my $request = join ' ', map { value_of("x-$_", $shown{$_}) } sort keys %shown;
    return guest('shows', answers => 1, request => "$request (i64.const 0)");
}

our $buffer = '(i32.const 8192) (i32.const 8192)';
our $enabled = '(func (export "_start") (drop (call $enable_features (i32.const 2))))';

run_tests();

__DATA__

=== TEST 1: what the request is
--- http_config
    wasm_module shows ../html/shows.wat;
--- config
    location / { wasm_filter shows "a b"; return 404; }
--- user_files eval
main::shows(map { ($_ => "(call \$get_$_ $main::buffer)") } qw(method uri protocol_version source_addr config))
--- client eval
sub { answers('/a%2Fb/../c?d=%26', 'PATCH //') =~ s/127\.0\.0\.1:\d+/addr/gr }
--- client_out
200 x-config: a b x-method: GET x-protocol_version: HTTP/1.1 x-source_addr: addr x-uri: /a%2Fb/../c?d=%26
200 x-config: a b x-method: PATCH x-protocol_version: HTTP/1.1 x-source_addr: addr x-uri: //



=== TEST 2: what goes on is what the guest has made of it
--- http_config
    wasm_module sets ../html/sets.wat;
--- config
    location / { wasm_filter sets; proxy_pass http://up; proxy_set_header Host $http_host; }
--- user_files eval
guest('sets', request => q{
    (call $set_method 'PUT') (call $set_uri '/new%20path?x=1')
    (call $set_header_value (i32.const 0) 'Host' 'b.example')
    (call $set_header_value (i32.const 0) 'X-Set' 'a')
    (call $add_header_value (i32.const 0) 'x-had' 'two')
    (call $remove_header (i32.const 0) 'X-gone')})
--- client eval: sub { answers({ lines => ['X-Had: one', 'X-Gone: 1', 'x-gone: 2', 'X-Set: b', 'X-Set: c'] }, '/') }
--- client_out
200 PUT /new%20path?x=1 HTTP/1.0
Host: b.example
Connection: close
X-Had: one
X-Set: a
x-had: two



=== TEST 3: an empty URI is a slash
--- http_config
    wasm_module sets ../html/sets.wat;
--- config
    location / { wasm_filter sets; return 200 "$uri $request_uri"; }
--- user_files eval: guest('sets', request => q{(call $set_uri '')})
--- client eval: sub { answers('/a?b') }
--- client_out
200 / /



=== TEST 4: names of request headers are sorted, and the host is one of them
--- http_config eval
"wasm_module shows ../html/shows.wat;
server { listen 127.0.0.1:\$TEST_NGINX_PORT_1; http2 on; location / { wasm_filter shows; return 404; } }"
--- config
    location / { wasm_filter shows; return 404; }
--- user_files eval
my $show = sub { my $kind = shift; qq{(call \$set_header_value (i32.const 1) 'x-names' (i32.const 8192) (call \$names (call \$get_header_names (i32.const $kind) $main::buffer)))} };
guest('shows', answers => 1, items => q{
    (func $names (param $all i64) (result i32) (local $at i32)
        (loop $next
            (if (i32.eqz (i32.load8_u (i32.add (i32.const 8192) (local.get $at)))) (then
                (i32.store8 (i32.add (i32.const 8192) (local.get $at)) (i32.const 44))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.wrap_i64 (local.get $all)))))
        (i32.wrap_i64 (local.get $all)))},
    request => $show->(0) . '(i64.const 0)')
--- client eval
sub {
    answers({ lines => ['Z-Last: 1', 'A-First: 2', 'z-last: 3'] }, '/')
        . output_of('curl', '-sS', '-o', '/dev/null', '-w', '%header{x-names}\n', '--http2-prior-knowledge', '-H', 'User-Agent:',
            '-H', 'B: 1', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/");
}
--- client_out
200 x-names: a-first,connection,host,z-last,
accept,b,host,
--- no_error_log eval: $HttpWasm::clean



=== TEST 5: values of request headers, and of the host
--- http_config
    wasm_module shows ../html/shows.wat;
--- config
    location / { wasm_filter shows; return 404; }
--- user_files eval
main::shows(map { ((split /-/)[-1] => "(i64.sub (call \$get_header_values (i32.const 0) '$_' $main::buffer) (i64.const 1))") } 'x-one', 'HOST')
--- client eval: sub { answers({ lines => ['X-One: value'] }, '/') }
--- client_out
200 x-HOST: a.example x-one: value



=== TEST 6: what is set of the response before the next handler stands beside that one's
--- http_config
    wasm_module before ../html/before.wat;
--- config
    location / { wasm_filter before; proxy_pass http://up; }
    location /own { wasm_filter before; add_header X-Own nginx always; return 404 "page"; }
--- user_files eval
guest('before', request => q{
    (call $set_status_code (i32.const 202))
    (call $add_header_value (i32.const 1) 'x-before' '1')
    (call $set_header_value (i32.const 1) 'X-Up' 'guest')
    (call $set_header_value (i32.const 1) 'content-type' 'text/none')
    (call $set_header_value (i32.const 1) 'content-length' '5')
    (call $write_body (i32.const 1) 'before') (call $write_body (i32.const 1) '|')})
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 201 Created\r\nX-Up: up\r\nContent-Type: text/x-up\r\nContent-Length: 4\r\n\r\nbody") }
--- client eval: sub { answers('/', '/own') }
--- client_out
201 X-Up: up x-before: 1 X-Up: guest before|body
404 x-before: 1 X-Up: guest X-Own: nginx before|page



=== TEST 7: what is written before the next handler is there if that one sends no body
--- http_config
    wasm_module before ../html/before.wat;
--- config
    location / { wasm_filter before; proxy_pass http://up; }
    location /no-content { wasm_filter before; return 204; }
--- user_files eval: guest('before', request => q{(call $write_body (i32.const 1) 'before')})
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
--- client eval: sub { answers('/', 'HEAD /', '/no-content') }
--- client_out
200 before
200
204



=== TEST 8: with buffer_response, status, headers and body are changed when all of the response is there
--- http_config
    wasm_module after ../html/after.wat;
--- config
    location / { wasm_filter after; proxy_pass http://up; }
    location /small { wasm_filter after; return 200 "a small one"; }
    location /empty { wasm_filter after; return 200 ""; }
--- user_files eval
guest('after', items => $main::enabled, response => value_of('x-names-of', "(call \$get_header_values (i32.const 1) 'x-up' $main::buffer)")
    =~ s/\(i32.wrap_i64 (.*)\)\)$/(i32.wrap_i64 (i64.shr_u $1 (i64.const 33))))/r . q{
    (if (i32.eq (call $get_status_code) (i32.const 200)) (then (call $set_status_code (i32.const 203))))
    (call $set_header_value (i32.const 1) 'x-after' '1') (call $remove_header (i32.const 1) 'x-up')
    (call $log (i32.const 0) (i32.const 8192) (i32.wrap_i64 (call $read_body (i32.const 1) (i32.const 8192) (i32.const 20))))
    (call $write_body (i32.const 1) 'new ') (call $write_body (i32.const 1) 'body')})
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nX-Up: up\r\nContent-Length: 100000\r\n\r\n" . 'a' x 100000) }
--- client eval: sub { answers('/', '/small', '/empty', 'HEAD /') =~ s/x-names-of: \S* ?//gr }
--- client_out
203 x-after: 1 new body
203 x-after: 1 new body
203 x-after: 1 new body
203 x-after: 1
--- guests eval: "after: aaaaaaaaaaaaaaaaaaaa\nafter: a small one\nafter: \nafter: \n"



=== TEST 9: a feature that is asked for in a request holds for it alone
--- http_config
    wasm_module once ../html/once.wat;
--- config
    location / { wasm_filter once; return 200 "old"; }
--- user_files eval
guest('once', items => '(global $seen (mut i32) (i32.const 0)) (global $may (mut i32) (i32.const 0))',
    request => q{(global.set $may (i32.eqz (global.get $seen))) (global.set $seen (i32.const 1))
        (if (global.get $may) (then (drop (call $enable_features (i32.const 2)))))},
    response => q{(if (global.get $may) (then (call $write_body (i32.const 1) 'new')))})
--- client eval: sub { answers('/', '/', '/') }
--- client_out
200 new
200 old
200 old



=== TEST 10: the context comes back; a guest that reads headers alone needs no feature
--- http_config
    wasm_module counts ../html/counts.wat;
--- config
    location / { wasm_filter counts; add_header X-Told yes; return 200; }
--- user_files eval
guest('counts', items => '(global $count (mut i64) (i64.const 48))', answers => 1,
    request => '(global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i64.or (i64.shl (global.get $count) (i64.const 32)) (i64.const 1))',
    response => q{(i32.store8 (i32.const 8192) (local.get $context))
        (i32.store8 (i32.const 8193) (i32.add (i32.const 48) (local.get $failed)))
        (call $log (i32.const 1) (i32.const 8192) (i32.const 2))}
        . tell("(call \$get_header_values (i32.const 1) 'content-type' $main::buffer)"))
--- client eval: sub { answers('/', '/') }
--- client_out
200 X-Told: yes
200 X-Told: yes
--- guests eval: qr/\Acounts: 10\ncounts: text\/plain\\x00\ncounts: 20\ncounts: text\/plain\\x00\n\z/



=== TEST 11: log levels are nginx's
--- log_level: warn
--- http_config
    wasm_module logs ../html/logs.wat;
--- config
    location / { wasm_filter logs; return 200; }
--- user_files eval
guest('logs', request => CORE::join(' ', map { "(call \$log (i32.const $_) 'level $_')" } -1 .. 3)
    . '(i32.store (i32.const 8192) (i32.const 0x30303030))'
    . CORE::join(' ', map { "(i32.store8 (i32.const " . (8192 + $_) . ") (i32.add (i32.const 48) (call \$log_enabled (i32.const " . ($_ - 1) . '))))' } 0 .. 4)
    . '(call $log (i32.const 2) (i32.const 8192) (i32.const 5))')
--- client eval: sub { answers('/') }
--- client_out
200
--- guests
logs: level 1
logs: level 2
logs: 00110
--- no_error_log eval: $HttpWasm::alive



=== TEST 12: trailers of the response are read and set
--- http_config
    wasm_module trailers ../html/trailers.wat;
--- config
    location / { wasm_filter trailers; proxy_pass http://up; proxy_http_version 1.1; proxy_pass_trailers on; proxy_set_header TE trailers; proxy_set_header Connection TE; }
--- user_files eval
guest('trailers', items => '(func (export "_start") (drop (call $enable_features (i32.const 6))))',
    request => "(call \$set_header_value (i32.const 2) 'x-none' 'of the request')",
    response => tell("(call \$get_header_names (i32.const 3) $main::buffer)") . "(call \$set_header_value (i32.const 3) 'x-added' 'by the guest')")
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 5\r\n\r\n") }
--- client eval
sub { ask("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n") =~ s/.*?\r\n\r\n//sr =~ s/\r//gr }
--- client_out eval: qr/\A4\nbody\n0\n(?:x-sum: 5\n)?x-added: by the guest\n\n\z/
--- guests eval: qr/\Atrailers: (?:x-sum\\x00)?\n\z/
