# What guests' calls may have of worker_connections (wasm_call_connections), and what each module is sure of; what they may write to the log (log_rate=).

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;
use IO::Socket::INET;

sub text { CORE::join '', map { sprintf '\\%02x', ord } split //, $_[0] }

sub map_of {
    my @pairs = @_;
    my $head = pack 'V', @pairs / 2;
    my $rest = '';
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $head .= pack 'VV', CORE::length $name, CORE::length $value;
        $rest .= "$name\0$value\0";
    }
    return $head . $rest;
}

# Each request makes so many calls to these upstreams by turns; each answer is a line. With `again`, each answer makes a call.
sub calling {
    my ($count, $timeout, $upstreams, $again) = @_;
    my $request = map_of(':method', 'GET', ':path', '/t', ':authority', 'a');
    my $size = CORE::length $request;
    my $calls = CORE::join "\n", map {
        my $at = 1024 + 64 * $_;
        "(drop (call \$proxy_http_call (i32.const $at) (i32.const @{[CORE::length $upstreams->[$_]]}) (i32.const 64) (i32.const $size) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const $timeout) (i32.const 300)))"
    } 0 .. $#$upstreams;
    my $data = CORE::join "\n", map { "(data (i32.const @{[1024 + 64 * $_]}) \"$upstreams->[$_]\")" } 0 .. $#$upstreams;
    return guest(
        imports => ['proxy_log', 'proxy_http_call'],
        request_headers => "(call \$calls (i32.const $count)) (i32.const 0)",
        http_call_response => '(drop (call $proxy_log (i32.const 2) (i32.const 16) (i32.const 4))) ' . ($again ? '(call $calls (i32.const 1))' : ''),
        fields => "(data (i32.const 16) \"told\") (data (i32.const 64) \"@{[text($request)]}\") $data
            (func \$calls (param \$i i32) (loop \$on $calls (br_if \$on (local.tee \$i (i32.sub (local.get \$i) (i32.const 1))))))",
    );
}

our ($own, $hole) = map { "127.0.0.1:$_" } $ENV{TEST_NGINX_SERVER_PORT}, $ENV{TEST_NGINX_PORT_9};
our @servers = map { "127.0.0.1:$ENV{\"TEST_NGINX_PORT_$_\"}" } 1 .. 6;

# A server that takes connections and never answers.
our $listener;
sub listen_for_ever {
    # Blocks run in any order: the other's may still be open.
    ($listener, @::taken) = ();
    $listener = IO::Socket::INET->new(Listen => 1024, LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_9}, ReuseAddr => 1) or die "listen: $!";
}

# How many connections have come to it.
our @taken;
sub taken {
    $listener->blocking(0);
    while (my $c = $listener->accept) { push @taken, $c }
    return scalar @taken;
}

sub told { scalar(() = matches(qr/\[wasm\] $_[0]: told/)) }

no_long_string();
run_tests();

__DATA__

=== TEST 1: calls that nobody answers leave room for clients, and for the calls of another module
--- http_config
wasm_call_connections 8;
wasm_module hog ../html/hog.wat;
wasm_module other ../html/other.wat;
--- config
location /hog { wasm_filter hog; return 200 hog; }
location /other { wasm_filter other; return 200 other; }
--- user_files eval
">>> hog.wat\n" . main::calling(300, 60000, [$::hole]) . "\n>>> other.wat\n" . main::calling(3, 60000, [$::own])
--- init
main::listen_for_ever();
Test::More::is(main::body_of(main::get('/hog')), 'hog', 'a guest makes 300 calls');
Test::More::ok(main::wait_until(sub { main::taken() >= 6 }), 'some of them have connections');
Test::More::is(main::body_of(main::get('/other')), 'other', 'a client is served');
Test::More::ok(main::wait_until(sub { main::told('other') == 3 }), 'so are the calls of another module');
Test::More::is(main::taken(), 6, 'the first one has what is not for others');
@::taken = ();
close $::listener;
Test::More::ok(main::wait_until(sub { main::told('hog') == 300 }), 'the others had waited in line');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|trapped/



=== TEST 2: a call that waits for a connection waits no longer than for anything else
--- http_config
wasm_call_connections 4;
wasm_module short ../html/short.wat;
wasm_module long ../html/long.wat;
--- config
location /short { wasm_filter short; return 200 short; }
location /long { wasm_call_connect_timeout 300ms; wasm_filter long; return 200 long; }
--- user_files eval
">>> short.wat\n" . main::calling(20, 300, [$::hole]) . "\n>>> long.wat\n" . main::calling(20, 0, [$::hole])
--- init
@::taken = ();
main::listen_for_ever();
main::get('/short');
Test::More::ok(main::wait_until(sub { main::told('short') == 20 }), 'its own time');
Test::More::like((main::matches(qr/short: call to .*/))[-1], qr/timed out while waiting for $::hole/, 'the line');
main::get('/long');
Test::More::ok(main::wait_until(sub { main::told('long') >= 16 }), 'the time to connect');
Test::More::like((main::matches(qr/long: call to .*/))[0], qr/failed: no connection to $::hole: the worker has none for more calls \(wasm_call_connections\)/, 'the line');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|trapped/



=== TEST 3: calls are answered one behind the other; idle connections that are kept make room
--- http_config eval
"wasm_call_connections 2; wasm_module m ../html/m.wat;" . CORE::join '', map { "server { listen $_; location / { return 200 ok; } }" } @::servers
--- config
location /m { wasm_filter m; return 200 m; }
location = /stub { stub_status; }
--- user_files eval
">>> m.wat\n" . main::calling(20, 0, \@::servers)
--- init
main::get('/m');
Test::More::ok(main::wait_until(sub { main::told('m') == 120 }), 'all are answered');
Test::More::ok(main::wait_until(sub { (main::body_of(main::get('/stub')) =~ /Active connections: (\d+)/)[0] <= 3 }), 'two are kept at most');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|\[error\]|panicked|trapped/



=== TEST 4: calls that fail, again and again, write no more lines than the guest may
--- http_config eval
"upstream two { server 127.0.0.1:1; server 127.0.0.1:2; } wasm_module m ../html/m.wat log_rate=10; wasm_module n ../html/n.wat log_rate=10;"
--- config
location /m { wasm_filter m; return 200 m; }
location /n { wasm_filter n; return 200 n; }
--- user_files eval
">>> m.wat\n" . main::calling(50, 0, ['two', '127.0.0.1:1']) . "\n>>> n.wat\n" . main::calling(20, 0, ['two'], 1)
--- init
my $lines = sub { scalar(() = main::matches(qr/\[wasm\] (?:m|connect|no live)/)) };
main::get('/m');
my @sum = main::wait_for(qr/m: \d+ lines? not written, over log_rate=10/);
Test::More::is(scalar @sum, 1, 'what is over the rate is summed up');
Test::More::cmp_ok($lines->(), '<=', 40, 'few lines');
main::get('/n');
Test::More::ok(scalar main::wait_for(qr/n: \d{3,} lines not written/), 'so it is where each failed call makes another one');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|trapped/
