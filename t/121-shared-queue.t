# Shared queues: order, who is told and when, several workers, reload, killed workers, traps.

use Test::Nginx::Socket 'no_plan';
use Control;
use Shared;

no_long_string();
run_tests();

__DATA__

=== TEST 1: register, resolve, put, take
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module n \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module o \$TEST_NGINX_FILTERS/hostcalls.wasm vm_id=o-id;
" . main::shared_server('m', 'n', 'o')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","one","a"],["register_queue","two","b"],["register_queue","one","c"],["log","info",{"join":["m: ",{"var":"a"}," ",{"var":"b"}," ",{"var":"c"}]}]]}';
        wasm_filter n '{"configure":[["register_queue","one","a"],["log","info",{"join":["n: ",{"var":"a"}]}]]}';
        wasm_filter o '{"configure":[["register_queue","one","a"],["log","info",{"join":["o: ",{"var":"a"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my ($m) = main::wait_for(qr/\[wasm\] m: m: \K.*/);
my ($n) = main::wait_for(qr/\[wasm\] n: n: \K.*/);
my ($o) = main::wait_for(qr/\[wasm\] o: o: \K.*/);
my ($one, $two, $again) = split ' ', $m;
my %numbers = map { $_ => 1 } grep { $_ > 0 && $_ < 2**31 } $one, $two, $n, $o;
Test::More::is(keys %numbers, 4, 'each has a number');
Test::More::is($again, $one, 'a name again is the same queue');
Test::More::is(main::resolve('m', '', 'one'), $one, 'its own');
Test::More::is(main::resolve('m', '', 'two'), $two, 'its own');
Test::More::is(main::resolve('m', 'm', 'one'), $one, 'its own, by the name of its module');
Test::More::is(main::resolve('n', '', 'one'), $n, "another module's own");
Test::More::is(main::resolve('n', 'm', 'one'), $one, "of another module, by the module's name");
Test::More::is(main::resolve('n', 'o-id', 'one'), $o, 'by a vm_id');
Test::More::is(main::resolve('n', 'o', 'one'), 'status 1', 'not by the name of a module that has a vm_id');
Test::More::is(main::resolve('m', '', 'three'), 'status 1', 'unknown name');
Test::More::is(main::resolve('m', 'nobody', 'one'), 'status 1', 'unknown module');
Test::More::is(main::take('m', $one), 'status 7', 'an empty queue');
Test::More::is(main::put('m', $one, "message $_"), 0, "put $_") for 1 .. 3;
Test::More::is(main::put('m', $two, 'for two'), 0, 'put');
Test::More::is(main::put('n', $one, ''), 0, 'put an empty one, by another module');
Test::More::is(main::take('m', $one), 'message 1', 'the first comes first');
Test::More::is(main::take('n', $one), 'message 2', 'another module can take');
Test::More::is(main::take('m', $one), 'message 3', 'in order');
Test::More::is(main::take('m', $one), '', 'the empty one');
Test::More::is(main::take('m', $one), 'status 7', 'no more');
Test::More::is(main::take('m', $two), 'for two', 'of the other queue');
Test::More::is(main::put('m', $_, 'x'), 1, "unknown queue $_") for 0, 5, 4711;
Test::More::is(main::take('m', $_), 'status 1', "unknown queue $_") for 0, 5, 4711;
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 2: on_queue_ready once for each message, not before the host call has returned
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","q","q"]],"queue_ready":[["log","info","ready"],["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        wasm_filter m '{"request_headers":[["resolve_queue","","q","q"],["enqueue",{"var":"q"},"one"],["enqueue",{"var":"q"},"two"],["log","info","put"],["local_response",204,[],""]]}';
    }
    location /t { return 204; }
--- init
main::get('/a');
main::wait_for(qr/\[wasm\] m: got two/);
Test::More::is_deeply([main::matches(qr/\[wasm\] m: \K(?:put|ready|got \w+)/)],
    ['put', 'ready', 'got one', 'ready', 'got two'], 'what happened');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 3: the worker that registered last is told, within milliseconds
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\n" . main::shared_server('m')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","q","q"],["log","info","registered"]],"queue_ready":[["dequeue",{"var":"queue"},"v"],["set_shared_data","seen",{"var":"v"},0],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my %workers = main::worker_sockets(2);
my ($first, $last) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: registered)/, 2);
my $queue = main::resolve('m', '', 'q');
my $least;
for my $i (1 .. 20) {
    my $start = Time::HiRes::time();
    main::put('m', $queue, "message-$i", $workers{$first});
    Test::More::ok(main::wait_until(sub { ((main::get_data('m', 'seen', $workers{$first}))[0] // '') eq "message-$i" }), "message $i")
        or last;
    my $took = Time::HiRes::time() - $start;
    $least = $took unless defined $least && $least < $took;
}
Test::More::cmp_ok($least, '<', 0.02, 'seconds');
main::put('m', $queue, 'own', $workers{$last});
main::wait_for(qr/got own/);
my %by = map { $_ => 1 } main::matches(qr/\d+(?=#\d+: \[wasm\] m: got)/);
Test::More::is_deeply([keys %by], [$last], 'told was the last one alone');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 4: every message is taken once, in order, whoever puts them
--- workers: 3
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module n \$TEST_NGINX_FILTERS/hostcalls.wasm;
" . main::shared_server('m', 'n')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","q","q"]],"queue_ready":[["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my %workers = main::worker_sockets(3);
my $queue = main::resolve('n', 'm', 'q');
my @sockets = values %workers;
my $bad = 0;
for my $i (0 .. 299) {
    $bad++ if main::put($i % 2 ? 'm' : 'n', $queue, "m-$i.", $sockets[$i % 3]) ne '0';
}
Test::More::is($bad, 0, 'all were put');
main::wait_for(qr/got m-/, 300);
Test::More::is_deeply([main::matches(qr/got m-\K\d+/)], [0 .. 299], 'taken');
Test::More::is(main::take('m', $queue), 'status 7', 'no more');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 5: a full zone refuses, with one line, until something is taken
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_queue zone=q:64k;
" . main::shared_server('m')
--- config
    location /a { wasm_filter m '{"configure":[["register_queue","q","q"]]}'; return 204; }
    location /t { return 204; }
--- init
my $socket = main::connection($ENV{TEST_NGINX_PORT_1});
my $queue = main::resolve('m', '', 'q');
my @statuses = map { main::put('m', $queue, "$_" x 300, $socket) } 1 .. 200;
my $good = grep { $_ == 0 } @statuses;
Test::More::cmp_ok($good, '>', 10, 'some fit');
Test::More::is_deeply(\@statuses, [(0) x $good, (10) x (200 - $good)], 'the rest is refused');
Test::More::is(scalar main::matches(qr/\[error\] .*no room for a message of \d+ bytes in the shared queue zone "q"/), 1, 'one line');
my $wrong = grep { main::take('m', $queue, $socket) ne "$_" x 300 } 1 .. $good;
Test::More::is($wrong, 0, 'what was put is there');
Test::More::is(main::take('m', $queue, $socket), 'status 7', 'no more');
Test::More::is(main::put('m', $queue, 'x' x 300, $socket), 0, 'there is room again');
Test::More::is(main::put('m', $queue, 'x' x 5000, $socket), 0, 'also for a large one');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]


=== TEST 6: queues survive a reload, a full one too; who registers is told of what is there
--- workers: 1
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_queue zone=q:64k;
" . main::shared_server('m')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","other","o"],["register_queue","q","q"],["log","info",{"join":["registered ",{"var":"q"}]}]],"queue_ready":[]}';
        return 204;
    }
    location /t { return 204; }
--- init
my %old = main::worker_sockets(1);
my ($socket) = values %old;
my $queue = main::resolve('m', '', 'q', $socket);
my $i = 0;
$i++ while main::put('m', $queue, sprintf('%04d', $i) . 'x' x 200, $socket) == 0;
Test::More::cmp_ok($i, '>', 20, 'it is full');
main::reload('"queue_ready":[]', '"queue_ready":[["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]');
main::wait_for(qr/got/, $i);
my @got = main::matches(qr/got \K\d+(?=x{200}$)/);
Test::More::is_deeply(\@got, [map { sprintf '%04d', $_ } 0 .. $i - 1], 'the new worker takes all, in order');
my %new = main::worker_sockets(1);
Test::More::is(main::resolve('m', '', 'q', (values %new)[0]), $queue, 'the number is the same');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 7: an old worker that still has work to do puts; a new one is told
--- workers: 1
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen \$TEST_NGINX_PORT_2;
        location / { limit_rate 60000; root html; }
    }
" . main::shared_server('m')
--- user_files eval
[["big", "x" x 90000]]
--- config
    location /big {
        wasm_filter m '{"request_headers":[["resolve_queue","","q","q"]],"response_body_end":[["enqueue",{"var":"q"},"late"],["log","info","put"]],"response_headers":[["remove_header","response","content-length"]]}';
        proxy_buffering off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
    }
    location /a {
        wasm_filter m '{"trace":true,"configure":[["register_queue","q","q"],["log","info","registered"]],"queue_ready":[["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my ($old) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: registered)/);
my $socket = main::connection();
print $socket "GET /big HTTP/1.0\r\nHost: localhost\r\n\r\n";
Test::More::ok(main::wait_until(sub { sysread $socket, my $some, 1000 }), 'the response has begun');
kill HUP => main::pid();
main::wait_for(qr/$old#\d+: gracefully shutting down/);
main::receive($socket);
my ($putter) = main::wait_for(qr/\d+(?=#\d+: \*\d+ \[wasm\] m: put)/);
my ($taker) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: got late)/);
Test::More::is($putter, $old, 'the old worker puts');
Test::More::ok(defined $taker && $taker != $old, 'a new one takes');
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the old worker is gone');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[crit]


=== TEST 8: a worker is killed: what it was to be told, the next one is
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\n" . main::shared_server('m')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","q","q"],["log","info","registered"]],"queue_ready":[["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my %workers = main::worker_sockets(2);
my ($first, $last) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: registered)/, 2);
my $queue = main::resolve('m', '', 'q', $workers{$first});
kill STOP => $last;
main::put('m', $queue, "before $_", $workers{$first}) for 1 .. 3;
kill KILL => $last;
main::wait_for(qr/got before/, 3);
Test::More::is_deeply([main::matches(qr/got \Kbefore \d/)], ['before 1', 'before 2', 'before 3'], 'all are taken');
main::put('m', $queue, 'behind', $workers{$first});
my ($taker) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: got behind)/);
Test::More::ok($taker && $taker != $last, 'and so are new ones');
Test::More::is(main::set_data('m', 'k', 'v', 0, $workers{$first}), 0, 'no lock is held');
--- request
GET /t
--- error_code: 204
--- error_log
exited on signal 9
--- no_error_log
[error]
[crit]
[emerg]


=== TEST 9: the worker that would be told is gone and does not register again: another one is told
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen 127.0.0.1:\$TEST_NGINX_PORT_2 reuseport;
        location / {
            wasm_filter m '" . JSON::PP->new->encode({
                request_headers => [["register_queue", "q", "q"], ["log", "info", "registered"], ["local_response", 200, [], {var => "q"}]],
                queue_ready => [["dequeue", {var => "queue"}, "v"], ["log", "info", {join => ["got ", {var => "v"}]}]]}) . "';
        }
    }
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my %workers = main::worker_sockets(2);
my @registered;
Test::More::ok(main::wait_until(sub {
    my $socket = main::connection($ENV{TEST_NGINX_PORT_2});
    print $socket "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    main::receive($socket);
    @registered = main::matches(qr/\d+(?=#\d+: \*\d+ \[wasm\] m: registered)/);
    my %different = map { $_ => 1 } @registered;
    return keys %different == 2;
}), 'both registered');
my $last = $registered[-1];
my ($other) = grep { $_ != $last } @registered;
my $queue = main::resolve('m', '', 'q', $workers{$other});
main::put('m', $queue, 'to the last', $workers{$other});
Test::More::is_deeply([main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: got to the last)/)], [$last], 'the last is told');
kill KILL => $last;
Test::More::ok(main::wait_until(sub { !kill 0 => $last }), 'it is gone');
main::put('m', $queue, 'to another', $workers{$other});
Test::More::is_deeply([main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: got to another)/)], [$other], 'the other is told');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[crit]
[emerg]


=== TEST 10: a trap while being told: other workers are told of the rest
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module n \$TEST_NGINX_FILTERS/hostcalls.wasm;
" . main::shared_server('n')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","q","q"],["log","info","registered"]],"queue_ready":[["dequeue",{"var":"queue"},"v"],["if",{"var":"v"},"poison",[["abort"]]],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my %workers = main::worker_sockets(2);
my ($first, $last) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: registered)/, 2);
my $queue = main::resolve('n', 'm', 'q', $workers{$first});
kill STOP => $last;
main::put('n', $queue, $_, $workers{$first}) for 'one', 'poison', 'two', 'three';
kill CONT => $last;
main::wait_for(qr/got three/);
Test::More::is_deeply([main::matches(qr/\d+(?=#\d+: \[wasm\] m: got)/)], [$last, $first, $first], 'who took');
Test::More::is_deeply([main::matches(qr/got \K\w+/)], ['one', 'two', 'three'], 'what');
Test::More::is(scalar main::matches(qr/\[error\] $last#.*\[wasm\] m: .*proxy_on_queue_ready/), 1, 'one line');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 11: no descriptor is left behind by reloads
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"configure":[["register_queue","q","q"],["log","info","registered"]]}'; return 204; }
    location /t { return 204; }
--- init
my $eventfds = sub {
    my $pid = shift;
    return scalar grep { (readlink($_) // '') =~ /eventfd/ } glob "/proc/$pid/fd/*";
};
my @workers = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: registered)/, 2);
my $in_master = $eventfds->(main::pid());
Test::More::cmp_ok($in_master, '>', 0, 'the master has them');
my $in_worker = $eventfds->($workers[0]);
for my $round (1 .. 3) {
    kill HUP => main::pid();
    Test::More::ok(main::wait_until(sub { !grep { kill 0 => $_ } @workers }), "the old workers are gone, $round");
    @workers = (main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: registered)/, 2 + 3 * $round))[-2, -1];
}
Test::More::is($eventfds->(main::pid()), $in_master, 'as many as before');
Test::More::is($eventfds->($workers[0]), $in_worker, 'in a worker too');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]


=== TEST 12: the dry run has queues of its own, and is told nothing
--- workers: 1
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\n" . main::shared_server('m')
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","q","q"],["enqueue",{"var":"q"},"from configure"],["enqueue",{"var":"q"},"more"],["log","info",{"join":["queue ",{"var":"q"}]}]],"queue_ready":[["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
main::wait_for(qr/got more/);
kill HUP => main::pid();
main::wait_for(qr/got more/, 2);
Test::More::is_deeply([main::matches(qr/got \K.*/)], [('from configure', 'more') x 2], 'two workers got two each');
my %numbers = map { $_ => 1 } main::matches(qr/queue \K\d+/);
Test::More::is(keys %numbers, 1, 'the number is always the same');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 13: bad pointers, unknown numbers
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["status","register_shared_queue:bad_pointer"],["status","register_shared_queue:bad_return"],["status","resolve_shared_queue:bad_pointer"],["status","resolve_shared_queue"],["status","enqueue_shared_queue"],["status","enqueue_shared_queue:bad_pointer"],["status","dequeue_shared_queue"],["status","register_shared_queue"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- error_log
status register_shared_queue:bad_pointer = 6
status register_shared_queue:bad_return = 6
status resolve_shared_queue:bad_pointer = 6
status resolve_shared_queue = 1
status enqueue_shared_queue = 1
status enqueue_shared_queue:bad_pointer = 6
status dequeue_shared_queue = 1
status register_shared_queue = 0
