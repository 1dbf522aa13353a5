# The directives of shared memory zones: parameters, sizes, names, reload.

use Test::Nginx::Socket 'no_plan';
use Control;
use Wire ();

no_long_string();
run_tests();

__DATA__

=== TEST 1: mistakes
--- config
    location /t { return 204; }
--- init
my $check = sub {
    my $directives = shift;
    my $file = "$main::root/conf/mistake.conf";
    open my $out, '>', $file or die "$file: $!";
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nevents {}\nhttp {\n$directives\n}\n";
    close $out;
    return Wire::output_of($ENV{TEST_NGINX_BINARY}, '-t', '-e', "$main::root/logs/mistake.log", '-p', "$main::root/", '-c', $file);
};
my @cases = (
    ['wasm_shared_data;', 'invalid number of arguments in "wasm_shared_data" directive'],
    ['wasm_shared_data evict=none;', '"wasm_shared_data" must have "zone" parameter'],
    ['wasm_shared_data zone=z:1m evict=mru;', 'invalid evict "mru"'],
    ['wasm_shared_data zone=z:1m evict;', 'invalid evict ""'],
    ['wasm_shared_data zone=z:1m evict=lru evict=lru;', 'duplicate parameter "evict"'],
    ['wasm_shared_data zone=z:1m zone=y:1m;', 'duplicate parameter "zone"'],
    ['wasm_shared_data zone=z:1m keep;', 'invalid parameter "keep"'],
    ['wasm_shared_data zone;', 'invalid parameter "zone"'],
    ['wasm_shared_data zone=z;', 'invalid zone size "zone=z"'],
    ['wasm_shared_data zone=z:;', 'invalid zone size "zone=z:"'],
    ['wasm_shared_data zone=z:1x;', 'invalid zone size "zone=z:1x"'],
    ['wasm_shared_data zone=z:-1;', 'invalid zone size "zone=z:-1"'],
    ['wasm_shared_data zone=z:99999999999999999999g;', 'invalid zone size "zone=z:99999999999999999999g"'],
    ['wasm_shared_data zone=:1m;', 'invalid zone name "zone=:1m"'],
    ['wasm_shared_data zone=z:31k;', 'zone "z" is too small'],
    ['wasm_shared_data zone=z:0;', 'zone "z" is too small'],
    ['wasm_shared_queue zone=z:31k;', 'zone "z" is too small'],
    ['wasm_shared_queue zone=z:1m evict=lru;', 'invalid parameter "evict=lru"'],
);
for my $case (@cases) {
    my ($directive, $mistake) = @$case;
    Test::More::is((split /\n/, $check->($directive))[0], "nginx: [emerg] $mistake in $main::root/conf/mistake.conf:4", $directive);
}
@cases = (
    ["wasm_shared_data zone=z:1m;\nwasm_shared_data zone=y:1m;", '"wasm_shared_data" directive is duplicate'],
    ["wasm_shared_queue zone=z:1m;\nwasm_shared_queue zone=y:1m;", '"wasm_shared_queue" directive is duplicate'],
    ["wasm_shared_data zone=z:1m;\nwasm_shared_queue zone=z:1m;", 'the shared memory zone "z" is already declared for a different use'],
    ["limit_req_zone \$uri zone=z:1m rate=1r/s;\nwasm_shared_data zone=z:1m;", 'the shared memory zone "z" is already declared for a different use'],
);
for my $case (@cases) {
    my ($directives, $mistake) = @$case;
    Test::More::is((split /\n/, $check->($directives))[0], "nginx: [emerg] $mistake in $main::root/conf/mistake.conf:5", $directives);
}
Test::More::like($check->('server { wasm_shared_data zone=z:1m; }'), qr/"wasm_shared_data" directive is not allowed here/, 'in a server');
for my $good ('wasm_shared_data zone=z:32k;', 'wasm_shared_data zone=z:1M evict=none;', 'wasm_shared_queue zone=z:32k;',
    "wasm_shared_data zone=y:1m;\nwasm_shared_queue zone=z:1m;") {
    Test::More::like($check->($good), qr/test is successful/, $good);
}
--- request
GET /t
--- error_code: 204


=== TEST 2: zones of the least size serve, dry run included
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_shared_data zone=d:32k;
    wasm_shared_queue zone=q:32k;
--- config
    location /t {
        wasm_filter m '{"configure":[["set_shared_data","k","v",0],["get_shared_data","k","v"],["register_queue","q","q"],["enqueue",{"var":"q"},"hello"],["dequeue",{"var":"q"},"w"],["log","info",{"join":[{"var":"v"}," ",{"var":"w"}]}]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- error_log
[wasm] m: v hello
--- no_error_log
[error]
[alert]


=== TEST 3: zones without any module
--- http_config
    wasm_shared_data zone=d:32k;
    wasm_shared_queue zone=q:32k;
--- config
    location /t { return 204; }
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 4: without directives, a zone of 1m each
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["repeat",5,[["let","i",{"add":[{"var":"i"},1]}],["set_shared_data",{"join":["k",{"var":"i"}]},{"body":"plugin_configuration"},0]]],["get_shared_data","k1","v"],["register_queue","q","q"],["enqueue",{"var":"q"},"x"]]}';
        return 204;
    }
--- init
# As large as the map of the process says; other zones of nginx are not there.
my @maps = grep { /zero|\/dev\/zero|memfd/ } do { open my $in, '<', '/proc/' . main::pid() . '/maps' or die; <$in> };
no warnings 'portable';
my @sizes = map { my ($from, $to) = /^(\w+)-(\w+) rw-s/ or (); defined $to ? hex($to) - hex($from) : () } @maps;
my $whole = 0;
$whole += $_ for @sizes;
Test::More::cmp_ok($whole, '>=', 2 * 1024 * 1024, 'two of them');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 5: modules and zones come and go by reload
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_shared_data zone=d:64k;
--- config
    location /a { wasm_filter m '{"configure":[["get_shared_data","k","v"],["log","info",{"join":["before ",{"var":"v"}]}],["set_shared_data","k","v",0]]}'; return 200 "$pid"; }
    location /t { return 204; }
--- init
my %old = (main::body_of(main::get('/a')) => 1);
my $next = sub {
    my $new;
    Test::More::ok(main::wait_until(sub { !$old{$new = main::body_of(main::get('/a'))} }), $_[0]);
    $old{$new} = 1;
    return (main::wait_for(qr/ $new#.*\Kbefore .*/))[0];
};
main::reload('zone=d:64k', 'zone=e:64k');
Test::More::is($next->('another name'), 'before status 1', 'another zone');
main::reload('zone=e:64k', 'zone=e:64k evict=none');
Test::More::is($next->('another way to evict'), 'before v', 'the same zone');
main::reload('wasm_shared_data zone=e:64k evict=none;', '');
Test::More::is($next->('no directive'), 'before status 1', 'the default zone');
# A reload that fails leaves everything as it is.
main::reload('wasm_module m', 'wasm_shared_data zone=e:1k; wasm_module m');
main::wait_for(qr/\[emerg\] .*zone "e" is too small/);
main::reload('wasm_shared_data zone=e:1k; ', '');
Test::More::is($next->('good again'), 'before v', 'the default zone still');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[crit]
