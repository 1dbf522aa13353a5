# Guests' metrics: exact over all workers, kept over reloads and kills, with Envoy's statuses.

use Test::Nginx::Socket 'no_plan';
use Control;
use Scrape;

no_long_string();

# A filter that defines metrics of the three types and uses each once for a request.
our $counting = '{"configure":[["define_metric","counter","hits","c"],["define_metric","gauge","level","g"],["define_metric","histogram","size","h"],'
    . '["let_root","c",{"var":"c"}],["let_root","g",{"var":"g"}],["let_root","h",{"var":"h"}]],'
    . '"request_headers":[["increment_metric",{"var":"c"},"1"],["increment_metric",{"var":"g"},"3"],["record_metric",{"var":"h"},"7"]]}';

# Sends so many requests, eight at a time; gives how many each body was answered to.
sub flood {
    my ($path, $count) = @_;
    my %bodies;
    for (1 .. $count / 8) {
        my @sockets = map { connection() } 1 .. 8;
        print $_ "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" for @sockets;
        $bodies{body_of(receive($_))}++ for @sockets;
    }
    return \%bodies;
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

=== TEST 1: counters, gauges and histograms are exact over two workers
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval: "location /t { wasm_filter m '$::counting'; return 200 \$pid; }"
--- init
my ($sent, %pids) = 0;
main::wait_until(sub { my $more = main::flood('/t', 400); $sent += 400; $pids{$_} += $more->{$_} for keys %$more; keys %pids > 1 });
Test::More::is(scalar keys %pids, 2, 'both workers answered');
my $metrics = main::scrape();
Test::More::is($metrics->{'hits_total{module="m"}'}, $sent, 'the counter');
Test::More::is($metrics->{'level{module="m"}'}, 3 * $sent, 'the gauge');
Test::More::is($metrics->{'size_count{module="m"}'}, $sent, 'the histogram: count');
Test::More::is($metrics->{'size_sum{module="m"}'}, 7 * $sent, 'the histogram: sum');
Test::More::is($metrics->{'size_bucket{le="5.0",module="m"}'}, 0, 'the histogram: below');
Test::More::is($metrics->{'size_bucket{le="10.0",module="m"}'}, $sent, 'the histogram: above');
Test::More::is($metrics->{'size_bucket{le="+Inf",module="m"}'}, $sent, 'the histogram: all');
Test::More::is_deeply([@$metrics{'TYPE hits', 'TYPE level', 'TYPE size'}], [qw(counter gauge histogram)], 'types');
--- no_error_log
[error]
[alert]


=== TEST 2: values stay over a reload, and the numbers of metrics too
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"configure":[["log","debug","v1"],["define_metric","counter","first","a"],["define_metric","counter","one","b"],["log","info",{"join":["numbers ",{"var":"a"}," ",{"var":"b"}]}],["let_root","b",{"var":"b"}]],"request_headers":[["increment_metric",{"var":"b"},"1"]]}';
        return 200 $pid;
    }
--- init
main::flood('/a', 80);
# The master's are those of a check, which has memory of its own.
my $master = main::pid();
my $numbers = qr/ (?!$master#)\d+#\d+: \[wasm\] m: \Knumbers \d+ \d+/;
my @before = main::matches($numbers);
Test::More::is(main::scrape()->{'one_total{module="m"}'}, 80, 'before');
my %old = map { $_ => 1 } keys %{main::flood('/a', 8)};
main::reload('"v1"', '"v2"');
my $new = 0;
Test::More::ok(main::wait_until(sub { my $seen = main::flood('/a', 8); $new += $seen->{$_} for keys %$seen; !grep { $old{$_} } keys %$seen }), 'new workers');
Test::More::is(main::scrape()->{'one_total{module="m"}'}, 88 + $new, 'after');
my @all = main::matches($numbers);
Test::More::is(@before . ' ' . @all, '2 4', 'defined once in each worker');
my %distinct = map { $_ => 1 } @all;
Test::More::is(scalar keys %distinct, 1, 'the same numbers everywhere');
--- no_error_log
[error]
[alert]


=== TEST 3: what a worker counted that is killed stays; its instances and memory do not
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval: "location /t { wasm_filter m '$::counting'; return 200 \$pid; }"
--- init
my $pids = main::flood('/t', 160);
my $before = main::scrape();
my $victim = (keys %$pids)[0];
kill KILL => $victim;
main::wait_until(sub { !kill 0 => $victim });
Test::More::ok(main::wait_until(sub { main::scrape()->{'nginx_wasm_instance_starts_total{module="m"}'} == 3 }), 'a new worker');
my $metrics = main::scrape();
Test::More::is($metrics->{'hits_total{module="m"}'}, 160, 'the counter');
Test::More::is($metrics->{'size_count{module="m"}'}, 160, 'the histogram');
Test::More::is($metrics->{'nginx_wasm_instances{module="m"}'}, 2, 'instances');
Test::More::is($metrics->{'nginx_wasm_memory_bytes{module="m"}'}, $before->{'nginx_wasm_memory_bytes{module="m"}'}, 'memory');
main::flood('/t', 80);
Test::More::is(main::scrape()->{'hits_total{module="m"}'}, 240, 'they count on');


=== TEST 4: the configuration's check counts nothing
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"configure":[["define_metric","counter","configured","c"],["increment_metric",{"var":"c"},"1"],["get_metric",{"var":"c"},"v"],["log","warn",{"join":["value ",{"var":"v"}]}]]}'; return 204; }
--- init
main::wait_for(qr/ value 1/, 2);
Test::More::is(scalar main::matches(qr/\[wasm\] m: value 1/), 2, 'in the check and in the worker alike');
Test::More::is(main::scrape()->{'configured_total{module="m"}'}, 1, 'counted once');
--- no_error_log
[error]
[alert]


=== TEST 5: statuses, as in Envoy where the ABI says nothing
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[
            ["define_metric","counter","c","c"],["define_metric","gauge","g","g"],["define_metric","histogram","h","h"],
            ["define_metric","counter","c","again"],["if",{"var":"c"},{"var":"again"},[["log","info","same number"]]],
            ["define_metric","gauge","c","x"],["define_metric","counter","g","x"],["define_metric","counter","h","x"],
            ["define_metric",3,"unknown type","x"],["define_metric",4294967295,"unknown type","x"],["define_metric","counter","","x"],
            ["increment_metric",{"var":"c"},"5"],["increment_metric",{"var":"c"},"0"],["increment_metric",{"var":"c"},"-1"],
            ["record_metric",{"var":"c"},"2"],["get_metric",{"var":"c"},"v"],["log","info",{"join":["counter ",{"var":"v"}]}],
            ["record_metric",{"var":"g"},"10"],["increment_metric",{"var":"g"},"-3"],["increment_metric",{"var":"g"},"0"],["get_metric",{"var":"g"},"v"],["log","info",{"join":["gauge ",{"var":"v"}]}],
            ["increment_metric",{"var":"g"},"-9"],
            ["record_metric",{"var":"h"},"1"],["increment_metric",{"var":"h"},"1"],["get_metric",{"var":"h"},"v"],
            ["increment_metric","0","1"],["record_metric","0","1"],["get_metric","0","v"],
            ["increment_metric","4294967295","1"],["record_metric","4294967295","1"],["get_metric","4294967295","v"],
            ["increment_metric","1000","1"],["record_metric","2147483648","1"],["get_metric","1000","v"]
        ]}';
        return 204;
    }
--- init
main::get('/t');
main::wait_for(qr/metric 1000: status 1/, 2);
# The guest's own metrics have numbers that depend on what the host counts.
my @lines = map { s/metric [1-9]\d?:/metric N:/r } main::matches(qr/\[wasm\] m: \K(?!conf)[^,\n]*/);
Test::More::is(join("\n", @lines), join("\n",
    'same number',
    ('define_metric unknown type: status 2') x 2, 'define_metric : status 2',
    ('increment_metric N: status 2') x 2, 'counter 7',
    'gauge 7',
    'increment_metric N: status 2', 'get_metric N: status 2',
    'increment_metric 0: status 1', 'record_metric 0: status 1', 'get_metric 0: status 1',
    'increment_metric 4294967295: status 1', 'record_metric 4294967295: status 1', 'get_metric 4294967295: status 1',
    'increment_metric 1000: status 1', 'record_metric 2147483648: status 1', 'get_metric 1000: status 1',
), 'statuses');
my $metrics = main::scrape();
Test::More::is($metrics->{'c_total{module="m"}'}, 7, 'a record adds to a counter');
Test::More::is($metrics->{'g{module="m"}'}, -2, 'a gauge below zero');
Test::More::is($metrics->{'h_count{module="m"}'}, 1, 'a histogram');
--- no_error_log
[error]
[alert]


=== TEST 6: modules have metrics of their own, and cannot touch another's or the host's
--- http_config
    wasm_module one $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module two $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /one { wasm_filter one '{"request_headers":[["define_metric","counter","shared","c"],["increment_metric",{"var":"c"},1],["log","info",{"join":["number ",{"var":"c"}]}]]}'; return 204; }
    location /two { wasm_filter two '{"request_headers":[["define_metric","gauge","shared","g"],["record_metric",{"var":"g"},5],
        ["record_metric",{"header":["request","x-metric"]},99],["get_metric",{"header":["request","x-metric"]},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]}'; return 204; }
--- init
main::get('/one');
my ($number) = map { /(\d+)/ } main::wait_for(qr/number \d+/);
# All that there are, but two's own, are the other module's or the host's.
my $before = main::scrape();
for my $other (grep { $_ != $number + 1 } 0 .. $number) {
    main::get('/two', "x-metric: $other\r\n");
    main::wait_for(qr/get_metric $other: status 1/);
}
Test::More::is(scalar main::matches(qr/ record_metric \d+: status 1/), $number + 1, 'all refused');
Test::More::is(scalar main::matches(qr/ got status 1/), $number + 1, 'not read either');
my $metrics = main::scrape();
Test::More::is($metrics->{'shared_total{module="one"}'}, 1, 'the counter of one');
Test::More::is($metrics->{'shared_gauge{module="two"}'}, 5, 'the gauge of two, of another name as it is of another type');
Test::More::is($metrics->{'nginx_wasm_instance_starts_total{module="one"}'}, 1, 'the host counts for itself');
--- no_error_log
[error]
[alert]


=== TEST 7: a full zone refuses new metrics, and keeps those it has; the host has room left
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
    wasm_metrics_zone zone=small:32k;
--- config
    location /t {
        wasm_filter m '{"configure":[["define_metric","counter","first","c"],["let_root","c",{"var":"c"}]],
            "request_headers":[["let","i","0"],["repeat",1000,[["let","i",{"add":[{"var":"i"},1]}],["define_metric","counter",{"join":["metric_",{"var":"i"}]},"m"]]],
                ["increment_metric",{"var":"c"},1]]}';
        return 204;
    }
    location /late { wasm_filter m '{"request_headers":[["if_path","/late?trap",[["abort"]]]],"response_headers":[["log","info","late"]]}'; return 204; }
--- init
main::get('/t') for 1, 2;
my $metrics = main::scrape();
my $kept = grep { /\Ametric_\d+_total/ } keys %$metrics;
Test::More::cmp_ok($kept, '>', 100, 'many fit');
Test::More::is(scalar main::matches(qr/define_metric metric_\d+: status 10/), 2 * (1000 - $kept), 'the rest is refused');
Test::More::is($metrics->{'first_total{module="m"}'}, 2, 'an early one goes on');
main::get('/late?trap');
Test::More::is(main::scrape()->{'nginx_wasm_traps_total{module="m",reason="unreachable"}'}, 1, 'the host counts something new');
Test::More::cmp_ok($metrics->{'nginx_wasm_zone_used_bytes{zone="small"}'}, '>', 20000, 'the zone is in use');
Test::More::is($metrics->{'nginx_wasm_zone_size_bytes{zone="small"}'}, 32768, 'its size');
--- no_error_log
[alert]
[crit]


=== TEST 8: two processes define the same metrics at the same time: each is there once
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["let","i","0"],["repeat",50,[["let","i",{"add":[{"var":"i"},1]}],
            ["define_metric","counter",{"join":[{"property":["request","path"]},{"var":"i"}]},"m"],["increment_metric",{"var":"m"},1]]]]}';
        return 200 $pid;
    }
--- init
main::flood("/t$_", 16) for 'a' .. 'f';
my $metrics = main::scrape();
my @counters = grep { /\A_t[a-f]\d+_total/ } keys %$metrics;
Test::More::is(scalar @counters, 6 * 50, 'all are there');
Test::More::is(scalar(grep { $metrics->{$_} != 16 } @counters), 0, 'with all counts');
--- no_error_log
[error]
[alert]


=== TEST 9: workers killed while they define and count leave nothing half done
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_metrics_zone zone=metrics:4m;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["let","i","0"],["repeat",300,[["let","i",{"add":[{"var":"i"},1]}],
            ["define_metric","counter",{"join":[{"property":["request","path"]},".",{"var":"i"}]},"m"],["increment_metric",{"var":"m"},1]]]]}';
        return 200 $pid;
    }
--- init
my ($pid) = keys %{main::flood('/t', 8)};
for my $round (1 .. 12) {
    my @sockets = map { main::connection() } 1 .. 4;
    print $_ "GET /t/$round HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" for @sockets;
    # In the midst of it, by chance.
    Time::HiRes::sleep(0.0005 * $round);
    kill KILL => $pid;
    main::receive($_) for @sockets;
    main::wait_until(sub { my $new = eval { (keys %{main::flood('/t', 8)})[0] }; $new && $new =~ /\A\d+\z/ && ($pid = $new) });
}
main::flood("/t/$_", 8) for 1 .. 12;
my $metrics = main::scrape();
my @counters = grep { /\A_t_\d+_\d+_total/ } keys %$metrics;
Test::More::is(scalar @counters, 12 * 300, 'every metric is there, once');
Test::More::is_deeply([grep { $metrics->{$_} < 8 || $metrics->{$_} > 12 } @counters], [], 'with what was counted');
Test::More::is($metrics->{'nginx_wasm_instances{module="m"}'}, 2, 'two instances');
