# Components that fail: what the client gets, before and behind the head, and what others get.

use Test::Nginx::Socket 'no_plan';
use Service;
use Wire;
use Wire::H2;

log_level('info');
no_long_string();

our $labs = Service::service_modules('cpu_time=200ms');
our $h2 = 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . Service::service_locations() . '}';
our $alive = $Service::alive;
worker_connections(1024);

# Status, and how the body ends, of an answer to GET.
sub told {
    my ($path, $version) = @_;
    my $connection = connection();
    $connection->write("GET $path HTTP/" . ($version // '1.1') . "\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    my $bytes = $connection->rest;
    my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
    my ($status) = ($head // '') =~ m{^HTTP/1\.\d (\d+)} or return "no answer: $bytes";
    return $status if $body =~ /<html>/;
    return "$status reset" if $body =~ /\(reset\)\z/;
    return "$status " . ($body =~ /(?:^|\r\n)0\r\n\r\n\z/ ? 'whole' : 'cut') if $head =~ /^transfer-encoding: chunked/mi;
    my ($length) = $head =~ /^content-length: (\d+)/mi;
    return "$status ends" if !defined $length;
    return "$status " . ($length == length $body ? 'whole' : 'cut');
}

# The same of the stream of HTTP/2.
sub told_h2 {
    my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    $h2->get(1, $_[0]);
    my %answer = $h2->answers(1);
    my $got = $answer{1} // 'connection closed';
    return $got =~ /<html>/ ? 'page' : $got;
}

run_tests();

__DATA__

=== TEST 1: before the head: 500, or the status for the error that the guest answers; one line each
--- http_config eval: $::labs
--- config eval: Service::service_locations()
--- client eval
sub { rows(map { my $path = $_; map { "/$_$path " . main::told("/$_$path") } 2, 3 } qw(/trap-early /exit-early /error /spin), '/status?200') }
--- client_out
/2/trap-early 500
/3/trap-early 500
/2/exit-early 500
/3/exit-early 500
/2/error 504
/3/error 504
/2/spin 504
/3/spin 504
/2/status?200 200 whole
/3/status?200 200 whole
--- error_log
[wasm] lab2: the component has exited with code 1
[wasm] lab3: the component has exited with code 1
[wasm] lab2: the component answers the error: connection timeout
[wasm] lab3: the component answers the error: connection timeout
--- no_error_log eval: $::alive



=== TEST 2: behind the head: no response looks whole; without chunks and without a length, the connection is reset
--- http_config eval: $::labs . $::h2
--- config eval: Service::service_locations()
--- client eval
sub {
    rows(map {
        my $path = $_;
        map { "/$_$path: " . CORE::join ', ', main::told("/$_$path"), main::told("/$_$path", '1.0'), main::told_h2("/$_$path") } 2, 3;
    } qw(/trap-late /exit-late /spin-late /unfinished));
}
--- client_out eval
# A guest that fails before its first piece is on its way has nothing sent.
my $either = '(?:500, 500, page|200 cut, 200 reset, reset 2)';
Service::matching(join '', map { my $path = $_; map { "/$_$path: $either\n" } 2, 3 } qw(/trap-late /exit-late /spin-late /unfinished))
--- no_error_log eval: $::alive



=== TEST 3: a content-length that does not hold
--- http_config eval: $::labs . $::h2
--- config eval: Service::service_locations()
--- client eval
sub {
    rows(map {
        my $lengths = $_;
        map { "/$_ $lengths: " . join ', ', main::told("/$_/length?$lengths"), main::told_h2("/$_/length?$lengths") } 2, 3;
    } '5,5', '5,3', '3,5');
}
--- client_out eval
Service::matching(<<'_')
/2 5,5: 200 whole, xxxxx
/3 5,5: 200 whole, xxxxx
/2 5,3: (?:500|200 cut), .*
/3 5,3: (?:500|200 cut), .*
/2 3,5: (?:500|200 cut), .*
/3 3,5: (?:500|200 cut), .*
_
--- no_error_log eval: $::alive



=== TEST 4: error_page is for what fails before the head
--- http_config eval: $::labs
--- config eval
'error_page 500 504 =503 /sorry; location /sorry { return 200 "sorry"; } ' . Service::service_locations()
--- client eval
sub { rows(map { my $answer = ask("GET $_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); (split ' ', $answer)[1] . ' ' . ($answer =~ /sorry/ ? 'sorry' : '') } qw(/2/trap-early /3/error)) }
--- client_out
503 sorry
503 sorry
--- no_error_log eval: $::alive



=== TEST 5: others go on: 40 guests that trap, loop, take memory and stack, beside ones that do not
--- http_config eval: Service::service_modules('cpu_time=200ms', 'memory=16m')
--- config eval: 'location /status { stub_status; } ' . Service::service_locations()
--- client eval
sub {
    my @bad = map { my $path = $_; map { asked("/$_$path", 'Connection: close') } 2, 3 } (qw(/trap-early /trap-late /spin /memory /recurse)) x 4;
    my @good = map { short("/$_/echo", 'meanwhile') } 2, 3;
    $_->rest for @bad;
    rows(@good, 'left: ' . writing());
}
--- client_out
200 meanwhile
200 meanwhile
left: 1
--- no_error_log eval: $::alive



=== TEST 6: clients that leave end their guests: while these wait, write, and read
--- http_config eval: $::labs . $::h2
--- config eval: 'location /status { stub_status; } ' . Service::service_locations()
--- client eval
sub {
    my @rows;
    for my $how (qw(close reset)) {
        my @waiting = map { my $path = $_; map { asked("/$_$path") } (2, 3) x 10 } '/sleep?600000', '/flood';
        my @reading = map { my $c = asked("POST /$_/echo", 'Content-Length: 10'); $c->write('abc'); $c } (2, 3) x 10;
        my $count = 1 + @waiting + @reading;
        my $begun = wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: $count\b/ });
        push @rows, $begun ? 'all wait' : 'not all wait';
        $_->$how for @waiting, @reading;
        push @rows, 'left: ' . writing();
    }
    my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    $h2->get(2 * $_ + 1, '/' . (2 + $_ % 2) . '/sleep?600000') for 0 .. 9;
    push @rows, wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: 11\b/ }) ? 'streams wait' : 'no streams';
    $h2->reset(2 * $_ + 1) for 0 .. 9;
    push @rows, 'left: ' . writing();
    rows(@rows);
}
--- client_out
all wait
left: 1
all wait
left: 1
streams wait
left: 1
--- no_error_log eval: $::alive
