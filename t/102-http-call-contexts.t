# proxy_http_call from every callback, and what becomes of calls whose request, instance or process goes.

use Test::Nginx::Socket 'no_plan';
use Calls;
use JSON::PP ();
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;

# What the server says of those that it holds.
sub held { return (ask("GET /held/$_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /\r\n\r\n(.*)/s)[0] }
sub held_is { my ($name, $expected) = @_; return wait_for(sub { held($name) eq $expected }) ? $expected : held($name) }
sub release { return (ask("GET /release/$_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /\r\n\r\n(.*)/s)[0] }

# Waits for guests' lines that match.
sub awaited {
    my ($wanted, $count) = @_;
    my @lines;
    wait_for(sub { (@lines = told($wanted)) >= $count });
    return @lines;
}


run_tests();

__DATA__

=== TEST 1: from vm_start, configure and tick, by root contexts
Nothing is told before the start is over.
--- http_config eval
my $vm = JSON::PP->new->canonical->encode({vm_start => [::http('vm', path => '/size/1')]}) =~ s/\$TEST_NGINX_PORT_1/$ENV{TEST_NGINX_PORT_1}/r;
qq~wasm_module a \$TEST_NGINX_FILTERS/hostcalls.wasm 'vm_config=$vm';~
--- config eval
my $told = ['log', 'info', ::joined('told ', {var => 'call'}, ' ', {header => ['call_response', ':status']}, ' ', {body => 'call_response'})];
::location('/x', {trace => JSON::PP::true, configure => [::http('configure', path => '/size/2'), ['set_tick', 20], ['log', 'info', 'configured']],
    tick => [['set_tick', 0], ::http('tick', path => '/size/3'), ['log', 'info', 'ticked']],
    http_call_response => [$told, ['if', {var => 'call'}, 'tick', [::http('chained', path => '/size/4')]]]})
--- client eval
sub {
    ::awaited(qr/^told chained/, 1);
    my @lines = ::told(qr/^(?:told|ticked|configured|on_http)/);
    # The first two calls run side by side.
    return rows($lines[0], sort(grep { /^told/ } @lines), sort(grep { /^on_http/ } @lines));
}
--- client_out
configured
told chained 200 abcd
told configure 200 ab
told tick 200 abc
told vm 200 a
on_http_call_response id=1 call=chained headers=3 body=4 trailers=0
on_http_call_response id=1 call=configure headers=3 body=2 trailers=0
on_http_call_response id=1 call=tick headers=3 body=3 trailers=0
on_http_call_response id=1 call=vm headers=3 body=1 trailers=0
--- no_error_log eval: $::clean



=== TEST 2: from request headers, body, response headers and body, each of which waits for the answer
--- http_config eval: $::module
--- config eval
my @parts = qw(request_headers request_body response_headers response_body);
::location('/x', {
    request_headers => [::http('request_headers', path => '/size/1'), ::pause()],
    request_body_end => [::http('request_body', path => '/size/2'), ::pause()],
    response_headers => [['remove_header', 'response', 'content-length'], ::http('response_headers', path => '/size/3'), ::pause()],
    response_body_end => [::http('response_body', path => '/size/4'), ::pause()],
    'http_call_response:request_headers' => [['set_header', 'request', 'x-a', {body => 'call_response'}], ['continue', 'request']],
    'http_call_response:request_body' => [['set_body', 'request', 0, 0, ::joined({body => 'call_response'}, ' ')], ['continue', 'request']],
    'http_call_response:response_headers' => [['set_header', 'response', 'x-b', {body => 'call_response'}], ['continue', 'response']],
    'http_call_response:response_body' => [['set_body', 'response', 0, 0, ::joined({body => 'call_response'}, ' ')], ['continue', 'response']],
}, 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;')
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my ($a) = $head =~ /^x-a: (\S+)/mi;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length("$a $body") . "\r\n\r\n$a $body");
}
--- request
POST /x
body
--- response_headers
x-b: abc
--- response_body chomp
abcd a ab body
--- no_error_log eval: $::clean



=== TEST 3: from done and log: made all the same, and answered when the request is gone
The answer goes to the root context; there is nobody left to run it for.
--- http_config eval: $::module . ' upstream block { hash $arg_a; server 127.0.0.1:$TEST_NGINX_PORT_1; } '
--- config eval
::location('/x', {trace => JSON::PP::true, done => [::http('done', path => '/size/1')], log => [::http('log', path => '/size/2', upstream => 'block')], http_call_response => [['log', 'info', 'told']]})
--- client eval
sub {
    my $answer = ::get('/x?a=1');
    ::awaited(qr/^on_http_call_response/, 2);
    return rows($answer, sort(::told(qr/^(?:on_http|told|http_call)/)));
}
--- client_out
200 done
on_http_call_response id=1 call=done headers=3 body=1 trailers=0
on_http_call_response id=1 call=log headers=3 body=2 trailers=0
--- no_error_log eval: $::clean



=== TEST 4: a client that leaves ends the call, and the guest is told so when its context is gone
--- http_config eval: $::module
--- config eval
::location('/x', {trace => JSON::PP::true, request_headers => [::http('a', path => '/hold/leaves', timeout => 0), ::pause()], http_call_response => [['log', 'info', 'told']]})
--- client eval
sub {
    my $c = connection();
    $c->write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    my @held = ::held_is('leaves', 'waiting=1 left=0 released=0');
    $c->close;
    push @held, ::held_is('leaves', 'waiting=0 left=1 released=0');
    ::awaited(qr/^on_http_call_response/, 1);
    return rows(@held, ::told(qr/^(?:on_delete|on_http|told)/));
}
--- client_out
waiting=1 left=0 released=0
waiting=0 left=1 released=0
on_delete id=2
on_http_call_response id=1 call=a headers=0 body=0 trailers=0
--- no_error_log eval: $::clean



=== TEST 5: a request that does not wait for its calls leaves them going
A failure of one goes to the log all the same.
--- http_config eval: $::module
--- config eval
::location('/x', {trace => JSON::PP::true, request_headers => [::http('a', path => '/hold/goes-on', timeout => 0)], http_call_response => [['log', 'info', 'told']]}, 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/delay/0.2;')
. ::location('/local', {request_headers => [::http('b', path => '/hold/goes-on', timeout => 300), ['local_response', 403, [], 'no']]})
--- client eval
sub {
    my @answers = map { ::get($_) } qw(/x /local);
    wait_for(sub { @{[::errors()]} == 1 });
    push @answers, ::held_is('goes-on', 'waiting=1 left=1 released=0'), ::release('goes-on');
    ::awaited(qr/^on_http_call_response id=1/, 1);
    return rows(@answers, ::told(qr/^(?:on_http|told)/), map { s/:\d+/:PORT/gr } ::errors());
}
--- client_out
200 late
403 no
waiting=1 left=1 released=0
1
on_http_call_response id=1 call=a headers=3 body=8 trailers=0
a: call to "127.0.0.1:PORT" failed: timed out while waiting for 127.0.0.1:PORT
--- no_error_log eval: $::alive



=== TEST 6: a trap in another request ends the calls of the instance
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', path => '/hold/trap', timeout => 0), ::pause()], http_call_response => [['log', 'info', 'told']]})
. ::location('/trap', {request_headers => [['abort']]})
--- client eval
sub {
    my $c = connection();
    $c->write("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my @lines = ::held_is('trap', 'waiting=1 left=0 released=0');
    push @lines, ::get('/trap') =~ /^(\d+)/;
    push @lines, $c->answer =~ /^(\d+)/;
    return rows(@lines, ::held_is('trap', 'waiting=0 left=1 released=0'), scalar(::told(qr/^told/)));
}
--- client_out
waiting=1 left=0 released=0
503
503
waiting=0 left=1 released=0
0
--- no_error_log eval: $::alive



=== TEST 7: several filters that each wait for a call
--- http_config eval: $::module
--- config eval
my $filter = sub {
    my $n = shift;
    ::location('/x', {request_headers => [::http('a', path => ::joined('/size/', {header => ['request', 'x-n']})), ::pause()],
        http_call_response => [['set_header', 'request', 'x-n', {add => [{body_size => 'call_response'}, 1]}], ['continue', 'request']]}, '') =~ /(wasm_filter.*?;)/;
    $1;
};
'location /x { ' . ($filter->() x 4) . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }'
--- upstream eval
sub {
    my $c = shift;
    my ($head) = $c->message;
    my ($n) = $head =~ /^x-n: (\S+)/mi;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($n) . "\r\n\r\n$n");
}
--- request
GET /x
--- more_headers
x-n: 3
--- response_body chomp
7
--- no_error_log eval: $::clean



=== TEST 8: many requests wait for calls at once
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::http('a', path => '/hold/many', timeout => 0), ::pause()], http_call_response => ::answer()})
--- client eval
sub {
    my @clients = map { my $c = connection(); $c->write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"); $c } 1 .. 20;
    my @lines = ::held_is('many', 'waiting=20 left=0 released=0');
    $clients[$_]->close for 3, 7;
    push @lines, ::held_is('many', 'waiting=18 left=2 released=0'), ::release('many');
    my %answers;
    $answers{ $clients[$_]->answer }++ for grep { $_ != 3 && $_ != 7 } 0 .. $#clients;
    return rows(@lines, map { "$answers{$_} times $_" } sort keys %answers);
}
--- client_out
waiting=20 left=0 released=0
waiting=18 left=2 released=0
18
18 times 200 200 released
--- no_error_log eval: $::clean



=== TEST 9: from queue_ready
--- http_config eval: $::module
--- config eval
::location('/x', {configure => [['register_queue', 'q', 'q']], queue_ready => [['dequeue', {var => 'queue'}, 'path'], ::http('a', path => {var => 'path'})],
    http_call_response => [['log', 'info', ::joined('told ', {body => 'call_response'})]], request_headers => [['enqueue', {var => 'q'}, '/size/3']]})
--- client eval: sub { rows(::get('/x'), ::awaited(qr/^told/, 1)) }
--- client_out
200 done
told abc
--- no_error_log eval: $::clean



=== TEST 10: while a call runs, its request is redirected, and its subrequest ends
--- http_config eval: $::module
--- config eval
::location('/x', {trace => JSON::PP::true, request_headers => [::http('first', path => '/delay/0.1')]}, 'rewrite ^ /y;') =~ s/return/#/r
. ::location('/y', {request_headers => [::http('a', path => '/size/2'), ::pause()], http_call_response => [['if', {var => 'call'}, 'a', [['local_response', 200, [], {body => 'call_response'}]]]]})
--- client eval
sub {
    my $answer = ::get('/x');
    return rows($answer, ::awaited(qr/^on_http_call_response id=1/, 1));
}
--- client_out
200 ab
on_http_call_response id=1 call=first headers=3 body=4 trailers=0
--- no_error_log eval: $::clean
