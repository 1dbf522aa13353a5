# Mistakes in wasm_metrics and wasm_metrics_zone.

use Test::Nginx::Socket 'no_plan';

no_long_string();

run_tests();

__DATA__

=== TEST 1: the zone is declared twice
--- http_config
    wasm_metrics_zone zone=a:1m;
    wasm_metrics_zone zone=b:1m;
--- config
--- must_die
--- error_log: "wasm_metrics_zone" directive is duplicate in


=== TEST 2: no zone
--- http_config
    wasm_metrics_zone size=1m;
--- config
--- must_die
--- error_log: invalid parameter "size=1m" in


=== TEST 3: no parameters
--- http_config
    wasm_metrics_zone;
--- config
--- must_die
--- error_log: invalid number of arguments in "wasm_metrics_zone" directive in


=== TEST 4: a zone without a size
--- http_config
    wasm_metrics_zone zone=a;
--- config
--- must_die
--- error_log: invalid zone size "zone=a" in


=== TEST 5: a size that is none
--- http_config
    wasm_metrics_zone zone=a:many;
--- config
--- must_die
--- error_log: invalid zone size "zone=a:many" in


=== TEST 6: a zone that is too small
--- http_config
    wasm_metrics_zone zone=a:8k;
--- config
--- must_die
--- error_log: zone "a" is too small in


=== TEST 7: a zone of another use
--- http_config
    wasm_shared_data zone=a:1m;
    wasm_metrics_zone zone=a:1m;
--- config
--- must_die
--- error_log: the shared memory zone "a" is already declared for a different use in


=== TEST 8: wasm_metrics_zone in a server
--- config
    wasm_metrics_zone zone=a:1m;
--- must_die
--- error_log: "wasm_metrics_zone" directive is not allowed here in


=== TEST 9: wasm_metrics in a server
--- config
    wasm_metrics;
--- must_die
--- error_log: "wasm_metrics" directive is not allowed here in


=== TEST 10: wasm_metrics with a parameter
--- config
    location /metrics { wasm_metrics prometheus; }
--- must_die
--- error_log: invalid number of arguments in "wasm_metrics" directive in


=== TEST 11: the smallest zone works
--- http_config
    wasm_metrics_zone zone=a:32k;
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t { wasm_filter m '{}'; return 204; }
    location /metrics { wasm_metrics; }
--- request
GET /metrics
--- response_body_like: nginx_wasm_zone_size_bytes\{zone="a"\} 32768\n
--- no_error_log
[error]
[alert]
