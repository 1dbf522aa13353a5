# gRPC calls and streams, with a real server.

use Test::Nginx::Socket 'no_plan';
use Calls;
use File::Temp ();
use JSON::PP ();
use Servers;
use Wire;

log_level('info');
no_long_string();

our $grpc = Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_1}, tls => $ENV{TEST_NGINX_PORT_2});
our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_3});
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;

our $files = File::Temp::tempdir('nginx-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $files;

# What a filter does to log all that it is told, and then go on.
our %telling = (
    trace => JSON::PP::true,
    grpc_initial_metadata => [['log_headers', 'grpc_initial_metadata']],
    grpc_receive => [['log', 'info', joined({ var => 'call' }, ' got ', { body => 'grpc' })]],
    grpc_trailing_metadata => [['log_headers', 'grpc_trailing_metadata']],
    grpc_close => [['get_status', 's'], ['log', 'info', joined({ var => 'call' }, ' closed ', { var => 's.code' }, ' ', { var => 's' })]],
);

# Of unary calls, of which each is told once; continues when it has heard of so many.
sub unary {
    my ($count, @operations) = @_;
    my $heard = [['let', 'heard', { add => [{ var => 'heard' }, 1] }], ['if', { var => 'heard' }, "$count", [['continue', 'request']]]];
    return location('/x', {
        request_headers => [@operations, pause()],
        grpc_initial_metadata => [['log', 'info', 'initial metadata of a call']],
        grpc_trailing_metadata => [['log', 'info', 'trailing metadata of a call']],
        grpc_receive => [@{ $telling{grpc_receive} }, @$heard], grpc_close => [@{ $telling{grpc_close} }, @$heard],
    });
}

# A stream, told of as it is closed; then the request goes on.
sub streamed {
    my @operations = @_;
    return location('/x', { %telling, request_headers => [@operations, pause()],
        grpc_close => [@{ $telling{grpc_close} }, ['continue', 'request']] });
}

# All that guests were told of gRPC, in order.
our $seen = qr/^(?:on_grpc|grpc_|\S+ (?:got|closed) )/;
sub seen { return rows(grep { !/ grpc-accept-encoding=/ } told($seen)) }

# The same, where the order is not certain.
sub heard { return rows(sort(told(qr/^(?:\S+ (?:got|closed) |grpc_|initial|trailing)/))) }

run_tests();

__DATA__

=== TEST 1: calls: of each either its message is told or how it ended
--- http_config eval: $::module
--- config eval
::unary(9, ::grpc('echo', 'Unary', {hex => '0068'}), ::grpc('upper', 'Upper', 'abc'), ::grpc('empty', 'Unary', ''),
    ::grpc('status', 'Status', "7 no entry, 100% \xc3\xa9"), ::grpc('method', 'Nobody', ''), ::grpc('service', 'Unary', '', service => 'no.Such'),
    ::grpc('deadline', 'Deadline', '', timeout => 7000), ::grpc('late', 'Delay', '5', timeout => 200),
    ::grpc('metadata', 'Metadata', '', metadata => [['x-a', '1'], ['X-B', 'two'], ['x-c-bin', 'AAE='], ['x-a', '3']]))
--- client eval: sub { rows(::get('/x')) . ::heard() . rows(::errors() =~ s/:\d+"/:PORT"/r) }
--- client_out eval
"200 done
deadline got 7
echo got \\x00h
empty got 
late closed 4 timed out
metadata got x-a=1\\x0Ax-a=3\\x0Ax-b=two\\x0Ax-c-bin=0001\\x0A
method closed 12 Method not found!
service closed 12 Method not found!
status closed 7 no entry, 100% \x{c3}\x{a9}
upper got ABC
1
"
--- no_error_log eval: $::alive



=== TEST 2: a stream: what is told, and in which order
--- http_config eval: $::module
--- config eval
::streamed(::stream('chat', 'Chat'), ['grpc_send', 'chat', 'one', JSON::PP::false], ['grpc_send', 'chat', '', JSON::PP::false], ['grpc_send', 'chat', 'bye', JSON::PP::true])
--- client eval: sub { rows(::get('/x')) . ::seen() }
--- client_out
200 done
on_grpc_receive_initial_metadata id=1 call=chat count=3
grpc_initial_metadata has 3 pairs
grpc_initial_metadata :status=200
grpc_initial_metadata content-type=application/grpc
on_grpc_receive id=1 call=chat size=6
chat got 1: one
on_grpc_receive id=1 call=chat size=3
chat got 2: 
on_grpc_receive id=1 call=chat size=6
chat got 3: bye
on_grpc_receive_trailing_metadata id=1 call=chat count=2
grpc_trailing_metadata has 2 pairs
grpc_trailing_metadata grpc-status=0
grpc_trailing_metadata grpc-message=
on_grpc_close id=1 call=chat code=0
chat closed 0 
--- no_error_log eval: $::clean



=== TEST 3: metadata of a stream, each way
Binary values are as they are on the wire, as in Envoy.
--- http_config eval: $::module
--- config eval
::streamed(::stream('s', 'Metadata', metadata => [['x-a', '1'], ['x-b-bin', '/w==']]), ['grpc_send', 's', '', JSON::PP::false], ['grpc_close', 's'])
--- client eval: sub { rows(::get('/x')) . ::seen() }
--- client_out
200 done
on_grpc_receive_initial_metadata id=1 call=s count=6
grpc_initial_metadata has 6 pairs
grpc_initial_metadata :status=200
grpc_initial_metadata content-type=application/grpc
grpc_initial_metadata x-initial=one
grpc_initial_metadata x-initial=two
grpc_initial_metadata x-bin-bin=AP8
on_grpc_receive id=1 call=s size=17
s got x-a=1\x0Ax-b-bin=ff\x0A
on_grpc_receive_trailing_metadata id=1 call=s count=3
grpc_trailing_metadata has 3 pairs
grpc_trailing_metadata grpc-status=0
grpc_trailing_metadata grpc-message=
grpc_trailing_metadata x-trailing=end
on_grpc_close id=1 call=s code=0
s closed 0 
--- no_error_log eval: $::clean



=== TEST 4: messages that the server sends by itself, and an end behind some of them
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::stream('split', 'Split'), ['grpc_send', 'split', 'xyz', JSON::PP::true], ::stream('abort', 'Abort'), ['grpc_send', 'abort', '', JSON::PP::true],
    ::stream('count', 'Count'), ['repeat', 100, [['grpc_send', 'count', 'ab', JSON::PP::false]]], ['grpc_close', 'count'], ::pause()],
    grpc_receive => $::telling{grpc_receive},
    grpc_close => [@{ $::telling{grpc_close} }, ['let', 'n', {add => [{var => 'n'}, 1]}], ['if', {var => 'n'}, '3', [['continue', 'request']]]]})
--- client eval
sub {
    ::get('/x');
    return rows(map { my $call = $_; grep { /^$call / } ::told($::seen) } qw(abort count split));
}
--- client_out
abort got first
abort closed 13 then broken
count got 100 200
count closed 0 
split got x
split got y
split got z
split closed 0 
--- no_error_log eval: $::clean



=== TEST 5: a conversation: each message answers the one before
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [::stream('chat', 'Chat'), ['grpc_send', 'chat', '0', JSON::PP::false], ::pause()],
    grpc_receive => [['if', {var => 'messages'}, '20', [['grpc_close', 'chat'], ['let', 'last', {body => 'grpc'}]], [['grpc_send', 'chat', {var => 'messages'}, JSON::PP::false]]]],
    grpc_close => [['local_response', 200, [], ::joined({var => 'last'}, ', ', {var => 'code'})]]})
--- client eval: sub { ::get('/x') }
--- client_out: 200 20: 19, 0
--- no_error_log eval: $::clean



=== TEST 6: a cancelled call or stream is reset, and nothing more is told of it
--- http_config eval: $::module
--- config eval
::location('/cancel', {%::telling, request_headers => [::stream('one', 'Hold'), ['grpc_send', 'one', '', JSON::PP::true], ::grpc('two', 'Hold', ''), ::stream('open', 'Chat'), ['grpc_send', 'open', '', JSON::PP::false],
    ::http('wait', upstream => '127.0.0.1:$TEST_NGINX_PORT_3', path => '/hold/cancel', timeout => 0), ::pause()],
    'http_call_response:wait' => [['grpc_cancel', 'one'], ['grpc_cancel', 'two'], ['grpc_cancel', 'open'], ['grpc_cancel', 'one'], ['grpc_send', 'open', 'x', JSON::PP::false], ['continue', 'request']]})
. ::location('/held', {request_headers => [::grpc('held', 'Held', ''), ::pause()], grpc_receive => [['local_response', 200, [], {body => 'grpc'}]]})
--- client eval
sub {
    my ($before) = ::get('/held') =~ /left=(\d+)/;
    my $after = $before + 2;
    my $c = connection();
    $c->write("GET /cancel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my @lines = wait_for(sub { ::get('/held') eq "200 waiting=2 left=$before" }) ? 'two are held' : ::get('/held');
    ask("GET /release/cancel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_3});
    push @lines, $c->answer, wait_for(sub { ::get('/held') eq "200 waiting=0 left=$after" }) ? 'two have left' : ::get('/held');
    return rows(@lines, ::told(qr/^(?:on_grpc\S+ id=1 call=(?:one|two)|\S+ closed |grpc_(?:cancel|send|close) )/));
}
--- client_out
two are held
200 done
two have left
grpc_cancel one: status 1
grpc_send open: status 1
--- no_error_log eval: $::clean



=== TEST 7: a client that leaves resets what its request had open
--- http_config eval: $::module
--- config eval
::location('/x', {trace => JSON::PP::true, request_headers => [::stream('one', 'Hold'), ['grpc_send', 'one', '', JSON::PP::true], ::grpc('two', 'Hold', '', timeout => 0), ::pause()], grpc_close => [['log', 'info', 'told']]})
. ::location('/held', {request_headers => [::grpc('held', 'Held', ''), ::pause()], grpc_receive => [['local_response', 200, [], {body => 'grpc'}]]})
--- client eval
sub {
    my ($before) = ::get('/held') =~ /left=(\d+)/;
    my $after = $before + 2;
    my $c = connection();
    $c->write("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my @lines = wait_for(sub { ::get('/held') eq "200 waiting=2 left=$before" }) ? 'two are held' : ::get('/held');
    $c->close;
    push @lines, wait_for(sub { ::get('/held') eq "200 waiting=0 left=$after" }) ? 'two have left' : ::get('/held');
    return rows(@lines, ::told(qr/^(?:on_grpc\S+ id=1 call=(?:one|two)|told)/));
}
--- client_out
two are held
two have left
on_grpc_close id=1 call=one code=1
on_grpc_close id=1 call=two code=1
--- no_error_log eval: $::clean



=== TEST 8: calls of all requests share a connection
--- http_config eval: $::module
--- config eval
::location('/x', {request_headers => [(map { ::grpc("c$_", 'Size', '1000') } 1 .. 40), ::pause()],
    grpc_receive => [['let', 'n', {add => [{var => 'n'}, 1]}], ['if', {var => 'n'}, '40', [['local_response', 200, [], {var => 'n'}]]]]})
--- client eval
sub {
    # Connections to the server's port, seen from this end.
    my $port = sprintf '%04X', $ENV{TEST_NGINX_PORT_1};
    my $established = sub { scalar grep { /^\s*\d+: \S+ \S+:$port 01 / } do { open my $f, '<', '/proc/net/tcp' or die; <$f> } };
    my $before = $established->();
    my @answers = map { ::get('/x') } 1 .. 3;
    # One that has let calls wait for too long, as on a busy machine, is left to them, and closes when it is idle.
    wait_for(sub { $established->() - $before == 1 });
    return rows(@answers, $established->() - $before);
}
--- client_out
200 40
200 40
200 40
1
--- no_error_log eval: $::clean



=== TEST 9: large messages, up to wasm_call_buffer_size
--- http_config eval: $::module
--- config eval
'wasm_call_buffer_size 300k;' . ::unary(2, ::grpc('large', 'Size', '307200'), ::grpc('too-large', 'Size', '307201')) =~ s/body" *: *"grpc"/x/r
. ::location('/both', {request_body_end => [::grpc('a', 'Unary', {body => 'request'}), ::pause()],
    grpc_receive => [['local_response', 200, [], {body => 'grpc'}]]}, 'client_body_buffer_size 1m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_3;')
. ::location('/send', {request_body_end => [::stream('a', 'Chat'), ['grpc_send', 'a', {body => 'request'}, JSON::PP::false], ['grpc_send', 'a', {body => 'request'}, JSON::PP::false], ['local_response', 200, [], {var => 'status'}]]},
    'client_body_buffer_size 1m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_3;')
--- client eval
sub {
    my $body = CORE::join(' ', 1 .. 60_000);
    my $both = ::get('/both', method => 'POST', body => substr $body, 0, 307_200);
    return rows(::get('/x'), (map { s/^large got (.*)/'large got ' . length $1/er } sort(::told(qr/^(?:large|too-large) /))),
        $both eq '200 ' . substr($body, 0, 307_200) ? 'the same' : length $both,
        # More than fits waits for the server.
        ::get('/send', method => 'POST', body => substr $body, 0, 200_000));
}
--- client_out eval: qr/\A200 done\nlarge got \d+\ntoo-large closed 8 message of 307201 bytes is larger than 307200\nthe same\n200 10\n\z/
--- no_error_log eval: $::alive



=== TEST 10: no connection, another protocol, no upstream
--- http_config eval: $::module
--- config eval
::unary(3, ::grpc('refused', 'Unary', '', upstream => '127.0.0.1:$TEST_NGINX_PORT_8'), ::grpc('http1', 'Unary', '', upstream => '127.0.0.1:$TEST_NGINX_PORT_3'),
    ::grpc('never', 'Unary', '', upstream => '127.0.0.1:$TEST_NGINX_PORT_4', timeout => 150), ::grpc('nobody', 'Unary', '', upstream => 'nobody'), ::grpc('bad', 'Un ary', ''),
    ::grpc('metadata', 'Unary', '', metadata => [['x', "a\r\nb: c"]]), ::grpc('pseudo', 'Unary', '', metadata => [[':path', '/']]), ::stream('stream', 'Chat', upstream => ''))
. 'location = /silent { return 200; }'
--- client eval
sub {
    # Accepts and says nothing.
    my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_4}, Listen => 4, ReuseAddr => 1) or die $!;
    my $answer = ::get('/x');
    return rows($answer) . ::heard() =~ s/:$ENV{TEST_NGINX_PORT_8}\b/:PORT/gr . rows(scalar(@{[::errors()]}));
}
--- client_out eval: qr/\A200 done\ngrpc_call bad: status 10\ngrpc_call metadata: status 10\ngrpc_call nobody: status 4\ngrpc_call pseudo: status 10\ngrpc_stream stream: status 4\nhttp1 closed 1[34] .*\nnever closed 4 timed out\nrefused closed 14 connect\(\) to 127.0.0.1:PORT failed .*\n3\n\z/
--- no_error_log eval: $::alive



=== TEST 11: a stream that cannot be opened is told as one that ended at once
--- http_config eval: $::module
--- config eval: ::streamed(::stream('s', 'Chat', upstream => '127.0.0.1:$TEST_NGINX_PORT_8'))
--- client eval: sub { rows(::get('/x')) . ::seen() =~ s/(failed ).*/$1.../gr =~ s/:$ENV{TEST_NGINX_PORT_8}\b/:PORT/gr }
--- client_out
200 done
on_grpc_receive_initial_metadata id=1 call=s count=0
grpc_initial_metadata has 0 pairs
on_grpc_receive_trailing_metadata id=1 call=s count=4
grpc_trailing_metadata has 4 pairs
grpc_trailing_metadata :status=200
grpc_trailing_metadata content-type=application/grpc
grpc_trailing_metadata grpc-status=14
grpc_trailing_metadata grpc-message=connect() to 127.0.0.1:PORT failed ...
on_grpc_close id=1 call=s code=14
s closed 14 connect() to 127.0.0.1:PORT failed ...
--- no_error_log eval: $::alive



=== TEST 12: TLS for upstreams with https:// or grpcs://, verified
--- http_config eval: $::module . "wasm_call_ssl_trusted_certificate $Servers::certificates/ca.pem;"
--- config eval
::unary(3, ::grpc('https', 'Upper', 'a', upstream => 'https://127.0.0.1:$TEST_NGINX_PORT_2'), ::grpc('grpcs', 'Upper', 'b', upstream => 'grpcs://127.0.0.1:$TEST_NGINX_PORT_2'),
    ::grpc('plain', 'Upper', 'c', upstream => 'grpc://127.0.0.1:$TEST_NGINX_PORT_1'))
. 'wasm_call_ssl_verify on;'
--- client eval: sub { rows(::get('/x')) . ::heard() }
--- client_out
200 done
grpcs got B
https got A
plain got C
--- no_error_log eval: $::clean



=== TEST 13: a server that is not to be trusted
--- http_config eval: $::module
--- config eval: ::unary(1, ::grpc('a', 'Upper', 'a', upstream => 'https://127.0.0.1:$TEST_NGINX_PORT_2'))
--- client eval: sub { rows(::get('/x')) . ::heard() =~ s/:\d+//r }
--- client_out eval: qr/\A200 done\na closed 14 TLS with 127.0.0.1\S* .*failed: .*(?:unable to verify the first certificate|self-signed|unable to get local issuer).*\n\z/
--- no_error_log eval: $::alive



=== TEST 14: after the server was gone, calls make a new connection
--- http_config eval: $::module
--- config eval: ::location('/x', {request_headers => [::grpc('a', 'Upper', 'a'), ::pause()], grpc_receive => [['local_response', 200, [], {body => 'grpc'}]], grpc_close => [['local_response', 502, [], {var => 'code'}]]})
--- client eval
sub {
    my @lines = ::get('/x');
    $::grpc->stop;
    push @lines, ::get('/x');
    $::grpc->start;
    return rows(@lines, map { ::get('/x') } 1 .. 2);
}
--- client_out
200 A
502 14
200 A
200 A
--- no_error_log eval: $::alive



=== TEST 15: answers that are not gRPC's: HTTP's status counts, or there is none
An nginx that speaks HTTP/2 is the server.
--- http_config eval
my $file = sub {
    my ($name, $bytes) = @_;
    open my $out, '>', "$::files/$name" or die "$name: $!\n";
    print $out $bytes;
    close $out;
};
$file->(Whole => pack 'CNa*', 0, 5, 'hello');
$file->(Partial => pack 'CNa*', 0, 9, 'hello');
$file->(Head => "\0\0");
$file->(Compressed => pack 'CNa*', 1, 5, 'hello');
$file->(Huge => pack 'CNa*', 0, 0xffffffff, 'hello');
my $statuses = CORE::join '', map { "location /test.Echo/S$_ { return $_; }\n" } 400, 401, 403, 404, 418, 429, 500, 502, 503, 504;
$::module . qq~
server {
    listen 127.0.0.1:\$TEST_NGINX_PORT_5; http2 on;
    $statuses
    error_page 405 =200 \$uri;
    location /test.Echo/ { alias $::files/; default_type application/grpc; }
    location /test.Echo/Html { default_type text/html; return 200 "<html>"; }
    location /test.Echo/Only { add_header grpc-status 5 always; add_header grpc-message "not%20here %e4" always; return 204; }
    location /test.Echo/Reset { return 444; }
}~
--- config eval
my @methods = qw(S400 S401 S403 S404 S418 S429 S500 S502 S503 S504 Whole Partial Head Compressed Huge Html Only Reset);
my $to = sub { ::grpc($_[0], $_[0], '', upstream => '127.0.0.1:$TEST_NGINX_PORT_5') };
CORE::join '', map { ::location("/$_", {request_headers => [$to->($_), ::pause()], grpc_receive => [['local_response', 200, [], 'a message']],
    grpc_close => [['get_status', 's'], ['local_response', 200, [], ::joined({var => 'code'}, ' ', {var => 's'})]]}) } @methods;
--- client eval
sub { rows(map { "$_ " . ::get("/$_") } qw(S400 S401 S403 S404 S418 S429 S500 S502 S503 S504 Whole Partial Head Compressed Huge Html Only Reset S403)) }
--- client_out eval
"S400 200 13 HTTP status 400
S401 200 16 HTTP status 401
S403 200 7 HTTP status 403
S404 200 12 HTTP status 404
S418 200 2 HTTP status 418
S429 200 14 HTTP status 429
S500 200 2 HTTP status 500
S502 200 14 HTTP status 502
S503 200 14 HTTP status 503
S504 200 14 HTTP status 504
Whole 200 2 no grpc-status
Partial 200 2 no grpc-status
Head 200 2 no grpc-status
Compressed 200 13 compressed message
Huge 200 8 message of 4294967295 bytes is larger than 1048576
Html 200 2 not a gRPC response
Only 200 5 not here \x{ef}\x{bf}\x{bd}
Reset 200 13 stream reset: unspecific protocol error detected
S403 200 7 HTTP status 403
"
--- no_error_log eval: $::alive



=== TEST 16: a server that ends connections after some requests
Every call is answered all the same.
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_5; http2 on; keepalive_requests 3; location / { return 403; } }'
--- config eval
::location('/x', {request_headers => [::grpc('a', 'Any', '', upstream => '127.0.0.1:$TEST_NGINX_PORT_5'), ::pause()], grpc_close => [['local_response', 200, [], {var => 'code'}]]})
. ::location('/many', {request_headers => [(map { ::grpc("c$_", 'Any', '', upstream => '127.0.0.1:$TEST_NGINX_PORT_5') } 1 .. 10), ::pause()],
    grpc_close => [['if', {var => 'code'}, '7', [['let', 'n', {add => [{var => 'n'}, 1]}]]], ['let', 'all', {add => [{var => 'all'}, 1]}],
        ['if', {var => 'all'}, '10', [['local_response', 200, [], {var => 'n'}]]]]})
--- client eval: sub { rows(CORE::join(' ', map { ::get('/x') } 1 .. 10), ::get('/many')) }
--- client_out
200 7 200 7 200 7 200 7 200 7 200 7 200 7 200 7 200 7 200 7
200 10
--- no_error_log eval: $::alive



=== TEST 17: a connection without an answer in time is not used again
--- http_config eval: $::module
--- config eval
::unary(1, ::grpc('never', 'Unary', '', upstream => '127.0.0.1:$TEST_NGINX_PORT_4', timeout => 150))
--- client eval
sub {
    my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_4}, Listen => 4, ReuseAddr => 1, Blocking => 0) or die $!;
    my @connections;
    my @answers = map { my $answer = ::get('/x'); while (my $connection = $silent->accept) { push @connections, $connection } $answer } 1 .. 2;
    return rows(@answers, scalar @connections);
}
--- client_out
200 done
200 done
2
--- no_error_log eval: $::alive



=== TEST 18: a call that is late leaves the connection to the streams that are open on it
The next call gets another one; the stream goes on, and ends well.
--- http_config eval: $::module
--- config eval
my $go_on = [['continue', 'request']];
::location('/x', {
    request_headers => [
        ['if_path', '/x/stream', [['grpc_stream', 's', '127.0.0.1:$TEST_NGINX_PORT_1', 'test.Echo', 'Chat', []], ['grpc_send', 's', 'a', JSON::PP::false]]],
        ['if_path', '/x/late', [::grpc('late', 'Delay', '2', timeout => 150)]],
        ['if_path', '/x/other', [::grpc('other', 'Upper', 'other')]],
        ::pause()],
    grpc_receive => [['let', 'got', {join => [{var => 'got'}, '|', {body => 'grpc'}]}], ['if', {var => 'got'}, '|OTHER', $go_on],
        # Until somebody asks for /release/x.
        ['if', {var => 'got'}, '|1: a', [['http_call', 'h', '127.0.0.1:$TEST_NGINX_PORT_3', [[':method', 'GET'], [':path', '/hold/x'], [':authority', 'a']], '', [], 5000]]]],
    http_call_response => [['grpc_send', 's', 'bye', JSON::PP::true]],
    grpc_close => [['let', 'got', {join => [{var => 'got'}, ' closed ', {var => 'code'}]}], @$go_on],
    response_headers => [['set_header', 'response', 'x-got', {var => 'got'}]],
})
--- client eval
sub {
    my $get = sub { "GET $_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" };
    my $got = sub { $_[0] =~ /^x-got: (.*)\r$/mi ? $1 : $_[0] };
    my $stream = connection();
    $stream->write($get->('/x/stream'));
    wait_for(sub { ask($get->('/held/x'), $ENV{TEST_NGINX_PORT_3}) =~ /waiting=1/ }) or return "the stream does not begin\n";
    my @answers = map { $got->(ask($get->($_))) } '/x/late', '/x/other';
    ask($get->('/release/x'), $ENV{TEST_NGINX_PORT_3});
    return rows(@answers, $got->($stream->rest));
}
--- client_out
closed 4
|OTHER
|1: a|2: bye closed 0
--- no_error_log eval: $::alive
