# A budget of turns: what a module's ticks, messages, answers and body pieces take of the worker in one turn of nginx's event loop (turn_time=).

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;

# The first request to a guest makes work for COUNT callbacks, each of which takes a while and says so. Any other one puts an end to it:
# what is still to come returns at once.
our $count = 64;

sub text { CORE::join '', map { sprintf '\\%02x', ord } split //, $_[0] }

# A map as the ABI has it.
sub map_of {
    my @pairs = @_;
    my $head = pack 'V', @pairs / 2;
    my $rest = '';
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $head .= pack 'VV', CORE::length $name, CORE::length $value;
        $rest .= "$name\0$value\0";
    }
    return $head . $rest;
}

our $call = map_of(':method', 'GET', ':path', '/', ':authority', 'a');

sub worker {
    my ($first, %callbacks) = @_;
    my $imports = delete $callbacks{imports} // [];
    my $pairs = CORE::length $call;
    return guest(
        imports => ['proxy_log', @$imports],
        request_headers => "(global.set \$requests (i32.add (global.get \$requests) (i32.const 1)))
            (if (i32.eq (global.get \$requests) (i32.const 1)) (then $first)) (i32.const 0)",
        fields => '(global $requests (mut i32) (i32.const 0)) (global $n (mut i32) (i32.const 0))
            (data (i32.const 16) "burnt") (data (i32.const 32) "127.0.0.1:1") (data (i32.const 64) "' . text($call) . '") (data (i32.const 256) "s")
            (func $times (param $i i32) (loop $on (br_if $on (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
            (func $work
                (if (i32.le_u (global.get $requests) (i32.const 1))
                    (then (call $times (i32.const 100000000)) (drop (call $proxy_log (i32.const 2) (i32.const 16) (i32.const 5))))))
            (func $each (param $i i32)
                (loop $on ' . (delete $callbacks{each} // '') . '(br_if $on (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))',
        %callbacks,
    );
}

our %guests = (
    queue => worker("(call \$each (i32.const $count))",
        imports => ['proxy_register_shared_queue', 'proxy_enqueue_shared_queue'],
        each => '(drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 300)) (i32.const 16) (i32.const 5)))',
        configure => '(drop (call $proxy_register_shared_queue (i32.const 256) (i32.const 1) (i32.const 300))) (i32.const 1)',
        queue_ready => '(call $work)'),
    ticks => worker("(call \$each (i32.const $count))",
        imports => ['proxy_set_effective_context', 'proxy_set_tick_period_milliseconds'],
        each => '(drop (call $proxy_set_effective_context (local.get $i))) (drop (call $proxy_set_tick_period_milliseconds (i32.const 1)))',
        tick => '(drop (call $proxy_set_tick_period_milliseconds (i32.const 0))) (call $work)'),
    http_calls => worker("(call \$each (i32.const $count))",
        imports => ['proxy_http_call'],
        each => '(drop (call $proxy_http_call (i32.const 32) (i32.const 11) (i32.const 64) (i32.const ' . CORE::length($call) . ') (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 60000) (i32.const 300)))',
        http_call_response => '(call $work)'),
    grpc_calls => worker("(call \$each (i32.const $count))",
        imports => ['proxy_grpc_call'],
        each => '(drop (call $proxy_grpc_call (i32.const 32) (i32.const 11) (i32.const 256) (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 60000) (i32.const 300)))',
        grpc_close => '(call $work)'),
    request_body => worker('', request_body => '(call $work) (i32.const 0)'),
    response_body => worker('', response_body => '(call $work) (i32.const 0)'),
    # Takes away each piece, so that nothing to be sent holds the worker back.
    dropped_body => worker('',
        imports => ['proxy_set_buffer_bytes'],
        response_body => '(call $work) (drop (call $proxy_set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))) (i32.const 0)'),
    # Holds all of a body until its end.
    held_body => worker('', response_body => '(call $work) (select (i32.const 0) (i32.const 1) (local.get 2))'),
);
our $modules = CORE::join '', map { "wasm_module $_ ../html/$_.wat cpu_time=60s;" } sort keys %guests;
our $files = CORE::join "\n", map { ">>> $_.wat\n$guests{$_}" } sort keys %guests;

our $body = CORE::join '', map { sprintf "%07d\n", $_ } 1 .. 64 * $count * 128;

our $locations = CORE::join '', map { "location /$_ { root html; wasm_filter $_; " . (/body/ ? 'rewrite ^ /big break;' : 'return 200;') . '}' } grep { !/^(?:ticks|request_body)$/ } sort keys %guests;
# So many root contexts, of which a request has one.
$locations .= 'location /ticks { wasm_filter ticks 1; return 200; } location /roots { ' . CORE::join('', map { "wasm_filter ticks $_;" } 1 .. $count) . 'return 200; }';
$locations .= 'location /request_body { client_max_body_size 0; client_body_buffer_size 8k; wasm_filter request_body; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }';
$locations .= 'location = /stub { stub_status; }';

our $sink = 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; client_max_body_size 0;
    location / { rewrite ^ /length break; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; proxy_set_header X-Length $content_length; }
    location = /length { return 200 "$http_x_length bytes"; } }';

sub burnt { scalar(() = matches(qr/burnt/)) }

# Sends a request that burns, and asks for something else meanwhile. Then has the work end. What the first request got.
sub while_it_burns {
    my ($name, $rest) = @_;
    my $known = burnt();
    my $socket = connection();
    print $socket ($rest ? "POST /$name HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " . CORE::length($rest) . "\r\n\r\n$rest" : "GET /$name HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    Test::More::ok(wait_until(sub { burnt() > $known }), "$name: it burns");
    Test::More::like(get('/good'), qr/good from/, "$name: another request is answered");
    Test::More::cmp_ok(burnt() - $known, '<', $count, "$name: while there is still work to do");
    get("/$name");
    return receive($socket);
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: ticks, messages, answers: others have their turns
--- http_config eval: $::modules
--- config eval: $::locations
--- user_files eval: $::files . "\n>>> big\n$::body"
--- init
for my $name (qw(queue ticks http_calls grpc_calls)) {
    Test::More::like(main::while_it_burns($name), qr{\AHTTP/1.1 200 }, "$name: the request itself");
}
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|trapped/



=== TEST 2: pieces of bodies: others have their turns, and bodies are whole
--- http_config eval: $::modules . $::sink
--- config eval: $::locations
--- user_files eval: $::files . "\n>>> big\n$::body"
--- init
my $length = length $::body;
my $got = main::while_it_burns('request_body', $::body);
Test::More::is(main::body_of($got), "$length bytes", 'the upstream has got the body');
for my $name (qw(response_body held_body)) {
    my $got = main::while_it_burns($name);
    Test::More::is(length main::body_of($got), $length, "$name: its length");
    Test::More::ok(main::body_of($got) eq $::body, "$name: as it was");
}
$got = main::while_it_burns('dropped_body');
Test::More::like($got, qr{\AHTTP/1.1 200 .*\r\n\r\n\z}s, 'a body of which nothing is left');



=== TEST 3: clients that leave while a body waits for its turn
--- http_config eval: $::modules . $::sink
--- config eval: $::locations
--- user_files eval: $::files . "\n>>> big\n$::body"
--- init
for my $name (qw(request_body response_body held_body)) {
    my $known = main::burnt();
    my $socket = main::connection();
    my $body = $name eq 'request_body' ? $::body : '';
    print $socket "POST /$name HTTP/1.1\r\nHost: a\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    Test::More::ok(main::wait_until(sub { main::burnt() > $known }), "$name: it burns");
    close $socket;
    Test::More::ok(main::wait_until(sub { main::body_of(main::get('/stub')) =~ /Active connections: 1 / }), "$name: the request is gone");
    Test::More::cmp_ok(main::burnt() - $known, '<', $::count, "$name: before all of its body was seen");
}
