# What a guest may use, and what happens when it wants more: the limits of wasm_module.

use Test::Nginx::Socket 'no_plan';
use Control;

# Guests that do one thing in one callback; the body of the callback is given. `$turn` counts its calls.
sub guest {
    my ($callback, $parameters, $result, $body, $more) = @_;
    my $extra = $callback eq 'context_create' || $callback eq 'vm_start' || $callback eq 'configure' ? 2 : 1;
    return <<"_EOC_";
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func \$spin (loop \$on (br \$on)))
  (func \$down (call \$down))
  @{[$more // '']}
  (func (export "proxy_on_$callback") (param @{['i32 ' x $parameters]}) $result
    $body))
_EOC_
}

our %answers = (context_create => [2, ''], vm_start => [2, '(result i32)'], configure => [2, '(result i32)'], tick => [1, ''],
    request_headers => [3, '(result i32)'], request_body => [3, '(result i32)'], response_headers => [3, '(result i32)'],
    response_body => [3, '(result i32)'], done => [1, '(result i32)'], log => [1, ''], delete => [1, '']);

sub spinning {
    my $callback = shift;
    my ($parameters, $result) = @{$answers{$callback}};
    return guest($callback, $parameters, $result, '(call $spin)' . ($result ? '(i32.const 1)' : ''));
}

# A stream's context alone: the root's is made when the worker starts.
our $spins_in_streams = guest('context_create', 2, '', '(if (local.get 1) (then (call $spin)))');

our $good = 'wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $beside = 'location /good { wasm_filter good "{}"; return 200 "good from $pid"; } location /t { return 204; }';

no_long_string();
run_tests();

__DATA__

=== TEST 1: a loop without end in each callback of a request costs that request, after cpu_time
--- http_config eval
CORE::join '', $::good, map { "wasm_module $_ ../html/$_.wat cpu_time=20ms;" } qw(context_create request_headers request_body response_headers response_body done log delete)
--- config eval
$::beside . CORE::join '', map { "location /$_ { wasm_filter $_; return 200 served; }" } qw(context_create request_headers request_body response_headers response_body done log delete)
--- user_files eval
CORE::join "\n", map { ">>> $_.wat\n" . ($_ eq 'context_create' ? $::spins_in_streams : main::spinning($_)) } qw(context_create request_headers request_body response_headers response_body done log delete)
--- init
my $pid = main::body_of(main::get('/good'));
my $lines = 0;
for my $case ([context_create => 503], [request_headers => 503], [request_body => 503], [response_headers => 503], [response_body => 503],
    [done => 200], [log => 200], [delete => 200]) {
    my ($callback, $status) = @$case;
    Test::More::like(main::get("/$callback", "Content-Length: 1\r\n\r\nx"), qr{\AHTTP/1\.1 $status }, "$callback: status");
    my @lines = main::wait_for(qr/\[error\] .*\[wasm\] \K\w+: \w+ trapped: .*?, client/, ++$lines);
    Test::More::like($lines[-1], qr/\A$callback: proxy_on_$callback trapped: over cpu_time=20ms in spin < function \d+(?: while logging request)?, client\z/, "$callback: the line");
    Test::More::is(main::body_of(main::get('/good')), $pid, "$callback: another filter, the same process");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked



=== TEST 2: a loop without end in a tick
--- http_config
    wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module m ../html/tick.wat cpu_time=20ms;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /good { wasm_filter good '{}'; return 200 good; }
    location /t { return 204; }
--- user_files eval
">>> tick.wat\n" . main::guest('tick', 1, '', '(call $spin)', '(import "env" "proxy_set_tick_period_milliseconds" (func $ticks (param i32) (result i32)))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (drop (call $ticks (i32.const 10))) (i32.const 1))') =~ s/(\(memory .*?\n)(.*)(  \(import .*?\n)/$3$1$2/sr
--- init
Test::More::like((main::wait_for(qr/\[error\] .*\[wasm\] \Km: .*/))[0], qr/\Am: proxy_on_tick trapped: over cpu_time=20ms in spin < function \d+\z/, 'the line');
Test::More::is(main::body_of(main::get('/m')), 'served', 'the next request');
Test::More::is(main::body_of(main::get('/good')), 'good', 'another filter');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked



=== TEST 3: recursion without end
--- http_config
    wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module small ../html/m.wat stack=64k;
    wasm_module large ../html/m.wat stack=2m;
--- config
    location /small { wasm_filter small; return 200 served; }
    location /large { wasm_filter large; return 200 served; }
    location /good { wasm_filter good '{}'; return 200 $pid; }
    location /t { return 204; }
--- user_files eval
">>> m.wat\n" . main::guest('request_headers', 3, '(result i32)', '(call $down) (i32.const 0)')
--- init
my $pid = main::body_of(main::get('/good'));
for my $name (qw(small large)) {
    Test::More::like(main::get("/$name"), qr{\AHTTP/1\.1 503 }, "$name: status");
    Test::More::like((main::wait_for(qr/\[error\] .*\[wasm\] \K$name: .*/))[0], qr/\A$name: proxy_on_request_headers trapped: wasm trap: call stack exhausted in down < down < down/, "$name: the line");
    Test::More::is(main::body_of(main::get('/good')), $pid, "$name: another filter, the same process");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked



=== TEST 4: memory without end: growing fails in the guest
It answers with the pages that it has got.
--- http_config
    wasm_module m ../html/m.wat memory=1m;
--- config
    location /m { wasm_filter m; return 200 served; }
    location /t { return 204; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (drop (call $answer (i32.add (i32.const 400) (memory.size)) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
--- init
Test::More::like(main::get('/m'), qr{\AHTTP/1\.1 416 }, '16 pages of 64k');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 5: a worker without traffic sleeps, and so does its thread; nginx's signals reach it
--- http_config
    wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /good { wasm_filter good '{}'; return 200 $pid; }
    location /t { return 204; }
--- init
my $pid = main::body_of(main::get('/good'));
my $threads = sub { my $process = shift; my @ids = map { m{/(\d+)\z} } glob("/proc/$process/task/*"); return @ids };
my $switches = sub { my $id = shift; open my $status, '<', "/proc/$pid/task/$id/status" or return -1; return (map { /^voluntary_ctxt_switches:\s+(\d+)/ } <$status>)[0] };
my @others = grep { $_ != $pid } $threads->($pid);
Test::More::is(scalar @others, 1, 'one thread beside the main one');
open my $status, '<', "/proc/$pid/task/$others[0]/status" or die $!;
my ($blocked) = map { /^SigBlk:\s+[0-9a-f]{8}([0-9a-f]{8})/ } <$status>;
# SIGHUP 1, SIGINT 2, SIGQUIT 3, SIGUSR1 10, SIGUSR2 12, SIGALRM 14, SIGTERM 15, SIGCHLD 17, SIGIO 29
my $nginx = 0;
$nginx |= 1 << ($_ - 1) for 1, 2, 3, 10, 12, 14, 15, 17, 29;
Test::More::is(hex($blocked) & $nginx, $nginx, 'which takes none of the signals that nginx handles');
select undef, undef, undef, 0.1;
my $before = $switches->($others[0]);
select undef, undef, undef, 0.5;
Test::More::cmp_ok($switches->($others[0]) - $before, '<=', 1, 'and is parked while no guest runs');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked
