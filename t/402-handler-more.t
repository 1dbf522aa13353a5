# wasm_handler among nginx's other ways of answering, and clients that leave.

use Test::Nginx::Socket 'no_plan';
use Servers;
use Wire;
use Wire::H2;

log_level('info');
no_long_string();
worker_connections(1024);

our $plugins = <<'_EOC_';
wasm_module hello $TEST_NGINX_FILTERS/extism_hello.wasm;
wasm_module pdk   $TEST_NGINX_FILTERS/extism_pdk_test.wasm allowed_hosts=127.0.0.1;
wasm_module test  $TEST_NGINX_FILTERS/extism_test.wasm;
wasm_module out   $TEST_NGINX_FILTERS/extism_call_out.wasm allowed_hosts=127.0.0.1
                  config=url:http://127.0.0.1:$TEST_NGINX_SERVER_PORT/inner;
wasm_module stuck $TEST_NGINX_FILTERS/extism_call_out.wasm allowed_hosts=127.0.0.1
                  config=url:http://127.0.0.1:$TEST_NGINX_PORT_9/;
_EOC_
our $locations = <<'_EOC_';
    location /status { stub_status; }
    location /inner { return 200 "inner"; }
    location /hello { wasm_handler hello; }
    location /echo { client_max_body_size 10m; wasm_handler pdk function=echo; }
    location /fetch { wasm_handler pdk function=fetch errors=show; }
    location /out { wasm_handler out; }
    location /stuck { wasm_handler stuck; }
_EOC_
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# A plugin whose output is its configuration's "a".
our $says = <<'_EOC_';
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func (export "says") (result i32)
    (local $at i64)
    (local.set $at (call $alloc (i64.const 1)))
    (call $store (local.get $at) (i32.const 97))
    (local.set $at (call $config (local.get $at)))
    (call $output (local.get $at) (call $length (local.get $at)))
    i32.const 0))
_EOC_

# A request as text.
sub request {
    my ($path, $body, @lines) = @_;
    my $lines = join '', map { "$_\r\n" } @lines;
    return "POST $path HTTP/1.1\r\nHost: a.example\r\n${lines}Content-Length: " . length($body) . "\r\n\r\n$body";
}

# "status body" of an answer; error pages of nginx's own are left out.
sub short {
    my ($status, $body) = $_[0] =~ m{^HTTP/1\.1 (\d+).*?\r\n\r\n(.*)}s or return "no answer: $_[0]";
    return $status . ($body =~ /<html>|^$/ ? '' : " $body");
}

sub post { return short(ask(request(@_, 'Connection: close'))) }

# A connection on which that has been asked.
sub asked {
    my $connection = connection();
    $connection->write(request(@_, 'Connection: close'));
    return $connection;
}

# A server that takes connections, and never answers.
sub silence {
    return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_9}, Listen => 1000, ReuseAddr => 1)
        || die "cannot listen: $!\n";
}

# Waits until so many requests are being answered, the one that asks for it not counted.
sub answering {
    my $count = shift() + 1;
    return wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: $count\b/ });
}

run_tests();

__DATA__

=== TEST 1: 200 clients that leave while their calls wait
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub {
    my $silence = ::silence();
    my $url = "http://127.0.0.1:$ENV{TEST_NGINX_PORT_9}/";
    my @rows;
    for my $how (qw(close reset)) {
        my @waiting = map { ::asked('/fetch', $url) } 1 .. 200;
        push @rows, ::answering(200) ? 'all wait' : 'not all wait', ::post('/echo', 'meanwhile');
        $_->$how for @waiting;
        push @rows, writing() . ' left';
    }
    rows(@rows);
}
--- client_out
all wait
200 meanwhile
1 left
all wait
200 meanwhile
1 left
--- no_error_log eval: $::clean



=== TEST 2: streams of HTTP/2 that are reset while their calls wait, and a connection that is closed
--- http_config eval
$::plugins . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; location / { wasm_handler stuck; } location /hello { wasm_handler hello; } }'
--- config eval: $::locations
--- client eval
sub {
    my $silence = ::silence();
    my $connection = connection($ENV{TEST_NGINX_PORT_2});
    my $h2 = Wire::H2->new($connection);
    my @streams = map { 2 * $_ + 1 } 0 .. 49;
    $h2->get($_, '/') for @streams;
    my @rows = ::answering(50) ? 'all wait' : 'not all wait';
    $h2->reset($_) for @streams[0 .. 24];
    push @rows, ::answering(25) ? 'half of them' : 'not half of them';
    $h2->get(101, '/hello');
    my %answers = $h2->answers(101);
    push @rows, $answers{101};
    $connection->close;
    rows(@rows, writing());
}
--- client_out eval
"all wait
half of them
{\"message\":\"\xf0\x9f\xa6\x80 Hello \"}
1
"
--- no_error_log eval: $::clean



=== TEST 3: one instance: who waits for it, who is too many, and who leaves the line
--- http_config
wasm_module one  $TEST_NGINX_FILTERS/extism_pdk_test.wasm allowed_hosts=127.0.0.1 instances=1 queue=2;
wasm_module none $TEST_NGINX_FILTERS/extism_pdk_test.wasm allowed_hosts=127.0.0.1 instances=1 queue=0;
--- config
    location /status { stub_status; }
    location /inner { return 200 "inner"; }
    location /one { wasm_handler one function=fetch errors=show; }
    location /none { wasm_handler none function=fetch errors=show; }
--- client eval
sub {
    my $silence = ::silence();
    my ($never, $soon) = ("http://127.0.0.1:$ENV{TEST_NGINX_PORT_9}/", "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/inner");
    my @rows;
    my $first = ::asked('/one', $never);
    ::answering(1);
    my @line = map { ::asked('/one', $soon) } 1 .. 2;
    ::answering(3);
    push @rows, 'too many: ' . ::post('/one', $soon);
    (shift @line)->close;
    ::answering(2);
    push @line, ::asked('/one', $soon);
    ::answering(3);
    push @rows, 'too many again: ' . ::post('/one', $soon);
    $first->close;
    push @rows, map { 'in line: ' . ::short($_->rest) } @line;
    $first = ::asked('/none', $never);
    ::answering(1);
    push @rows, 'no line: ' . ::post('/none', $soon);
    $first->reset;
    writing();
    rows(@rows, 'free: ' . ::post('/none', $soon));
}
--- client_out
too many: 503
too many again: 503
in line: 200 200: inner
in line: 200 200: inner
no line: 503
free: 200 200: inner
--- error_log
[wasm] one: all of instances= are in use, and queue= is full
--- no_error_log eval: $::alive



=== TEST 4: an instance for each request, of 64 clients at once; some of the calls trap
--- http_config
wasm_module fresh $TEST_NGINX_FILTERS/extism_test.wasm isolation=request;
--- config
    location /status { stub_status; }
    location ~ ^/(\w+)$ { wasm_handler fresh function=$1 errors=show; }
--- client eval
sub {
    my @functions = qw(count traps count error_then_trap recurses);
    my @clients = map { connection() } 1 .. 64;
    for my $client (@clients) {
        $client->write(CORE::join '', map { ::request("/$functions[$_ % 5]", '', $_ == 19 ? 'Connection: close' : ()) } 0 .. 19);
    }
    my %seen;
    for my $client (@clients) {
        my $all = $client->rest;
        $seen{$1}++ while $all =~ m{HTTP/1\.1 (\d+)}g;
        $seen{'the first call of its instance'}++ while $all =~ /\r\n\r\n1(?=HTTP|$)/g;
    }
    rows(map { "$_: $seen{$_}" } sort keys %seen);
}
--- client_out
200: 512
500: 768
the first call of its instance: 512
--- no_error_log eval: $::alive



=== TEST 5: subrequests: SSI, additions, auth_request and mirror, of calls that wait and that do not
--- http_config eval: $::plugins
--- config eval
$::locations . <<'_EOC_';
    location /page.html { ssi on; }
    location /added { add_before_body /out; add_after_body /count; default_type text/html; wasm_handler pdk function=echo; }
    location /count { wasm_handler test function=count; }
    location /refuses { wasm_handler pdk function=fail error_status=403; }
    location /allowed { auth_request /out; wasm_handler pdk function=echo; }
    location /refused { auth_request /refuses; wasm_handler pdk function=echo; }
    location /mirrored { mirror /out; wasm_handler pdk function=echo; }
_EOC_
--- user_files
>>> page.html
1<!--#include virtual="/out" -->2<!--#include virtual="/hello" -->3<!--#include virtual="/out" -->4
--- client eval
sub {
    my $page = ask("GET /page.html HTTP/1.0\r\n\r\n");
    my $added = ask("POST /added HTTP/1.0\r\nContent-Length: 3\r\n\r\nown");
    rows((split /\r\n\r\n/, $page)[1] =~ s/\n//r, (map { "$_: " . ::post($_, 'own') } qw(/allowed /refused /mirrored)), (split /\r\n\r\n/, $added)[1]);
}
--- client_out eval
"1{\"status\":200,\"body\":\"inner\"}2{\"message\":\"\xf0\x9f\xa6\x80 Hello \"}3{\"status\":200,\"body\":\"inner\"}4
/allowed: 200 own
/refused: 403
/mirrored: 200 own
{\"status\":200,\"body\":\"inner\"}own1
"
--- no_error_log eval: $::alive



=== TEST 6: a client that leaves while subrequests wait
--- http_config eval: $::plugins
--- config eval
$::locations . <<'_EOC_';
    location /page.html { ssi on; }
    location /guarded { auth_request /stuck; wasm_handler hello; }
_EOC_
--- user_files
>>> page.html
<!--#include virtual="/stuck?1" --><!--#include virtual="/stuck?2" -->
--- client eval
sub {
    my $silence = ::silence();
    my @rows;
    for (['/page.html', 3], ['/guarded', 2]) {
        my ($path, $requests) = @$_;
        my $client = connection();
        $client->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        # The silent server has all of them.
        my @taken = map { scalar $silence->accept } 2 .. $requests;
        $client->close;
        push @rows, "$path: " . writing();
    }
    rows(@rows, ::post('/hello', 'you'));
}
--- client_out eval
"/page.html: 1
/guarded: 1
200 {\"message\":\"\xf0\x9f\xa6\x80 Hello you\"}
"
--- no_error_log eval: $::clean



=== TEST 7: what leads to a plugin: error pages, also of broken requests, rewrites, named locations, X-Accel-Redirect
--- http_config eval: $::plugins
--- config eval
$::locations . <<'_EOC_';
    error_page 400 404 413 /sorry;
    location = /sorry { internal; wasm_handler hello; }
    location /small { client_max_body_size 2; wasm_handler hello; }
    location /rewritten { rewrite ^ /hello last; }
    location /tried { try_files /nothing @named; }
    location @named { wasm_handler hello; }
    location /accel { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/redirects; }
    location /redirects { add_header X-Accel-Redirect /hello; return 200; }
_EOC_
--- client eval
sub {
    rows((map { "$_: " . (::post($_, 'you') =~ s/[^ -~]+/*/r) } qw(/nothing /small /rewritten /tried /accel)),
        map { ::short(ask($_)) =~ s/[^ -~]+/*/r } "NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n");
}
--- client_out
/nothing: 404 {"message":"* Hello you"}
/small: 413 {"message":"* Hello "}
/rewritten: 200 {"message":"* Hello you"}
/tried: 200 {"message":"* Hello you"}
/accel: 200 {"message":"* Hello you"}
400 {"message":"* Hello "}
400 {"message":"* Hello "}
400 {"message":"* Hello "}
--- no_error_log eval: $::alive



=== TEST 8: conditions, ranges, chunked bodies, Expect, old versions of HTTP
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub {
    my $with = sub { ::short(ask(::request('/echo', 'abcdef', 'Connection: close', @_))) };
    my $waits = connection();
    $waits->write("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    my ($continue) = $waits->until(qr/\r\n\r\n/) =~ /^HTTP\S+ (\d+)/;
    $waits->write('abc');
    rows($with->('If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT'), $with->('If-None-Match: *'), $with->('If-Match: "x"'),
        $with->('Range: bytes=9-'), scalar(() = $with->('Range: bytes=0-0,2-3') =~ m{^Content-Range: bytes \d-\d/6}mg) . ' parts',
        "$continue, then " . ::short($waits->rest),
        ::short(ask("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n")),
        ::short(ask("POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nab")), ask("GET /inner\r\n"), ask("GET /hello\r\n") =~ s/[^ -~]+/*/r);
}
--- client_out
200 abcdef
304
412
416
2 parts
100, then 200 abc
200 abcde
200 ab
inner
{"message":"* Hello "}
--- no_error_log eval: $::clean



=== TEST 9: requests that come behind one that waits, on the same connection
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub {
    my $server = ::silence();
    my $client = connection();
    $client->write(::request('/fetch', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_9}/"));
    my $asked = $server->accept;
    $client->write(::request('/echo', 'second') . ::request('/echo', 'third', 'Connection: close'));
    ::post('/echo', 'the worker has seen them');
    print $asked "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";
    $asked->flush;
    my $answers = $client->rest;
    rows($answers =~ /\r\n\r\n(200: late|second|third)/g);
}
--- client_out
200: late
second
third
--- no_error_log eval: $::clean



=== TEST 10: clients that leave amid a large output or their own body
--- http_config eval: $::plugins
--- config eval: $::locations . 'location /produce { wasm_handler test function=produce; }'
--- client eval
sub {
    for my $how (qw(close reset)) {
        my @readers = map { ::asked('/produce', 20_000_000) } 1 .. 10;
        $_->until(qr/\r\n\r\np/) for @readers;
        $_->$how for @readers;
        my @writers = map { connection() } 1 .. 10;
        $_->write("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" . 'x' x 100000) for @writers;
        $_->$how for @writers;
    }
    my $left = writing();
    my (undef, $body) = split /\r\n\r\n/, ask(::request('/produce', 20_000_000, 'Connection: close'));
    rows($left, length $body);
}
--- client_out
1
20000000
--- no_error_log eval: $::clean



=== TEST 11: responses as JSON that are no good ones
What cannot be sent is left out: of a header, the line.
--- http_config eval
our %responses = (
    a => '{"status":204,"body":"x"}', b => '{"status":304,"body":"x"}', c => '{"status":101}', d => '{"status":70000}',
    e => '{"headers":{"x-a":"1\\\\r\\\\nx-b: 2","x c":"3","":"4","x\\\\r\\\\ny":"5","x-d":"a\\\\u0000"},"body":"lines"}',
    f => '{"headers":{"transfer-encoding":"chunked","Content-Length":"100","keep-alive":"x",":status":"500"},"body":"framing"}',
    g => '{"body":"a","body_base64":"YQ=="}', h => '{"body_base64":"*"}', i => '{"headers":{"x":1}}',
    j => '{"status":null,"headers":{},"body":null}', k => '{"headers":{"set-cookie":["a=1","b=2"]},"body_base64":"Ynl0ZXM="}',
);
CORE::join '', map { "wasm_module $_ \$TEST_NGINX_SERVER_ROOT/html/says.wat 'config=a:$responses{$_}';\n" } sort keys %responses;
--- config eval
CORE::join '', map { "location /$_ { wasm_handler $_ input=json errors=show error_status=502; }\n" } 'a' .. 'k'
--- user_files eval: ">>> says.wat\n$::says"
--- client eval
sub {
    my $client = connection();
    $client->write(CORE::join '', map { ::request("/$_", '') } 'a' .. 'k');
    rows(map {
        my ($head, $body) = $client->message;
        my @lines = $head =~ /^((?:x|set-cookie|transfer-encoding|content-length|keep-alive|:)[^\r]*)/mig;
        CORE::join ' | ', "$_ " . ($head =~ m{^HTTP/1\.1 (\d+)})[0], @lines, $body eq '' ? () : $body;
    } 'a' .. 'k');
}
--- client_out eval
<<'_EOC_'
a 204
b 304 | Content-Length: 1
c 502 | Content-Length: 37 | the status 101 is not from 200 to 999
d 502 | Content-Length: 99 | the output is no response as JSON: invalid value: integer `70000`, expected u16 at line 1 column 15
e 200 | Content-Length: 5 | lines
f 200 | Transfer-Encoding: chunked | framing
g 502 | Content-Length: 33 | there is a body and a body_base64
h 502 | Content-Length: 41 | body_base64: Invalid symbol 42, offset 0.
i 502 | Content-Length: 46 | the header "x" is no text and no list of texts
j 200 | Content-Length: 0
k 200 | Content-Length: 5 | set-cookie: a=1 | set-cookie: b=2 | bytes
_EOC_
--- grep_error_log eval: qr/\[wasm\] \w: the response goes without .*?(?=, client)/
--- grep_error_log_out eval
qr/\A\[wasm\] e: the response goes without headers that cannot be sent: "", "x\\x0D\\x0Ay", "x c", "x-a", "x-d"
\[wasm\] f: the response goes without headers that cannot be sent: ":status", "Content-Length"
\z/
--- no_error_log eval: $::alive



=== TEST 12: a client that has left when its request is read
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub {
    my $silence = ::silence();
    # One process does all. It sees the request and the end of the connection at once.
    open my $file, '<', $Test::Nginx::Util::PidFile or die "no pid: $!";
    my $pid = <$file> + 0;
    kill STOP => $pid;
    ::asked('/stuck', '')->close;
    kill CONT => $pid;
    rows(log_has(qr/client prematurely closed connection.*stuck/) ? 'seen' : 'not seen', writing(), ::post('/echo', 'goes on'));
}
--- client_out
seen
1
200 goes on
--- no_error_log eval: $::clean



=== TEST 13: a mirror has the body
--- http_config eval: $::plugins
--- config
    location /mirrored { mirror /mirror; client_body_in_single_buffer on; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/sink; }
    location /sink { return 200 "sunk\n"; }
    location /mirror { internal; wasm_handler test function=fail; }
--- client eval: sub { rows(::post('/mirrored', 'the body of it'), log_has(qr/\[wasm\] test: .*the body of it/) ? 'mirrored' : 'not mirrored') }
--- client_out
200 sunk

mirrored
--- no_error_log eval: qr/\[alert\]|\[emerg\]|\[crit\]/
