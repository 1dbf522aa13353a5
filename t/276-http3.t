# HTTP/3: headers and pseudo-headers, bodies both ways, pauses, local responses, resets, traps, timeouts, many
# streams, trailers.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use H3;

log_level('info');
no_long_string();
no_root_location();
worker_connections(512);

our $alive = qr/\[alert\]|\[emerg\]/;
our $bad = qr/$alive|\[crit\]|panicked/;
our ($yes, $no) = (JSON::PP::true(), JSON::PP::false());
our $module = module_lines('a') . <<'_EOC_';
wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
wasm_module headers $TEST_NGINX_FILTERS/headers.wasm;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "[$request_method $request_uri host=$http_host a=$http_x_a]"; }
    location /big { alias html/big; }
}
_EOC_
our $big = CORE::join '', map { sprintf "%07x line\n", $_ * 7919 } 1 .. 40_000;

# An upstream that answers with the body that it got.
our $echo = sub {
    my $c = shift;
    while (1) {
        my ($head, $body) = $c->message;
        last if $head eq '';
        $c->write('HTTP/1.1 200 OK' . "\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    }
};

run_tests();

__DATA__

=== TEST 1: the request's headers as a filter sees them: the authority as the client wrote it
--- http_config eval
$::module . h3_server(q~location / { wasm_filter a '{"trace":true,"request_headers":[["log_headers","request"],["get_property","request.protocol"],["get_property","request.host"]]}'; return 200 ok; }~)
--- config
--- user_files eval: tls_files()
--- client eval
sub { my $a = h3()->get('/p/%7Eq?x=%20y', { ':authority' => 'Shop.EXAMPLE:8443', 'x-a' => 'Value', 'user-agent' => 'agent' }); rows("$a->{status} $a->{body} $a->{ended}") }
--- client_out
200 ok 1
--- contexts: 1
--- guests_like eval: qr/request /
--- guests
a: request has 6 pairs
a: request :authority=Shop.EXAMPLE:8443
a: request :path=/p/%7Eq?x=%20y
a: request :method=GET
a: request :scheme=https
a: request user-agent=agent
a: request x-a=Value
--- no_error_log eval: $::bad



=== TEST 2: what a filter changes of the request reaches the upstream, of the response the client
--- http_config eval
$::module . h3_server(q~
location / {
    wasm_filter a '{"trace":true,"request_headers":[["set_header","request",":authority","Other.example:99"],["set_header","request",":path","/new"],["set_header","request","x-a","f"]],"response_headers":[["add_header","response","X-Out","1"],["set_header","response",":status","201"]]}';
    proxy_set_header Host $http_host;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}~)
--- config
--- user_files eval: tls_files()
--- client eval
sub { my $a = h3()->get('/old'); rows("$a->{status} $a->{body} $a->{headers}{'x-out'}") }
--- client_out
201 [GET /new host=Other.example:99 a=f] 1
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 3: bodies both ways, small and large, through filters that pass, change and hold them
--- http_config eval
$::module . h3_server(q~
client_max_body_size 1m; client_body_buffer_size 16k;
location /pass { wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location /upper { wasm_filter upper '{"direction":"both"}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location /hold { wasm_filter a '{"trace":true,"request_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]],"response_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location /file { wasm_filter upper; alias html/big; }~)
--- config
--- user_files eval: tls_files(['big', $::big])
--- upstream eval: $::echo
--- client eval
sub {
    require Digest::SHA;
    my $h3 = h3();
    my @out;
    for my $body ('x', 'body', $::big) {
        for my $path (qw(/pass /upper /hold)) {
            my $a = $h3->get($path, {}, $body);
            my $want = $path eq '/upper' ? uc $body : $body;
            push @out, "$path $a->{status} " . ($a->{sha256} eq Digest::SHA::sha256_hex($want) ? 'right' : "wrong: $a->{length} bytes");
        }
    }
    my $a = $h3->get('/file');
    rows(@out, "/file $a->{status} " . ($a->{sha256} eq Digest::SHA::sha256_hex(uc $::big) ? 'right' : 'wrong'));
}
--- client_out eval
main::rows((map { ("/pass 200 right", "/upper 200 right", "/hold 200 right") } 1 .. 3), '/file 200 right')
--- contexts: 6
--- no_error_log eval: $::bad



=== TEST 4: pauses of request headers and body, and of response headers and body
--- http_config eval
$::module . h3_server(go_locations(['a']) . q~
location / {
    wasm_filter a '{"trace":true,"request_headers":[["action","pause"]],"request_body":[["action","pause"]],"response_headers":[["action","pause"]],"response_body":[["action","pause"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}~)
--- config eval: go_locations(['a'])
--- user_files eval: tls_files()
--- upstream eval: $::echo
--- client eval
sub {
    my $h3 = h3();
    $h3->begin('a', '/', {}, 'the body');
    for my $callback (qw(on_request_headers on_request_body on_response_headers on_response_body)) {
        until_logged("a: $callback id=\\d+ .*eos=" . ($callback =~ /body/ ? 'true' : 'false'));
        go('a');
    }
    my $a = $h3->say('wait', 'a');
    rows("$a->{status} $a->{body}");
}
--- client_out
200 the body
--- no_error_log eval: $::bad



=== TEST 5: local responses, while the client still sends, too
--- http_config eval
$::module . h3_server(q~
client_max_body_size 10m;
location /head { wasm_filter a '{"trace":true,"request_headers":[["local_response",403,[["x-local","1"]],"denied"],["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
location /body { wasm_filter a '{"trace":true,"request_body":[["local_response",413,[],"enough"],["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
location /response { wasm_filter a '{"trace":true,"response_headers":[["local_response",502,[],"not this"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config
--- user_files eval: tls_files()
--- client eval
sub {
    my $h3 = h3();
    my @out;
    $h3->say('request', 'a', 'POST', '/head', {}, $::no);
    $h3->say('data', 'a', 'x' x 1000, 20, $::no);
    push @out, $h3->say('head', 'a');
    $h3->say('request', 'b', 'POST', '/body', {}, $::no);
    $h3->say('data', 'b', 'x' x 1000, 20, $::yes);
    my $b = $h3->say('wait', 'b');
    my $c = $h3->get('/response');
    my $d = $h3->get('/head');
    rows(@out, map { "$_->{status} $_->{body}" } $b, $c, $d);
}
--- client_out
403
413 enough
502 not this
403 denied
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 6: a stream that the client resets ends its context; the others go on
--- http_config eval
$::module . h3_server(go_locations(['a']) . q~
location /pause { wasm_filter a '{"trace":true,"request_headers":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config eval: go_locations(['a'])
--- user_files eval: tls_files()
--- client eval
sub {
    my $h3 = h3();
    $h3->begin('stays', '/pause/stays');
    $h3->say('request', 'goes', 'POST', '/pause/goes', {}, $::no);
    $h3->say('data', 'goes', 'x', 100, $::no);
    until_logged('a: on_request_headers id=\d+ count', 2);
    $h3->say('reset', 'goes');
    until_logged('a: on_delete');
    go('a');
    my $a = $h3->say('wait', 'stays');
    rows("$a->{status} $a->{body}");
}
--- client_out eval
"200 [GET /pause/stays host=127.0.0.1:$ENV{TEST_NGINX_PORT_1} a=]\n"
--- no_error_log eval: $::bad



=== TEST 7: traps and pauses that take too long cost their own stream
--- http_config eval
$::module . h3_server(q~
wasm_pause_timeout 100ms;
location /trap { wasm_filter a '{"request_headers":[["panic","on purpose"]]}'; return 200 ok; }
location /trap-out { wasm_filter a '{"response_headers":[["panic","on purpose"]]}'; return 200 ok; }
location /pause { wasm_filter a '{"request_headers":[["action","pause"]]}'; return 200 ok; }
location /pause-out { wasm_filter a '{"response_headers":[["action","pause"]]}'; return 200 ok; }
location / { wasm_filter a '{}'; return 200 ok; }~)
--- config
--- user_files eval: tls_files()
--- client eval
sub { my $h3 = h3(); rows(map { my $a = $h3->get($_); "$_ $a->{status} $a->{ended}" } qw(/trap / /trap-out / /pause /pause-out /)) }
--- client_out
/trap 503 1
/ 200 1
/trap-out 503 1
/ 200 1
/pause 504 1
/pause-out 504 1
/ 200 1
--- error_log
on purpose
wasm_pause_timeout
--- no_error_log eval: $::alive



=== TEST 8: a failure behind the response's header resets the stream, and no other
--- http_config eval
$::module . h3_server(q~
location /cut { wasm_filter a '{"response_body":[["if_end_of_stream",[["close","response"]]]]}'; proxy_buffering off; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location / { return 200 ok; }~)
--- config
--- user_files eval: tls_files()
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
    wait_for(sub { log_text() =~ /h3 has its head/ || -e "$Test::Nginx::Util::HtmlDir/go" });
    $c->write('later');
}
--- client eval
sub {
    my $h3 = h3();
    $h3->begin('a', '/cut');
    my $status = $h3->say('head', 'a');
    open my $file, '>', "$Test::Nginx::Util::HtmlDir/go" or die "go: $!";
    my $a = $h3->say('wait', 'a');
    my $b = $h3->get('/');
    rows($status, $a->{ended} ? 'ended' : 'reset', "$b->{status} $b->{body}");
}
--- client_out
200
reset
200 ok
--- no_error_log eval: $::bad



=== TEST 9: many streams at once, paused and continued
--- http_config eval
$::module . h3_server(q~
location /pause { wasm_filter a '{"trace":true,"request_headers":[["action","pause"]],"response_body":[["set_body","response",0,0,"filtered "]],"response_headers":[["remove_header","response","content-length"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }~)
--- config eval: go_locations(['a'])
--- user_files eval: tls_files()
--- client eval
sub {
    my $h3 = h3();
    $h3->begin($_, "/pause/$_") for 1 .. 60;
    until_logged('a: on_request_headers id=\d+ count', 60);
    go('a');
    my @right = grep { my $a = $h3->say('wait', $_); $a->{status} == 200 && $a->{body} =~ m{^filtered \[GET /pause/$_ } } 1 .. 60;
    rows(scalar @right);
}
--- client_out
60
--- no_error_log eval: $::bad



=== TEST 10: response trailers pass the filter; request trailers are dropped
--- http_config eval
$::module . h3_server(q~
location / {
    wasm_filter a '{"trace":true,"response_trailers":[["log_headers","response_trailers"],["add_header","response_trailers","x-more","2"]]}';
    proxy_pass_trailers on;
    proxy_http_version 1.1;
    proxy_set_header Connection "te";
    proxy_set_header TE "trailers";
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}~)
--- config
--- user_files eval: tls_files()
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    $c->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n" . sprintf('%x', length $body) . "\r\n$body\r\n0\r\nx-sum: 1\r\n\r\n");
}
--- client eval
sub {
    my $h3 = h3();
    $h3->say('request', 'a', 'POST', '/', {}, $::no);
    $h3->say('data', 'a', 'body', 1, $::no);
    $h3->say('trailers', 'a', { 'x-in' => '1' });
    my $a = $h3->say('wait', 'a');
    rows("$a->{status} $a->{body}", map { "$_=$a->{trailers}{$_}" } sort keys %{$a->{trailers}});
}
--- client_out
200 body
x-more=2
x-sum=1
--- contexts: 1
--- no_error_log eval: $::bad
