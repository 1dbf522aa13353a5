# The life of instances and contexts: which callbacks come when, with which ids, counts and
# end-of-stream; what they log; traps and failing starts; several workers, reload and exit.

use Test::Nginx::Socket 'no_plan';
use IO::Socket::INET;
use Time::HiRes ();

our $root = server_root();
our $html = html_dir();
our $log = "$root/logs/error.log";
our $conf = "$root/conf/nginx.conf";

# `--- workers` gives a master process and so many workers; else one process does all.
add_block_preprocessor(sub {
    my $block = shift;
    my $workers = $block->workers;
    defined $workers ? master_on() : master_off();
    workers($workers // 1);
    $block->set_value(log_level => 'info') unless defined $block->log_level;
});

# Callbacks with their arguments, without the words that nginx adds.
our $callback = qr/\[wasm\] \w+: \Kon_\w+(?: \w+=\w+)*/;
# Guests' messages, likewise.
our $message = qr/\[wasm\] \K\w+: .*?(?=, client:| while logging request, client:|$)/;

sub port { $ENV{'TEST_NGINX_' . (@_ ? "PORT_$_[0]" : 'SERVER_PORT')} }

sub connection {
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[0] // port(), Timeout => 5)
        || die "connect: $@";
}

# What comes from a connection until it is closed, or until it matches; at most so many seconds.
sub receive {
    my ($socket, $until, $seconds) = @_;
    my $end = Time::HiRes::time() + ($seconds // 5);
    my $text = '';
    while ((my $left = $end - Time::HiRes::time()) > 0) {
        last if defined $until && $text =~ $until;
        my $ready = '';
        vec($ready, fileno($socket), 1) = 1;
        last unless select($ready, undef, undef, $left);
        last unless sysread($socket, $text, 65536, length $text);
    }
    return $text;
}

# The whole response to one request.
sub get {
    my ($path, $headers, $port) = @_;
    my $socket = connection($port);
    print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        . ($headers // '') . "\r\n";
    return receive($socket);
}

sub body_of { my $text = shift; $text =~ s/\A.*?\r\n\r\n//s; return $text; }

sub matches {
    my $regex = shift;
    open my $in, '<', $log or die "$log: $!";
    return map { /$regex/ ? $& : () } <$in>;
}

# Waits until the log has as many matches as that, and gives them.
sub wait_for {
    my ($regex, $count) = @_;
    my @found;
    for (1 .. 500) {
        @found = matches($regex);
        last if @found >= ($count // 1);
        Time::HiRes::sleep(0.01);
    }
    return @found;
}

sub wait_until {
    my $condition = shift;
    for (1 .. 500) {
        return 1 if $condition->();
        Time::HiRes::sleep(0.01);
    }
    return 0;
}

sub pid {
    open my $in, '<', "$root/logs/nginx.pid" or die "nginx.pid: $!";
    return <$in> + 0;
}

# Ends nginx as a supervisor would, and waits until it is gone.
sub quit {
    my $pid = pid();
    kill QUIT => $pid;
    return wait_until(sub { !-e "$root/logs/nginx.pid" });
}

sub start {
    system("$ENV{TEST_NGINX_BINARY} -e $log -p $root/ -c $conf >/dev/null 2>&1") == 0
        or die 'nginx does not start again';
}

# Rewrites nginx.conf and has nginx read it.
sub reload {
    my ($from, $to) = @_;
    open my $in, '<', $conf or die $!;
    my $text = join '', <$in>;
    close $in;
    $text =~ s/\Q$from\E/$to/ or die "no $from in nginx.conf";
    open my $out, '>', $conf or die $!;
    print $out $text;
    close $out;
    kill HUP => pid();
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: a GET, from the start of the worker on
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- request
GET /t
--- response_body: hello
--- grep_error_log eval: $::callback
--- grep_error_log_out
on_context_create id=1 parent=0
on_vm_start id=1 size=0
on_configure id=1 size=14
on_context_create id=2 parent=1
on_request_headers id=2 count=5 eos=true
on_response_headers id=2 count=6 eos=false
on_response_body id=2 size=5 eos=true
on_done id=2
on_log id=2
on_delete id=2
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 2: the counts are those of the header maps
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true, "request_headers":[["log_headers","request"]],
            "response_headers":[["log_headers","response"]]}';
        add_header X-One 1;
        return 200 "hello";
    }
--- request
GET /t
--- more_headers
X-A: 1
X-A: 2
X-B: 3
--- response_body: hello
--- grep_error_log eval: qr/(?:on_(?:request|response)_headers.*(?=, client)|(?:request|response) (?:has \d+ pairs|[\w:-]+=))/
--- grep_error_log_out
on_request_headers id=2 count=8 eos=true
request has 8 pairs
request :authority=
request :path=
request :method=
request :scheme=
request connection=
request x-a=
request x-a=
request x-b=
on_response_headers id=2 count=6 eos=false
response has 6 pairs
response :status=
response server=
response date=
response content-type=
response content-length=
response connection=


=== TEST 3: a POST with a body
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- request
POST /t
0123456789
--- response_body: hello
--- grep_error_log eval: $::callback
--- grep_error_log_out
on_context_create id=1 parent=0
on_vm_start id=1 size=0
on_configure id=1 size=14
on_context_create id=2 parent=1
on_request_headers id=2 count=6 eos=false
on_request_body id=2 size=10 eos=true
on_response_headers id=2 count=6 eos=false
on_response_body id=2 size=5 eos=true
on_done id=2
on_log id=2
on_delete id=2


=== TEST 4: a POST of no bytes has no body
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- more_headers
Content-Length: 0
--- request
POST /t
--- response_body: hello
--- grep_error_log eval: qr/on_request_\w+ id=\w+ \w+=\d+ eos=\w+/
--- grep_error_log_out
on_request_headers id=2 count=6 eos=true


=== TEST 5: a chunked POST
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- raw_request eval
"POST /t HTTP/1.1\r
Host: localhost\r
Connection: close\r
Transfer-Encoding: chunked\r
\r
5\r
01234\r
3\r
567\r
0\r
\r
"
--- response_body: hello
--- grep_error_log eval: qr/on_request_\w+ id=\w+ \w+=\d+ eos=\w+/
--- grep_error_log_out
on_request_headers id=2 count=6 eos=false
on_request_body id=2 size=8 eos=true


=== TEST 6: a chunked POST without a chunk ends in the body callback
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        return 200 "hello";
    }
--- raw_request eval
"POST /t HTTP/1.1\r
Host: localhost\r
Connection: close\r
Transfer-Encoding: chunked\r
\r
0\r
\r
"
--- response_body: hello
--- grep_error_log eval: qr/on_request_\w+ id=\w+ \w+=\d+ eos=\w+/
--- grep_error_log_out
on_request_headers id=2 count=6 eos=false
on_request_body id=2 size=0 eos=true


=== TEST 7: responses without a body end with their headers: HEAD, 204, 304, an empty file, an empty one from upstream
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_filter m '{"trace":true}';
    server {
        listen $TEST_NGINX_PORT_1;
        wasm_filter off;
        location / { return 200; }
    }
--- user_files
>>> empty 201001010000.00
>>> file 201001010000.00
hello
--- config
    location /204 { return 204; }
    location /proxy { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /none { wasm_filter off; return 200; }
--- init
my @cases = (
    ["HEAD /file", '', 200],
    ["GET /file", "If-Modified-Since: Fri, 01 Jan 2010 00:00:00 GMT\r\n", 304],
    ["GET /204", '', 204],
    ["GET /empty", '', 200],
    ["GET /proxy", '', 200],
);
my $id = 2;
for my $case (@cases) {
    my ($request, $headers, $status) = @$case;
    my $socket = main::connection();
    print $socket "$request HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n$headers\r\n";
    Test::More::like(main::receive($socket), qr{\AHTTP/1\.1 $status .*\r\n\r\n\z}s, "$request: status, no body");
    my @calls = main::matches(qr/on_response_\w+ id=$id .*?eos=\w+/);
    Test::More::is(scalar @calls, 1, "$request: one response callback");
    Test::More::like($calls[0], qr/\Aon_response_headers id=$id count=\d+ eos=true\z/, "$request: end of stream");
    $id++;
}
--- request
GET /none
--- error_code: 200


=== TEST 8: an empty chunked response ends in the body callback
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"trace":true}';
        proxy_http_version 1.1;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- tcp_listen eval: $ENV{TEST_NGINX_PORT_1}
--- tcp_reply eval
"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
--- request
GET /t
--- response_body:
--- grep_error_log eval: qr/on_response_\w+ id=\w+ (?:count=\d+ |size=\d+ )eos=\w+/
--- grep_error_log_out eval
qr/\Aon_response_headers id=2 count=\d+ eos=false\non_response_body id=2 size=0 eos=true\n\z/


=== TEST 9: requests of one connection, then of another: ids count on, contexts end before the next begin
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true}';
        return 204;
    }
    location /t { return 204; }
--- init
my $socket = main::connection();
for (1 .. 2) {
    print $socket "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    Test::More::like(main::receive($socket, qr/\r\n\r\n/), qr{\AHTTP/1\.1 204 }, "request $_ of the connection");
}
close $socket;
main::get('/a');
Test::More::is_deeply([main::wait_for(qr/\*\d+ \[wasm\] m: on_\w+ id=\d+/, 15)], [
    map {
        my ($connection, $id) = @$_;
        map { "*$connection [wasm] m: on_$_ id=$id" } qw(context_create request_headers response_headers done log delete)
    } [1, 2], [1, 3], [2, 4]
], 'callbacks by connection');
--- request
GET /t
--- error_code: 204


=== TEST 10: what guests log in their callbacks has the module's name and, in requests, nginx's suffix
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm
        'vm_config={"root_create":[["log","info","in root_create"]],"vm_start":[["log","info","in vm_start"]]}';
--- config
    location /t {
        wasm_filter m '{"configure":[["log","info","in configure"]],
            "context_create":[["log","info","in context_create"]],
            "request_headers":[["log","info","in request_headers"]],
            "request_body":[["log","info","in request_body"]],
            "response_headers":[["log","info","in response_headers"]],
            "response_body":[["log","info","in response_body"]],
            "done":[["log","info","in done"]],
            "log":[["log","info","in log"]],
            "delete":[["log","info","in delete"]]}';
        return 200 "hello";
    }
--- request
POST /t?a=b
x
--- response_body: hello
--- grep_error_log eval: qr/\[info\] \d+#\d+: (?:\*1 )?\K\[wasm\] .*/
--- grep_error_log_out
[wasm] m: in root_create
[wasm] m: in vm_start
[wasm] m: in configure
[wasm] m: in context_create, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in request_headers, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in request_body, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in response_headers, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in response_body, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in done while logging request, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in log while logging request, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"
[wasm] m: in delete while logging request, client: 127.0.0.1, server: localhost, request: "POST /t?a=b HTTP/1.1", host: "localhost"


=== TEST 11: the guest's levels are nginx's
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- log_level: debug
--- config
    location /t {
        wasm_filter m '{"request_headers":[["log","trace","six"],["log","debug","five"],["log","info","four"],
            ["log","warn","three"],["log","error","two"],["log","critical","one"],["log",6,"none"],["log_level"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- error_log eval
[qr/\[debug\] \d+#\d+: \*1 \[wasm\] m: six$/,
 qr/\[debug\] \d+#\d+: \*1 \[wasm\] m: five$/,
 qr/\[info\] \d+#\d+: \*1 \[wasm\] m: four, client/,
 qr/\[warn\] \d+#\d+: \*1 \[wasm\] m: three, client/,
 qr/\[error\] \d+#\d+: \*1 \[wasm\] m: two, client/,
 qr/\[crit\] \d+#\d+: \*1 \[wasm\] m: one, client/,
 qr/\[wasm\] m: log 6: status 2, client/,
 qr/\[wasm\] m: log_level 1, client/]
--- no_error_log
none


=== TEST 12: lines below the level of error_log do not appear
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- log_level: error
--- config
    location /t {
        wasm_filter m '{"configure":[["log","info","i"],["log","warn","w"],["log","error","e"]],
            "request_headers":[["log","trace","six"],["log","debug","five"],["log","info","four"],
            ["log","warn","three"],["log","error","two"],["log","critical","one"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: qr/\d+#\d+: \*1 \K\[wasm\] m: [^,]*/
--- grep_error_log_out
[wasm] m: two
[wasm] m: one
--- error_log
[crit]


=== TEST 13: a location's own error_log takes the lines of its requests
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- log_level: warn
--- config
    location /a {
        error_log logs/own.log info;
        wasm_filter m '{"request_headers":[["log","info","to the own log"]]}';
        return 204;
    }
    location /t { return 204; }
--- init
main::get('/a');
open my $in, '<', "$main::root/logs/own.log" or die $!;
Test::More::like(join('', <$in>), qr/\[info\] \d+#\d+: \*1 \[wasm\] m: to the own log, client: 127\.0\.0\.1, /, 'own.log');
--- request
GET /t
--- error_code: 204
--- no_error_log
to the own log


=== TEST 14: a message is one line, whatever is in it
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["log","warn","first\\nsecond\\r\\nthird\\u0000\\u001b[31m %s %n end"],["stdout","out"],["stderr","err"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: qr/\[(?:info|warn|error)\] \d+#\d+: \*1 \K\[wasm\] .*/
--- grep_error_log_out
[wasm] m: first\x0Asecond\x0D\x0Athird\x00\x1B[31m %s %n end, client: 127.0.0.1, server: localhost, request: "GET /t HTTP/1.1", host: "localhost"
[wasm] m: out, client: 127.0.0.1, server: localhost, request: "GET /t HTTP/1.1", host: "localhost"
[wasm] m: err, client: 127.0.0.1, server: localhost, request: "GET /t HTTP/1.1", host: "localhost"


=== TEST 15: ticks come in the root context, and stop
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module stops $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a { wasm_filter m '{"trace":true,"configure":[["set_tick",20]]}'; }
    location /b { wasm_filter stops '{"trace":true,"configure":[["set_tick",20]],"tick":[["set_tick",0]]}'; }
    location /t { return 204; }
--- init
Test::More::is((main::wait_for(qr/\[wasm\] m: \Kon_tick id=\d+/, 4))[3], 'on_tick id=1', 'ticks');
Test::More::is_deeply([main::matches(qr/\[wasm\] stops: \Kon_tick id=\d+/)], ['on_tick id=1'], 'one tick');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]


=== TEST 16: host calls while there is no context: a status each, and no crash
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/init_calls.wasm;
--- config
    location /t {
        wasm_filter m;
        return 200 "served";
    }
--- request
GET /t
--- response_body: served
--- grep_error_log eval: qr/\[wasm\] m: .*/
--- grep_error_log_out
[wasm] m: x-init
[wasm] m: initialize log = 0
[wasm] m: initialize get_current_time_nanoseconds = 0
[wasm] m: initialize get_buffer_bytes:plugin_configuration = 1
[wasm] m: initialize get_buffer_bytes:request = 1
[wasm] m: initialize get_buffer_status = 1
[wasm] m: initialize set_buffer_bytes = 1
[wasm] m: initialize get_header_map_pairs = 0
[wasm] m: initialize get_header_map_value = 2
[wasm] m: initialize add_header_map_value = 2
[wasm] m: initialize get_property = 1
[wasm] m: initialize send_local_response = 2
[wasm] m: initialize continue_stream = 2
[wasm] m: initialize close_stream = 2
[wasm] m: initialize set_effective_context = 2
[wasm] m: initialize set_tick_period_milliseconds = 2
[wasm] m: initialize done = 1
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 17: host calls in the start section
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "status -")
  (func (export "proxy_abi_version_0_2_1"))
  (func $say (param $status i32)
    (i32.store8 (i32.const 7) (i32.add (i32.const 48) (local.get $status)))
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 8))))
  (func $begin
    (call $say (call $log (i32.const 2) (i32.const 0) (i32.const 6)))
    (call $say (call $respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const -1)))
    (call $say (call $get (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 100) (i32.const 104)))
    (call $say (call $property (i32.const 0) (i32.const 6) (i32.const 100) (i32.const 104))))
  (start $begin))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t {
        wasm_filter m;
        return 200 "served";
    }
--- request
GET /t
--- response_body: served
--- grep_error_log eval: qr/\[wasm\] m: .*/
--- grep_error_log_out
[wasm] m: status
[wasm] m: status 0
[wasm] m: status 2
[wasm] m: status 2
[wasm] m: status 1


=== TEST 18: a guest without any callback, allocator or entry point
--- user_files
>>> m.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_0")))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t {
        wasm_filter m 'a configuration';
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
    }
    location /up {
        wasm_filter m;
        return 200 "served";
    }
--- request
POST /t
x
--- response_body: served
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 19: a trap in on_request_headers costs its request: 503; the next one gets a fresh instance
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


=== TEST 20: a trap in each other callback of a request
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


=== TEST 21: a trap ends the other requests of the instance that wait for it
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


=== TEST 22: a trap in a tick: the next request gets a fresh instance
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


=== TEST 23: a start that fails in the workers only leaves them alive
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
Test::More::like($errors[0], qr/: \[wasm\] m: _initialize trapped: wasm trap: wasm `unreachable` instruction executed in picky\z/, 'the reason, at the start');
Test::More::like($errors[1], qr/: \*\d+ \[wasm\] m: .*, client: 127\.0\.0\.1, /, 'in the request');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
exited on signal


=== TEST 24: on_done can put off the rest until proxy_done
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"trace":true,"done":[["status","done"],["set_tick",20],["return_false"]],
            "tick":[["effective_context",2],["done"],["effective_context","own"],["set_tick",0]],"log":[["log","info","late"]]}';
        return 204;
    }
    location /t { return 204; }
--- init
main::get('/a');
Test::More::is_deeply([main::wait_for(qr/\[wasm\] m: \K(?:on_(?:done|log|delete) id=2|status done = \d+|late|done: status \d+)/, 5)],
    ['on_done id=2', 'status done = 1', 'on_log id=2', 'late', 'on_delete id=2'], 'the end of the context');
--- request
GET /t
--- error_code: 204


=== TEST 25: proxy_done for a context that does not wait for it
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["status","done"]],"configure":[["status","done"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: status done = 1
m: status done = 1


=== TEST 26: every worker has an instance of its own
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


=== TEST 27: at exit, root contexts end once in every worker
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


=== TEST 28: master_process off: the one process starts, serves, ends
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


=== TEST 29: daemon off and master_process off
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


=== TEST 30: a reload with another configuration: new workers, the old contexts end once
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


=== TEST 31: traps still cost one request after a reload; a reload that drops the filters
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


=== TEST 32: a reload with a bad configuration leaves the workers as they are
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


=== TEST 33: a reload while a request is on its way: the old worker ends it
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


=== TEST 34: a trap ends the other requests wherever they wait, also a trap in a tick or in a log callback
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


=== TEST 35: a start that failed is tried again after a while
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


=== TEST 36: a trap at exit: the worker ends well, and so do the other modules
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


=== TEST 37: a worker that is killed: the next one has its own instance
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


=== TEST 38: ticks go on in the new worker after a reload, and do not keep the old one
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


=== TEST 39: a reload reads the module again; without its file, the workers stay
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
