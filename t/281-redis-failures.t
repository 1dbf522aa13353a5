# Redis calls that fail, each told once and with one line in the log; and nginx's processes.

use Test::Nginx::Socket 'no_plan';
use Control;
use Redis;
use Servers;

no_long_string();
# More than the connections that a worker may have to Redis.
worker_connections(1024);

our ($broken, $plain, $secure, $proxy) = @ENV{qw(TEST_NGINX_PORT_1 TEST_NGINX_PORT_2 TEST_NGINX_PORT_3 TEST_NGINX_PORT_9)};
our $faults = Servers::redis_faults(tcp => $broken);
our $redis = Servers::redis($plain);
our $tls = Servers::redis_faults(tls => $secure);

our $modules = <<"_EOC_";
    wasm_module m $ENV{TEST_NGINX_FILTERS}/redis_calls.wasm log_rate=off;
    large_client_header_buffers 4 64k;
    upstream cache { server 127.0.0.1:$plain; }
    upstream rediss://localhost { server 127.0.0.1:$secure; }
_EOC_

our $location = sub {
    my ($path, $configuration, $more) = @_;
    return "location $path { wasm_filter m '$configuration'; @{[$more // '']} return 200 \"passed\\n\"; }\n";
};
our $any = $location->('/f', qq({"service":"127.0.0.1:$broken","timeout_ms":60000}))
    . $location->('/r', qq({"service":"cache","timeout_ms":60000}))
    . 'location /t { return 204; }';
our $alive = qr/\[(?:alert|crit|emerg)\]|panicked/;

# Why calls have failed, in order.
sub main::failures { return map { s/.*failed: //r } main::matches(qr/\[error\] .*Redis call to "[^"]*" failed: [^\n]*/) }

# How many connections to the server there have been, and what came on them.
sub main::connections { return main::redis($main::broken, 'PORTS') =~ s/\D//gr }
sub main::log_of { return main::redis($_[0] // $main::broken, 'LOG') }

run_tests();

__DATA__

=== TEST 1: what breaks a connection fails what is due on it; the next call gets another one
--- http_config eval: $::modules
--- config eval: $::any
--- init
my $here = "127.0.0.1:$main::broken";
for my $key (qw(close half garbage deep:40)) {
    Test::More::is(main::ask('/f', 'x-commands' => "PING|GET $key|PING|PING"), "0 +OK\\r\\n\n1 \n1 \n1 \n", $key);
    Test::More::is(main::ask('/f', 'x-commands' => 'PING'), "0 +OK\\r\\n\n", 'another one');
}
Test::More::is(main::ask('/f', 'x-commands' => 'GET two'), "0 +one\\r\\n\n", 'a reply too many');
Test::More::is(main::ask('/f', 'x-commands' => 'PING'), "0 +OK\\r\\n\n", 'another one');
my ($closed, $malformed) = ("connection closed by $here before the reply", "malformed reply of $here");
Test::More::is(join("\n", main::failures()), join("\n", ($closed) x 6, ($malformed) x 6), 'a line each');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 2: a server that is not there
Each call is told; those at the same time have failed with one attempt.
--- http_config eval: $::modules
--- config eval: $::location->('/none', qq({"service":"127.0.0.1:$::proxy"})) . $::any
--- init
Test::More::is(main::ask('/none', 'x-commands' => 'PING|PING|PING'), "1 \n1 \n1 \n", 'told');
Test::More::is(join('', main::failures()), "connect() to 127.0.0.1:$main::proxy failed (111: Connection refused)" x 3, 'why');
my $later = Servers::redis($main::proxy);
Test::More::is(main::ask('/none', 'x-commands' => 'PING'), "0 +PONG\\r\\n\n", 'when it is there');
$later->stop;
Test::More::ok(main::wait_until(sub { main::ask('/none', 'x-commands' => 'PING') eq "1 \n" }), 'and when it has gone');
$later->start;
Test::More::is(main::ask('/none', 'x-commands' => 'PING'), "0 +PONG\\r\\n\n", 'and come again');
$later->stop;
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 3: a server of a block that is not there is passed over
--- http_config eval: $::modules . "upstream two { server 127.0.0.1:$::proxy max_fails=1 fail_timeout=60s; server 127.0.0.1:$::plain backup; }"
--- config eval: $::location->('/two', qq({"service":"two"})) . $::any
--- init
Test::More::is(main::ask('/two', 'x-commands' => 'PING|PING'), "0 +PONG\\r\\n\n0 +PONG\\r\\n\n", 'the other one');
--- request
GET /t
--- error_code: 204
--- error_log
trying the next server
--- no_error_log eval: $::alive



=== TEST 4: no reply in time
The late connection is left to those that wait on it; others get a new one, so one slow command does not hold them for ever.
--- http_config eval: $::modules
--- config eval: $::location->('/short', qq({"service":"127.0.0.1:$::broken","timeout_ms":1500})) . $::location->('/default', qq({"service":"127.0.0.1:$::broken"}), 'wasm_call_read_timeout 1500ms;') . $::any
--- init
for my $path (qw(/short /default)) {
    my $before = main::connections();
    Test::More::is(main::ask($path, 'x-commands' => 'GET silent'), "1 \n", 'told');
    Test::More::is(main::ask($path, 'x-commands' => 'PING'), "0 +OK\\r\\n\n", 'the next one has an answer');
    Test::More::is(main::connections() - $before - 1, 2, 'on a new connection');
}
Test::More::is(join("\n", main::failures()), join("\n", ("timed out while waiting for 127.0.0.1:$main::broken") x 2), 'a line each');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 5: commands that wait have connections of their own
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
my $client = main::connection();
print $client "GET /r HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-commands: BLPOP queue 0|XREAD BLOCK 0 STREAMS s \$\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'INFO', 'clients') =~ /blocked_clients:2\r/ }), 'two wait');
Test::More::is(main::ask('/r', 'x-commands' => 'PING|RPUSH queue x|XADD s 1-1 a b'), "0 +PONG\\r\\n\n0 :1\\r\\n\n0 \$3\\r\\n1-1\\r\\n\n", 'others do not');
Test::More::is(main::body_of(main::receive($client)), "0 *2\\r\\n\$5\\r\\nqueue\\r\\n\$1\\r\\nx\\r\\n\n0 *1\\r\\n*2\\r\\n\$1\\r\\ns\\r\\n*1\\r\\n*2\\r\\n\$3\\r\\n1-1\\r\\n*2\\r\\n\$1\\r\\na\\r\\n\$1\\r\\nb\\r\\n\n", 'then they are told');
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'INFO', 'clients') =~ /connected_clients:2\r/ }), 'and their connections are closed');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 6: a reply that is too large is thrown away; the connection and what comes behind it stay
--- http_config eval: $::modules
--- config eval: $::location->('/s', qq({"service":"127.0.0.1:$::broken"}), 'wasm_call_buffer_size 20k;') . $::any
--- init
my $before = main::connections();
Test::More::is(main::ask('/s', 'x-commands' => 'PING|GET big:20000|GET big:20481|GET big:3000000|PING') =~ s/x{1000,}/x/r, "0 +OK\\r\\n\n0 \$20000\\r\\nx\\r\\n\n1 \n1 \n0 +OK\\r\\n\n", 'replies');
Test::More::is(main::connections() - $before, 2, 'one connection');
Test::More::is(join("\n", main::failures()), join("\n", ('reply larger than 20480 bytes') x 2), 'a line each');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 7: a client that leaves: its call is made and told, and the worker has no more to do with the request
--- http_config eval: $::modules
--- config eval: $::any
--- init
my $client = main::connection();
print $client "GET /f HTTP/1.1\r\nHost: a\r\nx-commands: GET hold\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::log_of() =~ /GET hold/ }), 'it waits');
close $client;
main::redis($main::broken, 'RELEASE');
Test::More::is(scalar(@{[main::wait_for(qr/told 0 \+held/)]}), 1, 'told');
Test::More::is(main::ask('/f', 'x-commands' => 'PING'), "0 +OK\\r\\n\n", 'the connection is of use');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 8: an instance that traps is told nothing more; others on the same connection are
--- http_config eval: $::modules . "wasm_module other $ENV{TEST_NGINX_FILTERS}/redis_calls.wasm;"
--- config eval: $::location->('/o', qq({"service":"cache","timeout_ms":60000})) =~ s/wasm_filter m/wasm_filter other/r . $::any
--- init
my $client = main::connection();
print $client "GET /o HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-commands: BLPOP later 0\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'INFO', 'clients') =~ /blocked_clients:1\r/ }), 'one waits');
Test::More::like(main::ask('/r', 'x-mode' => 'trap', 'x-commands' => 'PING|PING|PING'), qr/ 503 /, 'a trap');
Test::More::is(scalar main::matches(qr/proxy_on_redis_call_response trapped/), 1, 'once');
Test::More::is(main::ask('/r', 'x-commands' => 'RPUSH later x'), "0 :1\\r\\n\n", 'the next instance');
Test::More::like(main::body_of(main::receive($client)), qr/later/, 'the other guest');
--- request
GET /t
--- error_code: 204



=== TEST 9: failures are lines of the module, and under its log_rate
--- http_config eval: $::modules =~ s/log_rate=off/log_rate=5/r
--- config eval: $::location->('/none', qq({"service":"127.0.0.1:$::proxy"})) . $::any
--- init
main::ask('/none', 'x-commands' => join '|', ('PING') x 200);
Test::More::cmp_ok(scalar(@{[main::failures()]}), '<=', 15, 'some of them');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 10: an exit finishes calls that run, does not wait for idle connections, and leaves none open
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'DEL', 'leave');
Test::More::is(main::ask($_, 'x-commands' => 'PING') =~ s/PONG|OK/x/r, "0 +x\\r\\n\n", $_) for qw(/r /f);
my $client = main::connection();
print $client "GET /r HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-commands: BLPOP leave 0\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'INFO', 'clients') =~ /blocked_clients:1\r/ }), 'one waits');
kill QUIT => main::pid();
main::wait_for(qr/gracefully shutting down/);
main::redis($main::plain, 'RPUSH', 'leave', 'x');
Test::More::like(main::body_of(main::receive($client)), qr/leave/, 'it is told');
Test::More::ok(main::wait_until(sub { !-e "$main::root/logs/nginx.pid" }), 'nginx is gone');
Test::More::is(scalar main::matches(qr/\[alert\]|open socket|panicked/), 0, 'without complaint');
main::start();
--- request
GET /t
--- error_code: 204



=== TEST 11: reloads: calls of the old workers end, new ones call
--- workers: 2
--- http_config eval: $::modules
--- config eval: $::any . 'location /old { return 200 old; }'
--- init
main::redis($main::plain, 'FLUSHALL');
my $client = main::connection();
print $client "GET /r HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-commands: BLPOP reload 0\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'INFO', 'clients') =~ /blocked_clients:1\r/ }), 'one waits');
main::reload('return 200 old', 'return 200 new');
Test::More::ok(main::wait_until(sub { main::body_of(main::get('/old')) eq 'new' }), 'reloaded');
Test::More::is(main::ask('/r', 'x-commands' => 'RPUSH reload x'), "0 :1\\r\\n\n", 'a new worker');
Test::More::like(main::body_of(main::receive($client)), qr/reload/, 'an old one');
Test::More::is(scalar main::matches(qr/\[alert\]|open socket|panicked/), 0, 'without complaint');
--- request
GET /t
--- error_code: 204



=== TEST 12: TLS: rediss://, by the guest or by the name of a block
--- http_config eval: $::modules . "wasm_call_ssl_trusted_certificate $Servers::certificates/ca.pem;"
--- config eval
$::location->('/s', qq({"service":"rediss://127.0.0.1:$::secure"}))
. $::location->('/block', qq({"service":"localhost","password":"right"}))
. $::location->('/both', qq({"service":"rediss://localhost?db=1"}))
. $::location->('/plain', qq({"service":"127.0.0.1:$::secure","timeout_ms":60000}))
. $::location->('/other', qq({"service":"rediss://cache"}), 'wasm_call_connect_timeout 300ms;') . $::any
--- init
Test::More::is(main::ask($_, 'x-commands' => 'PING|GET at:' . $main::secure), "0 +OK\\r\\n\n0 +$main::secure\\r\\n\n", $_) for qw(/s /block /both);
Test::More::is(main::ask('/plain', 'x-commands' => 'PING'), "1 \n", 'without TLS');
Test::More::is(main::ask('/other', 'x-commands' => 'PING'), "1 \n", 'no TLS there');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 13: a server that is not to be trusted gets nothing
--- http_config eval: $::modules . "wasm_call_ssl_trusted_certificate $Servers::certificates/self-signed.pem;"
--- config eval: $::location->('/s', qq({"service":"rediss://127.0.0.1:$::secure","password":"right"})) . $::any
--- init
Test::More::is(main::ask('/s', 'x-commands' => 'SET secret told'), "1 \n", 'told');
--- request
GET /t
--- error_code: 204
--- error_log
certificate verify error
--- no_error_log eval: $::alive



=== TEST 14: how calls end is counted
--- http_config eval: $::modules
--- config eval: $::location->('/none', qq({"service":"127.0.0.1:$::proxy"})) . $::any . 'location /metrics { wasm_metrics; }'
--- init
main::ask('/r', 'x-commands' => 'PING|nonsense');
main::ask('/f', 'x-commands' => 'GET close');
main::ask('/none', 'x-commands' => 'PING');
my $page = main::get('/metrics');
my %counted = $page =~ /nginx_wasm_calls_total\{[^}]*type="redis"[^}]*outcome="(\w+)"[^}]*\} (\d+)/g;
Test::More::is_deeply(\%counted, { ok => 2, reset => 1, connect => 1 }, 'by outcome') or Test::More::diag($page);
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive



=== TEST 15: connections of one worker have an end; what is over it fails, and the rest goes on
--- http_config eval: $::modules
--- config eval: $::any
--- init
Test::More::is(main::redis($main::plain, 'FLUSHALL'), "+OK\r\n", 'emptied');
my $client = main::connection();
print $client "GET /r HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-commands: " . join('|', ('BLPOP x 0') x 600) . "\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'INFO', 'clients') =~ /blocked_clients:512\r/ }), '512 wait');
Test::More::is(scalar(@{[grep { $_ eq 'too many Redis connections' } main::failures()]}), 88, 'the others do not');
main::redis($main::plain, 'RPUSH', 'x', ('y') x 512);
my $told = main::body_of(main::receive($client));
Test::More::is(scalar(@{[$told =~ /^0 /mg]}) . ' ' . scalar(@{[$told =~ /^1 $/mg]}), '512 88', 'told');
Test::More::ok(main::wait_until(sub { main::ask('/r', 'x-commands' => 'PING') eq "0 +PONG\\r\\n\n" }), 'and there is room again');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive
