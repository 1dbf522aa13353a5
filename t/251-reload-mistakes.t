# What can be wrong with a new configuration, and with the files of modules, while nginx runs. See
# t/022-processes.t for a refused configuration and a missing file.

use Test::Nginx::Socket 'no_plan';
use Control;

no_long_string();

# A module that sets x-version, or a text in its place that is no such module.
our $guest = sub {
    my $version = shift;
    return <<"_EOC_";
(module
  (import "env" "proxy_add_header_map_value" (func \$add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-version" "$version")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call \$add (i32.const 2) (i32.const 0) (i32.const 9) (i32.const 9) (i32.const @{[length $version]})))
    (i32.const 0)))
_EOC_
};
our $trapping = '(module (func $start unreachable) (start $start) (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))';
our $foreign = '(module (import "env" "launch" (func)) (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))';

sub main::write_file {
    my ($path, $text, $in_place) = @_;
    open my $out, '>', $in_place ? $path : "$path.new" or die "$path: $!";
    print $out $text;
    close $out;
    $in_place or rename "$path.new", $path or die "$path: $!";
}

# x-version and the worker.
sub main::served {
    my $answer = eval { main::get('/a') } // '';
    return $answer =~ /^x-version: (\S+)\r$/m ? "$1 " . main::body_of($answer) : "no version: $answer";
}

# The workers, by number, but for this one.
sub main::next_worker {
    my $old = shift;
    my $now;
    main::wait_until(sub { ($now) = main::served() =~ /(\d+)\z/; defined $now && $now != $old });
    return $now;
}

run_tests();

__DATA__

=== TEST 1: what is wrong is logged in one line, and the worker stays, with its module
--- workers: 1
--- user_files eval: [["m.wat", $::guest->("one")]]
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /a { wasm_filter m; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $before = main::served();
Test::More::like($before, qr/\Aone \d+\z/, 'at first');
my $file = "$main::html/m.wat";
for ([[], qr/unknown wasm module "gone"/, 'an unknown module', 'wasm_filter m', 'wasm_filter gone'],
     [[$::trapping], qr/wasm module "m" .*unreachable/, 'a trap in start'],
     [[$::foreign], qr/imports env\.launch/, 'an unknown import'],
     [['(module'], qr/wasm module "m"/, 'not a module'],
     [[''], qr/wasm module "m"/, 'an empty file'],
     [[undef], qr/wasm module "m": cannot read/, 'a directory']) {
    my ($texts, $line, $what, @change) = @$_;
    my $lines = main::matches(qr/\[emerg\]/);
    if (@$texts) {
        my $text = $texts->[0];
        defined $text ? main::write_file($file, $text) : (unlink($file), mkdir $file);
        kill HUP => main::pid();
    } else {
        main::reload(@change);
    }
    my @emerg = main::wait_for(qr/\[emerg\] \d+#\d+: .*/, $lines + 1);
    Test::More::is(scalar @emerg, $lines + 1, "$what: one line");
    Test::More::like($emerg[-1], $line, "$what: it says so");
    Test::More::is(main::served(), $before, "$what: the same worker serves");
    rmdir $file if -d $file;
    if (@change) {
        main::write_file($file, '(module');
        main::reload(reverse @change);
        main::wait_for(qr/\[emerg\]/, $lines + 2);
    }
}
main::write_file($file, $::guest->('two'));
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { main::served() =~ /\Atwo / }), 'a good configuration is taken again');
--- request
GET /t
--- error_code: 204
--- error_log
[emerg]
--- no_error_log
[alert]
panicked


=== TEST 2: another module in the file: a new worker of the old configuration has the old one, until a reload
--- workers: 1
--- user_files eval: [["m.wat", $::guest->("one")]]
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /a { wasm_filter m; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $file = "$main::html/m.wat";
my ($worker) = main::served() =~ /(\d+)\z/;
for ([another => $::guest->('two')], [truncated => '', 1], ['overwritten in place' => "\0asm" . 'x' x 5000, 1]) {
    my ($what, @file) = @$_;
    main::write_file($file, @file);
    Test::More::is(main::served(), "one $worker", "$what: the worker");
    kill KILL => $worker;
    $worker = main::next_worker($worker);
    Test::More::is(main::served(), "one $worker", "$what: the next one");
}
unlink $file;
kill KILL => $worker;
$worker = main::next_worker($worker);
Test::More::is(main::served(), "one $worker", 'without a file');
main::write_file($file, $::guest->('three'));
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { main::served() =~ /\Athree / }), 'behind a reload');
--- request
GET /t
--- error_code: 204
--- no_error_log
[emerg]
panicked
exited on signal 11
exited on signal 7


=== TEST 3: no directives any more, and again; then without load_module, and again
--- workers: 1
--- user_files eval: [["m.wat", $::guest->("one")]]
--- http_config
    wasm_module m ../html/m.wat;
    wasm_module trap $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m; return 200 "$pid"; }
    location /trap { wasm_filter trap '{"request_headers":[["abort"]]}'; return 200; }
    location /t { return 204; }
--- init
my $good = do { open my $in, '<', $main::conf or die $!; local $/; <$in> };
(my $unused = $good) =~ s/^[ \t]*wasm_module/#/mg;
$unused =~ s/wasm_filter [^;]*;//g;
(my $unloaded = $unused) =~ s/^load_module [^;]*;//m or die 'no load_module';
my ($master, $worker) = (main::pid(), (main::served() =~ /(\d+)\z/)[0]);
for my $without ([directives => $unused], [module => $unloaded]) {
    my ($what, $text) = @$without;
    main::write_file($main::conf, $text);
    kill HUP => $master;
    my $answer;
    Test::More::ok(main::wait_until(sub { ($answer = main::get('/a')) !~ /x-version/ }), "without $what");
    Test::More::like($answer, qr{\AHTTP/1.1 200 .*\r\n\r\n\d+\z}s, "without $what, it serves");
    Test::More::ok(main::wait_until(sub { !kill 0 => $worker }), "without $what, the old worker is gone");
    Test::More::like(main::get('/trap'), qr{\AHTTP/1.1 200 }, "without $what, no filter");
    main::write_file($main::conf, $good);
    kill HUP => $master;
    Test::More::ok(main::wait_until(sub { main::served() =~ /\Aone (\d+)/ and $worker = $1 }), "with $what again");
    main::wait_until(sub { !kill 0 => main::body_of($answer) });
    Test::More::like(main::get('/trap'), qr{\AHTTP/1.1 503 }, "with $what again, traps are caught");
    Test::More::is(main::served(), "one $worker", "with $what again, by the same worker");
}
Test::More::is(main::pid(), $master, 'the same master');
--- request
GET /t
--- error_code: 204
--- no_error_log
[emerg]
[alert]
panicked


=== TEST 4: reloads in quick succession, and while workers start
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module slow $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"response_headers":[["set_header","response","x-version","one"]]}'; return 200 "$pid"; }
    location /slow { wasm_filter slow '{"trace":true,"configure":[["let","i","0"],["repeat",100000,[["let","i",{"add":[{"var":"i"},1]}]]]]}'; return 200; }
    location /t { return 204; }
--- init
my $master = main::pid();
my $last = 'one';
for my $round (1 .. 5) {
    # Two at once, and one when the first workers of them begin to configure.
    my $begun = main::matches(qr/slow: on_configure/);
    main::reload("\"$last\"", "\"two$round\"");
    kill HUP => $master;
    main::wait_for(qr/slow: on_configure/, $begun + 2);
    main::reload("\"two$round\"", $last = "\"three$round\"");
    $last =~ s/"//g;
}
Test::More::ok(main::wait_until(sub { main::served() =~ /\Athree5 / }), 'the last configuration serves');
Test::More::ok(main::wait_until(sub { 2 == (() = `cat /proc/$master/task/$master/children` =~ /\d+/g) }), 'two workers in the end');
my %versions = map { main::served() =~ /(\S+) / ? ($1 => 1) : () } 1 .. 20;
Test::More::is_deeply([keys %versions], ['three5'], 'all of them with the last configuration');
--- request
GET /t
--- error_code: 204
--- no_error_log
[emerg]
[alert]
[error]
panicked
