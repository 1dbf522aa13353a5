# Ranges that cannot be satisfied, behind filters with body callbacks: nginx's own page, with the header lines that it
# has without a filter.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $http = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
proxy_cache_path proxy_temp/cache keys_zone=c:1m;
proxy_force_ranges on;
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { root html; max_ranges 0; add_header Accept-Ranges bytes; add_header X-Up 1; } }
_EOC_

sub locations {
    my $filter = shift;
    my $to = "$filter proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/x; }\n";
    return "location = /proxied { $to location = /unbuffered { proxy_buffering off; $to location = /cached { proxy_cache c; proxy_cache_valid any 1h; $to"
        . "location = /x { $filter }\nlocation = /page { error_page 416 /416.html; $to location = /416.html { return 200 'own page'; }\n";
}

sub visit_all {
    return rows(map {
        my $answer = ask("GET $_ HTTP/1.1\r\nHost: a\r\nRange: bytes=9000-\r\nConnection: close\r\n\r\n");
        my ($range) = $answer =~ /^content-range: (.*)\r/mi;
        CORE::join ' ', $_, $answer =~ m{^HTTP/1.1 (\d+)}, $range // 'no range', $answer =~ /^x-up: 1\r/mi ? 'up' : 'no', $answer =~ /own page|416 Requested Range Not Satisfiable<\/title>/ ? 'page' : 'no page';
    } qw(/proxied /unbuffered /cached /cached /x /page));
}

run_tests();

__DATA__

=== TEST 1: without a filter
--- http_config eval: $::http
--- config eval: main::locations('')
--- user_files eval: [['x', 'x' x 300]]
--- client eval: sub { main::visit_all() }
--- client_out
/proxied 416 bytes */300 up page
/unbuffered 416 bytes */300 up page
/cached 416 bytes */300 up page
/cached 416 bytes */300 up page
/x 416 bytes */300 no page
/page 416 bytes */300 up page
--- no_error_log eval: $::bad



=== TEST 2: behind a filter that sees the body
--- http_config eval: $::http
--- config eval: main::locations(q(wasm_filter a '{"response_body":[["log_body_length","response",0,-1]]}';))
--- user_files eval: [['x', 'x' x 300]]
--- client eval: sub { main::visit_all() }
--- client_out
/proxied 416 bytes */300 up page
/unbuffered 416 bytes */300 up page
/cached 416 bytes */300 up page
/cached 416 bytes */300 up page
/x 416 bytes */300 no page
/page 416 bytes */300 up page
--- no_error_log eval: $::bad



=== TEST 3: behind a filter that pauses and goes on
--- http_config eval: $::http
--- config eval: main::locations(q(wasm_filter a '{"response_headers":[["set_tick",1],["action","pause"]],"tick":[["let","n","0"],["repeat",40,[["let","n",{"add":[{"var":"n"},1]}],["effective_context",{"var":"n"}],["if",{"var":"status"},"0",[["continue","response"]]]]]]}';))
--- user_files eval: [['x', 'x' x 300]]
--- client eval: sub { main::visit_all() }
--- client_out
/proxied 416 bytes */300 up page
/unbuffered 416 bytes */300 up page
/cached 416 bytes */300 up page
/cached 416 bytes */300 up page
/x 416 bytes */300 no page
/page 416 bytes */300 up page
--- no_error_log eval: $::bad
