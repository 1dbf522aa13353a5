# proxy_http_call: what goes to the upstream, and what of the answer comes to the guest.

use Test::Nginx::Socket 'no_plan';
use Calls;
use JSON::PP ();
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1}, unix => 1);
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;

# A location that makes one call, to the path behind it, and answers with what comes of it.
our $any = location('/any/', {
    request_headers => [
        ['let', 'path', { property => 'request.query' }],
        http('a', path => joined('/', { var => 'path' })), pause(),
    ],
    http_call_response => answer(),
});

# /any for each of these paths: "path: answer".
sub any { return rows(map { "$_: " . get("/any/?$_") } @_) }

run_tests();

__DATA__

=== TEST 1: a request as the guest gave it
Header lines of a name keep their order; nothing but the host is added.
--- http_config eval: $::module
--- config eval
::location('/post', {request_headers => [::http('a', method => 'POST', path => '/echo?q=1&r=%20', body => 'body',
    headers => [['X-A', '1'], ['x-b', 'two words'], ['x-a', '3'], ['x-utf', "\xc3\xa9"], ['user-agent', 'guest']]), ::pause()], http_call_response => ::answer()})
. ::location('/get', {request_headers => [::http('a', path => '/echo'), ::pause()], http_call_response => ::answer()})
. ::location('/put', {request_headers => [::http('a', method => 'PUT', path => '/echo'), ::pause()], http_call_response => ::answer()})
--- client eval
sub {
    rows(map {
        my $e = ::echo_of(::get($_));
        CORE::join ' ', @$e{qw(method path version framing body)}, '|', map { "$_->[0]=$_->[1]" } @{$e->{headers}};
    } qw(/post /get /put));
}
--- client_out eval
"POST /echo?q=1&r=%20 HTTP/1.1 length body | host=up.example x-a=1 x-a=3 x-b=two words x-utf=\x{c3}\x{a9} user-agent=guest content-length=4
GET /echo HTTP/1.1 none  | host=up.example
PUT /echo HTTP/1.1 length  | host=up.example content-length=0
"
--- no_error_log eval: $::clean



=== TEST 2: what is about the connection and the framing is the host's
Neither a wrong length nor a second host reaches the upstream, nor what a Connection line names.
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', method => 'POST', path => '/raw', body => 'body', headers => [
    ['connection', 'close, x-hop'], ['x-hop', '1'], ['keep-alive', '5'], ['proxy-connection', 'close'], ['te', 'trailers'], ['upgrade', 'h2c'],
    ['transfer-encoding', 'chunked'], ['content-length', '9999'], ['content-length', '1'], ['host', 'evil'], ['trailer', 'x'], ['x-end', '2']]), ::pause()],
    http_call_response => ::answer({body => 'call_response'})})
. ::location('/host', {request_headers => [::http('a', all => [[':method', 'GET'], [':path', '/raw'], ['Host', 'only']]), ::pause()],
    http_call_response => ::answer({body => 'call_response'})})
--- client eval: sub { ::get('/x') . ::get('/host') }
--- client_out eval
"200 POST /raw HTTP/1.1\r\nhost: up.example\r\nx-end: 2\r\ncontent-length: 4\r\n\r\nbody200 GET /raw HTTP/1.1\r\nhost: only\r\n\r\n"
--- no_error_log eval: $::clean



=== TEST 3: what cannot be sent is refused at once
Nothing of it reaches the upstream.
--- http_config eval: $::module
--- config eval
my $call = sub { ::http(shift, all => [@_]) };
my ($m, $p, $a) = ([':method', 'GET'], [':path', '/bad'], [':authority', 'a']);
::location('/x', {request_headers => [
    $call->('method', $p, $a), $call->('path', $m, $a), $call->('authority', $m, $p),
    $call->('method-crlf', [':method', "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"], $p, $a), $call->('method-empty', [':method', ''], $p, $a),
    $call->('connect', [':method', 'CONNECT'], $p, $a), $call->('path-crlf', $m, [':path', "/ HTTP/1.1\r\nx: y"], $a),
    $call->('path-nul', $m, [':path', "/a\0b"], $a), $call->('path-line', $m, [':path', "a\nb"], $a), $call->('path-delete', $m, [':path', "http://a/\x7f"], $a),
    $call->('twice', $m, $p, $a, [':path', '/two']), $call->('pseudo', $m, $p, $a, [':status', '200']),
    $call->('value-crlf', $m, $p, $a, ['x', "a\r\nb: c"]), $call->('value-nul', $m, $p, $a, ['x', "a\0b"]), $call->('authority-crlf', $m, $p, [':authority', "a\r\nb: c"]),
    $call->('name-space', $m, $p, $a, ['x y', 'a']), $call->('name-colon', $m, $p, $a, ['x:y', 'a']), $call->('name-empty', $m, $p, $a, ['', 'a']),
    ::http('trailer-crlf', path => '/bad', trailers => [['x', "a\nb"]]), ::http('trailer-pseudo', path => '/bad', trailers => [[':path', '/']]),
    ::http('upstream', path => '/bad', upstream => 'nobody'), ::http('no-upstream', path => '/bad', upstream => ''), ::http('port', path => '/bad', upstream => '127.0.0.1:0'),
    ['local_response', 200, [], 'refused']]})
--- client eval
sub {
    ask("GET /log/clear HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1});
    my $answer = ::get('/x');
    $answer .= ' ' . scalar(::told(qr/^http_call \S+: status 2$/)) . ' of ' . scalar(::told(qr/^http_call/)) . "\n";
    my ($log) = ask("GET /log HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /\r\n\r\n(.*)/s;
    return $answer . $log;
}
--- client_out
200 refused 23 of 23
--- no_error_log eval: $::clean



=== TEST 4: a path that is not quite a URI goes escaped
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', path => "/none/<a>/\xc3\xa9?{\"q\":`1`}"), ::pause()], http_call_response => ::answer()})
. ::location('/y', {request_headers => [::http('a', path => '/none/%2f//..;a=b?{|}&c[]=^'), ::pause()], http_call_response => ::answer()})
--- client eval
sub {
    ask("GET /log/clear HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1});
    ::get($_) for qw(/x /y);
    (ask("GET /log HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /\r\n\r\n(.*)/s)[0];
}
--- client_out
GET /none/%3Ca%3E/%C3%A9?%7B%22q%22:%601%60%7D
GET /none/%2f//..;a=b?{|}&c[]=^
--- no_error_log eval: $::clean



=== TEST 5: the answer: :status first, names in lower case, each value a pair
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', path => '/multi'), ::pause()], http_call_response => [
    ['log_headers', 'call_response'], ['log_header', 'call_response', 'X-MULTI'], ['log_header', 'call_response', 'x-none'],
    ['log_body', 'call_response', 0, -1], ['log_body', 'call_response', 1, 2], ['log', 'info', {property => 'call.error'}], ['continue', 'request']]})
--- request
GET /x
--- response_body: done
--- guests
a: call_response has 8 pairs
a: call_response :status=200
a: call_response content-type=text/plain
a: call_response content-length=5
a: call_response x-multi=1
a: call_response x-multi=2
a: call_response x-other=o
a: call_response set-cookie=a=1
a: call_response set-cookie=b=2
a: call_response X-MULTI=1
a: call_response x-none: status 1
a: body call_response 0 4294967295 = multi
a: body call_response 1 2 = ul
a: status 1
--- no_error_log eval: $::clean



=== TEST 6: trailers of the request
--- http_config eval: $::module
--- config eval
my $trailers = [['X-One', '1'], ['x-two', '2'], ['x-one', '3'], ['content-length', '5'], ['transfer-encoding', 'gzip']];
::location('/post', {request_headers => [::http('a', method => 'POST', path => '/echo', body => 'body', trailers => $trailers), ::pause()], http_call_response => ::answer()})
. ::location('/get', {request_headers => [::http('a', path => '/echo', trailers => $trailers), ::pause()], http_call_response => ::answer()})
--- client eval
sub {
    rows(map {
        my $e = ::echo_of(::get($_));
        CORE::join ' ', @$e{qw(method framing body)}, '|', map { "$_->[0]=$_->[1]" } @{$e->{headers}}, ['|', ''], @{$e->{trailers}};
    } qw(/post /get));
}
--- client_out
POST chunked body | host=up.example trailer=x-one, x-two transfer-encoding=chunked |= x-one=1 x-one=3 x-two=2
GET chunked  | host=up.example trailer=x-one, x-two transfer-encoding=chunked |= x-one=1 x-one=3 x-two=2
--- no_error_log eval: $::clean



=== TEST 7: trailers of the answer
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', path => '/trailers'), ::pause()], http_call_response => [
    ['log_headers', 'call_response_trailers'], ['log_body', 'call_response', 0, -1], ['log', 'info', ::joined({var => 'headers'}, ' ', {var => 'body'}, ' ', {var => 'trailers'})],
    ['continue', 'request']]})
--- request
GET /x
--- response_body: done
--- guests
a: call_response_trailers has 3 pairs
a: call_response_trailers x-trailer=1
a: call_response_trailers x-trailer=2
a: call_response_trailers x-last=end
a: body call_response 0 4294967295 = hello, world
a: 3 12 3
--- no_error_log eval: $::clean



=== TEST 8: answers of every form
--- http_config eval: $::module
--- config eval: $::any
--- client eval: sub { ::any(qw(size/0 size/10 chunked/3/4 hints status/204 status/304 status/404/none status/503/busy http10 http10-length until-close early drip/0.001 many-headers/900 huge-head/60000)) }
--- client_out
size/0: 200 200 
size/10: 200 200 abcdefghab
chunked/3/4: 200 200 abcabcabcabc
hints: 200 200 behind hints
status/204: 200 204 
status/304: 200 304 
status/404/none: 200 404 none
status/503/busy: 200 503 busy
http10: 200 200 hello
http10-length: 200 200 hello
until-close: 200 200 hello
early: 200 413 large
drip/0.001: 200 200 drip, drip
many-headers/900: 200 200 hello
huge-head/60000: 200 200 hello
--- no_error_log eval: $::clean



=== TEST 9: HEAD has no body, whatever its length says
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', method => 'HEAD', path => '/size/100'), ::pause()],
    http_call_response => ::answer({header => ['call_response', 'content-length']}, ' ', {body_size => 'call_response'})})
. ::location('/y', {request_headers => [::http('a', path => '/echo'), ::pause()], http_call_response => ::answer()})
--- client eval: sub { rows(::get('/x'), ::echo_of(::get('/y'))->{requests}) }
--- client_out
200 100 0
2
--- no_error_log eval: $::clean



=== TEST 10: a connection is used again after a whole answer that lets it
Each line: what comes before, and how many requests the connection of the next one has had.
--- http_config eval: $::module
--- config eval: $::any
--- client eval
sub {
    rows(map {
        my $path = $_;
        # The connection before may have been kept.
        ::any('close');
        ::any($path);
        "$path: " . ::echo_of(::any('echo'))->{requests};
    } qw(size/10 chunked/3/4 trailers hints status/204 status/304 until-close http10 surplus truncated));
}
--- client_out
size/10: 2
chunked/3/4: 2
trailers: 2
hints: 2
status/204: 2
status/304: 2
until-close: 1
http10: 1
surplus: 1
truncated: 1
--- no_error_log eval: $::alive



=== TEST 11: a kept connection that the server has closed meanwhile costs nothing
--- http_config eval: $::module
--- config eval: $::any
--- client eval: sub { ::any(qw(stale size/3 stale stale size/4)) }
--- client_out
stale: 200 200 hello
size/3: 200 200 abc
stale: 200 200 hello
stale: 200 200 hello
size/4: 200 200 abcd
--- no_error_log eval: $::clean



=== TEST 12: a kept connection that is closed instead of an answer
The request is made again on a new connection where it does no harm to make it twice.
--- http_config eval: $::module
--- config eval
CORE::join '', map { ::location("/$_", {request_headers => [::http('a', method => $_, upstream => '127.0.0.1:$TEST_NGINX_PORT_9'), ::pause()], http_call_response => ::answer()}) } qw(GET PUT POST PATCH)
--- upstream eval
# Each connection has one answer.
sub {
    my ($c, $number) = @_;
    my ($head) = $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" . $number % 10);
    $c->message;
}
--- client eval: sub { rows(map { "$_ " . ::get("/$_") } qw(POST GET PUT POST POST PATCH)) }
--- client_out
POST 200 200 1
GET 200 200 2
PUT 200 200 3
POST 502 failed: connection closed before the end of the response
POST 200 200 4
PATCH 502 failed: connection closed before the end of the response
--- no_error_log eval: $::alive



=== TEST 13: many calls at once
All are on their way before the first one is answered; each gets its own answer.
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [(map { ::http($_, path => "/size/$_", timeout => 5000) } 1 .. 30), ::http('d', path => '/delay/0.2'), ::pause()],
    http_call_response => [
        ['if', {var => 'call'}, 'd', [], [['if', {var => 'call'}, {var => 'body'}, [['let', 'good', {add => [{var => 'good'}, 1]}]]]]],
        ['if', {var => 'responses'}, '31', [['local_response', 200, [], ::joined({var => 'good'}, ' ', {body => 'call_response'})]]]]})
--- client eval: sub { ::get('/x') }
--- client_out: 200 30 late
--- no_error_log eval: $::clean



=== TEST 14: calls that follow from answers
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('0', path => '/size/0'), ::pause()],
    http_call_response => [
        ['let', 'sum', {add => [{var => 'sum'}, {var => 'body'}]}],
        ['if', {var => 'responses'}, '10', [['local_response', 200, [], {var => 'sum'}]],
            [::http('n', path => ::joined('/size/', {var => 'responses'}))]]]})
--- client eval: sub { ::get('/x') }
--- client_out: 200 45
--- no_error_log eval: $::clean



=== TEST 15: a large body each way
--- http_config eval: $::module
--- config eval
::location('/x', {request_body_end => [::http('a', method => 'POST', path => '/echo', body => {body => 'request'}), ::pause()], http_call_response => ::answer()},
    'client_body_buffer_size 1m; client_max_body_size 1m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;')
--- client eval
sub {
    my $body = CORE::join ' ', 1 .. 123_000;
    my $e = ::echo_of(::get('/x', method => 'POST', body => $body));
    return length($body) . ' ' . ($e->{body} eq $body ? 'the same' : length $e->{body});
}
--- client_out: 749894 the same
--- no_error_log eval: $::clean



=== TEST 16: wasm_call_buffer_size bounds the body of the answer, however it is framed
--- http_config eval: $::module
--- config eval: "wasm_call_buffer_size 1k; $::any"
--- client eval: sub { ::any(qw(size/1025 chunked/1025/1 chunked/5/205 endless)) . ::any('size/1024') =~ s/abc.*gh/.../r . ::any('chunked/512/2') =~ s/abc.*gh/.../r }
--- client_out
size/1025: 502 failed: response body larger than 1024 bytes
chunked/1025/1: 502 failed: response body larger than 1024 bytes
chunked/5/205: 502 failed: response body larger than 1024 bytes
endless: 502 failed: response body larger than 1024 bytes
size/1024: 200 200 ...
chunked/512/2: 200 200 ...
--- no_error_log eval: $::alive



=== TEST 17: the upstream: a block, a socket
--- http_config eval: $::module . ' upstream block { server 127.0.0.1:$TEST_NGINX_PORT_1; } '
--- config eval
CORE::join '', map { ::location("/$_->[0]", {request_headers => [::http('a', path => '/echo', upstream => $_->[1]), ::pause()], http_call_response => ::answer()}) }
    ['block', 'block'], ['socket', "unix:$::faults->{unix}"]
--- client eval: sub { rows(map { my $e = ::echo_of(::get("/$_")); "$_ $e->{listener} $e->{headers}[0][1]" } qw(block socket)) }
--- client_out
block tcp up.example
socket unix up.example
--- no_error_log eval: $::clean
