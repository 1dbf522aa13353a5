# wasm_handler with components of wasi:http 0.2 and 0.3: what they see of a request, and what becomes of their responses.

use Test::Nginx::Socket 'no_plan';
use Service;
use Wire;

log_level('info');
no_long_string();

our $components = <<'_EOC_';
wasm_cache $TEST_NGINX_SERVROOT.cache;
wasm_module hello  $TEST_NGINX_FILTERS/component_hello.wasm;
wasm_module hello3 $TEST_NGINX_FILTERS/component_hello_p3.wasm;
wasm_module lab    $TEST_NGINX_FILTERS/component_lab.wasm    env=MODE=strict env=EMPTY= env=TEST_NGINX_NO_SUCH;
wasm_module lab3   $TEST_NGINX_FILTERS/component_lab_p3.wasm env=MODE=strict env=EMPTY= env=TEST_NGINX_NO_SUCH;
_EOC_
our $locations = <<'_EOC_';
    location /hello/2 { wasm_handler hello; }
    location /hello/3 { wasm_handler hello3; }
    location /2/ { rewrite ^/2(.*)$ $1 break; wasm_handler lab; }
    location /3/ { rewrite ^/3(.*)$ $1 break; wasm_handler lab3; }
_EOC_
our $clean = $Service::clean;

# The header of a response without what differs from run to run, sorted.
sub lines { return join ', ', sort grep { !/^(?:HTTP|Server|Date|Connection|Content-Length|Transfer-Encoding)/i } split /\r\n/, $_[0] }

run_tests();

__DATA__

=== TEST 1: hello of both versions, over HTTP/1.1 and HTTP/2
--- http_config eval
$::components . "server { listen 127.0.0.1:\$TEST_NGINX_PORT_2; http2 on; $::locations }"
--- config eval: $::locations
--- client eval
sub {
    rows(map {
        my ($head, $body) = answered("/hello/$_", 'John Doe');
        my $h2 = output_of(qw(curl -sS --http2-prior-knowledge -d), 'Jane', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/hello/$_");
        ((split /\r\n/, $head)[0], main::lines($head), $body, $h2);
    } 2, 3);
}
--- client_out
HTTP/1.1 200 OK
Content-Type: application/json
{"message":"Hello John Doe"}
{"message":"Hello Jane"}
HTTP/1.1 200 OK
Content-Type: application/json
{"message":"Hello John Doe"}
{"message":"Hello Jane"}
--- no_error_log eval: $::clean



=== TEST 2: the request as a component sees it: its own target, scheme and host; no lines about the connection
--- http_config eval: $::components
--- config eval: $::locations
--- client eval
sub {
    rows(map {
        my $connection = connection();
        $connection->write("GET /$_/request?a=%20b&c HTTP/1.1\r\nHost: A.example:99\r\nConnection: close\r\nX-One: 1\r\nX-One: 2\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n");
        my ($first, @lines) = split /\n/, ($connection->message)[1];
        (lc $first, sort @lines);
    } 2, 3);
}
--- client_out
method::get some(scheme::http) some("a.example:99") some("/request?a=%20b&c")
te: trailers
x-one: 1
x-one: 2
method::get some(scheme::http) some("a.example:99") some("/request?a=%20b&c")
te: trailers
x-one: 1
x-one: 2
--- no_error_log eval: $::clean



=== TEST 3: the environment is what env= says; there are no arguments and no input
--- http_config eval: $::components
--- config eval: $::locations
--- client eval
sub { rows(map { my $version = $_; map { (short("/$version$_", ''))[0] } qw(/env /args /stdin) } 2, 3) }
--- client_out
200 MODE=strict
EMPTY=

200 
200 0
200 MODE=strict
EMPTY=

200 
200 0
--- no_error_log eval: $::clean



=== TEST 4: standard output and standard error are lines of the log, with the request
--- http_config eval: $::components
--- config eval: $::locations
--- client eval
sub {
    # What has no end is told when the guest comes to its own, perhaps when its request has ended.
    rows(short('/2/print', ''), short('/3/print', ''), map { log_has(qr/\[wasm\] $_: without an end/) ? "$_ at its end" : "$_: nothing" } qw(lab lab3));
}
--- client_out
200 done
200 done
lab at its end
lab3 at its end
--- guests_like eval: qr/first|second|standard error/
--- guests
lab: first
lab: second
lab: to standard error
lab3: first
lab3: second
lab3: to standard error
--- no_error_log eval: qr/\[alert\]|\[emerg\]|\[crit\]|panicked/



=== TEST 5: log_rate= holds for them
--- http_config
wasm_cache $TEST_NGINX_SERVROOT.cache;
wasm_module lab $TEST_NGINX_FILTERS/component_lab.wasm log_rate=2;
--- config
    location /x/ { rewrite ^/x(.*)$ $1 break; wasm_handler lab; }
--- client eval
sub { rows(short('/x/print', ''), log_has(qr/lab: 2 lines not written, over log_rate=2/) ? 'summed up' : 'not summed up') }
--- client_out
200 done
summed up
--- guests
lab: first
lab: second



=== TEST 6: HEAD has the header of GET; 204 has no body; what is no final status is an error to the guest
--- http_config eval: $::components
--- config eval: $::locations
--- client eval
sub {
    rows(map {
        my $version = $_;
        my $head = ask("HEAD /$version/head-length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($length) = $head =~ /Content-Length: (\d+)/;
        my @statuses = map { my $answer = short("/$version/status?$_", ''); "$_: $answer" } 201, 204, 404, 599, 999, 99, 100, 101;
        ('HEAD: ' . ((split ' ', $head)[1]) . " length $length", @statuses);
    } 2, 3);
}
--- client_out
HEAD: 200 length 5
201: 201 true
204: 204 
404: 404 true
599: 599 true
999: 999 true
99: 200 false
100: 200 false
101: 200 false
HEAD: 200 length 5
201: 201 true
204: 204 
404: 404 true
599: 599 true
999: 999 true
99: 200 false
100: 200 false
101: 200 false
--- no_error_log eval: $::clean



=== TEST 7: gzip, and a range that is not made of what a component makes
--- http_config eval: $::components
--- config
    gzip on; gzip_min_length 1; gzip_types *;
    location /x/ { rewrite ^/x(.*)$ $1 break; wasm_handler lab; }
--- client eval
sub {
    my $zipped = ask("GET /x/request HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n");
    my $part = ask("GET /x/request HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=0-3\r\n\r\n");
    rows($zipped =~ /Content-Encoding: gzip/ ? 'gzip' : 'plain', (split ' ', $part)[1], $part =~ /Accept-Ranges/i ? 'ranges' : 'no ranges');
}
--- client_out
gzip
200
no ranges
--- no_error_log eval: $::clean



=== TEST 8: trailers behind the body, for who takes some
--- http_config eval
$::components . "server { listen 127.0.0.1:\$TEST_NGINX_PORT_2; http2 on; $::locations }"
--- config eval: $::locations
--- client eval
sub {
    my $shows = sub { $_[0] =~ /x-checksum: abc/i ? 'trailers' : 'none' };
    rows(map {
        my $version = $_;
        my $get = "GET /$version/trailers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        ("$version: " . join ', ', map({ $shows->(ask($get . $_ . "\r\n")) } '', "TE: trailers\r\n", "TE: gzip;q=0.5, trailers\r\n"),
            $shows->(output_of(qw(curl -sSi --http2-prior-knowledge), "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/$version/trailers")));
    } 2, 3);
}
--- client_out
2: none, trailers, trailers, trailers
3: none, trailers, trailers, trailers
--- no_error_log eval: $::clean



=== TEST 9: each request has an instance of its own; with isolation=worker and reuse=, as many as that share one
--- http_config
wasm_cache $TEST_NGINX_SERVROOT.cache;
wasm_module lab    $TEST_NGINX_FILTERS/component_lab.wasm;
wasm_module lab3   $TEST_NGINX_FILTERS/component_lab_p3.wasm;
wasm_module twice  $TEST_NGINX_FILTERS/component_lab.wasm    isolation=worker reuse=2;
wasm_module all    $TEST_NGINX_FILTERS/component_lab.wasm    isolation=worker;
wasm_module all3   $TEST_NGINX_FILTERS/component_lab_p3.wasm isolation=worker;
--- config
    location /lab/   { rewrite ^/\w+(.*)$ $1 break; wasm_handler lab; }
    location /lab3/  { rewrite ^/\w+(.*)$ $1 break; wasm_handler lab3; }
    location /twice/ { rewrite ^/\w+(.*)$ $1 break; wasm_handler twice; }
    location /all/   { rewrite ^/\w+(.*)$ $1 break; wasm_handler all; }
    location /all3/  { rewrite ^/\w+(.*)$ $1 break; wasm_handler all3; }
--- client eval
sub {
    # A guest of 0.3 may still be at its end when the next request comes, which gets another instance then.
    my $shared = wait_for(sub { (split / /, short('/all3/count', ''))[1] >= 4 });
    rows(map({ my $name = $_; "$name: " . join ' ', map { (split / /, short("/$name/count", ''))[1] } 1 .. 4 } qw(lab lab3 twice all)), 'all3: ' . ($shared ? 'shared' : 'not shared'));
}
--- client_out
lab: 1 1 1 1
lab3: 1 1 1 1
twice: 1 2 1 2
all: 1 2 3 4
all3: shared
--- no_error_log eval: $::clean



=== TEST 10: a guest goes on behind its response, though its client has left
--- http_config eval: $::components
--- config eval: $::locations
--- client eval
sub { rows(short('/3/linger?300', ''), log_has(qr/\[wasm\] lab3: behind the response$/m) ? 'goes on' : 'nothing') }
--- client_out
200 answered
goes on
--- no_error_log eval: $::clean
