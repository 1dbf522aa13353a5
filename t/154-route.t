# clear_route_cache: the location is chosen again after a filter has changed :path.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

our $module = module_lines('a', 'b') . <<'_EOC_';
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "upstream $request_method $request_uri $request_body"; }
}
_EOC_

# Operations that send the request elsewhere.
our $clear = '["call_foreign_function","clear_route_cache","","none"]';
sub to { return qq~["set_header","request",":path","$_[0]"],$main::clear~ }

# The answers to GET of each path.
sub answers {
    return rows(map {
        my $c = connection();
        $c->write("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($status, $body) = $c->answer =~ /^(\d+) (.*)/s;
        "$_: " . ($status == 200 ? $body : $status);
    } @_);
}

run_tests();

__DATA__

=== TEST 1: the new path's location serves the request; without clear_route_cache the old one does
--- http_config eval: $::module
--- config eval
qq~
location /clear { wasm_filter a '{"trace":true,"request_headers":[@{[main::to('/new/place?x=1')]}]}'; return 200 old; }
location /stay { wasm_filter a '{"trace":true,"request_headers":[["set_header","request",":path","/new/place"]]}'; return 200 "old \$uri"; }
location /only { wasm_filter a '{"trace":true,"request_headers":[$main::clear]}'; return 200 "old \$uri"; }
location /new { return 200 "new \$uri \$args"; }
~
--- client eval: sub { main::answers('/clear', '/stay', '/only') }
--- client_out
/clear: new /new/place x=1
/stay: old /new/place
/only: old /only
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 2: the rewrite directives of the old location are not run, those of the new one are
--- http_config eval: $::module
--- config eval
qq~
location /a { wasm_filter a '{"request_headers":[@{[main::to('/b/1')]}]}'; set \$seen old; rewrite ^ /wrong last; }
location /b { set \$seen "new"; rewrite ^/b/(.*) /c/\$1 last; }
location /c { return 200 "c \$uri \$seen"; }
location /wrong { return 200 wrong; }
~
--- client eval: sub { main::answers('/a') }
--- client_out
/a: c /c/1 new
--- no_error_log eval: $::bad



=== TEST 3: the same filters at the new location go on: no request callback twice, one context each
--- http_config eval: $::module
--- config eval
qq~
wasm_filter a '{"trace":true,"request_headers":[["if_path","/old",[@{[main::to('/new')]}]],["add_header","request","x-n","1"]]}';
wasm_filter b '{"trace":true}';
location /old { return 200 old; }
location /new { add_header X-N \$http_x_n; return 200 "new \$http_x_n"; }
~
--- client eval: sub { main::answers('/old/x') }
--- client_out
/old/x: new 1
--- contexts: 2
--- guests_like eval: qr/on_/
--- guests eval
qr/\Aa: on_context_create .*\nb: on_context_create .*\na: on_request_headers .*\nb: on_request_headers .*\nb: on_response_headers .*\na: on_response_headers .*\n(?:.: on_response_body .*\n)+(?:.: on_(?:done|log|delete) .*\n){6}\z/
--- no_error_log eval: $::bad



=== TEST 4: other filters at the new location: the old ones end, the new ones begin, with the state kept
--- http_config eval: $::module
--- config eval
qq~
location /old { wasm_filter a '{"trace":true,"request_headers":[["set_property","from.a","kept"],@{[main::to('/new')]}]}'; return 200 old; }
location /new { wasm_filter b '{"trace":true,"request_headers":[["get_property","from.a"],["get_property","request.path"]]}'; return 200 "new \$wasm_property_from_a"; }
~
--- client eval: sub { main::answers('/old') }
--- client_out
/old: new kept
--- contexts: 2
--- guests_like eval: qr/on_(?!response)|property/
--- guests eval
qr/\Aa: on_context_create .*\na: on_request_headers .*\na: on_done .*\na: on_log .*\na: on_delete .*\nb: on_context_create .*\nb: on_request_headers .*\nb: property from.a = kept\nb: property request.path = \/new\nb: on_done .*\nb: on_log .*\nb: on_delete .*\n\z/
--- no_error_log eval: $::bad



=== TEST 5: filters that send the request round in a circle
--- http_config eval: $::module
--- config eval
qq~
location /a { wasm_filter a '{"trace":true,"request_headers":[@{[main::to('/b')]}]}'; return 200 a; }
location /b { wasm_filter b '{"trace":true,"request_headers":[@{[main::to('/a')]}]}'; return 200 b; }
~
--- client eval: sub { main::answers('/a') }
--- client_out
/a: 500
--- error_log eval: qr{rewrite or internal redirection cycle while processing "/[ab]"}
--- no_error_log eval: $::bad



=== TEST 6: in the access phase, by an internal redirect; nginx checks access at the new location
--- http_config eval: $::module
--- config eval
qq~
wasm_filter_phase access;
location /old { wasm_filter a '{"trace":true,"request_headers":[["if_path","/old/no",[@{[main::to('/denied')]}]],["if_path","/old/yes",[@{[main::to('/new?q')]}]]]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
location /circle { wasm_filter a '{"request_headers":[@{[main::to('/circle/b')]}]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
location /circle/b { wasm_filter b '{"request_headers":[@{[main::to('/circle')]}]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
location /denied { deny all; }
location /new { proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
location /status { stub_status; }
~
--- client eval: sub { main::answers('/old/no', '/old/yes', '/old', '/circle') . 'writing ' . writing() . "\n" }
--- client_out
/old/no: 403
/old/yes: upstream GET /new?q 
/old: upstream GET /old 
/circle: 500
writing 1
--- error_log: rewrite or internal redirection cycle while internally redirecting
--- no_error_log eval: $::bad



=== TEST 7: from a body callback, and after a pause: the body goes to the new location
--- http_config eval: $::module
--- config eval
go_locations(['a']) . qq~
location /body { wasm_filter a '{"trace":true,"request_body":[["set_body","request",0,-1,"changed"],@{[main::to('/new')]}]}'; return 200 old; }
location /pause { wasm_filter a '{"trace":true,"request_body":[@{[main::to('/new')]},["action","pause"]]}'; return 200 old; }
location /access { wasm_filter_phase access; wasm_filter a '{"trace":true,"request_body":[["set_body","request",0,-1,"changed"],@{[main::to('/new')]}]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_9; }
location /new { proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_9; }
~
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my ($line) = $head =~ /^(.*) HTTP/;
    $c->write("HTTP/1.0 200 OK\r\n\r\n$line $body");
}
--- client eval
sub {
    my @out;
    for my $path ('/body', '/pause', '/access') {
        my $c = connection();
        $c->write("POST $path HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
        if ($path eq '/pause') {
            until_logged('on_request_body id=.*/pause HTTP');
            go('a');
        }
        push @out, "$path: " . $c->answer;
    }
    rows(@out);
}
--- client_out
/body: 200 POST /new changed
/pause: 200 POST /new body
/access: 200 POST /new changed
--- no_error_log eval: $::bad



=== TEST 8: in a subrequest
--- http_config eval: $::module
--- config eval
qq~
location = /page { ssi on; ssi_types *; alias html/page.html; }
location /part { wasm_filter a '{"trace":true,"request_headers":[@{[main::to('/other')]}]}'; return 200 part; }
location /other { return 200 "other"; }
~
--- user_files
>>> page.html
[<!--#include virtual="/part" -->]
end
--- client eval: sub { main::answers('/page') =~ s/\n\n\z/\n/r }
--- client_out
/page: [other]
end
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 9: an upstream gets the path as the filter has set it; a prefix is replaced at the new location
--- http_config eval: $::module
--- config eval
qq~
location /old { wasm_filter a '{"request_headers":[["if_path","/old/1",[@{[main::to('/new/a%2Fb?x=%20')]}]],["if_path","/old/2",[@{[main::to('/prefix/x')]}]]]}'; return 200 old; }
location /new { proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
location /prefix/ { proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/instead/; }
~
--- client eval: sub { main::answers('/old/1', '/old/2') }
--- client_out
/old/1: upstream GET /new/a%2Fb?x=%20 
/old/2: upstream GET /instead/x 
--- no_error_log eval: $::bad



=== TEST 10: in response callbacks it has no effect
--- http_config eval: $::module
--- config eval
qq~
location / { wasm_filter a '{"response_headers":[$main::clear,["log","info",{"join":["status ",{"var":"status"}]}]]}'; return 200 old; }
~
--- client eval: sub { main::answers('/') }
--- client_out
/: old
--- guests_like eval: qr/status/
--- guests
a: status 0
--- no_error_log eval: $::bad
