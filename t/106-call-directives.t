# wasm_call_connect_timeout, _send_timeout, _read_timeout, _buffer_size, _ssl_verify,
# _ssl_verify_depth and _ssl_trusted_certificate: mistakes, inheritance, and what the times are of.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use Calling;
use Servers;
use Wire;

BEGIN {
    Servers::make_certificates();
    # The filter of a location that sends the request's body on to TEST_NGINX_PORT_9.
    our $sender = '{"request_body":[["action","pause"]],"request_body_end":[["http_call","a","127.0.0.1:' . $ENV{TEST_NGINX_PORT_9}
        . '",[[":method","POST"],[":path","/"],[":authority","a"]],{"body":"request"},[],5000]],"http_call_response":[["if_failed",'
        . '[["local_response",200,[],{"property":"call.error"}]],[["local_response",200,[],{"body":"call_response"}]]]]}';
}
our $ca = "$Servers::certificates/ca.pem";

# The answer to a POST to /send with so many bytes.
sub Test::Base::Filter::send_bytes {
    my $count = shift;
    my $c = connection();
    $c->write("POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: $count\r\n\r\n" . 'x' x $count);
    return $c->answer =~ s/127.0.0.1:\d+/up/r;
}

run_tests();

__DATA__

=== TEST 1: a time that is none
--- config
    wasm_call_connect_timeout 1y2;
--- must_die
--- error_log
"wasm_call_connect_timeout" directive invalid value



=== TEST 2: a negative time
--- config
    wasm_call_send_timeout -1;
--- must_die
--- error_log
"wasm_call_send_timeout" directive invalid value



=== TEST 3: given twice
--- config
    wasm_call_read_timeout 1s;
    wasm_call_read_timeout 2s;
--- must_die
--- error_log
"wasm_call_read_timeout" directive is duplicate



=== TEST 4: a size that is none
--- config
    wasm_call_buffer_size big;
--- must_die
--- error_log
"wasm_call_buffer_size" directive invalid value



=== TEST 5: neither on nor off
--- config
    wasm_call_ssl_verify yes;
--- must_die
--- error_log
invalid value "yes" in "wasm_call_ssl_verify" directive, it must be "on" or "off"



=== TEST 6: a depth that is none
--- config
    wasm_call_ssl_verify_depth deep;
--- must_die
--- error_log
"wasm_call_ssl_verify_depth" directive invalid number



=== TEST 7: a file that is not there
--- config
    location /t { wasm_call_ssl_trusted_certificate no/such.pem; }
--- must_die
--- error_log eval
qr{\[emerg\] .*/no/such\.pem"}



=== TEST 8: a file without a certificate
--- config
    wasm_call_ssl_trusted_certificate nginx.conf;
--- must_die
--- error_log eval
qr{\[emerg\] .*/nginx\.conf"}



=== TEST 9: no argument, and too many
--- config
    wasm_call_buffer_size 1k 2k;
--- must_die
--- error_log
invalid number of arguments in "wasm_call_buffer_size" directive



=== TEST 10: not in an `if`
--- config
    location /t { if ($arg_a) { wasm_call_ssl_verify off; } }
--- must_die
--- error_log
"wasm_call_ssl_verify" directive is not allowed here



=== TEST 11: all of them at every level
--- http_config eval
our $all = "wasm_call_connect_timeout 1s; wasm_call_send_timeout 1m; wasm_call_read_timeout 100ms; wasm_call_buffer_size 2m;"
    . "wasm_call_ssl_verify on; wasm_call_ssl_verify_depth 3; wasm_call_ssl_trusted_certificate $::ca;"
--- config eval
"$Test::Base::Filter::all location /t { $Test::Base::Filter::all return 200 there; }"
--- request
GET /t
--- response_body: there



=== TEST 12: a level's own values win, the others come from above
--- http_config
wasm_call_buffer_size 10;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location /5 { return 200 "12345"; }
    location /15 { return 200 "123456789012345"; }
}
--- config
    @calls;
    location /larger {
        wasm_call_buffer_size 15;
        @call_filter;
        location /larger/inside { wasm_call_read_timeout 5s; }
        location /larger/if { if ($arg_a) { set $a 1; } }
        location /larger/smaller { wasm_call_buffer_size 4; }
    }
--- client eval
sub {
    my @up = ("127.0.0.1:$ENV{TEST_NGINX_PORT_1}", path => '/15');
    calls([@up], map({ [@up, location => "/larger$_"] } '', '/inside', '/if?a=1', '/if', '/smaller'), ["127.0.0.1:$ENV{TEST_NGINX_PORT_1}", path => '/5']);
}
--- client_out
failed: response body larger than 10 bytes
200 123456789012345
200 123456789012345
200 123456789012345
200 123456789012345
failed: response body larger than 4 bytes
200 12345
--- error_log
response body larger than



=== TEST 13: read_timeout: a server that is silent
--- config
    wasm_call_read_timeout 300ms;
    @calls;
--- upstream eval
sub { my $c = shift; $c->message; $c->rest }
--- client eval
sub { calls(["127.0.0.1:$ENV{TEST_NGINX_PORT_9}"]) =~ s/127.0.0.1:\d+/up/r }
--- client_out
failed: timed out while reading from up
--- error_log eval
qr/\[error\] .*\[wasm\] hostcalls: call to "127\.0\.0\.1:\d+" failed: timed out while reading from/



=== TEST 14: read_timeout is between two reads, not for the whole answer
--- config
    wasm_call_read_timeout 400ms;
    @calls;
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
    for (1 .. 6) {
        select undef, undef, undef, 0.15;
        $c->write('a');
    }
}
--- client eval
sub { calls(["127.0.0.1:$ENV{TEST_NGINX_PORT_9}"]) }
--- client_out
200 aaaaaa



=== TEST 15: the server's time begins when it has the request
It takes its time to read it, but some of it all the time.
--- config
    wasm_call_read_timeout 300ms;
    location /send { client_max_body_size 32m; client_body_buffer_size 32m; @filter; }
--- filter eval: $::sender
--- upstream eval
sub {
    my $c = shift;
    my $head = $c->until(qr/\r\n\r\n/);
    my ($left) = $head =~ /content-length: (\d+)/i;
    my $slice = $left / 8;
    for (1 .. 8) {
        select undef, undef, undef, 0.1;
        $left -= length $c->take($slice);
    }
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
}
--- client eval
sub { send_bytes(24_000_000) }
--- client_out: 200 done



=== TEST 16: send_timeout: a server that reads nothing
--- config
    wasm_call_send_timeout 300ms;
    location /send { client_max_body_size 32m; client_body_buffer_size 32m; @filter; }
--- filter eval: $::sender
--- upstream eval
sub { my $c = shift; select undef, undef, undef, 2; }
--- client eval
sub { send_bytes(24_000_000) }
--- client_out: 200 timed out while sending to up
--- error_log
timed out while sending to



=== TEST 17: connect_timeout: a server that does not accept
--- config
    wasm_call_connect_timeout 300ms;
    @calls;
--- client eval
sub {
    my $port = $ENV{TEST_NGINX_PORT_2};
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) or die "listen: $!";
    # Its queue is full then.
    my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Blocking => 0) } 1 .. 4;
    return calls(["127.0.0.1:$port"]) =~ s/127.0.0.1:\d+/up/r;
}
--- client_out
failed: timed out while connecting to up
--- error_log
timed out while connecting to
