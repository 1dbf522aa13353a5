# proxy_redis_init and proxy_redis_call with Debian's redis-server: services, commands, replies.

use Test::Nginx::Socket 'no_plan';
use Control;
use Redis;
use Servers;

no_long_string();

our ($plain, $secret, $dns) = @ENV{qw(TEST_NGINX_PORT_1 TEST_NGINX_PORT_2 TEST_NGINX_PORT_3)};
our $redis = Servers::redis($plain, '--unixsocket', "/tmp/nginx-test-redis-$$.sock");
our $locked = Servers::redis($secret, '--requirepass', 'all%of&it', qw(--user ada on >love ~* +@all));
our $names = Servers::dns($dns, 'redis.test=127.0.0.1');
END { unlink "/tmp/nginx-test-redis-$$.sock" if defined $redis }

our $modules = <<"_EOC_";
    wasm_module m $ENV{TEST_NGINX_FILTERS}/redis_calls.wasm log_rate=off;
    large_client_header_buffers 4 64k;
    resolver 127.0.0.1:$dns ipv6=off;
    upstream cache { server 127.0.0.1:$plain; }
    upstream outbound|6379||cache.dns { server 127.0.0.1:$plain; }
_EOC_

# A location whose filter has this configuration.
our $location = sub {
    my ($path, $configuration) = @_;
    return "location $path { wasm_filter m '$configuration'; return 200 \"passed\\n\"; }\n";
};
our $any = $location->('/r', qq({"service":"127.0.0.1:$plain","timeout_ms":5000})) . 'location /t { return 204; }';
our $alive = qr/\[(?:alert|crit|emerg)\]|panicked/;

run_tests();

__DATA__

=== TEST 1: commands and replies of every type
An error of the server's is a reply.
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
Test::More::is(main::ask('/r', 'x-commands' => 'SET a b|GET a|GET none|INCR n|INCR a|RPUSH l x y|LRANGE l 0 -1|LRANGE none 0 -1|'
    . "EVAL return%20{1,{'two',false},{}} 0|SET empty %|STRLEN empty|nonsense"), <<'_EOC_', 'replies');
0 +OK\r\n
0 $1\r\nb\r\n
0 $-1\r\n
0 :1\r\n
0 -ERR value is not an integer or out of range\r\n
0 :2\r\n
0 *2\r\n$1\r\nx\r\n$1\r\ny\r\n
0 *0\r\n
0 *3\r\n:1\r\n*2\r\n$3\r\ntwo\r\n$-1\r\n*0\r\n
0 +OK\r\n
0 :0\r\n
0 -ERR unknown command \'nonsense\', with args beginning with: \r\n
_EOC_
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 2: any bytes, also many of them
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
Test::More::is(main::ask('/r', 'x-commands' => 'SET %00%0d%0a%ff %0d%0a$5%0d%0a|GET %00%0d%0a%ff'), "0 +OK\\r\\n\n0 \$6\\r\\n\\r\\n\$5\\r\\n\\r\\n\n", 'a reply as it is');
Test::More::is(main::ask('/r', 'x-commands' => 'SET big %*700000,y|STRLEN big'), "0 +OK\\r\\n\n0 :700000\\r\\n\n", 'a large command');
my $big = main::ask('/r', 'x-commands' => 'GET big');
Test::More::ok($big eq "0 \$700000\\r\\n" . 'y' x 700000 . "\\r\\n\n", 'a large reply') or Test::More::diag(length $big);
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 3: many calls are under way on one connection, whose replies come in order
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
my $connections = sub { (main::redis($main::plain, 'INFO', 'stats') =~ /total_connections_received:(\d+)/)[0] };
my $before = $connections->();
my $wanted = join '', map { "0 :$_\\r\\n\n" } 1 .. 2000;
Test::More::is(main::ask('/r', 'x-commands' => join '|', ('INCR n') x 2000), $wanted, 'a thousand and one more');
my @clients = map { my $c = main::connection(); print $c "GET /r HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-commands: INCR n|INCR n\r\n\r\n"; $c } 1 .. 20;
main::receive($_) for @clients;
Test::More::is(main::redis($main::plain, 'GET', 'n'), "\$4\r\n2040\r\n", 'each was done once');
Test::More::is($connections->() - $before, 3, 'one connection, beside those of the test itself');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 4: what is refused at once
Nothing of it reaches the server.
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
main::redis($main::plain, 'CONFIG', 'RESETSTAT');
for my $command ('SELECT 1', 'auth x', 'HELLO 3', 'MULTI', 'EXEC', 'WATCH a', 'SUBSCRIBE a', 'MONITOR', 'CLIENT REPLY OFF', 'QUIT', 'RESET', 'PSYNC ? -1', 'ASKING') {
    Test::More::is(main::ask('/r', 'x-commands' => $command), "call 2\n", $command);
}
for my $query ('', 'PING%0d%0a', '*1%0d%0a', '*0%0d%0a', '*-1%0d%0a', '*1%0d%0a$4%0d%0aPIN', '*1%0d%0a$4%0d%0aPING%0d%0a*1%0d%0a$4%0d%0aPING%0d%0a',
    '*1%0d%0a:1%0d%0a', '*1%0d%0a*1%0d%0a$4%0d%0aPING%0d%0a', '*1%0d%0a$-1%0d%0a', '*2147483647%0d%0a', '*99999999999999999999%0d%0a', '$4%0d%0aPING%0d%0a',
    '*1%0d%0a$9999999999%0d%0aPING%0d%0a', '*1%0d%0a$4%0d%0aPINGxx', '*1%0a$4%0aPING%0a', '*1000000000%0d%0a$1%0d%0aa%0d%0a', '%*200000,*') {
    Test::More::is(main::ask('/r', 'x-query' => $query), "call 2\n", "query $query");
}
Test::More::is(main::ask('/r', 'x-query' => '*1%0d%0a$4%0d%0aPING%0d%0a'), "0 +PONG\\r\\n\n", 'what is all right');
Test::More::unlike(main::redis($main::plain, 'INFO', 'commandstats'), qr/cmdstat_(?:select|auth|multi|subscribe|monitor|client)/, 'as the server tells');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 5: services: what is unknown, and its parameters
A call names the service with its parameters or without; the last proxy_redis_init of an upstream counts for calls without.
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
my $here = "127.0.0.1:$main::plain";
for my $service ('nobody', '', '127.0.0.1', '127.0.0.1:0', "$here?db=x", "$here?db=-1", "$here?db=", "$here?db=4294967296", "$here?unknown=1", "$here?db", 'rediss://nobody', '?db=1') {
    Test::More::is(main::ask('/r', 'x-init' => $service), "init 2\n", "init $service");
}
Test::More::is(main::ask('/r', 'x-service' => 'cache', 'x-commands' => 'PING'), "call 2\n", 'no call before its init');
for my $service ($here, "redis://$here", "$here?db=2", "$here?buffer_flush_timeout=3&max_buffer_size_before_flush=1024", "$here?db=2&buffer_flush_timeout=0", "$here?", 'cache', 'CACHE?db=1') {
    my $path = $service =~ s/\?.*//r;
    my $called = main::ask('/r', 'x-init' => $service, 'x-service' => $service, 'x-commands' => "SET where %$service" =~ s/[%?&=:]/./gr);
    Test::More::is($called, "init 0\n0 +OK\\r\\n\n", "init $service");
}
main::redis($main::plain, 'FLUSHALL');
Test::More::is(main::ask('/r', 'x-init' => 'cache?db=3', 'x-service' => 'cache', 'x-commands' => 'SET k v'), "init 0\n0 +OK\\r\\n\n", 'by the upstream');
Test::More::is(main::redis($main::plain, 'INFO', 'keyspace') =~ s/.*?(db\d).*/$1/sr, 'db3', 'in the database that was chosen');
Test::More::is(main::ask('/r', 'x-init' => 'cache?db=99', 'x-service' => 'cache', 'x-commands' => 'PING'), "init 0\n1 \n", 'no such database');
--- request
GET /t
--- error_code: 204
--- error_log eval: qr/\[error\] .*\[wasm\] m: Redis call to "cache" failed: SELECT was refused: ERR DB index is out of range/
--- no_error_log eval: $::alive



=== TEST 6: names of hosts, blocks, and sockets
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'SET', 'k', 'v');
for my $service ('cache', "redis.test:$main::plain", 'outbound|6379||cache.dns', "unix:/tmp/nginx-test-redis-$$.sock") {
    Test::More::is(main::ask('/r', 'x-init' => $service, 'x-service' => $service, 'x-commands' => 'GET k'), "init 0\n0 \$1\\r\\nv\\r\\n\n", $service);
}
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 7: passwords
One that the server does not ask for does no harm, as in Envoy.
--- http_config eval: $::modules
--- config eval
$::location->('/all', qq({"service":"127.0.0.1:$::secret","password":"all%of&it"}))
. $::location->('/user', qq({"service":"127.0.0.1:$::secret","username":"ada","password":"love"}))
. $::location->('/wrong', qq({"service":"127.0.0.1:$::secret","username":"ada","password":"hate"}))
. $::location->('/none', qq({"service":"127.0.0.1:$::secret"}))
. $::location->('/needless', qq({"service":"127.0.0.1:$::plain","password":"love"}))
. $::location->('/db', qq({"service":"127.0.0.1:$::secret?db=4","username":"ada","password":"love"}))
. 'location /t { return 204; }'
--- init
Test::More::is(main::ask('/all', 'x-commands' => 'ACL WHOAMI|SET k v'), "0 \$7\\r\\ndefault\\r\\n\n0 +OK\\r\\n\n", 'a password');
Test::More::is(main::ask('/user', 'x-commands' => 'ACL WHOAMI'), "0 \$3\\r\\nada\\r\\n\n", 'a user');
Test::More::is(main::ask('/wrong', 'x-commands' => 'PING|PING'), "1 \n1 \n", 'a wrong one');
Test::More::is(main::ask('/none', 'x-commands' => 'PING'), "0 -NOAUTH Authentication required.\\r\\n\n", 'none, as the server says');
Test::More::is(main::ask('/needless', 'x-commands' => 'PING'), "0 +PONG\\r\\n\n", 'one too many');
Test::More::is(main::ask('/db', 'x-commands' => 'GET k|SET d 1'), "0 \$-1\\r\\n\n0 +OK\\r\\n\n", 'another database');
Test::More::is(main::ask('/user', 'x-commands' => 'GET k|GET d'), "0 \$1\\r\\nv\\r\\n\n0 \$-1\\r\\n\n", 'each on connections of its own');
--- request
GET /t
--- error_code: 204
--- error_log eval: qr/\[error\] .*\[wasm\] m: Redis call to "127.0.0.1:\d+" failed: AUTH was refused: WRONGPASS/
--- no_error_log eval: $::alive



=== TEST 8: a root context calls, too, and gets its reply
--- http_config eval: $::modules
--- config eval: $::location->('/r', qq({"service":"127.0.0.1:$::plain","start":["SET started yes","GET started","SELECT 1"]})) . 'location /t { return 204; }'
--- init
Test::More::is(scalar main::wait_for(qr/m: told 0 \$3\\r\\nyes\\r\\n/), 1, 'told');
Test::More::is(main::redis($main::plain, 'GET', 'started'), "\$3\r\nyes\r\n", 'done');
Test::More::is(scalar main::wait_for(qr/m: init: 0/, 1) > 0, 1, 'the init');
Test::More::is(scalar main::wait_for(qr/m: call: 2/, 1) > 0, 1, 'a refusal');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 9: a request that goes on does not wait, and its call is made
--- http_config eval: $::modules
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
Test::More::is(main::ask('/r', 'x-mode' => 'go', 'x-commands' => 'INCR n|INCR n'), "passed\n", 'at once') for 1 .. 3;
Test::More::is(scalar(@{[main::wait_for(qr/told 0 :\d/, 6)]}), 6, 'the guest is told, once each');
Test::More::is(main::redis($main::plain, 'GET', 'n'), "\$1\r\n6\r\n", 'done');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 10: with an instance for each request
What was said at configuration holds for all; what a request says is gone with it.
--- http_config eval: $::modules =~ s/log_rate=off/log_rate=off isolation=request/r
--- config eval: $::any
--- init
main::redis($main::plain, 'FLUSHALL');
Test::More::is(main::ask('/r', 'x-commands' => "INCR n|INCR n"), "0 :" . (2 * $_ - 1) . "\\r\\n\n0 :" . 2 * $_ . "\\r\\n\n", 'configured') for 1 .. 5;
Test::More::is(main::ask('/r', 'x-init' => 'cache', 'x-service' => 'cache', 'x-commands' => 'PING'), "init 0\n0 +PONG\\r\\n\n", 'its own');
Test::More::is(main::ask('/r', 'x-service' => 'cache', 'x-commands' => 'PING'), "call 2\n", 'not the next one s') for 1 .. 3;
Test::More::is(main::ask('/r', 'x-mode' => 'go', 'x-commands' => 'INCR n'), "passed\n", 'passed on') for 1 .. 3;
Test::More::ok(main::wait_until(sub { main::redis($main::plain, 'GET', 'n') eq "\$2\r\n13\r\n" }), 'and done');
Test::More::is(scalar(@{[main::wait_for(qr/told 0 :1[123]/, 3)]}), 3, 'and told');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 11: allow= and deny=
--- http_config eval
my $more = sub { $::modules =~ s/log_rate=off/log_rate=off $_[0]/r =~ s/wasm_module m/wasm_module $_[1]/r =~ s/(?<=;\n).*//sr };
$::modules . $more->('deny=redis', 'denied') . $more->("allow=redis(cache|127.0.0.1:$::plain),random,clock deny=all", 'some')
--- config eval
my $of = sub { $::location->("/$_[0]", qq({"service":"cache?db=1","start":["PING"]})) =~ s/wasm_filter m/wasm_filter $_[0]/r };
$of->('denied') . $of->('some') . 'location /t { return 204; }'
--- init
Test::More::is(main::ask('/denied', 'x-commands' => 'PING'), "call 10\n", 'denied');
Test::More::is(main::ask('/some', 'x-commands' => 'PING'), "0 +PONG\\r\\n\n", 'listed');
Test::More::is(main::ask('/some', 'x-init' => 'redis.test:1', 'x-commands' => 'PING'), "init 10\n0 +PONG\\r\\n\n", 'not listed');
--- request
GET /t
--- error_code: 204
--- error_log
[wasm] denied: proxy_redis_init is denied; allow=redis permits it
[wasm] some: proxy_redis_init to "redis.test:1" is denied; allow=redis(…) does not list that upstream
--- no_error_log eval: $::alive



=== TEST 12: a list with what cannot be an upstream
--- must_die
--- http_config eval: $::modules =~ s/log_rate=off/allow=redis(nobody)/r
--- config eval: $::any
--- error_log
allow=redis(…): there is no upstream "nobody"
