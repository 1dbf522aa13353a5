# The page of metrics: formats, names, and what the host counts itself.

use POSIX ();
use Test::Nginx::Socket 'no_plan';
use Control;
use Scrape;

no_long_string();

# A filter's configuration that defines metrics, [type, name as bytes], and uses each once.
sub defining {
    my @operations;
    for (@_) {
        my ($type, $name) = @$_;
        my $use = $type eq 'histogram' ? 'record_metric' : 'increment_metric';
        push @operations, sprintf '["define_metric","%s",{"hex":"%s"},"m"],["%s",{"var":"m"},1]', $type, unpack('H*', $name), $use;
    }
    return '{"request_headers":[' . join(',', @operations) . ']}';
}

# A guest that traps in each request so.
sub trapping {
    my ($body, $imports) = @_;
    return sprintf '(module %s (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func $f (result i32) (call $f))'
        . ' (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) %s))', $imports // '', $body;
}

# The guests' part of a scrape: no host's families.
sub guests {
    my $metrics = shift;
    return { map { $_ => $metrics->{$_} } grep { !/\A(?:TYPE )?nginx_wasm_(?!traps_counter)/ } keys %$metrics };
}

add_block_preprocessor(sub {
    my $block = shift;
    return unless defined $block->config;
    $block->set_value(request => 'GET /end') unless defined $block->request;
    $block->set_value(error_code => 204) unless defined $block->error_code;
    $block->set_value(config => $block->config . "\n location /metrics { wasm_metrics; }\n location /end { return 204; }");
});

run_tests();

__DATA__

=== TEST 1: names of Envoy's filters: dots become underscores, Istio's tags labels
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- user_files eval
[['m.json', main::defining(
    [counter => 'wasmcustom.requests_total'],
    [counter => 'envoy.cluster.up-stream:x.rq_2xx'],
    [gauge => '5xx.now'],
    [counter => 'istiocustom.reporter=.=source;.;source_workload=.=a b.c;.;response_code=.=200;.;empty=.=;.;istio_requests_total'],
    [counter => 'istiocustom.reporter=.=destination;.;source_workload=.=unknown;.;response_code=.=503;.;empty=.=;.;istio_requests_total'],
    [histogram => 'reporter=.=source;.;istio_request_duration_milliseconds'],
    [counter => 'module=.=x;.;le=.=y;.;metric=.=z;.;__name__=.=n;.;1a=.=b;.;twice=.=1;.;twice=.=2;.;tagged'],
    [counter => 'only=.=tags;.;'],
)]]
--- config
    location /t { return 204; wasm_filter m @../html/m.json; }
--- init
main::get('/t');
my $metrics = main::guests(main::scrape());
Test::More::is_deeply([sort grep { !/_bucket/ } keys %$metrics], [sort
    'TYPE wasmcustom_requests', 'wasmcustom_requests_total{module="m"}',
    'TYPE envoy_cluster_up_stream_x_rq_2xx', 'envoy_cluster_up_stream_x_rq_2xx_total{module="m"}',
    'TYPE _5xx_now', '_5xx_now{module="m"}',
    'TYPE istiocustom_istio_requests',
    'istiocustom_istio_requests_total{module="m",reporter="source",response_code="200",source_workload="a b.c"}',
    'istiocustom_istio_requests_total{module="m",reporter="destination",response_code="503",source_workload="unknown"}',
    'TYPE istio_request_duration_milliseconds',
    'istio_request_duration_milliseconds_sum{module="m",reporter="source"}',
    'istio_request_duration_milliseconds_count{module="m",reporter="source"}',
    'TYPE tagged', 'tagged_total{_1a="b",exported___name__="n",exported_le="y",exported_metric="z",exported_module="x",module="m",twice="1"}',
    'TYPE only___tags___', 'only___tags____total{module="m"}',
], 'names and labels');
Test::More::is_deeply([grep { $metrics->{$_} != 1 } grep { !/TYPE|_bucket/ } keys %$metrics], [], 'values');
Test::More::like(main::get('/metrics'), qr/^wasmcustom_requests_total\{module="m"\} 1\nenvoy|^envoy_cluster_up_stream_x_rq_2xx\{module="m"\} 1$/m, 'the text format has names as they are');
--- no_error_log
[error]
[alert]


=== TEST 2: bytes of any kind in names and tags come out valid
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- user_files eval
[['m.json', main::defining(
    [counter => "line\nfeed"], [counter => "nul\0byte"], [counter => "\xff\xfe"], [counter => "quote\"back\\slash"], [counter => "\r\t\x1b"],
    [counter => "z\xc3\xa4hler"], [counter => '...'], [counter => ' '], [counter => '{a="b"}'], [counter => '# EOF'],
    [gauge => "path=.=/a\"b\\c\nd\0\r\xff\xe2\x82\xac;.;tag"],
)]]
--- config
    location /t { return 204; wasm_filter m @../html/m.json; }
--- init
main::get('/t');
my $metrics = main::guests(main::scrape());
Test::More::is_deeply([sort grep { /TYPE/ } keys %$metrics], [sort map { "TYPE $_" }
    'line_feed', 'nul_byte', '__', 'quote_back_slash', '___', 'z__hler', '_', '_a__b__', '__EOF', 'tag'], 'families');
my @clashing = sort grep { /\A___total/ } keys %$metrics;
Test::More::is_deeply(\@clashing, ['___total{module="m"}'], 'two bytes');
Test::More::is_deeply([sort grep { /\A____total/ } keys %$metrics], ['____total{metric="...",module="m"}', '____total{module="m"}'], 'three bytes, twice');
my ($page) = main::body_of(main::get('/metrics')) =~ /^(tag\{.*)$/m;
Test::More::is($page, "tag{module=\"m\",path=\"/a\\\"b\\\\c\\nd\0\r\xef\xbf\xbd\xe2\x82\xac\"} 1", 'an escaped value');
--- no_error_log
[error]
[alert]


=== TEST 3: names that come out the same are told apart
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module n $TEST_NGINX_FILTERS/hostcalls.wasm;
--- user_files eval
[['m.json', main::defining(
    [counter => 'a.b'], [counter => 'a_b'], [counter => 'a-b'], [counter => "a\xffb"], [counter => "a\xfeb"], [counter => 'a\b'], [counter => 'a_b_total'],
    [gauge => 'a:b'], [histogram => 'h'], [gauge => 'h.sum'], [gauge => 'h.count'], [gauge => 'c.total'], [counter => 'c'], [gauge => 'c_created'],
    [counter => 'nginx_wasm_traps_total'], [counter => 't=.=1;.;x'], [counter => 'x.t=.=1;.;'],
)],
 ['n.json', main::defining([counter => 'a.b'], [histogram => 'a-b'], [gauge => 'h'])]]
--- config
    location /t { return 204; wasm_filter m @../html/m.json; wasm_filter n @../html/n.json; }
--- init
main::get('/t');
my $metrics = main::guests(main::scrape());
Test::More::is_deeply([sort grep { /\Aa_b_total/ } keys %$metrics], [sort 'a_b_total{module="n"}', 'a_b_total{module="m"}',
    map { "a_b_total{metric=\"$_\",module=\"m\"}" } 'a_b', 'a-b', 'a\\\\xffb', 'a\\\\xfeb', 'a\\\\\\\\b', 'a_b_total'], 'counters');
Test::More::is($metrics->{'a_b_gauge{module="m"}'}, 1, 'a gauge beside the counters');
Test::More::is($metrics->{'a_b_histogram_count{module="n"}'}, 1, 'and a histogram');
Test::More::is($metrics->{'h_sum_gauge{module="m"}'}, 1, 'a name that the histogram has');
Test::More::is($metrics->{'h_gauge{module="n"}'}, 1, 'the histogram as a gauge');
Test::More::is($metrics->{'nginx_wasm_traps_counter_total{module="m"}'}, 1, 'a name of the host');
Test::More::is(scalar(grep { !/TYPE|_bucket/ } keys %$metrics), 22, 'all are there');
--- no_error_log
[error]
[alert]


=== TEST 4: a thousand names made of what is special in them
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module n $TEST_NGINX_FILTERS/hostcalls.wasm;
--- user_files eval
srand(4);
my @pieces = ('.', '=.=', ';.;', 'a', 'b', '1', '"', '\\', "\n", "\xff", "\xc3\xa4", '_total', '_bucket', '_sum', '_count', '_created', 'le', 'module', '__', ' ', '{', '}', ',', '=');
sub random_names { map { [(qw(counter gauge histogram))[rand 3], CORE::join('', map { $pieces[rand @pieces] } 1 .. 1 + rand 5)] } 1 .. 500 }
[['m.json', main::defining(random_names())], ['n.json', main::defining(random_names())]]
--- config
    location /t { return 204; wasm_filter m @../html/m.json; wasm_filter n @../html/n.json; }
--- init
main::get('/t');
my $metrics = main::guests(main::scrape());
my $refused = () = main::matches(qr/define_metric .*: status 2/);
# Names of the same type twice add up; those of another type are metrics of their own.
my $defined = 0;
my %suffix = (counter => '_total', gauge => '', histogram => '_count');
for my $type (grep { /\ATYPE/ } keys %$metrics) {
    my $name = substr($type, 5) . $suffix{$metrics->{$type}};
    $defined += $metrics->{$_} for grep { /\A\Q$name\E(?:\{|\z)/ } keys %$metrics;
}
Test::More::is($refused, 0, 'none is refused');
Test::More::is($defined, 1000, 'every one is there');
--- no_error_log
[error]
[alert]


=== TEST 5: names that are too long are refused, the longest are not
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- user_files eval
[['m.json', main::defining([counter => 'a' x 4096], [gauge => 'b' x 4097], [histogram => 'c' x 10_000])]]
--- config
    location /t { return 204; wasm_filter m @../html/m.json; }
--- init
main::get('/t');
my $metrics = main::guests(main::scrape());
Test::More::is_deeply([grep { /TYPE/ } keys %$metrics], ['TYPE ' . 'a' x 4096], 'one family');
# nginx cuts the line before the status.
Test::More::is(scalar main::matches(qr/define_metric [bc]{1000}/), 2, 'two refused');
--- no_error_log
[error]
[alert]


=== TEST 6: the formats by Accept
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
--- init
my ($open, $text) = ('application/openmetrics-text; version=1.0.0; charset=utf-8', 'text/plain; version=0.0.4; charset=utf-8');
for ([undef, $text], ['*/*', $text], ['text/plain', $text], ['text/*;q=0.3', $text], ['image/png', $text], ['', $text], [',;q=x', $text],
    ['application/openmetrics-text', $open], ['Application/OpenMetrics-Text; Version="1.0.0"', $open], ['application/*', $open],
    ['application/openmetrics-text;version=2.0.0', $text], ['application/openmetrics-text;q=0', $text], ['application/openmetrics-text;q=0,*/*', $text],
    ['application/openmetrics-text;q=0.4,text/plain;q=0.5', $text], ['text/plain;q=0.4,application/openmetrics-text;q=0.5', $open],
    ['application/openmetrics-text,*/*', $open], ['text/plain, application/openmetrics-text', $open],
    # Prometheus 3 and 2.
    ['application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1', $open],
    ['text/plain;version=0.0.4;q=0.5,*/*;q=0.1', $text]) {
    my ($accept, $type) = @$_;
    my $response = main::get('/metrics', defined $accept ? "Accept: $accept\r\n" : undef);
    my ($got) = $response =~ /^Content-Type: (.*)\r$/m;
    Test::More::is($got, $type, defined $accept ? "Accept: $accept" : 'no Accept');
    Test::More::is($response =~ /\n# EOF\n\z/ ? 1 : 0, $type eq $open ? 1 : 0, 'its end');
}
my $two = main::get('/metrics', "Accept: text/plain;q=0.1\r\nAccept: application/openmetrics-text\r\n");
Test::More::like($two, qr/^Content-Type: application\/openmetrics-text/m, 'two lines');
--- no_error_log
[error]
[alert]


=== TEST 7: methods, headers, length
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /filtered { wasm_filter m '{"response_headers":[["set_header","response","x-seen","yes"]]}'; wasm_metrics; }
    location = /metrics/x { return 418; }
--- init
my $get = main::get('/metrics');
Test::More::like($get, qr/^Cache-Control: no-store\r$/m, 'not to be cached');
Test::More::like($get, qr/^Vary: Accept\r$/m, 'by Accept');
Test::More::unlike($get, qr/^(?:ETag|Last-Modified|Accept-Ranges):/m, 'no validators');
my ($length) = $get =~ /^Content-Length: (\d+)\r$/m;
Test::More::is($length, length main::body_of($get), 'the length');
my $ask = sub {
    my $socket = main::connection();
    print $socket "$_[0] /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", $_[1] // '', "\r\n", $_[2] // '';
    return main::receive($socket);
};
my $head = $ask->('HEAD');
Test::More::like($head, qr{\AHTTP/1.1 200 OK\r\n}, 'HEAD');
Test::More::like($head, qr{^Content-Length: \d+\r$}m, 'with a length');
Test::More::is(main::body_of($head), '', 'and no body');
Test::More::like($ask->('POST', "Content-Length: 3\r\n", 'abc'), qr{\AHTTP/1.1 405 Not Allowed\r\n}, 'POST');
Test::More::like($ask->($_), qr{\AHTTP/1.1 405 Not Allowed\r\n}, $_) for 'DELETE', 'PUT', 'OPTIONS';
Test::More::like($ask->('GET', "Content-Length: 3\r\n", 'abc'), qr{\AHTTP/1.1 200 OK\r\n}, 'GET with a body');
Test::More::like(main::get('/metrics/'), qr{\AHTTP/1.1 200 OK\r\n}, 'what the location matches');
my $filtered = main::get('/filtered');
Test::More::like($filtered, qr/^x-seen: yes\r$/m, 'filters see it');
Test::More::ok(main::parse('text', main::body_of($filtered)), 'and leave it whole');
--- no_error_log
[error]
[alert]


=== TEST 8: what the host counts: callbacks, instances, memory, compiling, zones
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module same $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module idle $TEST_NGINX_FILTERS/http_body.wasm;
    wasm_shared_data zone=data:256k;
--- config
    location /a { wasm_filter m '{"request_headers":[["allocate",3]]}'; return 200 'x'; }
    location /b { wasm_filter same '{}'; return 204; }
    location /s { wasm_filter m '{"configure":[["register_queue","q","q"],["let_root","q",{"var":"q"}]],"request_headers":[["set_shared_data","a","1","0"],["set_shared_data","b","2","0"],["enqueue",{"var":"q"},"x"],["enqueue",{"var":"q"},"y"]]}'; return 204; }
--- init
my $metrics = main::scrape();
my $before = $metrics->{'nginx_wasm_memory_bytes{module="m"}'};
Test::More::cmp_ok($before, '>=', 2 * 65536, 'memory of both workers');
Test::More::is($before % 65536, 0, 'in pages');
main::get('/a') for 1 .. 6;
main::get('/b') for 1 .. 3;
my $bytes = sub { main::scrape()->{'nginx_wasm_memory_bytes{module="m"}'} };
Test::More::cmp_ok($bytes->(), '>=', $before + 3_000_000, 'memory that has grown');
$metrics = main::scrape();
my $sample = sub { my ($name, $suffix, %labels) = @_; "nginx_wasm_$name" . ($suffix // '') . '{' . join(',', map { "$_=\"$labels{$_}\"" } sort keys %labels) . '}' };
my $count = sub { $metrics->{$sample->('callback_duration_seconds', '_count', module => $_[0], phase => $_[1])} };
Test::More::is($count->('m', $_), 6, "m: $_") for qw(request_headers response_headers response_body log done delete);
Test::More::is($count->('same', 'request_headers'), 3, 'same: request_headers');
Test::More::is($count->('m', 'configure'), 4, 'two filters configured in both workers');
Test::More::is($count->('m', 'context_create'), 4 + 6, 'contexts');
Test::More::is($count->('idle', 'configure'), undef, 'a module that is not used');
my $sum = $metrics->{$sample->('callback_duration_seconds', '_sum', module => 'm', phase => 'request_headers')};
Test::More::ok($sum > 0.000001 && $sum < 6, "a time in seconds: $sum");
my @buckets = map { $metrics->{$sample->('callback_duration_seconds', '_bucket', module => 'm', phase => 'request_headers', le => $_)} } '0.000001', '0.0001', '0.1', '1.0', '+Inf';
Test::More::is_deeply([sort { $a <=> $b } @buckets], \@buckets, 'buckets rise');
Test::More::is($buckets[-1], 6, 'to all');
Test::More::is($metrics->{$sample->('instances', '', module => $_)}, 2, "instances: $_") for 'm', 'same';
Test::More::is($metrics->{$sample->('instance_starts_total', '', module => 'm')}, 2, 'starts');
Test::More::is($metrics->{$sample->('instance_start_failures_total', '', module => 'm')}, 0, 'no failures');
Test::More::is($metrics->{nginx_wasm_compile_cache_misses_total}, 2, 'two files compiled');
Test::More::is($metrics->{nginx_wasm_compile_cache_hits_total}, 1, 'one of them needed again');
Test::More::is($metrics->{$sample->('zone_size_bytes', '', zone => 'data')}, 262144, 'a zone');
Test::More::is($metrics->{$sample->('zone_size_bytes', '', zone => $_)}, 1048576, "the default zone $_") for 'wasm_metrics', 'wasm_shared_queue';
for (qw(data wasm_metrics wasm_shared_queue)) {
    my $used = $metrics->{$sample->('zone_used_bytes', '', zone => $_)};
    my $size = $metrics->{$sample->('zone_size_bytes', '', zone => $_)};
    Test::More::ok($used > 0 && $used < $size / 2, "$_ in use: $used");
}
main::get('/s');
$metrics = main::scrape();
Test::More::is($metrics->{$sample->('shared_data_keys', '', zone => 'data')}, 2, 'keys of shared data');
Test::More::is($metrics->{$sample->('shared_data_evictions_total', '', zone => 'data')}, 0, 'none had to go');
Test::More::is($metrics->{$sample->('queues', '', zone => 'wasm_shared_queue')}, 1, 'a queue');
Test::More::is($metrics->{$sample->('queue_messages', '', zone => 'wasm_shared_queue')}, 2, 'with two messages');
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { ($metrics = main::scrape())->{$sample->('instance_starts_total', '', module => 'm')} == 4
    && $metrics->{$sample->('instances', '', module => 'm')} == 2 }), 'after a reload: new instances, the old ones are gone');
Test::More::is($metrics->{nginx_wasm_compile_cache_hits_total}, 4, 'nothing compiled again');
Test::More::is($metrics->{nginx_wasm_compile_cache_misses_total}, 2, 'still');
Test::More::is($count->('m', 'request_headers'), 7, 'times are kept');
--- no_error_log
[error]
[alert]


=== TEST 9: traps by reason, and instances that do not start again
--- user_files eval
[['unreachable.wat', main::trapping('unreachable')],
 ['memory.wat', main::trapping('(i32.load (i32.const 0x7fffffff))')],
 ['stack.wat', main::trapping('(call $f)')],
 ['division.wat', main::trapping('(i32.div_s (local.get 0) (i32.const 0))')],
 ['abort.wat', main::trapping('(call $abort (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)) (i32.const 0)', '(import "env" "abort" (func $abort (param i32 i32 i32 i32)))')],
 ['time.wat', main::trapping('(loop $on (br $on)) unreachable')],
 ['growth.wat', main::trapping('(drop (memory.grow (i32.const 99))) unreachable')],
 ['exit.wat', main::trapping('(call $exit (i32.const 3)) (i32.const 0)', '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))')],
]
--- http_config eval
CORE::join '', map { "wasm_module $_ ../html/$_.wat cpu_time=20ms memory=1m;\n" } qw(unreachable memory stack division abort time growth exit)
--- config eval
CORE::join '', map { "location /$_ { wasm_filter $_; return 204; }\n" } qw(unreachable memory stack division abort time growth exit)
--- init
my %reasons = (unreachable => 'unreachable', memory => 'memory_out_of_bounds', stack => 'stack_overflow', division => 'division_by_zero', abort => 'abort', time => 'cpu_limit', growth => 'memory_limit', exit => 'exit');
for my $module (sort keys %reasons) {
    main::get("/$module") for 1, 2;
    Test::More::is(main::scrape()->{"nginx_wasm_traps_total{module=\"$module\",reason=\"$reasons{$module}\"}"}, 2, $module);
}
my $metrics = main::scrape();
Test::More::is(scalar(grep { /\Anginx_wasm_traps_total/ } keys %$metrics), 8, 'no other');
# It starts again after a while, which may have been already.
my $running = $metrics->{'nginx_wasm_instances{module="stack"}'};
Test::More::cmp_ok($running, '<=', 1, 'one may run again');
Test::More::is($metrics->{'nginx_wasm_memory_bytes{module="stack"}'}, $running * 65536, 'and has memory then');
Test::More::is($metrics->{'nginx_wasm_instance_starts_total{module="stack"}'}, 2 + $running, 'a new one for each');
Test::More::is($metrics->{'nginx_wasm_callback_duration_seconds_count{module="stack",phase="request_headers"}'}, 2, 'callbacks that trapped count');
--- no_error_log
[alert]
[crit]


=== TEST 10: an instance that does not start again
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"configure":[["define_metric","counter","starts","c"],["increment_metric",{"var":"c"},1],["get_metric",{"var":"c"},"v"],["if",{"var":"v"},"2",[["return_false"]]]],"request_headers":[["abort"]]}';
        return 204;
    }
--- init
Test::More::like(main::get('/t'), qr{\AHTTP/1.1 503 }, 'a trap');
Test::More::like(main::get('/t'), qr{\AHTTP/1.1 503 }, 'no new instance') for 1, 2;
my $metrics = main::scrape();
Test::More::is($metrics->{'nginx_wasm_instance_start_failures_total{module="m"}'}, 1, 'one try');
Test::More::is($metrics->{'nginx_wasm_instance_starts_total{module="m"}'}, 1, 'after one start');
Test::More::is($metrics->{'nginx_wasm_instances{module="m"}'}, 0, 'none runs');
Test::More::is($metrics->{'starts_total{module="m"}'}, 2, 'what the guest counted before it refused');
--- no_error_log
[alert]
[crit]


=== TEST 11: ten thousand metrics are shown at once
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_metrics_zone zone=metrics:4m;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["let","i","0"],["repeat",10000,[["let","i",{"add":[{"var":"i"},1]}],
            ["define_metric","counter",{"join":["code=.=",{"var":"i"},";.;requests_total"]},"m"],["increment_metric",{"var":"m"},{"var":"i"}]]]]}';
        return 204;
    }
--- init
main::get('/t');
# Processor time, in seconds.
my $used = sub { open my $in, '<', '/proc/' . main::pid() . '/stat' or die $!; my @fields = split ' ', <$in>; return ($fields[13] + $fields[14]) / POSIX::sysconf(&POSIX::_SC_CLK_TCK) };
my $before = $used->();
my $page = main::get('/metrics');
my $took = $used->() - $before;
Test::More::cmp_ok($took, '<', 1, "in $took s");
my $metrics = main::parse('text', main::body_of($page));
Test::More::is(scalar(grep { /\Arequests_total/ } keys %$metrics), 10_000, 'all');
Test::More::is($metrics->{'requests_total{code="9876",module="m"}'}, 9876, 'a value');
--- no_error_log
[error]
[alert]


=== TEST 12: no modules at all
--- config
--- init
Test::More::is(main::body_of(main::get('/metrics')), '', 'an empty page');
Test::More::is(main::body_of(main::get('/metrics', "Accept: application/openmetrics-text\r\n")), "# EOF\n", 'OpenMetrics');
--- no_error_log
[error]
[alert]

