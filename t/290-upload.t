# Request bodies that stream over HTTP/1.1: where nginx passes them on as they come, so do filters.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $worse = qr/\[(?:alert|crit|emerg)\]|panicked/;
our $modules = module_lines('a', 'b') . <<'_EOC_';
wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
proxy_http_version 1.1;
proxy_request_buffering off;
_EOC_

# Sends a body in two pieces, the second when the upstream has the first; what came of it.
sub two_pieces {
    my ($path, $chunked, $first, $last, $wait) = @_;
    my $c = connection();
    $c->write(post_head($path, $chunked ? undef : length "$first$last") . ($chunked ? piece($first) : $first));
    my $seen = has_seen($wait // qr/\r\n\r\n.*\Q$first\E/s);
    $c->write($chunked ? piece($last) . piece('') : $last);
    my $answer = $c->answer;
    # The connection is in order.
    $c->write("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n");
    return rows($seen, framing(), $answer, $c->answer);
}

run_tests();

__DATA__

=== TEST 1: a body of a given length reaches the upstream piece by piece
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location / { wasm_filter a '{"trace":true}'; proxy_pass http://up; }
--- upstream eval: recorder()
--- client eval: sub { main::two_pieces('/', 0, 'first', 'last') }
--- client_out
seen
length 9
200 got firstlast
200 ok
--- contexts: 1
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=2 size=5 eos=false
a: on_request_body id=2 size=4 eos=true
--- no_error_log eval: $::bad



=== TEST 2: so does one in chunks
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location / { wasm_filter a '{"trace":true}'; proxy_pass http://up; }
--- upstream eval: recorder()
--- client eval: sub { main::two_pieces('/', 1, 'first', 'last') }
--- client_out
seen
chunked
200 got firstlast
200 ok
--- contexts: 1
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=2 size=5 eos=false
a: on_request_body id=2 size=4 eos=true
--- no_error_log eval: $::bad



=== TEST 3: the upstream's name in a variable; a filter that changes bytes, not their number
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location / { wasm_filter upper '{"direction":"request"}'; set $up up; proxy_pass http://$up; }
--- upstream eval: recorder()
--- client eval: sub { main::two_pieces('/', 0, 'first', 'last', qr/FIRST/) }
--- client_out
seen
length 9
200 got FIRSTLAST
200 ok
--- no_error_log eval: $::bad



=== TEST 4: a filter that has removed content-length makes the body longer: in chunks
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location / {
    wasm_filter a '{"trace":true}';
    wasm_filter b '{"request_headers":[["remove_header","request","content-length"]],"request_body":[["set_body","request",0,0,"<"],["if_end_of_stream",[["set_body","request",100,0,">"]]]]}';
    proxy_pass http://up;
}
--- upstream eval: recorder()
--- client eval: sub { main::two_pieces('/', 0, 'first', 'last', qr/<first/) }
--- client_out
seen
chunked
200 got <first<last>
200 ok
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=2 size=5 eos=false
a: on_request_body id=2 size=4 eos=true
--- no_error_log eval: $::bad



=== TEST 5: it drops pieces, and a request behind the body is the next one
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location / {
    wasm_filter b '{"request_headers":[["remove_header","request","content-length"]],"request_body":[["if_end_of_stream",[["set_body","request",0,-1,"end"]]]]}';
    proxy_pass http://up;
}
--- upstream eval: recorder()
--- client eval
sub {
    my $c = connection();
    my $get = "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n";
    # The first piece with the head, and the next request with the last one.
    $c->write(post_head('/', 9) . 'first');
    my $seen = has_seen(qr/first/);
    $c->write("last$get");
    my @got = ($seen, framing(), $c->answer, $c->answer);
    # All at once.
    $c->write(post_head('/', 9) . "firstlast$get");
    push @got, $c->answer, $c->answer;
    # The head alone.
    $c->write(post_head('/', 9));
    $c->write("firstlast$get");
    rows(@got, $c->answer, $c->answer);
}
--- client_out
seen
chunked
200 got firstend
200 ok
200 got end
200 ok
200 got end
200 ok
--- no_error_log eval: $::bad



=== TEST 6: a filter changes the length of a body whose length is promised: nothing but the right number of bytes passes
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location /long { wasm_filter a '{"request_body":[["set_body","request",0,0,"<<<<<<<<"]]}'; proxy_pass http://up; }
location /short { wasm_filter a '{"request_body":[["if_end_of_stream",[["set_body","request",0,-1,""]]]]}'; proxy_pass http://up; }
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    my $c = connection();
    $c->write(post_head('/short', 9) . 'first');
    push @got, has_seen(qr/first/);
    $c->write('last');
    push @got, $c->answer =~ /(503)/, has_seen(qr/first\(end\)\z/);
    $c = connection();
    $c->write(post_head('/long', 9) . 'first');
    # The upstream gets nothing of it.
    push @got, $c->answer =~ /(503)/, seen() =~ /long/ ? 'begun' : 'not begun';
    rows(@got, scalar(() = main::log_text() =~ /a filter changed the length of a request body/g));
}
--- client_out
seen
503
seen
503
not begun
2
--- error_log: must remove content-length in on_request_headers
--- no_error_log eval: $::worse



=== TEST 7: a body that is complete before the upstream's request is made gets its new length
--- http_config eval: $::modules
--- config
location / { wasm_filter a '{"request_body":[["if_end_of_stream",[["set_body","request",0,0,"more "]]]]}'; proxy_pass http://up; }
location /held { wasm_filter a '{"trace":true,"request_body":[["action","pause"],["if_end_of_stream",[["set_body","request",0,0,"more "],["action","continue"]]]]}'; proxy_pass http://up; }
--- upstream eval: recorder()
--- client eval
sub {
    my $c = connection();
    $c->write(post_head('/', 5) . 'hello');
    my @got = ($c->answer, framing());
    $c->write(post_head('/', undef) . piece('hello') . piece(''));
    push @got, $c->answer;
    for my $chunked (0, 1) {
        $c->write(post_head('/held', $chunked ? undef : 9) . ($chunked ? piece('first') : 'first'));
        until_logged('size=5 eos=false', 1 + $chunked);
        push @got, seen() =~ /held/ && !$chunked ? 'begun' : 'not begun';
        $c->write($chunked ? piece('last') . piece('') : 'last');
        push @got, $c->answer;
    }
    rows(@got, seen() =~ /held.*Content-Length: 14.*held.*Content-Length: 14/s ? 'right lengths' : seen());
}
--- client_out
200 got more hello
length 10
200 got more hello
not begun
200 got more firstlast
not begun
200 got more firstlast
right lengths
--- no_error_log eval: $::bad



=== TEST 8: HTTP/1.0 upstreams get what nginx has buffered: a body in chunks, or one whose length is removed
--- http_config eval: $::modules
--- config
location / {
    wasm_filter a '{"trace":true,"request_headers":[["remove_header","request","content-length"]],"request_body":[["set_body","request",0,0,"<"]]}';
    proxy_http_version 1.0;
    proxy_pass http://up;
}
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $chunked (0, 1) {
        my $c = connection();
        $c->write(post_head('/', $chunked ? undef : 9) . ($chunked ? piece('first') : 'first'));
        push @got, $c->is_silent(0.05) && seen() !~ /\(end\).+\z/s ? 'waits' : 'goes on';
        $c->write($chunked ? piece('last') . piece('') : 'last');
        push @got, $c->answer;
    }
    rows(@got, framing());
}
--- client_out
waits
200 got <firstlast
waits
200 got <firstlast
length 10
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=2 size=9 eos=true
a: on_request_body id=3 size=9 eos=true
--- no_error_log eval: $::bad



=== TEST 9: wasm_request_buffering on: filters see the whole body
--- http_config eval: $::modules
--- config
wasm_request_buffering on;
location / { wasm_filter a '{"trace":true,"request_body":[["set_body","request",0,0,"<"]]}'; proxy_pass http://up; }
--- upstream eval: recorder()
--- client eval
sub {
    my $c = connection();
    $c->write(post_head('/', 9) . 'first');
    my $silent = $c->is_silent(0.05) ? 'waits' : 'goes on';
    $c->write('last');
    rows($silent, $c->answer, framing());
}
--- client_out
waits
200 got <firstlast
length 10
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=2 size=9 eos=true
--- no_error_log eval: $::bad



=== TEST 10: wasm_request_buffering off: pieces for the filters, and nginx buffers what they make of them
--- http_config eval: $::modules
--- config
proxy_request_buffering on;
wasm_request_buffering off;
location /ok { return 200 ok; }
location / { wasm_filter a '{"trace":true,"request_body":[["set_body","request",0,0,"<"]]}'; proxy_pass http://up; }
location /large { client_body_buffer_size 1k; wasm_filter upper '{"direction":"request"}'; proxy_pass http://up; }
location /gif { wasm_filter a '{"trace":true}'; empty_gif; }
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $chunked (0, 1) {
        my $c = connection();
        $c->write(post_head('/', $chunked ? undef : 9) . ($chunked ? piece('first') : 'first'));
        log_has(qr/on_request_body id=@{[3 + $chunked]} size=5 eos=false/) or push @got, 'no callback';
        push @got, seen() =~ /<first(?!<last)/ ? 'goes on' : 'waits';
        $c->write($chunked ? piece('last') . piece('') : 'last');
        push @got, $c->answer;
        $c->write("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n");
        push @got, $c->answer;
    }
    my $c = connection();
    $c->write(post_head('/large', 100_000) . 'x' x 100_000);
    push @got, $c->answer eq '200 got ' . 'X' x 100_000 ? 'all' : 'not all';
    $c = connection();
    $c->write(post_head('/gif', 3) . 'abc');
    rows(@got, $c->answer =~ /^(\d+)/);
}
--- client_out
waits
200 got <first<last
200 ok
waits
200 got <first<last
200 ok
all
405
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=3 size=5 eos=false
a: on_request_body id=3 size=4 eos=true
a: on_request_body id=4 size=5 eos=false
a: on_request_body id=4 size=4 eos=true
a: on_request_body id=5 size=3 eos=true
--- no_error_log eval: $::worse



=== TEST 11: the directive takes on and off, once
--- http_config eval: $::modules
--- config
wasm_request_buffering maybe;
--- must_die
--- error_log: invalid value "maybe" in "wasm_request_buffering" directive, it must be "on" or "off"



=== TEST 12: with nginx's own buffering, filters see the whole body
--- http_config eval: $::modules
--- config
location / { wasm_filter a '{"trace":true}'; proxy_request_buffering on; proxy_pass http://up; }
location /body { wasm_filter a '{"trace":true}'; proxy_set_body new; proxy_pass http://up; }
--- upstream eval: recorder()
--- client eval
sub {
    my @got;
    for my $path ('/', '/body') {
        my $c = connection();
        $c->write(post_head($path, 9) . 'first');
        push @got, $c->is_silent(0.05) ? 'waits' : 'goes on';
        $c->write('last');
        push @got, $c->answer;
    }
    rows(@got);
}
--- client_out
waits
200 got firstlast
waits
200 got new
--- guests_like eval: qr/request_body/
--- guests
a: on_request_body id=2 size=9 eos=true
a: on_request_body id=3 size=9 eos=true
--- no_error_log eval: $::bad



=== TEST 13: FastCGI, uwsgi and SCGI
--- http_config eval: $::modules
--- config
location /ok { return 200 ok; }
location / {
    wasm_filter a '{"trace":true}';
    location /fastcgi { fastcgi_request_buffering off; fastcgi_pass up; fastcgi_param CONTENT_LENGTH $content_length; }
    location /uwsgi { uwsgi_request_buffering off; uwsgi_pass up; uwsgi_param CONTENT_LENGTH $content_length; }
    location /scgi { scgi_request_buffering off; scgi_pass up; scgi_param X-Length $content_length; }
    location /buffered { scgi_pass up; }
}
location /open {
    wasm_filter b '{"trace":true,"request_headers":[["remove_header","request","content-length"]],"request_body":[["set_body","request",0,0,"<"]]}';
    location /open/fastcgi { fastcgi_request_buffering off; fastcgi_pass up; fastcgi_param CONTENT_LENGTH $content_length; }
    location /open/scgi { scgi_request_buffering off; scgi_pass up; }
}
--- upstream eval
sub {
    my $connection = shift;
    my $answer = "Status: 200 OK\r\n\r\nseen";
    my $told = 0;
    until ($connection->{bytes} =~ /last/) {
        $connection->more or return;
        Upload::note(substr $connection->{bytes}, $told);
        $told = length $connection->{bytes};
    }
    # A FastCGI request begins with its version.
    $answer = pack('CCnnCx', 1, 6, 1, length $answer, 0) . $answer . pack('CCnnCx', 1, 3, 1, 8, 0) . "\0" x 8
        if $connection->{bytes} =~ /\A\x01\x01\x00/;
    $connection->write($answer);
}
--- client eval
sub {
    my @got;
    for my $path ('/fastcgi', '/uwsgi', '/scgi', '/buffered', '/open/fastcgi', '/open/scgi') {
        unlink $Upload::file;
        my $c = connection();
        $c->write(post_head($path, 9) . 'first');
        my $streams = $path !~ /buffered|open.scgi/;
        push @got, $path;
        if ($streams) {
            push @got, has_seen(qr/first/);
            push @got, 'with a length' if seen() =~ /CONTENT_LENGTH.{0,3}9/s;
        } else {
            push @got, $c->is_silent(0.05) && seen() eq '' ? 'waits' : 'goes on';
        }
        $c->write('last');
        push @got, $c->answer;
        push @got, 'whole' if has_seen($path =~ /fastcgi/ ? qr/first.*last/s : qr/firstlast\z/) eq 'seen';
        push @got, 'its length' if $path eq '/open/scgi' && seen() =~ /CONTENT_LENGTH\0(?:10)\0/;
    }
    rows(@got);
}
--- client_out
/fastcgi
seen
with a length
200 seen
whole
/uwsgi
seen
with a length
200 seen
whole
/scgi
seen
with a length
200 seen
whole
/buffered
waits
200 seen
whole
/open/fastcgi
seen
200 seen
whole
/open/scgi
waits
200 seen
whole
its length
--- no_error_log eval: $::bad
