# Request bodies that stream: pauses, filters that end the request, limits and timeouts, clients that leave.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $worse = qr/\[(?:alert|crit|emerg)\]/;
our $modules = module_lines('a', 'b') . <<'_EOC_';
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
proxy_http_version 1.1;
proxy_request_buffering off;
_EOC_
our $pause = '["action","pause"]';
our $open = '"request_headers":[["remove_header","request","content-length"]]';

# A location with a filter.
sub location {
    my ($path, $filter, @more) = @_;
    return "location $path { wasm_filter a '{\"trace\":true,$filter}'; @more proxy_pass http://up; }\n";
}

# Has sent the head and these bytes of a body of so many.
sub sending {
    my ($path, $length, $bytes) = @_;
    my $c = connection();
    $c->write(post_head($path, $length) . $bytes);
    return $c;
}

# The status of the answer.
sub status { return $_[0]->answer =~ /^(\d+|no response.*)/s }

run_tests();

__DATA__

=== TEST 1: a filter holds the end; it goes on when the filter does, and no client's timer runs meanwhile
--- http_config eval: $::modules
--- config eval
"client_body_timeout 300ms;\n" . go_locations(['a']) . main::location('/', qq~"request_body":[["if_end_of_stream",[$main::pause]]]~)
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $split (0, 1) {
        my $c = main::sending('/', 9, $split ? 'first' : 'firstlast');
        if ($split) {
            until_logged('size=5 eos=false');
            $c->write('last');
        }
        until_logged('eos=true', 1 + $split);
        push @got, $c->is_silent(0.7) ? 'silent' : 'not silent';
        go('a');
        push @got, $c->answer;
        $c->write("GET /go/a HTTP/1.1\r\nHost: a\r\n\r\n");
        push @got, $c->answer;
    }
    rows(@got);
}
--- client_out
silent
200 got firstlast
200 go
silent
200 got firstlast
200 go
--- no_error_log eval: $::bad



=== TEST 2: it holds a piece, that goes on before the next one comes; with what came meanwhile as one
--- http_config eval: $::modules
--- config eval
go_locations(['a']) . main::location('/', qq~"request_body":[$main::pause,["if_end_of_stream",[["action","continue"]]]]~)
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/', 12, 'one');
    until_logged('a: on_request_body id=\d+ size=3 eos=false');
    $c->write('two');
    until_logged('a: on_request_body id=\d+ size=6 eos=false');
    my @got = seen() =~ /one/ ? 'goes on' : 'held';
    go('a');
    push @got, has_seen(qr/onetwo\z/);
    $c->write('three!');
    rows(@got, $c->answer);
}
--- client_out
held
seen
200 got onetwothree!
--- guests_like eval: qr/on_request_body id=\d+ size=[1-9]/
--- guests eval: qr/size=3 eos=false\n.*size=6 eos=false\n.*size=6 eos=true\n/
--- no_error_log eval: $::bad



=== TEST 3: filters hold the whole body and rewrite it, in turn
--- http_config eval: $::modules
--- config eval
go_locations(['a', 'b']) . qq~location / {
    wasm_filter a '{$main::open,"request_body":[$main::pause,["if_end_of_stream",[["action","continue"],["set_body","request",0,0,"a "]]]]}';
    wasm_filter b '{"trace":true,"request_body":[$main::pause,["if_end_of_stream",[["set_body","request",100,0," b"]]]]}';
    proxy_pass http://up;
}~
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/', 9, 'first');
    $c->write('last');
    until_logged('b: on_request_body');
    go('b');
    rows($c->answer, framing());
}
--- client_out
200 got a firstlast b
length 13
--- no_error_log eval: $::bad



=== TEST 4: a filter pauses in the headers: the body stays with the client
--- http_config eval: $::modules
--- config eval
go_locations(['b']) . qq~location / {
    wasm_filter a '{"trace":true}';
    wasm_filter b '{"trace":true,"request_headers":[$main::pause]}';
    proxy_pass http://up;
}~
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/', 9, 'first');
    until_logged('b: on_request_headers');
    go('b');
    my $seen = has_seen(qr/first/);
    $c->write('last');
    rows($seen, $c->answer);
}
--- client_out
seen
200 got firstlast
--- guests_like eval: qr/on_request/
--- guests eval
qr/\Aa: on_request_headers.*
b: on_request_headers.*
a: on_request_body id=\d+ size=5 eos=false
b: on_request_body id=\d+ size=5 eos=false
a: on_request_body id=\d+ size=4 eos=true
b: on_request_body id=\d+ size=4 eos=true
\z/
--- no_error_log eval: $::bad



=== TEST 5: a local response from a body callback; the upstream's connection is closed
--- http_config eval: $::modules
--- config eval
main::location('/first', qq~"request_body":[["local_response",403,[["x-a","b"]],"no"]]~)
. main::location('/last', qq~"request_body":[["if_end_of_stream",[["local_response",403,[],"no"]]]]~)
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    # Before the upstream has got any of it.
    my $c = main::sending('/first', 9, 'first');
    push @got, $c->answer;
    # With all of it there, the connection is kept.
    $c = main::sending('/last', 9, 'firstlast');
    push @got, $c->answer;
    $c->write(post_head('/last', 9) . 'firstlast');
    push @got, $c->answer;
    # Behind a piece that has gone on.
    for my $chunked (0, 1) {
        $c = main::sending('/last', $chunked ? undef : 9, $chunked ? piece('first') : 'first');
        push @got, has_seen(qr/first(?:\r\n)?\z/);
        $c->write($chunked ? piece('last') . piece('') : 'last');
        push @got, $c->answer, has_seen(qr/first(?:\r\n)?\(end\)\z/);
    }
    rows(@got);
}
--- client_out
403 no
403 no
403 no
seen
403 no
seen
seen
403 no
seen
--- contexts: 5
--- no_error_log eval: $::bad



=== TEST 6: more is held than wasm_buffer_size: 413
--- http_config eval: $::modules
--- config eval
main::location('/', qq~"request_body":[$main::pause]~, 'wasm_buffer_size 1k;')
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/', 3000, 'x' x 500);
    until_logged('size=500');
    $c->write('x' x 1000);
    rows(main::status($c), seen() eq '' ? 'not begun' : 'begun');
}
--- client_out
413
not begun
--- contexts: 1
--- error_log: holds back 1500 bytes of the request body, more than wasm_buffer_size (1024 bytes)
--- no_error_log eval: $::worse



=== TEST 7: a pause that takes too long: 504. A filter that waits for more of the body has no time limit
--- http_config eval: $::modules
--- config eval
main::location('/', qq~"request_body":[$main::pause,["if_path","/more",[["if_end_of_stream",[["action","continue"]]]]]]~, 'wasm_pause_timeout 300ms;')
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/', 9, 'firstlast');
    my @got = main::status($c);
    $c = main::sending('/more', 9, 'first');
    push @got, $c->is_silent(0.8) ? 'silent' : 'not silent';
    $c->write('last');
    rows(@got, $c->answer);
}
--- client_out
504
silent
200 got firstlast
--- contexts: 2
--- error_log: a: paused the request body for longer than wasm_pause_timeout (300 ms)
--- no_error_log eval: $::worse



=== TEST 8: nginx's own limits: client_body_timeout, client_max_body_size, a wrong body
--- http_config eval: $::modules
--- config eval
main::location('/time', '"request_body":[]', 'client_body_timeout 300ms;')
. main::location('/size', '"request_body":[]', 'client_max_body_size 6;')
. main::location('/bad', '"request_body":[]')
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/time', 9, 'first');
    has_seen(qr/first/);
    my @got = ($c->rest =~ /^HTTP\S+ (\d+)/ ? $1 : 'closed', has_seen(qr/first\(end\)\z/));
    $c = main::sending('/size', 9, 'firstlast');
    push @got, main::status($c);
    $c = main::sending('/size', undef, piece('first'));
    push @got, has_seen(qr/chunked\r\n\r\n5\r\nfirst/);
    $c->write(piece('last'));
    push @got, main::status($c);
    $c = main::sending('/bad', undef, piece('first') . "zz\r\n");
    rows(@got, main::status($c));
}
--- client_out
closed
seen
413
seen
413
400
--- contexts: 4
--- no_error_log eval: $::worse



=== TEST 9: clients leave: while a body comes, while one is held
--- http_config eval: $::modules
--- config eval
main::location('/comes', '"request_body":[]') . main::location('/held', qq~"request_body":[$main::pause]~)
. 'location /status { stub_status; }'
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $path ('/comes', '/held') {
        for my $how ('reset', 'close') {
            my $c = main::sending($path, 9, 'first');
            until_logged('size=5 eos=false', 1 + @got / 2);
            push @got, $path eq '/comes' ? has_seen(qr/first\z/) : seen() =~ /held/ ? 'begun' : 'not begun';
            $c->$how;
            push @got, has_seen(qr/\(end\)\z/);
        }
    }
    rows(@got, writing());
}
--- client_out
seen
seen
seen
seen
not begun
seen
not begun
seen
1
--- contexts: 4
--- no_error_log eval: $::worse



=== TEST 10: Expect: 100-continue, and an upstream that answers early
--- http_config eval: $::modules
--- config eval
main::location('/', '"request_body":[]')
--- upstream eval: recorder(answer => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
--- client eval
sub {
    my $c = connection();
    $c->write(post_head('/', 9, 'Expect: 100-continue'));
    my ($head) = $c->message;
    my @got = $head =~ /^HTTP\S+ (100)/;
    # The upstream does not wait for the whole body, and the client is told before it has sent it.
    $c->write('first');
    push @got, $c->answer;
    $c = main::sending('/', 9, 'first');
    rows(@got, $c->answer);
}
--- client_out
100
200 early
200 early
--- contexts: 2
--- no_error_log eval: $::worse



=== TEST 11: a filter fails in a body callback; one closes the stream
--- http_config eval
$::modules . 'wasm_module o $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off on_failure=open;'
--- config eval
main::location('/closed', '"request_body":[["if_end_of_stream",[["abort"]]]]')
. main::location('/open', '"request_body":[["if_end_of_stream",[["abort"]]]]') =~ s/filter a/filter o/r
. main::location('/close', '"request_body":[["if_end_of_stream",[["close","request"]]]]')
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $path ('/closed', '/open', '/close') {
        my $c = main::sending($path, 9, 'first');
        push @got, has_seen(qr/\Q$path\E .*first\z/s);
        $c->write('last');
        push @got, $c->answer =~ /^(\d+(?: got.*)?)/ ? $1 : 'closed';
    }
    rows(@got, has_seen(qr/\(end\)\z/));
}
--- client_out
seen
503
seen
200 got firstlast
seen
closed
seen
--- no_error_log eval: $::worse



=== TEST 12: an answer to a call lets the body go on, or ends the request
--- http_config eval
$::modules . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 called; } } upstream called { server 127.0.0.1:$TEST_NGINX_PORT_1; }'
--- config eval
my $call = '["http_call","c","called",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],1000],["action","pause"]';
main::location('/go', qq~"request_body":[$call],"http_call_response":[["continue","request"]]~)
. main::location('/no', qq~"request_body":[$call],"http_call_response":[["local_response",401,[],"no"]]~)
. main::location('/gone', qq~"request_headers":[$call,["action","continue"]],"http_call_response":[["local_response",401,[],"no"]]~)
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $path ('/go', '/no', '/gone') {
        my $c = main::sending($path, 9, 'first');
        push @got, has_seen(qr/first\z/) if $path eq '/go';
        $c->write('last') if $path ne '/gone';
        push @got, $c->answer;
    }
    rows(@got);
}
--- client_out
seen
200 got firstlast
401 no
401 no
--- contexts: 3
--- no_error_log eval: $::worse



=== TEST 13: a request goes to another location by an error page, or by a filter's choice
--- http_config eval: $::modules
--- config eval
main::location('/gone', '"request_body":[]', 'error_page 502 = /page; proxy_next_upstream off;') =~ s/http:\/\/up/http:\/\/127.0.0.1:\$TEST_NGINX_PORT_2/r
. main::location('/from', '"request_headers":[["set_header","request",":path","/to"],["call_foreign_function","clear_route_cache","","none"]]')
. main::location('/to', '"request_body":[["set_body","request",0,1,"T"]]')
. 'location /page { return 200 page; }'
--- upstream eval: recorder()
--- client eval
sub {
    my $c = main::sending('/gone', 9, 'first');
    my @got = $c->answer;
    $c = main::sending('/from', 9, 'first');
    push @got, has_seen(qr/Tirst\z/);
    $c->write('last');
    rows(@got, $c->answer);
}
--- client_out
200 page
seen
200 got TirstTast
--- no_error_log eval: $::worse



=== TEST 14: the same where nginx collects what the filters have passed
--- http_config eval: $::modules
--- config eval
"wasm_request_buffering off; proxy_request_buffering on;\n" . go_locations(['a'])
. main::location('/reply', qq~"request_body":[["if_end_of_stream",[["local_response",403,[],"no"]]]]~)
. main::location('/early', qq~"request_body":[["local_response",403,[],"no"]]~)
. main::location('/pause', qq~"request_body":[["if_end_of_stream",[$main::pause]]]~, 'client_body_timeout 300ms;')
. main::location('/time', qq~"request_body":[$main::pause]~, 'wasm_pause_timeout 200ms;')
. main::location('/over', qq~"request_body":[$main::pause]~, 'wasm_buffer_size 1k;')
. main::location('/fails', qq~"request_body":[["if_end_of_stream",[["abort"]]]]~)
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    my $c = main::sending('/reply', 9, 'first');
    until_logged('size=5 eos=false');
    $c->write('last');
    push @got, $c->answer;
    $c = main::sending('/early', undef, piece('first'));
    push @got, $c->answer;
    $c = main::sending('/pause', 9, 'first');
    until_logged('size=5 eos=false', 2);
    $c->write('last');
    until_logged('eos=true', 2);
    push @got, $c->is_silent(0.7) ? 'silent' : 'not silent', seen() eq '' ? 'held' : 'goes on';
    go('a');
    push @got, $c->answer;
    $c->write("GET /go/a HTTP/1.1\r\nHost: a\r\n\r\n");
    push @got, $c->answer;
    push @got, main::status(main::sending('/time', 9, 'firstlast'));
    push @got, main::status(main::sending('/over', 3000, 'x' x 2000));
    push @got, main::status(main::sending('/fails', 9, 'firstlast'));
    rows(@got);
}
--- client_out
403 no
403 no
silent
held
200 got firstlast
200 go
504
413
503
--- no_error_log eval: $::worse
