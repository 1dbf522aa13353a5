# What the directives give to guests: configurations byte for byte, VM configuration, environment,
# and one root context for each distinct configuration.

use Test::Nginx::Socket 'no_plan';

no_long_string();
no_shuffle();
log_level('info');
$ENV{WASM_TEST_GIVEN} = 'from nginx';
$ENV{WASM_TEST_OTHER} = 'other';

# A guest's message. The configuration's dry run logs at nginx's first level, notice: what is
# logged at level info comes once, from the worker.
our $line = qr/\[wasm\] [^,\n]*/;

run_tests();

__DATA__

=== TEST 1: a configuration arrives byte for byte: newlines inside the quotes, a trailing one
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m 'first

  third	tab "double" \'single\'
';
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] m: configuration 37 bytes: first\x0a\x0a  third\x09tab "double" 'single'\x0a
--- no_error_log
[error]
[alert]
[emerg]


=== TEST 2: an unquoted configuration, one in double quotes, one of bytes that are not UTF-8
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
"    location /a {
        wasm_filter m unquoted;
    }
    location /b {
        wasm_filter m \"a'b \\\\\\\" \$c\";
    }
    location /c {
        wasm_filter m '\xff\xfe\x80';
    }
    location /t {
        return 200 'served';
    }
"
--- request
GET /t
--- response_body: served
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] m: configuration 8 bytes: unquoted
[wasm] m: configuration 9 bytes: a'b \\" $c
[wasm] m: configuration 3 bytes: \xff\xfe\x80


=== TEST 3: a configuration from a file: NUL, quotes, CR LF, a trailing newline
--- user_files eval
[["plugin.bin", "\0a'\"\\;{}\$x\r\n\xff\0\n"]]
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m @../html/plugin.bin;
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] m: configuration 15 bytes: \x00a'"\\;{}$x\x0d\x0a\xff\x00\x0a
--- no_error_log
[error]
[alert]
[emerg]


=== TEST 4: an empty file, no configuration, an empty one: the same root context
--- user_files
>>> empty
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m; }
    location /b { wasm_filter m ''; }
    location /t {
        wasm_filter m @../html/empty;
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] m: configuration 0 bytes: 
--- no_error_log
[error]
[alert]
[emerg]


=== TEST 5: a configuration of 64 KiB from a file
--- user_files eval
[["big", "x" x 65535 . "\n"]]
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/trace_cpp.wasm;
--- config
    location /t {
        wasm_filter m @../html/big;
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: qr/on_configure.*/
--- grep_error_log_out
on_configure id=1 size=65536


=== TEST 6: the VM configuration as text; it is empty when there is none
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm 'vm_config=two
lines
';
    wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter a '{"configure":[["vm_configuration"]],"request_headers":[["vm_configuration"]]}';
        wasm_filter b '{"configure":[["vm_configuration"]],"request_headers":[["vm_configuration"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] a: vm_configuration 10 bytes: two\x0alines\x0a
[wasm] b: vm_configuration 0 bytes: 
[wasm] a: vm_configuration 10 bytes: two\x0alines\x0a
[wasm] b: vm_configuration 0 bytes: 


=== TEST 7: the VM configuration from a file, and its size in on_vm_start
--- user_files eval
[["vm.bin", "\0\xff'\n"]]
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm vm_config=@../html/vm.bin;
    wasm_module t $TEST_NGINX_FILTERS/trace_cpp.wasm vm_config=@../html/vm.bin;
--- config
    location /t {
        wasm_filter m '{"configure":[["vm_configuration"],["log_configuration"]]}';
        wasm_filter t 12345;
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- error_log
[wasm] m: vm_configuration 4 bytes: \x00\xff'\x0a
[wasm] m: configuration 58 bytes: {"configure":[["vm_configuration"],["log_configuration"]]}
[wasm] t: on_vm_start id=1 size=4
[wasm] t: on_configure id=1 size=5


=== TEST 8: the environment: values given here, nginx's own, unset ones, nothing else
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm
        env=GIVEN=1=2 'env=TEXT=a b' env=EMPTY= env=WASM_TEST_GIVEN env=WASM_TEST_UNSET env=WASM_TEST_OTHER=mine;
    wasm_module none $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"configure":[["env","GIVEN"],["env","TEXT"],["env","EMPTY"],
            ["env","WASM_TEST_GIVEN"],["env","WASM_TEST_UNSET"],["env","WASM_TEST_OTHER"],["env","PATH"]]}';
        wasm_filter none '{"configure":[["env","WASM_TEST_GIVEN"],["env","PATH"],["env","GIVEN"]]}';
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] m: env GIVEN = 1=2
[wasm] m: env TEXT = a b
[wasm] m: env EMPTY = 
[wasm] m: env WASM_TEST_GIVEN = from nginx
[wasm] m: env WASM_TEST_UNSET: unset
[wasm] m: env WASM_TEST_OTHER = mine
[wasm] m: env PATH: unset
[wasm] none: env WASM_TEST_GIVEN: unset
[wasm] none: env PATH: unset
[wasm] none: env GIVEN: unset


=== TEST 9: the environment while the module starts: the last one of a name counts
--- user_files
>>> env.wat
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 16) (i32.const 1024)))
    (drop (call $log (i32.const 3) (i32.const 1024) (i32.load (i32.const 4))))))
--- http_config
    wasm_module m ../html/env.wat env=A=1 env=B=2 env=A=3;
--- config
    location /t {
        wasm_filter m;
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: $::line
--- grep_error_log_out
[wasm] m: B=2\x00A=3\x00
[wasm] m: B=2\x00A=3\x00


=== TEST 10: one root context for locations of one configuration, another for each other one
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen $TEST_NGINX_PORT_1;
        location / { wasm_filter m '{"trace":true}'; return 204; }
    }
--- config
    location /a { wasm_filter m '{"trace":true}'; return 200; }
    location /b { wasm_filter m '{"trace":true} '; return 200; }
    location /c { wasm_filter m '{"trace":true}'; return 200; }
    location /t {
        wasm_filter m '{"trace":true}';
        wasm_filter m '{"trace":true} ';
        wasm_filter m '{"trace":true}';
        return 200;
    }
--- request
GET /t
--- error_code: 200
--- grep_error_log eval: qr/on_(?:context_create|configure|request_headers) id=[^,\n]*/
--- grep_error_log_out
on_context_create id=1 parent=0
on_configure id=1 size=14
on_context_create id=2 parent=0
on_configure id=2 size=15
on_context_create id=3 parent=1
on_context_create id=4 parent=2
on_context_create id=5 parent=1
on_request_headers id=3 count=5 eos=true
on_request_headers id=4 count=5 eos=true
on_request_headers id=5 count=5 eos=true
--- no_error_log
[error]
[alert]
[emerg]


=== TEST 11: one file under two names: two instances, each counts its own contexts
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"trace":true}';
        return 200;
    }
--- request
GET /t
--- error_code: 200
--- grep_error_log eval: qr/\[wasm\] \w+: on_(?:context_create|request_headers) id=[^,\n]*/
--- grep_error_log_out
[wasm] a: on_context_create id=1 parent=0
[wasm] b: on_context_create id=1 parent=0
[wasm] a: on_context_create id=2 parent=1
[wasm] b: on_context_create id=2 parent=1
[wasm] a: on_request_headers id=2 count=5 eos=true
[wasm] b: on_request_headers id=2 count=5 eos=true


=== TEST 12: a module that no filter uses does not start in a worker
--- http_config
    wasm_module unused $TEST_NGINX_FILTERS/hostcalls.wasm 'vm_config={"trace":true}';
    wasm_module used $TEST_NGINX_FILTERS/trace_cpp.wasm;
--- config
    location /t {
        wasm_filter used;
        return 200;
    }
--- request
GET /t
--- error_code: 200
--- error_log
[wasm] used: on_vm_start id=1 size=0
--- no_error_log
[wasm] unused
[error]
