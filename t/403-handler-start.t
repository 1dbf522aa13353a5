# wasm_handler: plugins that do not start in a worker are tried again at intervals that grow.

use Test::Nginx::Socket 'no_plan';
use Handler;
use Wire;

log_level('info');
no_long_string();
worker_connections(512);

# Plugins that start as long as the shared data "b" has no value: not in the check of the configuration, where there is none.
our $extism = <<'_EOC_';
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/user" "shared_data_get" (func $get (param i64) (result i64)))
  (func $key (param $byte i32) (result i64)
    (local $at i64)
    (local.set $at (call $alloc (i64.const 1)))
    (call $store (local.get $at) (local.get $byte))
    (local.get $at))
  (func $broken (export "_initialize")
    (if (i64.ne (call $length (call $get (call $key (i32.const 98)))) (i64.const 0)) (then unreachable)))
_EOC_
our $waits = <<'_EOC_';
  (import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))
  (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
  (import "extism:host/env" "input_length" (func $input (result i64)))
_EOC_
our $wapc = <<'_EOC_';
(module
  (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response_len" (func $length (result i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "bshared_dataget")
  (func $broken (export "wapc_init")
    (drop (call $call (i32.const 8) (i32.const 1) (i32.const 9) (i32.const 11) (i32.const 20) (i32.const 3) (i32.const 0) (i32.const 0)))
    (if (call $length) (then unreachable)))
  (func (export "__guest_call") (param i32 i32) (result i32)
    (call $response (i32.const 9) (i32.const 6))
    (i32.const 1)))
_EOC_
our $files = ">>> e.wat\n(module\n$extism (func (export \"f\") (result i32) (i32.const 0)))\n"
    # Without input it asks the server of its configuration.
    . ">>> h.wat\n(module\n$waits$extism (func (export \"f\") (result i32)"
    . '(if (i64.eqz (call $input)) (then (drop (call $http (call $config (call $key (i32.const 117))) (i64.const 0))))) (i32.const 0)))'
    . "\n>>> w.wat\n$wapc";

our $modules = <<'_EOC_';
wasm_module set $TEST_NGINX_FILTERS/wapc_test.wasm vm_id=both;
wasm_module e  ../html/e.wat vm_id=both;
wasm_module er ../html/e.wat vm_id=both isolation=request;
wasm_module h  ../html/h.wat vm_id=both;
wasm_module w  ../html/w.wat vm_id=both;
wasm_module wr ../html/w.wat vm_id=both isolation=request;
_EOC_
our $locations = <<'_EOC_';
    location /set { wasm_handler set function=host_call; }
    location /metrics { wasm_metrics; }
    location /status { stub_status; }
    location /e { wasm_handler e; }
    location /er { wasm_handler er; }
    location /h { wasm_handler h; }
    location /w { wasm_handler w function=x; }
    location /wr { wasm_handler wr function=x; }
_EOC_
our $bad = $Handler::alive;

# The shared data "b" has a value from now on, or an empty one.
sub breaks { return Handler::short('/set', "b/shared_data/set/$_[0]") }

sub status { return (Handler::short(@_) =~ /^(\d+)/)[0] }

# So often this is in the log.
sub count { my $what = shift; return scalar(() = Wire::log_text() =~ /$what/g) }

run_tests();

__DATA__

=== TEST 1: a plugin that does not start is tried after 1, 2 … s, whatever its kind; 503 meanwhile, and a line for each attempt
--- http_config eval: $::modules
--- config eval: $::locations
--- user_files eval: $::files
--- client eval
sub {
    my @names = qw(e er h w wr);
    ::breaks('yes');
    my (%asked, %wrong);
    my $tried = sub { my $name = shift; ::count(qr/\[error\] .*\[wasm\] $name: \w+ trapped: .* in broken; tried again in \d+ s, client/) };
    wait_for(sub {
        for my $name (@names) {
            $asked{$name}++;
            my $status = ::status("/$name", 'x');
            $wrong{"$name: $status"}++ if $status ne 503;
        }
        return 3 == grep { $tried->($_) >= 3 } @names[0, 2, 4];
    });
    my %failed = map { $_ => $tried->($_) } @names;
    my %left_alone = map { $_ => ::count(qr/\[info\] .*\[wasm\] $_: did not start a moment ago, client/) } @names;
    my @times = map { my $name = $_; "$name " . CORE::join ' ', (Wire::log_text() =~ /\[wasm\] $name: .*; tried again in (\d+) s/g)[0 .. 2] } @names[0, 2, 4];
    my (undef, $page) = post('/metrics', '', method => 'GET');
    my %counted = $page =~ /^nginx_wasm_instance_start_failures_total\{module="(\w+)"\} (\d+)/mg;
    my %traps = $page =~ /^nginx_wasm_traps_total\{module="(\w+)",reason="unreachable"\} (\d+)/mg;
    my %running = $page =~ /^nginx_wasm_instances\{module="(\w+)"\} (\d+)/mg;
    my @rows = (%wrong, @times, map {
        CORE::join ' ', $_, $failed{$_} + $left_alone{$_} == $asked{$_} ? 'each told once' : "$failed{$_} + $left_alone{$_} of $asked{$_}",
            $counted{$_} == $failed{$_} && $traps{$_} == $failed{$_} ? 'counted' : "counted $counted{$_}, $traps{$_}", "$running{$_} running"
    } @names);
    ::breaks('');
    for my $name (@names) {
        my $answered = wait_for(sub { ::status("/$name", 'x') == 200 });
        push @rows, "$name " . ($answered && ::count(qr/\[notice\] .*\[wasm\] $name: started, after \d+ attempts that failed/));
    }
    rows(@rows);
}
--- client_out
e 1 2 4
h 1 2 4
wr 1 2 4
e each told once counted 0 running
er each told once counted 0 running
h each told once counted 0 running
w each told once counted 0 running
wr each told once counted 0 running
e 1
er 1
h 1
w 1
wr 1
--- no_error_log eval: $::bad



=== TEST 2: while a second instance does not start, requests wait for the one that runs
--- http_config eval
qq{$::modules wasm_module one ../html/h.wat vm_id=both allowed_hosts=127.0.0.1 'config=u:{"url":"http://127.0.0.1:$ENV{TEST_NGINX_PORT_9}/"}';}
--- config eval: "$::locations location /one { wasm_handler one; }"
--- user_files eval: $::files
--- client eval
sub {
    my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_9}, Listen => 10, ReuseAddr => 1) || die "cannot listen: $!";
    my $client = connection();
    $client->write("GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $call = $server->accept;
    ::breaks('yes');
    # One process does all. It sees all of them at once: before another attempt is due.
    open my $file, '<', $Test::Nginx::Util::PidFile or die "no pid: $!";
    my $pid = <$file> + 0;
    kill STOP => $pid;
    my @others = map { my $other = connection(); $other->write("POST /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"); $other } 1 .. 6;
    kill CONT => $pid;
    my @rows = log_has(qr/\[wasm\] one: .*tried again in 1 s/) ? 'one tries' : 'none tries';
    push @rows, wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: 7\b/ }) ? 'others wait' : 'they do not wait';
    print $call "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    $call->flush;
    rows(@rows, sort map { $_->rest =~ m{^HTTP/1.1 (\d+)} } $client, @others);
}
--- client_out
one tries
others wait
200
200
200
200
200
200
503
--- no_error_log eval: $::bad



=== TEST 3: what a plugin's module may not say
--- http_config
wasm_module m $TEST_NGINX_FILTERS/extism_hello.wasm on_failure=open;
--- config
--- must_die
--- error_log
on_failure= is not for plugins: use error_status= of wasm_handler



=== TEST 4: nor a waPC guest's
--- http_config
wasm_module m $TEST_NGINX_FILTERS/wapc_test.wasm on_failure=closed;
--- config
--- must_die
--- error_log
on_failure= is not for plugins: use error_status= of wasm_handler



=== TEST 5: nor a filter's
--- http_config
wasm_module m $TEST_NGINX_FILTERS/http_headers.wasm queue=10;
--- config
--- must_die
--- error_log
queue= is not for Proxy-Wasm filters
