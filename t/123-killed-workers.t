# Workers that are killed in the midst of changes to shared memory: the others go on, and so do those
# that come after them.

use Test::Nginx::Socket 'no_plan';
use Control;
use Shared;

no_long_string();
run_tests();

__DATA__

=== TEST 1: while they set shared data
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:256k;
" . main::shared_server('m', {hammer => [
    ["let", "i", "0"], ["let", "v", "0123456789abcdef"],
    ["repeat", 7, [["let", "v", {join => [{var => "v"}, {var => "v"}]}]]],
    ["set_shared_data", "hammering", "1", 0],
    ["repeat", 10000000, [
        ["let", "i", {add => [{var => "i"}, 1]}],
        ["set_shared_data", {var => "i"}, {var => "v"}, 0],
        ["set_shared_data", {join => ["s", {var => "i"}]}, "small", 0]]]]})
--- config
    location /t { return 204; }
--- init
my $bad = 0;
for my $round (1 .. 8) {
    my %workers = main::worker_sockets(2);
    my ($victim, $other) = sort { $a <=> $b } keys %workers;
    main::set_data('m', 'hammering', '0', 0, $workers{$other});
    print { $workers{$victim} } "GET /m/hammer HTTP/1.1\r\nHost: localhost\r\n\r\n";
    # Until it is at it (the key may have been evicted by then), and a little, so that it is killed at
    # another moment each time.
    main::wait_until(sub { ((main::get_data('m', 'hammering', $workers{$other}))[0] // '1') eq '1' });
    Time::HiRes::sleep(0.01 + rand 0.03);
    kill KILL => $victim;
    $bad++ if main::set_data('m', "after $round", "set", 0, $workers{$other}) ne '0';
    my ($value, $cas) = main::get_data('m', "after $round", $workers{$other});
    $bad++ if $value ne 'set' || main::set_data('m', "after $round", "swapped", $cas, $workers{$other}) ne '0';
}
Test::More::is($bad, 0, 'the other worker goes on');
my %workers = main::worker_sockets(2);
for my $socket (values %workers) {
    my @failed = grep { main::set_data('m', "key $_", "$_" x 200, 0, $socket) ne '0' || (main::get_data('m', "key $_", $socket))[0] ne "$_" x 200 } 1 .. 300;
    Test::More::is_deeply(\@failed, [], 'all is well in the end');
}
--- request
GET /t
--- error_code: 204
--- error_log
exited on signal 9
--- no_error_log
exited on signal 11
exited on signal 6
[emerg]
panicked


=== TEST 2: while they put and take messages
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_queue zone=q:256k;
" . main::shared_server('m', {hammer => [
    ["let", "v", "0123456789abcdef"],
    ["repeat", 7, [["let", "v", {join => [{var => "v"}, {var => "v"}]}]]],
    ["resolve_queue", "", "work", "q"],
    ["set_shared_data", "hammering", "1", 0],
    ["repeat", 10000000, [
        ["enqueue", {var => "q"}, {var => "v"}],
        ["enqueue", {var => "q"}, "small"],
        ["dequeue", {var => "q"}, "x"],
        ["dequeue", {var => "q"}, "x"]]]]})
--- config
    location /a {
        wasm_filter m '{"configure":[["register_queue","work","w"],["register_queue","q","q"],["log","info","registered"]],"queue_ready":[["if",{"var":"queue"},{"var":"q"},[["dequeue",{"var":"queue"},"v"],["log","info",{"join":["got ",{"var":"v"}]}]]]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my ($work, $queue) = (main::resolve('m', '', 'work'), main::resolve('m', '', 'q'));
my $bad = 0;
for my $round (1 .. 8) {
    main::wait_for(qr/m: registered/, 1 + $round);
    my %workers = main::worker_sockets(2);
    my ($victim, $other) = sort { $a <=> $b } keys %workers;
    main::set_data('m', 'hammering', '0', 0, $workers{$other});
    print { $workers{$victim} } "GET /m/hammer HTTP/1.1\r\nHost: localhost\r\n\r\n";
    main::wait_until(sub { (main::get_data('m', 'hammering', $workers{$other}))[0] eq '1' });
    Time::HiRes::sleep(0.01 + rand 0.03);
    kill KILL => $victim;
    # Numbers hold, whatever has become of the messages.
    $bad++ if main::put('m', $queue, "message $round.", $workers{$other}) ne '0';
    $bad++ if main::resolve('m', '', 'q', $workers{$other}) ne $queue || main::resolve('m', '', 'work', $workers{$other}) ne $work;
    main::wait_for(qr/got message $round\./) or $bad++;
}
Test::More::is($bad, 0, 'the other worker goes on, and somebody is told');
--- request
GET /t
--- error_code: 204
--- error_log
exited on signal 9
--- no_error_log
exited on signal 11
exited on signal 6
[emerg]
panicked
