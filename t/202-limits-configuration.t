# The limits of wasm_module as nginx reads them, and modules that do not start within theirs. As in
# 010-config.t, `--- mistake` is the whole of the lines at level emerg.

use Test::Nginx::Socket 'no_plan';
use Control;

my $html = html_dir();

add_block_preprocessor(sub {
    my $block = shift;
    my $conf = $block->http_conf;
    if (defined $conf) {
        $block->set_value(user_files => ($block->user_files // $main::module) . ">>> http.conf\n$conf");
        $block->set_value(http_config => "    include $html/http.conf;");
        $block->set_value(config => '');
    }
    if (defined(my $mistake = $block->mistake)) {
        $mistake =~ s/ in http\.conf:/ in $html\/http.conf:/g;
        $block->set_value(must_die => '');
        $block->set_value(suppress_stderr => '');
        $block->set_value(grep_error_log => qr/\[emerg\] \d+#\d+: \K.*/);
        $block->set_value(grep_error_log_out => $mistake);
        $block->set_value(no_error_log => "[alert]\n[crit]\npanicked");
    }
});

our $module = qq{>>> m.wat\n(module (memory (export "memory") 2) (table 20 funcref) (func (export "proxy_abi_version_0_2_1")))\n};

# `nginx -t` over a configuration in html/: its exit status, what it prints, the seconds it takes.
sub nginx_t {
    my ($conf, $before) = @_;
    open my $out, '>', "$html/t.conf" or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\n",
        "pid $html/t.pid;\nevents {}\nhttp {\n${conf}server {}\n}\n";
    close $out;
    my $root = $ENV{TEST_NGINX_SERVER_ROOT};
    my $command = "$ENV{TEST_NGINX_BINARY} -t -p $root/ -e stderr -c $html/t.conf 2>&1";
    my $started = Time::HiRes::time();
    my $said = defined $before ? `$before; $command` : `$command`;
    return ($? >> 8, $said, Time::HiRes::time() - $started);
}

# A module that loops in one function.
sub looping {
    my $function = shift;
    return qq{>>> m.wat\n(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func \$spin (loop \$on (br \$on))) $function)\n};
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: values that no parameter can have
--- user_files eval: $::module
--- config
    location /t { return 204; }
--- init
my $size = sub { return "a size from $_[0] to $_[1]" };
for my $case (
    ['memory=', $size->('64k', '4096m')], ['memory=0', $size->('64k', '4096m')], ['memory=63k', $size->('64k', '4096m')], ['memory=4097m', $size->('64k', '4096m')],
    ['memory=-1', $size->('64k', '4096m')], ['memory=1x', $size->('64k', '4096m')],
    ['cpu_time=', 'a time from 1ms to 3600s'], ['cpu_time=0', 'a time from 1ms to 3600s'], ['cpu_time=0ms', 'a time from 1ms to 3600s'],
    ['cpu_time=2h', 'a time from 1ms to 3600s'], ['cpu_time=fast', 'a time from 1ms to 3600s'],
    ['start_time=', 'a time from 1ms to 3600s'], ['start_time=0', 'a time from 1ms to 3600s'], ['start_time=2h', 'a time from 1ms to 3600s'],
    ['stack=', $size->('64k', '2m')], ['stack=63k', $size->('64k', '2m')], ['stack=2049k', $size->('64k', '2m')], ['stack=x', $size->('64k', '2m')],
    ['table=', 'a number from 0 to 4294967295'], ['table=-1', 'a number from 0 to 4294967295'], ['table=1k', 'a number from 0 to 4294967295'], ['table=4294967296', 'a number from 0 to 4294967295'],
    ['instances=0', 'a number from 1 to 100000'], ['instances=100001', 'a number from 1 to 100000'],
    ['log_rate=', 'a number from 1 to 4294967295 or "off"'], ['log_rate=0', 'a number from 1 to 4294967295 or "off"'], ['log_rate=on', 'a number from 1 to 4294967295 or "off"'],
) {
    my ($parameter, $must) = @$case;
    my ($name, $value) = $parameter =~ /(.*)=(.*)/;
    my ($status, $said) = main::nginx_t("wasm_module m $main::html/m.wat $parameter;\n");
    Test::More::is($status, 1, "$parameter: refused");
    Test::More::is(join('', $said =~ /\[emerg\] \d+#\d+: (.*)/g), qq{wasm module "m": invalid value "$value" of $name=, it must be $must in $main::html/t.conf:6}, 'with this line');
}
my ($status, $said) = main::nginx_t("wasm_module m $main::html/m.wat memory=1m memory=2m;\n");
Test::More::like($said, qr/\[emerg\] \d+#\d+: wasm module "m": duplicate parameter memory= in /, 'twice');
($status) = main::nginx_t("wasm_module m $main::html/m.wat memory=128k cpu_time=1ms start_time=1ms stack=64k table=20 instances=1 log_rate=1;\n");
Test::More::is($status, 0, 'the least');
($status) = main::nginx_t("wasm_module m $main::html/m.wat memory=4096m cpu_time=1h start_time=1h stack=2m table=4294967295 instances=100000 log_rate=off;\n");
Test::More::is($status, 0, 'the most');
--- request
GET /t
--- error_code: 204



=== TEST 2: a stack that does not fit the process's
--- user_files eval: $::module
--- config
    location /t { return 204; }
--- init
my ($status, $said) = main::nginx_t("wasm_module m $main::html/m.wat;\n", 'ulimit -s 512');
Test::More::is($status, 1, 'refused');
Test::More::like($said, qr/\[emerg\] \d+#\d+: wasm module "m": stack=512k does not fit, this process can have 384k \(see ulimit -s\) in .*:6$/m, 'the default');
($status) = main::nginx_t("wasm_module m $main::html/m.wat stack=384k;\n", 'ulimit -s 512');
Test::More::is($status, 0, 'less');
($status) = main::nginx_t("wasm_module m $main::html/m.wat stack=2m;\n", 'ulimit -s unlimited');
Test::More::is($status, 0, 'without a limit');
--- request
GET /t
--- error_code: 204



=== TEST 3: a module that needs more memory to start
--- http_conf
wasm_module m ../html/m.wat memory=64k;
--- mistake
wasm module "m" cannot be instantiated: memory minimum size of 2 pages exceeds memory limits (asked for 128k of memory, memory=64k) in http.conf:1



=== TEST 4: a module that needs a larger table to start
--- http_conf
wasm_module m ../html/m.wat table=19;
--- mistake
wasm module "m" cannot be instantiated: table minimum size of 20 elements exceeds table limits (asked for 20 table elements, table=19) in http.conf:1



=== TEST 5: a loop without end in the start section
--- user_files eval: main::looping('(start $spin)')
--- http_conf
wasm_module m ../html/m.wat start_time=50ms;
--- mistake
wasm module "m" cannot be instantiated: over start_time=50ms in spin in http.conf:1



=== TEST 6: a loop without end in _initialize
--- user_files eval: main::looping('(func (export "_initialize") (call $spin))')
--- http_conf
wasm_module m ../html/m.wat start_time=50ms;
--- mistake
wasm module "m" _initialize trapped: over start_time=50ms in spin < function 2 in http.conf:1



=== TEST 7: a loop without end in on_vm_start
--- user_files eval: main::looping('(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $spin) (i32.const 1))')
--- http_conf
wasm_module m ../html/m.wat start_time=50ms;
wasm_filter m;
--- mistake
wasm module "m" proxy_on_vm_start trapped: over start_time=50ms in spin < function 2 in http.conf:2



=== TEST 8: a loop without end in on_configure
--- user_files eval: main::looping('(func (export "proxy_on_configure") (param i32 i32) (result i32) (call $spin) (i32.const 1))')
--- http_conf
wasm_module m ../html/m.wat start_time=50ms;

wasm_filter m;
--- mistake
wasm module "m" proxy_on_configure trapped: over start_time=50ms in spin < function 2 in http.conf:3



=== TEST 9: recursion without end at the start
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func $down (export "_initialize") (call $down)))
--- http_conf
wasm_module m ../html/m.wat stack=64k;
--- config
    location /t { return 204; }
--- mistake eval
CORE::join ' < ', 'wasm module "m" _initialize trapped: wasm trap: call stack exhausted in down', (('down') x 18), "down (stack=64k) in http.conf:1\n"



=== TEST 10: the check takes about as long as it may
--- user_files eval: main::looping('(start $spin)')
--- config
    location /t { return 204; }
--- init
my ($status, $said, $seconds) = main::nginx_t("wasm_module m $main::html/m.wat start_time=300ms;\n");
Test::More::is($status, 1, 'refused');
Test::More::cmp_ok($seconds, '>=', 0.3, 'not before its time is over');
Test::More::cmp_ok($seconds, '<', 60, 'and not much later');
--- request
GET /t
--- error_code: 204



=== TEST 11: no thread where nginx forks; one in each worker; nginx's signals arrive
--- workers: 2
--- http_config
    wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /good { wasm_filter good '{}'; return 200 $pid; }
    location /t { return 204; }
--- init
my $threads = sub { my @all = glob("/proc/$_[0]/task/*"); return scalar @all };
my $workers = sub { open my $in, '<', "/proc/$_[0]/task/$_[0]/children" or return (); return split ' ', <$in> // '' };
my $master = main::pid();
my @old = $workers->($master);
Test::More::is($threads->($master), 1, 'the master');
for my $worker (@old) { Test::More::ok(main::wait_until(sub { $threads->($worker) == 2 }), 'a worker has a second one') }
kill HUP => $master;
Test::More::ok(main::wait_until(sub { my @new = $workers->($master); @new == 2 && !grep { my $new = $_; grep { $_ == $new } @old } @new }), 'HUP: new workers');
Test::More::is($threads->($master), 1, 'the master after a reload');
my @new = $workers->($master);
kill TERM => $new[0];
Test::More::ok(main::wait_until(sub { my @now = $workers->($master); @now == 2 && !grep { $_ == $new[0] } @now }), 'TERM: a worker goes, and is replaced');
Test::More::like(main::get('/good'), qr{\AHTTP/1\.1 200 }, 'it serves');
Test::More::ok(main::quit(), 'QUIT: nginx is gone');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 12: master_process off: a loop without end ends, and the process goes on and goes
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func $spin (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (loop $on (br $on)) (i32.const 0)))
--- http_config
    wasm_module m ../html/m.wat cpu_time=50ms;
--- config
    location /m { wasm_filter m; return 204; }
    location /pid { return 200 $pid; }
    location /t { return 204; }
--- init
my $pid = main::pid();
my @threads = glob("/proc/$pid/task/*");
Test::More::is(scalar @threads, 2, 'the thread');
for my $round (1, 2) {
    Test::More::like(main::get('/m'), qr{\AHTTP/1\.1 503 }, 'the status');
    Test::More::is(main::body_of(main::get('/pid')), $pid, 'the same process');
}
Test::More::is(scalar main::matches(qr/\[error\] .*\[wasm\] m: proxy_on_request_headers trapped: over cpu_time=50ms in spin, client/), 2, 'the lines');
Test::More::ok(main::quit(), 'QUIT');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked
