# Compiling in a process of its own: what the master keeps of it, and what signals do meanwhile.

use Test::Nginx::Socket 'no_plan';
use Control;
use IPC::Open3 ();

our $filters = $ENV{TEST_NGINX_FILTERS};

# The first takes long enough to be caught in the act. Both are content with an empty object as their configuration.
our ($large, $other) = map { "$filters/$_.wasm" } 'headers_go', 'hello_world';

# The children of a process that compile.
sub compilers {
    my $master = shift;
    open my $in, '<', "/proc/$master/task/$master/children" or return;
    return grep { main::comm($_) eq 'wasm-compile' && main::is_alive($_) } split ' ', <$in> // '';
}

sub comm {
    open my $in, '<', "/proc/$_[0]/comm" or return '';
    return <$in> =~ s/\n//r;
}

# Stops the process that compiles for this one; what it has begun to do waits then.
sub catch {
    my $master = shift;
    my $compiler;
    main::wait_until(sub { ($compiler) = main::compilers($master) }) or die 'nothing compiles';
    kill STOP => $compiler;
    main::wait_until(sub { main::state_of($compiler) eq 'T' }) or die 'it has ended before';
    return $compiler;
}

sub state_of {
    open my $in, '<', "/proc/$_[0]/stat" or return '';
    return (<$in> =~ /\) (\w) /)[0] // '';
}

# The memory of a process that is no file, in KiB.
sub memory {
    open my $in, '<', "/proc/$_[0]/status" or die "status: $!";
    return (join('', <$in>) =~ /^RssAnon:\s+(\d+) kB/m)[0];
}

sub threads { return scalar(my @all = glob "/proc/$_[0]/task/*") }

# Changes the module on disk.
sub replace { system('cp', $_[0], "$main::html/new.wasm") == 0 && rename "$main::html/new.wasm", "$main::html/m.wasm" or die "cp: $!" }

# A configuration with this in the http block, for `nginx -t`, which is started; its process and its output.
sub testing {
    my $http = shift;
    my $conf = "$main::html/t.conf";
    open my $out, '>', $conf or die "$conf: $!";
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $main::html/t.pid;\nevents {}\nhttp {\n$http\nserver { location / { wasm_filter m '{}'; } }\n}\n";
    close $out;
    my $pid = IPC::Open3::open3(my $in, my $said, undef, $ENV{TEST_NGINX_BINARY}, '-t', '-p', "$main::root/", '-e', 'stderr', '-c', $conf);
    close $in;
    return ($pid, $said);
}

# What it has written in the end, and whether it was content.
sub tested {
    my ($pid, $said) = @_;
    my $text = join '', <$said>;
    waitpid $pid, 0;
    return ($text, $?);
}

# No line tells of a child that nginx does not know.
sub undisturbed {
    Test::More::is(scalar main::matches(qr/unknown process|waitpid\(\) failed/), 0, 'nginx has heard of no other process');
}

our $http = "wasm_cache off; wasm_module m ../html/m.wasm;";
our $config = 'location /t { wasm_filter m \'{}\'; return 204; }';
# The first module is there before nginx starts.
add_block_preprocessor(sub {
    my $block = shift;
    my $first = ($block->http_config // '') =~ /kept_cache/ ? 'large' : 'other';
    $block->set_value(post_setup_server_root => "main::replace(\$main::$first)");
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: what is compiled at a start leaves neither threads nor memory in the master
--- workers: 1
--- http_config eval: "wasm_cache kept_cache; wasm_module m ../html/m.wasm;"
--- config eval: $::config
--- init
my $start = sub {
    main::quit();
    main::start();
    return main::memory(main::pid());
};
my $warm = $start->();
Test::More::is(main::threads(main::pid()), 1, 'one thread');
system("rm -r $main::root/kept_cache") == 0 or die;
my $cold = $start->();
Test::More::ok(-d "$main::root/kept_cache", 'it was compiled again');
Test::More::is(main::threads(main::pid()), 1, 'one thread');
Test::More::cmp_ok($cold, '<', $warm + (4 << 10), "KiB, of $warm with a cache");
main::undisturbed();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 2: a reload compiles, and nginx hears of no other process
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- init
my $before = main::memory(main::pid());
main::replace($main::large);
kill HUP => main::pid();
main::wait_for(qr/worker process \d+ exited with code 0/, 1);
Test::More::is(main::threads(main::pid()), 1, 'one thread');
Test::More::is(scalar main::matches(qr/signal 17 \(SIGCHLD\)/), scalar main::matches(qr/worker process \d+ exited/), 'a signal for each worker');
main::undisturbed();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 3: a worker that dies meanwhile is missed
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- init
my $master = main::pid();
my ($worker) = main::workers_of($master);
main::replace($main::large);
kill HUP => $master;
my $compiler = main::catch($master);
kill KILL => $worker;
main::wait_until(sub { main::state_of($worker) eq 'Z' });
kill CONT => $compiler;
Test::More::ok(main::wait_until(sub { main::state_of($worker) eq '' }), 'the master has asked for it');
Test::More::is(scalar main::wait_for(qr/worker process $worker exited on signal 9/), 1, 'and written so');
Test::More::ok(main::wait_until(sub { main::workers_of($master) >= 1 && !main::compilers($master) }), 'there are workers');
main::undisturbed();
--- request
GET /t
--- error_code: 204
--- no_error_log
[emerg]
panicked



=== TEST 4: nginx is told to quit meanwhile
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- init
my $master = main::pid();
main::replace($main::large);
kill HUP => $master;
my $compiler = main::catch($master);
kill QUIT => $master;
kill CONT => $compiler;
Test::More::ok(main::wait_until(sub { !-e "$main::root/logs/nginx.pid" }), 'it does when it has read its configuration');
main::undisturbed();
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 5: the compiler is killed in a reload: the workers from before go on
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- init
my $master = main::pid();
my ($worker) = main::workers_of($master);
main::replace($main::large);
kill HUP => $master;
kill KILL => main::catch($master);
my ($line) = main::wait_for(qr/\[emerg\] .*/);
Test::More::like($line, qr{: wasm module "m" \("\S+html/m\.wasm"\): compilation failed: its process was killed by signal 9, as when memory runs out in \S+nginx\.conf:\d+$}, 'the line');
Test::More::is_deeply([main::workers_of($master)], [$worker], 'the same worker');
kill HUP => $master;
Test::More::ok(main::wait_until(sub { my @now = main::workers_of($master); @now == 1 && $now[0] != $worker }), 'another reload');
main::undisturbed();
--- request
GET /t
--- error_code: 204
--- no_error_log
panicked



=== TEST 6: nginx -t: a compiler that is killed, or told to end
--- config
    location /t { return 204; }
--- init
for my $case ([KILL => 'was killed by signal 9, as when memory runs out'], [TERM => 'was ended by signal 15']) {
    my ($signal, $told) = @$case;
    my ($pid, $said) = main::testing("wasm_cache off; wasm_module m $main::large;");
    my $compiler = main::catch($pid);
    kill $signal => $compiler;
    kill CONT => $compiler;
    my ($text, $status) = main::tested($pid, $said);
    Test::More::like($text, qr/\[emerg\] .*: compilation failed: its process $told in /, $signal);
    Test::More::isnt($status, 0, 'no good configuration');
}
--- request
GET /t
--- error_code: 204



=== TEST 7: nginx -t is killed: the compiler ends
--- config
    location /t { return 204; }
--- init
my ($pid, $said) = main::testing("wasm_cache off; wasm_module m $main::large;");
my $compiler = main::catch($pid);
kill KILL => $pid;
waitpid $pid, 0;
Test::More::ok(main::wait_until(sub { !main::is_alive($compiler) }), 'it is gone');
--- request
GET /t
--- error_code: 204



=== TEST 8: nginx is started by who ignores the end of children
--- config
    location /t { return 204; }
--- init
my ($text, $status);
{
    local $SIG{CHLD} = 'IGNORE';
    my ($pid, $said) = main::testing("wasm_cache off; wasm_module m $main::large;");
    $text = join '', <$said>;
    main::wait_until(sub { !main::is_alive($pid) });
}
Test::More::like($text, qr/ syntax is ok$/m, 'good');
Test::More::like($text, qr/ test is successful$/m, 'successful');
--- request
GET /t
--- error_code: 204



=== TEST 9: there can be no process, or no thread in it: it is compiled without
--- config
    location /t { return 204; }
--- init
SKIP: {
    Test::More::skip('only root can be another user', 5) if $> != 0;
    # A user who has no other process.
    my $user = 61234;
    my $home = "$main::html/home";
    mkdir $home or die;
    chown $user, -1, $home or die;
    system('cp', $main::other, "$home/m.wasm") == 0 or die;
    my $as = "setpriv --reuid $user --regid $user --clear-groups";
    system("$as test -r $home/m.wasm -a -r $ENV{TEST_NGINX_WASM_MODULE} -a -x $ENV{TEST_NGINX_BINARY}");
    Test::More::skip('another user cannot read the files of this build', 5) if $?;
    open my $out, '>', "$home/t.conf" or die;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $home/t.pid;\nevents {}\nhttp {\nwasm_cache cache;\nwasm_module m m.wasm;\naccess_log off;\nserver {}\n"
        . join('', map { "${_}_temp_path $home/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)) . "}\n";
    close $out;
    my $test = sub { return `bash -c 'ulimit -u $_[0]; exec $as $ENV{TEST_NGINX_BINARY} -t -p $home/ -e stderr -c $home/t.conf' 2>&1` };
    # nginx itself is one; another one is the thread that ends guests that loop, without which no configuration is good.
    my $said = $test->(1);
    Test::More::like($said, qr/\[notice\] .*\[wasm\] m: compiled on one processor: there is no process for it \(Resource temporarily unavailable \(os error 11\)\)/, 'no process: told');
    Test::More::like($said, qr/\[emerg\] .*: no thread: /, 'it is compiled');
    my @files = glob "$home/cache/*";
    Test::More::is(scalar @files, 1, 'and kept');
    unlink @files;
    $said = $test->(2);
    Test::More::like($said, qr/ test is successful$/m, 'no threads: successful');
    Test::More::is(scalar(my @again = glob "$home/cache/*"), 1, 'and kept');
}
--- request
GET /t
--- error_code: 204
