# A header that waits for its filter while that sees the request's body (Envoy's StopIteration): buffered and
# streamed bodies, guests of the ABI 0.2.100 and others with header_stop=iteration.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;
use H3;
use HeaderStop;

log_level('info');
no_long_string();
no_root_location();

our $until_end = qq~"request_headers":[$pause],"request_body":[$pause,["if_end_of_stream",[["action","continue"],["set_header","request","x-seen","yes"]]]]~;

# The same filters at /buffered and at /streamed.
sub both {
    my ($filters, $pass) = @_;
    $pass //= 'proxy_pass http://up;';
    return join '', map { "location /$_ { " . ($_ eq 'streamed' ? 'proxy_request_buffering off; ' : '') . "$filters $pass }\n" } qw(buffered streamed);
}

# For both, what a client gets and what the upstream saw of a header.
sub of_both {
    my ($name, $client) = @_;
    my @rows;
    for my $path (qw(buffered streamed)) {
        unlink $Upload::file;
        my $answer = $client->("/$path");
        my ($value) = seen() =~ /^$name: *(.*?)\r$/mi;
        push @rows, "$path: $answer " . ($value // 'none');
    }
    return rows(@rows);
}

# Sends a body, in pieces; the answer.
sub post {
    my ($path, $length, @pieces) = @_;
    my $c = connection();
    $c->write(post_head($path, $length));
    $c->write($_) for @pieces;
    return $c->answer;
}

# A guest of the ABI 0.2.100 whose header callback answers 1 and that has no body callback.
our $wat = '(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_100"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1)))';

run_tests();

__DATA__

=== TEST 1: a filter sees the whole body, then sets a header, and both go on
--- http_config eval
my $locations = main::both("wasm_filter a '{$main::until_end}';");
$::modules . "server { listen 127.0.0.1:\$TEST_NGINX_PORT_3; http2 on; $locations }\n" . h3_server($locations);
--- config eval: main::both("wasm_filter a '{$main::until_end}';")
--- user_files eval: tls_files()
--- upstream eval: recorder()
--- client eval
sub {
    CORE::join '', main::of_both('x-seen', sub { main::post($_[0], 9, 'first', 'last') }),
        main::of_both('x-seen', sub { main::post($_[0], undef, piece('first'), piece('last'), "0\r\n\r\n") }),
        main::of_both('x-seen', sub { output_of('curl', '-sS', '--http2-prior-knowledge', '-d', 'firstlast', '-w', ' http/%{http_version}', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_3}$_[0]") }),
        main::of_both('x-seen', sub { my $a = h3()->get($_[0], {}, 'firstlast'); "$a->{status} $a->{body}" });
}
--- client_out
buffered: 200 got firstlast yes
streamed: 200 got firstlast yes
buffered: 200 got firstlast yes
streamed: 200 got firstlast yes
buffered: got firstlast http/2 yes
streamed: got firstlast http/2 yes
buffered: 200 got firstlast yes
streamed: 200 got firstlast yes
--- no_error_log eval: $::bad



=== TEST 2: a filter built with Higress' SDK: nginx routes by what it has found in the body
--- http_config eval: $::modules . $::router
--- config eval: main::both('wasm_filter router;', 'proxy_pass http://up/$http_x_model;')
--- upstream eval: recorder()
--- client eval
sub {
    my $body = '{"model":"large","messages":[]}';
    my @rows;
    for my $path (qw(buffered streamed)) {
        unlink $Upload::file;
        my $answer = main::post("/$path", length $body, substr($body, 0, 9), substr $body, 9);
        # What is noted of the last connection may come late.
        my ($line) = seen() =~ m{(POST /.*?)\r\n};
        push @rows, "$answer: $line";
        push @rows, main::post("/$path", 5, 'wrong');
    }
    $rows[$_] =~ s/\n// for 1, 3;
    rows(@rows);
}
--- client_out
200 got {"model":"large","messages":[]}: POST /large HTTP/1.1
400 no request for a model
200 got {"model":"large","messages":[]}: POST /large HTTP/1.1
400 no request for a model
--- no_error_log eval: $::bad



=== TEST 3: what comes when: filters before see the body too, those behind get header and body when both are let go
--- http_config eval: $::modules
--- config eval
main::both(qq~wasm_filter b '{"trace":true}';
    wasm_filter a '{"trace":true,"request_headers":[$main::pause]}';
    wasm_filter c '{"trace":true,"request_headers":[$main::pause],"request_body":[["set_body","request",0,0,"c "]]}';~) . go_locations(['c'])
--- upstream eval: recorder()
--- client eval
sub {
    my $i = 0;
    main::of_both('content-length', sub {
        my $c = connection();
        $c->write(post_head($_[0], 9) . 'firstlast');
        until_logged('c: on_request_headers', ++$i);
        my $silent = $c->is_silent(0.2) ? 'silent' : 'not silent';
        go('c');
        $silent . ' ' . $c->answer;
    });
}
--- client_out
buffered: silent 200 got c firstlast 11
streamed: silent 200 got c firstlast 11
--- guests_like eval: qr/on_request/
--- guests eval
my $one = 'b: on_request_headers .*\na: on_request_headers .*\nb: on_request_body id=\d+ size=9 eos=true\na: on_request_body id=\d+ size=9 eos=true\nc: on_request_headers .*\n(?:c: on_request_headers .*\n)?c: on_request_body id=\d+ size=9 eos=true\n';
qr/\A(?:$one){2}\z/
--- no_error_log eval: $::bad



=== TEST 4: the first piece that is let go takes the header with it; what follows goes on as it is seen
--- http_config eval: $::modules
--- config eval
main::both(qq~wasm_filter a '{"trace":true,"request_headers":[["remove_header","request","content-length"],$main::pause],
    "request_body":[["set_header","request","x-seen","first"],["set_body","request",0,0,"+"]]}';~)
--- upstream eval: recorder()
--- client eval
sub {
    main::of_both('x-seen', sub {
        my $c = connection();
        $c->write(post_head($_[0], 200_000));
        $c->write('x' x 200_000);
        my $answer = $c->answer;
        my $marks = $answer =~ s/\+//g;
        length($answer) == 200_008 && $marks > 1 ? '200 got all' : substr $answer, 0, 99;
    });
}
--- client_out
buffered: 200 got all first
streamed: 200 got all first
--- no_error_log eval: $::bad



=== TEST 5: without a body, or when it is asked to, the header goes on by proxy_continue_stream; what is held goes with it
--- http_config eval: $::modules
--- config eval
main::both(qq~wasm_filter a '{"trace":true,"request_headers":[$main::pause],"request_body":[$main::pause]}';~) . go_locations(['a'])
--- upstream eval: recorder()
--- client eval
sub {
    my (@rows, $paused);
    for my $path (qw(/buffered /streamed)) {
        my $c = connection();
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        until_logged('on_request_headers [^\n]*"GET /[bs]', ++$paused);
        go('a');
        push @rows, $c->answer;
        $c->write(post_head($path, 9) . 'firstlast');
        until_logged('on_request_body', $paused);
        push @rows, $c->is_silent(0.2) ? 'silent' : 'not silent';
        go('a');
        push @rows, $c->answer;
    }
    rows(@rows);
}
--- client_out
200 got 
silent
200 got firstlast
200 got 
silent
200 got firstlast
--- no_error_log eval: $::bad



=== TEST 6: a guest of the ABI 0.2.100 that has no body callback: the body takes the header with it
--- http_config eval: $::modules . "wasm_module m ../html/m.wat;"
--- config eval: main::both('wasm_filter m;')
--- user_files eval: ">>> m.wat\n$main::wat"
--- upstream eval: recorder()
--- client eval: sub { main::of_both('content-length', sub { main::post($_[0], 9, 'firstlast') }) }
--- client_out
buffered: 200 got firstlast 9
streamed: 200 got firstlast 9
--- no_error_log eval: $::bad



=== TEST 7: header_stop=all, and the guests that are built for hosts that stop all: the body does not come until the header goes on
--- http_config eval
$::modules . "wasm_module m ../html/m.wat header_stop=all; wasm_module all \$TEST_NGINX_FILTERS/hostcalls.wasm header_stop=all;"
--- config eval
"wasm_pause_timeout 300ms;\n" . join '', map { "location /$_ { wasm_filter $_ " . ($_ eq 'm' ? '' : qq~'{"request_headers":[$main::pause]}'~) . "; proxy_pass http://up; }\n" } qw(m b all)
--- user_files eval: ">>> m.wat\n$main::wat"
--- upstream eval: recorder()
--- client eval: sub { rows(map { my ($status) = main::post("/$_", 9, 'firstlast') =~ /^(\d+)/; "$_ $status" } qw(m b all)) }
--- client_out
m 504
b 504
all 504
--- error_log eval: ['m: paused the request headers for longer', 'b: paused the request headers', 'all: paused the request headers']
--- no_error_log eval: $::worse



=== TEST 8: a local response of the body callback, while the header waits
--- http_config eval: $::modules
--- config eval
main::both(qq~wasm_filter a '{"request_headers":[$main::pause],"request_body":[$main::pause,["if_end_of_stream",[["local_response",403,[],"refused"]]]]}';~)
--- upstream eval: recorder()
--- client eval: sub { main::of_both('host', sub { main::post($_[0], 9, 'firstlast') }) }
--- client_out
buffered: 403 refused none
streamed: 403 refused none
--- no_error_log eval: $::bad



=== TEST 9: what it holds is bounded by wasm_buffer_size
--- http_config eval: $::modules
--- config eval: "wasm_buffer_size 32k;\n" . main::both("wasm_filter a '{$main::until_end}';")
--- upstream eval: recorder()
--- client eval: sub { main::of_both('host', sub { my ($status) = main::post($_[0], 100_000, 'x' x 100_000) =~ /^(\d+)/; $status }) }
--- client_out
buffered: 413 none
streamed: 413 none
--- error_log: a: holds back
--- no_error_log eval: $::worse



=== TEST 10: several filters, each of which waits for the body
--- http_config eval: $::modules
--- config eval
my $filter = sub { qq~wasm_filter a '{"request_headers":[$main::pause],"request_body":[$main::pause,["if_end_of_stream",[["action","continue"],["add_header","request","x-seen","$_[0]"],["set_body","request",0,0,"$_[0]"]]]]}';~ };
main::both(CORE::join '', map { $filter->($_) } 1 .. 3)
--- upstream eval: recorder()
--- client eval: sub { main::of_both('content-length', sub { main::post($_[0], 9, 'first', 'last') . ' ' . CORE::join ',', seen() =~ /x-seen: (\d)/g }) }
--- client_out
buffered: 200 got 321firstlast 1,2,3 12
streamed: 200 got 321firstlast 1,2,3 12
--- no_error_log eval: $::bad



=== TEST 11: the location is chosen again by a header that was set in the body callback
--- http_config eval: $::modules . $::router . 'map $http_x_model $to { default none; large large; }'
--- config
location / { wasm_filter router; proxy_request_buffering off; proxy_pass http://up/$to; }
--- upstream eval: recorder()
--- client eval: sub { my $status = substr main::post('/', 17, '{"model":"large"}'), 0, 3; my ($line) = seen() =~ /\A(.*?)\r\n/; rows("$status $line") }
--- client_out
200 POST /large HTTP/1.1
--- no_error_log eval: $::bad



=== TEST 12: other values
--- http_config
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm header_stop=some;
--- config
--- must_die
--- error_log
wasm module "a": invalid value "some" of header_stop=, it must be "all" or "iteration"
