# proxy_http_call: whatever goes wrong arrives as an answer without headers, `call.error` says what it was, and
# the log has one line.

use Test::Nginx::Socket 'no_plan';
use Calls;
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# A location that makes one call, to the path in its query, and answers with what comes of it.
sub any {
    my ($path, %call) = @_;
    return location($path, {
        request_headers => [http('a', path => joined('/', { property => 'request.query' }), %call), pause()],
        http_call_response => [
            ['log', 'info', joined({ var => 'headers' }, ' ', { var => 'body' }, ' ', { var => 'trailers' })], @{ answer() },
        ],
    });
}

# What comes of it for each of these paths, "path: error", and whether the guest has seen nothing else and
# the log has one line for each, with the same text.
sub failures {
    my ($location, @paths) = @_;
    my @answers = map { get("$location?$_") } @paths;
    my @texts = map { /^502 failed: (.*)/s ? $1 : "no failure: $_" } @answers;
    my @lines = errors();
    my @expected = map { qq~a: call to "127.0.0.1:$ENV{TEST_NGINX_PORT_1}" failed: $_~ } @texts;
    my $log = "@lines" eq "@expected" ? '' : "in the log:\n" . rows(@lines);
    my $seen = grep { $_ ne '0 0 0' } told(qr/^\d+ \d+ \d+$/);
    s/:$ENV{TEST_NGINX_PORT_1}\b/:PORT/g for @texts;
    return rows(map { "$paths[$_]: $texts[$_]" } 0 .. $#paths) . ($seen ? "guests have seen something\n" : '') . $log;
}

run_tests();

__DATA__

=== TEST 1: no answer, or half of one
--- http_config eval: $::module
--- config eval: ::any('/x')
--- client eval: sub { ::failures('/x', qw(close truncated-head truncated truncated-chunks reset reset-head reset-body)) }
--- client_out
close: connection closed before the end of the response
truncated-head: connection closed before the end of the response
truncated: connection closed before the end of the response
truncated-chunks: connection closed before the end of the response
reset: connection to 127.0.0.1:PORT failed: recv() failed (104: Connection reset by peer)
reset-head: connection to 127.0.0.1:PORT failed: recv() failed (104: Connection reset by peer)
reset-body: connection to 127.0.0.1:PORT failed: recv() failed (104: Connection reset by peer)
--- no_error_log eval: $::alive



=== TEST 2: no HTTP
--- http_config eval: $::module
--- config eval: ::any('/x')
--- client eval
sub {
    ::failures('/x', qw(http09 garbage garbage-tls bad-version bad-status bad-header bad-name nul fold bad-chunk bad-chunk-end bad-length
        negative-length two-lengths length-and-chunks unknown-coding switch));
}
--- client_out eval: rows(map { "$_: malformed response" } qw(http09 garbage garbage-tls bad-version bad-status bad-header bad-name nul fold bad-chunk bad-chunk-end bad-length negative-length two-lengths length-and-chunks unknown-coding switch))
--- no_error_log eval: $::alive



=== TEST 3: too large
A chunk that says it has 2^64 - 1 bytes is not waited for beyond what comes.
--- http_config eval: $::module
--- config eval: ::any('/x')
--- client eval: sub { ::failures('/x', qw(huge-head/70000 many-headers/2000 endless-head endless size/1048577 huge-chunk)) }
--- client_out
huge-head/70000: response header too large
many-headers/2000: response header too large
endless-head: response header too large
endless: response body larger than 1048576 bytes
size/1048577: response body larger than 1048576 bytes
huge-chunk: connection closed before the end of the response
--- no_error_log eval: $::alive



=== TEST 4: the call's own timeout bounds all of it
Also where something comes all the time.
--- http_config eval: $::module
--- config eval: ::any('/x', timeout => 150)
--- client eval: sub { ::failures('/x', qw(never never-body hints-only delay/5 drip/0.05)) }
--- client_out
never: timed out while waiting for 127.0.0.1:PORT
never-body: timed out while waiting for 127.0.0.1:PORT
hints-only: timed out while waiting for 127.0.0.1:PORT
delay/5: timed out while waiting for 127.0.0.1:PORT
drip/0.05: timed out while waiting for 127.0.0.1:PORT
--- no_error_log eval: $::alive



=== TEST 5: without a timeout of its own, wasm_call_read_timeout does
It is the time between two reads, so an answer that comes in drips is whole.
--- http_config eval: $::module
--- config eval: 'wasm_call_read_timeout 150ms;' . ::any('/x', timeout => 0) . ::location('/drip', {request_headers => [::http('a', path => '/drip/0.02', timeout => 0), ::pause()], http_call_response => ::answer()})
--- client eval: sub { ::get('/drip') . "\n" . ::failures('/x', qw(never never-body delay/5)) }
--- client_out
200 200 drip, drip
never: timed out while reading from 127.0.0.1:PORT
never-body: timed out while reading from 127.0.0.1:PORT
delay/5: timed out while reading from 127.0.0.1:PORT
--- no_error_log eval: $::alive



=== TEST 6: nobody listens
--- http_config eval: $::module . 'upstream block { server 127.0.0.1:$TEST_NGINX_PORT_8; }'
--- config eval
::any('/address', upstream => '127.0.0.1:$TEST_NGINX_PORT_8') . ::any('/block', upstream => 'block') . ::any('/socket', upstream => 'unix:/nowhere/there.sock')
--- client eval
sub {
    my @answers = map { ::get($_) =~ s/:$ENV{TEST_NGINX_PORT_8}\b/:PORT/r } qw(/address /block /socket);
    return rows(@answers, map { /^a: call to "(.*?)" failed/ ? $1 =~ s/:\d+$/:PORT/r : $_ } ::errors());
}
--- client_out eval: qr/\A(?:502 failed: connect\(\) to \S+ failed \(\d+: .*\)\n){3}127.0.0.1:PORT\nblock\nunix:.nowhere.there.sock\n\z/
--- no_error_log eval: $::alive



=== TEST 7: a failed call is told in a callback of its own, and others go on
--- http_config eval: $::module
--- config eval
::location('/x', {
    request_headers => [::http('bad', path => '/reset'), ::http('good', path => '/size/3'), ::http('refused', upstream => '127.0.0.1:$TEST_NGINX_PORT_8'),
        ['log', 'info', 'behind the calls'], ::pause()],
    http_call_response => [['log', 'info', ::joined({var => 'call'}, ' ', {var => 'headers'})],
        ['if', {var => 'responses'}, '3', [['local_response', 200, [], 'all']]]]})
--- client eval: sub { my $answer = ::get('/x'); my ($first, @told) = ::told(qr/^(?:behind|bad|good|refused)/); rows($answer, $first, sort @told) }
--- client_out
200 all
behind the calls
bad 0
good 3
refused 0
--- no_error_log eval: $::alive



=== TEST 8: a callback that traps costs its request, and no other call is told
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', path => '/size/1'), ::http('late', path => '/delay/0.2'), ::pause()], http_call_response => [['log', 'info', 'told'], ['abort']]})
. ::location('/y', {request_headers => [::http('a', path => '/size/1'), ::pause()], http_call_response => ::answer()})
--- client eval
sub {
    my @answers = map { (split ' ', ::get($_))[0] } qw(/x /y);
    # The late answer has come by then, to nobody.
    ::get('/y') for 1 .. 2;
    select undef, undef, undef, 0.3;
    return rows(@answers, ::get('/y'), scalar(::told(qr/^told$/)), map { s/:.*(?=trapped)/: ... /sr } ::errors());
}
--- client_out eval: qr/\A503\n200\n200 200 a\n1\na: ... trapped: .*\n\z/
--- no_error_log eval: $::alive
