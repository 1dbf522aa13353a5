# Where calls to `upstream` blocks go: nginx's own balancers, failover and keep-alive choose.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use Calling;
use Servers;
use Wire;

# Two servers that show their ports, and the number of the connection and of the request in it.
our $two = <<'_EOC_';
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    listen 127.0.0.1:$TEST_NGINX_PORT_2;
    location / { return 200 "$server_port"; }
    location /connection { return 200 "$connection/$connection_requests"; }
    location /abort { return 444; }
    location /close { keepalive_timeout 0; return 200 "$connection/$connection_requests"; }
    location /error { return 503 "busy"; }
}
_EOC_
our ($one, $other, $nobody) = map { $ENV{"TEST_NGINX_PORT_$_"} } 1 .. 3;

# A block for each of nginx's balancers, and a filter whose root context calls each of them.
my @methods = ('ip_hash', 'hash $remote_addr$http_x$cookie_a$arg_b$uri$host$server_addr$server_port$request_id$request_body$ssl_protocol',
    'hash $request_uri consistent', 'least_conn', 'random two', 'keepalive 2', 'zone z 64k');
our $balancers = '';
my @calls;
for my $i (0 .. $#methods) {
    $balancers .= "upstream u$i { $methods[$i]; server 127.0.0.1:$one; server 127.0.0.1:$other; }\n";
    push @calls, qq{["http_call","u$i","u$i",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],5000]};
}
$balancers .= q~wasm_filter hostcalls '{"configure":[["set_tick",20]],"tick":[["set_tick",0],~ . join(',', @calls)
    . q~],"http_call_response":[["log","info",{"join":["told ",{"var":"call"}," ",{"header":["call_response",":status"]}]}]]}';~;

# How many calls went to each of the two servers: "3 1".
sub Test::Base::Filter::shares {
    my %count = ($main::one => 0, $main::other => 0);
    $count{$_}++ for map { /^200 (\d+)$/ } split /\n/, calls(@_);
    return "$count{$main::one} $count{$main::other}";
}

# How many connections the answers came on.
sub Test::Base::Filter::connections {
    my %seen = map { $_ => 1 } map { m{^200 (\d+)/} } split /\n/, calls(@_);
    return scalar keys %seen;
}

run_tests();

__DATA__

=== TEST 1: in turn, as nginx's round robin
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_1; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    @calls;
--- client eval
sub { calls(map { ['two'] } 1 .. 4) }
--- client_out eval
"200 $::one\n200 $::other\n" x 2



=== TEST 2: by weight
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_1 weight=3; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    @calls;
--- client eval
sub { shares(map { ['two'] } 1 .. 8) }
--- client_out: 6 2



=== TEST 3: a server that refuses is passed over, and left alone for fail_timeout
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_3 fail_timeout=60; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    @calls;
--- client eval
sub {
    my $answers = calls(map { ['two'] } 1 .. 6);
    my @tries = log_text() =~ /(\[wasm\] connect\(\) to \S+ failed \(.*?\), trying the next server)/g;
    return $answers . rows(@tries, log_text() =~ /(upstream server temporarily disabled)/g);
}
--- client_out eval
"200 $::other\n" x 6 . "[wasm] connect() to 127.0.0.1:$::nobody failed (111: Connection refused), trying the next server\n"
    . "upstream server temporarily disabled\n"
--- no_error_log eval: $Filtered::alive



=== TEST 4: max_fails=0 tries it every time
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_3 max_fails=0; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    @calls;
--- client eval
sub {
    my $answers = calls(map { ['two'] } 1 .. 4);
    my @tries = log_text() =~ /trying the next server/g;
    return $answers . @tries;
}
--- client_out eval
"200 $::other\n" x 4 . '2'
--- no_error_log eval: $Filtered::alive



=== TEST 5: all refuse: the last one's error, then that no server is left
--- http_config
upstream dead { server 127.0.0.1:$TEST_NGINX_PORT_3; server 127.0.0.1:$TEST_NGINX_PORT_4; }
upstream down { server 127.0.0.1:$TEST_NGINX_PORT_3 down; }
--- config
    @calls;
--- client eval
sub { calls(['dead'], ['dead'], ['down']) }
--- client_out eval
"failed: connect() to 127.0.0.1:$ENV{TEST_NGINX_PORT_4} failed (111: Connection refused)\n"
    . qq{failed: no live upstreams in "dead"\nfailed: no live upstreams in "down"\n}
--- error_log eval
[qr/\[error\] .*\[wasm\] hostcalls: call to "dead" failed: no live upstreams in "dead"/]



=== TEST 6: a backup server, when the others have failed
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_3; server 127.0.0.1:$TEST_NGINX_PORT_2 backup; }'
--- config
    @calls;
--- client eval
sub { calls(map { ['two'] } 1 .. 3) }
--- client_out eval
"200 $::other\n" x 3
--- no_error_log eval: $Filtered::alive



=== TEST 7: a server that closes without an answer has failed; one that answers 503 has not
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_1 fail_timeout=60; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    @calls;
--- client eval
sub {
    calls((map { ['two', path => '/error'] } 1 .. 4), ['two'], ['two'], ['two', path => '/abort'], ['two'], ['two'], ['two']);
}
--- client_out eval
"200 503 busy\n" =~ s/200 //r x 4 . "200 $::one\n200 $::other\n"
    . "failed: connection closed before the end of the response\n" . "200 $::other\n" x 3
--- no_error_log eval: $Filtered::alive



=== TEST 8: connections are kept with `keepalive`, and not without
--- http_config eval
$::two . <<'_EOC_'
upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }
upstream closed { server 127.0.0.1:$TEST_NGINX_PORT_1; }
upstream twice { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; keepalive_requests 2; }
_EOC_
--- config
    @calls;
--- client eval
sub {
    rows(map { my $name = $_; connections(map { [$name, path => '/connection'] } 1 .. 6) } qw(kept closed twice));
}
--- client_out
1
6
3



=== TEST 9: nginx's own proxy and calls share kept connections
--- http_config eval: $::two . 'upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }'
--- config
    @calls;
    location /connection { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://kept; }
--- client eval
sub {
    my $c = connection();
    my @answers = call_on($c, 'kept', path => '/connection');
    $c->write("GET /connection HTTP/1.1\r\nHost: a\r\n\r\n");
    push @answers, $c->answer, call_on($c, 'kept', path => '/connection');
    my ($first) = $answers[0] =~ m{^200 (\d+)/};
    return rows(map { s{^200 $first/}{same }r } @answers);
}
--- client_out
same 1
same 2
same 3



=== TEST 10: a connection that the server closes is not kept
--- http_config eval: $::two . 'upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }'
--- config
    @calls;
--- client eval
sub { connections(map { ['kept', path => '/close'] } 1 .. 3) }
--- client_out: 3



=== TEST 11: a kept connection that the server closes while it is idle is not used again
--- http_config
upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; keepalive_timeout 100ms; location / { return 200 "$connection/$connection_requests"; } }
--- config
    @calls;
--- client eval
sub {
    my $connection = connection();
    my @answers = call_on($connection, 'kept');
    select undef, undef, undef, 0.3;
    push @answers, call_on($connection, 'kept');
    return rows(map { m{/(\d+)$} } @answers);
}
--- client_out
1
1



=== TEST 12: hash sees the request's variables
--- http_config eval: $::two . 'upstream two { hash $arg_k; server 127.0.0.1:$TEST_NGINX_PORT_1; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    @calls;
--- client eval
sub {
    my @keys = 'a' .. 'h';
    my @one = map { calls(['two', location => "/call?k=$_"]) } @keys;
    my @again = map { calls(['two', location => "/call?k=$_"]) } @keys;
    my %servers = map { $_ => 1 } @one;
    return rows("@one" eq "@again" ? 'stable' : "@one, @again", scalar keys %servers);
}
--- client_out
stable
2



=== TEST 13: a call to oneself: ip_hash, least_conn and random choose too
--- http_config eval
$::two . CORE::join '', map { 'upstream ' . s/ .*//r . " { $_; " . 'server 127.0.0.1:$TEST_NGINX_PORT_1; server 127.0.0.1:$TEST_NGINX_PORT_2; }' }
    'ip_hash', 'least_conn', 'random', 'hash $request_uri consistent'
--- config
    @calls;
--- client eval
sub { rows(map { my $name = $_; scalar shares(map { [$name] } 1 .. ($name eq 'random' ? 64 : 4)) } qw(ip_hash least_conn random hash)) }
--- client_out eval
qr/\A(?:4 0|0 4)\n2 2\n[1-9]\d* [1-9]\d*\n(?:4 0|0 4)\n\z/



=== TEST 14: servers in a zone, which workers share
--- http_config eval: $::two . 'upstream two { zone two 64k; server 127.0.0.1:$TEST_NGINX_PORT_1; server 127.0.0.1:$TEST_NGINX_PORT_3; keepalive 2; }'
--- config
    @calls;
--- client eval
sub { calls(map { ['two'] } 1 .. 5) }
--- client_out eval
"200 $::one\n" x 5
--- no_error_log eval: $Filtered::alive



=== TEST 15: max_conns: calls count, and end
--- http_config eval: $::two . 'upstream one { zone one 64k; server 127.0.0.1:$TEST_NGINX_PORT_1 max_conns=1; }'
--- config
    @calls;
--- client eval
sub { calls(map { ['one'] } 1 .. 3) }
--- client_out eval
"200 $::one\n" x 3



=== TEST 16: names as Envoy's clusters have them, in any case; names of blocks win over hosts
--- http_config eval
$::two . <<'_EOC_'
upstream "outbound|80||x.default.svc.cluster.local" { server 127.0.0.1:$TEST_NGINX_PORT_1; }
upstream "web:80" { server 127.0.0.1:$TEST_NGINX_PORT_2; }
_EOC_
--- config
    @calls;
--- client eval
sub { calls(['outbound|80||x.default.svc.cluster.local'], ['OUTBOUND|80||x.default.svc.cluster.local'], ['web:80'], ['outbound|81||x']) }
--- client_out eval
"200 $::one\n200 $::one\n200 $::other\nstatus 2\n"



=== TEST 17: addresses and sockets without an upstream block
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    listen unix:$TEST_NGINX_SERVER_ROOT/html/up.sock;
    location / { return 200 "$server_addr"; }
}
--- config
    @calls;
--- client eval
sub {
    my $socket = "$Test::Nginx::Util::HtmlDir/up.sock";
    calls(["127.0.0.1:$::one"], ["unix:$socket"], ["unix:$socket:"], ["unix:$socket.not"]) =~ s/\Q$Test::Nginx::Util::HtmlDir\E/html/gr;
}
--- client_out
200 127.0.0.1
200 unix:html/up.sock
200 unix:html/up.sock
failed: connect() to unix:html/up.sock.not failed (2: No such file or directory)
--- no_error_log eval: $Filtered::alive



=== TEST 18: IPv6
--- http_config
server { listen [::1]:$TEST_NGINX_PORT_1; location / { return 200 "$server_addr"; } }
--- config
    @calls;
--- client eval
sub { calls(["[::1]:$::one"], ["[::1]"], ["[::1:$::one"]) }
--- client_out
200 ::1
status 2
status 2



=== TEST 19: what is no upstream is refused at once
--- config
    @calls;
--- client eval
sub {
    calls(map { [$_] } 'up.example', '127.0.0.1', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:+80',
        '1.2.3:80', ':80', 'unix:', 'a b:80', 'a..b:80', 'http://127.0.0.1:80', 'unix:' . '/x' x 60);
}
--- client_out eval
"status 2\n" x 13



=== TEST 20: idle connections to addresses are kept by the worker
--- http_config eval: $::two
--- config
    @calls;
--- client eval
sub {
    rows(connections(map { ["127.0.0.1:$::one", path => '/connection'] } 1 .. 5),
        connections(map { ["127.0.0.1:$::one", path => '/close'] } 1 .. 3));
}
--- client_out
1
3



=== TEST 21: a server that gives no answer in the call's own time has failed
--- http_config eval: $::two . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_9 fail_timeout=60; server 127.0.0.1:$TEST_NGINX_PORT_2; }'
--- config
    location /call { @filter; }
--- filter
{"request_headers": [["http_call", "a", "two", [[":method","GET"], [":path","/"], [":authority","a"]], "", [], 300], ["action","pause"]],
 "http_call_response": [["if_failed", [["local_response", 200, [], {"property":"call.error"}]],
                                      [["local_response", 200, [], {"body":"call_response"}]]]]}
--- upstream eval
sub { $_[0]->message; $_[0]->rest }
--- client eval
sub { calls(map { ['two'] } 1 .. 4) }
--- client_out eval
"timed out while waiting for two\n" . "$::other\n" x 3
--- no_error_log eval: $Filtered::alive



=== TEST 22: root contexts, which have no request, are given servers by all of nginx's balancers
--- http_config eval: $::two . $::balancers
--- config
    location /t { return 204; }
--- client eval
sub {
    my @told;
    wait_for(sub { (@told = log_text() =~ /told (u\d .*)/g) >= 7 });
    return rows(sort @told);
}
--- client_out eval
CORE::join '', map { +"u$_ 200\n" } 0 .. 6
