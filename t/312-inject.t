# Data that filters put into a response (proxy_inject_encoded_data_to_filter_chain and the foreign functions).

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;
use HeaderStop qw(:DEFAULT response_locations replies responses dechunked $length $chunked);

log_level('info');
no_long_string();
no_root_location();

our $empty = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
our $failed = "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n";

run_tests();

__DATA__

=== TEST 1: a filter that holds the header answers instead of the upstream: what that sends is dropped
--- http_config eval: $::modules
--- config eval: main::response_locations(qq~wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"],$main::pause,["inject","made ",0],["inject","up",1]],"response_body":[["set_body","response",0,0,"never"]]}';~)
--- upstream eval: main::replies($main::length, 'first', \0.2, 'last')
--- client eval: sub { main::responses('content-length') }
--- client_out
buffered: 200 made up none
unbuffered: 200 made up none
--- guests_like eval: qr/never/
--- guests
--- no_error_log eval: $::bad



=== TEST 2: a filter built with Higress' SDK answers for an upstream that fails, with a body and without
--- http_config eval: $::modules . $::router
--- config eval
main::response_locations('wasm_filter router;') . 'location /empty { wasm_filter router; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/; }'
--- upstream eval: main::replies($main::failed, 'first', \0.2, 'last')
--- client eval
sub {
    local $_ = main::responses('content-type');
    s/}\n/}/g;
    my $upstream = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_1}, ReuseAddr => 1) or die "$!";
    my $c = connection();
    $c->write("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    my $other = $upstream->accept;
    sysread $other, my $head, 10_000;
    syswrite $other, $main::empty;
    $_ . $c->answer;
}
--- client_out
buffered: 503 {"error":"no model is there"} application/json
unbuffered: 503 {"error":"no model is there"} application/json
503 {"error":"no model is there"}
--- no_error_log eval: $::bad



=== TEST 3: piece by piece, from other callbacks, before what the filter holds; the filters behind see it
--- http_config eval: $::modules
--- config eval
main::response_locations(qq~wasm_filter c '{"response_body":[["set_body","response",0,0,"+"]]}';
    wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"],["action","3"]],"response_body":[$main::pause]}';~)
    . go_locations(['a'], one => '["inject","one ",0]', two => '["inject","two ",0]', end => '["inject","end",1]')
--- upstream eval: main::replies($main::length, 'firstlast')
--- client eval
sub {
    my @rows;
    for my $path (qw(/buffered /unbuffered)) {
        for my $end (0, 1) {
            my $c = connection();
            $c->write("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            wait_for(sub { 2 <= (() = log_text() =~ /a: on_response_headers [^\n]*GET $path /g) + !$end });
            push @rows, $c->is_silent(0.2) ? 'silent' : 'not silent';
            go('/one/a');
            my $text = $c->until(qr/one /);
            if (!$end) {
                go('a');
            } else {
                go('/two/a');
                $text .= $c->until(qr/two /);
                go('/end/a');
            }
            my ($head, $body) = split /\r\n\r\n/, $text . $c->rest, 2;
            push @rows, main::dechunked($body) =~ s/\++/+/gr =~ s/\+\z//r;
        }
    }
    rows(@rows);
}
--- client_out
silent
+one +firstlast
silent
+one +two +end
silent
+one +firstlast
silent
+one +two +end
--- no_error_log eval: $::bad



=== TEST 4: within a body callback: before the piece that goes on
--- http_config eval: $::modules
--- config eval: main::response_locations(qq~wasm_filter b '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["if_end_of_stream",[["inject","before ",0]]]]}';~)
--- upstream eval: main::replies($main::length, 'firstlast')
--- client eval: sub { CORE::join '', map { s/firstlastbefore (?=\n)|before firstlast/both/gr } main::responses() }
--- client_out
buffered: 200 both
unbuffered: 200 both
--- no_error_log eval: $::bad



=== TEST 5: where nothing can be put into a response: the request's callbacks, behind the end, a response without a body
--- http_config eval: $::modules
--- config eval
qq~location /request { wasm_filter b '{"request_headers":[["inject","x",0]]}'; return 200 "ok"; }
location /ended { wasm_filter b '{"response_headers":[["remove_header","response","content-length"],["inject","x",1],["inject","y",0]]}'; return 200 "ok"; }
location /none { wasm_filter b '{"response_headers":[["inject","x",1]]}'; return 204; }~
--- client eval
sub { rows(map { ask("GET /$_ HTTP/1.0\r\nHost: a\r\n\r\n") =~ m{\AHTTP/1.1 (\d+).*?\r\n\r\n(.*)\z}s; "$1 $2" } qw(request ended none)) }
--- client_out
200 ok
200 x
204 
--- guests
b: inject 0: status 2
b: inject 0: status 2
--- no_error_log eval: $::bad



=== TEST 6: more than wasm_buffer_size
--- http_config eval: $::modules
--- config eval: qq~location / { wasm_buffer_size 4; wasm_filter b '{"response_headers":[["inject","12345",0]]}'; return 200 "ok"; }~
--- client eval: sub { my ($status) = ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n") =~ m{^HTTP/1.1 (\d+)}; rows($status) }
--- client_out
502
--- error_log: b: made a response body of 5 bytes, more than wasm_buffer_size
--- no_error_log eval: $::worse
