# http-wasm modules in the configuration: their kind, their parameters, their start, and metrics.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use Wire;

our $fine = guest('fine', request => q{(call $set_header_value (i32.const 0) 'x-a' 'b')});

# A configuration that nginx does not take.
add_block_preprocessor(sub {
    my $block = shift;
    return if !defined $block->must_die;
    $block->set_value(request => 'GET /');
    $block->set_value(no_error_log => qr/\[(?:alert|crit)\]|panicked/);
});

run_tests();

__DATA__

=== TEST 1: the kind is found, and may be named
--- http_config
    wasm_module found ../html/fine.wat;
    wasm_module named ../html/fine.wat type=http-wasm;
    wasm_module plain ../html/plain.wat;
--- config
    location /found { wasm_filter found; return 200 $http_x_a; }
    location /named { wasm_filter named; return 200 $http_x_a; }
    location /plain { wasm_filter plain; return 200 fine; }
--- user_files eval
# By its exports alone.
$::fine . guest('plain')
--- client eval: sub { answers('/found', '/named', '/plain') }
--- client_out
200 b
200 b
200 fine



=== TEST 2: it is no handler
--- http_config
    wasm_module fine ../html/fine.wat;
--- config
    location / { wasm_handler fine; }
--- user_files eval: $::fine
--- must_die
--- error_log
wasm module "fine" is an http-wasm guest: use wasm_filter



=== TEST 3: it has no root_id
--- http_config
    wasm_module fine ../html/fine.wat;
--- config
    location / { wasm_filter fine '' root_id=x; return 200; }
--- user_files eval: $::fine
--- must_die
--- error_log
wasm module "fine" is an http-wasm guest: root_id= is for Proxy-Wasm filters alone



=== TEST 4: it has no vm_config
--- http_config
    wasm_module fine ../html/fine.wat vm_config=x;
--- config
    location / { return 200; }
--- user_files eval: $::fine
--- must_die
--- error_log
vm_config= is for Proxy-Wasm filters alone: use the configuration of wasm_filter



=== TEST 5: it has no header_stop
--- http_config
    wasm_module fine ../html/fine.wat header_stop=all;
--- config
    location / { return 200; }
--- user_files eval: $::fine
--- must_die
--- error_log
header_stop= is for Proxy-Wasm filters alone



=== TEST 6: what is no guest is refused
--- http_config
    wasm_module none ../html/none.wat type=http-wasm;
--- config
    location / { return 200; }
--- user_files
>>> none.wat
(module (memory (export "memory") 1) (func (export "handle_request") (result i64) (i64.const 1)))
--- must_die
--- error_log
wasm module "none"
not an http-wasm guest: exports no handle_response



=== TEST 7: a guest that refuses its configuration is told with the place of it
--- http_config
    wasm_module header $TEST_NGINX_FILTERS/http_wasm_header.wasm;
--- config
    location / { wasm_filter header 'request set x-a b'; return 200; }
    location /wrong { wasm_filter header 'no such rule'; return 200; }
--- must_die
--- error_log eval
[qr/header: invalid rule: no such rule/, qr/wasm module "header" _start trapped: proc_exit\(1\).* in \S+nginx\.conf:\d+/]



=== TEST 8: a start that loops is ended
--- http_config
    wasm_module loops ../html/loops.wat start_time=100ms;
--- config
    location / { wasm_filter loops; return 200; }
--- user_files eval: guest('loops', items => '(func (export "_start") (loop $on (br $on)))')
--- must_die
--- error_log eval: qr/wasm module "loops" _start trapped: over start_time=100ms/



=== TEST 9: what a guest may use is as for other guests
--- http_config
    wasm_module none ../html/random.wat deny=all;
    wasm_module all ../html/random.wat;
--- config
    location /none { wasm_filter none; return 200 $http_x_a; }
    location /all { wasm_filter all; return 200 $http_x_a; }
--- user_files eval
guest('random', request => q{(if (i32.eqz (call $random_get (i32.const 8192) (i32.const 8))) (then
    (call $set_header_value (i32.const 0) 'x-a' 'random')) (else (call $set_header_value (i32.const 0) 'x-a' 'denied')))})
    =~ s/\(memory/(import "wasi_snapshot_preview1" "random_get" (func \$random_get (param i32 i32) (result i32)))\n(memory/r
--- client eval: sub { answers('/none', '/all') }
--- client_out
200 denied
200 random
--- error_log eval: qr/none: .*random_get/
--- no_error_log eval: $HttpWasm::alive



=== TEST 10: metrics count its calls, instances, traps and memory
--- http_config
    wasm_module counted ../html/counted.wat;
--- config
    location /a { wasm_filter counted; return 200; }
    location /metrics { wasm_metrics; }
--- user_files eval
guest('counted', request => q{(if (i32.eq (call $get_uri (i32.const 8192) (i32.const 0)) (i32.const 5)) (then (unreachable)))})
--- client eval
sub {
    my $text = answers('/a', '/a', '/atrap', '/a');
    my $metrics = ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    $text =~ s/\n/ /g;
    "$text\n" . rows(grep { /counted/ && /_count|trap|instances|starts/ && !/_bucket/ && !/^#/ } split /\r?\n/, $metrics);
}
--- client_out eval: qr/\A200 200 (?:200|500) 200 \n.*handle_request"\} 4\n.*handle_response"\} [34]\n/s
--- no_error_log eval: $HttpWasm::alive
