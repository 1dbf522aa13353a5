# Components: request and response as streams, both at once, no faster than the other side goes.

use Test::Nginx::Socket 'no_plan';
use Service;
use Wire;
use Wire::H2;

log_level('info');
no_long_string();
timeout(300);
worker_connections(1024);

our $labs = Service::service_modules('cpu_time=60s');
our $clean = $Service::clean;
our $alive = $Service::alive;
# AddressSanitizer's own memory comes on top, and grows.
our $more = $ENV{ASAN_OPTIONS} ? 400_000 : 0;

run_tests();

__DATA__

=== TEST 1: each piece of an echo is there before the next is sent, over HTTP/1.1 and HTTP/2
--- http_config eval
$::labs . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . Service::service_locations() . '}'
--- config eval: Service::service_locations()
--- client eval
sub {
    rows(map {
        my $path = $_;
        my $connection = asked("POST $path", 'Transfer-Encoding: chunked', 'Connection: close');
        my @seen;
        for my $piece (qw(one two three)) {
            $connection->write(chunk($piece));
            push @seen, $connection->until(qr/$piece/) =~ /$piece/ ? $piece : 'nothing';
        }
        $connection->write("0\r\n\r\n");
        push @seen, $connection->rest =~ /\r\n0\r\n\r\n\z/ ? 'end' : 'no end';

        my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
        $h2->headers(1, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => $path, ':authority' => 'a');
        for my $piece (qw(four five)) {
            $h2->data(1, 0, $piece);
            my $frame;
            do { $frame = $h2->next } while $frame && $frame->{type} ne 'data';
            push @seen, $frame->{payload};
        }
        $h2->data(1, 1, '');
        my %answer = $h2->answers(1);
        push @seen, defined $answer{1} ? "end '$answer{1}'" : 'no end';
        "$path: @seen";
    } qw(/2/echo /3/echo /3/through));
}
--- client_out
/2/echo: one two three end four five end ''
/3/echo: one two three end four five end ''
/3/through: one two three end four five end ''
--- no_error_log eval: $::clean



=== TEST 2: the head goes before there is a body, to a client that has yet to send its own
--- http_config eval: $::labs
--- config eval: Service::service_locations()
--- client eval
sub {
    rows(map {
        my $connection = asked("POST $_", 'Content-Length: 3', 'Connection: close');
        my $head = $connection->until(qr/\r\n\r\n/);
        $connection->write('abc');
        (split ' ', $head)[1] . ' ' . ($connection->rest =~ /abc/ ? 'abc' : 'nothing');
    } qw(/2/echo /3/echo));
}
--- client_out
200 abc
200 abc
--- no_error_log eval: $::clean



=== TEST 3: 100 Continue is for who is read; a body that is not read does not cost the connection
--- http_config eval: $::labs
--- config eval: Service::service_locations()
--- client eval
sub {
    rows(map {
        my $reads = asked("POST $_/echo", 'Content-Length: 3', 'Expect: 100-continue', 'Connection: close');
        my $first = $reads->until(qr/\r\n\r\n/);
        $reads->write('abc');
        my $rest = $reads->rest;
        my $unread = asked("POST $_/count", 'Content-Length: 3', 'Expect: 100-continue');
        my $answer = $unread->answer;
        my $next = asked("POST $_/count", 'Content-Length: 100000');
        $next->write('x' x 100000);
        my @next = $next->answer;
        $next->write("GET $_/count HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        ((split /\r/, $first)[0], $rest =~ /abc/ ? 'abc' : 'nothing', $answer, @next, $next->answer);
    } qw(/2 /3));
}
--- client_out
HTTP/1.1 100 Continue
abc
200 1
200 1
200 1
HTTP/1.1 100 Continue
abc
200 1
200 1
200 1
--- no_error_log eval: $::clean



=== TEST 4: client_max_body_size is 413, as long as nothing has been sent; a client that goes in the midst ends the guest
--- http_config eval: $::labs
--- config eval
'location /status { stub_status; } ' . Service::service_locations('client_max_body_size 10;')
--- client eval
sub {
    rows(map {
        my $known = asked("POST $_/echo", 'Content-Length: 11', 'Connection: close')->answer;
        my $chunked = asked("POST $_/upload?http://a.example/", 'Transfer-Encoding: chunked', 'Connection: close');
        $chunked->write(chunk('x' x 11));
        my $goes = asked("POST $_/echo", 'Content-Length: 5');
        $goes->write('abc');
        $goes->until(qr/abc/);
        $goes->close;
        ((split / /, $known)[0], (split / /, $chunked->answer)[0], 'left: ' . writing());
    } qw(/2 /3));
}
--- client_out
413
413
left: 1
413
413
left: 1
--- no_error_log eval: $::alive



=== TEST 5: a client that does not read stops the guest, and costs no memory
--- http_config eval: $::labs
--- config eval
'location /status { stub_status; } ' . Service::service_locations()
--- client eval
sub {
    my @rows;
    for my $version (2, 3) {
        short("/$version/echo", 'x' x 1_000_000) for 1 .. 3;
        my $before = resident();
        my @slow = map { asked("/$version/flood") } 1 .. 20;
        $_->until(qr/x{100}/) for @slow;
        settled(\&resident);
        my $took = resident() - $before;
        push @rows, $took < $::more + 20 * 1200 ? "$version: flat" : "$version: $took KiB for 20 connections";
        # All of them go on when they are read.
        push @rows, (grep { length $_->take(4_000_000) != 4_000_000 } @slow) ? 'stuck' : 'goes on';
        $_->close for @slow;
        push @rows, 'left: ' . writing();
    }
    rows(@rows);
}
--- client_out
2: flat
goes on
left: 1
3: flat
goes on
left: 1
--- no_error_log eval: $::alive



=== TEST 6: what a guest does not read stays with the client
--- http_config eval: $::labs
--- config eval
'location /status { stub_status; } ' . Service::service_locations('client_max_body_size 0;')
--- client eval
sub {
    my @rows;
    for my $version (2, 3) {
        short("/$version/echo", 'x' x 1_000_000) for 1 .. 3;
        # The guest's response is not read, so it reads no more of the request.
        my $before = resident();
        my $connection = asked("POST /$version/echo", 'Transfer-Encoding: chunked');
        my $piece = chunk('x' x 65536);
        my $sent = 0;
        my $socket = $connection->{socket};
        $socket->blocking(0);
        while (IO::Select->new($socket)->can_write(2)) {
            my $n = syswrite $socket, $piece x 4;
            last if !defined $n && !$!{EAGAIN};
            $sent += $n // 0;
            last if $sent > 200_000_000;
        }
        my $took = resident() - $before;
        push @rows, $sent < 200_000_000 ? 'stops' : 'takes all', $took < $::more + 3000 ? 'flat' : "$took KiB";
        $connection->close;
        push @rows, 'left: ' . writing();
    }
    rows(@rows);
}
--- client_out
stops
flat
left: 1
stops
flat
left: 1
--- no_error_log eval: $::alive



=== TEST 7: 256 MiB there and back, in the memory of a few pieces
--- http_config eval: $::labs
--- config eval
Service::service_locations('client_max_body_size 0;')
--- client eval
sub {
    rows(map {
        my $path = $_;
        short($path, 'x' x 1_000_000) for 1 .. 3;
        my $before = resident();
        my $sum = output_of('sh', '-c', "head -c 268435456 /dev/zero | curl -sS -T - http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}$path | md5sum");
        my $took = resident() - $before;
        ((split ' ', $sum)[0], $took < $::more + 4000 ? 'flat' : "$took KiB");
    } qw(/2/echo /3/echo /3/through));
}
--- client_out
1f5039e50bd66b290c56684d8550c6c2
flat
1f5039e50bd66b290c56684d8550c6c2
flat
1f5039e50bd66b290c56684d8550c6c2
flat
--- no_error_log eval: $::clean
