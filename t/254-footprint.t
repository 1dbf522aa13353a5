# What a worker takes of memory for itself, and what the master leaves to it.

use Test::Nginx::Socket 'no_plan';
use Control;

# The memory of a process in KiB, by the names of smaps_rollup.
sub memory {
    my $pid = shift;
    open my $in, '<', "/proc/$pid/smaps_rollup" or die "smaps_rollup: $!";
    return { map { /^(\w+):\s+(\d+) kB/ ? ($1 => $2) : () } <$in> };
}

# Reloads, and waits until there is one worker, another one.
sub reloaded {
    my @before = main::workers_of(main::pid());
    kill HUP => main::pid();
    return main::wait_until(sub { my @now = main::workers_of(main::pid()); @now == 1 && $now[0] != $before[0] });
}

our $headers = 'wasm_module m $TEST_NGINX_FILTERS/headers.wasm;';
# Locations with a configuration each.
sub locations {
    return join '', map { qq(location /$_ { wasm_filter m '{"response":{"set":{"x-number":"$_"}}}'; return 204; }\n) } 1 .. $_[0];
}

# Requests to all of these, and what the worker has of its own then, what it shares with others aside.
sub private {
    my $count = shift;
    for my $number (1 .. $count) {
        main::get("/$number") =~ /^x-number: $number\r$/m or die "no filter in /$number";
    }
    return main::memory((main::workers_of(main::pid()))[0])->{Private_Dirty};
}

# AddressSanitizer's own memory comes on top.
our $more = $ENV{ASAN_OPTIONS} ? 400_000 : 0;

no_long_string();
run_tests();

__DATA__

=== TEST 1: a worker with one filter has less than 3 MiB of its own, also after reloads
--- workers: 1
--- http_config eval: $::headers
--- config eval: main::locations(1)
--- init
main::get('/1') for 1 .. 50;
Test::More::cmp_ok(my $first = main::private(1), '<', $::more + (3 << 10), 'KiB');
Test::More::cmp_ok($first, '>', 0, 'that is known');
Test::More::ok(main::reloaded(), "reload $_") for 1 .. 3;
main::get('/1') for 1 .. 50;
Test::More::cmp_ok(main::private(1), '<', $::more + (3 << 10), 'KiB after reloads');
--- request
GET /1
--- error_code: 204
--- no_error_log
[error]
[alert]
panicked



=== TEST 2: with 100 configurations, less than 10 MiB
--- workers: 1
--- http_config eval: $::headers
--- config eval: main::locations(100)
--- init
Test::More::cmp_ok(main::private(100), '<', $::more + (10 << 10), 'KiB');
--- request
GET /100
--- error_code: 204
--- no_error_log
[error]
[alert]
panicked



=== TEST 3: zones take no memory before they are used: neither in the check nor as long as they are empty
--- workers: 1
--- http_config eval: "$::headers wasm_shared_data zone=data:256m; wasm_shared_queue zone=queues:256m; wasm_metrics_zone zone=metrics:256m;"
--- config eval: main::locations(1)
--- init
main::private(1);
Test::More::ok(main::reloaded(), 'a reload');
main::private(1);
my ($master, $worker) = map { main::memory($_)->{Rss} } main::pid(), main::workers_of(main::pid());
Test::More::cmp_ok($_, '<', $::more + (100 << 10), 'KiB') for $master, $worker;
--- request
GET /1
--- error_code: 204
--- no_error_log
[error]
[alert]
panicked
