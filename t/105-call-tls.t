# Calls over TLS: whom they trust, and what servers see.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use Calling;
use Servers;
use Wire;

BEGIN {
    Servers::make_certificates();
    # The system's store of OpenSSL, for all that says nothing of its own.
    $ENV{SSL_CERT_FILE} = "$Servers::certificates/ca.pem";
}

our @port = map { $ENV{"TEST_NGINX_PORT_$_"} } 0 .. 8;
our $certificates = $Servers::certificates;

# Servers with a certificate each; they show the name and the protocol that they were asked for.
our $up = join '', map {
    my ($name, $port) = @$_;
    "server { listen 127.0.0.1:\$TEST_NGINX_PORT_$port ssl; listen [::1]:\$TEST_NGINX_PORT_$port ssl;"
        . " ssl_certificate $certificates/$name.pem; ssl_certificate_key $certificates/$name.key;"
        . ' location / { return 200 "$ssl_server_name,$ssl_alpn_protocol"; }'
        . ' location /connection { return 200 "$connection/$connection_requests"; }'
        . ' location /files/ { alias html/; }'
        . ' location /echo { client_max_body_size 8m; client_body_buffer_size 8m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }'
        . ' }';
} ['server', 1], ['other', 2], ['expired', 3], ['self-signed', 4];
our $authority = "wasm_call_ssl_trusted_certificate $certificates/ca.pem;";

# Calls to the port in TLS, with this authority.
sub Test::Base::Filter::tls {
    return calls(map { my ($port, $authority, @more) = @$_;
        ["127.0.0.1:$main::port[$port]", scheme => 'https', authority => $authority, @more] } @_);
}

run_tests();

__DATA__

=== TEST 1: the name goes out as SNI, and HTTP/1.1 by ALPN; the port in :authority is no part of it
--- http_config eval: $::up . $::authority
--- config
    @calls;
--- client eval
sub { tls([1, 'up.example'], [1, 'UP.example:8443'], [1, 'up.example.'], [1, 'a.wild.example'], [1, 'localhost']) }
--- client_out
200 up.example,http/1.1
200 up.example,http/1.1
200 up.example,http/1.1
200 a.wild.example,http/1.1
200 localhost,http/1.1



=== TEST 2: another name than the certificate has
--- http_config eval: $::up . $::authority
--- config
    @calls;
--- client eval
sub { tls([1, 'other.example'], [2, 'up.example'], [2, 'other.example'], [1, 'a.b.wild.example']) =~ s/:\d+\)/)/gr }
--- client_out
failed: TLS with other.example (127.0.0.1) failed: certificate does not match "other.example"
failed: TLS with up.example (127.0.0.1) failed: certificate does not match "up.example"
200 other.example,http/1.1
failed: TLS with a.b.wild.example (127.0.0.1) failed: certificate does not match "a.b.wild.example"
--- error_log eval
[qr/\[error\] .*\[wasm\] hostcalls: call to "127\.0\.0\.1:\d+" failed: TLS with other\.example \(127\.0\.0\.1:\d+\) failed: certificate does not match/]



=== TEST 3: expired, and signed by nobody
--- http_config eval: $::up . $::authority
--- config
    @calls;
--- client eval
sub { tls([3, 'up.example'], [4, 'up.example']) =~ s/:\d+\)/)/r =~ s/:\d+\)/)/r }
--- client_out eval
qr/\Afailed: TLS with up\.example \(127\.0\.0\.1\) failed: certificate verify error: \(10:certificate has expired\)
failed: TLS with up\.example \(127\.0\.0\.1:?\d*\) failed: certificate verify error: \(18:self[- ]signed certificate\)
\z/
--- error_log
certificate verify error



=== TEST 4: wasm_call_ssl_verify off takes them all, and still sends the name
--- http_config eval: $::up
--- config
    wasm_call_ssl_verify off;
    @calls;
--- client eval
sub { tls([1, 'wrong.example'], [2, 'up.example'], [3, 'up.example'], [4, 'up.example']) }
--- client_out
200 wrong.example,http/1.1
200 up.example,http/1.1
200 up.example,http/1.1
200 up.example,http/1.1



=== TEST 5: verified by default, against the system's store
--- http_config eval: $::up
--- config
    @calls;
--- client eval
sub { tls([1, 'up.example'], [4, 'up.example']) =~ s/127.0.0.1:\d+/up/r }
--- client_out eval
qr/\A200 up\.example,http\/1\.1
failed: TLS with up\.example \(up\) failed: certificate verify error: \(18:self[- ]signed certificate\)
\z/
--- error_log
certificate verify error



=== TEST 6: wasm_call_ssl_trusted_certificate replaces it; a location's own wins
--- http_config eval
$::up . "wasm_call_ssl_trusted_certificate $::certificates/self-signed.pem;"
--- config eval
"\@calls;
location /own { wasm_call_ssl_trusted_certificate $::certificates/ca.pem; \@call_filter; }"
--- client eval
sub { tls([4, 'up.example'], [1, 'up.example'], [1, 'up.example', location => '/own']) =~ s/127.0.0.1:\d+/up/r =~ s/\(2[01]:unable to .*\)/(2x:unable to verify)/r }
--- client_out
200 up.example,http/1.1
failed: TLS with up.example (up) failed: certificate verify error: (2x:unable to verify)
200 up.example,http/1.1
--- error_log
certificate verify error



=== TEST 7: addresses are not sent as names, but must stand in the certificate
--- http_config eval: $::up . $::authority
--- config
    @calls;
--- client eval
sub { tls([1, '127.0.0.1'], [1, "127.0.0.1:$::port[1]"], [1, '127.0.0.2'], [1, '[::1]:443']) =~ s/\(127.0.0.1:\d+\)/(up)/gr }
--- client_out
200 ,http/1.1
200 ,http/1.1
failed: TLS with 127.0.0.2 (up) failed: certificate verify error: (64:IP address mismatch)
failed: TLS with ::1 (up) failed: certificate verify error: (64:IP address mismatch)
--- error_log
IP address mismatch



=== TEST 8: a server that does not speak TLS, and one that closes
--- http_config eval: $::authority
--- config
    @calls;
--- upstream eval
sub { my ($c, $number) = @_; $c->more; $c->write("HTTP/1.1 400 Bad Request\r\n\r\n") if $number == 1; }
--- client eval
sub { calls(map { ["127.0.0.1:$ENV{TEST_NGINX_PORT_9}", scheme => 'https'] } 1, 2) =~ s/127.0.0.1:\d+/up/gr }
--- client_out eval
qr/\Afailed: TLS with up\.example \(up\) failed: SSL_do_handshake\(\) failed \(SSL: error:.*wrong version number.*\)
failed: TLS with up\.example \(up\) failed: peer closed connection in SSL handshake.*
\z/
--- error_log
SSL_do_handshake() failed



=== TEST 9: a handshake that does not end: wasm_call_connect_timeout
--- http_config eval: $::authority
--- config
    wasm_call_connect_timeout 300ms;
    @calls;
--- upstream eval
sub { my $c = shift; $c->more; $c->rest }
--- client eval
sub { calls(["127.0.0.1:$ENV{TEST_NGINX_PORT_9}", scheme => 'https']) =~ s/127.0.0.1:\d+/up/gr }
--- client_out
failed: timed out while connecting to up
--- error_log
timed out while connecting to



=== TEST 10: an idle connection serves those who asked for the same name, and trust the same
--- http_config eval: $::up . $::authority
--- config
    @calls;
    location /off { wasm_call_ssl_verify off; @call_filter; }
--- client eval
sub {
    my @c = (path => '/connection');
    tls([1, 'up.example', @c], [1, 'up.example', @c], [1, 'localhost', @c], [1, 'up.example', @c],
        [1, 'up.example', @c, location => '/off'], [1, 'up.example', @c, location => '/off'], [1, 'up.example', @c],
        [1, '127.0.0.1', @c]) =~ s{\d+/}{}gr;
}
--- client_out
200 1
200 2
200 1
200 3
200 1
200 2
200 4
200 1



=== TEST 11: neither is what nginx's own proxy has kept in an upstream block, unverified
--- http_config eval: $::up . $::authority . 'upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 8; }'
--- config
    @calls;
    location /connection { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_name other.example; proxy_ssl_server_name on; proxy_pass https://kept; }
--- client eval
sub {
    my $c = connection();
    my @call = ('kept', scheme => 'https', path => '/connection');
    $c->write("GET /connection HTTP/1.1\r\nHost: a\r\n\r\n");
    return rows($c->answer, map { call_on($c, @call) } 1 .. 3) =~ s{\d+/}{}gr;
}
--- client_out
200 1
200 1
200 2
200 3



=== TEST 12: plain calls do not go into kept TLS, nor the other way round
--- http_config eval
$::up . $::authority . <<'_EOC_'
upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 8; }
server { listen 127.0.0.1:$TEST_NGINX_PORT_5; location / { return 200 "plain"; } }
_EOC_
--- config
    @calls;
--- client eval
sub {
    my $c = connection();
    return rows(call_on($c, 'kept', scheme => 'https'), call_on($c, 'kept') =~ s/.*(plain HTTP request was sent to HTTPS port).*/$1/sr,
        call_on($c, 'kept', scheme => 'https'), call_on($c, "127.0.0.1:$::port[5]"), call_on($c, "127.0.0.1:$::port[5]", scheme => 'https') =~ s/ with.*//r);
}
--- client_out
200 up.example,http/1.1
plain HTTP request was sent to HTTPS port
200 up.example,http/1.1
200 plain
failed: TLS
--- error_log
SSL_do_handshake() failed



=== TEST 13: servers of a block that fail TLS are passed over
--- http_config eval: $::up . $::authority . 'upstream two { server 127.0.0.1:$TEST_NGINX_PORT_3; server 127.0.0.1:$TEST_NGINX_PORT_1; }'
--- config
    @calls;
--- client eval
sub { calls(map { ['two', scheme => 'https'] } 1, 2) }
--- client_out
200 up.example,http/1.1
200 up.example,http/1.1
--- no_error_log eval: $Filtered::alive



=== TEST 14: large bodies both ways
--- http_config eval: $::up . $::authority
--- config
    location /large {
        client_max_body_size 8m;
        client_body_buffer_size 8m;
        wasm_call_buffer_size 8m;
        @filter;
    }
--- filter eval
qq({"request_body":[["action","pause"]],"request_body_end":[
  ["http_call","a","127.0.0.1:$::port[1]",[[":method","POST"],[":path","/echo"],[":scheme","https"],[":authority","up.example"]],{"body":"request"},[],5000]],
  "http_call_response":[["local_response",200,[],{"body":"call_response"}]]})
--- upstream eval
sub { my $c = shift; my ($head, $body) = $c->message; $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body"); }
--- client eval
sub {
    my $body = CORE::join '', map { sprintf '%07d,', $_ } 1 .. 400_000;
    my $c = connection();
    $c->write("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    return $c->answer eq "200 $body" ? 'same' : 'different';
}
--- client_out: same



=== TEST 15: IPv6
--- http_config eval: $::up . $::authority
--- config
    @calls;
--- client eval
sub { calls(["[::1]:$::port[1]", scheme => 'https']) }
--- client_out
200 up.example,http/1.1



=== TEST 16: nginx's own proxy does not get what an unverified call has kept
--- http_config eval: $::up . 'upstream kept { server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 8; }'
--- config eval
<<"_EOC_";
    wasm_call_ssl_verify off;
    \@calls;
    location /connection { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_verify on; proxy_ssl_trusted_certificate $::certificates/ca.pem; proxy_ssl_name other.example; proxy_pass https://kept; }
_EOC_
--- client eval
sub {
    my $c = connection();
    my $call = call_on($c, 'kept', scheme => 'https', path => '/connection') =~ s{\d+/}{}r;
    $c->write("GET /connection HTTP/1.1\r\nHost: a\r\n\r\n");
    my $proxied = $c->answer =~ /^(\d+)/ ? $1 : '';
    return rows($call, $proxied, call_on($c, 'kept', scheme => 'https', path => '/connection') =~ s{\d+/}{}r);
}
--- client_out
200 1
502
200 2
--- error_log
upstream SSL certificate does not match "other.example"
