# The binary is replaced while nginx runs: USR2, WINCH and QUIT, and the way back.

use Test::Nginx::Socket 'no_plan';
use Control;
use Shared;

no_long_string();

# The master that is not this one, as soon as it is there and has workers.
sub main::new_master {
    my $old = shift;
    my $new;
    main::wait_until(sub {
        -e "$main::root/logs/nginx.pid.oldbin" or return 0;
        $new = eval { main::pid() } or return 0;
        return $new != $old && main::workers_of($new) == 2;
    }) or die 'no new master';
    return $new;
}

# How many descriptors of each kind of ours a process has.
sub main::descriptors {
    my $pid = shift;
    my %count = (memfd => 0, eventfd => 0);
    for my $link (glob "/proc/$pid/fd/*") {
        my $target = readlink $link // '';
        $count{memfd}++ if $target =~ /memfd/;
        $count{eventfd}++ if $target =~ /eventfd/;
    }
    return \%count;
}

# Which of these masters' workers serve, of so many new connections.
sub main::serving {
    my ($count, %masters) = @_;
    my (%seen, @bad);
    for (1 .. $count) {
        my $answer = main::get('/a');
        push @bad, $answer if $answer !~ m{\AHTTP/1.1 200 .*x-version: one\r\n}s;
        my $pid = main::body_of($answer);
        for my $name (keys %masters) {
            $seen{$name} = 1 if grep { $_ == $pid } @{$masters{$name}};
        }
    }
    Test::More::is_deeply(\@bad, [], 'every request is answered, by a filter');
    return join ' ', sort keys %seen;
}

our $http = "wasm_module m \$TEST_NGINX_FILTERS/hostcalls.wasm;\nwasm_shared_data zone=d:256k;\n" . main::shared_server('m');
our $config = <<'_EOC_';
location /a {
    wasm_filter m '{"configure":[["set_tick",20]],"response_headers":[["set_header","response","x-version","one"]]}';
    return 200 "$pid";
}
location /trap { wasm_filter m '{"request_headers":[["abort"]]}'; return 200; }
location /t { return 204; }
_EOC_

run_tests();

__DATA__

=== TEST 1: to the new one
--- workers: 2
--- http_config eval: $::http
--- config eval: $::config
--- init
my $old = main::pid();
my @old = main::workers_of($old);
my $held = main::descriptors($old);
main::set_data('m', 'k', 'old');
kill USR2 => $old;
my $new = main::new_master($old);
my @new = main::workers_of($new);
Test::More::cmp_ok($held->{memfd}, '>', 0, 'there are descriptors of ours');
Test::More::is_deeply(main::descriptors($new), $held, 'none of them is inherited');
Test::More::is(main::serving(200, old => \@old, new => \@new), 'new old', 'both serve');
kill WINCH => $old;
Test::More::ok(main::wait_until(sub { !grep { main::is_alive($_) } @old }), 'the old workers are gone');
Test::More::ok(main::is_alive($old), 'the old master is not');
Test::More::is(main::serving(50, old => \@old, new => \@new), 'new', 'the new ones serve');
Test::More::is(scalar main::get_data('m', 'k'), undef, 'shared data begins anew, as nginx zones do');
main::set_data('m', 'k', 'new');
Test::More::like(main::get('/trap'), qr{\AHTTP/1.1 503 }, 'a trap is caught');
kill QUIT => $old;
Test::More::ok(main::wait_until(sub { !main::is_alive($old) }), 'the old master is gone');
kill HUP => $new;
Test::More::ok(main::wait_until(sub { !grep { main::is_alive($_) } @new }), 'a reload of the new one');
Test::More::is((main::get_data('m', 'k'))[0], 'new', 'keeps its shared data');
Test::More::is(main::serving(20, new => [main::workers_of($new)]), 'new', 'and serves');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked
exited on signal


=== TEST 2: and back
--- workers: 2
--- http_config eval: $::http
--- config eval: $::config
--- init
my $old = main::pid();
my @first = main::workers_of($old);
main::set_data('m', 'k', 'old');
kill USR2 => $old;
my $new = main::new_master($old);
my @new = main::workers_of($new);
kill WINCH => $old;
Test::More::ok(main::wait_until(sub { !grep { main::is_alive($_) } @first }), 'the old workers are gone');
kill HUP => $old;
# The new master is a child of the old one.
my @old;
Test::More::ok(main::wait_until(sub { (@old = grep { $_ != $new } main::workers_of($old)) == 2 }), 'the old master has workers again');
Test::More::is(main::serving(200, old => \@old, new => \@new), 'new old', 'both serve');
kill QUIT => $new;
Test::More::ok(main::wait_until(sub { !main::is_alive($new) }), 'the new master is gone');
Test::More::ok(main::wait_until(sub { !-e "$main::root/logs/nginx.pid.oldbin" }), 'the old one is the only one');
Test::More::is(main::serving(50, old => \@old, new => \@new), 'old', 'its workers serve');
Test::More::is((main::get_data('m', 'k'))[0], 'old', 'with its shared data');
Test::More::like(main::get('/trap'), qr{\AHTTP/1.1 503 }, 'a trap is caught');
Test::More::is(main::serving(20, old => \@old), 'old', 'and they go on');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked
exited on signal
