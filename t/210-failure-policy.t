# on_failure=: what becomes of a request, and of the requests of others, when a filter fails. The status,
# the rest of the chain, the line in the log, and the connection afterwards.

use Test::Nginx::Socket 'no_plan';
use Control;

# Callbacks of a request that can trap, and those that come behind the response.
our @before = qw(context_create request_headers request_body response_headers response_body response_trailers);
our @behind = qw(done log delete);

our $modules = <<'_EOC_';
    wasm_module open $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=open;
    wasm_module closed $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=closed;
    wasm_module other $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_1;
        location / { return 200 "from upstream"; }
        location /echo { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/nothing; add_header X-Body "[$request_body]"; }
        location /big { alias html/big; }
    }
_EOC_

# A filter that adds a trailer, so that there is a callback for it, and traps in one callback.
sub trap_in {
    my ($module, $callback, %more) = @_;
    my %do = (response_headers => '["remove_header","response","content-length"],["add_header","response_trailers","x-t","1"]', %more);
    $do{$callback} = CORE::join ',', grep { defined && length } $do{$callback}, '["abort"]';
    return "wasm_filter $module '{" . CORE::join(',', map { qq("$_":[$do{$_}]) } sort keys %do) . "}';";
}

# One that shows that it has seen request and response.
our $witness = q(wasm_filter other '{"request_headers":[["set_header","request","x-other","in"]],)
    . q("response_headers":[["remove_header","response","content-length"],["set_header","response","x-other","out"]],"response_body":[["set_body","response",0,0,"seen "]]}';);

sub status { return $_[0] =~ m{\AHTTP/1\.1 (\d+) } ? $1 : "no status: $_[0]" }

# The body, without the chunks' sizes.
sub text {
    my $body = main::body_of($_[0]);
    return $body unless $_[0] =~ /^transfer-encoding: chunked/mi;
    my $text = '';
    while ($body =~ s/\A([0-9a-f]+)\r\n//) {
        my $size = hex $1;
        return $text if !$size;
        $text .= substr $body, 0, $size, '';
        $body =~ s/\A\r\n// or last;
    }
    return "$text(cut)";
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: open: a trap in any callback leaves the request to the rest of the chain; one line tells it
--- http_config eval: $::modules
--- config eval
CORE::join '', (map { "location /before/$_ { " . main::trap_in('open', $_) . " $::witness return 200 served; }\n"
    . "location /behind/$_ { $::witness " . main::trap_in('open', $_) . " return 200 served; }\n" } @::before, @::behind),
    'location /t { return 204; }'
--- init
my $lines = 0;
for my $place (qw(before behind)) {
    for my $callback (@main::before, @main::behind) {
        my $got = main::get("/$place/$callback", "Content-Length: 1\r\n\r\nx");
        Test::More::is(main::status($got), 200, "$place $callback: status");
        Test::More::is(main::text($got), 'seen served', "$place $callback: the response");
        Test::More::like($got, qr/^x-other: out\r$/m, "$place $callback: the other filter");
        my @errors = main::wait_for(qr/\[error\] .*/, ++$lines);
        Test::More::like($errors[-1], qr/\*\d+ \[wasm\] open: proxy_on_$callback trapped: wasm trap: wasm `unreachable` instruction executed in \S.* < \S.*, client: 127\.0\.0\.1, server: localhost, request: "GET \/$place\/$callback HTTP/, "$place $callback: the line");
        Test::More::is(scalar @errors, $lines, "$place $callback: one line");
    }
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 2: closed: 503 where something can still be answered; behind the response nothing changes
--- http_config eval: $::modules
--- config eval
CORE::join '', (map { "location /$_ { $::witness " . main::trap_in('closed', $_) . " return 200 served; }\n" } @::before, @::behind),
    'location /t { return 204; }'
--- init
my $lines = 0;
for my $callback (@main::before, @main::behind) {
    my $got = main::get("/$callback", "Content-Length: 1\r\n\r\nx");
    my $cut = $callback eq 'response_trailers';
    $cut ? Test::More::unlike($got, qr/\r\n0\r\n/, "$callback: no end")
        : Test::More::is(main::status($got), grep({ $_ eq $callback } @main::behind) ? 200 : 503, "$callback: status");
    Test::More::unlike(main::text($got), qr/served/, "$callback: nothing of the response") if main::status($got) eq 503;
    my @errors = main::wait_for(qr/\[error\] .*/, ++$lines);
    Test::More::like($errors[-1], qr/\[wasm\] closed: proxy_on_$callback trapped: /, "$callback: the line");
    Test::More::is(scalar @errors, $lines, "$callback: one line");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 3: each filter of a chain has its own policy
--- http_config eval: $::modules
--- config eval
my ($open, $closed) = (main::trap_in('open', 'request_headers'), main::trap_in('closed', 'response_headers'));
"location /both { $open $closed return 200 served; }
location /closed_first { " . main::trap_in('closed', 'request_headers') . ' ' . main::trap_in('open', 'request_headers') . " return 200 served; }
location /twice { $open $open $::witness return 200 served; }
location /same { wasm_filter open '{\"response_body\":[[\"set_body\",\"response\",0,0,\"never \"]]}'; $open $::witness return 200 served; }
location /t { return 204; }"
--- init
my $both = main::get('/both');
Test::More::is(main::status($both), 503, 'open on the request, closed on the response');
Test::More::is(CORE::join(' ', main::matches(qr/\[error\] .*\[wasm\] \K\w+: proxy_on_\w+/)), 'open: proxy_on_request_headers closed: proxy_on_response_headers', 'two traps');
Test::More::is(main::status(main::get('/closed_first')), 503, 'closed before open');
my $twice = main::get('/twice');
Test::More::is(main::text($twice), 'seen served', 'two filters of the same module');
# The first filter's context was in the instance that the second has ended.
my $same = main::get('/same');
Test::More::is(main::text($same), 'seen served', 'a filter whose instance another one has ended');
Test::More::is(scalar main::matches(qr/\[info\] .*\[wasm\] open: not called after an earlier trap, client/), 2, 'told at level info');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 4: what a filter has done before its trap stays, as in Envoy; of closed ones the 503 counts
--- http_config eval: $::modules
--- config eval
my %do = (
    reply => '["local_response",418,[["x-a","1"]],"short"],["abort"]',
    close => '["close","request"],["abort"]',
    header => '["set_header","request","x-h","kept"],["abort"]',
);
CORE::join '', map { my $policy = $_;
    CORE::join('', map { "location /$policy/$_ { $::witness wasm_filter $policy '{\"request_headers\":[$do{$_}]}'; return 200 \"h=\$http_x_h\"; }\n" } keys %do)
    . "location /$policy/body { wasm_filter $policy '{\"request_body\":[[\"set_body\",\"request\",0,0,\"more \"],[\"abort\"]]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/echo; }\n"
    . "location /$policy/response { wasm_filter $policy '{\"response_headers\":[[\"set_header\",\"response\",\"x-h\",\"kept\"],[\"local_response\",418,[],\"short\"],[\"abort\"]]}'; return 200 ok; }\n"
} qw(open closed);
--- init
my $reply = main::get('/open/reply');
Test::More::like($reply, qr{\AHTTP/1\.1 418 .*\r\nx-a: 1\r\nx-other: out\r\n}s, 'open: the local response');
Test::More::is(main::text($reply), 'seen short', 'open: its body, which passes the other filter');
Test::More::is(main::get('/open/close'), '', 'open: closed');
Test::More::is(main::text(main::get('/open/header')), 'seen h=kept', 'open: the header');
Test::More::like(main::get('/open/body', "Content-Length: 1\r\n\r\nx"), qr/^X-Body: \[more x\]\r$/m, 'open: the body');
Test::More::like(main::get('/open/response'), qr{\AHTTP/1\.1 418 .*\r\n\r\nshort\z}s, 'open: the local response in place of the response');
for (qw(reply close header body response)) {
    Test::More::is(main::status(main::get("/closed/$_", "Content-Length: 1\r\n\r\nx")), 503, "closed: $_");
}
--- request
GET /nowhere
--- error_code: 404
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 5: requests that wait in an instance which traps, in a tick, a log callback, an answer to a call
go on without their filter, with what it held as it held it
--- http_config eval: $::modules
--- config eval
my $pause = '["action","pause"]';
my $call = '["http_call","c","127.0.0.1:$TEST_NGINX_PORT_1",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],1000]';
my %at = (
    request_headers => "\"request_headers\":[$pause]",
    request_body => "\"request_body\":[[\"set_body\",\"request\",0,0,\"held \"],$pause]",
    response_headers => "\"response_headers\":[[\"set_header\",\"response\",\"x-h\",\"kept\"],$pause]",
    response_body => "\"response_headers\":[[\"remove_header\",\"response\",\"content-length\"]],\"response_body\":[[\"set_body\",\"response\",0,0,\"held \"],$pause]",
    response_trailers => "\"response_headers\":[[\"remove_header\",\"response\",\"content-length\"],[\"add_header\",\"response_trailers\",\"x-t\",\"1\"]],\"response_trailers\":[$pause]",
);
CORE::join '', map { my $policy = $_;
    CORE::join('', map { "location /$policy/$_ { wasm_filter $policy '{\"trace\":true,$at{$_}}'; $::witness proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/echo; }\n" } keys %at)
    . "location /$policy/tick { wasm_filter $policy '{\"request_headers\":[[\"set_tick\",5]],\"tick\":[[\"abort\"]]}'; return 204; }
    location /$policy/log { wasm_filter $policy '{\"log\":[[\"abort\"]]}'; return 204; }
    location /$policy/call { wasm_filter $policy '{\"request_headers\":[$call,$pause],\"http_call_response\":[[\"abort\"]]}'; $::witness return 200 \"called\"; }\n"
} qw(open closed);
--- init
my @places = qw(request_headers request_body response_headers response_body response_trailers);
my $errors = 0;
for my $policy (qw(open closed)) {
    for my $trap (qw(tick log call)) {
        my @waiting;
        for my $where (@places) {
            my $last = scalar main::matches(qr/on_$where id=\d+ /);
            my $socket = main::connection();
            print $socket "POST /$policy/$where HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
            push @waiting, [$where, $socket];
            main::wait_for(qr/on_$where id=\d+ /, $last + 1);
        }
        my $own = main::get("/$policy/$trap");
        Test::More::is(main::status($own), $policy eq 'open' ? 200 : 503, "$policy, call: the request that traps") if $trap eq 'call';
        for (@waiting) {
            my ($where, $socket) = @$_;
            my $got = main::receive($socket);
            my $name = "$policy, $trap: $where";
            if ($policy eq 'closed') {
                $where eq 'response_trailers'
                    ? Test::More::isnt(main::text($got), 'seen from upstream', "$name: no end")
                    : Test::More::is(main::status($got), 503, $name);
                next;
            }
            Test::More::is(main::status($got), 200, $name);
            Test::More::is(main::text($got), ($where eq 'response_body' ? 'held ' : '') . 'seen from upstream', "$name: body");
            my $sent = $where eq 'request_body' ? 'held x' : 'x';
            Test::More::like($got, qr/^X-Body: \[$sent\]\r$/m, "$name: the request's body");
            Test::More::like($got, qr/^x-h: kept\r$/m, "$name: the header") if $where eq 'response_headers';
        }
        my $line = {tick => 'proxy_on_tick', log => 'proxy_on_log', call => 'proxy_on_http_call_response'}->{$trap};
        Test::More::is(scalar(main::wait_for(qr/\[error\] .*\[wasm\] $policy: $line trapped: wasm trap: wasm `unreachable` instruction executed in \S/)), 1, "$policy: $line, one line");
    }
}
--- request
GET /nowhere
--- error_code: 404
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 6: a module that does not start: skipped or 503, at once; one line at level error
--- workers: 1
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_log_level" (func $level (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  ;; The configuration is checked with nginx's first log, of level notice.
  (func $picky
    (drop (call $level (i32.const 0)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 3)) (then unreachable)))
  (func $begin (export "_initialize") (call $picky)))
--- http_config eval
'wasm_module no ../html/m.wat on_failure=open; wasm_module never ../html/m.wat;' . $::modules
--- config eval
"location /open { wasm_filter no; $::witness return 200 served; }
location /closed { wasm_filter never; $::witness return 200 served; }
location /access { wasm_filter_phase access; wasm_filter no; $::witness root html; }
location /t { return 204; }"
--- init
my $begin = Time::HiRes::time();
for (1 .. 5) {
    Test::More::is(main::text(main::get('/open')), 'seen served', 'open');
    Test::More::is(main::status(main::get('/closed')), 503, 'closed');
}
my $took = Time::HiRes::time() - $begin;
# Ten requests that each wait for another attempt take ten seconds and more.
Test::More::cmp_ok($took, '<', 8, 'nobody waits');
Test::More::is(main::status(main::get('/access')), 404, 'in the access phase');
for (qw(no never)) {
    my @lines = main::matches(qr/\[error\] \d+#\d+: \[wasm\] $_: .*tried again in 1 s/);
    Test::More::cmp_ok(scalar @lines, '>=', 1, "$_: a line");
    Test::More::cmp_ok(scalar @lines, '<=', 1 + $took, "$_: one for each attempt");
    Test::More::like($lines[0], qr/_initialize trapped: wasm trap: wasm `unreachable` instruction executed in picky < begin; tried again in 1 s\z/, "$_: what, why, where, and until when");
}
Test::More::is(scalar main::matches(qr/\[info\] .*\*\d+ \[wasm\] no: did not start a moment ago, client/), 6, 'requests at level info');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 7: the connection can be used afterwards: keep-alive, HTTP/2; the access log has the statuses
--- http_config eval
$::modules . 'log_format st "$request_uri $status"; server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; access_log logs/st.log st;'
. CORE::join('', map { "location /open/$_ { " . main::trap_in('open', $_) . " return 200 served; } location /closed/$_ { " . main::trap_in('closed', $_) . " return 200 served; }\n" } qw(request_headers response_headers response_body)) . '}'
--- config eval
CORE::join('', map { "location /open/$_ { " . main::trap_in('open', $_) . " return 200 served; } location /closed/$_ { " . main::trap_in('closed', $_) . " return 200 served; }\n" } qw(request_headers response_headers response_body)) . 'location /t { return 204; }'
--- init
my $socket = main::connection();
for my $policy (qw(open closed)) {
    for my $callback (qw(request_headers response_headers response_body)) {
        print $socket "GET /$policy/$callback HTTP/1.1\r\nHost: localhost\r\n\r\n";
        my $got = main::receive($socket, qr/\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n\z|\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n(??{".{$1}"})\z/s);
        Test::More::is(main::status($got), $policy eq 'open' ? 200 : 503, "HTTP/1.1, $policy $callback");
    }
}
print $socket "GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n";
Test::More::is(main::status(main::receive($socket, qr/\r\n\r\n\z/)), 204, 'HTTP/1.1: the same connection');
my @urls = map { my $policy = $_; map { "/$policy/$_" } qw(request_headers response_headers response_body response_body?again) } qw(open closed);
my $out = `timeout 120 nghttp -v @{[map { "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$_" } @urls]} 2>&1`;
$out =~ s/\e\[[0-9;]*m//g;
my %status = $out =~ /recv \(stream_id=(\d+)(?:, \w+)?\) :status: (\d+)/g;
Test::More::is(CORE::join(' ', map { $status{$_} } sort { $a <=> $b } keys %status), '200 200 200 200 503 503 503 503', 'HTTP/2: streams of one connection');
my @logged;
main::wait_until(sub { open my $in, '<', "$main::root/logs/st.log" or return 0; @logged = <$in>; @logged >= 8 });
Test::More::is(CORE::join('', sort @logged), CORE::join('', sort map { "$_ " . (/open/ ? 200 : 503) . "\n" } @urls), 'the access log');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 8: subrequests: theirs is theirs
--- http_config eval: $::modules
--- config eval
"location /page { ssi on; ssi_types text/plain; $::witness root html; }
location /open { " . main::trap_in('open', 'request_headers') . " return 200 [open]; }
location /closed { " . main::trap_in('closed', 'request_headers') . ' ' . " return 200 [closed]; }
location /openbody { " . main::trap_in('open', 'response_body') . " return 200 [openbody]; }
location /closedbody { " . main::trap_in('closed', 'response_body') . " return 200 [closedbody]; }
location /t { return 204; }"
--- user_files
>>> page/x.txt
a <!--# include virtual="/open" --> b <!--# include virtual="/openbody" --> c <!--# include virtual="/closed" --> d <!--# include virtual="/closedbody" --> e
--- init
my $got = main::get('/page/x.txt');
Test::More::is(main::status($got), 200, 'the page');
Test::More::like(main::text($got), qr/\Aseen a \[open\] b \[openbody\] c <html>.*503 Service.*<\/html>\r\n d  e\n\z/s, 'the parts');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 9: a response on its way: goes on without the filter, or is cut off
--- http_config eval: $::modules
--- user_files eval
[['big', 'x' x 300_000]]
--- config
    location /open { wasm_filter open '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["if_end_of_stream",[["abort"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /kept { wasm_filter open '{"response_body":[["if_end_of_stream",[["abort"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /closed { wasm_filter closed '{"response_body":[["if_end_of_stream",[["abort"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /t { return 204; }
--- init
Test::More::is(main::text(main::get('/open')), 'x' x 300_000, 'all of it');
my $kept = main::get('/kept');
Test::More::like($kept, qr/^Content-Length: 300000\r$/m, 'the length');
Test::More::is(main::text($kept), 'x' x 300_000, 'all of it, with its length');
Test::More::cmp_ok(length main::text(main::get('/closed')), '<', 300_000, 'cut off');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 10: contexts of filters that have not failed are created and deleted once
--- http_config eval: $::modules
--- config eval
CORE::join '', (map { my $c = $_; map { "location /$_/$c { wasm_filter other '{\"trace\":true}'; " . main::trap_in($_, $c) . " wasm_filter other '{\"trace\":true,\"request_headers\":[[\"set_header\",\"request\",\"x-z\",\"1\"]]}'; return 200 served; }\n" } qw(open closed) } @::before, @::behind),
    'location /t { return 204; }'
--- init
my $requests = 0;
for my $policy (qw(open closed)) {
    for my $callback (@main::before, @main::behind) {
        main::get("/$policy/$callback", "Content-Length: 1\r\n\r\nx");
    }
}
main::wait_for(qr/other: on_delete id=\d+/, 35);
my ($created, $done, $log, $deleted) = map { my $what = $_; scalar main::matches(qr/other: on_$what id=\d+(?! parent=0)/) } qw(context_create done log delete);
# 18 requests; where a closed one cannot be created, the filter behind it is not either.
Test::More::is("$created $done $log $deleted", '35 35 35 35', 'created, done, logged, deleted');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 11: a request that waits for one filter while the instance of another one fails
--- http_config eval: $::modules
--- config eval
my $pause = q(wasm_filter other '{"trace":true,"request_headers":[["action","pause"]]}');
CORE::join('', map { "location /$_/wait { $pause; wasm_filter $_ '{\"response_headers\":[[\"set_header\",\"response\",\"x-late\",\"1\"]]}'; return 200 served; }
location /$_/trap { wasm_filter $_ '{\"request_headers\":[[\"abort\"]]}'; return 200 served; }\n" } qw(open closed))
. q(location /go { wasm_filter other '{"request_headers":[["let","n","2"],["repeat",20,[["effective_context",{"var":"n"}],["continue","request"],["let","n",{"add":[{"var":"n"},1]}]]]]}'; return 204; }
location /t { return 204; })
--- init
my %waiting;
for my $policy (qw(open closed)) {
    $waiting{$policy} = main::connection();
    print {$waiting{$policy}} "GET /$policy/wait HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    main::wait_for(qr/GET \/$policy\/wait .*/, 1);
}
main::wait_for(qr/other: on_request_headers/, 2);
main::get("/$_/trap") for qw(open closed);
Test::More::is(main::status(main::receive($waiting{closed})), 503, 'closed: fails at once');
Test::More::is(scalar main::matches(qr{\[warn\] .*\[wasm\] closed: not called after an earlier trap.*, request: "GET /closed/wait HTTP}), 1, 'which the log says');
main::get('/t') for 1 .. 2;
Test::More::is(main::receive($waiting{open}, undef, 0.01), '', 'open: still waits for the other filter');
main::get('/go');
my $got = main::receive($waiting{open});
Test::More::is(main::text($got), 'served', 'open: goes on');
Test::More::unlike($got, qr/x-late/, 'without the filter whose instance has gone');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked


=== TEST 12: limits are failures like any other
--- http_config eval
$::modules . 'wasm_module slow $TEST_NGINX_FILTERS/hostcalls.wasm cpu_time=30ms on_failure=open; wasm_module big $TEST_NGINX_FILTERS/hostcalls.wasm memory=4m on_failure=open;
wasm_module slowest $TEST_NGINX_FILTERS/hostcalls.wasm cpu_time=30ms;'
--- config eval
"location /slow { wasm_filter slow '{\"request_body\":[[\"spin\"]]}'; $::witness return 200 served; }
location /slowest { wasm_filter slowest '{\"response_headers\":[[\"spin\"]]}'; return 200 served; }
location /big { wasm_filter big '{\"response_body\":[[\"allocate\",100]]}'; $::witness return 200 served; }
location /t { return 204; }"
--- init
Test::More::is(main::text(main::get('/slow', "Content-Length: 1\r\n\r\nx")), 'seen served', 'cpu_time=, open');
Test::More::is(main::text(main::get('/big')), 'seen served', 'memory=, open');
Test::More::is(main::status(main::get('/slowest')), 503, 'cpu_time=, closed');
Test::More::is(join(' ', main::matches(qr/\[error\] .*\[wasm\] \K\w+: proxy_on_\w+ trapped/)), 'slow: proxy_on_request_body trapped big: proxy_on_response_body trapped slowest: proxy_on_response_headers trapped', 'the lines');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
panicked
