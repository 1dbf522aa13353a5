# wasm_handler: an Extism plugin answers requests.

use Test::Nginx::Socket 'no_plan';
use Handler;
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1}, unix => 1);
our $plugins = <<'_EOC_';
wasm_module hello  $TEST_NGINX_FILTERS/extism_hello.wasm;
wasm_module test   $TEST_NGINX_FILTERS/extism_pdk_test.wasm;
wasm_module vowels $TEST_NGINX_FILTERS/extism_count_vowels.wasm config=vowels:aeiou;
_EOC_
our $locations = <<'_EOC_';
    location /hello { wasm_handler hello content_type=application/json; }
    location /echo { client_max_body_size 64m; wasm_handler test function=echo; }
    location ~ ^/named/(\w+)$ { wasm_handler test function=$1; }
    location /vowels { wasm_handler vowels; }
_EOC_
our $clean = $Handler::clean;
our $alive = $Handler::alive;

run_tests();

__DATA__

=== TEST 1: the plugin's one function answers with the body
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub {
    my ($head, $body) = post('/hello', 'John Doe');
    rows(grep({ /^(HTTP|Content-Type|Content-Length|Accept-Ranges)/i } split /\r\n/, $head), $body);
}
--- client_out eval
"HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 33
Accept-Ranges: bytes
{\"message\":\"\xf0\x9f\xa6\x80 Hello John Doe\"}
"
--- no_error_log eval: $::clean



=== TEST 2: functions by variables; what does not exist is 404, and what starts an instance has no name
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub { rows(map { my $answer = short("/named/$_", 'abc'); $answer =~ s/<.*//s; "$_: $answer" } qw(echo nothing _start _initialize __wasm_call_ctors)) }
--- client_out
echo: 200 abc
nothing: 404 
_start: 404 
_initialize: 404 
__wasm_call_ctors: 404 
--- error_log
[wasm] test: Function not found: nothing
--- no_error_log eval: $::alive



=== TEST 3: HEAD, a range, gzip and a body that is too large are nginx's
--- http_config eval: $::plugins
--- config
    location /echo { client_max_body_size 1k; wasm_handler test function=echo content_type=text/html; }
    location /zip { client_max_body_size 1m; gzip on; gzip_min_length 1; wasm_handler test function=echo content_type=text/html; }
--- client eval
sub {
    my ($head) = post('/echo', 'abcdef', method => 'HEAD');
    my ($length) = $head =~ /Content-Length: (\d+)/;
    my ($part, $range) = post('/echo', 'abcdef', lines => ['Range: bytes=2-3']);
    my ($zipped) = post('/zip', 'a' x 5000, lines => ['Accept-Encoding: gzip']);
    rows("HEAD $length", (split / /, $part)[1] . " $range", $zipped =~ /Content-Encoding: gzip/ ? 'gzip' : 'plain',
        (split / /, (post('/echo', 'a' x 2000))[0])[1]);
}
--- client_out
HEAD 6
206 cd
gzip
413
--- no_error_log eval: $::alive



=== TEST 4: bodies of megabytes, in memory and in a temporary file
--- http_config eval: $::plugins
--- config eval: $::locations
--- client eval
sub {
    rows(map {
        my $text = CORE::join '', map { chr(($_ * 7919) % 251) } 1 .. 4096;
        $text = $text x ($_ / 4096);
        my (undef, $body) = post('/echo', $text);
        "$_: " . ($body eq $text ? 'same' : 'another');
    } 4096, 1 << 20, 8 << 20);
}
--- client_out
4096: same
1048576: same
8388608: same
--- no_error_log eval: $::clean



=== TEST 5: a call that fails: the status, the error page, and the message if the client may have it
--- http_config eval: $::plugins
--- config
    location /hidden { wasm_handler test function=fail; }
    location /shown { wasm_handler test function=fail errors=show error_status=422; }
    location /page { error_page 500 =503 /sorry; wasm_handler test function=fail; }
    location /sorry { return 200 "sorry\n"; }
    location /panic { wasm_handler test function=panic errors=show; }
    location /code { wasm_handler test function=fail_with_code errors=show; }
    location /echo { wasm_handler test function=echo; }
--- client eval
sub {
    rows(map { my $answer = short($_, 'wrong'); $answer =~ s/<html>.*//s; $answer =~ s/(panicked|wasm trap|error while).*/.../s; "$_: $answer" }
        qw(/hidden /shown /page /code /echo /echo));
}
--- client_out
/hidden: 500 
/shown: 422 wrong
/page: 503 sorry

/code: 500 wrong
/echo: 200 wrong
/echo: 200 wrong
--- error_log
[wasm] test: wrong, client: 127.0.0.1
--- no_error_log eval: $::alive



=== TEST 6: a trap costs its own instance alone
--- http_config eval: $::plugins
--- config
    location /panic { wasm_handler test function=panic; }
    location /echo { wasm_handler test function=echo; }
--- client eval
sub { rows(map { my ($answer) = short($_, 'x'); $answer =~ s/<.*//s; $answer } qw(/echo /panic /echo /panic /panic /echo)) }
--- client_out
200 x
500 
200 x
500 
500 
200 x
--- no_error_log eval: qr/\[alert\]|\[emerg\]|signal/



=== TEST 7: vars live as long as the instance; with an instance for each request they do not
--- http_config
wasm_module vowels $TEST_NGINX_FILTERS/extism_count_vowels.wasm;
wasm_module fresh  $TEST_NGINX_FILTERS/extism_count_vowels.wasm isolation=request config=vowels:o;
wasm_module shared $TEST_NGINX_FILTERS/extism_count_vowels.wasm isolation=request vars=shared;
--- config
    location /vowels { wasm_handler vowels; }
    location /fresh { wasm_handler fresh; }
    location /shared { wasm_handler shared; }
--- client eval
sub { rows(map { short($_, 'hello') } qw(/vowels /vowels /fresh /fresh /shared /shared)) }
--- client_out
200 {"count":2,"total":2,"vowels":"aeiouAEIOU"}
200 {"count":2,"total":4,"vowels":"aeiouAEIOU"}
200 {"count":1,"total":1,"vowels":"o"}
200 {"count":1,"total":1,"vowels":"o"}
200 {"count":2,"total":2,"vowels":"aeiouAEIOU"}
200 {"count":2,"total":4,"vowels":"aeiouAEIOU"}
--- no_error_log eval: $::clean



=== TEST 8: requests and responses as JSON
--- http_config
wasm_module json $TEST_NGINX_FILTERS/extism_json.wasm;
wasm_module test $TEST_NGINX_FILTERS/extism_pdk_test.wasm;
--- config
    location /api { wasm_handler json input=json; }
    location /teapot { wasm_handler json input=json; }
    location /seen { set $mine "my value"; wasm_handler test function=echo input=json variable=$mine error_status=502 errors=show; }
--- client eval
sub {
    my ($head, $body) = post('/api/a%20b?q=1', 'text', lines => ['X-Name: one', 'x-name: two']);
    my @lines = grep { /^(HTTP|Content-Type|X-)/i } split /\r\n/, $head;
    my ($seen) = short('/seen', "\xff");
    rows(@lines, $body . short('/teapot', ''), $seen);
}
--- client_out eval
qr{HTTP/1.1 200 OK
Content-Type: text/plain
x-method: POST
x-two: 1
x-two: 2
POST\ /api/a%20b\?q=1
path /api/a\ b
query q=1
from 127.0.0.1
x-name one,two
body text
418 POST /teapot
path /teapot
query 
from 127.0.0.1
x-name 
body 

502 the output is no response as JSON: unknown field `method`.*}
--- no_error_log eval: $::alive



=== TEST 9: a call that waits for another server holds up nobody
One worker: each of these waits for the others' answers.
--- http_config
wasm_module out $TEST_NGINX_FILTERS/extism_pdk_test.wasm allowed_hosts=127.0.0.1,backend;
upstream backend { server 127.0.0.1:$TEST_NGINX_PORT_1; }
--- config
    location /fetch { wasm_handler out function=fetch errors=show; }
    location /inner { return 200 "inner $http_x_plugin\n"; }
--- client eval
sub {
    my $port = $ENV{TEST_NGINX_SERVER_PORT};
    my @waiting = map { my $c = connection(); my $url = "http://127.0.0.1:$port/inner";
        $c->write("POST /fetch HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " . length($url) . "\r\n\r\n$url"); $c } 1 .. 20;
    my %answers;
    $answers{(split /\r\n\r\n/, $_->rest, 2)[1]}++ for @waiting;
    rows((map { "$answers{$_} times $_" } sort keys %answers), short('/fetch', 'http://elsewhere.example/'));
}
--- client_out
20 times 200: inner extism_pdk_test

500 HTTP request to http://elsewhere.example/ is not allowed in fetch
--- no_error_log eval: $::alive



=== TEST 10: filters run before and behind a plugin
--- http_config
wasm_module hello   $TEST_NGINX_FILTERS/extism_hello.wasm;
wasm_module headers $TEST_NGINX_FILTERS/headers.wasm;
--- config
    location /greet { wasm_filter headers '{"response": {"set": {"x-filter": "yes"}}}'; wasm_handler hello; }
--- client eval
sub { my ($head, $body) = post('/greet', 'you'); rows((split /\r\n/, $head)[0], $head =~ /x-filter: yes/i ? 'header of the filter' : 'none', $body) }
--- client_out eval
"HTTP/1.1 200 OK
header of the filter
{\"message\":\"\xf0\x9f\xa6\x80 Hello you\"}
"
--- no_error_log eval: $::clean



=== TEST 11: in an if, and inherited by one
--- http_config eval: $::plugins
--- config
    location /t {
        if ($arg_v) { wasm_handler test function=echo; }
        if ($arg_h) { set $x 1; }
        wasm_handler hello;
    }
--- client eval: sub { rows(map { short("/t$_", 'me') } '', '?v=1', '?h=1') }
--- client_out eval
"200 {\"message\":\"\xf0\x9f\xa6\x80 Hello me\"}
200 me
200 {\"message\":\"\xf0\x9f\xa6\x80 Hello me\"}
"
--- no_error_log eval: $::clean



=== TEST 12: a filter is no plugin
--- http_config
wasm_module filter $TEST_NGINX_FILTERS/http_headers.wasm;
--- config
    location /t { wasm_handler filter; }
--- must_die
--- error_log
wasm module "filter" is a Proxy-Wasm filter: use wasm_filter



=== TEST 13: a plugin is no filter
--- http_config eval: $::plugins
--- config
    location /t { wasm_filter hello; }
--- must_die
--- error_log
wasm module "hello" is an Extism plugin: use wasm_handler



=== TEST 14: which of several functions
--- http_config eval: $::plugins
--- config
    location /t { wasm_handler test; }
--- must_die
--- error_log
wasm module "test" has several functions: name one by function= (



=== TEST 15: a function that is not there
--- http_config eval: $::plugins
--- config
    location /t { wasm_handler hello function=hallo; }
--- must_die
--- error_log
wasm module "hello": Function not found: hallo; it has: hello



=== TEST 16: an unknown module
--- config
    location /t { wasm_handler nobody; }
--- must_die
--- error_log
unknown wasm module "nobody"



=== TEST 17: parameters of the wrong kind
--- http_config
wasm_module filter $TEST_NGINX_FILTERS/http_headers.wasm config=a:b;
--- config
--- must_die
--- error_log
config= is for Extism plugins alone
