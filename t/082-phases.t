# When request callbacks run: wasm_filter_phase rewrite (before the location's own rewrite directives)
# and access (behind them, beside nginx's access modules).

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

# A wasm_filter directive whose filter adds this name to the response header X-F.
sub f {
    my ($name, $operations) = @_;
    $operations //= '';
    return qq~wasm_filter a '{"trace":true,"request_headers":[["log","info","in $name"]$operations],~
        . qq~"response_headers":[["add_header","response","x-f","$name"]]}';~;
}

our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;' . "\n";
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

run_tests();

__DATA__

=== TEST 1: by default filters run before the location's set, rewrite and return
--- http_config eval: $::module
--- config
    location /set {
        wasm_filter a '{"request_headers":[["set_header","request","x-in","filter"],["get_property","nginx.seen"]]}';
        set $seen $http_x_in;
        return 200 "$seen\n";
    }
    location /first {
        wasm_filter_phase rewrite;
        wasm_filter a '{"request_headers":[["set_header","request","x-in","filter"]]}';
        set $seen $http_x_in;
        return 200 "$seen\n";
    }
--- client eval
sub {
    rows(map { ask("GET $_ HTTP/1.1\r\nHost: a\r\nX-In: client\r\nConnection: close\r\n\r\n") =~ /\r\n\r\n(.*)\n/s } qw(/set /first));
}
--- client_out
filter
filter
--- no_error_log eval: $::bad



=== TEST 2: in the access phase filters run behind them
`return` ends the request before; `set` sees what the client sent.
--- http_config eval
$::module . '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "in=$http_x_in seen=$http_x_seen\n"; }
}'
--- config eval
'
    wasm_filter_phase access;
    location /set {
        wasm_filter a \'{"request_headers":[["set_header","request","x-in","filter"]]}\';
        set $seen $http_x_in;
        proxy_set_header X-Seen $seen;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /return {
        ' . main::f('access') . '
        return 200 "returned\n";
    }
'
--- client eval
sub {
    rows(map { ask("GET $_ HTTP/1.1\r\nHost: a\r\nX-In: client\r\nConnection: close\r\n\r\n") =~ /\r\n\r\n(.*)\n/s } qw(/set /return));
}
--- client_out
in=filter seen=client
returned
--- no_error_log
in access
[alert]
[emerg]



=== TEST 3: the phase is inherited, and a location can change it
--- http_config eval: $::module . 'wasm_filter_phase access;' . main::f('http')
--- config
    location /access { return 200; }
    location /rewrite { wasm_filter_phase rewrite; return 200; location /rewrite/inherit { return 200; } }
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/access /rewrite /rewrite/inherit)) }
--- client_out
/access 200
/rewrite 200 http
/rewrite/inherit 200 http
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 4: access phase and deny: all access modules must let the request pass
Filters come before nginx's own access modules, in the order of the phase's handlers; the answer is
403 whatever the filter says.
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    location /deny/ { ' . main::f('filter') . ' deny all; }
    location /allow/ { ' . main::f('filter') . ' allow 127.0.0.1; deny all; }
    location /refuse/ { ' . main::f('filter', ',["local_response",401,[],""]') . ' allow all; }
'
--- user_files
>>> deny/x.txt
deny
>>> allow/x.txt
allow
>>> refuse/x.txt
refuse
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/deny/x.txt /allow/x.txt /refuse/x.txt)) }
--- client_out
/deny/x.txt 403 filter
/allow/x.txt 200 filter
/refuse/x.txt 401 filter
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 5: satisfy any: a filter that lets a request pass does not open what is denied
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    satisfy any;
    location /deny/ { ' . main::f('filter') . ' deny all; }
    location /allow/ { ' . main::f('filter') . ' allow all; auth_basic x; auth_basic_user_file ../html/none; }
    location /refuse/ { ' . main::f('filter', ',["local_response",401,[],"no"]') . ' allow all; }
    location /both/ { ' . main::f('filter') . ' deny all; auth_basic x; auth_basic_user_file ../html/users; }
'
--- user_files
>>> users
u:{PLAIN}p
>>> deny/x.txt
deny
>>> allow/x.txt
allow
>>> refuse/x.txt
refuse
>>> both/x.txt
both
--- client eval
sub {
    visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/deny/x.txt /allow/x.txt /refuse/x.txt /both/x.txt))
    . (ask("GET /both/x.txt HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dTpw\r\nConnection: close\r\n\r\n") =~ /\r\n\r\n(.*)/s)[0];
}
--- client_out
/deny/x.txt 403 filter
/allow/x.txt 200 filter
/refuse/x.txt 401 filter
/both/x.txt 401 filter
both
--- contexts: 5
--- no_error_log eval: $::bad



=== TEST 6: access phase and auth_basic: a filter can give the credentials
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    location /t/ {
        ' . main::f('filter', ',["if_path","/t/open",[["set_header","request","authorization","Basic dTpw"]]]') . '
        auth_basic x;
        auth_basic_user_file ../html/users;
    }
'
--- user_files
>>> users
u:{PLAIN}p
>>> t/open.txt
open
>>> t/shut.txt
shut
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/t/open.txt /t/shut.txt)) }
--- client_out
/t/open.txt 200 filter
/t/shut.txt 401 filter
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 7: access phase and auth_request: the filter runs once, the subrequest has its own chain
The auth_request handler comes again to the access phase when its subrequest is done.
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    location /t/ {
        ' . main::f('main') . '
        auth_request /auth;
    }
    location /auth {
        wasm_filter_phase rewrite;
        ' . main::f('auth', ',["set_header","request","x-leak","1"],["if_header","request","x-user","bad",[["local_response",403,[],""]]]') . '
        return 204;
    }
'
--- user_files
>>> t/x.txt
text
--- client eval
sub {
    rows(map { ask("GET /t/x.txt HTTP/1.1\r\nHost: a\r\nX-User: $_\r\nConnection: close\r\n\r\n") =~ m{^HTTP/1.1 (\d+)} } qw(good bad));
}
--- client_out
200
403
--- contexts: 4
--- guests_like eval: qr/: in /
--- guests
a: in main
a: in auth
a: in main
a: in auth
--- no_error_log eval: $::bad



=== TEST 8: subrequests have no access phase: their filters run behind the rewrite directives
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main') . ' }
    location /part { set $x 1; ' . main::f('part') . ' return 200 returned; }
    location /file/ { ' . main::f('file', ',["set_header","request","x-leak","1"]') . ' }
'
--- user_files
>>> t/x.txt
[<!--# include virtual="/part" -->|<!--# include virtual="/file/x.txt" -->]
>>> file/x.txt
file
--- request
GET /t/x.txt
--- response_body
[returned|file
]
--- contexts: 2
--- guests_like eval: qr/: in /
--- guests
a: in main
a: in file
--- no_error_log eval: $::bad



=== TEST 9: a return of the server comes before all filters; a rewrite of the server before, too
--- http_config eval: $::module
--- config eval
main::f('server') . '
    if ($arg_gone) { return 410; }
    rewrite ^/old(.*)$ /new$1;
    location /old { ' . main::f('old') . ' return 200; }
    location /new { ' . main::f('new', ',["log_header","request",":path"]') . ' return 200; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/x?gone=1 /old/x?y=1)) }
--- client_out
/x?gone=1 410
/old/x?y=1 200 new
--- contexts: 1
--- guests_like eval: qr/: in |:path/
--- guests
a: in new
a: request :path=/new/x?y=1
--- no_error_log eval: $::bad



=== TEST 10: rewrite ... last to a location with another chain, none, or the same
Filters run before the rewrite. With another chain the old contexts end, with the same they go on.
--- http_config eval: $::module
--- config eval
'
    location /other { ' . main::f('from') . ' rewrite ^ /to last; }
    location /to { ' . main::f('to') . ' return 200; }
    location /none { ' . main::f('from') . ' rewrite ^ /bare last; }
    location /bare { return 200; }
    location /same {
        ' . main::f('same') . '
        location /same/a { rewrite ^ /same/b last; }
        location /same/b { return 200; }
    }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/other /none /same/a)) }
--- client_out
/other 200 to
/none 200
/same/a 200 same
--- contexts: 4
--- guests_like eval: qr/: in /
--- guests
a: in from
a: in to
a: in from
a: in same
--- no_error_log eval: $::bad



=== TEST 11: rewrite ... last, access phase: only the last location's filters run
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    location /other { ' . main::f('from') . ' rewrite ^ /to/x.txt last; }
    location /to/ { ' . main::f('to') . ' }
'
--- user_files
>>> to/x.txt
text
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/other)) }
--- client_out
/other 200 to
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 12: rewrite ... break: the filters run once, before it
--- http_config eval: $::module
--- config eval
'
    location /old/ { ' . main::f('once', ',["log_header","request",":path"]') . ' rewrite ^/old(.*) /new$1 break; }
'
--- user_files
>>> new/x.txt
text
--- request
GET /old/x.txt
--- response_body
text
--- response_headers
X-F: once
--- contexts: 1
--- guests_like eval: qr/: in |:path/
--- guests
a: in once
a: request :path=/old/x.txt
--- no_error_log eval: $::bad



=== TEST 13: a loop of rewrites is nginx's to break; contexts end
--- http_config eval: $::module
--- config eval
'
    location /loop {
        ' . main::f('loop') . '
        rewrite ^ /pool last;
    }
    location /pool {
        ' . main::f('pool') . '
        rewrite ^ /loop last;
    }
'
--- request
GET /loop
--- error_code: 500
--- error_log
rewrite or internal redirection cycle
--- contexts: 11
--- no_error_log eval: $::bad



=== TEST 14: try_files runs behind the filters, in both phases
--- http_config eval: $::module
--- config eval
CORE::join '', map { qq~
    location /$_ {
        wasm_filter_phase $_;
        ~ . main::f($_) . q~
        try_files /none /found.txt =404;
    }
    location /~ . $_ . q~-404 {
        wasm_filter_phase ~ . $_ . ';' . main::f($_) . q~
        try_files /none =404;
    }~ } qw(rewrite access)
--- user_files
>>> found.txt
found
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/rewrite /rewrite-404 /access /access-404)) }
--- client_out
/rewrite 200 rewrite
/rewrite-404 404 rewrite
/access 200 access
/access-404 404 access
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 15: limit_req lies between the two phases
A request that is refused there has passed the filters of the rewrite phase, not those of access.
--- http_config eval
$::module . '
limit_req_zone $uri zone=z:1m rate=1r/m;
limit_req_status 429;'
--- config eval
'
    location /rewrite/ { limit_req zone=z; ' . main::f('rewrite') . ' }
    location /access/ { limit_req zone=z; wasm_filter_phase access; ' . main::f('access') . ' }
'
--- user_files
>>> rewrite/x.txt
text
>>> access/x.txt
text
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, map { ($_) x 2 } qw(/rewrite/x.txt /access/x.txt)) }
--- client_out
/rewrite/x.txt 200 rewrite
/rewrite/x.txt 429 rewrite
/access/x.txt 200 access
/access/x.txt 429
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 16: a pause in the access phase, and a body read there
--- http_config eval
$::module . '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / {
        add_header X-Body "$request_body";
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
    }
}
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { return 200; } }'
--- config
    location /t {
        wasm_filter_phase access;
        wasm_filter a '{"trace":true,"request_headers":[["set_tick",20],["action","pause"]],"tick":[["effective_context",2],["continue","request"],["set_tick",0]],"request_body":[["set_body","request",0,0,"filtered "]]}';
        allow all;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
POST /t
body
--- response_headers
X-Body: filtered body
--- contexts: 1
--- guests_like eval: qr/: on_request/
--- guests
a: on_request_headers id=2 count=6 eos=false
a: on_request_body id=2 size=4 eos=true
--- no_error_log eval: $::bad



=== TEST 17: the access phase of an `if`, with and without filters of its own
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval
'
    location /if/ {
        ' . main::f('loc') . '
        if ($arg_own) { ' . main::f('if') . ' }
        if ($arg_off) { wasm_filter off; }
        if ($arg_bare) { add_header X-If bare; }
    }
'
--- user_files
>>> if/x.txt
file
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/if/x.txt /if/x.txt?own=1 /if/x.txt?off=1 /if/x.txt?bare=1)) }
--- client_out
/if/x.txt 200 loc
/if/x.txt?own=1 200 if
/if/x.txt?off=1 200
/if/x.txt?bare=1 200 loc
--- contexts: 3
--- guests_like eval: qr/: in /
--- guests
a: in loc
a: in if
a: in loc
--- no_error_log eval: $::bad



=== TEST 18: a filter that answers in the rewrite phase comes before nginx's access modules
--- http_config eval: $::module
--- config eval
'
    location /rewrite/ { ' . main::f('rewrite', ',["local_response",200,[],"answered"]') . ' deny all; }
    location /pass/ { ' . main::f('pass') . ' deny all; }
'
--- user_files
>>> pass/x.txt
text
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/rewrite/x /pass/x.txt)) }
--- client_out
/rewrite/x 200 rewrite
/pass/x.txt 403 pass
--- contexts: 2
--- no_error_log eval: $::bad
