# Many paused responses at once: what is held stays with the upstream, or in files, not in the worker's
# memory; and all of it arrives when they go on.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Time::HiRes ();

log_level('warn');
no_long_string();
no_root_location();
worker_connections(2048);

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;

# One response of 10 MiB, and what each worker may take for a number of them: 128 KiB of a held body, nginx's
# buffers, and the memory that the guest and nginx take anyway.
our $size = 10 * 1024 * 1024;
our $file = [['big.txt', CORE::join '', map { sprintf "%015d\n", $_ } 1 .. $size / 16]];
our $sum = unpack '%32C*', $file->[0][1];

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    listen 127.0.0.1:$TEST_NGINX_PORT_3 http2;
    location / { alias html/; }
}
_EOC_

# Resident memory of nginx in MiB; it has one process.
sub resident {
    open my $status, '<', '/proc/' . Wire::nginx_pid() . '/status' or die "status: $!\n";
    my ($kb) = CORE::join('', <$status>) =~ /^VmRSS:\s+(\d+) kB/m;
    return $kb / 1024;
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
    my $settled = $how{settled} // 0.5;
    wait_for(sub { count('paused') >= $count }) or return 'only ' . count('paused') . " paused\n";
    # Until what nginx reads ahead has come.
    my $last = -1;
    for (1 .. 40) {
        select undef, undef, undef, 0.25;
        my $now = resident();
        last if abs($now - $last) < 1;
        $last = $now;
    }
    my $held = resident() - $before;
    ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ / 200 / or return "not continued\n";
    my ($good, @bad) = 0;
    my $most = 0;
    for my $c (@clients) {
        my ($head, $body) = $c->message;
        length $body == $main::size && unpack('%32C*', $body) == $main::sum ? $good++ : push @bad, length $body;
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
        : (response_headers => qq~["log","warn","paused"],$drop~, response_body => '["action","pause"]');
    my $text = CORE::join ',', map { qq~"$_":[$operations{$_}]~ } sort keys %operations;
    return qq~location /t { wasm_filter a '{$text}'; $content }\n~
        . qq~location /go { wasm_filter a '\@../html/go.json'; }\n~;
}

sub go_file {
    my $count = shift;
    my $each = CORE::join ',', map { qq~["effective_context",$_],["continue","response"]~ } 4 .. $count + 4;
    return [@$main::file, ['go.json', qq~{"request_headers":[["local_response",200,[],"go"],$each]}~]];
}

run_tests();

__DATA__

=== TEST 1: 300 paused in the response headers, an upstream with proxy_buffering
--- http_config eval: $::module
--- config eval: main::locations('headers', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;')
--- user_files eval: main::go_file(300)
--- client eval: sub { main::many(300, '/t', limit => 150) }
--- client_out
300 good, 0 bad
below 150 MiB
below 150 MiB
--- no_error_log eval: $::bad
