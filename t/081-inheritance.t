# Which filters a request gets: levels of the configuration, `wasm_filter off`, several servers, `if`,
# limit_except and named locations. Each filter adds its name to the response header X-F, in
# the order in which responses pass: the last filter of a chain first.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

# A wasm_filter directive whose filter adds this name.
sub f {
    my $name = shift;
    return qq~wasm_filter a '{"trace":true,"request_headers":[["log","info","in $name"]],~
        . qq~"response_headers":[["add_header","response","x-f","$name"]]}';~;
}

our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;' . "\n";
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

run_tests();

__DATA__

=== TEST 1: http, server, location and nested locations: a level that has filters replaces its parent's
--- http_config eval
$::module . main::f('http') . '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    ' . main::f('server') . '
    return 404;
    location /inherit { return 200; }
    location /own {
        ' . main::f('own') . '
        return 200;
        location /own/inherit { return 200; }
        location /own/nested {
            ' . main::f('nested') . '
            return 200;
            location /own/nested/deep { return 200; }
        }
        location ~ /own/.*[.]re$ { return 200; ' . main::f('regex') . ' }
    }
    location /two { ' . main::f('one') . main::f('two') . ' return 200; }
}'
--- config eval
'
    location /http { return 200; }
    location /server { ' . main::f('loc') . ' return 200; }
'
--- client eval
sub {
    visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/http /server))
    . visit($ENV{TEST_NGINX_PORT_1}, qw(/inherit /own /own/inherit /own/nested /own/nested/deep /own/x.re /two));
}
--- client_out
/http 200 http
/server 200 loc
/inherit 404
/own 404
/own/inherit 404
/own/nested 404
/own/nested/deep 404
/own/x.re 404
/two 404
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 2: the same without a return of the server, which comes before all filters
--- http_config eval
$::module . main::f('http') . '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    ' . main::f('server') . '
    location /inherit { return 200; }
    location /own {
        ' . main::f('own') . '
        return 200;
        location /own/inherit { return 200; }
        location /own/nested {
            ' . main::f('nested') . '
            return 200;
            location /own/nested/deep { return 200; }
        }
        location ~ /own/.*[.]re$ { return 200; ' . main::f('regex') . ' }
    }
    location /two { ' . main::f('one') . main::f('two') . ' return 200; }
}'
--- config
--- client eval
sub {
    visit($ENV{TEST_NGINX_PORT_1}, qw(/inherit /own /own/inherit /own/nested /own/nested/deep /own/x.re /two /none));
}
--- client_out
/inherit 200 server
/own 200 own
/own/inherit 200 own
/own/nested 200 nested
/own/nested/deep 200 nested
/own/x.re 200 regex
/two 200 two one
/none 404 server
--- contexts: 9
--- no_error_log eval: $::bad



=== TEST 3: wasm_filter off clears what is inherited, for nested locations too
--- http_config eval: $::module . main::f('http')
--- config eval
'
    location /on { return 200; }
    location /off {
        wasm_filter off;
        return 200;
        location /off/inherit { return 200; }
        location /off/again { ' . main::f('again') . ' return 200; }
    }
    location /if {
        root html;
        if ($arg_off) { wasm_filter off; }
    }
'
--- user_files
>>> if/x.txt
file
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/on /off /off/inherit /off/again /if/x.txt /if/x.txt?off=1)) }
--- client_out
/on 200 http
/off 200
/off/inherit 200
/off/again 200 again
/if/x.txt 200 http
/if/x.txt?off=1 200
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 4: wasm_filter off for a whole server
--- http_config eval
$::module . main::f('http') . '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    wasm_filter off;
    location /off { return 200; }
    location /on { ' . main::f('on') . ' return 200; }
}'
--- config
    location /on { return 200; }
--- client eval
sub {
    visit($ENV{TEST_NGINX_PORT_1}, qw(/off /on /none)) . visit($ENV{TEST_NGINX_SERVER_PORT}, '/on');
}
--- client_out
/off 200
/on 200 on
/none 404
/on 200 http
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 5: servers chosen by name have filters of their own
--- http_config eval
$::module . CORE::join '', map { '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    server_name ' . "$_.example" . ';
    ' . main::f($_) . '
    location / { return 200; }
}' } qw(one two)
--- config
--- client eval
sub {
    rows(map {
        ask("GET / HTTP/1.1\r\nHost: $_\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /x-f: (\w+)/i;
        "$_ $1";
    } qw(one.example two.example other.example));
}
--- client_out
one.example one
two.example two
other.example one
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 6: an `if` with filters of its own gets these and not the location's
The chain is chosen behind the rewrite directives: the location's filter is not called at all.
--- http_config eval: $::module
--- config eval
'
    location /if/ {
        ' . main::f('loc') . '
        if ($arg_own) { ' . main::f('if') . ' }
        if ($arg_bare) { add_header X-If bare; }
    }
'
--- user_files
>>> if/x.txt
file
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/if/x.txt /if/x.txt?own=1 /if/x.txt?bare=1 /if/x.txt?own=1&bare=1)) }
--- client_out
/if/x.txt 200 loc
/if/x.txt?own=1 200 if
/if/x.txt?bare=1 200 loc
/if/x.txt?own=1&bare=1 200 loc
--- contexts: 4
--- guests_like eval: qr/: in /
--- guests
a: in loc
a: in if
a: in loc
a: in loc
--- no_error_log eval: $::bad



=== TEST 7: an `if` without filters inherits the location's, and the callbacks run once
--- http_config eval: $::module
--- config eval
'
    location /if/ {
        ' . main::f('loc') . '
        if ($arg_bare) { add_header X-If bare; }
    }
'
--- user_files
>>> if/x.txt
file
--- request
GET /if/x.txt?bare=1
--- response_headers
X-F: loc
X-If: bare
--- contexts: 1
--- guests_like eval: qr/: in /
--- guests
a: in loc
--- no_error_log eval: $::bad



=== TEST 8: an `if` with filters and a proxied upstream: both callbacks are those of the `if`
--- http_config eval
$::module . '
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "x-if=$http_x_if x-loc=$http_x_loc\n"; }
}'
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["set_header","request","x-loc","1"]]}';
        if ($arg_own) {
            wasm_filter a '{"trace":true,"request_headers":[["set_header","request","x-if","1"]]}';
        }
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- client eval
sub {
    rows(map { ask("GET /t$_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /\r\n\r\n(.*)\n/s } '', '?own=1');
}
--- client_out
x-if= x-loc=1
x-if=1 x-loc=
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 9: nested location and `if` in it
--- http_config eval: $::module
--- config eval
'
    location /if {
        ' . main::f('outer') . '
        location /if/in {
            if ($arg_own) { ' . main::f('if') . ' }
            if ($arg_bare) { add_header X-If bare; }
        }
    }
'
--- user_files
>>> if/in/x.txt
file
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/if/in/x.txt /if/in/x.txt?own=1 /if/in/x.txt?bare=1)) }
--- client_out
/if/in/x.txt 200 outer
/if/in/x.txt?own=1 200 if
/if/in/x.txt?bare=1 200 outer
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 10: a location's filters hold for the methods of its limit_except
--- http_config eval: $::module
--- config eval
'
    location /limit/ {
        ' . main::f('loc') . '
        limit_except GET { deny all; }
    }
'
--- user_files
>>> limit/x.txt
file
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, '/limit/x.txt', 'DELETE /limit/x.txt') }
--- client_out
/limit/x.txt 200 loc
DELETE /limit/x.txt 403 loc
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 11: named locations have filters of their own, inherit, or clear
--- http_config eval: $::module
--- config eval
main::f('server') . '
    location /own { ' . main::f('loc') . ' try_files /none @own; }
    location /inherit { try_files /none @inherit; }
    location /off { try_files /none @off; }
    location @own { ' . main::f('named') . ' return 200; }
    location @inherit { return 200; }
    location @off { wasm_filter off; return 200; }
'
--- client eval
sub { visit($ENV{TEST_NGINX_SERVER_PORT}, qw(/own /inherit /off)) }
--- client_out
/own 200 named
/inherit 200 server
/off 200
--- contexts: 4
--- guests_like eval: qr/: in /
--- guests
a: in loc
a: in named
a: in server
a: in server
--- no_error_log eval: $::bad



=== TEST 12: wasm_filter is not for limit_except
--- http_config eval: $::module
--- config
    location /t {
        limit_except GET { wasm_filter off; }
    }
--- must_die
--- error_log
"wasm_filter" directive is not allowed here
