# What a start may take: processor time (start_time=) and memory (memory=) at their defaults, in the check of the configuration, in a
# worker, and when an instance that has trapped is started again; and what the log says where it is not enough.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;

# So many times the work of some nanoseconds, to be used as (call $work).
sub work { return "(func \$work (local \$i i32) (loop \$on (local.set \$i (i32.add (local.get \$i) (i32.const 1))) (br_if \$on (i32.lt_u (local.get \$i) (i32.const $_[0])))))" }

# A filter whose start works, longer than cpu_time=1ms; its request callback traps for requests with a body.
sub starting {
    return guest(fields => work(100_000_000) . '(func (export "_initialize") (call $work))',
        vm_start => '(call $work) (i32.const 1)', configure => '(call $work) (i32.const 1)',
        request_headers => '(if (i32.eqz (local.get 2)) (then unreachable)) (i32.const 0)');
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: a start takes longer than a call may, and so does the next one behind a trap
--- http_config
    wasm_module m ../html/m.wat cpu_time=1ms;
    wasm_module own ../html/m.wat cpu_time=1ms isolation=request;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /own { wasm_filter own; return 200 served; }
--- user_files eval: ">>> m.wat\n" . main::starting()
--- init
my $good = main::body_of(main::get('/good'));
for my $path ('/m', '/own') {
    Test::More::like(main::get($path), qr/\r\n\r\nserved\z/, "$path: started");
    main::costs("$path: a trap", $path, 503, qr/\[wasm\] \w+: proxy_on_request_headers trapped: wasm trap: wasm `unreachable`/, 'body');
    Test::More::like(main::get($path), qr/\r\n\r\nserved\z/, "$path: started again");
}
Test::More::is(main::body_of(main::get('/good')), $good, 'in the same process');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|over \w+_time/



=== TEST 2: where it is not enough, the line names the parameter
--- workers: 1
--- config
--- user_files eval
my $grows = sub { "(if (i32.eq (memory.grow (i32.const $_[0])) (i32.const -1)) (then unreachable)) (i32.const 1)" };
CORE::join "\n", ">>> loops.wat\n" . main::guest(configure => '(call $spin) (i32.const 1)'), ">>> large.wat\n" . main::guest(configure => $grows->(4096)),
    ">>> fits.wat\n" . main::guest(configure => $grows->(4095))
--- init
my $first = 'wasm_module good';
main::reload($first, "wasm_module m ../html/loops.wat start_time=30ms; wasm_filter m; $first");
my @lines = main::wait_for(qr/\[emerg\] \d+#\d+: \K.*/, 1);
Test::More::like($lines[0], qr/\Awasm module "m" proxy_on_configure trapped: over start_time=30ms in spin < /, 'time');
main::reload('../html/loops.wat start_time=30ms', '../html/large.wat');
@lines = main::wait_for(qr/\[emerg\] \d+#\d+: \K.*/, 2);
# A page more than 256m, the default.
Test::More::like($lines[1], qr/\Awasm module "m" proxy_on_configure trapped: .* \(asked for 262208k of memory, memory=256m\)/, 'memory');
main::reload('../html/large.wat', '../html/fits.wat');
main::wait_for(qr/reconfiguring/, 3);
Test::More::like(main::get('/good'), qr/good from/, 'one page less');
Test::More::is(scalar(() = main::matches(qr/\[emerg\]/)), 2, 'is not refused');
--- no_error_log eval: qr/\[alert\]|\[crit\]|panicked/



=== TEST 3: memory that is not used takes none, with an instance for each request
--- http_config
    wasm_module m ../html/m.wat isolation=request;
--- config
    location /m { wasm_filter m; return 200 served; }
--- user_files eval: ">>> m.wat\n" . main::guest(request_headers => '(i32.const 1)')
--- init
# 40 instances at once, each of which may have 256m.
my $resident = sub { open my $in, '<', "/proc/$_[0]/status" or die $!; my ($kib) = map { /VmRSS:\s+(\d+)/ ? $1 : () } <$in>; return $kib };
my ($pid) = main::body_of(main::get('/good')) =~ /(\d+)/;
my $before = $resident->($pid);
my @waiting = map { my $socket = main::connection(); print $socket "GET /m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"; $socket } 1 .. 40;
Test::More::like(main::get('/good'), qr/good from $pid/, 'others are served');
Test::More::cmp_ok($resident->($pid) - $before, '<', 40 * 1024, 'less than 40m for all of them');
close $_ for @waiting;
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked/
