# Metrics of one name and several types, each a metric of its own as in Envoy, on a page that stays valid.

use Test::Nginx::Socket 'no_plan';
use Control;
use Scrape;

no_long_string();

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => 'wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm; wasm_module n $TEST_NGINX_FILTERS/hostcalls.wasm;');
    $block->set_value(config => $block->config . ' location /metrics { wasm_metrics; } location /end { return 204; }');
    $block->set_value(request => 'GET /end');
    $block->set_value(error_code => 204);
    $block->set_value(no_error_log => qr/\[alert\]|\[error\]|\[crit\]|\[emerg\]|panicked/);
});

# Operations that define a metric, write to it and log what it holds.
sub uses {
    my ($type, $name, $value) = @_;
    my $read = $type eq 'histogram' ? '' : qq{,["get_metric",{"var":"v"},"r"],["log","info",{"join":["$type $name ",{"var":"r"}]}]};
    return qq{["define_metric","$type","$name","v"],["record_metric",{"var":"v"},"$value"]$read};
}

run_tests();

__DATA__

=== TEST 1: the three types of one name, in any order, again and again
--- config eval
'location /one { wasm_filter m \'{"request_headers":[' . CORE::join(',', map { main::uses(@$_) } ['counter', 'x', 2], ['gauge', 'x', 30], ['histogram', 'x', 7]) . ']}\'; return 200 ok; }'
. 'location /two { wasm_filter m \'{"request_headers":[' . CORE::join(',', map { main::uses(@$_) } ['histogram', 'x', 8], ['gauge', 'x', 40], ['counter', 'x', 3], ['gauge', 'y', 1], ['counter', 'y', 1]) . ']}\'; return 200 ok; }'
. 'location /n { wasm_filter n \'{"request_headers":[' . CORE::join(',', map { main::uses(@$_) } ['gauge', 'x', 5]) . ']}\'; return 200 ok; }'
--- init
Test::More::is(main::body_of(main::get($_)), 'ok', "$_: the request goes on") for qw(/one /two /n);
Test::More::is(join("\n", main::matches(qr/\[wasm\] m: \K\w+ \w \d+/)), join("\n", 'counter x 2', 'gauge x 30', 'gauge x 40', 'counter x 5', 'gauge y 1', 'counter y 1'), 'each has its own value');
Test::More::is(scalar(() = main::matches(qr/: status [1-9]/)), 0, 'none is refused');
my $metrics = main::scrape();
my %wanted = ('TYPE x' => 'counter', 'x_total{module="m"}' => 5, 'TYPE x_gauge' => 'gauge', 'x_gauge{module="m"}' => 40, 'x_gauge{module="n"}' => 5,
    'TYPE x_histogram' => 'histogram', 'x_histogram_count{module="m"}' => 2, 'x_histogram_sum{module="m"}' => 15,
    'TYPE y' => 'gauge', 'y{module="m"}' => 1, 'TYPE y_counter' => 'counter', 'y_counter_total{module="m"}' => 1);
Test::More::is($metrics->{$_}, $wanted{$_}, $_) for sort keys %wanted;



=== TEST 2: a name that a filter gives to another metric keeps its own
--- config eval
'location /a { wasm_filter m \'{"request_headers":[' . CORE::join(',', map { main::uses(@$_) } ['gauge', 'x_counter', 1], ['gauge', 'x', 2], ['counter', 'x', 3], ['counter', 'x_total', 4], ['gauge', 'x_total', 5]) . ']}\'; return 200 ok; }'
--- init
Test::More::is(main::body_of(main::get('/a')), 'ok', 'the request goes on');
my $metrics = main::scrape();
delete @$metrics{grep { /\A(?:TYPE )?nginx_wasm_/ } keys %$metrics};
my @values = map { $metrics->{$_} } grep { !/\ATYPE|_created/ } sort keys %$metrics;
Test::More::is(join(' ', sort @values), '1 2 3 4 5', 'each value is there, once');
my @types = map { $metrics->{$_} } grep { /\ATYPE/ } sort keys %$metrics;
Test::More::is(join(' ', sort @types), 'counter gauge gauge gauge', 'in families of one type each');
