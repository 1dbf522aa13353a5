# What filters store for a request: seen by other filters, by subrequests, over internal redirects, and
# by nginx's configuration.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

sub get {
    my $c = connection();
    $c->write("GET $_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    return ($c->message)[1];
}

run_tests();

__DATA__

=== TEST 1: a property that one filter sets is read by the others, in both directions
--- http_config eval: module_lines('a', 'b')
--- config
location / {
    wasm_filter a '{"request_headers":[["set_property","user","alice"],["set_property","my.group","admin"],["get_property","none"]],"response_headers":[["get_property","user"],["get_property","answer"]]}';
    wasm_filter b '{"request_headers":[["get_property","user"],["get_property","my.group"],["get_property",["filter_state","wasm.my.group"]],["get_property",["wasm","user"]]],"response_headers":[["set_property","user","bob"],["set_property","answer","42"]]}';
    return 200 ok;
}
--- client eval: sub { main::get('/') }
--- client_out chomp
ok
--- guests
a: property none: status 1
b: property user = alice
b: property my.group = admin
b: property filter_state.wasm.my.group = admin
b: property wasm.user = alice
a: property user = bob
a: property answer = 42
--- no_error_log eval: $::bad



=== TEST 2: nginx reads it: in a header for the upstream, a map, the access log, an added header
--- http_config eval
module_lines('a') . q~
map $wasm_property_my_group $kind { admin boss; default nobody; }
log_format state '$uri [$wasm_property_my_group] [$wasm_property_user] [$wasm_property_late]';
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 "$http_x_group $http_x_kind"; } }
~
--- config
access_log logs/state.log state;
location /set {
    wasm_filter a '{"request_headers":[["set_property","My.Group","admin"]],"response_headers":[["set_property","user","alice"]],"log":[["set_property","late","at the end"]]}';
    proxy_set_header X-Group "$wasm_property_my_group";
    proxy_set_header X-Kind $kind;
    add_header X-User $wasm_property_user;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /none { add_header X-User "[$wasm_property_user]"; return 200 "$kind"; }
--- client eval
sub {
    my ($set, $none) = map { ask("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") } '/set', '/none';
    my $log = '';
    wait_for(sub {
        open my $file, '<', "$Test::Nginx::Util::ServRoot/logs/state.log" or return 0;
        ($log = CORE::join '', <$file>) =~ /none/;
    });
    rows($set =~ /^x-user: (.*)\r/mi, $set =~ /\r\n\r\n(.*)\z/s, $none =~ /^x-user: (.*)\r/mi, $none =~ /\r\n\r\n(.*)\z/s) . $log;
}
--- client_out
alice
admin boss
[]
nobody
/set [admin] [alice] [at the end]
/none [-] [-] [-]
--- no_error_log eval: $::bad



=== TEST 3: a variable is read anew after a filter has changed the value
--- http_config eval: module_lines('a')
--- config
location / {
    set $early "$wasm_property_n";
    wasm_filter a '{"request_headers":[["get_property","nginx.wasm_property_n"],["set_property","n","1"],["get_property","nginx.wasm_property_n"]],"response_headers":[["set_property","n","2"],["get_property","nginx.wasm_property_n"]],"response_body":[["set_property","n","3"],["get_property","nginx.wasm_property_n"]]}';
    add_header X-N "$wasm_property_n";
    return 200 "$wasm_property_n";
}
--- client eval: sub { ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /^(x-n: \d)\r\n(?:.*\r\n)?\r\n(.*)\z/msi ? "$1 $2\n" : "no\n" }
--- client_out
X-N: 3 1
--- guests
a: property nginx.wasm_property_n: status 1
a: property nginx.wasm_property_n = 1
a: property nginx.wasm_property_n = 2
a: property nginx.wasm_property_n = 3
--- no_error_log eval: $::bad



=== TEST 4: subrequests read what their main request has; what they set is their own
--- http_config eval: module_lines('a', 'b')
--- config
location = /page {
    wasm_filter a '{"request_headers":[["set_property","user","alice"],["set_property","own","main"]],"log":[["get_property","user"],["get_property","own"],["get_property","part"]]}';
    ssi on; ssi_types *; alias html/page.html;
}
location /part { wasm_filter b '{"request_headers":[["get_property","user"],["set_property","own","part"],["get_property","own"],["set_property","part","x"]]}'; return 200 "$wasm_property_user $wasm_property_own"; }
location /plain { return 200 "$wasm_property_user $wasm_property_own"; }
--- user_files
>>> page.html
[<!--#include virtual="/part" -->] [<!--#include virtual="/plain" -->]
--- client eval: sub { main::get('/page') }
--- client_out
[alice part] [alice main]
--- guests
b: property user = alice
b: property own = part
a: property user = alice
a: property own = main
a: property part: status 1
--- no_error_log eval: $::bad



=== TEST 5: over internal redirects, to the same filters, to others, and to none
--- http_config eval: module_lines('a', 'b')
--- config
location /same { wasm_filter a '{"request_headers":[["set_property","n","1"]],"response_headers":[["get_property","n"]]}'; error_page 404 /same/404; return 404; location = /same/404 { return 200 "same $wasm_property_n"; } }
location /other { wasm_filter a '{"request_headers":[["set_property","n","2"]]}'; try_files /none /to; }
location /to { wasm_filter b '{"request_headers":[["get_property","n"],["set_property","m","3"]]}'; return 200 "other $wasm_property_n $wasm_property_m"; }
location /none { wasm_filter a '{"request_headers":[["set_property","n","4"]]}'; rewrite ^ /plain last; }
location /plain { return 200 "none $wasm_property_n"; }
--- client eval: sub { rows(map { main::get($_) } '/same', '/other', '/none') }
--- client_out
same 1
other 2 3
none 4
--- guests
a: property n = 1
b: property n = 2
--- no_error_log eval: $::bad



=== TEST 6: each request has its own values, on a connection that is kept, and side by side
--- http_config eval: module_lines('a')
--- config
location / { wasm_filter a '{"request_headers":[["if_path","/set",[["set_property","n","1"]]]]}'; return 200 "[$wasm_property_n]"; }
--- client eval
sub {
    my $c = connection();
    rows(map { $c->write("GET $_ HTTP/1.1\r\nHost: a\r\n\r\n"); $c->answer } '/set', '/get', '/set', '/get');
}
--- client_out
200 [1]
200 []
200 [1]
200 []
--- no_error_log eval: $::bad
