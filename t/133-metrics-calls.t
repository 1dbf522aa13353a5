# Outbound calls in the metrics: by module, type and outcome.

use Test::Nginx::Socket 'no_plan';
use Calls ();
use Control;
use Scrape;
use Servers;

no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1}, tls => $ENV{TEST_NGINX_PORT_3});
our $grpc = Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_2});
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';

# Locations that make one call each and answer with what came of it.
sub http_locations {
    my %calls = @_;
    return join '', map { Calls::location("/$_", {
        request_headers => [Calls::http('a', @{$calls{$_}}), Calls::pause()], http_call_response => Calls::answer(),
    }) } sort keys %calls;
}

sub grpc_locations {
    my %calls = @_;
    my $up = '127.0.0.1:$TEST_NGINX_PORT_2';
    return join '', map { Calls::location("/$_", {
        request_headers => [Calls::grpc('a', @{$calls{$_}}{qw(method message)}, upstream => $calls{$_}{upstream} // $up, timeout => $calls{$_}{timeout} // 5000), Calls::pause()],
        grpc_close => [['local_response', 200, [], 'closed']],
    }) } sort keys %calls;
}

# The calls of module a in a scrape, "type outcome" => number.
sub calls {
    my $metrics = scrape();
    return { map { /\Anginx_wasm_calls_total\{module="a",outcome="(.*)",type="(.*)"\}\z/ ? ("$2 $1" => $metrics->{$_}) : () } keys %$metrics };
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(request => 'GET /end');
    $block->set_value(error_code => 204);
    $block->set_value(config => $block->config . "\n location /metrics { wasm_metrics; }\n location /end { return 204; }");
});

run_tests();

__DATA__

=== TEST 1: HTTP calls by outcome
--- http_config eval: "$::module wasm_call_buffer_size 4k; upstream down { server 127.0.0.1:1 down; }"
--- config eval
main::http_locations(
    ok => [path => '/echo'], error => [path => '/status/500'], connect => [upstream => '127.0.0.1:1'], reset => [path => '/reset'],
    closed => [path => '/truncated'], timeout => [path => '/never', timeout => 50], malformed => [path => '/garbage'],
    large => [path => '/size/5000'], dns => [upstream => 'up.example:80'], down => [upstream => 'down'],
    head => [path => '/huge-head/100000'],
    tls => [upstream => "127.0.0.1:$ENV{TEST_NGINX_PORT_3}", all => [[':scheme', 'https'], [':method', 'GET'], [':path', '/'], [':authority', 'up.example']]],
)
--- init
my %outcomes = (ok => 'ok', error => 'ok', connect => 'connect', reset => 'reset', closed => 'reset', timeout => 'timeout',
    malformed => 'malformed', large => 'too_large', dns => 'dns', head => 'too_large', down => 'no_live_upstream', tls => 'tls');
my %expected;
for my $path (sort keys %outcomes) {
    my $answer = main::body_of(main::get("/$path"));
    $expected{"http $outcomes{$path}"}++;
    my $failed = $outcomes{$path} ne 'ok';
    $failed ? Test::More::like($answer, qr/\Afailed: /, "$path fails") : Test::More::unlike($answer, qr/\Afailed: /, "$path does not fail");
    Test::More::is_deeply(main::calls(), \%expected, "$path: $answer") or last;
}
main::get('/ok') for 1 .. 3;
Test::More::is(main::calls()->{'http ok'}, 5, 'they add up');
--- no_error_log
[alert]
[emerg]


=== TEST 2: a client that leaves cancels its call
--- http_config eval: $::module
--- config eval: main::http_locations(never => [path => '/never', timeout => 30000])
--- init
my $client = main::connection();
print $client "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n";
Test::More::ok(main::wait_until(sub { main::scrape()->{'nginx_wasm_callback_duration_seconds_count{module="a",phase="request_headers"}'} }), 'the call is made');
Test::More::is_deeply(main::calls(), {}, 'it goes on');
close $client;
Test::More::ok(main::wait_until(sub { (main::calls()->{'http cancelled'} // 0) == 1 }), 'cancelled');
--- no_error_log
[alert]
[emerg]


=== TEST 3: gRPC calls by status
--- http_config eval: $::module
--- config eval
main::grpc_locations(
    ok => {method => 'Unary', message => 'x'}, missing => {method => 'NoSuchMethod', message => 'x'}, five => {method => 'Status', message => '5 not there'},
    down => {method => 'Unary', message => 'x', upstream => '127.0.0.1:1'}, late => {method => 'Delay', message => '5', timeout => 50},
) . Calls::location('/cancel', {request_headers => [Calls::stream('s', 'Chat', upstream => '127.0.0.1:$TEST_NGINX_PORT_2'), ['grpc_cancel', 's']]})
--- init
my %outcomes = (ok => 'ok', missing => 'unimplemented', five => 'not_found', down => 'unavailable', late => 'deadline_exceeded', cancel => 'cancelled');
my %expected;
for my $path (sort keys %outcomes) {
    main::get("/$path");
    $expected{"grpc $outcomes{$path}"}++;
    Test::More::is_deeply(main::calls(), \%expected, $path);
}
--- no_error_log
[alert]
[emerg]
