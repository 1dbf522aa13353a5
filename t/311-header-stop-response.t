# A header that waits for its filter while that sees the response's body (Envoy's StopIteration), and pieces
# that a body callback drops or does not see again.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;
use HeaderStop qw(:DEFAULT response_locations replies responses $length $chunked);

log_level('info');
no_long_string();
no_root_location();

our $until_end = qq~"response_headers":[$pause],"response_body":[$pause,["if_end_of_stream",[["action","continue"],["set_header","response","x-seen","yes"]]]]~;

run_tests();

__DATA__

=== TEST 1: a filter sees the whole body, then sets a header, and both go on
--- http_config eval: $::modules
--- config eval: main::response_locations("wasm_filter a '{$main::until_end}';")
--- upstream eval: main::replies($main::length, 'first', \0.2, 'last')
--- client eval: sub { main::responses('x-seen', 'content-length') }
--- client_out
buffered: 200 firstlast yes 9
unbuffered: 200 firstlast yes 9
--- no_error_log eval: $::bad



=== TEST 2: the same of a body in chunks
--- http_config eval: $::modules
--- config eval: main::response_locations("wasm_filter a '{$main::until_end}';")
--- upstream eval: main::replies($main::chunked, "5\r\nfirst\r\n", \0.2, "4\r\nlast\r\n0\r\n\r\n")
--- client eval: sub { main::responses('x-seen', 'transfer-encoding') }
--- client_out
buffered: 200 firstlast yes chunked
unbuffered: 200 firstlast yes chunked
--- no_error_log eval: $::bad



=== TEST 3: a filter built with Higress' SDK
--- http_config eval: $::modules . $::router
--- config eval: main::response_locations('wasm_filter router;')
--- upstream eval: main::replies($main::length, 'first', \0.2, 'last')
--- client eval: sub { main::responses('x-bytes', 'content-length') }
--- client_out
buffered: 200 firstlast 9 9
unbuffered: 200 firstlast 9 9
--- no_error_log eval: $::bad



=== TEST 4: the body is replaced while the header waits; what comes when at the other filters
--- http_config eval: $::modules
--- config eval
main::response_locations(qq~wasm_filter c '{"trace":true,"response_headers":[["set_header","response","x-c","1"]],"response_body":[["set_body","response",0,0,"c "]]}';
    wasm_filter a '{"trace":true,"response_headers":[$main::pause],"response_body":[$main::pause,["if_end_of_stream",[["action","continue"],["set_body","response",0,100,"new"]]]]}';
    wasm_filter b '{"trace":true}';~)
--- upstream eval: main::replies($main::length, 'firstlast')
--- client eval: sub { main::responses('x-c', 'content-length', 'etag') }
--- client_out
buffered: 200 c new 1 5 W/"e"
unbuffered: 200 c new 1 5 W/"e"
--- guests_like eval: qr/on_response/
--- guests eval: qr/\A(?:b: on_response_headers .*\na: on_response_headers .*\n(?:[ab]: on_response_body .*\n)+a: on_response_body .* eos=true\nc: on_response_headers .*\n(?:c: on_response_body .*\n)+){2}\z/
--- no_error_log eval: $::bad



=== TEST 5: the first piece that is let go takes the header with it
--- http_config eval: $::modules
--- config eval: main::response_locations(qq~wasm_filter a '{"response_headers":[$main::pause],"response_body":[["set_header","response","x-seen","first"]]}';~)
--- upstream eval: main::replies($main::chunked, "5\r\nfirst\r\n", \0.2, "4\r\nlast\r\n0\r\n\r\n")
--- client eval: sub { main::responses('x-seen') }
--- client_out
buffered: 200 firstlast first
unbuffered: 200 firstlast first
--- no_error_log eval: $::bad



=== TEST 6: several filters, each of which waits for the body
--- http_config eval: $::modules
--- config eval
my $filter = sub { qq~wasm_filter a '{"response_headers":[$main::pause],"response_body":[$main::pause,["if_end_of_stream",[["action","continue"],["add_header","response","x-seen","$_[0]"],["set_body","response",0,0,"$_[0]"]]]]}';~ };
main::response_locations(CORE::join '', map { $filter->($_) } 1 .. 3)
--- upstream eval: main::replies($main::length, 'first', \0.1, 'last')
--- client eval: sub { main::responses('x-seen', 'content-length') }
--- client_out
buffered: 200 123firstlast 3 12
unbuffered: 200 123firstlast 3 12
--- no_error_log eval: $::bad



=== TEST 7: without a body, or when it is asked to, the header goes on by proxy_continue_stream
--- http_config eval: $::modules
--- config eval
main::response_locations(qq~wasm_filter a '{"trace":true,"response_headers":[$main::pause],"response_body":[$main::pause]}';~)
    . qq~location /none { wasm_filter a '{"trace":true,"response_headers":[$main::pause],"response_body":[["log","info","seen"]]}'; return 200 ""; }\n~ . go_locations(['a'])
--- upstream eval: main::replies($main::length, 'firstlast')
--- client eval
sub {
    my @rows;
    for my $path (qw(/buffered /unbuffered)) {
        my $c = connection();
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_for(sub { log_text() =~ /on_response_body id=\d+ size=9 eos=true[^\n]*GET $path / });
        go('a');
        push @rows, $c->answer;
        $c->write("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
        until_logged('on_response_headers [^\n]*GET /none', scalar(@rows) / 2 + 0.5);
        go('a');
        push @rows, $c->answer;
    }
    rows(@rows);
}
--- client_out
200 firstlast
200 
200 firstlast
200 
--- no_error_log eval: $::bad



=== TEST 8: a local response of the body callback, while the header waits; one that holds too much
--- http_config eval: $::modules
--- config eval
main::response_locations(qq~wasm_filter a '{"response_headers":[$main::pause],"response_body":[$main::pause,["if_end_of_stream",[["local_response",403,[],"refused"]]]]}';~)
    . "location /big { wasm_buffer_size 4; proxy_buffering off; wasm_filter a '{$main::until_end}'; proxy_pass http://up; }"
--- upstream eval: main::replies($main::length, 'first', \0.1, 'last')
--- client eval
sub {
    my ($status) = ask("GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ m{^HTTP/1.1 (\d+)};
    main::responses() . "$status\n";
}
--- client_out
buffered: 403 refused
unbuffered: 403 refused
502
--- error_log: a: holds back
--- no_error_log eval: $::worse



=== TEST 9: 3 drops a piece, of any guest
--- http_config eval: $::modules
--- config eval: main::response_locations(qq~wasm_filter b '{"response_body":[["action","3"],["if_end_of_stream",[["action","continue"],["set_body","response",0,100,"end"]]]]}';~)
--- upstream eval: main::replies($main::chunked, "5\r\nfirst\r\n", \0.2, "4\r\nlast\r\n0\r\n\r\n")
--- client eval: sub { main::responses() }
--- client_out
buffered: 200 end
unbuffered: 200 end
--- no_error_log eval: $::bad



=== TEST 10: 3 with the end holds the end alone, until it goes on
--- http_config eval: $::modules
--- config eval: main::response_locations(qq~wasm_filter b '{"trace":true,"response_body":[["if_end_of_stream",[["action","3"]]]]}';~) . go_locations(['b'])
--- upstream eval: main::replies($main::length, 'firstlast')
--- client eval
sub {
    my @rows;
    for my $path (qw(/buffered /unbuffered)) {
        my $c = connection();
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        wait_for(sub { log_text() =~ /on_response_body id=\d+ size=\d eos=true[^\n]*GET $path / });
        go('b');
        my $text = $c->rest;
        push @rows, $text =~ /first/ ? 'piece' : 'no piece', $text =~ m{^HTTP/1.1 (\d+)};
    }
    rows(@rows[0, 1, 3]);
}
--- client_out
no piece
200
200
--- no_error_log eval: $::bad



=== TEST 11: 2 holds a piece that is not seen again, and that goes on before the next
--- http_config eval: $::modules
--- config eval: main::response_locations(qq~wasm_filter b '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","2"],["if_end_of_stream",[["action","continue"]]]]}';~)
--- upstream eval: main::replies($main::chunked, "5\r\nfirst\r\n", \0.2, "4\r\nlast\r\n0\r\n\r\n")
--- client eval: sub { main::responses() }
--- client_out
buffered: 200 firstlast
unbuffered: 200 firstlast
--- guests_like eval: qr/on_response_body/
--- guests eval: qr/size=5 eos=false\n.*size=[04] eos=(?:true|false)\n/
--- no_error_log eval: $::bad



=== TEST 12: trailers: a filter that waits for the body gets no end with it, but its trailer callback; that lets all go
--- http_config eval
$::modules . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; http2 on; default_type application/grpc; location / { add_trailer Grpc-Status 0; return 200 "grpc body"; } }
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on;' . qq~
location / { wasm_filter c '{"trace":true,"response_trailers":[["add_header","response_trailers","x-c","1"]]}';
    wasm_filter a '{"trace":true,"response_headers":[$main::pause],"response_body":[$main::pause],"response_trailers":[["set_header","response","x-seen","yes"]]}';
    wasm_filter b '{"trace":true}';
    grpc_pass grpc://127.0.0.1:\$TEST_NGINX_PORT_1; } }~
--- config
--- client eval
sub {
    my $out = output_of('nghttp', '-v', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/");
    $out =~ s/\e\[[0-9;]*m//g;
    my ($bytes, @lines) = 0;
    for (split /\n/, $out) {
        push @lines, ($bytes ? 'trailer ' : 'header ') . $1 if /recv \(stream_id=\d+(?:, sensitive)?\) ((?:x-|grpc-status).*)/;
        $bytes += $1 if /recv DATA frame <length=(\d+)/;
    }
    rows(@lines, "$bytes bytes");
}
--- client_out
header x-seen: yes
trailer grpc-status: 0
trailer x-c: 1
9 bytes
--- guests_like eval: qr/on_response/
--- guests eval: qr/\Ab: on_response_headers .*\na: on_response_headers .*\n(?:[ab]: on_response_body .* eos=false\n)+b: on_response_trailers .*\na: on_response_trailers .*\nc: on_response_headers .*\nc: on_response_body .* eos=false\nc: on_response_trailers .*\n\z/
--- no_error_log eval: $::bad
