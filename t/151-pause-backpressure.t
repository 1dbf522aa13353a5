# Many paused responses at once: what is held stays with the upstream, or in files, not in the worker's
# memory; and all of it arrives when they go on.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;

log_level('warn');
no_long_string();
no_root_location();
worker_connections(2048);

# Gigabytes go through nginx here.
$Wire::PATIENCE = 600;

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;

# One response of 10 MiB.
our $size = 10 * 1024 * 1024;
our $file = [['big.txt', CORE::join '', map { sprintf "%015d\n", $_ } 1 .. $size / 16]];

our $module = <<'_EOC_';
# On a busy machine all of them take minutes to come to their pause.
send_timeout 900s;
proxy_read_timeout 900s;
proxy_send_timeout 900s;
wasm_pause_timeout 900s;
proxy_cache_path proxy_temp/cache keys_zone=cache:1m max_size=2g;
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { alias html/; }
}
_EOC_

# Resident memory of nginx in MiB; it has one process.
sub resident {
    open my $status, '<', '/proc/' . Wire::nginx_pid() . '/status' or die "status: $!\n";
    my ($kb) = CORE::join('', <$status>) =~ /^VmRSS:\s+(\d+) kB/m;
    return $kb / 1024;
}

# As resident(), when what nginx reads ahead has come: no test sees that but by its memory.
sub settled {
    my ($last, $still) = (-1, 0);
    wait_for(sub {
        select undef, undef, undef, 0.25;
        my $now = resident();
        $still = abs($now - $last) < 1 ? $still + 1 : 0;
        $last = $now;
        $still == 3;
    });
    return $last;
}

# Has so many clients ask for a path; when all are paused, the memory that this takes is read, and all are
# continued by the tick. Answers what came of them and the MiB that were taken.
sub many {
    my ($count, $path, %how) = @_;
    my $before = resident();
    my @clients = map {
        my $c = connection();
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        $c;
    } 1 .. $count;
    wait_for(sub { count('paused') >= $count });
    count('paused') >= $count or return 'only ' . count('paused') . " paused\n";
    my $held = settled() - $before;
    ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ / 200 / or return "not continued\n";
    my ($good, @bad) = 0;
    my $most = 0;
    for my $c (@clients) {
        my ($head, $body) = $c->message;
        $body eq $main::file->[0][1] ? $good++ : push @bad, length $body;
        $c->close;
        my $now = resident() - $before;
        $most = $now if $now > $most;
    }
    printf STDERR "# %s: %d responses of 10 MiB: %.0f MiB while paused, %.0f MiB at most behind\n", $path, $count, $held, $most
        if $ENV{TEST_VERBOSE} || $ENV{PAUSE_VERBOSE};
    my $limit = $how{limit};
    return rows("$good good, " . @bad . ' bad', $held < $limit ? "below $limit MiB" : "$held MiB held",
        $most < $limit ? "below $limit MiB" : "$most MiB behind");
}

# The counter that a guest keeps: lines at level warn.
sub count {
    my $what = shift;
    return logged("a: $what");
}

# A location whose filter pauses in the headers or the body, and one that continues all.
sub locations {
    my ($where, $content, $count) = @_;
    my $drop = '["remove_header","response","content-length"]';
    my %operations = $where eq 'headers' ? (response_headers => qq~["log","warn","paused"],["action","pause"]~)
        : (response_headers => $drop, response_body => '["if_end_of_stream",[["log","warn","paused"]]],["action","pause"]');
    my $text = CORE::join ',', map { qq~"$_":[$operations{$_}]~ } sort keys %operations;
    return qq~location /t { wasm_filter a '{$text}'; $content }\n~
        . qq~location /go { wasm_filter a '\@../html/go.json'; }\n~;
}

sub go_file {
    my $count = shift;
    my $each = CORE::join ',', map { qq~["effective_context",$_],["continue","response"]~ } 2 .. $count + 4;
    return [@$main::file, ['go.json', qq~{"request_headers":[["local_response",200,[],"go"],$each]}~]];
}

run_tests();

__DATA__

=== TEST 1: 300 paused in the response headers, an upstream with proxy_buffering, which is stopped
--- http_config eval: $::module
--- config eval: main::locations('headers', 'proxy_max_temp_file_size 1m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;')
--- user_files eval: main::go_file(300)
--- client eval: sub { main::many(300, '/t', limit => 120) }
--- client_out
300 good, 0 bad
below 120 MiB
below 120 MiB
--- no_error_log eval: $::bad



=== TEST 2: paused in the response headers, without proxy_buffering
--- http_config eval: $::module
--- config eval: main::locations('headers', 'proxy_buffering off; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;')
--- user_files eval: main::go_file(60)
--- client eval: sub { main::many(60, '/t', limit => 40) }
--- client_out
60 good, 0 bad
below 40 MiB
below 40 MiB
--- no_error_log eval: $::bad



=== TEST 3: paused in the response headers, a file
--- http_config eval: $::module
--- config eval: main::locations('headers', 'alias html/big.txt;')
--- user_files eval: main::go_file(60)
--- client eval: sub { main::many(60, '/t', limit => 40) }
--- client_out
60 good, 0 bad
below 40 MiB
below 40 MiB
--- no_error_log eval: $::bad



=== TEST 4: paused in the response headers, an upstream whose response goes to the cache
--- http_config eval: $::module
--- config eval: main::locations('headers', 'proxy_cache cache; proxy_cache_key $request_uri; proxy_cache_valid 200 1m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;')
--- user_files eval: main::go_file(60)
--- client eval: sub { main::many(60, '/t', limit => 40) }
--- client_out
60 good, 0 bad
below 40 MiB
below 40 MiB
--- no_error_log eval: $::bad



=== TEST 5: 100 paused in the response body, which is held in files
--- http_config eval: $::module
--- config eval: main::locations('body', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;')
--- user_files eval: main::go_file(100)
--- client eval: sub { main::many(100, '/t', limit => 60) }
--- client_out
100 good, 0 bad
below 60 MiB
below 60 MiB
--- no_error_log eval: $::bad



=== TEST 6: paused in the response body, without proxy_buffering
--- http_config eval: $::module
--- config eval: main::locations('body', 'proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;')
--- user_files eval: main::go_file(30)
--- client eval: sub { main::many(30, '/t', limit => 40) }
--- client_out
30 good, 0 bad
below 40 MiB
below 40 MiB
--- no_error_log eval: $::bad



=== TEST 7: paused in the response body, a file
--- http_config eval: $::module
--- config eval: main::locations('body', 'alias html/big.txt;')
--- user_files eval: main::go_file(60)
--- client eval: sub { main::many(60, '/t', limit => 40) }
--- client_out
60 good, 0 bad
below 40 MiB
below 40 MiB
--- no_error_log eval: $::bad



=== TEST 8: streams of HTTP/2 clients, paused in the response headers
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . main::locations('headers', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;') . '}'
--- config eval: main::locations('headers', 'return 204;')
--- user_files eval: main::go_file(60)
--- client eval
sub {
    my $before = main::resident();
    my $pid = open(my $from, '-|', 'timeout', $Wire::PATIENCE, 'h2load', '-n', 60, '-c', 6, '-m', 10, "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/t") // die;
    until_logged('a: paused', 60);
    my $held = main::settled() - $before;
    ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $text = CORE::join '', <$from>;
    close $from;
    rows($text =~ /(\d+ succeeded, \d+ failed)/, $text =~ /\((629145600)\) data/ ? 'all bytes' : $text, $held < 40 ? 'below 40 MiB' : "$held MiB");
}
--- client_out
60 succeeded, 0 failed
all bytes
below 40 MiB
--- no_error_log eval: $::bad
