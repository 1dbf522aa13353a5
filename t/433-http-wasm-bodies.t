# Bodies and http-wasm guests: read with and without the feature, written, large and small, streamed.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use Wire;

our $buffer = '(i32.const 8192) (i32.const 65536)';

# Reads a body to its end, and leaves its size in $size.
our $read = <<'_EOC_';
(global $size (mut i32) (i32.const 0))
(func $read (param $kind i32) (local $got i64)
    (global.set $size (i32.const 0))
    (loop $more
        (local.set $got (call $read_body (local.get $kind) (i32.const 8192) (i32.const 65536)))
        (global.set $size (i32.add (global.get $size) (i32.wrap_i64 (local.get $got))))
        (br_if $more (i64.eqz (i64.shr_u (local.get $got) (i64.const 32))))))
_EOC_

# Answers with what it has got.
sub size {
    my $connection = shift;
    my ($head, $body) = $connection->message;
    return if $head eq '';
    my ($length) = $head =~ /^content-length: (\d+)/mi;
    my $framed = $head =~ /^transfer-encoding: chunked/mi ? 'chunked' : defined $length ? "length $length" : 'none';
    my $text = length $body < 40 ? $body : 'many ' . length $body;
    $text = $text eq '' ? $framed : "$framed: $text";
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
}

# At /buffered and at /streamed.
sub both {
    my $filters = shift;
    return join '', map {
        my $off = $_ eq 'streamed' ? 'proxy_request_buffering off;' : '';
        "location /$_ { client_max_body_size 64m; $off $filters proxy_pass http://up; proxy_http_version 1.1; }\n";
    } qw(buffered streamed);
}

run_tests();

__DATA__

=== TEST 1: what is read without buffer_request is not there for the next handler; the rest is
--- http_config
    wasm_module eats ../html/eats.wat;
    wasm_module keeps ../html/keeps.wat;
--- config eval
main::both('wasm_filter eats;') . 'location /keeps { wasm_filter keeps; proxy_pass http://up; proxy_http_version 1.1; }'
--- user_files eval
my $some = '(drop (call $read_body (i32.const 0) (i32.const 8192) (i32.const 4)))';
guest('eats', request => $some) . guest('keeps', request => $some, items => '(func (export "_start") (drop (call $enable_features (i32.const 1))))')
--- upstream eval: \&main::size
--- client eval: sub { answers(map { ("$_ 12345678", "$_ 123", $_) } '/buffered', '/streamed', '/keeps') }
--- client_out
200 length 4: 5678
200 length 0
200 none
200 length 4: 5678
200 length 0
200 none
200 length 8: 12345678
200 length 3: 123
200 none



=== TEST 2: a body is written in the place of one that is there, and of none
--- http_config
    wasm_module writes ../html/writes.wat;
    wasm_module empties ../html/empties.wat;
    wasm_module reads ../html/reads.wat;
--- config eval
main::both('wasm_filter writes;') . 'location /empties { wasm_filter empties; proxy_pass http://up; proxy_http_version 1.1; }
location /reads { wasm_filter writes; wasm_filter reads; proxy_pass http://up; proxy_http_version 1.1; }'
--- user_files eval
guest('writes', request => q{(call $write_body (i32.const 0) 'new ') (call $write_body (i32.const 0) 'body')})
    . guest('empties', request => q{(call $write_body (i32.const 0) '')})
    . guest('reads', items => $main::read . '(func (export "_start") (drop (call $enable_features (i32.const 1))))',
        request => '(call $read (i32.const 0)) (call $log (i32.const 0) (i32.const 8192) (global.get $size))')
--- upstream eval: \&main::size
--- client eval: sub { answers(map { ("$_ old", $_, "$_ " . 'a' x 300_000) } '/buffered', '/streamed', '/empties', '/reads') }
--- client_out
200 length 8: new body
200 length 8: new body
200 length 8: new body
200 length 8: new body
200 length 8: new body
200 length 8: new body
200 length 0
200 none
200 length 0
200 length 8: new body
200 length 8: new body
200 length 8: new body
--- guests
reads: new body
reads: new body
reads: new body



=== TEST 3: over HTTP/2 a body is written, too
--- http_config
    wasm_module writes ../html/writes.wat;
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_1;
        http2 on;
        location / { wasm_filter writes; proxy_pass http://up; proxy_http_version 1.1; }
    }
--- config
    location / { return 404; }
--- user_files eval: guest('writes', request => q{(call $write_body (i32.const 0) 'new body')})
--- upstream eval: \&main::size
--- client eval
sub {
    my @curl = ('curl', '-sS', '--http2-prior-knowledge', '-w', '\n');
    my $url = "http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/";
    CORE::join '', map { output_of(@curl, @$_, $url) } [], ['-d', 'old'], ['-X', 'POST', '-H', 'Content-Length: 0'];
}
--- client_out
length 8: new body
length 8: new body
length 8: new body



=== TEST 4: large bodies are seen whole, both ways
--- http_config
    wasm_module sees ../html/sees.wat;
--- config eval: main::both('wasm_filter sees;')
--- user_files eval
my $size = '(i32.store (i32.const 0) (global.get $size)) (call $log (i32.const 0) (i32.const 4) (call $digits))';
my $digits = '(func $digits (result i32) (local $at i32) (local $rest i32) (local.set $at (i32.const 14)) (local.set $rest (global.get $size))
    (loop $next (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $rest) (i32.const 10))))
        (local.set $rest (i32.div_u (local.get $rest) (i32.const 10)))
        (br_if $next (i32.gt_u (local.get $at) (i32.const 4)))) (i32.const 10))';
guest('sees', items => $main::read . $digits . '(func (export "_start") (drop (call $enable_features (i32.const 3))))',
    request => "(call \$read (i32.const 0)) $size", response => "(call \$read (i32.const 1)) $size")
--- upstream eval
sub { my ($head, $body) = $_[0]->message; my $text = 'b' x (2 * length $body); $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text") }
--- client eval: sub { answers(map { my $path = $_; map { "$path " . 'a' x $_ } 10, 70_000, 3_000_000 } '/buffered', '/streamed') =~ s/ (b+)/' ' . CORE::length $1/ger }
--- client_out
200 20
200 140000
200 6000000
200 20
200 140000
200 6000000
--- guests
sees: 0000000010
sees: 0000000020
sees: 0000070000
sees: 0000140000
sees: 0003000000
sees: 0006000000
sees: 0000000010
sees: 0000000020
sees: 0000070000
sees: 0000140000
sees: 0003000000
sees: 0006000000



=== TEST 5: without a feature, a response streams past a guest that could write one
--- http_config
    wasm_module could ../html/could.wat;
--- config
    location / { wasm_filter could; proxy_pass http://up; proxy_http_version 1.1; proxy_buffering off; }
--- user_files eval
guest('could', answers => 1, request => q{(if (call $get_method (i32.const 8192) (i32.const 0)) (then (return (i64.const 1))))
    (drop (call $enable_features (i32.const 0))) (call $write_body (i32.const 1) 'no') (i64.const 0)},
    response => q{(call $log (i32.const 0) 'response')})
--- upstream eval
sub {
    my $connection = shift;
    $connection->message;
    $connection->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    # Until the client says that it has got that.
    Wire::log_has(qr/first has come/);
    $connection->write("4\r\nlast\r\n0\r\n\r\n");
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $got = $c->until(qr/first\r\n/);
    open my $log, '>>', $Test::Nginx::Util::ErrLogFile;
    print $log "first has come\n";
    close $log;
    ($got . $c->rest) =~ s/.*?\r\n\r\n//sr =~ s/\r//gr;
}
--- client_out eval: "5\nfirst\n4\nlast\n0\n\n"
--- guests_like eval: qr/response/
--- guests eval: qr/\Acould: response\n/



=== TEST 6: bodies over wasm_buffer_size end the request
--- http_config
    wasm_module writes ../html/writes.wat;
    wasm_module before ../html/before.wat;
    wasm_module holds ../html/holds.wat;
    wasm_module after ../html/after.wat;
--- config
    wasm_buffer_size 64k;
    location /writes { wasm_filter writes; proxy_pass http://up; }
    location /before { wasm_filter before; proxy_pass http://up; }
    location /holds { wasm_filter holds; proxy_pass http://up; }
    location /after { wasm_filter after; proxy_pass http://up; }
--- user_files eval
my $large = '(i32.const 8192) (i32.const 70000)';
my $waits = '(func (export "_start") (drop (call $enable_features (i32.const 2))))';
guest('writes', request => "(call \$write_body (i32.const 0) $large)")
    . guest('before', request => "(call \$write_body (i32.const 1) $large)")
    . guest('holds', items => $waits, response => '(drop (call $read_body (i32.const 1) (i32.const 0) (i32.const 1)))')
    . guest('after', items => $waits, response => "(call \$write_body (i32.const 1) $large)")
--- upstream eval
sub { my ($head) = $_[0]->message; my $text = $head =~ m{^GET /holds} ? 'b' x 300000 : 'small'; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text") }
--- client eval: sub { answers('/writes', '/before', '/holds', '/after') }
--- client_out
413
502
502
502
--- error_log eval
[qr/writes: made a request body of 70000 bytes, more than wasm_buffer_size \(65536 bytes\)/,
 qr/before: made a response body of 70000 bytes/, qr/holds: holds back \d+ bytes of the response body/,
 qr/after: made a response body of 70000 bytes/]
--- no_error_log eval: $HttpWasm::alive



=== TEST 7: an upstream that breaks off while the guest waits for all of its response: 502, and the guest is told
--- http_config
    wasm_module waits ../html/waits.wat;
--- config
    location / { wasm_filter waits; proxy_pass http://up; }
--- user_files eval
guest('waits', items => '(func (export "_start") (drop (call $enable_features (i32.const 2))))',
    response => q{(if (local.get $failed) (then (call $log (i32.const 0) 'none'))
        (else (drop (call $read_body (i32.const 1) (i32.const 0) (i32.const 1)))))})
--- upstream eval: sub { $_[0]->message; $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome") }
--- client eval: sub { answers('/') }
--- client_out
502
--- guests_like eval: qr/waits/
--- guests
waits: none
--- error_log
prematurely closed
--- no_error_log eval: $HttpWasm::alive
