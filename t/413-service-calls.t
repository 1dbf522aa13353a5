# Requests that components make: where they may go, how they fail, and bodies both ways.

use Test::Nginx::Socket 'no_plan';
use Service;
use Wire;

log_level('info');
no_long_string();
timeout(300);
worker_connections(1024);

our $backend = <<'_EOC_';
upstream backend { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }
upstream closed { server 127.0.0.1:1; }
upstream silent { server 127.0.0.1:$TEST_NGINX_PORT_8; }
upstream own { server 127.0.0.1:$TEST_NGINX_PORT_9; }
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    client_max_body_size 0;
    location / { return 200 "$request_method $request_uri $http_host $http_transfer_encoding."; }
    location /big { alias html/big.txt; }
    location /body { echo_body; }
}
_EOC_
$backend =~ s/ +location \/body .*\n//;
our $labs = Service::service_modules() . $backend;
our $clean = $Service::clean;
our $alive = $Service::alive;

# What a component tells of a request to this URL.
sub told { my ($version, $url, $how) = @_; return (Service::short("/$version/" . ($how // 'proxy') . "?$url", ''))[0] }

run_tests();

__DATA__

=== TEST 1: an upstream by its name; with keep-alive; without chunks where there is no body
--- http_config eval: $::labs
--- config eval: Service::service_locations()
--- client eval
sub { rows(map { my $version = $_; map { main::told($version, 'http://backend/a?b=c') } 1 .. 2 } 2, 3) }
--- client_out
200 200: GET /a?b=c backend .
200 200: GET /a?b=c backend .
200 200: GET /a?b=c backend .
200 200: GET /a?b=c backend .
--- no_error_log eval: $::clean



=== TEST 2: other hosts only by allowed_outbound_hosts=; the log says who was denied
--- http_config eval
Service::service_modules('allowed_outbound_hosts=http://127.0.0.1:$TEST_NGINX_PORT_1,http://*.example:8000..8010') . $::backend
--- config eval: Service::service_locations()
--- client eval
sub {
    my $port = $ENV{TEST_NGINX_PORT_1};
    rows(map {
        my $version = $_;
        map { my $told = main::told($version, $_); $told =~ s/:\d{4,}//g; $told }
            "http://127.0.0.1:$port/x", "https://127.0.0.1:$port/x", 'http://127.0.0.1:1/', 'http://other.example/', 'ftp://backend/';
    } 2, 3);
}
--- client_out eval
Service::matching(<<'_')
200 200: GET /x 127.0.0.1 .
200 error: .*HttpRequestDenied.*
200 error: .*HttpRequestDenied.*
200 error: .*HttpRequestDenied.*
200 error: .*
200 200: GET /x 127.0.0.1 .
200 error: .*HttpRequestDenied.*
200 error: .*HttpRequestDenied.*
200 error: .*HttpRequestDenied.*
200 error: .*
_
--- error_log
[wasm] lab2: request to other.example: requests to other.example are not allowed
[wasm] lab3: request to other.example: requests to other.example are not allowed
--- no_error_log eval: $::alive



=== TEST 3: failures in the words of wasi:http
--- http_config eval
Service::service_modules('allowed_outbound_hosts=http://*:*') . $::backend
--- config eval: Service::service_locations()
--- upstream eval
sub {
    my ($connection, $number) = @_;
    my ($request) = $connection->message;
    my ($path) = $request =~ m{^\w+ (\S+)};
    $connection->write("nonsense\r\n\r\n") if $path eq '/nonsense';
}
--- client eval
sub {
    # A server that takes connections, and never answers.
    my $silence = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_8}, Listen => 10, ReuseAddr => 1) || die "cannot listen: $!";
    # The longest waits go on beside the others.
    my @silent = map { asked("/$_/proxy?http://silent/", 'Connection: close') } 2, 3;
    my @rows = map { my $version = $_; map { main::told($version, $_) } 'http://closed/', 'http://own/close', 'http://own/nonsense', 'http://no-resolver.example/' } 2, 3;
    rows(@rows, map { $_->answer } @silent);
}
--- client_out eval
my $each = "200 error: .*ConnectionRefused.*\n200 error: .*ConnectionTerminated.*\n200 error: .*HttpProtocolError.*\n200 error: .*ConfigurationError.*\n";
my $silent = "200 error: .*ConnectionReadTimeout.*\n";
Service::matching($each x 2 . $silent x 2)
--- no_error_log eval: $::alive



=== TEST 4: a body there; many at once
--- http_config eval: $::labs
--- config eval: Service::service_locations('client_max_body_size 0;')
--- client eval
sub { rows(map { (short("/$_/upload?http://backend/up", 'x' x 300_000), short("/$_/fan?100", '')) } 2, 3) }
--- client_out eval
Service::matching(<<'_')
200 200: POST /up backend (chunked)?.
200 100 None
200 200: POST /up backend (chunked)?.
200 100 None
_
--- no_error_log eval: $::clean



=== TEST 5: an answer is passed on as it comes: each piece, and no more than the client takes
--- http_config eval: $::labs
--- config eval: Service::service_locations()
--- upstream eval
sub {
    my ($connection, $number) = @_;
    my ($request) = $connection->message;
    $connection->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for my $piece (qw(one two three)) {
        $connection->write(sprintf "%x\r\n%s\r\n", length $piece, $piece);
        # The client tells that it has it.
        wait_for(sub { -e "$ENV{TEST_NGINX_SERVROOT}/html/$piece" });
    }
    $connection->write("0\r\n\r\n");
}
--- client eval
sub {
    rows(map {
        my $version = $_;
        unlink map { "$ENV{TEST_NGINX_SERVROOT}/html/$_" } qw(one two three);
        my $connection = asked("/$version/proxy?http://own/", 'Connection: close');
        my @seen = map {
            my $piece = $_;
            my $got = $connection->until(qr/$piece/) =~ /$piece/;
            open my $file, '>', "$ENV{TEST_NGINX_SERVROOT}/html/$piece" or die "$piece: $!";
            $got ? $piece : 'nothing';
        } qw(one two three);
        push @seen, $connection->rest =~ /0\r\n\r\n\z/ ? 'end' : 'no end';
        "@seen";
    } 2, 3);
}
--- client_out
one two three end
one two three end
--- no_error_log eval: $::clean



=== TEST 6: an upstream that ends in the midst of its answer: the client's is not whole either
--- http_config eval: $::labs
--- config eval: Service::service_locations()
--- upstream eval
sub {
    my ($connection, $number) = @_;
    $connection->message;
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
}
--- client eval
sub { rows(map { my ($head, $body) = asked("/$_/proxy?http://own/", 'Connection: close')->message; $body =~ /\A200: begun\(cut\)\z/ || $head =~ / 500 / ? 'not whole' : "whole: $body" } 2, 3) }
--- client_out
not whole
not whole
--- no_error_log eval: $::alive



=== TEST 7: 100 MB through a component, in the memory of a few pieces; a slow client stops the upstream
--- http_config eval: $::labs
--- config eval: 'location /status { stub_status; } ' . Service::service_locations()
--- user_files eval
[['big.txt', 'x' x 104_857_600]]
--- client eval
sub {
    rows(map {
        my $version = $_;
        short("/$version/proxy?http://backend/a", '') for 1 .. 3;
        my $before = resident();
        my $slow = asked("/$version/proxy?http://backend/big");
        $slow->until(qr/x{100}/);
        settled(\&resident);
        my $all = output_of('sh', '-c', "curl -sS 'http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/$version/proxy?http://backend/big' | wc -c");
        my $took = resident() - $before;
        $slow->close;
        ($all + 0, $took < ($ENV{ASAN_OPTIONS} ? 400_000 : 0) + 5000 ? 'flat' : "$took KiB", 'left: ' . writing());
    } 2, 3);
}
--- client_out
104857605
flat
left: 1
104857605
flat
left: 1
--- no_error_log eval: $::alive



=== TEST 8: a client that leaves ends the calls of its guest
--- http_config eval: $::labs
--- config eval: 'location /status { stub_status; } ' . Service::service_locations()
--- upstream eval
sub {
    my ($connection, $number) = @_;
    my ($request) = $connection->message;
    $connection->rest;
}
--- client eval
sub {
    my @waiting = map { my $c = asked("/$_/upload?http://own/", 'Content-Length: 0'); $c } 2, 3;
    my @rows = wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: 3\b/ }) ? 'both wait' : 'not both';
    $_->close for @waiting;
    rows(@rows, 'left: ' . writing());
}
--- client_out
both wait
left: 1
--- no_error_log eval: $::alive
