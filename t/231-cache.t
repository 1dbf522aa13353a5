# wasm_cache: compiled code that outlives nginx, and what of it is not trusted.

use Test::Nginx::Socket 'no_plan';
use Control;

# A filter that answers with this status.
sub guest {
    my $status = shift;
    return <<"_EOC_";
(module
  (import "env" "proxy_send_local_response" (func \$answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call \$answer (i32.const $status) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
_EOC_
}

sub spew {
    my ($path, $text) = @_;
    open my $out, '>:raw', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
}

sub slurp {
    my $path = shift;
    open my $in, '<:raw', $path or die "$path: $!";
    local $/;
    return <$in>;
}

# Everything is below html/, which is what is removed between blocks.
sub entries { my @all = sort glob "$main::html/cache/*"; return @all }
sub status { return (main::get($_[0] // '/t') =~ m{\AHTTP/1\.1 (\d+)})[0] }
sub restart { return main::quit() && main::start() }

# Reloads, for the so manieth time, and waits until the two workers from before have gone, which answer up to then.
sub reloaded {
    my $times = shift;
    kill HUP => main::pid();
    return main::wait_for(qr/worker process \d+ exited with code 0/, 2 * $times) == 2 * $times;
}

# How many modules nginx has found, and how many it has compiled, since it was started.
sub compiled {
    my %counts = main::get('/metrics') =~ /^nginx_wasm_compile_cache_(hits|misses)_total (\d+)$/mg;
    return "$counts{hits} found, $counts{misses} compiled";
}

sub warnings { return map { s/.*\[warn\] \S+ //r } main::matches(qr/.*\[warn\].*wasm_cache.*?(?= in |$)/) }

# The error of `nginx -t` with this in the http block.
sub mistake {
    my $http = shift;
    my $conf = "$main::html/t.conf";
    spew($conf, "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $main::html/t.pid;\nevents {}\nhttp {\n$http\nserver {}\n}\n");
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $main::root/ -e stderr -c $conf 2>&1`;
    return $? ? ($said =~ /\[emerg\] \S+ (.*) in \S+t\.conf:\d+$/m)[0] // $said : 'none';
}

our $http = 'wasm_cache html/cache/; wasm_module m ../html/m.wat;';
our $config = 'location /t { wasm_filter m; return 200 served; } location /metrics { wasm_metrics; }';
# One file run in three ways, of which the last needs other code.
our $variants = 'wasm_module m ../html/m.wat; wasm_module deep ../html/m.wat stack=1m; wasm_module own ../html/m.wat isolation=request;';
our $each = 'location /deep { wasm_filter deep; return 200 served; } location /own { wasm_filter own; return 200 served; }';
our $files = ">>> m.wat\n" . guest(201);

no_long_string();
run_tests();

__DATA__

=== TEST 1: another start compiles nothing, whatever the name of the module and the text around it
--- http_config eval: $::http . 'wasm_module again ../html/m.wat;'
--- config eval: $::config
--- user_files eval: $::files
--- init
Test::More::is(main::compiled(), '1 found, 1 compiled', 'the first start');
my @entries = main::entries();
Test::More::is(scalar @entries, 1, 'one file');
Test::More::is((stat $entries[0])[2] & 07777, 0600, 'its mode');
Test::More::is((stat "$main::html/cache")[2] & 07777, 0700, 'the mode of the directory');
my $inode = (stat $entries[0])[1];
for my $turn (1, 2) {
    main::restart();
    Test::More::is(main::status(), 201, 'the filter works');
    Test::More::is(main::compiled(), '2 found, 0 compiled', "start $turn with a warm cache");
}
Test::More::is((stat $entries[0])[1], $inode, 'the same file');
Test::More::is_deeply([main::warnings()], [], 'nothing to tell');
--- request
GET /t
--- error_code: 201
--- no_error_log
[warn]
[error]
[alert]
[emerg]
panicked


=== TEST 2: a module that is replaced on disk is compiled anew, and its old code stays for who has it
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: $::files
--- init
Test::More::is(main::status(), 201, 'the first module');
main::spew("$main::html/m.wat", main::guest(202));
Test::More::is(main::status(), 201, 'replaced on disk');
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { main::status() == 202 }), 'the second module, after a reload');
Test::More::is(scalar(main::entries()), 2, 'two files');
main::restart();
Test::More::is(main::compiled(), '1 found, 0 compiled', 'the second is found');
main::spew("$main::html/m.wat", main::guest(201));
main::restart();
Test::More::is(main::status(), 201, 'the first module again');
Test::More::is(main::compiled(), '1 found, 0 compiled', 'it is found, too');
--- request
GET /t
--- error_code: 201
--- no_error_log
[warn]
[error]
[alert]
[emerg]
panicked


=== TEST 3: a damaged file is told, compiled again and replaced
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: $::files
--- init
my ($entry) = main::entries();
my $good = main::slurp($entry);
my $told = 0;
for my $case (
    ['a byte of the code', 'is damaged', sub { substr($_[0], -1000, 1) ^= "\x01" }],
    ['a byte of the sum', 'is damaged', sub { substr($_[0], 100, 1) ^= "\x80" }],
    ['the version', 'is of another version or another processor', sub { substr($_[0], 20, 1) ^= "\x01" }],
    ['half of it', 'has not the length that it says', sub { $_[0] = substr $_[0], 0, length($_[0]) / 2 }],
    ['nothing in it', 'is cut off', sub { $_[0] = '' }],
    ['another file', 'is not of this cache', sub { $_[0] = "\x7fELF" . 'x' x 5000 }],
) {
    my ($name, $reason, $damage) = @$case;
    main::quit();
    my $bad = $good;
    $damage->($bad);
    main::spew($entry, $bad);
    main::start();
    Test::More::is(main::status(), 201, "$name: the filter works");
    Test::More::is(main::compiled(), '0 found, 1 compiled', "$name: compiled again");
    Test::More::is(main::slurp($entry), $good, "$name: replaced");
    my @warnings = main::warnings();
    Test::More::is(scalar @warnings, ++$told, "$name: one line");
    Test::More::is($warnings[-1], qq([wasm] m: wasm_cache: "$entry" $reason: compiled again), "$name: the line");
}
main::restart();
Test::More::is(main::compiled(), '1 found, 0 compiled', 'whole again');
--- request
GET /t
--- error_code: 201
--- no_error_log
[error]
[alert]
[emerg]
panicked


=== TEST 4: a file that others can write to is not trusted
--- http_config eval: $::http
--- config eval: $::config
--- user_files eval: $::files
--- init
my ($entry) = main::entries();
main::quit();
chmod 0666, $entry or die;
main::start();
Test::More::is(main::compiled(), '0 found, 1 compiled', 'compiled again');
Test::More::is((stat $entry)[2] & 07777, 0600, 'replaced');
Test::More::is_deeply([main::warnings()], [qq([wasm] m: wasm_cache: "$entry" can be written by others than its owner: compiled again)], 'told');
--- request
GET /t
--- error_code: 201
--- no_error_log
[error]
[alert]
[emerg]
panicked


=== TEST 5: directories and directives that are refused
--- config
    location /t { return 204; }
--- init
my $root = $main::html;
my $refused = 'but what is in it is run: it must belong to root or to the user that starts nginx, with mode 0700 or 0755';
mkdir "$root/open" or die;
for my $mode (0777, 0770, 0702, 01777) {
    chmod $mode, "$root/open" or die;
    Test::More::is(main::mistake('wasm_cache html/open;'),
        qq(wasm_cache: the directory "$root/open" can be written by others than its owner, $refused), sprintf 'mode %o', $mode);
}
chmod 0755, "$root/open" or die;
Test::More::is(main::mistake('wasm_cache html/open;'), 'none', 'mode 755');
SKIP: {
    Test::More::skip('only root can give a directory away', 1) if $> != 0;
    chown 65534, -1, "$root/open" or die;
    Test::More::is(main::mistake('wasm_cache html/open;'), qq(wasm_cache: the directory "$root/open" belongs to another user, $refused), 'of another user');
}
Test::More::is(main::mistake('wasm_cache html/a/b;'), qq(wasm_cache: cannot make the directory "$root/a/b": No such file or directory (os error 2)), 'no parent');
Test::More::is(main::mistake("wasm_cache $main::html/t.conf;"), qq(wasm_cache: "$main::html/t.conf" is not a directory), 'a file');
Test::More::like(main::mistake('wasm_cache /proc/self/task;'), qr{\Awasm_cache: cannot write to the directory "/proc/self/task": }, 'unwritable');
main::spew("$main::html/m.wat", main::guest(201));
Test::More::is(main::mistake("wasm_module m $main::html/m.wat;\nwasm_cache html/cache;"), 'wasm_cache must stand before the first wasm_module', 'too late');
Test::More::is(main::mistake("wasm_cache html/cache;\nwasm_cache html/cache;"), '"wasm_cache" directive is duplicate', 'twice');
Test::More::is(main::mistake('wasm_cache;'), 'invalid number of arguments in "wasm_cache" directive', 'nothing');
Test::More::is(main::mistake('wasm_cache "";'), 'empty wasm_cache', 'empty');
Test::More::is(main::mistake("wasm_cache html/cache;\nwasm_module m $main::html/m.wat;"), 'none', 'good');
Test::More::is(scalar(main::entries()), 1, 'nginx -t fills the cache');
--- request
GET /t
--- error_code: 204



=== TEST 6: reloads with unchanged modules compile nothing, with a cache
--- workers: 2
--- http_config eval: "wasm_cache html/cache/; " . $::variants
--- config eval: $::each . $::config
--- user_files eval: $::files
--- init
my $first = main::compiled();
Test::More::is($first, '1 found, 2 compiled', 'the start');
my $found = 1;
for my $turn (1 .. 3) {
    Test::More::ok(main::reloaded($turn), "reload $turn");
    $found += 3;
    Test::More::is(main::compiled(), "$found found, 2 compiled", "reload $turn: nothing compiled");
    Test::More::is(main::status($_), 201, "reload $turn: $_") for '/t', '/deep', '/own';
}
main::spew("$main::html/m.wat", main::guest(202));
Test::More::ok(main::reloaded(4), 'a reload with the changed file');
Test::More::is(main::compiled(), ($found + 1) . ' found, 4 compiled', 'is compiled, once for each way to run it');
--- request
GET /t
--- error_code: 202
--- no_error_log
[warn]
[error]
[alert]
[emerg]
panicked



=== TEST 7: reloads with unchanged modules compile nothing, without a cache
--- workers: 2
--- http_config eval: "wasm_cache off; " . $::variants
--- config eval: $::each . $::config
--- user_files eval: $::files
--- init
my $first = main::compiled();
Test::More::is($first, '1 found, 2 compiled', 'the start');
my $found = 1;
for my $turn (1 .. 3) {
    Test::More::ok(main::reloaded($turn), "reload $turn");
    $found += 3;
    Test::More::is(main::compiled(), "$found found, 2 compiled", "reload $turn: nothing compiled");
    Test::More::is(main::status($_), 201, "reload $turn: $_") for '/t', '/deep', '/own';
}
main::spew("$main::html/m.wat", main::guest(202));
Test::More::ok(main::reloaded(4), 'a reload with the changed file');
Test::More::is(main::compiled(), ($found + 1) . ' found, 4 compiled', 'is compiled, once for each way to run it');
--- request
GET /t
--- error_code: 202
--- no_error_log
[warn]
[error]
[alert]
[emerg]
panicked
