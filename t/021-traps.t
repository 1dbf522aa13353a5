# Guests that trap, that misuse the host, or that do not start: what it costs, and what goes on.

use Test::Nginx::Socket 'no_plan';
use Control;

# Every callback of a request, and what a guest may ask for in it.
our @callbacks = qw(context_create request_headers request_body response_headers response_body done log delete);
our @operations = (
    '["local_response",418,[["x-a","1"]],"local"]', '["local_response",200,[],""],["local_response",201,[],"second"]',
    '["continue","request"]', '["continue","response"]', '["close","request"]', '["close","response"]',
    '["continue","downstream"]', '["local_response",200,[],"x"],["close","request"]',
    '["set_body","request",0,0,"before "]', '["set_body","response",0,-1,""]', '["set_body","response",2,1,"much longer"]',
    '["set_headers","request",[[":path","/up"],["x","y"]]]', '["set_headers","response",[]]',
    '["remove_header","request","host"],["remove_header","request",":path"],["remove_header","request",":method"]',
    '["set_header","response",":status","99999"],["set_header","response",":status","x"]',
    '["set_header","request",":path",""],["set_header","request",":method",""]',
    '["set_header","response","content-length","-1"],["set_header","request","content-length","99999999999999999999"]',
    '["effective_context","root"],["local_response",200,[],"x"],["set_tick",0]', '["effective_context",4000000000]', '["done"]',
    '["set_property","nginx.args","a=b"],["set_property","nginx.limit_rate","1000000"]',
    '["log_headers","request"],["log_headers","response"],["log_headers","response_trailers"],["log_body","request",0,-1],["log_body","response",0,-1]',
);

no_long_string();
run_tests();

__DATA__

=== TEST 1: a trap in on_request_headers costs its request: 503; the next one gets a fresh instance
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module other $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"request_headers":[["if_path","/a?trap",[["abort"]]]]}';
        return 200 "$pid";
    }
    location /other {
        wasm_filter other '{"trace":true}';
        return 204;
    }
    location /t { return 204; }
--- init
my $before = main::body_of(main::get('/a'));
main::get('/other');
Test::More::like(main::get('/a?trap'), qr{\AHTTP/1\.1 503 Service Temporarily Unavailable\r\n}, 'the status');
Test::More::like(main::get('/other'), qr{\AHTTP/1\.1 204 }, 'another module');
Test::More::is(main::body_of(main::get('/a')), $before, 'the next request, in the same process');
Test::More::is_deeply([main::matches(qr/\[wasm\] \w+: on_(?:context_create|request_headers|response_headers|done|log|delete) id=\d+/)], [
    '[wasm] m: on_context_create id=1',
    '[wasm] other: on_context_create id=1',
    (map { "[wasm] m: on_$_ id=2" } qw(context_create request_headers response_headers done log delete)),
    (map { "[wasm] other: on_$_ id=2" } qw(context_create request_headers response_headers done log delete)),
    (map { "[wasm] m: on_$_ id=3" } qw(context_create request_headers)),
    (map { "[wasm] other: on_$_ id=3" } qw(context_create request_headers response_headers done log delete)),
    '[wasm] m: on_context_create id=1',
    (map { "[wasm] m: on_$_ id=2" } qw(context_create request_headers response_headers done log delete)),
], 'callbacks');
my @errors = main::matches(qr/\[error\] .*/);
Test::More::is(scalar @errors, 1, 'one line about it');
Test::More::like($errors[0], qr/\[wasm\] m: proxy_on_request_headers trapped: wasm trap: wasm `unreachable` instruction executed in .*, client: 127\.0\.0\.1, server: localhost, request: "GET \/a\?trap HTTP\/1\.1", host: "localhost"\z/, 'module, callback, reason, request');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 2: a trap in each other callback of a request
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /context_create { wasm_filter m '{"context_create":[["abort"]]}'; return 200 "served"; }
    location /request_body { wasm_filter m '{"request_body":[["abort"]]}'; return 200 "served"; }
    location /response_headers { wasm_filter m '{"response_headers":[["abort"]]}'; return 200 "served"; }
    location /response_body { wasm_filter m '{"response_body":[["abort"]]}'; return 200 "served"; }
    location /done { wasm_filter m '{"done":[["abort"]]}'; return 200 "served"; }
    location /log { wasm_filter m '{"log":[["abort"]]}'; return 200 "served"; }
    location /delete { wasm_filter m '{"delete":[["abort"]]}'; return 200 "served"; }
    location /good { wasm_filter m '{}'; return 200 "good"; }
    location /t { return 204; }
--- init
my $errors = 0;
for my $case ([context_create => 503], [request_body => 503], [response_headers => 503], [response_body => 503],
    [done => 200], [log => 200], [delete => 200]) {
    my ($callback, $status) = @$case;
    my $got = main::get("/$callback", "Content-Length: 1\r\n\r\nx");
    if ($callback eq 'context_create') {
        $callback = 'proxy_on_context_create';
    }
    Test::More::like($got, qr{\AHTTP/1\.1 $status }, "$callback: status");
    $status == 200
        ? Test::More::like($got, qr{\r\n\r\nserved\z}, "$callback: the response")
        : Test::More::unlike($got, qr{served}, "$callback: nothing of the response");
    my @errors = main::wait_for(qr/\[wasm\] m: \K(?:proxy_)?\w+ trapped: wasm trap: wasm `unreachable` instruction executed/, ++$errors);
    $callback =~ s/\A(?!proxy_)/proxy_on_/;
    Test::More::like($errors[-1], qr/\A$callback trapped: /, "$callback: the line");
    Test::More::is(scalar @errors, $errors, "$callback: one line");
    Test::More::is(main::body_of(main::get('/good')), 'good', "$callback: the next request");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 3: a trap in one filter of a chain: the contexts of the others end
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module c $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter a '{"trace":true}';
        wasm_filter b '{"request_headers":[["abort"]]}';
        wasm_filter c '{"trace":true}';
        return 204;
    }
--- request
GET /t
--- error_code: 503
--- grep_error_log eval: qr/\[wasm\] \K\w: on_(?:context_create id=2|request_headers|done|log|delete)/
--- grep_error_log_out
a: on_context_create id=2
c: on_context_create id=2
a: on_request_headers
a: on_done
a: on_log
a: on_delete
c: on_done
c: on_log
c: on_delete
--- no_error_log
[alert]
[emerg]


=== TEST 4: a trap when the response is on its way already: it is cut off, not ended
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- user_files eval
[['big', 'x' x 300_000]]
--- config
    location /a {
        wasm_filter m '{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["abort"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/big;
    }
    location /t { return 204; }
--- init
my $got = main::get('/a');
Test::More::like($got, qr{\AHTTP/1\.1 200 .*Transfer-Encoding: chunked\r\n}s, 'the head');
Test::More::cmp_ok(length $got, '>', 10_000, 'some of the body');
Test::More::isnt(substr($got, -5), "0\r\n\r\n", 'no last chunk');
Test::More::like((main::wait_for(qr/\[error\] .*/))[0], qr/\[wasm\] m: proxy_on_response_body trapped: /, 'the line');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]


=== TEST 5: a trap ends the other requests of the instance that wait for it
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"request_headers":[["if_path","/a?pause",[["action","pause"]]],["if_path","/a?trap",[["abort"]]]]}';
        return 200 "served";
    }
    location /t { return 204; }
--- init
my $socket = main::connection();
print $socket "GET /a?pause HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
main::wait_for(qr/on_request_headers id=2/);
Test::More::like(main::get('/a?trap'), qr{\AHTTP/1\.1 503 }, 'the request that traps');
Test::More::like(main::receive($socket), qr{\AHTTP/1\.1 503 }, 'the request that waits');
Test::More::is(main::body_of(main::get('/a')), 'served', 'the next request');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 6: a trap ends the other requests wherever they wait, also a trap in a tick or in a log callback
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /request_headers { wasm_filter m '{"trace":true,"request_headers":[["action","pause"]]}'; return 200 "served"; }
    location /request_body { wasm_filter m '{"trace":true,"request_body":[["action","pause"]]}'; return 200 "served"; }
    location /response_headers { wasm_filter m '{"trace":true,"response_headers":[["action","pause"]]}'; return 200 "served"; }
    location /response_body { wasm_filter m '{"trace":true,"response_body":[["action","pause"]]}'; return 200 "served"; }
    location /tick { wasm_filter m '{"request_headers":[["set_tick",10]],"tick":[["abort"]]}'; return 204; }
    location /log { wasm_filter m '{"log":[["abort"]]}'; return 204; }
    location /good { wasm_filter m '{}'; return 200 "good"; }
    location /t { return 204; }
--- init
for my $trap ('/tick', '/log') {
    my @waiting;
    my $position = scalar main::matches(qr/on_\w+ id=\d+ (?:count|size)=/);
    for my $where (qw(request_headers request_body response_headers response_body)) {
        my $socket = main::connection();
        print $socket "POST /$where HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
        push @waiting, [$where, $socket];
    }
    # One callback of the first, two of the second, three and four of the others.
    main::wait_for(qr/on_\w+ id=\d+ (?:count|size)=/, $position + 10);
    main::get($trap);
    for my $waiting (@waiting) {
        Test::More::like(main::receive($waiting->[1]), qr{\AHTTP/1\.1 503 }, "$waiting->[0], $trap");
    }
    Test::More::is(main::body_of(main::get('/good')), 'good', "the next request, $trap");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 7: a trap in a tick: the next request gets a fresh instance
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"tick":[["abort"]],"request_headers":[["set_tick",10]]}';
        return 200 "$pid";
    }
    location /t { return 204; }
--- init
my $pid = main::body_of(main::get('/a'));
Test::More::ok(scalar main::wait_for(qr/\[error\] \d+#\d+: \[wasm\] m: proxy_on_tick trapped: /), 'the line');
Test::More::is(main::body_of(main::get('/a')), $pid, 'the next request');
Test::More::is_deeply([main::matches(qr/on_context_create id=\d+ parent=\d+/)],
    [('on_context_create id=1 parent=0', 'on_context_create id=2 parent=1') x 2], 'contexts');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 8: any host call in any callback leaves the worker, its instance and later requests unharmed
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module count $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $locations = '';
for my $callback (@main::callbacks) {
    for my $i (0 .. $#main::operations) {
        $locations .= "location /$callback/$i {
            wasm_filter m '{\"$callback\":[$main::operations[$i]]}';
            proxy_pass http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/up;
        }\n";
    }
}
$locations . 'location /up { return 200 "from upstream"; }
location /good { wasm_filter m "{\"trace\":true}"; return 200 "$pid"; }
location /t { return 204; }'
--- init
my $before = main::body_of(main::get('/good'));
for my $callback (@main::callbacks) {
    for my $i (0 .. $#main::operations) {
        main::get("/$callback/$i", "Content-Length: 4\r\n\r\nbody");
    }
    Test::More::is(main::body_of(main::get('/good')), $before, $callback);
}
my @ids = main::matches(qr/on_context_create id=\K\d+(?= parent=\d+, client)/);
Test::More::is(scalar @ids, 1 + @main::callbacks, 'traced requests');
Test::More::cmp_ok($ids[-1] - $ids[0], '>=', @main::callbacks * @main::operations, 'one instance all the time');
Test::More::is(scalar main::matches(qr/trapped|panicked|\[crit\]/), 0, 'no trap');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]


=== TEST 9: a start that fails in the workers only leaves them alive
--- workers: 1
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_log_level" (func $level (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  ;; The configuration is checked with nginx's first log, of level notice.
  (func $picky (export "_initialize")
    (drop (call $level (i32.const 0)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 3)) (then unreachable))))
--- http_config
    wasm_module m ../html/m.wat;
    wasm_module good $TEST_NGINX_FILTERS/trace_cpp.wasm;
--- config
    location /a { wasm_filter m; return 200 "$pid"; }
    location /good { wasm_filter good; return 200 "$pid"; }
    location /t { return 204; }
--- init
my $pid = main::body_of(main::get('/good'));
Test::More::like(main::get('/a'), qr{\AHTTP/1\.1 503 }, 'the filter that did not start');
Test::More::is(main::body_of(main::get('/good')), $pid, 'another one, in the same worker');
my @errors = main::matches(qr/\[error\] .*/);
Test::More::like($errors[0], qr/: \[wasm\] m: _initialize trapped: wasm trap: wasm `unreachable` instruction executed in picky; tried again in 1 s\z/, 'the reason, at the start');
my %intervals = map { /tried again in (\d+) s\z/ ? ($1 => 1) : () } @errors;
Test::More::is(scalar @errors, scalar keys %intervals, 'one line for each attempt');
Test::More::is(scalar main::matches(qr/\[info\] .*: \*\d+ \[wasm\] m: did not start a moment ago, client: 127\.0\.0\.1, /), 1, 'in the request');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
exited on signal


=== TEST 10: a start that failed is tried again after a while
--- workers: 1
--- post_setup_server_root
my $deadline = int((Time::HiRes::time() + 1.5) * 1e9);
open my $out, '>', "$main::html/m.wat" or die $!;
print $out qq{(module
  (import "env" "proxy_get_log_level" (func \$level (param i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func \$time (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  ;; As above, and only for a while.
  (func \$early (export "_initialize")
    (drop (call \$level (i32.const 0)))
    (drop (call \$time (i32.const 8)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 3)) (then
      (if (i64.lt_u (i64.load (i32.const 8)) (i64.const $deadline)) (then unreachable))))))};
close $out;
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /a { wasm_filter m; return 200 "served"; }
    location /t { return 204; }
--- init
Test::More::like(main::get('/a'), qr{\AHTTP/1\.1 503 }, 'too early');
Test::More::ok(main::wait_until(sub { main::get('/a') =~ m{\AHTTP/1\.1 200 } }), 'later');
Test::More::cmp_ok(scalar main::matches(qr/_initialize trapped/), '<', 4, 'few attempts');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
