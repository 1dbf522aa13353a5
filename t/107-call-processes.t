# Outbound connections and nginx's processes: exit, reload, clients that leave.

use Test::Nginx::Socket 'no_plan';
use Control;
use Servers;

BEGIN {
    Servers::make_certificates();
    # The system's store, for calls over TLS; a test says what is in it.
    $ENV{SSL_CERT_FILE} = "$Servers::certificates/system.pem";
}

no_long_string();

our $modules = <<'_EOC_';
wasm_module hostcalls $TEST_NGINX_FILTERS/hostcalls.wasm;
upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    keepalive_timeout 60s;
    location / { return 200 up; }
}
_EOC_

# A location that calls this upstream and answers with what came of it.
our $location = sub {
    my ($name, $upstream) = @_;
    return <<"_EOC_";
location $name { wasm_filter hostcalls '{"request_headers":[
    ["http_call","a","$upstream",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],5000],["action","pause"]],
    "http_call_response":[["local_response",200,[],{"join":["told ",{"body":"call_response"}]}]]}'; }
_EOC_
};

our $proxy = "127.0.0.1:$ENV{TEST_NGINX_PORT_9}";

# A server that answers its one connection when it is told to.
sub main::slow_server {
    return IO::Socket::INET->new(LocalAddr => $::proxy, Listen => 4, ReuseAddr => 1) || die "listen: $@";
}

# Puts this authority into the system's store, or empties it.
sub main::trust {
    my $name = shift;
    my $text = '';
    if (defined $name) {
        open my $in, '<', "$Servers::certificates/$name.pem" or die "$name.pem: $!";
        $text = join '', <$in>;
    }
    open my $out, '>', $ENV{SSL_CERT_FILE} or die "$ENV{SSL_CERT_FILE}: $!";
    print $out $text;
    close $out;
}

run_tests();

__DATA__

=== TEST 1: an exit does not wait for idle connections, and leaves none open
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::location->('/kept', 'kept') . $::location->('/address', "127.0.0.1:$ENV{TEST_NGINX_PORT_1}") . 'location /t { return 204; }'
--- init
Test::More::is(main::body_of(main::get($_)), 'told up', $_) for '/kept', '/address';
Test::More::ok(main::quit(), 'nginx is gone');
Test::More::is(scalar main::matches(qr/\[alert\]|open socket|panicked/), 0, 'without complaint');
main::start();
--- request
GET /t
--- error_code: 204



=== TEST 2: a worker that is to exit finishes the calls that run
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::location->('/slow', $::proxy) . 'location /t { return 204; }'
--- init
my $server = main::slow_server();
my $client = main::connection();
print $client "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
my $call = $server->accept;
main::receive($call, qr/\r\n\r\n/);
kill QUIT => main::pid();
main::wait_for(qr/gracefully shutting down/);
print $call "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater";
Test::More::is(main::body_of(main::receive($client)), 'told later', 'the answer comes');
Test::More::ok(main::wait_until(sub { !-e "$main::root/logs/nginx.pid" }), 'nginx is gone');
Test::More::is(main::receive($call), '', 'the connection is closed');
Test::More::is(scalar main::matches(qr/\[alert\]|open socket|panicked/), 0, 'without complaint');
main::start();
--- request
GET /t
--- error_code: 204



=== TEST 3: so it does with the call of a root context, which no client waits for
--- workers: 1
--- http_config eval
$::modules . qq{
wasm_filter hostcalls '{"configure":[["set_tick",20]],
    "tick":[["set_tick",0],["http_call","a","$::proxy",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],5000]],
    "http_call_response":[["log","info",{"join":["told ",{"body":"call_response"}]}]]}';
}
--- config
    location /t { return 204; }
--- init
my $server = main::slow_server();
# nginx's first call may have found no server.
kill HUP => main::pid();
my $call = $server->accept;
main::receive($call, qr/\r\n\r\n/);
kill QUIT => main::pid();
main::wait_for(qr/gracefully shutting down/);
print $call "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater";
Test::More::is(scalar main::wait_for(qr/told later/), 1, 'the answer comes');
Test::More::ok(main::wait_until(sub { !-e "$main::root/logs/nginx.pid" }), 'nginx is gone');
Test::More::is(scalar main::matches(qr/\[alert\]|open socket|panicked/), 0, 'without complaint');
main::start();
--- request
GET /t
--- error_code: 204



=== TEST 4: a fast exit cuts calls off, and is clean
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::location->('/slow', $::proxy) . 'location /t { return 204; }'
--- init
my $server = main::slow_server();
my $client = main::connection();
print $client "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
my $call = $server->accept;
main::receive($call, qr/\r\n\r\n/);
kill TERM => main::pid();
Test::More::ok(main::wait_until(sub { !-e "$main::root/logs/nginx.pid" }), 'nginx is gone');
Test::More::is(main::receive($call), '', 'the connection is closed');
Test::More::is(scalar main::matches(qr/\[alert\]|open socket|exited on signal|panicked/), 0, 'without complaint');
main::start();
--- request
GET /t
--- error_code: 204



=== TEST 5: a client that leaves takes its call with it
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::location->('/slow', $::proxy) . 'location /t { return 204; }'
--- init
my $server = main::slow_server();
for my $turn (1 .. 3) {
    my $client = main::connection();
    print $client "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
    my $call = $server->accept;
    main::receive($call, qr/\r\n\r\n/);
    close $client;
    my $started = Time::HiRes::time();
    Test::More::is(main::receive($call), '', 'the connection is closed');
    Test::More::cmp_ok(Time::HiRes::time() - $started, '<', $main::PATIENCE, 'and does not wait for anything');
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
panicked



=== TEST 6: a reload: the old worker finishes its calls and exits, the new one makes others
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::location->('/slow', $::proxy) . $::location->('/kept', 'kept') . 'location /t { return 204; }'
--- init
my $server = main::slow_server();
my $client = main::connection();
print $client "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
my $call = $server->accept;
main::receive($call, qr/\r\n\r\n/);
main::get('/kept');
main::reload('return 204', 'return 205');
main::wait_until(sub { main::get('/t') =~ / 205 / });
Test::More::is(main::body_of(main::get('/kept')), 'told up', 'a new call');
print $call "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater";
Test::More::is(main::body_of(main::receive($client)), 'told later', 'the old one');
Test::More::is(scalar main::wait_for(qr/worker process \d+ exited with code 0/), 1, 'the old worker exits');
--- request
GET /t
--- error_code: 205
--- no_error_log
[error]
[alert]
panicked



=== TEST 7: a reload reads the system's store again when it has changed, and goes on with it when it has not
--- workers: 1
--- http_config eval
$::modules . <<"_EOC_";
server {
    listen 127.0.0.1:\$TEST_NGINX_PORT_2 ssl;
    ssl_certificate $Servers::certificates/server.pem;
    ssl_certificate_key $Servers::certificates/server.key;
    location / { return 200 up; }
}
_EOC_
--- config eval
my $headers = '[[":method","GET"],[":scheme","https"],[":path","/"],[":authority","up.example"]]';
<<"_EOC_";
location /t { return 204; }
location /call { wasm_filter hostcalls '{"request_headers":[["http_call","a","127.0.0.1:\$TEST_NGINX_PORT_2",$headers,"",[],5000],["action","pause"]],
    "http_call_response":[["if_failed", [["local_response",200,[],"refused"]], [["local_response",200,[],{"body":"call_response"}]]]]}'; }
_EOC_
--- init
my $status = 204;
for ([undef, 'refused', 'empty'], ['ca', 'up', 'filled'], ['ca', 'up', 'written again'], ['', 'up', 'unchanged'], ['', 'up', 'still'], ['self-signed', 'refused', 'replaced'], ['ca', 'up', 'back']) {
    my ($name, $expected, $what) = @$_;
    main::trust($name) unless defined $name && $name eq '';
    my $last = $status++;
    main::reload("return $last", "return $status");
    # The one before answers until it has gone.
    Test::More::is(scalar main::wait_for(qr/worker process \d+ exited with code 0/, $status - 204), $status - 204, "$what: reloaded");
    Test::More::is(main::body_of(main::get('/call')), $expected, $what);
}
--- request
GET /t
--- error_code: 211
--- no_error_log
[alert]
[emerg]
panicked
