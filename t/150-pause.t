# Pauses in every callback: several filters that each pause, trailers, subrequests, and what body
# callbacks get to see meanwhile, which follows Envoy.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $drop = '["remove_header","response","content-length"]';
our $pause = '["action","pause"]';

run_tests();

__DATA__

=== TEST 1: two filters pause the response headers: the body comes as far as the one that still does
As in Envoy: b is through, so it sees the body at once, and a when it has continued.
--- http_config eval: module_lines('a', 'b')
--- config eval
go_locations(['a', 'b']) . qq~
location = / {
    wasm_filter a '{"trace":true,"response_headers":[$main::drop,$main::pause],"response_body":[["log_body","response",0,-1]]}';
    wasm_filter b '{"trace":true,"response_headers":[$main::drop,$main::pause],"response_body":[["set_body","response",0,0,"b "]]}';
    return 200 body;
}~
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until_logged('b: on_response_headers');
    go('b');
    until_logged('a: on_response_headers');
    until_logged('b: on_response_body');
    my $silent = $c->is_silent(0.05) ? 'silent' : 'not silent';
    go('a');
    rows($silent, $c->answer);
}
--- client_out
silent
200 b body
--- guests_like eval: qr/on_response|body response/
--- guests eval
qr/\Ab: on_response_headers id=3 count=\d+ eos=false
(?:.: on_response_(?:headers|body) id=[45] .*\n)*a: on_response_headers id=3 count=\d+ eos=false
b: on_response_body id=3 size=4 eos=true
(?:.: on_response_(?:headers|body) id=[45] .*\n)*a: on_response_body id=3 size=6 eos=true
a: body response 0 4294967295 = b body
\z/
--- no_error_log eval: $::bad



=== TEST 2: two filters pause the request headers: the body comes as far as the one that still does
--- http_config eval: module_lines('a', 'b') . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 "$request_body"; } location /echo { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/; } }'
--- config eval
go_locations(['a', 'b']) . qq~
location = / {
    wasm_filter a '{"trace":true,"request_headers":[$main::pause],"request_body":[["set_body","request",0,0,"a "]]}';
    wasm_filter b '{"trace":true,"request_headers":[$main::pause],"request_body":[["log_body","request",0,-1]]}';
    proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
}~
--- client eval
sub {
    my $out = '';
    for my $late (0, 1) {
        my $c = connection();
        $c->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n" . ($late ? 'the ' : 'the body'));
        until_logged('a: on_request_headers id=\d+ count=\d+ eos=false', 1 + $late);
        go('a');
        until_logged('b: on_request_headers id=\d+ count=\d+ eos=false', 1 + $late);
        $c->write('body') if $late;
        until_logged('a: on_request_body', 1 + $late);
        my $silent = $c->is_silent(0.05) ? 'silent' : 'not silent';
        go('b');
        $out .= "$silent " . $c->answer . "\n";
    }
    return $out;
}
--- client_out
silent 200 
silent 200 
--- guests_like eval: qr/eos=false|on_request_body|body request/
--- guests eval
my $one = qr/a: on_request_headers id=\d+ count=\d+ eos=false
b: on_request_headers id=\d+ count=\d+ eos=false
a: on_request_body id=\d+ size=8 eos=true
b: on_request_body id=\d+ size=10 eos=true
b: body request 0 4294967295 = a the body
/;
qr/\A(?:.: on_response.*\n|$one)*\z/
--- no_error_log eval: $::bad



=== TEST 3: a body continues before it has come to the filter that pauses in the headers
The body comes only when the pauses are over.
--- http_config eval: module_lines('a', 'b')
--- config eval
go_locations(['a', 'b']) . qq~
location = / {
    wasm_filter a '{"trace":true,"request_body":[["log_body","request",0,-1]]}';
    wasm_filter b '{"trace":true,"request_headers":[$main::pause],"request_body":[["log_body","request",0,-1],["local_response",200,[],"from b"]]}';
    return 200;
}~
--- client eval
sub {
    my $c = connection();
    $c->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    until_logged('b: on_request_headers id=\d+ count=\d+ eos=false');
    go('b');
    my $silent = $c->is_silent(0.05) ? 'silent' : 'not silent';
    $c->write('the body');
    rows($silent, $c->answer);
}
--- client_out
silent
200 from b
--- guests_like eval: qr/on_request_body|body request/
--- guests
a: on_request_body id=3 size=8 eos=true
a: body request 0 4294967295 = the body
b: on_request_body id=3 size=8 eos=true
b: body request 0 4294967295 = the body
--- no_error_log eval: $::bad



=== TEST 4: three filters pause in all callbacks, and are continued one after the other
--- http_config eval: module_lines('a', 'b', 'c') . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { add_header X-Got "$http_x_f"; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2; } } server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { return 200 "$request_method upstream"; } }'
--- config eval
go_locations(['a', 'b', 'c']) . 'location = / {' . (CORE::join '', map { qq~
    wasm_filter $_ '{"trace":true,"request_headers":[["add_header","request","x-f","$_"],$main::pause],"request_body":[["set_body","request",-1,0,"$_"],$main::pause],"response_headers":[$main::drop,["add_header","response","x-f","$_"],$main::pause],"response_body":[["if_end_of_stream",[["set_body","response",0,0,"$_"]]],$main::pause]}';
~ } qw(a b c)) . 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }'
--- client eval
sub {
    my $c = connection();
    $c->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    # Ids of this request's contexts: other requests' log nothing, for they do not trace.
    for my $step ([request_headers => 'a'], [request_headers => 'b'], [request_headers => 'c'], [request_body => 'a'],
        [request_body => 'b'], [request_body => 'c'], [response_headers => 'c'], [response_headers => 'b'],
        [response_headers => 'a'], [response_body => 'c'], [response_body => 'b'], [response_body => 'a']) {
        my ($callback, $name) = @$step;
        until_logged("$name: on_$callback id=.*" . ($callback =~ /body/ ? 'eos=true' : ''));
        go($name);
    }
    my ($head, $body) = $c->message;
    rows(CORE::join(' ', $head =~ /^x-f: (.)\r/mg), $head =~ /^x-got: (.*)\r/mi, $body);
}
--- client_out
c b a
a, b, c
abcPOST upstream
--- no_error_log eval: $::bad



=== TEST 5: one direction is not continued by the other's
--- http_config eval: module_lines('a')
--- config eval
go_locations(['a'], request => '["continue","request"]', response => '["continue","response"]') . qq~
location = / {
    wasm_filter a '{"trace":true,"request_headers":[$main::pause],"response_headers":[$main::drop,$main::pause],"response_body":[$main::pause]}';
    return 200 body;
}~
--- client eval
sub {
    my $c = connection();
    my @seen;
    $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until_logged('on_request_headers id=\d+ count=\d+ eos=true');
    go('/response/a');
    push @seen, $c->is_silent(0.05) ? 'request paused' : 'not silent';
    go('/request/a');
    until_logged('on_response_headers');
    go('/request/a');
    push @seen, $c->is_silent(0.05) ? 'response paused' : 'not silent';
    go('/response/a');
    until_logged('on_response_body');
    go('/request/a');
    push @seen, $c->is_silent(0.05) ? 'body paused' : 'not silent';
    go('/response/a');
    rows(@seen, $c->answer);
}
--- client_out
request paused
response paused
body paused
200 body
--- no_error_log eval: $::bad



=== TEST 6: the headers of a paused response are changed, and its body, from another request
--- http_config eval: module_lines('a')
--- config eval
go_locations(['a'], head => '["set_header","response",":status","203"],["set_header","response","x-late","yes"],["continue","response"]',
    body => '["set_body","response",0,-1,"another body"],["continue","response"]') . qq~
location = /head { wasm_filter a '{"trace":true,"response_headers":[$main::drop,$main::pause]}'; return 200 body; }
location = /body { wasm_filter a '{"trace":true,"response_headers":[$main::drop],"response_body":[$main::pause]}'; return 200 body; }
~
--- client eval
sub {
    map_rows('head/a' => '/head', 'body/a' => '/body');
    sub map_rows {
        my @out;
        while (my ($go, $path) = splice @_, 0, 2) {
            my $c = connection();
            $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
            until_logged($path eq '/head' ? 'on_response_headers id=\d+' : 'on_response_body id=\d+');
            $c->is_silent(0.05) or return "not paused\n";
            go("/$go");
            my ($head, $body) = $c->message;
            push @out, CORE::join ' ', $head =~ m{^HTTP/1.1 (\d+)}, $head =~ /^x-late: (\w+)/m, $body;
        }
        return rows(@out);
    }
}
--- client_out
203 yes body
200 another body
--- no_error_log eval: $::bad



=== TEST 7: trailers of a gRPC upstream are held, changed from another request, and sent
--- http_config eval
module_lines('a', 'b') . q~
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; http2 on; location / { add_trailer Grpc-Status 0; add_trailer X-Up one; return 200 "grpc body"; } }
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on;
    location /one { wasm_filter a '{"trace":true,"response_trailers":[["action","pause"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /held { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_trailers":[["set_body","response",0,0,"held "],["action","pause"]]}'; grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /two {
        wasm_filter a '{"trace":true,"response_trailers":[["add_header","response_trailers","x-a","1"],["action","pause"]]}';
        wasm_filter b '{"trace":true,"response_trailers":[["add_header","response_trailers","x-b","1"],["action","pause"]]}';
        grpc_pass grpc://127.0.0.1:$TEST_NGINX_PORT_1; }
}
~
--- config eval: go_locations(['a', 'b'], late => '["set_header","response_trailers","x-up","late"],["continue","response"]')
--- client eval
sub {
    my $out = '';
    my %steps = ('/one' => ['/late/a'], '/held' => ['a'], '/two' => ['b', 'a']);
    for my $path ('/one', '/held', '/two') {
        my $before = logged('on_response_trailers');
        my $pid = open(my $from, '-|', 'timeout', $Wire::PATIENCE, 'nghttp', '-v', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$path") // die;
        for my $step (@{ $steps{$path} }) {
            until_logged('on_response_trailers', ++$before);
            go($step);
        }
        my $text = CORE::join '', <$from>;
        close $from;
        $text =~ s/\e\[[0-9;]*m//g;
        my ($bytes, @trailers) = 0;
        for (split /\n/, $text) {
            $bytes += $1 if /recv DATA frame <length=(\d+)/;
            push @trailers, $1 if $bytes && /recv \(stream_id=\d+(?:, sensitive)?\) (.*)/;
        }
        $out .= "$path $bytes bytes, " . CORE::join(', ', @trailers) . "\n";
    }
    return $out;
}
--- client_out
/one 9 bytes, grpc-status: 0, x-up: late
/held 14 bytes, grpc-status: 0, x-up: one
/two 9 bytes, grpc-status: 0, x-up: one, x-b: 1, x-a: 1
--- no_error_log eval: $::bad



=== TEST 8: trailers of an HTTP/1.1 upstream: seen, paused, changed and passed on
--- http_config eval: module_lines('a')
--- config eval
go_locations(['a']) . q~
location / {
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    location /seen { wasm_filter a '{"trace":true,"response_trailers":[["log_headers","response_trailers"],["set_header","response_trailers","x-sum","changed"],["remove_header","response_trailers","x-drop"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /paused { proxy_buffering off; wasm_filter a '{"trace":true,"response_trailers":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
}~
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, x-drop\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-Drop: 1\r\n\r\n");
}
--- client eval
sub {
    my $out = '';
    for my $path ('/plain', '/seen', '/paused') {
        my $c = connection();
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n");
        if ($path eq '/paused') {
            until_logged('on_response_trailers id=\d+ count=\d', 2);
            go('a');
        }
        my ($body) = $c->rest =~ /\r\n\r\n(.*)\z/s;
        $body =~ s/\r//g;
        $out .= "$path:\n$body";
    }
    return "${out}end\n";
}
--- client_out
/plain:
5
hello
0
X-Sum: 42
X-Drop: 1

/seen:
5
hello
0
X-Sum: changed

/paused:
5
hello
0
X-Sum: 42
X-Drop: 1

end
--- guests_like eval: qr/pairs|x-sum/
--- guests
a: response_trailers has 2 pairs
a: response_trailers x-sum=42
--- no_error_log eval: $::bad



=== TEST 9: while the trailers are paused: a local response where nothing is sent, else the end
--- http_config eval: module_lines('a')
--- config eval
go_locations(['a'], answer => '["local_response",418,[],"answer"]', close => '["close","response"]') . q~
location /status { stub_status; }
location / {
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    wasm_filter a '{"trace":true,"response_body":[["action","pause"]],"response_trailers":[["action","pause"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}~
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n");
}
--- client eval
sub {
    my @out;
    for my $do ('answer', 'close') {
        my $c = connection();
        $c->write("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n");
        until_logged('on_response_trailers id=\d+ count=\d', 1 + @out);
        go("/$do/a");
        push @out, $do eq 'answer' ? $c->answer : '[' . $c->rest . ']';
    }
    rows(@out, 'writing ' . writing());
}
--- client_out eval: qr/\A418 answer\n\[\]\nwriting 1\n/
--- no_error_log eval: $::bad



=== TEST 10: a trailer callback that pauses without a body callback before it, and keep-alive behind it
--- http_config eval: module_lines('a', 'b')
--- config eval
go_locations(['a', 'b']) . q~
location /status { stub_status; }
location / {
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    wasm_filter a '{"trace":true,"response_body":[["if_end_of_stream",[["log","info","end"]]],["action","pause"]],"response_trailers":[["log_body","response",0,-1],["action","pause"]]}';
    wasm_filter b '{"trace":true,"response_trailers":[["action","pause"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}~
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n");
    select undef, undef, undef, 0.1;
    $c->write("6\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n");
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    until_logged('b: on_response_trailers id=\d+ count=\d');
    my $a = logged('a: on_response_trailers id=\d+ count=\d');
    go('b');
    until_logged('a: on_response_trailers id=\d+ count=\d');
    go('a');
    my $head = $c->until(qr/\r\n\r\n/);
    my $body = $c->until(qr/0\r\nX-Sum: 42\r\n\r\n/);
    $body =~ s/\r\n/ /g;
    $c->write("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    rows($a, $body, $c->rest =~ /(Writing: \d)/);
}
--- client_out
0
b hello world 0 X-Sum: 42  
Writing: 1
--- guests_like eval: qr/body response|end/
--- guests
a: body response 0 4294967295 = hello world
--- no_error_log eval: $::bad



=== TEST 11: subrequests that pause in each callback: SSI, addition, auth_request, mirror
The filter of the main request pauses, too.
--- http_config eval: module_lines('a', 'b') . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 "upstream $request_uri"; } }'
--- config eval
my %pause = map { $_ => qq~"$_":[$main::drop,["action","pause"]]~ } qw(response_headers response_body);
$pause{request_headers} = '"request_headers":[["action","pause"]]';
go_locations(['a', 'b']) . 'location /status { stub_status; } ' . CORE::join '', map {
    my $main = qq~wasm_filter a '{"trace":true,$pause{$_}}';~;
    qq~
location /sub/$_/ { wasm_filter b '{"trace":true,$pause{$_}}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
location /text/$_/ { wasm_filter b '{"trace":true,$pause{$_}}'; return 200 "text"; }
location /ssi/$_ { $main ssi on; ssi_types *; alias html/$_.html; }
location /addition/$_ { $main add_after_body /sub/$_/added; addition_types *; return 200 "main "; }
location /auth/$_ { $main auth_request /sub/$_/auth; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/authorized; }
location /mirror/$_ { $main mirror /sub/$_/mirror; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/mirrored; }
~ } sort keys %pause
--- user_files eval
[map { ["$_.html", qq~[<!--#include virtual="/sub/$_/1" --> <!--#include virtual="/text/$_/2" -->]~] } qw(request_headers response_headers response_body)]
--- client eval
sub {
    my @out;
    for my $kind (qw(ssi addition auth mirror)) {
        for my $callback (qw(request_headers response_headers response_body)) {
            my $c = connection();
            $c->write("GET /$kind/$callback HTTP/1.1\r\nHost: a\r\n\r\n");
            until_logged("a: on_$callback id=.*/$kind/$callback HTTP") if $kind ne 'auth' || $callback eq 'request_headers';
            # Whatever waits goes on until all of the request has ended.
            my $ended = 1 + @out;
            my $last = time + 120;
            while (time < $last) {
                last if logged('a: on_delete id=') >= $ended;
                go($_) for 'a', 'b';
                select undef, undef, undef, 0.02;
            }
            push @out, "$kind $callback: " . $c->answer;
        }
    }
    rows(@out, 'writing ' . writing());
}
--- client_out
ssi request_headers: 200 [upstream /sub/request_headers/1 text]
ssi response_headers: 200 [upstream /sub/response_headers/1 text]
ssi response_body: 200 [upstream /sub/response_body/1 text]
addition request_headers: 200 main upstream /sub/request_headers/added
addition response_headers: 200 main upstream /sub/response_headers/added
addition response_body: 200 main upstream /sub/response_body/added
auth request_headers: 200 upstream /authorized
auth response_headers: 200 upstream /authorized
auth response_body: 200 upstream /authorized
mirror request_headers: 200 upstream /mirrored
mirror response_headers: 200 upstream /mirrored
mirror response_body: 200 upstream /mirrored
writing 1
--- no_error_log eval: $::bad



=== TEST 12: on_done is put off: on_log and on_delete come after proxy_done, without a request to read
--- http_config eval: module_lines('a')
--- config
location / { wasm_filter a '{"trace":true,"done":[["return_false"],["log_header","request",":path"]],"log":[["log_header","request",":path"],["log_headers","response"],["get_property","request.path"],["local_response",200,[],""],["continue","request"]]}'; return 200 ok; }
location /tick { wasm_filter a '{"request_headers":[["effective_context","root"],["set_tick",50]],"tick":[["effective_context",3],["done"],["effective_context","own"],["set_tick",0]]}'; return 200 tick; }
--- client eval
sub {
    my $first = connection();
    $first->write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $answer = $first->answer;
    until_logged('on_done');
    my $early = logged('on_log|on_delete');
    ask("GET /tick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    until_logged('on_delete');
    rows($answer, $early);
}
--- client_out
200 ok
0
--- guests_like eval: qr/id=3|request :path=/
--- guests eval
qr/\Aa: on_context_create id=3 .*\n(?:a: on_re.*\n)*a: on_done id=3\na: request :path=\/\n\z/
--- error_log eval
[map { qr/\[wasm\] a: $_/ } 'request :path: status 1', 'response has 0 pairs', 'property request.path: status 1', 'local_response 200: status 2', 'continue request: status 2', 'on_log id=3', 'on_delete id=3']
--- no_error_log eval: $::bad
