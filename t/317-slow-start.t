# Reloads with a guest whose start takes seconds: the old workers serve until the new ones do, so that no request waits.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;
use JSON::PP ();
use Time::HiRes ();

# Seconds that a slow configuration takes, by the clock.
our $burn = 3;

# Burns so many seconds as its configuration has bytes, and says when it does.
our $guest = guest(
    imports => ['proxy_log', 'proxy_get_current_time_nanoseconds', 'proxy_add_header_map_value'],
    configure => '(local $end i64)
        (drop (call $proxy_log (i32.const 2) (i32.const 16) (i32.const 11)))
        (drop (call $proxy_get_current_time_nanoseconds (i32.const 8)))
        (local.set $end (i64.add (i64.load (i32.const 8)) (i64.mul (i64.extend_i32_u (local.get 1)) (i64.const 1000000000))))
        (loop $on
            (drop (call $proxy_get_current_time_nanoseconds (i32.const 8)))
            (br_if $on (i64.lt_u (i64.load (i32.const 8)) (local.get $end))))
        (drop (call $proxy_log (i32.const 2) (i32.const 32) (i32.const 10)))
        (i32.const 1)',
    response_headers => '(drop (call $proxy_add_header_map_value (i32.const 2) (i32.const 48) (i32.const 8) (i32.const 64) (i32.const 2))) (i32.const 0)',
    fields => '(data (i32.const 16) "configuring") (data (i32.const 32) "configured") (data (i32.const 48) "x-filter") (data (i32.const 64) "on")',
);

our $http = 'wasm_module slow ../html/slow.wat;';
our $config = 'location /plain { return 200 $pid; } location /slow { wasm_filter slow ""; return 200 $pid; }';

# As wait_until, with the patience that slow starts ask for.
sub patiently {
    my $condition = shift;
    for (1 .. 12) { return 1 if wait_until($condition) }
    return 0;
}

# The workers, but those that were there before, that have written this.
our %before;
sub who {
    my $word = shift;
    my %wrote = map { $_ => 1 } map { /\A(\d+)#/ } matches(qr/\d+#\d+: (?:\*\d+ )?\[wasm\] slow: $word(?!\w)/);
    return grep { $wrote{$_} && !$before{$_} } workers_of(pid());
}

# Waits until so many workers are ready, and takes them for those that were there before.
sub settle {
    my $count = shift;
    %before = ();
    patiently(sub { $count == who('configured') });
    %before = map { $_ => 1 } workers_of(pid());
}

# A client that asks for both locations all the time. Its stop() answers what was not as it should, the longest wait in seconds,
# and how often each process has answered.
sub client {
    pipe(my $stop_out, my $stop_in) or die "pipe: $!";
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        close $stop_in;
        my ($longest, %by, @bad) = (0);
        my $ready = '';
        vec($ready, fileno $stop_out, 1) = 1;
        until (select(my $copy = $ready, undef, undef, 0.002)) {
            for my $path (qw(/plain /slow)) {
                my $start = Time::HiRes::time();
                my $got = eval {
                    my $socket = connection();
                    print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                    receive($socket);
                } // $@;
                my $took = Time::HiRes::time() - $start;
                $longest = $took if $took > $longest;
                my $right = $got =~ m{\AHTTP/1\.1 200 } && ($path eq '/plain' || $got =~ /^x-filter: on\r$/m);
                $right && $got =~ /\r\n\r\n(\d+)\z/ ? $by{$1}++ : push @bad, "$path: $got";
            }
        }
        print JSON::PP::encode_json([\@bad, $longest, \%by]);
        close STDOUT;
        require POSIX;
        POSIX::_exit(0);
    }
    close $stop_out;
    return sub {
        close $stop_in;
        local $/;
        my $text = <$out>;
        waitpid $pid, 0;
        return @{ JSON::PP::decode_json($text) };
    };
}

# Starts what the blocks have in common: so many workers, a client, and a slow reload. Answers the
# master, and the new workers when they are all in their start.
our $stop;
sub begin {
    my $count = shift;
    my $master = pid();
    settle($count);
    $stop = client();
    slow();
    Test::More::ok(patiently(sub { $count == who('configuring') }), 'the new workers start');
    return ($master, who('configuring'));
}

# Ends the client, which has had right answers only. How often each process has answered.
sub check {
    my ($bad, $longest, $by) = $stop->();
    Test::More::is_deeply($bad, [], 'every answer was right');
    Test::More::note("the longest took $longest s");
    return %$by;
}

sub slow { reload(q(wasm_filter slow ""), q(wasm_filter slow ) . ('a' x $main::burn)) }

no_long_string();
run_tests();

__DATA__

=== TEST 1: a reload with a slow start: nothing waits
--- workers: 2
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: ">>> slow.wat\n$::guest"
--- init
my ($master) = main::begin(2);
# Long enough for the master to tell the old ones to quit.
main::wait_for(qr/serving until the new workers are ready/, 2);
my @answers;
until (main::who('configured') > 0) {
    my @pair = map { main::body_of(main::get($_)) } qw(/plain /slow);
    push @answers, @pair unless main::who('configured') > 0;
}
Test::More::cmp_ok(scalar @answers, '>=', 2, 'requests are answered while the new workers start');
Test::More::is_deeply([grep { !$main::before{$_} } @answers], [], 'by the old ones');
Test::More::ok(main::patiently(sub { !grep { $main::before{$_} } main::workers_of($master) }), 'these go then');
my @new = main::workers_of($master);
Test::More::is(scalar @new, 2, 'the new workers are there');
main::get('/slow') for 1 .. 10;
my %by = main::check();
Test::More::ok(scalar(grep { !$main::before{$_} } keys %by), 'new workers have answered, too');



=== TEST 2: one worker, and a second reload while the first one's worker starts
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: ">>> slow.wat\n$::guest"
--- init
my ($master, $slow) = main::begin(1);
main::reload('wasm_filter slow ' . ('a' x $main::burn), 'wasm_filter slow ""');
Test::More::ok(main::patiently(sub { grep { $_ != $slow } main::who('configured') }), 'another one is ready');
my ($last) = grep { $_ != $slow } main::who('configured');
Test::More::ok(main::patiently(sub { "@{[main::workers_of($master)]}" eq $last }), 'all others go');
main::check();



=== TEST 3: a new worker that dies in its start: the old ones wait for the next one
--- workers: 2
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: ">>> slow.wat\n$::guest"
--- init
my ($master, $victim) = main::begin(2);
kill KILL => $victim;
Test::More::ok(main::patiently(sub { 2 == grep { $_ != $victim } main::who('configuring') }), 'another one starts');
Test::More::is(scalar(grep { $main::before{$_} } main::workers_of($master)), 2, 'the old ones serve');
Test::More::ok(main::patiently(sub { !grep { $main::before{$_} } main::workers_of($master) }), 'and go');
Test::More::is(scalar(main::who('configured')), 2, 'when both were ready');
main::check();
--- no_error_log
[emerg]
[crit]
panicked



=== TEST 4: nginx quits while new workers start
--- workers: 2
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: ">>> slow.wat\n$::guest"
--- init
my ($master) = main::begin(2);
my @workers = main::workers_of($master);
$main::stop->();
kill QUIT => $master;
Test::More::ok(main::patiently(sub { !-e "$main::root/logs/nginx.pid" }), 'it is gone');
Test::More::is_deeply([grep { main::is_alive($_) } @workers], [], 'with all workers');
main::start();
Test::More::ok(main::patiently(sub { main::is_alive(main::pid()) && (eval { main::get('/plain') } // '') =~ / 200 / }), 'and starts again');
