# What nginx takes as configuration, and what it says about the rest: one line with the directive's
# file and line, when it reads the configuration.
#
# `--- http_conf` is a file that nginx.conf includes in its http block, so that lines count from 1.
# `--- mistake` is the whole of the lines at level emerg with which nginx must refuse to start;
# "in http.conf:" stands for the file with its path. `--- guest_says` are the module's lines below
# that level, in the same way.

use Test::Nginx::Socket 'no_plan';

my $html = html_dir();

add_block_preprocessor(sub {
    my $block = shift;
    my $conf = $block->http_conf;
    if (defined $conf) {
        my $files = $block->user_files // '';
        $block->set_value(user_files => "$files>>> http.conf\n$conf");
        $block->set_value(http_config => "    include $html/http.conf;");
    }
    $block->set_value(config => '') unless defined $block->config;
    my $mistake = $block->mistake;
    if (defined $mistake) {
        $mistake =~ s/ in http\.conf:/ in $html\/http.conf:/g unless ref $mistake;
        $block->set_value(must_die => '');
        $block->set_value(suppress_stderr => '');
        my $says = $block->guest_says;
        my $below = defined $says ? qr/\[wasm\] .*/ : qr/(?!)/;
        $block->set_value(grep_error_log => qr/(?:\[emerg\] \d+#\d+: \K.*|$below)/);
        $block->set_value(grep_error_log_out => ref $mistake ? $mistake : ($says // '') . $mistake);
        $block->set_value(no_error_log => "[alert]\n[crit]\npanicked")
            unless defined $block->no_error_log;
    }
});

# Runs `nginx -t` over a configuration in html/; its exit status and what it prints.
sub nginx_t {
    my $conf = shift;
    open my $out, '>', "$html/t.conf" or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\n",
        "pid $html/t.pid;\nevents {}\nhttp {\n${conf}server {}\n}\n";
    close $out;
    my $root = $ENV{TEST_NGINX_SERVER_ROOT};
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $root/ -e stderr -c $html/t.conf 2>&1`;
    return ($? >> 8, $said);
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: wasm_module without arguments
--- http_conf
wasm_module;
--- mistake
invalid number of arguments in "wasm_module" directive in http.conf:1


=== TEST 2: wasm_module without a file
--- http_conf
# a line before
wasm_module m;
--- mistake
invalid number of arguments in "wasm_module" directive in http.conf:2


=== TEST 3: an unknown parameter is named
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm size=1m;
--- mistake
wasm module "m": unknown parameter "size=1m" in http.conf:1


=== TEST 4: sha256 that is not hexadecimal
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm sha256=zz;
--- mistake
wasm module "m" ("$TEST_NGINX_FILTERS/init_calls.wasm"): sha256= needs 64 hexadecimal digits in http.conf:1


=== TEST 5: sha256 that is not the file's
--- user_files
>>> m.wat
(module)
--- http_conf
wasm_module m ../html/m.wat
  sha256=0000000000000000000000000000000000000000000000000000000000000000;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): sha256 mismatch: the file has 3584af5e1ab0b1da09b5326237be4b178de0bb388d6093efd94e6aec56c20a74 in http.conf:2


=== TEST 6: sha256 twice
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm sha256=00 sha256=00;
--- mistake
wasm module "m": duplicate parameter sha256= in http.conf:1


=== TEST 7: vm_config twice
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm vm_config=a vm_config=;
--- mistake
wasm module "m": duplicate parameter vm_config= in http.conf:1


=== TEST 8: vm_config from a file that is not there
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm vm_config=@none.json;
--- mistake
wasm module "m": vm_config=: cannot read "$TEST_NGINX_SERVER_ROOT/conf/none.json": No such file or directory (os error 2) in http.conf:1


=== TEST 9: env without a name
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm env==x;
--- mistake
wasm module "m": env= needs the name of a variable in http.conf:1


=== TEST 10: a name twice
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
wasm_module other $TEST_NGINX_FILTERS/init_calls.wasm;
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
--- mistake
duplicate wasm module "m" in http.conf:3


=== TEST 11: "off" cannot be a name
--- http_conf
wasm_module off $TEST_NGINX_FILTERS/init_calls.wasm;
--- mistake
invalid wasm module name "off" in http.conf:1


=== TEST 12: an empty name
--- http_conf
wasm_module "" $TEST_NGINX_FILTERS/init_calls.wasm;
--- mistake
invalid wasm module name "" in http.conf:1


=== TEST 13: wasm_module outside of http
--- main_config
    wasm_module m m.wasm;
--- mistake eval
qr{\A"wasm_module" directive is not allowed here in \Q$ENV{TEST_NGINX_SERVER_ROOT}\E/conf/nginx\.conf:\d+\n\z}


=== TEST 14: wasm_module in a server
--- http_conf
server {
    wasm_module m m.wasm;
}
--- mistake
"wasm_module" directive is not allowed here in http.conf:2


=== TEST 15: a missing file; its path starts at the directory of nginx.conf
--- http_conf
wasm_module m none.wasm;
--- mistake
wasm module "m": cannot read "$TEST_NGINX_SERVER_ROOT/conf/none.wasm": No such file or directory (os error 2) in http.conf:1


=== TEST 16: a directory instead of a file
--- http_conf
wasm_module m ../html;
--- mistake
wasm module "m": cannot read "$TEST_NGINX_SERVER_ROOT/conf/../html": Is a directory (os error 21) in http.conf:1


=== TEST 17: a file that cannot be read
--- http_conf
wasm_module m /proc/self/mem;
--- mistake
wasm module "m": cannot read "/proc/self/mem": Input/output error (os error 5) in http.conf:1


=== TEST 18: an empty file
--- user_files
>>> m.wasm
--- http_conf
wasm_module m ../html/m.wasm;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wasm"): not a WebAssembly module in http.conf:1


=== TEST 19: a file of some other kind
--- http_conf
wasm_module m nginx.conf;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/nginx.conf"): not a WebAssembly module in http.conf:1


=== TEST 20: a binary that is cut off
--- user_files eval
[["m.wasm", "\0asm\1\0\0\0\1\x84"]]
--- config
--- http_config
    wasm_module m ../html/m.wasm;
--- mistake eval
qr{\Awasm module "m" \("\Q$ENV{TEST_NGINX_SERVER_ROOT}\E/conf/\.\./html/m\.wasm"\): invalid WebAssembly module: \S.* in \Q$ENV{TEST_NGINX_SERVER_ROOT}\E/conf/nginx\.conf:\d+\n\z}


=== TEST 21: a binary that breaks the rules of WebAssembly
--- user_files
>>> m.wat
(module (func (result i32)))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): invalid WebAssembly module: type mismatch: expected i32 but nothing on stack (at offset 0x18) in http.conf:1


=== TEST 22: the text format with a mistake: its line and column
--- user_files
>>> m.wat
(module
  (func (nonsense)))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): invalid WebAssembly text: unknown operator or unexpected token at 2:10 in http.conf:1


=== TEST 23: a component is no filter
--- user_files
>>> m.wat
(component)
--- http_conf
wasm_module m ../html/m.wat type=proxy-wasm;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): a WebAssembly component, not a module in http.conf:1


=== TEST 24: a feature that is not enabled: threads
--- user_files
>>> m.wat
(module (memory (export "memory") 1 1 shared) (func (export "proxy_abi_version_0_2_1")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): needs a WebAssembly feature that is not enabled: threads must be enabled for shared memories (at offset 0x15) in http.conf:1


=== TEST 25: a feature that is not enabled: exceptions
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (tag $t) (func (export "proxy_abi_version_0_2_1") (throw $t)))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): needs a WebAssembly feature that is not enabled: exceptions proposal not enabled (at offset 0x19) in http.conf:1


=== TEST 26: a feature that is not enabled: garbage collection
--- user_files
>>> m.wat
(module (type $s (struct)) (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1") (drop (struct.new $s))))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): needs a WebAssembly feature that is not enabled: cannot define struct types when gc types are disabled (at offset 0xb) in http.conf:1


=== TEST 27: a feature that is not enabled: 64-bit memory
--- user_files
>>> m.wat
(module (memory (export "memory") i64 1) (func (export "proxy_abi_version_0_2_1")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): needs a WebAssembly feature that is not enabled: memory64 must be enabled for 64-bit memories (at offset 0x15) in http.conf:1


=== TEST 28: imports that nobody provides are named, all of them
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
  (import "env" "proxy_nonsense" (func))
  (import "wasi_snapshot_preview1" "fd_nonsense" (func))
  (import "env" "memory" (memory 1))
  (export "memory" (memory 0))
  (func (export "proxy_abi_version_0_2_1")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): imports env.proxy_nonsense, wasi_snapshot_preview1.fd_nonsense, env.memory, which this host does not provide in http.conf:1


=== TEST 29: an import of another type
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): imports env.proxy_log as (i32) -> i32, but this host provides it as (i32, i32, i32) -> i32 in http.conf:1


=== TEST 30: a module without an ABI version is no Proxy-Wasm module
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_on_vm_start")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): not a Proxy-Wasm module: exports none of proxy_abi_version_0_1_0, proxy_abi_version_0_2_0, proxy_abi_version_0_2_1 and proxy_abi_version_0_2_100 in http.conf:1


=== TEST 31: an ABI version of another time
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_9_0_0")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): exports proxy_abi_version_9_0_0, but this host supports the Proxy-Wasm ABI 0.1.0, 0.2.0, 0.2.1 and 0.2.100 in http.conf:1


=== TEST 32: a module without a memory
--- user_files
>>> m.wat
(module (func (export "proxy_abi_version_0_2_1")))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): exports no memory of the name "memory" in http.conf:1


=== TEST 33: a callback of another type
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32)))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" ("$TEST_NGINX_SERVER_ROOT/conf/../html/m.wat"): exports proxy_on_request_headers as (i32) -> () instead of (i32, i32, i32) -> i32 or (i32, i32) -> i32 in http.conf:1


=== TEST 34: wasm_filter without arguments
--- http_conf
wasm_filter;
--- mistake
invalid number of arguments in "wasm_filter" directive in http.conf:1


=== TEST 35: a configuration that is not quoted
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
wasm_filter m a b;
--- mistake
wasm_filter takes a name, one configuration and root_id=, not "b"; quote a configuration that has spaces in http.conf:2


=== TEST 36: an unknown module, in a location
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
server {
    location / {
        wasm_filter m;
        wasm_filter typo;
    }
}
--- mistake
unknown wasm module "typo" in http.conf:5


=== TEST 37: an unknown module, in the http block
--- http_conf
wasm_filter typo;
--- mistake
unknown wasm module "typo" in http.conf:1


=== TEST 38: an unknown module, in a server
--- http_conf
server {
    wasm_filter typo;
}
--- mistake
unknown wasm module "typo" in http.conf:2


=== TEST 39: an unknown module, in an if in a location
--- http_conf
server {
    location / {
        if ($arg_a) {
            wasm_filter typo;
        }
    }
}
--- mistake
unknown wasm module "typo" in http.conf:4


=== TEST 40: an unknown module in a level that all its children replace
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
server {
    wasm_filter typo;
    location / {
        wasm_filter m;
    }
}
--- mistake
unknown wasm module "typo" in http.conf:3


=== TEST 41: a configuration from a file that is not there
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
wasm_filter m @none.json;
--- mistake
configuration of wasm filter "m": cannot read "$TEST_NGINX_SERVER_ROOT/conf/none.json": No such file or directory (os error 2) in http.conf:2


=== TEST 42: "wasm_filter off" before another
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
wasm_filter off;
wasm_filter m;
--- mistake
"wasm_filter off" stands beside another wasm_filter directive in http.conf:3


=== TEST 43: "wasm_filter off" behind another
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
wasm_filter m;
wasm_filter off;
--- mistake
"wasm_filter off" stands beside another wasm_filter directive in http.conf:3


=== TEST 44: "wasm_filter off" with a configuration
--- http_conf
wasm_filter off '{}';
--- mistake
"wasm_filter off" takes no configuration in http.conf:1


=== TEST 45: an unknown phase
--- http_conf
wasm_filter_phase content;
--- mistake
invalid value "content" in "wasm_filter_phase" directive, it must be "rewrite" or "access" in http.conf:1


=== TEST 46: a phase twice
--- http_conf
server {
    wasm_filter_phase rewrite;
    wasm_filter_phase rewrite;
}
--- mistake
"wasm_filter_phase" directive is duplicate in http.conf:3


=== TEST 47: a phase without a value
--- http_conf
wasm_filter_phase;
--- mistake
invalid number of arguments in "wasm_filter_phase" directive in http.conf:1


=== TEST 48: a phase in an if
--- http_conf
server {
    location / {
        if ($arg_a) {
            wasm_filter_phase access;
        }
    }
}
--- mistake
"wasm_filter_phase" directive is not allowed here in http.conf:4


=== TEST 49: a module that refuses its configuration, with its own words
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
server {
    location /a { wasm_filter m '{}'; }
    location /b { wasm_filter m '{"fail_configure":true}'; }
    location /c { wasm_filter m '{"trace":true}'; }
}
--- guest_says
[wasm] m: invalid configuration: "fail_configure" is set
--- mistake
wasm module "m" refused its configuration (proxy_on_configure returned false) in http.conf:4


=== TEST 50: a module that cannot read its configuration
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/headers.wasm;
wasm_filter m '{"request":{"remove":[1]}}';
--- guest_says
[wasm] m: invalid configuration: "request.remove" must be a string or an array of strings
--- mistake
wasm module "m" refused its configuration (proxy_on_configure returned false) in http.conf:2


=== TEST 51: a module that refuses to start
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 0)))
--- http_conf
wasm_module m ../html/m.wat;
wasm_filter m;
--- mistake
wasm module "m" refused to start (proxy_on_vm_start returned false) in http.conf:2


=== TEST 52: a trap in the start section
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func $begin unreachable) (start $begin))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" cannot be instantiated: wasm trap: wasm `unreachable` instruction executed in begin in http.conf:1


=== TEST 53: a trap in _initialize
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func $divide (export "_initialize") (drop (i32.div_u (i32.const 1) (i32.const 0)))))
--- http_conf
wasm_module m ../html/m.wat;
wasm_filter m;
--- mistake
wasm module "m" _initialize trapped: wasm trap: integer divide by zero in divide in http.conf:1


=== TEST 54: a trap in _start, of a module that nobody uses
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_0"))
  (func (export "_start") unreachable))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" _start trapped: wasm trap: wasm `unreachable` instruction executed in function 1 in http.conf:1


=== TEST 55: a trap in on_context_create
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func $create (export "proxy_on_context_create") (param i32 i32) unreachable))
--- http_conf
wasm_module m ../html/m.wat;
wasm_filter m;
--- mistake
wasm module "m" proxy_on_context_create trapped: wasm trap: wasm `unreachable` instruction executed in create in http.conf:2


=== TEST 56: a panic in on_configure, with its text
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_filter m '{"configure":[["panic","no way"]]}';
--- mistake eval
qr{\Awasm module "m" proxy_on_configure trapped: .*unreachable.* in \Q$ENV{TEST_NGINX_SERVER_ROOT}\E/html/http\.conf:2\n\z}
--- no_error_log
[alert]
--- error_log eval
[qr/\[crit\] .*\[wasm\] m: panicked at .*no way/]


=== TEST 57: an endless recursion in on_vm_start
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func $deep (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (call $deep (local.get 0) (local.get 1))))
--- http_conf
wasm_module m ../html/m.wat;
wasm_filter m;
--- mistake eval
qr{\Awasm module "m" proxy_on_vm_start trapped: .*stack.* in \Q$ENV{TEST_NGINX_SERVER_ROOT}\E/html/http\.conf:2\n\z}


=== TEST 58: a data segment outside of the memory
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (data (i32.const 65536) "x"))
--- http_conf
wasm_module m ../html/m.wat;
--- mistake
wasm module "m" cannot be instantiated: wasm trap: out of bounds memory access in http.conf:1


=== TEST 59: "nginx -t" tells the same, and exits with 1
--- config
    location = /t { return 204; }
--- init
my ($status, $said) = main::nginx_t("\n  wasm_filter typo;\n");
Test::More::is($status, 1, "exit status");
my @lines = split /\n/, $said;
Test::More::like($lines[0], qr{ \[emerg\] \d+#\d+: unknown wasm module "typo" in \Q$ENV{TEST_NGINX_SERVER_ROOT}\E/html/t\.conf:7\z}, "the mistake");
Test::More::like($lines[-1], qr{test failed\z}, "the verdict");
Test::More::is(scalar @lines, 2, "nothing else");
--- request
GET /t
--- error_code: 204


=== TEST 60: "nginx -t" takes a good configuration, and says nothing else
--- config
    location = /t { return 204; }
--- init
my ($status, $said) = main::nginx_t("wasm_module m $ENV{TEST_NGINX_FILTERS}/fault_injection.wasm;\n"
    . "wasm_filter m '{\"http_status\":200}';\n");
Test::More::is($status, 0, "exit status");
Test::More::like($said, qr{\A[^\n]* syntax is ok\n[^\n]* test is successful\n\z}, "the verdict");
--- request
GET /t
--- error_code: 204


=== TEST 61: "nginx -t" shows a refusing guest's own line
--- config
    location = /t { return 204; }
--- init
my ($status, $said) = main::nginx_t("wasm_module m $ENV{TEST_NGINX_FILTERS}/fault_injection.wasm;\n"
    . "wasm_filter m '{\"http_status\":199}';\n");
Test::More::is($status, 1, "exit status");
Test::More::like($said, qr{ \[error\] \d+#\d+: \[wasm\] m: invalid configuration: "http_status" must be an integer from 200 to 599$}m, "the guest");
Test::More::like($said, qr{ \[emerg\] \d+#\d+: wasm module "m" refused its configuration \(proxy_on_configure returned false\) in \S+/t\.conf:7$}m, "the host");
--- request
GET /t
--- error_code: 204


=== TEST 62: a relative path, the text format, use before the declaration, a module without use
--- user_files
>>> guest.wat
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-guestyes")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2) (i32.const 0) (i32.const 7) (i32.const 7) (i32.const 3)))
    (i32.const 0)))
--- http_conf
wasm_filter guest;
wasm_module unused $TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module guest ../html/guest.wat;
--- config
    location /t { return 200 "served\n"; }
--- request
GET /t
--- response_headers
x-guest: yes
--- response_body
served
--- no_error_log
[alert]
[error]
[emerg]
[wasm]


=== TEST 63: sha256 in lower and in upper case; the same file under two names
--- user_files
>>> guest.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "configured")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 10)))
    (i32.const 1)))
--- http_conf
wasm_module a ../html/guest.wat sha256=803a4cda9a97dec6bdb302f460379192b22ca8d520299b4f9bca717641beddd7;
wasm_module b ../html/guest.wat sha256=803A4CDA9A97DEC6BDB302F460379192B22CA8D520299B4F9BCA717641BEDDD7;
wasm_filter a;
wasm_filter b;
--- config
    location /t { return 200 "served\n"; }
--- request
GET /t
--- response_body
served
--- grep_error_log eval: qr/\[wasm\] .*/
--- grep_error_log_out
[wasm] a: configured
[wasm] b: configured
[wasm] a: configured
[wasm] b: configured


=== TEST 64: all parameters in any order, over several lines
--- http_conf
wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm
    env=A=1
    'vm_config={"trace":true}'
    env=B;
wasm_filter m '{"configure":[["env","A"],["vm_configuration"]]}';
--- config
    location /t { return 200 "served\n"; }
--- request
GET /t
--- response_body
served
--- log_level: info
--- error_log
[wasm] m: env A = 1
[wasm] m: vm_configuration 14 bytes: {"trace":true}


=== TEST 65: an http block without a module, and no http block's filters
--- config
    location /t {
        wasm_filter off;
        wasm_filter_phase access;
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- no_error_log
[error]
[wasm]
