# Internal redirects: error_page, named locations, try_files, index, X-Accel-Redirect, rewrite. With the
# same chain at the new location the contexts go on and request callbacks do not run twice; with another the
# old contexts end and the new ones start.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

# A wasm_filter directive: the filter logs its callbacks under this name and adds it to X-F.
sub f {
    my ($name, %do) = @_;
    my $in = $do{request} // '';
    my $out = $do{response} // '';
    return qq~wasm_filter a '{"trace":true,"request_headers":[["log","info","in $name"]$in],~
        . qq~"response_headers":[["log","info","out $name"],["add_header","response","x-f","$name"]$out],~
        . qq~"done":[["log","info","done $name"]]}';~;
}

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "upstream $uri\n"; }
    location /404 { return 404 "upstream 404\n"; }
    location /accel { add_header X-Accel-Redirect /target/x.txt; add_header X-Up 1; return 200 "never seen"; }
    location /accel-named { add_header X-Accel-Redirect @named; return 200 "never seen"; }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $calls = qr/: (in|out|done) /;

run_tests();

__DATA__

=== TEST 1: error_page to a location with the same chain: request callbacks run once
--- http_config eval: $::module
--- config eval
main::f('same') . '
    location /t/ { error_page 404 /errors/404.txt; }
    location /errors/ { internal; }
'
--- user_files
>>> errors/404.txt
not here
--- request
GET /t/none
--- error_code: 404
--- response_headers
X-F: same
--- response_body
not here
--- contexts: 1
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
--- no_error_log
[alert]
[crit]
[emerg]
panicked



=== TEST 2: error_page to a location with another chain: the old contexts end, then the new start
--- http_config eval: $::module
--- config eval
'
    location /t/ { ' . main::f('old') . ' error_page 404 /errors/404.txt; }
    location /errors/ { internal; ' . main::f('new', request => ',["log_header","request",":path"]') . ' }
'
--- user_files
>>> errors/404.txt
not here
--- request
GET /t/none?x=1
--- error_code: 404
--- response_headers
X-F: new
--- response_body
not here
--- contexts: 2
--- guests_like eval: qr/: (in|out|done) |:path/
--- guests
a: in old
a: done old
a: in new
a: request :path=/errors/404.txt
a: out new
a: done new
--- no_error_log eval: $::bad



=== TEST 3: error_page to a location without filters: the old contexts end, nothing sees the response
--- http_config eval: $::module
--- config eval
'
    location /t/ { ' . main::f('old') . ' error_page 404 /errors/404.txt; }
    location /errors/ { internal; }
'
--- user_files
>>> errors/404.txt
not here
--- request
GET /t/none
--- error_code: 404
--- response_headers
!X-F
--- response_body
not here
--- contexts: 1
--- guests_like eval: $::calls
--- guests
a: in old
a: done old
--- no_error_log eval: $::bad



=== TEST 4: error_page to a named location: same, another, no chain
--- http_config eval: $::module
--- config eval
'
    error_page 404 @same;
    ' . main::f('same') . '
    location /same/ { error_page 404 @same; }
    location /other/ { error_page 404 @other; }
    location /off/ { error_page 404 @off; }
    location @same { return 201; }
    location @other { ' . main::f('other') . ' return 202; }
    location @off { wasm_filter off; return 203; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/same/x /other/x /off/x)) }
--- client_out
/same/x 404 same
/other/x 404 other
/off/x 404
--- contexts: 4
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
a: in same
a: done same
a: in other
a: out other
a: done other
a: in same
a: done same
--- no_error_log eval: $::bad



=== TEST 5: the built-in error page passes the filters, as any response
--- http_config eval: $::module
--- config eval
main::f('filter', response => ',["log_header","response",":status"]') . '
    location /static/ { }
    location /return { return 404; }
    location /text { return 404 "text\n"; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/static/none /return /text)) }
--- client_out
/static/none 404 filter
/return 404 filter
/text 404 filter
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 6: return 404 with error_page
--- http_config eval: $::module
--- config eval
'
    location /same { ' . main::f('same') . ' error_page 404 /same/page; return 404; location /same/page { return 200 page; } }
    location /other { ' . main::f('other') . ' error_page 404 =200 /page; return 404; }
    location /page { ' . main::f('page') . ' return 200 page; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/same /other)) }
--- client_out
/same 404 same
/other 200 page
--- contexts: 3
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
a: in other
a: done other
a: in page
a: out page
a: done page
--- no_error_log eval: $::bad



=== TEST 7: proxy_intercept_errors: the filters see the page, not the upstream's response
--- http_config eval: $::module
--- config eval
main::f('same') . '
    location /404 {
        proxy_intercept_errors on;
        error_page 404 /page;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /page { return 200 "page\n"; }
'
--- request
GET /404
--- error_code: 404
--- response_headers
X-F: same
--- response_body
page
--- contexts: 1
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
--- no_error_log eval: $::bad



=== TEST 8: a filter's :status is not taken for an error of the upstream
Interception has been decided when the response reaches the filters.
--- http_config eval: $::module
--- config eval
main::f('filter', response => ',["set_header","response",":status","404"]') . '
    location /x {
        proxy_intercept_errors on;
        error_page 404 /page;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /page { return 200 "page\n"; }
'
--- request
GET /x
--- error_code: 404
--- response_body
upstream /x
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 9: a local response is not intercepted by error_page
--- http_config eval: $::module
--- config eval
'
    error_page 403 404 500 503 /page;
    location /request { wasm_filter a \'{"trace":true,"request_headers":[["local_response",404,[],"from request"]]}\'; }
    location /response {
        proxy_intercept_errors on;
        wasm_filter a \'{"trace":true,"response_headers":[["local_response",503,[],"from response"]]}\';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /access {
        wasm_filter_phase access;
        wasm_filter a \'{"trace":true,"request_headers":[["local_response",403,[["x","1"]],"from access"]]}\';
    }
    location /page { return 200 "page\n"; }
'
--- client eval
sub {
    rows(map {
        my $c = connection();
        $c->write("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        $c->answer;
    } qw(/request /response /access));
}
--- client_out
404 from request
503 from response
403 from access
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 10: upstream failure: the 502 passes the filters, with and without an error page
--- http_config eval: $::module
--- config eval
'
    location /plain { ' . main::f('plain') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5; }
    location /same {
        ' . main::f('same') . '
        error_page 502 /same/page;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5;
        location /same/page { return 200 "page\n"; }
    }
    location /other { ' . main::f('other') . ' error_page 502 =503 @down; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5; }
    location @down { ' . main::f('down') . ' return 200 "down\n"; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/plain /same /other)) }
--- client_out
/plain 502 plain
/same 502 same
/other 503 down
--- contexts: 4
--- guests_like eval: $::calls
--- guests
a: in plain
a: out plain
a: done plain
a: in same
a: out same
a: done same
a: in other
a: done other
a: in down
a: out down
a: done down
--- error_log
connect() failed
--- no_error_log eval: $::bad



=== TEST 11: try_files to a URI: same chain, another chain, none
--- http_config eval: $::module
--- config eval
'
    location /same {
        ' . main::f('same') . '
        try_files /none /same/last;
        location /same/last { return 200; }
    }
    location /other { ' . main::f('other') . ' try_files /none /last; }
    location /last { ' . main::f('last') . ' return 200; }
    location /bare { ' . main::f('bare') . ' try_files /none /nothing; }
    location /nothing { return 200; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/same /other /bare)) }
--- client_out
/same 200 same
/other 200 last
/bare 200
--- contexts: 4
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
a: in other
a: done other
a: in last
a: out last
a: done last
a: in bare
a: done bare
--- no_error_log eval: $::bad



=== TEST 12: index: the redirect to the file goes on with the contexts, or to another chain
--- http_config eval: $::module
--- config eval
'
    location /same/ { ' . main::f('same') . ' index x.txt; }
    location /other/ { ' . main::f('other') . ' index x.txt; }
    location = /other/x.txt { ' . main::f('file') . ' }
'
--- user_files
>>> same/x.txt
same
>>> other/x.txt
other
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/same/ /other/)) }
--- client_out
/same/ 200 same
/other/ 200 file
--- contexts: 3
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
a: in other
a: done other
a: in file
a: out file
a: done file
--- no_error_log eval: $::bad



=== TEST 13: X-Accel-Redirect: the filters see the response that is sent, not the upstream's
--- http_config eval: $::module
--- config eval
'
    location /accel { ' . main::f('accel') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /target/ { internal; ' . main::f('target') . ' }
    location @named { ' . main::f('named') . ' return 200 "named\n"; }
'
--- user_files
>>> target/x.txt
target
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/accel /accel-named)) }
--- client_out
/accel 200 target
/accel-named 200 named
--- contexts: 4
--- guests_like eval: $::calls
--- guests
a: in accel
a: done accel
a: in target
a: out target
a: done target
a: in accel
a: done accel
a: in named
a: out named
a: done named
--- no_error_log eval: $::bad



=== TEST 14: X-Accel-Redirect with the same chain
--- http_config eval: $::module
--- config eval
main::f('same') . '
    location /accel { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /target/ { internal; }
'
--- user_files
>>> target/x.txt
target
--- request
GET /accel
--- response_body
target
--- response_headers
X-F: same
!X-Up
--- contexts: 1
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
--- no_error_log eval: $::bad



=== TEST 15: a body that a filter changed goes along with a redirect
--- http_config eval: $::module
--- config eval
'
    location /t {
        wasm_filter a \'{"trace":true,"request_body":[["set_body","request",0,0,"new "]]}\';
        error_page 502 = @other;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5;
    }
    location @other {
        wasm_filter a \'{"trace":true,"request_body":[["log_body","request",0,-1],["set_body","request",0,0,"newer "]]}\';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
'
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my ($length) = $head =~ /content-length: (\d+)/i;
    my $answer = "$length $body\n";
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($answer) . "\r\n\r\n$answer");
}
--- request
POST /t
body
--- response_body
14 newer new body
--- contexts: 2
--- guests_like eval: qr/body request/
--- guests
a: body request 0 4294967295 = new body
--- no_error_log eval: $::bad



=== TEST 16: an error page while the response body is being filtered: nothing is sent twice
The upstream breaks off behind its headers; a filter holds them for the body.
--- http_config eval: $::module
--- config eval
main::f('same') . '
    location /t {
        error_page 502 504 /page;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
    location /page { return 200 "page\n"; }
'
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
}
--- client eval
sub {
    my $answer = ask("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my @heads = $answer =~ m{^HTTP/1.1 (\d+)}mg;
    "@heads\n";
}
--- client_out eval: qr/^(?:200|)\n\z/
--- contexts: 1
--- guests_like eval: $::calls
--- guests
a: in same
a: out same
a: done same
--- no_error_log eval: $::bad



=== TEST 17: a request paused in an earlier phase is redirected by nobody; the chain of the redirect can pause
--- http_config eval: $::module
--- config eval
'
    location /t { ' . main::f('old') . ' error_page 404 @slow; return 404; }
    location @slow {
        wasm_filter a \'{"trace":true,"request_headers":[["set_tick",30],["action","pause"]],"tick":[["effective_context",4],["continue","request"],["set_tick",0]]}\';
        return 200 "slow\n";
    }
'
--- request
GET /t
--- error_code: 404
--- response_body
slow
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 18: post_action and internal-only locations
--- http_config eval: $::module
--- config eval
'
    location /t { ' . main::f('main') . ' post_action /after; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /after { internal; ' . main::f('after') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- request
GET /t
--- response_body
upstream /t
--- response_headers
X-F: main
--- contexts: 2
--- no_error_log eval: $::bad
