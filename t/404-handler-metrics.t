# Metrics of plugins that answer requests.

use Test::Nginx::Socket 'no_plan';
use Control;
use Scrape;

no_long_string();
worker_connections(2048);

sub manifest {
    my ($name, $more) = @_;
    return ">>> $name.json\n{\"wasm\":[{\"path\":\"$ENV{TEST_NGINX_FILTERS}/extism_test.wasm\"}],$more}\n";
}

# What a series of the module "m" has; "none" where there is no such series.
sub of {
    my ($metrics, $name, $labels) = @_;
    return $metrics->{"nginx_wasm_$name\{" . CORE::join(',', sort 'module="m"', $labels // ()) . '}'} // 'none';
}

# Sends it, whatever the answer is.
sub posted {
    my ($path, $body) = (@_, '');
    my $socket = connection();
    print $socket "POST $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    return receive($socket);
}

# The traps of "m", by their reasons.
sub traps {
    my $metrics = scrape();
    return { map { /^nginx_wasm_traps_total\{module="m",reason="(\w+)"\}$/ ? ($1 => $metrics->{$_} + 0) : () } keys %$metrics };
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(request => 'GET /end') unless defined $block->request;
    $block->set_value(error_code => 204) unless defined $block->error_code;
    my $config = $block->config;
    $block->set_value(config => "$config\n location /metrics { wasm_metrics; }\n location /end { return 204; }") if defined $config;
});

run_tests();

__DATA__

=== TEST 1: instances, memory, starts and calls of an Extism plugin and of a waPC guest
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/extism_test.wasm;
    wasm_module w $TEST_NGINX_FILTERS/wapc_test.wasm;
--- config
    location ~ ^/m/(\w+)$ { wasm_handler m function=$1; }
    location ~ ^/w/(\w+)$ { wasm_handler w function=$1; }
--- init
for my $name ('m', 'w') {
    my $of = sub { main::scrape()->{"nginx_wasm_$_[0]\{module=\"$name\"" . ($_[1] // '') . '}'} // 'none' };
    main::posted("/$name/count") for 1 .. 3;
    Test::More::is($of->('instances'), 1, "$name: an instance");
    Test::More::is($of->('instance_starts_total'), 1, "$name: which has started");
    Test::More::is($of->('instance_start_failures_total'), 0, "$name: and has not failed");
    Test::More::is($of->('callback_duration_seconds_count', ',phase="call"'), 3, "$name: calls");
    Test::More::cmp_ok($of->('callback_duration_seconds_sum', ',phase="call"'), '>', 0, "$name: they take time");
    my $memory = $of->('memory_bytes');
    Test::More::cmp_ok($memory, '>=', 65536, "$name: memory");
    main::posted("/$name/echo", 'x' x 800_000);
    Test::More::cmp_ok($of->('memory_bytes'), '>=', $memory + 800_000, "$name: memory grows");
    main::posted("/$name/" . ($name eq 'm' ? 'traps' : 'panic'));
    Test::More::is($of->('traps_total', ',reason="unreachable"'), 1, "$name: a trap");
    Test::More::is($of->($_), 0, "$name: $_ behind it") for qw(instances memory_bytes);
    main::posted("/$name/count");
    Test::More::is($of->('instances'), 1, "$name: another instance");
    Test::More::is($of->('instance_starts_total'), 2, "$name: another start");
}
--- no_error_log eval: qr/\[alert\]|\[crit\]|panicked/



=== TEST 2: reasons of traps of an Extism plugin, behind an error too
--- http_config
    wasm_module m ../html/m.json cpu_time=50ms stack=64k;
    wasm_module n ../html/n.json;
--- config
    location ~ ^/m/(\w+)$ { wasm_handler m function=$1; }
    location ~ ^/n/(\w+)$ { wasm_handler n function=$1; }
--- user_files eval
main::manifest(m => '"memory":{"max_pages":64}') . main::manifest(n => '"timeout_ms":50')
--- init
main::posted($_) for '/m/error_then_trap', '/m/traps', '/m/loops', '/m/recurses', '/n/loops';
main::posted('/m/eat_kernel', '64');
main::posted('/m/eat', '64');
main::posted('/m/http_request', '{"url":"http://127.0.0.1/"}');
# These are no traps: the instance goes on.
main::posted($_) for '/m/error_zero', '/m/code_seven', '/m/nothing_of_this_name';
Test::More::is_deeply(main::traps(), {unreachable => 2, cpu_limit => 1, stack_overflow => 1, memory_limit => 2, refused => 1}, 'by reasons');
Test::More::is(main::scrape()->{'nginx_wasm_traps_total{module="n",reason="timeout"}'}, 1, 'timeout_ms');
Test::More::is(main::scrape()->{'nginx_wasm_instances{module="m"}'}, 1, 'one goes on');
--- no_error_log eval: qr/\[alert\]|\[crit\]|panicked/



=== TEST 3: with an instance for each request, one start; what is there counts
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/extism_test.wasm isolation=request;
--- config
    location ~ ^/m/(\w+)$ { wasm_handler m function=$1; }
--- init
main::posted('/m/count') for 1 .. 5;
main::posted('/m/traps') for 1 .. 2;
my $metrics = main::scrape();
Test::More::is(main::of($metrics, 'instance_starts_total'), 1, 'starts');
Test::More::is(main::of($metrics, 'instances'), 0, 'none is left behind a trap');
Test::More::is(main::of($metrics, 'traps_total', 'reason="unreachable"'), 2, 'traps');
Test::More::is(main::of($metrics, 'callback_duration_seconds_count', 'phase="call"'), 7, 'calls');
main::posted('/m/count');
Test::More::is(main::of(main::scrape(), 'instances'), 1, 'an instance waits for the next request');
--- no_error_log eval: qr/\[alert\]|\[crit\]|panicked/



=== TEST 4: outbound requests, by what came of them
--- http_config eval
qq{wasm_module m $ENV{TEST_NGINX_FILTERS}/extism_pdk_test.wasm allowed_hosts=127.0.0.1;}
--- config
    location /fetch { wasm_handler m function=fetch; }
    location /inner { return 404; }
--- init
main::posted('/fetch', "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/inner") for 1 .. 2;
main::posted('/fetch', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/");
my $metrics = main::scrape();
my %calls = map { /^nginx_wasm_calls_total\{(.*)\}$/ ? ($1 => $metrics->{$_} + 0) : () } keys %$metrics;
Test::More::is_deeply(\%calls, {'module="m",outcome="ok",type="http"' => 2, 'module="m",outcome="connect",type="http"' => 1}, 'calls');
--- no_error_log eval: qr/\[alert\]|\[crit\]|panicked/



=== TEST 5: instances that nobody uses stay as long as as many are in use; else 64 of them
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/extism_pdk_test.wasm allowed_hosts=127.0.0.1;
--- config
    location /fetch { wasm_handler m function=fetch; }
--- init
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_1}, Listen => 1000, ReuseAddr => 1) || die "cannot listen: $!";
my $url = "http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/";
my @clients = map { my $client = main::connection(); print $client "POST /fetch HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " . length($url) . "\r\n\r\n$url"; $client } 1 .. 250;
my @calls = map { scalar $server->accept } @clients;
my $of = sub { main::of(main::scrape(), 'instances') };
Test::More::is($of->(), 250, 'one for each call');
for my $call (splice @calls, 0, 100) {
    print $call "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    close $call;
}
# Which client has which call is not known here.
my $answered = 0;
my %waiting = map { fileno($_) => $_ } @clients;
main::wait_until(sub {
    my $bits = '';
    vec($bits, $_, 1) = 1 for keys %waiting;
    select(my $ready = $bits, undef, undef, 0.1);
    for my $number (grep { vec($ready, $_, 1) } keys %waiting) {
        $answered++ if main::receive(delete $waiting{$number}) =~ /200: ok/;
    }
    return $answered >= 100;
});
Test::More::is($answered, 100, 'some have their answers');
Test::More::is($of->(), 250, 'their instances stay');
%waiting = @clients = ();
main::wait_until(sub { $of->() == 64 });
Test::More::is($of->(), 64, 'when all have left, fewer do');
--- no_error_log eval: qr/\[alert\]|\[crit\]|panicked/
