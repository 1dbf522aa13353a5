# Shared data: compare-and-swap, spaces, eviction, several workers, reload.

use Test::Nginx::Socket 'no_plan';
use Control;
use Shared;

no_long_string();
run_tests();

__DATA__

=== TEST 1: set, get, a key that is not there
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\n" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
Test::More::is(main::ask('/m/get', {Key => 'k'})->{status}, 1, 'not there');
Test::More::is(main::set_data('m', 'k', 'one'), 0, 'set');
my ($value, $cas) = main::get_data('m', 'k');
Test::More::is($value, 'one', 'the value');
Test::More::cmp_ok($cas, '>', 0, 'its number');
Test::More::is(main::set_data('m', 'k', 'three'), 0, 'set again');
Test::More::is((main::get_data('m', 'k'))[0], 'three', 'a longer value');
Test::More::is(main::set_data('m', 'k', 'x' x 3000), 0, 'set again');
Test::More::is((main::get_data('m', 'k'))[0], 'x' x 3000, 'a much longer one');
Test::More::is(main::set_data('m', 'k', ''), 0, 'set again');
Test::More::is((main::get_data('m', 'k'))[0], '', 'an empty value');
Test::More::is(main::set_data('m', '', 'nameless'), 0, 'an empty key');
Test::More::is((main::get_data('m', ''))[0], 'nameless', 'its value');
Test::More::is((main::get_data('m', 'k'))[0], '', 'the other is as it was');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 2: compare-and-swap: a number is good for one change; 0 always is
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\n" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
main::set_data('m', 'k', 'a');
my ($value, $first) = main::get_data('m', 'k');
Test::More::is(main::set_data('m', 'k', 'b', $first), 0, 'the number it has');
Test::More::is(main::set_data('m', 'k', 'c', $first), 8, 'the number it had');
($value, my $second) = main::get_data('m', 'k');
Test::More::is($value, 'b', 'the refused one changed nothing');
Test::More::cmp_ok($second, '>', $first, 'numbers increase');
main::set_data('m', 'other', 'x');
Test::More::is((main::get_data('m', 'k'))[1], $second, "another key's change is not its own");
Test::More::isnt((main::get_data('m', 'other'))[1], $second, 'keys have different numbers');
Test::More::is(main::set_data('m', 'k', 'd'), 0, '0');
Test::More::is((main::get_data('m', 'k'))[0], 'd', 'took effect');
Test::More::is(main::set_data('m', 'new', 'n', 4711), 0, 'a number for a key that is not there, as in Envoy');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 3: modules have keys of their own, unless they have one vm_id
--- http_config eval
"wasm_module a \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module b \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_module c \$TEST_NGINX_FILTERS/hostcalls.wasm vm_id=both;
wasm_module d \$TEST_NGINX_FILTERS/hostcalls.wasm vm_id=both;
wasm_module e \$TEST_NGINX_FILTERS/hostcalls.wasm vm_id=a;
" . main::shared_server('a' .. 'e')
--- config
    location /t { return 204; }
--- init
main::set_data('a', 'k', 'of a');
main::set_data('c', 'k', 'of c');
Test::More::is_deeply([main::get_data('b', 'k')], [], 'another module');
Test::More::is((main::get_data('a', 'k'))[0], 'of a', 'itself');
Test::More::is((main::get_data('d', 'k'))[0], 'of c', 'the same vm_id');
Test::More::is((main::get_data('e', 'k'))[0], 'of a', "a vm_id that is another module's name");
# The border between space and key counts.
main::set_data('a', 'bk', 'x');
Test::More::is_deeply([main::get_data('a', 'k/b')], [], 'no other key');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 4: the property plugin_vm_id
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm vm_id=some-id;
--- config
    location /t { wasm_filter m '{"request_headers":[["get_property","plugin_vm_id"]]}'; return 204; }
--- request
GET /t
--- error_code: 204
--- error_log
property plugin_vm_id = some-id


=== TEST 5: two workers have the same data; a counter is exact
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen 127.0.0.1:\$TEST_NGINX_PORT_2 reuseport;
        location / {
            wasm_filter m '" . JSON::PP->new->encode({
                request_headers => [
                    ["repeat", 50, [
                        ["repeat", 10000, [
                            ["get_shared_data", "n", "n"],
                            ["set_shared_data", "n", {add => [{var => "n"}, 1]}, {var => "n.cas"}],
                            ["if", {var => "status"}, "0", [["break"]]]]]]],
                    ["local_response", 204, [], ""]]}) . "';
        }
    }
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my %workers = main::worker_sockets(2);
my ($one, $two) = values %workers;
Test::More::is(main::set_data('m', 'n', '0', 0, $one), 0, 'set by one');
my ($value, $cas) = main::get_data('m', 'n', $two);
Test::More::is($value, '0', 'seen by the other');
Test::More::is(main::set_data('m', 'n', '00', $cas, $two), 0, 'swapped by the other');
Test::More::is(main::set_data('m', 'n', '000', $cas, $one), 8, 'not by the first');
Test::More::is((main::get_data('m', 'n', $one))[0], '00', 'seen by the first');
main::set_data('m', 'n', '0', 0, $one);
# Many at once, in both.
my @sockets = map { main::connection($ENV{TEST_NGINX_PORT_2}) } 1 .. 40;
print $_ "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" for @sockets;
my $good = grep { main::receive($_) =~ m{\AHTTP/1.1 204 } } @sockets;
Test::More::is($good, 40, 'answers');
Test::More::is((main::get_data('m', 'n', $two))[0], 2000, 'the sum');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 6: data and numbers survive a reload; another size starts anew
--- workers: 2
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:128k;
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my %old = main::worker_sockets(2);
main::set_data('m', 'k', 'kept');
my ($value, $cas) = main::get_data('m', 'k');
kill HUP => main::pid();
undef $_ for values %old;
Test::More::ok(main::wait_until(sub { !grep { kill 0 => $_ } keys %old }), 'the old workers are gone');
Test::More::is_deeply([main::get_data('m', 'k')], ['kept', $cas], 'what was there');
Test::More::is(main::set_data('m', 'k', 'changed', $cas), 0, 'its number holds');
Test::More::cmp_ok((main::get_data('m', 'k'))[1], '>', $cas, 'and numbers go on');
my %second = main::worker_sockets(2);
main::reload('zone=d:128k', 'zone=d:256k');
undef $_ for values %second;
Test::More::ok(main::wait_until(sub { !grep { kill 0 => $_ } keys %second }), 'the old workers are gone');
Test::More::is_deeply([main::get_data('m', 'k')], [], 'a zone of another size');
Test::More::is(main::set_data('m', 'k', 'again'), 0, 'which works');
Test::More::is((main::get_data('m', 'k'))[0], 'again', 'which works');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]


=== TEST 7: a full zone gives up what was used least recently; numbers do not come again
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:64k evict=lru;
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my $socket = main::connection($ENV{TEST_NGINX_PORT_1});
main::set_data('m', 'first', 'x' x 500, 0, $socket);
my (undef, $number) = main::get_data('m', 'first', $socket);
main::set_data('m', 'used', 'x' x 500, 0, $socket);
my @failed;
for my $i (1 .. 200) {
    push @failed, $i unless main::set_data('m', "key $i", "$i" x 300, 0, $socket) == 0;
    main::get_data('m', 'used', $socket) if $i % 10 == 0;
}
Test::More::is_deeply(\@failed, [], 'all could be set');
Test::More::is_deeply([main::get_data('m', 'first', $socket)], [], 'the oldest is gone');
Test::More::is((main::get_data('m', 'used', $socket))[0], 'x' x 500, 'one that was read is there');
Test::More::is((main::get_data('m', 'key 200', $socket))[0], '200' x 300, 'the newest is there');
my @there = grep { main::get_data('m', "key $_", $socket) } 1 .. 200;
Test::More::is_deeply(\@there, [200 - $#there .. 200], 'of the others, the newest');
Test::More::cmp_ok(scalar @there, '>', 15, 'as many as there is room for');
main::set_data('m', 'first', 'again', 0, $socket);
Test::More::is(main::set_data('m', 'first', 'late', $number, $socket), 8, 'its number of then is not good');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[crit]


=== TEST 8: what is larger than the zone fails, and nothing is evicted for it
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:64k;
    server {
        listen 127.0.0.1:\$TEST_NGINX_PORT_2;
        client_body_buffer_size 256k;
        location / {
            wasm_filter m '" . JSON::PP->new->encode({request_body_end => [
                ["set_shared_data", "large", {body => "request"}, 0],
                ["local_response", 200, [], {var => "status"}]]}) . "';
            proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_2/204;
        }
        location = /204 { return 204; }
    }
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my $post = sub {
    my $socket = main::connection($ENV{TEST_NGINX_PORT_2});
    print $socket "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: $_[0]\r\n\r\n", 'v' x $_[0];
    return main::body_of(main::receive($socket));
};
main::set_data('m', 'small', 'there');
Test::More::is($post->(70000), 10, 'larger than the zone');
Test::More::is((main::get_data('m', 'small'))[0], 'there', 'nothing was evicted');
Test::More::is($post->(40000), 0, 'one with room when others go');
Test::More::is(length((main::get_data('m', 'large'))[0]), 40000, 'it is there');
Test::More::is($post->(30000), 0, 'another size');
Test::More::is(length((main::get_data('m', 'large'))[0]), 30000, 'it is there');
--- request
GET /t
--- error_code: 204
--- error_log eval
qr/\[error\] .*\[wasm\] no room for 70000 bytes in the shared data zone "d"/
--- no_error_log
[alert]
[crit]


=== TEST 9: evict=none: a full zone refuses, with one line; what is there stays and can be changed
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:64k evict=none;
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my $socket = main::connection($ENV{TEST_NGINX_PORT_1});
my @statuses = map { main::set_data('m', "key $_", "$_" x 300, 0, $socket) } 1 .. 200;
my $good = grep { $_ == 0 } @statuses;
Test::More::cmp_ok($good, '>', 15, 'some fit');
Test::More::is_deeply(\@statuses, [(0) x $good, (10) x (200 - $good)], 'the rest is refused');
my @there = grep { main::get_data('m', "key $_", $socket) } 1 .. 200;
Test::More::is_deeply(\@there, [1 .. $good], 'what was set is there');
Test::More::is(main::set_data('m', 'key 1', '2' x 300, 0, $socket), 0, 'a change without growth');
Test::More::is((main::get_data('m', 'key 1', $socket))[0], '2' x 300, 'is made');
Test::More::is(scalar main::matches(qr/\[error\] .*no room for \d+ bytes in the shared data zone "d"/), 1, 'one line');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]


=== TEST 10: several thousand keys, with values of all sizes
--- http_config eval
"wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;
wasm_shared_data zone=d:4m evict=none;
" . main::shared_server('m')
--- config
    location /t { return 204; }
--- init
my $socket = main::connection($ENV{TEST_NGINX_PORT_1});
# Known contents, of a length that is the key's own and changes.
my $value = sub { my ($i, $round) = @_; return substr("$i." x 1000, 0, ($i * 7 + $round * 131) % 1000) };
for my $round (1, 2) {
    my $bad = grep { main::set_data('m', "key-$_", $value->($_, $round), 0, $socket) != 0 } 1 .. 3000;
    Test::More::is($bad, 0, "set, round $round");
    my $wrong = grep { ((main::get_data('m', "key-$_", $socket))[0] // 'none') ne $value->($_, $round) } 1 .. 3000;
    Test::More::is($wrong, 0, "as they were set, round $round");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[crit]


=== TEST 11: the dry run has data of its own
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"configure":[["get_shared_data","k","v"],["log","info",{"join":["before: ",{"var":"v"}]}],["set_shared_data","k","set",0],["get_shared_data","k","w"],["log","info",{"join":["behind: ",{"var":"w"}]}]]}';
        return 204;
    }
    location /t { return 204; }
--- init
my ($first) = main::wait_for(qr/\d+(?=#\d+: \[wasm\] m: behind)/);
kill HUP => main::pid();
main::wait_for(qr/\[wasm\] m: behind/, 3);
my %found;
for my $line (main::matches(qr/\d+#\d+: \[wasm\] m: (?:before|behind).*/)) {
    push @{$found{$1}}, $2 if $line =~ /\A(\d+)#.* m: (.*)/;
}
Test::More::is_deeply(delete $found{$first}, ['before: status 1', 'behind: set'], 'the first worker: nothing of the dry run');
Test::More::is_deeply(delete $found{main::pid()}, ['before: status 1', 'behind: set'], 'the dry run: nothing of the worker');
Test::More::is_deeply([values %found], [['before: set', 'behind: set']], 'the next worker: what the first has set');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 12: bad pointers
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["status","get_shared_data"],["status","get_shared_data:bad_pointer"],["status","get_shared_data:bad_return"],["status","set_shared_data:bad_pointer"],["status","set_shared_data"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- error_log
status get_shared_data = 1
status get_shared_data:bad_pointer = 6
status get_shared_data:bad_return = 6
status set_shared_data:bad_pointer = 6
status set_shared_data = 0
