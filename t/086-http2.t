# HTTP/2: headers and pseudo-headers, bodies, local responses, parallel streams, resets. Clients are curl,
# nghttp and h2load, and t/lib/Wire/H2.pm where frames are to be sent one by one.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Wire::H2;

log_level('info');
no_long_string();

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "[$request_method $request_uri host=$http_host a=$http_x_a]"; }
    location /echo {
        add_header X-Saw "$http_content_length [$request_body]";
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/ok;
    }
    location /big { alias html/big.txt; }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# curl's own output, over cleartext HTTP/2 to the HTTP/2 server of a test.
sub h2 { return output_of('curl', '-sS', '--http2-prior-knowledge', @_[0 .. $#_ - 1], "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$_[-1]") }

# An HTTP/2 server with these locations.
sub server {
    my ($locations, $directives) = @_;
    return $module . ($directives // '') . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . "\n$locations\n}";
}

# Certificate and key, made for this run.
sub tls_files {
    our $pem //= output_of(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2
        -subj /CN=h2.example -keyout /dev/stdout -out /dev/stdout));
    return [["tls.pem", $pem]];
}

sub connection_h2 { return Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2})) }

run_tests();

__DATA__

=== TEST 1: the request's headers and pseudo-headers as a filter sees them
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"request_headers":[["log_headers","request"],["get_property","request.protocol"],["log_header","request","host"]]}'; return 200 ok; }~)
--- config
--- client eval: sub { main::h2(qw(-A agent -H X-UPPER:Value -H Host:h2.EXAMPLE:99), '/p/%7Eq?x=%20y') }
--- client_out chomp
ok
--- contexts: 1
--- guests_like eval: qr/request|host/
--- guests
a: on_request_headers id=2 count=7 eos=true
a: request has 7 pairs
a: request :authority=h2.EXAMPLE:99
a: request :path=/p/%7Eq?x=%20y
a: request :method=GET
a: request :scheme=http
a: request user-agent=agent
a: request accept=*/*
a: request x-upper=Value
a: property request.protocol = HTTP/2
a: request host=h2.EXAMPLE:99
--- no_error_log eval: $::bad



=== TEST 2: pseudo-headers that a filter sets reach the upstream
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"request_headers":[["set_header","request",":path","/new?y=2"],["set_header","request",":method","PUT"],["set_header","request",":authority","other.example:8"],["set_header","request","x-a","new"]]}';
    proxy_set_header Host $http_host;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}~)
--- config
--- client eval: sub { main::h2('/old?x=1') }
--- client_out chomp
[PUT /new?y=2 host=other.example:8 a=new]
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 3: over TLS, by ALPN
--- http_config eval
$::module . q~
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_3 ssl;
    http2 on;
    ssl_certificate ../html/tls.pem;
    ssl_certificate_key ../html/tls.pem;
    location / {
        wasm_filter a '{"trace":true,"request_headers":[["log_header","request",":scheme"],["log_header","request",":authority"]],"response_headers":[["set_header","response","x-version","seen"]]}';
        return 200 "over $server_protocol";
    }
}~
--- config
--- user_files eval: main::tls_files()
--- client eval
sub {
    output_of('curl', '-sSki', '--resolve', "h2.example:$ENV{TEST_NGINX_PORT_3}:127.0.0.1", '-w', ' curl %{http_version}', "https://h2.example:$ENV{TEST_NGINX_PORT_3}/");
}
--- client_out eval: qr{\AHTTP/2 200 .*\r\nx-version: seen\r\n\r\nover HTTP/2.0 curl 2\z}s
--- contexts: 1
--- guests_like eval: qr/request :/
--- guests eval: rows("a: request :scheme=https", "a: request :authority=h2.example:$ENV{TEST_NGINX_PORT_3}")
--- no_error_log eval: $::bad



=== TEST 4: cookie crumbs are one line for the filter and for the upstream
--- http_config eval
main::server(q~
location / {
    wasm_filter a '{"trace":true,"request_headers":[["log_header","request","cookie"],["add_header","request","cookie","c=3"]]}';
    proxy_set_header X-A $http_cookie;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}~)
--- config
--- client eval: sub { output_of('nghttp', '-H', 'cookie: a=1', '-H', 'cookie: b=2', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/") =~ s/host=\S+/host=/r }
--- client_out chomp
[GET / host= a=a=1; b=2; c=3]
--- contexts: 1
--- guests_like eval: qr/cookie/
--- guests
a: request cookie=a=1; b=2
--- no_error_log eval: $::bad



=== TEST 5: request bodies with and without content-length, rewritten
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"request_body":[["log_body","request",0,-1],["set_body","request",1,2,"-----"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/echo;
}~)
--- config
--- user_files
>>> body
abcd
--- client eval
sub {
    rows(map { my ($saw) = main::h2('-i', @$_, '/') =~ /^x-saw: (.*)\r/m; $saw } ['-d', 'wxyz'], ['-X', 'POST', '-H', 'Content-Length:', '-d', 'abcd'], ['-X', 'POST', '-d', ''],
    );
}
--- client_out
7 [w-----z]
7 [a-----d]
0 []
--- contexts: 3
--- guests_like eval: qr/body request|on_request_body/
--- guests
a: on_request_body id=2 size=4 eos=true
a: body request 0 4294967295 = wxyz
a: on_request_body id=3 size=4 eos=true
a: body request 0 4294967295 = abcd
--- no_error_log eval: $::bad



=== TEST 6: a request body in several DATA frames, of unknown length
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"request_body":[["log_body","request",0,-1],["set_body","request",0,0,"new "]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}~)
--- config
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my ($length) = $head =~ /^(content-length: \d+|transfer-encoding: \w+)/mi;
    my $answer = lc($length) . " [$body]";
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($answer) . "\r\n\r\n$answer");
}
--- client eval
sub {
    my $h2 = main::connection_h2();
    $h2->headers(1, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => '/', ':authority' => 'a');
    $h2->data(1, 0, 'one ');
    $h2->data(1, 0, 'two');
    $h2->data(1, 1, '');
    my %answer = $h2->answers(1);
    "$answer{1}\n";
}
--- client_out
content-length: 11 [new one two]
--- contexts: 1
--- guests_like eval: qr/on_request|body request/
--- guests
a: on_request_headers id=2 count=4 eos=false
a: on_request_body id=2 size=7 eos=true
a: body request 0 4294967295 = one two
--- no_error_log eval: $::bad



=== TEST 7: response bodies: longer, shorter, emptied, of 8 MiB
--- http_config eval
main::server(q~
location /longer { wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,0,"longer "]]}'; return 200 text; }
location /shorter { wasm_filter a '{"trace":true,"response_body":[["set_body","response",1,-1,""]]}'; return 200 text; }
location /empty { wasm_filter a '{"trace":true,"response_body":[["set_body","response",0,-1,""]]}'; return 200 text; }
location /big { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",100000000,0,"the end"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
~)
--- config
--- user_files eval: [['big.txt', "0123456789abcde\n" x (512 * 1024)]]
--- client eval
sub {
    my $big = main::h2('/big');
    rows((map { my $answer = main::h2('-i', $_); my ($head, $body) = split /\r\n\r\n/, $answer, 2; my ($length) = $head =~ /^content-length: (\d+)/m; "$_ " . ($length // '-') . " [$body]" } qw(/longer /shorter /empty)),
        length($big) . ' ' . substr($big, -10) =~ s/\n/ /r);
}
--- client_out
/longer 11 [longer text]
/shorter 1 [t]
/empty 0 []
8388615 de the end
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 8: local responses from every callback, to GET, HEAD and a POST that is still being sent
--- http_config eval
main::server(CORE::join '', map { qq~
    location /$_ {
        wasm_filter a '{"trace":true,"$_":[["local_response",418,[["x-local","1"]],"from $_"]]}';
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
    }~ } qw(request_headers request_body response_headers response_body))
--- config
--- user_files eval: [['upload', "x" x 1000000]]
--- client eval
sub {
    my $tell = sub { my ($head, $body) = $_[0] =~ /^(.*?)\r\n\r\n(.*)/s; my ($status) = $head =~ m{^HTTP/2 (\d+)}; my ($length) = $head =~ /^content-length: (\d+)/m; ($status // $head) . ($head =~ /^x-local: 1/m ? ' local ' : ' ') . ($length // '-') . " [$body]" };
    # curl takes nginx's RST_STREAM behind an early answer for an error.
    my $h2 = main::connection_h2();
    $h2->headers(1, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => '/request_headers', ':authority' => 'a');
    $h2->data(1, 0, 'x' x 16000);
    my %early = $h2->answers(1);
    $h2->data(1, 0, 'x' x 16000);
    $h2->get(3, '/request_headers');
    my %next = $h2->answers(3);
    rows(
        (map { "GET $_: " . $tell->(main::h2('-i', "/$_")) } qw(request_headers response_headers response_body)),
        (map { "HEAD $_: " . $tell->(main::h2('-I', "/$_")) } qw(request_headers response_headers)),
        (map { "POST $_: " . $tell->(main::h2('-i', '--data-binary', "\@$ENV{TEST_NGINX_SERVER_ROOT}/html/upload", "/$_")) } qw(request_body)),
        "early: $early{1}, next: $next{3}",
    );
}
--- client_out
GET request_headers: 418 local 20 [from request_headers]
GET response_headers: 418 local 21 [from response_headers]
GET response_body: 418 local 18 [from response_body]
HEAD request_headers: 418 local 20 []
HEAD response_headers: 418 local 21 []
POST request_body: 418 local 17 [from request_body]
early: from request_headers, next: from request_headers
--- contexts: 8
--- no_error_log eval: $::bad



=== TEST 9: HEAD: headers alone, no body callback
--- http_config eval
main::server(q~location / { wasm_filter a '{"trace":true,"response_headers":[["add_header","response","x-f","1"]]}'; return 200 "text"; }~)
--- config
--- client eval: sub { main::h2('-I', '/') }
--- client_out eval: qr{\AHTTP/2 200 .*content-length: 4\r\n.*x-f: 1\r\n\r\n\z}s
--- contexts: 1
--- guests_like eval: qr/on_re/
--- guests eval: qr/\Aa: on_request_headers id=2 count=\d+ eos=true\na: on_response_headers id=2 count=\d+ eos=true\n\z/
--- no_error_log eval: $::bad



=== TEST 10: response headers: names go out in lower case, lines of hop-by-hop headers not at all
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"response_headers":[["set_header","response",":status","203"],["add_header","response","X-Mixed","1"],["add_header","response","set-cookie","a=1"],["add_header","response","set-cookie","b=2"],["set_header","response","connection","close"],["set_header","response","transfer-encoding","chunked"],["set_header","response","server","mine"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}~)
--- config
--- client eval
sub {
    my ($head) = split /\r\n\r\n/, main::h2('-i', '/'), 2;
    rows($head =~ m{^(HTTP/2 \d+)}, sort grep { /^(?:x-mixed|set-cookie|connection|transfer-encoding|server)/i } split /\r\n/, $head);
}
--- client_out
HTTP/2 203
server: mine
set-cookie: a=1
set-cookie: b=2
x-mixed: 1
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 11: 400 requests in parallel streams, each with its own context
--- http_config eval
main::server(q~location / {
    wasm_filter a '{"trace":true,"request_headers":[["set_header","request","x-a","f"]],"response_body":[["set_body","response",0,0,">"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}~, 'keepalive_requests 1000;')
--- config
--- client eval
sub {
    my $out = output_of(qw(h2load -n 400 -c 2 -m 20), "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/");
    rows($out =~ /^(requests: .*|status codes: .*)/mg);
}
--- client_out
requests: 400 total, 400 started, 400 done, 400 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 400 2xx, 0 3xx, 0 4xx, 0 5xx
--- contexts: 400
--- no_error_log eval: $::bad



=== TEST 12: the client resets a stream that is paused in each callback; the other streams go on
--- http_config eval
main::server((CORE::join '', map { qq~
    location /$_ {
        wasm_filter a '{"trace":true,"$_":[["action","pause"]]}';
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
    }~ } qw(request_headers request_body response_headers response_body)) . 'location /other { return 200 other; } location /status { stub_status; }')
--- config
--- client eval
sub {
    my $h2 = main::connection_h2();
    my ($stream, $number, $out) = (1, 0, '');
    for my $callback (qw(request_headers request_body response_headers response_body)) {
        $h2->headers($stream, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => "/$callback", ':authority' => 'a', 'content-length' => '4');
        $h2->data($stream, 1, 'body');
        $number++;
        log_has(qr/(on_$callback[^\x00]*){1}/) or return "$out$callback does not come\n";
        $h2->reset($stream);
        log_has(qr/(on_delete[^\x00]*){$number}/) or return "$out$callback: the context does not end\n";
        $stream += 2;
        $h2->get($stream, '/other');
        my %answer = $h2->answers($stream);
        $out .= "$callback, then $answer{$stream}\n";
        $stream += 2;
    }
    $h2->get($stream, '/status');
    my %answer = $h2->answers($stream);
    $answer{$stream} =~ /(Writing: \d+)/;
    "$out$1\n";
}
--- client_out
request_headers, then other
request_body, then other
response_headers, then other
response_body, then other
Writing: 1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 13: the client resets a stream in the middle of its request body, and closes a connection with paused streams
--- http_config eval
main::server(q~
    location / { wasm_filter a '{"trace":true,"request_headers":[["if_path","/pause",[["action","pause"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
~)
--- config
    location /status { stub_status; }
--- client eval
sub {
    my $h2 = main::connection_h2();
    $h2->headers(1, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => '/', ':authority' => 'a');
    $h2->data(1, 0, 'half');
    log_has(qr/on_request_headers id=2 /) or return "no request\n";
    $h2->reset(1);
    log_has(qr/on_delete id=2/) or return "the first context does not end\n";
    $h2->get($_, '/pause') for 3, 5, 7;
    log_has(qr/on_request_headers id=5 /) or return "no pause\n";
    $h2->{connection}->reset;
    log_has(qr/(on_delete[^\x00]*){4}/) or return "contexts do not end\n";
    my $writing = wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: 1 / });
    $writing ? "nothing left\n" : "something left\n";
}
--- client_out
nothing left
--- contexts: 4
--- no_error_log eval
[$::bad, qr/on_request_body/]



=== TEST 14: a filter pauses one stream; another one on the connection overtakes it
--- http_config eval
main::server(q~
    location /slow { wasm_filter a '{"trace":true,"request_headers":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /quick { return 200 quick; }
    location /go { wasm_filter a '{"request_headers":[["local_response",200,[],"go"],["effective_context",3],["continue","request"]]}'; }
~)
--- config
--- client eval
sub {
    my $h2 = main::connection_h2();
    $h2->get(1, '/slow');
    log_has(qr/on_request_headers/) or return "no pause\n";
    $h2->get(3, '/quick');
    my %first = $h2->answers(3);
    $h2->get(5, '/go');
    my %then = $h2->answers(1, 5);
    rows((map { "$_ $first{$_}" } sort keys %first), (map { "$_ $then{$_}" } sort keys %then));
}
--- client_out eval
rows('3 quick', '1 [GET /slow host=127.0.0.1:' . "$ENV{TEST_NGINX_PORT_1} a=]", '5 go')
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 15: close_stream resets the stream and leaves the connection alone
--- http_config eval
main::server((CORE::join '', map { qq~
    location /$_ {
        wasm_filter a '{"trace":true,"$_":[["close","~ . (/request/ ? 'request' : 'response') . qq~"]]}';
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
    }~ } qw(request_headers request_body response_headers response_body)) . 'location /other { return 200 other; }')
--- config
--- client eval
sub {
    my $h2 = main::connection_h2();
    my $stream = -1;
    rows(map {
        $stream += 2;
        $h2->headers($stream, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => "/$_", ':authority' => 'a', 'content-length' => '4');
        $h2->data($stream, 1, 'body');
        my %closed = $h2->answers($stream);
        my $closed = $closed{$stream} =~ /^reset/ ? 'reset' : "got $closed{$stream}";
        $stream += 2;
        $h2->get($stream, '/other');
        my %other = $h2->answers($stream);
        "$_ $closed, then $other{$stream}";
    } qw(request_headers request_body response_headers response_body));
}
--- client_out
request_headers reset, then other
request_body reset, then other
response_headers reset, then other
response_body reset, then other
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 16: over TLS, an upload of 3 MB and its echo of 3 MB, both changed
--- http_config eval
$::module . q~
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_3 ssl;
    http2 on;
    client_max_body_size 10m;
    ssl_certificate ../html/tls.pem;
    ssl_certificate_key ../html/tls.pem;
    location / {
        wasm_filter a '{"trace":true,"request_body_end":[["set_body","request",100000000,0," tail"]],"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",100000000,0," end"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
}~
--- config
--- user_files eval: [@{ main::tls_files() }, ['upload', "0123456789" x 300000]]
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
}
--- client eval
sub {
    my $body = output_of('curl', '-sSk', '--resolve', "h2.example:$ENV{TEST_NGINX_PORT_3}:127.0.0.1", '--data-binary', "\@$ENV{TEST_NGINX_SERVER_ROOT}/html/upload", "https://h2.example:$ENV{TEST_NGINX_PORT_3}/");
    $body eq '0123456789' x 300000 . ' tail end' ? "as it should be\n" : length($body) . ' ' . substr($body, -100) . "\n";
}
--- client_out
as it should be
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 17: an upstream that breaks off its body breaks off the client's stream, not its connection
While a filter holds the header for the body, there still is a 502.
--- http_config eval
main::server(q~
location / { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location /held { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["action","continue"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location /other { return 200 other; }~)
--- config
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
}
--- client eval
sub {
    my $h2 = main::connection_h2();
    $h2->get(1, '/');
    my %first = $h2->answers(1);
    $h2->get(3, '/other');
    my %second = $h2->answers(3);
    my ($held) = main::h2('-i', '/held') =~ m{^HTTP/2 (\d+)};
    rows($first{1} =~ /^reset/ ? 'reset' : "got $first{1}", $second{3}, $held);
}
--- client_out
reset
other
502
--- contexts: 2
--- error_log
upstream prematurely closed connection
--- no_error_log eval: $::bad
