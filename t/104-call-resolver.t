# Calls to host:port: the location's resolver gives the addresses.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use Calling;
use Servers;
use Wire;

our $dns = Servers::dns($ENV{TEST_NGINX_PORT_8}, 'one.test=127.0.0.1', 'one-two_3.test=127.0.0.1', 'none.test=::9',
    'two.test=127.0.0.2,127.0.0.1', 'dead.test=127.0.0.2,127.0.0.3', 'six.test=::1', 'fail.test=servfail',
    'refuse.test=refused', 'silent.test=silent', 'late.test=late:127.0.0.1');
Servers::dns($ENV{TEST_NGINX_PORT_7}, 'own.test=127.0.0.1');
our $port = $ENV{TEST_NGINX_PORT_1};
our $up = <<'_EOC_';
resolver 127.0.0.1:$TEST_NGINX_PORT_8 ipv6=off;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "$server_addr $http_host"; }
    location /connection { return 200 "$connection/$connection_requests"; }
}
_EOC_

run_tests();

__DATA__

=== TEST 1: a name becomes an address, and Host is the call's own
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub { calls(["one.test:$::port", authority => 'web.example'], ["one-two_3.test:$::port"]) }
--- client_out
200 127.0.0.1 web.example
200 127.0.0.1 up.example



=== TEST 2: names in any case, with digits, hyphens, underscores and a dot at the end
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub { calls(map { ["$_:$::port"] } 'one.test', 'ONE.test', 'one.test.') }
--- client_out eval
"200 127.0.0.1 up.example\n" x 3



=== TEST 3: every address is tried, wherever nginx begins
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub { calls(map { ["two.test:$::port", path => '/'] } 1 .. 3) }
--- client_out eval
"200 127.0.0.1 up.example\n" x 3
--- no_error_log eval: $Filtered::alive



=== TEST 4: none of the addresses answers
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub { calls(["dead.test:$::port"]) }
--- client_out eval
qr/\Afailed: connect\(\) to 127\.0\.0\.[23]:$::port failed \(111: Connection refused\)\n\z/
--- error_log eval
[qr/\[error\] .*\[wasm\] connect\(\) to 127\.0\.0\.[23]:\d+ failed \(111: Connection refused\), trying the next server/,
qr/\[error\] .*\[wasm\] hostcalls: call to "dead\.test:\d+" failed: connect\(\) to 127\.0\.0\.[23]:\d+ failed/]



=== TEST 5: what DNS says instead
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub { calls(map { ["$_.test:$::port"] } qw(no fail refuse none)) }
--- client_out
failed: no.test could not be resolved (3: Host not found)
failed: fail.test could not be resolved (2: Server failure)
failed: refuse.test could not be resolved (5: Operation refused)
failed: none.test could not be resolved (3: Host not found)
--- error_log
[wasm] hostcalls: call to "no.test:



=== TEST 6: a server that is silent: resolver_timeout
--- http_config eval: $::up
--- config
    resolver_timeout 300ms;
    @calls;
--- client eval
sub { calls(["silent.test:$::port"]) }
--- client_out
failed: silent.test could not be resolved (110: Operation timed out)
--- error_log
could not be resolved



=== TEST 7: no resolver
--- config
    @calls;
--- client eval
sub { calls(['one.test:80'], ['127.0.0.1:1']) }
--- client_out
failed: no resolver defined to resolve one.test
failed: connect() to 127.0.0.1:1 failed (111: Connection refused)
--- error_log
no resolver defined to resolve one.test



=== TEST 8: the location's own resolver
--- http_config eval: $::up
--- config
    @calls;
    location /own { resolver 127.0.0.1:$TEST_NGINX_PORT_7 ipv6=off; @call_filter; }
--- client eval
sub { calls(["own.test:$::port"], ["own.test:$::port", location => '/own']) }
--- client_out
failed: own.test could not be resolved (3: Host not found)
200 127.0.0.1 up.example
--- error_log
could not be resolved



=== TEST 9: IPv6
--- http_config
resolver 127.0.0.1:$TEST_NGINX_PORT_8;
server { listen [::1]:$TEST_NGINX_PORT_1; location / { return 200 "$server_addr"; } }
--- config
    @calls;
--- client eval
sub { calls(["six.test:$::port"]) }
--- client_out
200 ::1



=== TEST 10: nothing else waits for DNS
--- http_config eval: $::up
--- config
    @calls;
    location /now { return 200 now; }
--- client eval
sub {
    my $slow = connection();
    $slow->write("GET /call HTTP/1.1\r\nHost: a\r\nX-Up: late.test:$::port\r\nX-Path: /\r\nX-Scheme: http\r\nX-Authority: a\r\n\r\n");
    my $fast = ask("GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $silent = $slow->is_silent(0.1) ? 'silent' : 'answered';
    return rows($fast =~ /(now)\z/, $silent, $slow->answer);
}
--- client_out
now
silent
200 200 127.0.0.1 a



=== TEST 11: a client that leaves takes its question back
--- http_config eval: $::up
--- config
    resolver_timeout 300ms;
    @calls;
--- client eval
sub {
    my $leaving = connection();
    $leaving->write("GET /call HTTP/1.1\r\nHost: a\r\nX-Up: silent.test:$::port\r\nX-Path: /\r\nX-Scheme: http\r\nX-Authority: a\r\n\r\n");
    $leaving->is_silent(0.1);
    $leaving->close;
    # Longer than the resolver's patience.
    connection()->is_silent(0.5);
    return calls(["one.test:$::port"]);
}
--- client_out
200 127.0.0.1 up.example
--- no_error_log eval: qr/could not cancel|\[alert\]|panicked|could not be resolved/



=== TEST 12: an idle connection is used again without asking
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub {
    calls(map { ["one.test:$::port", path => '/connection'] } 1 .. 3) =~ s{\d+/}{}gr;
}
--- client_out
200 1
200 2
200 3



=== TEST 13: servers of an upstream block that are resolved while nginx runs
--- skip_nginx: 3: < 1.27.3
--- http_config eval
$::up . 'upstream block { zone block 64k; server one.test:$TEST_NGINX_PORT_1 resolve; }'
--- config
    @calls;
--- client eval
sub {
    my $answer;
    # nginx asks when it has started.
    wait_for(sub { ($answer = calls(['block'])) !~ /no live upstreams/ });
    return $answer;
}
--- client_out
200 127.0.0.1 up.example
--- no_error_log eval: $Filtered::alive



=== TEST 14: a root context calls by the resolver of the http block
--- http_config eval
$::up . qq{
wasm_filter hostcalls '{"configure":[["set_tick",20]],
    "tick":[["set_tick",0],["http_call","a","one.test:$::port",[[":method","GET"],[":path","/"],[":authority","root"]],"",[],5000]],
    "http_call_response":[["log","info",{"join":["told ",{"body":"call_response"}]}]]}';
}
--- config
    location /t { return 200; }
--- client eval
sub { log_has(qr/\[wasm\] hostcalls: told 127\.0\.0\.1 root/) }
--- client_out: 1
