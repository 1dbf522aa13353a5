# A chosen server where more is going on: TLS, bodies that stream, subrequests, calls of the guest's own, many requests at once.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;
use Servers;

Servers::make_certificates();
our $dns = Servers::dns($ENV{TEST_NGINX_PORT_8}, 'up.test=127.0.0.1,127.0.0.2');

sub text { CORE::join '', map { sprintf '\\%02x', ord } split //, $_[0] }
sub map_of {
    my @pairs = @_;
    my ($head, $rest) = (pack('V', @pairs / 2), '');
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $head .= pack 'VV', CORE::length $name, CORE::length $value;
        $rest .= "$name\0$value\0";
    }
    return $head . $rest;
}

our @ports = @ENV{map { "TEST_NGINX_PORT_$_" } 1 .. 3};
our $call = map_of(':method', 'GET', ':path', '/', ':authority', 'a');
our $imports = [qw(proxy_log proxy_get_header_map_value proxy_set_upstream_override_host proxy_http_call proxy_get_buffer_bytes)];
our $fields = '(data (i32.const 32) "x-choose") (data (i32.const 64) "=?") (data (i32.const 96) "' . text($call) . '") (data (i32.const 256) "up")
    (func $choose
        (if (i32.eqz (call $proxy_get_header_map_value (i32.const 0) (i32.const 32) (i32.const 8) (i32.const 0) (i32.const 4)))
            (then
                (i32.store8 (i32.const 65) (i32.add (i32.const 48) (call $proxy_set_upstream_override_host (i32.load (i32.const 0)) (i32.load (i32.const 4)))))
                (drop (call $proxy_log (i32.const 2) (i32.const 64) (i32.const 2))))))';

# Chooses with the request's header, or with each piece of its body.
our $early = guest(imports => $imports, fields => $fields, request_headers => '(call $choose) (i32.const 0)');
our $late = guest(imports => $imports, fields => $fields, request_body => '(call $choose) (i32.const 0)');
# Calls the upstream as well, and says which server has answered.
our $calls = guest(imports => $imports, fields => $fields,
    request_headers => '(call $choose)
        (drop (call $proxy_http_call (i32.const 256) (i32.const 2) (i32.const 96) (i32.const ' . CORE::length($call) . ') (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 300)))
        (i32.const 0)',
    http_call_response => '(drop (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (local.get 3) (i32.const 0) (i32.const 4)))
        (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))');
our $files = ">>> early.wat\n$early\n>>> late.wat\n$late\n>>> calls.wat\n$calls";
our $modules = CORE::join '', map { "wasm_module $_ ../html/$_.wat;\n" } qw(early late calls);
our $servers = CORE::join '', map { "server { listen 127.0.0.1:$ports[$_ - 1]; location / { return 200 'server $_'; } }\n" } 1 .. 3;
our $three = CORE::join ' ', map { "server 127.0.0.1:$_;" } @ports;

sub choose { return "x-choose: 127.0.0.1:$ports[$_[0] - 1]\r\n" . ($_[1] // '') }
sub server_of { return body_of($_[0]) =~ /\Aserver (\d)\z/ ? $1 : $_[0] }

no_long_string();
run_tests();

__DATA__

=== TEST 1: over TLS, with sessions and kept connections
--- http_config eval
my $servers = $::servers =~ s/listen (\S+);/listen $1 ssl; ssl_certificate $Servers::certificates\/server.pem; ssl_certificate_key $Servers::certificates\/server.key;/gr;
"$::modules $servers upstream up { zone z 64k; $::three }
upstream keep { $::three keepalive 3; } proxy_http_version 1.1; proxy_set_header Connection '';\n"
--- config
location /up { wasm_filter early; proxy_pass https://up; }
location /keep { wasm_filter early; proxy_pass https://keep; }
--- user_files eval: $::files
--- init
for my $path (qw(/up /keep)) {
    my @wanted = (1, 1, 2, 3, 2, 1, 3);
    Test::More::is_deeply([map { main::server_of(main::get($path, main::choose($_))) } @wanted], \@wanted, $path);
    Test::More::like(main::server_of(main::get($path)), qr/\A[123]\z/, "$path: without a choice");
}



=== TEST 2: a choice with a piece of the body, as long as no server was asked for
--- http_config eval: "$::modules $::servers upstream up { $::three } proxy_http_version 1.1;"
--- config
location /buffered { wasm_filter late; proxy_pass http://up; }
location /streams { wasm_filter late; proxy_pass http://up; proxy_request_buffering off; }
--- user_files eval: $::files
--- init
for my $path (qw(/buffered /streams)) {
    for my $server (2, 1, 3, 3) {
        my $got = main::get($path, main::choose($server, "Content-Length: 4\r\n\r\nbody"));
        Test::More::is(main::server_of($got), $server, "$path: server $server");
    }
}
Test::More::is_deeply([grep { $_ ne '=0' } main::matches(qr/late: \K=\d/)], [], 'none was refused');
# The second piece comes when the upstream is at work.
my $socket = main::connection();
print $socket "POST /streams HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" . main::choose(2, "Content-Length: 8\r\n\r\nbody");
Test::More::ok(main::wait_until(sub { 9 == main::matches(qr/late: =\d/) }), 'the first piece has come');
print $socket 'more';
Test::More::is(main::server_of(main::receive($socket)), 2, 'the first word counts');
Test::More::is((main::matches(qr/late: \K=\d/))[9] // '=2', '=2', 'the second comes too late');



=== TEST 3: calls of the guest's own go where the upstream's balancer says
--- http_config eval: "$::modules $::servers upstream up { server 127.0.0.1:$::ports[0]; server 127.0.0.1:$::ports[1] backup; server 127.0.0.1:$::ports[2] backup; }"
--- config
location /a { wasm_filter calls; proxy_pass http://up; }
--- user_files eval: $::files
--- init
for my $server (2, 3, 2) {
    Test::More::is(main::server_of(main::get('/a', main::choose($server))), $server, "the request's: server $server");
}
Test::More::is_deeply([main::wait_for(qr/calls: \Kserver \d/, 3)], [('server 1') x 3], 'the calls');



=== TEST 4: subrequests choose for themselves, and a new location has another upstream
--- http_config eval: "$::modules $::servers upstream up { $::three } upstream other { server 127.0.0.1:$::ports[2]; server 127.0.0.1:$::ports[1]; }"
--- config
location /main { auth_request /auth; wasm_filter early; proxy_pass http://up; }
location = /auth { internal; proxy_pass http://other; }
location /moves { wasm_filter early; error_page 404 = /other; return 404; }
location /other { wasm_filter early; proxy_pass http://other; }
--- user_files eval: $::files
--- init
Test::More::is(main::server_of(main::get('/main', main::choose($_))), $_, "server $_") for 1 .. 3;
Test::More::is(main::server_of(main::get('/moves', main::choose($_))), $_, "moved: server $_") for 2, 3, 2;
Test::More::like(main::server_of(main::get('/moves', main::choose(1))), qr/\A[23]\z/, 'not one of the new upstream');



=== TEST 5: many requests at once in two workers: no connection is left in the counts
--- workers: 2
--- http_config eval: "$::modules $::servers upstream up { zone z 64k; least_conn; server 127.0.0.1:$::ports[0] max_conns=2; server 127.0.0.1:$::ports[1] max_fails=1 fail_timeout=60s; server 127.0.0.1:$ENV{TEST_NGINX_PORT_9} max_fails=0; keepalive 2; } proxy_http_version 1.1; proxy_set_header Connection '';"
--- config
location /a { wasm_filter early; proxy_pass http://up; }
--- user_files eval: $::files
--- init
my %count;
for my $round (1 .. 10) {
    my @sockets = map { main::connection() } 1 .. 24;
    for my $i (0 .. $#sockets) {
        my $address = '127.0.0.1:' . (@::ports[0, 1], $ENV{TEST_NGINX_PORT_9})[$i % 3];
        print { $sockets[$i] } "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-choose: $address\r\n\r\n";
    }
    $count{main::server_of(main::receive($_))}++ for @sockets;
}
Test::More::is_deeply([sort keys %count], [1, 2], 'all are answered');
Test::More::cmp_ok($count{2}, '>=', 80, 'by the chosen ones') or Test::More::diag(join ' ', %count);
# With a connection left in the counts, the first one could not be chosen any more.
Test::More::is(main::server_of(main::get('/a', main::choose(1))), 1, 'the bounded one is free') for 1 .. 8;



=== TEST 6: servers that DNS tells of
--- http_config eval
"$::modules server { listen 127.0.0.1:$::ports[0]; listen 127.0.0.2:$::ports[0]; location / { return 200 \$server_addr; } }
resolver 127.0.0.1:$ENV{TEST_NGINX_PORT_8} ipv6=off; upstream up { zone z 64k; server up.test:$::ports[0] resolve; server 127.0.0.1:$::ports[1] down; }"
--- config
location /a { wasm_filter early; proxy_pass http://up; }
--- user_files eval: $::files
--- init
# nginx asks when its workers start.
Test::More::ok(main::wait_until(sub { main::get('/a') =~ / 200 / }), 'they are there');
for my $address (qw(127.0.0.2 127.0.0.1 127.0.0.2 127.0.0.2 127.0.0.1)) {
    Test::More::is(main::body_of(main::get('/a', "x-choose: $address:$::ports[0]\r\n")), $address, $address);
}
Test::More::like(main::get('/a', main::choose(2)), qr{\AHTTP/1.1 200 }, 'one that is down');
