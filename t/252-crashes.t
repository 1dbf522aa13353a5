# Processes that die or are given up: crashes of workers, kills under heavy changes of shared memory,
# worker_shutdown_timeout; and nginx as one process. See also t/022-processes.t and t/123-killed-workers.t.

use Test::Nginx::Socket 'no_plan';
use Control;
use Servers;
use Shared;

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_2});

no_long_string();

our $version = '{"response_headers":[["set_header","response","x-version","one"]],"request_headers":[["if_path","/a?trap",[["abort"]]]]}';

run_tests();

__DATA__

=== TEST 1: four workers, each of which crashes: the others serve, and another one comes with its filters
--- workers: 4
--- http_config eval: "wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\n" . main::shared_server('m')
--- config eval: "location /a { wasm_filter m '$::version'; return 200 \$pid; } location /t { return 204; }"
--- init
my $master = main::pid();
for my $signal (qw(SEGV BUS ILL ABRT)) {
    my %workers = main::worker_sockets(4);
    my ($victim) = sort { $a <=> $b } keys %workers;
    # Wasmtime gives a signal that is no trap to who had it before, and goes on: a true crash comes
    # again at once.
    Test::More::ok(main::wait_until(sub { kill $signal => $victim; !main::is_alive($victim) }), "$signal: it is gone");
    Test::More::like(main::get('/a'), qr/x-version: one\r\n/, "$signal: others serve");
    for my $other (grep { $_ != $victim } keys %workers) {
        Test::More::is(main::ask('/', {}, $workers{$other})->{pid}, $other, "$signal: worker $other");
    }
    Test::More::ok(main::wait_until(sub { 4 == main::workers_of($master) }), "$signal: four again");
}
my %workers = main::worker_sockets(4);
for my $socket (values %workers) {
    Test::More::is(main::set_data('m', 'k', 'v', 0, $socket), 0, 'every one has its filters');
}
Test::More::like(main::get('/a?trap'), qr{\AHTTP/1.1 503 }, 'traps are no crashes');
Test::More::is_deeply([sort keys %workers], [sort(main::workers_of($master))], 'all the same');
--- request
GET /t
--- error_code: 204
--- no_error_log
[emerg]
panicked


=== TEST 2: workers killed in the midst of changes to shared data, queues and metrics
Each round hammers in all workers until one is killed. A kill that hit a change is in the log.
--- workers: 4
--- http_config eval
my $long = [["let", "v", "0123456789abcdef"], ["repeat", 11, [["let", "v", {join => [{var => "v"}, {var => "v"}]}]]]];
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:512k;
wasm_shared_queue zone=q:512k;
" . main::shared_server('m', {
    hammer => [@$long, ["register_queue", "hammer", "q"],
        ["repeat", 10000000, [
            ["let", "i", {add => [{var => "i"}, 1]}],
            ["set_shared_data", {join => ["k", {var => "i"}]}, {var => "v"}, 0],
            ["enqueue", {var => "q"}, {var => "v"}],
            ["dequeue", {var => "q"}, "x"],
            ["increment_metric", {var => "m"}, 1]]]],
    # One more, whatever others do meanwhile.
    count => [["let", "done", "no"], ["repeat", 1000, [
        ["get_shared_data", "counter", "n"],
        ["set_shared_data", "counter", {add => [{var => "n"}, 1]}, {var => "n.cas"}],
        ["if", {var => "status"}, "0", [["let", "done", "yes"], ["break"]]]]],
        ["local_response", 200, [], {join => [{var => "done"}, " ", {var => "n"}]}]],
})
--- config
    location /a { wasm_filter m '{"configure":[["register_queue","hammer","q"]]}'; return 204; }
    location /t { return 204; }
--- init
my $master = main::pid();
my (@bad, $hits);
for my $round (1 .. 25) {
    my %workers = main::worker_sockets(4);
    my ($other, @victims) = sort { $a <=> $b } keys %workers;
    print { $workers{$_} } "GET /m/hammer HTTP/1.1\r\nHost: localhost\r\n\r\n" for @victims;
    Time::HiRes::sleep(0.005 + rand 0.02);
    for my $victim (@victims) {
        kill KILL => $victim;
        push @bad, "round $round: set" if main::set_data('m', "after", "set $victim", 0, $workers{$other}) ne '0';
        my $queue = main::resolve('m', '', 'hammer', $workers{$other});
        push @bad, "round $round: queue $queue" if $queue !~ /\A\d+\z/;
    }
    # The last of them is dead.
    push @bad, "round $round: set" if main::set_data('m', "after", "set", 0, $workers{$other}) ne '0';
    my ($value, $cas) = main::get_data('m', 'after', $workers{$other});
    push @bad, "round $round: get" if ($value // '') ne "set";
    push @bad, "round $round: swap" if main::set_data('m', 'after', 'swapped', $cas // 0, $workers{$other}) ne '0';
    push @bad, "round $round: swap twice" if main::set_data('m', 'after', 'again', $cas // 0, $workers{$other}) eq '0';
    main::wait_until(sub { 4 == main::workers_of($master) });
    $hits = () = main::matches(qr/a process died while it changed the shared memory zone/);
}
Test::More::is_deeply(\@bad, [], 'those that are left go on at once');
Test::More::diag("$hits of 75 kills were in the midst of a change");
Test::More::cmp_ok($hits, '>', 0, 'some kills were in the midst of a change');
# What is counted now is not lost, by whichever worker.
my %workers = main::worker_sockets(4);
my @sockets = values %workers;
main::set_data('m', 'counter', '0', 0, $sockets[0]);
my @counted = map { main::ask('/m/count', {}, $sockets[$_ % 4])->{body} } 0 .. 199;
Test::More::is_deeply([grep { !/\Ayes / } @counted], [], 'all are counted');
Test::More::is((main::get_data('m', 'counter', $sockets[1]))[0], 200, 'each once');
--- request
GET /t
--- error_code: 204
--- no_error_log
exited on signal 11
exited on signal 6
[emerg]
panicked


=== TEST 3: worker_shutdown_timeout ends what is paused, and calls, and ticks; contexts end
--- workers: 1
--- main_config
    worker_shutdown_timeout 500ms;
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module tick $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { return 200 "$pid"; }
    location /request { wasm_filter m '{"trace":true,"request_headers":[["action","pause"]]}'; return 204; }
    location /response { wasm_filter m '{"trace":true,"response_headers":[["action","pause"]]}'; return 204; }
    location /call { wasm_filter m '{"trace":true,"request_headers":[["http_call","a","127.0.0.1:$TEST_NGINX_PORT_9",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],60000],["action","pause"]]}'; return 204; }
    location /last { wasm_filter m '{"trace":true,"log":[["http_call","a","127.0.0.1:$TEST_NGINX_PORT_9",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],60000]]}'; return 204; }
    location /tick { wasm_filter tick '{"trace":true,"request_headers":[["effective_context","root"],["set_tick",20]],"tick":[["set_tick",0],["http_call","a","127.0.0.1:$TEST_NGINX_PORT_9",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],60000]]}'; return 204; }
    location /t { return 204; }
--- init
my $silent = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$ENV{TEST_NGINX_PORT_9}", Listen => 64, ReuseAddr => 1, Timeout => $main::PATIENCE) or die "listen: $!";
my $old = main::body_of(main::get('/a'));
main::get('/tick');
my @paused = map {
    my $socket = main::connection();
    print $socket "GET $_ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $socket;
} qw(/request /response /call);
main::get('/last');
main::wait_for(qr/ $old#\d+: \*\d+ \[wasm\] m: on_(?:request|response)_headers id=/, 5);
main::wait_for(qr/ $old#\d+: \[wasm\] tick: on_tick/);
my @calls = map { $silent->accept } 1 .. 3;
kill HUP => main::pid();
my $begin = Time::HiRes::time();
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the worker is gone');
my $seconds = Time::HiRes::time() - $begin;
Test::More::cmp_ok($seconds, '>', 0.4, 'not before its time');
Test::More::cmp_ok($seconds, '<', 50, 'before the calls would end');
Test::More::is(main::receive($_), '', 'a request ends with its connection') for @paused;
my @created = main::matches(qr/ $old#\d+: (?:\*\d+ )?\[wasm\] m: \Kon_context_create id=\d+/);
for my $callback (qw(done delete)) {
    my @ended = main::matches(qr/ $old#\d+: (?:\*\d+ )?\[wasm\] m: \Kon_$callback id=\d+/);
    Test::More::is("@{[sort map { /(\d+)/ } @ended]}", "@{[sort map { /(\d+)/ } @created]}", "on_$callback once for each context");
}
my $new = main::body_of(main::get('/a'));
Test::More::isnt($new, $old, 'another one serves');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
exited on signal
panicked


=== TEST 4: one process for all: traps, ticks and a loop cost what they cost elsewhere
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm cpu_time=50ms;
--- config eval
"location /a { wasm_filter m '$::version'; return 200 \$pid; }
location /spin { wasm_filter m '{\"request_headers\":[[\"spin\"]]}'; return 200; }
location /tick { wasm_filter m '{\"trace\":true,\"configure\":[[\"set_tick\",20]]}'; return 204; }
location /t { return 204; }"
--- init
my $pid = main::pid();
Test::More::is(scalar(main::workers_of($pid)), 0, 'no other process');
for my $path ('/a?trap', '/spin') {
    Test::More::like(main::get($path), qr{\AHTTP/1.1 503 }, $path);
    my $answer = main::get('/a');
    Test::More::like($answer, qr/x-version: one\r\n/, "the filter behind $path");
    Test::More::is(main::body_of($answer), $pid, "the process behind $path");
    my $ticks = main::matches(qr/on_tick/);
    Test::More::cmp_ok(scalar main::wait_for(qr/on_tick/, $ticks + 3), '>=', $ticks + 3, "ticks behind $path");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 5: ticks that always have a call under way do not keep a worker that is to exit
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true,"configure":[["set_tick",20]],"tick":[["http_call","a","127.0.0.1:$TEST_NGINX_PORT_2",[[":method","GET"],[":path","/delay/0.2"],[":authority","a"]],"",[],5000]]}'; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $old = main::body_of(main::get('/a'));
main::wait_for(qr/on_http_call_response/, 2);
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the old worker is gone');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked
