# wasm_handler: a waPC guest answers requests.

use Test::Nginx::Socket 'no_plan';
use Handler;
use Wire;

log_level('info');
no_long_string();

our $guests = <<'_EOC_';
wasm_module rust $TEST_NGINX_FILTERS/wapc_test.wasm vm_id=both;
wasm_module as   $TEST_NGINX_FILTERS/wapc_test_as.wasm vm_id=both;
_EOC_
our $locations = <<'_EOC_';
    location ~ ^/rust/(\w*)$ { wasm_handler rust function=$1 errors=show; }
    location ~ ^/as/(\w*)$ { wasm_handler as function=$1 errors=show; }
_EOC_
# Guests whose start says that it runs, and traps.
our $start_files = join '', map {
    my ($name, $start) = @$_;
    qq{>>> $name.wat
(module
  (import "wapc" "__console_log" (func \$log (param i32 i32)))
  (import "wapc" "__guest_response" (func \$response (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "startsok")
  (func (export "wapc_init") $start)
  (func (export "__guest_call") (param i32 i32) (result i32)
    (call \$response (i32.const 14) (i32.const 2))
    (i32.const 1)))
}
} ['starts', '(call $log (i32.const 8) (i32.const 6))'], ['traps', 'unreachable'];
our $clean = $Handler::clean;
our $alive = $Handler::alive;

run_tests();

__DATA__

=== TEST 1: an operation answers with the body
--- http_config eval: $::guests
--- config
    location /rust { wasm_handler rust function=echo content_type=application/json; }
    location /as { wasm_handler as function=echo content_type=text/$arg_type; }
--- client eval
sub {
    rows(map {
        my ($head, $body) = post($_, 'John Doe');
        (grep({ /^(HTTP|Content-Type|Content-Length|Accept-Ranges)/i } split /\r\n/, $head), $body);
    } '/rust', '/as?type=css');
}
--- client_out
HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 8
Accept-Ranges: bytes
John Doe
HTTP/1.1 200 OK
Content-Type: text/css
Content-Length: 8
Accept-Ranges: bytes
John Doe
--- no_error_log eval: $::clean



=== TEST 2: operations by variables; what the guest does not know is its own error
--- http_config eval: $::guests
--- config eval: $::locations
--- client eval
sub { rows(statuses('/rust/echo abc', '/as/echo abc', '/rust/nothing abc', '/as/nothing abc', '/rust/_start abc', '/rust/ abc', '/rust/echo abc')) }
--- client_out eval
qr{\A200 abc
200 abc
500 No handler .* nothing
500 Could not find function "nothing"
500 No handler .* _start
500 No handler .* 
200 abc
\z}
--- error_log eval
qr/\[wasm\] rust: No handler .* nothing, client: 127\.0\.0\.1/
--- no_error_log eval: $::alive



=== TEST 3: bodies of megabytes, in memory and in a temporary file
--- http_config eval: $::guests
--- config
    location /rust { client_max_body_size 64m; wasm_handler rust function=echo; }
    location /as { client_max_body_size 64m; wasm_handler as function=echo; }
    location /none { client_max_body_size 1k; wasm_handler rust function=echo; }
--- client eval
sub {
    rows(map({
        my $path = $_;
        map {
            my $text = CORE::join '', map { chr(($_ * 7919) % 251) } 1 .. 4096;
            $text = $text x ($_ / 4096);
            my (undef, $body) = post($path, $text);
            "$path $_: " . ($body eq $text ? 'same' : 'another');
        } 4096, 1 << 20, 8 << 20;
    } '/rust', '/as'), '/rust empty: ' . short('/rust', ''), '/none: ' . (split / /, (post('/none', 'a' x 2000))[0])[1]);
}
--- client_out eval
"/rust 4096: same
/rust 1048576: same
/rust 8388608: same
/as 4096: same
/as 1048576: same
/as 8388608: same
/rust empty: 200 
/none: 413
"
--- no_error_log eval: qr/\[alert\]|\[emerg\]|\[crit\]|panicked|\[wasm\]/



=== TEST 4: a call that fails: the status, the error page, and the message if the client may have it
--- http_config eval: $::guests
--- config
    location /hidden { wasm_handler rust function=fail; }
    location /shown { wasm_handler rust function=fail errors=show error_status=422; }
    location /as { wasm_handler as function=fail errors=show; }
    location /page { error_page 500 =503 /sorry; wasm_handler rust function=fail; }
    location /sorry { return 200 "sorry"; }
    location /echo { wasm_handler rust function=echo; }
--- client eval
sub { rows(statuses('/hidden hid den', "/shown two\nlines", '/as wrong', '/page wrong', '/echo right')) }
--- client_out eval
"500 
422 two
lines
500 wrong
503 sorry
200 right
"
--- error_log
[wasm] rust: hid den, client: 127.0.0.1
[wasm] as: wrong, client: 127.0.0.1
--- no_error_log eval: $::alive



=== TEST 5: a trap costs its own instance alone, and is counted
--- http_config eval: $::guests
--- config eval: $::locations . 'location /metrics { wasm_metrics; }'
--- client eval
sub {
    my @answers = map { s/\A(500 trapped: wasm trap: ).*/$1/sr }
        statuses(map({ ("/$_/count x", "/$_/count x", "/$_/panic x", "/$_/count x", "/$_/panic x", "/$_/panic x", "/$_/count x") } qw(rust as)));
    my (undef, $page) = post('/metrics', '', method => 'GET');
    rows(@answers, sort grep { /^nginx_wasm_traps_total/ } split /\n/, $page);
}
--- client_out eval
qr{\A200 1
200 2
500 trapped: wasm trap: 
200 1
500 trapped: wasm trap: 
500 trapped: wasm trap: 
200 1
200 1
200 2
500 trapped: wasm trap: 
200 1
500 trapped: wasm trap: 
500 trapped: wasm trap: 
200 1
nginx_wasm_traps_total\{.*module="as".*\} 3
nginx_wasm_traps_total\{.*module="rust".*\} 3
\z}
--- error_log
rust: trapped: wasm trap: 
as: trapped: wasm trap: 
--- no_error_log eval: qr/\[alert\]|\[emerg\]|signal/



=== TEST 6: a loop ends with its time
--- http_config
wasm_module rust $TEST_NGINX_FILTERS/wapc_test.wasm cpu_time=50ms;
--- config eval: $::locations =~ s/.*\bas\b.*//r
--- client eval
sub { rows(map { s/(cpu_time).*/$1/sr } statuses('/rust/loop x', '/rust/echo x')) }
--- client_out eval
qr{\A500 trapped: .*cpu_time
200 x
\z}
--- no_error_log eval: $::alive



=== TEST 7: calls behind those that have used up the module's turn come later
--- http_config
wasm_module rust $TEST_NGINX_FILTERS/wapc_test.wasm cpu_time=20ms turn_time=1ms;
--- config
    location ~ ^/rust/(\w*)$ { wasm_handler rust function=$1; }
--- client eval
sub {
    my @waiting = map { my $c = connection();
        $c->write("POST /rust/$_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"); $c } ('loop', 'echo') x 10;
    my %answers;
    $answers{(split /[\r ]/, $_->rest)[1]}++ for @waiting;
    rows(map { "$answers{$_} times $_" } sort keys %answers);
}
--- client_out
10 times 200
10 times 500
--- no_error_log eval: $::alive



=== TEST 8: memory lives as long as the instance; with an instance for each request it does not
--- http_config
wasm_module rust  $TEST_NGINX_FILTERS/wapc_test.wasm;
wasm_module as    $TEST_NGINX_FILTERS/wapc_test_as.wasm;
wasm_module fresh $TEST_NGINX_FILTERS/wapc_test.wasm isolation=request;
wasm_module new   $TEST_NGINX_FILTERS/wapc_test_as.wasm isolation=request;
--- config
    location ~ ^/rust/(\w+)$ { wasm_handler rust function=$1; }
    location ~ ^/as/(\w+)$ { wasm_handler as function=$1; }
    location ~ ^/fresh/(\w+)$ { wasm_handler fresh function=$1; }
    location ~ ^/new/(\w+)$ { wasm_handler new function=$1; }
--- client eval
sub {
    rows(map { my $name = $_; "$name " . CORE::join ', ', statuses("/$name/count x", "/$name/count x", "/$name/panic x", "/$name/count x", "/$name/count x") }
        qw(rust as fresh new));
}
--- client_out
rust 200 1, 200 2, 500 , 200 1, 200 2
as 200 1, 200 2, 500 , 200 1, 200 2
fresh 200 1, 200 1, 500 , 200 1, 200 1
new 200 1, 200 1, 500 , 200 1, 200 1
--- no_error_log eval: qr/\[alert\]|\[emerg\]|signal/



=== TEST 9: requests and responses as JSON
--- http_config eval: $::guests
--- config
    location /rust { wasm_handler rust function=json input=json; }
    location /as { wasm_handler as function=json input=json; }
    location /seen { set $mine "my value"; wasm_handler rust function=fail input=json variable=$mine errors=show; }
    location /none { wasm_handler rust function=echo input=json error_status=502 errors=show; }
--- client eval
sub {
    my @rows;
    for my $path ('/rust', '/as') {
        my ($head, $body) = post($path, 'text');
        push @rows, grep({ /^HTTP/ } split /\r\n/, $head), ($head =~ /^x-length: \d\d+\r?$/mi ? 'a length' : $head), $body;
    }
    rows(@rows, statuses('/seen text', '/none text'));
}
--- client_out eval
qr{\AHTTP/1.1 201 Created
a length
made
HTTP/1.1 201 Created
a length
made
500 \{"method":"POST","uri":"/seen",.*"body":"text",.*"variables":\{"mine":"my value"\}\}
502 the output is no response as JSON: unknown field `method`.*
\z}
--- no_error_log eval: $::alive



=== TEST 10: shared data that one location sets is seen by the others
--- http_config eval: $::guests . 'wasm_module other $TEST_NGINX_FILTERS/wapc_test.wasm;'
--- config eval: $::locations . 'location ~ ^/other/(\w*)$ { wasm_handler other function=$1 errors=show; }'
--- client eval
sub {
    rows(statuses('/rust/host_call key/shared_data/get/', '/rust/host_call key/shared_data/set/a value',
        '/as/host_call key/shared_data/get/', '/as/host_call key/shared_data/set/another', '/rust/host_call key/shared_data/get/',
        '/other/host_call key/shared_data/get/'));
}
--- client_out eval
qr{\A500 .*not_found.*
200 
200 a value
200 
200 another
500 .*not_found.*
\z}
--- no_error_log eval: $::alive



=== TEST 11: counters, the request's variables, and the log
--- http_config eval: $::guests
--- config
    set $mine "";
    location ~ ^/rust/(\w*)$ { wasm_handler rust function=$1 errors=show content_type=text/$mine; }
    location ~ ^/as/(\w*)$ { wasm_handler as function=$1 errors=show; }
--- client eval
sub {
    my @counted = map { unpack 'Q<', (post('/rust/host_call', "visits/counter/increment/" . pack 'V', $_))[1] } 2, 3;
    my ($head) = post('/rust/host_call', 'mine/variable/set/css');
    my ($type) = $head =~ /^Content-Type: (.*?)\r?$/mi;
    rows(@counted, statuses('/rust/host_call request_method/variable/get/', '/as/host_call request_method/variable/get/',
        '/rust/host_call nobody/variable/get/', '/as/host_call /log/warn/a warning', '/rust/log a line', '/rust/host_call /nothing/there/'), $type);
}
--- client_out eval
qr{\A2
5
200 POST
200 POST
500 .*not_found.*
200 
200 
500 .*unknown_operation.*
text/css
\z}
--- error_log eval
[qr/\[warn\] .*\[wasm\] as: a warning, client: 127\.0\.0\.1/, qr/\[info\] .*\[wasm\] rust: a line, client: 127\.0\.0\.1/]
--- no_error_log eval: $::alive



=== TEST 12: what deny= takes away
--- http_config
wasm_module rust $TEST_NGINX_FILTERS/wapc_test.wasm deny=shared_data;
--- config
    location /t { wasm_handler rust function=host_call errors=show; }
--- client eval
sub { rows(statuses('/t key/shared_data/set/x', '/t request_method/variable/get/')) }
--- client_out eval
qr{\A500 .*denied.*
200 POST
\z}
--- error_log
shared_data.set
--- no_error_log eval: $::alive



=== TEST 13: the start runs once for an instance
--- user_files eval: $::start_files
--- http_config
wasm_module m ../html/starts.wat;
--- config
    location /t { wasm_handler m function=x; }
--- client eval
sub { rows(statuses('/t a', '/t a')) }
--- client_out
200 ok
200 ok
--- grep_error_log eval: qr/\[wasm\] m: starts.*/
--- grep_error_log_out eval
"[wasm] m: starts
"
--- no_error_log eval: $::clean



=== TEST 14: a guest that does not start
--- user_files eval: $::start_files
--- http_config
wasm_module m ../html/traps.wat;
--- config
--- must_die
--- error_log eval
qr/wasm module "m" wapc_init trapped: .*unreachable/



=== TEST 15: an operation must be named
--- http_config eval: $::guests
--- config
    location /t { wasm_handler rust; }
--- must_die
--- error_log
wasm module "rust" is a waPC guest: name its operation by function=



=== TEST 16: a waPC guest is no filter
--- http_config eval: $::guests
--- config
    location /t { wasm_filter as; }
--- must_die
--- error_log
wasm module "as" is a waPC guest: use wasm_handler



=== TEST 17: parameters of Extism's plugins
--- http_config
wasm_module m $TEST_NGINX_FILTERS/wapc_test.wasm vars=instance;
--- config
--- must_die
--- error_log
vars= is for Extism plugins alone



=== TEST 18: parameters of filters
--- http_config
wasm_module m $TEST_NGINX_FILTERS/wapc_test.wasm vm_config=x;
--- config
--- must_die
--- error_log
vm_config= is for Proxy-Wasm filters alone



=== TEST 19: a filter that is said to be a waPC guest
--- http_config
wasm_module m $TEST_NGINX_FILTERS/http_headers.wasm type=wapc;
--- config
--- must_die
--- error_log
not a waPC guest: exports no __guest_call



=== TEST 20: another kind
--- http_config
wasm_module m $TEST_NGINX_FILTERS/wapc_test.wasm type=wasi;
--- config
--- must_die
--- error_log
invalid value "wasi" of type=, it must be "proxy-wasm", "http-wasm", "extism", "wapc" or "component"
