# Filters in nginx's processes: several workers, one process alone, reload, exit.

use Test::Nginx::Socket 'no_plan';
use Control;

no_long_string();
run_tests();

__DATA__

=== TEST 1: every worker has an instance of its own
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true}'; return 204; }
    location /t { return 204; }
--- init
my @starts = main::wait_for(qr/\d+#\d+: \[wasm\] m: on_configure id=1/, 2);
Test::More::is(scalar @starts, 2, 'two starts');
Test::More::isnt($starts[0], $starts[1], 'in two processes');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 2: at exit, root contexts end once in every worker
--- workers: 2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true,"root_done":[["log","info","goodbye"]]}'; return 204; }
    location /b { wasm_filter m '{"trace":true}'; return 204; }
    location /t { return 204; }
--- init
my @workers = map { (/(\d+)/)[0] } main::wait_for(qr/\d+#\d+: \[wasm\] m: on_configure id=2/, 2);
main::get('/a') for 1 .. 4;
Test::More::ok(main::quit(), 'nginx is gone');
for my $worker (@workers) {
    Test::More::is_deeply([main::matches(qr/$worker#\d+: \[wasm\] m: \K(?:on_(?:done|log|delete) id=[12]\b|goodbye)/)],
        ['on_done id=1', 'goodbye', 'on_delete id=1', 'on_done id=2', 'on_delete id=2'], 'a worker');
}
Test::More::is(scalar main::matches(qr/on_delete id=(?:[3-9]|\d\d)/), 4, 'requests ended once');
Test::More::is(scalar main::matches(qr/\[(?:error|alert)\]/), 0, 'no error');
main::start();
--- request
GET /t
--- error_code: 204


=== TEST 3: a trap at exit: the worker ends well, and so do the other modules
--- workers: 1
--- http_config
    wasm_module bad $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter bad '{"root_done":[["abort"]]}'; wasm_filter good '{"trace":true}'; return 204; }
    location /t { return 204; }
--- init
main::wait_for(qr/\[wasm\] good: on_configure/);
Test::More::ok(main::quit(), 'nginx is gone');
Test::More::is(scalar main::matches(qr/\[wasm\] bad: .*proxy_on_done trapped: /), 1, 'the line');
Test::More::is_deeply([main::matches(qr/\[wasm\] good: \Kon_(?:done|delete) id=1/)], ['on_done id=1', 'on_delete id=1'], 'the other module');
Test::More::is(scalar main::matches(qr/exited on signal|exited with fatal code/), 0, 'the worker');
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]


=== TEST 4: master_process off: the one process starts, serves, ends
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true}'; return 204; }
    location /t { return 204; }
--- init
my $pid = main::pid();
main::get('/a');
Test::More::ok(main::quit(), 'nginx is gone');
Test::More::is_deeply([main::matches(qr/ $pid#\d+: (?:\*1 )?\[wasm\] m: \Kon_\w+ id=\d+/)], [
    (map { "on_$_ id=1" } qw(context_create vm_start configure)),
    (map { "on_$_ id=2" } qw(context_create request_headers response_headers done log delete)),
    (map { "on_$_ id=1" } qw(done delete)),
], 'callbacks');
main::start();
--- request
GET /t
--- error_code: 204


=== TEST 5: daemon off and master_process off
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_config.wasm;
--- config
    location /a { wasm_filter m '1'; return 200 "served"; }
    location /t { return 204; }
--- init
Test::More::ok(main::quit(), 'nginx is gone');
my $child = fork();
die 'fork' unless defined $child;
if (!$child) {
    open STDERR, '>', '/dev/null';
    exec $ENV{TEST_NGINX_BINARY}, '-e', $main::log, '-p', "$main::root/", '-c', $main::conf, '-g', 'timer_resolution 100ms;'
        if system('sed', '-i', 's/^daemon on;/daemon off;/', $main::conf) == 0;
    exit 1;
}
Test::More::ok(main::wait_until(sub { -s "$main::root/logs/nginx.pid" && eval { main::connection() } }), 'nginx runs');
Test::More::is(main::pid(), $child, 'in the foreground');
Test::More::like(main::get('/a'), qr{custom-header: 1\r\n}, 'the filter runs');
kill QUIT => $child;
waitpid $child, 0;
Test::More::is($?, 0, 'it exits well');
system('sed', '-i', 's/^daemon off;/daemon on;/', $main::conf);
main::start();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 6: a reload with another configuration: new workers, the old contexts end once
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"response_headers":[["set_header","response","x-version","one"]]}';
        return 200 "$pid";
    }
    location /t { return 204; }
--- init
my $first = main::get('/a');
Test::More::like($first, qr{x-version: one\r\n}, 'before');
my $old = main::body_of($first);
main::reload('"one"', '"two"');
my $second;
Test::More::ok(main::wait_until(sub { ($second = main::get('/a')) =~ /x-version: two\r\n/ }), 'after');
my $new = main::body_of($second);
Test::More::isnt($new, $old, 'another worker');
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the old worker is gone');
Test::More::is_deeply([main::matches(qr/ $old#\d+: \[wasm\] m: \Kon_\w+ id=1/)],
    [map { "on_$_ id=1" } qw(context_create vm_start configure done delete)], 'the old root context');
Test::More::is_deeply([main::matches(qr/ $new#\d+: \[wasm\] m: \Kon_\w+ id=1/)],
    [map { "on_$_ id=1" } qw(context_create vm_start configure)], 'the new one');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[emerg]


=== TEST 7: ticks go on in the new worker after a reload, and do not keep the old one
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true,"configure":[["set_tick",20]]}'; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $old = main::body_of(main::get('/a'));
main::wait_for(qr/ $old#\d+: \[wasm\] m: on_tick id=1/, 2);
kill HUP => main::pid();
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the old worker is gone');
my $new = main::body_of(main::get('/a'));
Test::More::isnt($new, $old, 'another worker');
Test::More::cmp_ok(scalar main::wait_for(qr/ $new#\d+: \[wasm\] m: on_tick id=1/, 2), '>=', 2, 'ticks');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 8: traps still cost one request after a reload; a reload that drops the filters
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"request_headers":[["if_path","/a?trap",[["abort"]]]]}';
        return 200 "$pid";
    }
    location /t { return 204; }
--- init
my $old = main::body_of(main::get('/a'));
for my $round (1, 2) {
    kill HUP => main::pid();
    my $new;
    Test::More::ok(main::wait_until(sub { ($new = main::body_of(main::get('/a'))) ne $old }), "reload $round");
    # Until it is gone, the old worker may still take a connection.
    Test::More::ok(main::wait_until(sub { !kill 0 => $old }), "the old worker is gone $round");
    Test::More::like(main::get('/a?trap'), qr{\AHTTP/1\.1 503 }, "trap $round");
    Test::More::is(main::body_of(main::get('/a')), $new, "the same worker $round");
    $old = $new;
}
main::reload('wasm_filter m', '#');
Test::More::ok(main::wait_until(sub { main::get('/a?trap') =~ m{\AHTTP/1\.1 200 } }), 'without the filter');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
exited on signal


=== TEST 9: a reload with a bad configuration leaves the workers as they are
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"fail_configure":false}';
        return 200 "$pid";
    }
    location /t { return 204; }
--- init
my $before = main::body_of(main::get('/a'));
main::reload('"fail_configure":false', '"fail_configure":true');
Test::More::is((main::wait_for(qr/\[emerg\] \d+#\d+: \K.*/))[0],
    'wasm module "m" refused its configuration (proxy_on_configure returned false) in '
    . "$main::conf:" . (map { chomp; $_ } `grep -n fail_configure $main::conf | cut -d: -f1`)[0], 'the mistake');
Test::More::is(main::body_of(main::get('/a')), $before, 'the same worker serves');
main::reload('"fail_configure":true', '"fail_configure":false');
Test::More::ok(main::wait_until(sub { main::body_of(main::get('/a')) ne $before }), 'a good configuration is taken again');
--- request
GET /t
--- error_code: 204
--- error_log
[emerg]


=== TEST 10: a reload reads the module again; without its file, the workers stay
--- workers: 1
--- user_files
>>> m.wat
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-version" "1")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2) (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 1)))
    (i32.const 0)))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /a { wasm_filter m; return 200 "$pid"; }
    location /t { return 204; }
--- init
Test::More::like(main::get('/a'), qr{x-version: 1\r\n}, 'before');
system("sed -i 's/\"1\"/\"2\"/' $main::html/m.wat");
kill HUP => main::pid();
my $got;
Test::More::ok(main::wait_until(sub { ($got = main::get('/a')) =~ /x-version: 2\r\n/ }), 'after');
unlink "$main::html/m.wat";
kill HUP => main::pid();
Test::More::like((main::wait_for(qr/\[emerg\] .*/))[0], qr/wasm module "m": cannot read .*m\.wat": No such file/, 'without the file');
Test::More::is(main::body_of(main::get('/a')), main::body_of($got), 'the same worker');
--- request
GET /t
--- error_code: 204
--- error_log
[emerg]


=== TEST 11: a reload while a request is on its way: the old worker ends it
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen $TEST_NGINX_PORT_1;
        location / { limit_rate 60000; root html; }
    }
--- user_files eval
[["big", "x" x 90000]]
--- config
    location /big {
        wasm_filter m '{"trace":true,"response_body_end":[["set_body","response",999999,0,"-end"]],"response_headers":[["remove_header","response","content-length"]]}';
        proxy_buffering off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /t { return 204; }
--- init
my $socket = main::connection();
print $socket "GET /big HTTP/1.0\r\nHost: localhost\r\n\r\n";
my ($old) = map { (/(\d+)/)[0] } main::wait_for(qr/\d+#\d+: \*\d+ \[wasm\] m: on_response_headers id=2/);
kill HUP => main::pid();
main::wait_for(qr/$old#\d+: gracefully shutting down/);
my $body = main::body_of(main::receive($socket));
Test::More::is(length $body, 90004, 'the whole body');
Test::More::is(substr($body, -5), 'x-end', 'with the filter');
Test::More::ok(main::wait_until(sub { !kill 0 => $old }), 'the old worker is gone');
Test::More::is_deeply([main::matches(qr/ $old#\d+: (?:\*\d+ )?\[wasm\] m: \Kon_(?:done|log|delete) id=\d+/)],
    ['on_done id=2', 'on_log id=2', 'on_delete id=2', 'on_done id=1', 'on_delete id=1'], 'ends');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 12: a worker that is killed: the next one has its own instance
--- workers: 1
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_config.wasm;
--- config
    location /a { wasm_filter m 1; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $old = main::body_of(main::get('/a'));
kill KILL => $old;
my $got;
Test::More::ok(main::wait_until(sub { $got = eval { main::get('/a') } // ''; $got =~ /\AHTTP/ && main::body_of($got) ne $old }), 'another worker');
Test::More::like($got, qr{custom-header: 1\r\n}, 'with the filter');
--- request
GET /t
--- error_code: 204
--- no_error_log
[emerg]
[error]
