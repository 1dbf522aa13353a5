# Paused in each callback, under every kind of content handler, and continued from another request: the
# response is complete, in order, and sent once.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Wire::H2;

log_level('info');
no_long_string();

our @callbacks = qw(request_headers request_body response_headers response_body);

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
proxy_cache_path proxy_temp/cache keys_zone=cache:1m;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    root html;
    location / { return 200 "upstream"; }
    location /empty { return 204; }
    location /404 { return 404 "none"; }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# For each callback a location /$callback with this content, whose filter pauses there and marks
# the request and the response; and /go, which continues all contexts there are.
sub paused {
    my ($content, %more) = @_;
    my $locations = join '', map {
        my $do = $more{$_} // '';
        my $length = $more{keep_length} ? '' : ',["remove_header","response","content-length"]';
        my %operations = (response_headers => qq~["add_header","response","x-f","1"]$length~, $_ => qq~["action","pause"]~);
        $operations{response_headers} .= qq~,["add_header","response","x-f","1"]$length~ if $_ eq 'response_headers';
        my $text = join ',', map { qq~"$_":[$operations{$_}]~ } sort keys %operations;
        qq~location /$_ { wasm_filter a '{"trace":true,$text}'; $content }\n~;
    } @callbacks;
    my $continue = join ',', map { qq~["effective_context",$_],["continue","request"],["continue","response"]~ } 1 .. 30;
    return $locations
        . qq~location /go { wasm_filter a '{"request_headers":[["local_response",200,[],"go"],$continue]}'; }\n~
        . qq~location /status { stub_status; }\n~;
}

# How often a callback has been made that pauses.
sub pauses {
    my $callback = shift;
    my @lines = log_text() =~ m{on_$callback id=.*"\w+ /$callback HTTP}g;
    return scalar @lines;
}

# Waits until one more is made than there were.
sub await_pause {
    my ($callback, $before) = @_;
    return wait_for(sub { pauses($callback) > $before });
}

# Sends POST /$callback to each, continues it when it pauses, and tells what comes.
sub each_paused {
    my ($server, %how) = @_;
    my ($out, $count) = ('', 0);
    for my $callback (@{ $how{callbacks} // \@callbacks }) {
        $count++;
        my $c = connection();
        my $before = pauses($callback);
        $c->write(($how{method} // 'POST') . " /$callback HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        await_pause($callback, $before) or return "$out$callback: no pause\n";
        my $silent = $c->is_silent(0.05) ? '' : ' (not silent)';
        ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my $answer = eval {
            my ($head, $body) = $c->message(head => ($how{method} // '') eq 'HEAD');
            my ($status) = $head =~ m{^HTTP/1.1 (\d+)} or die "no answer: $head\n";
            my $marks = () = $head =~ /^x-f: 1\r$/mg;
            # The connection is as good as new.
            $c->write("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            my ($next) = $c->rest =~ /Writing: (\d+)/;
            $next = writing() if defined $next;
            length $body > 100 and $body = length($body) . ' bytes of ' . CORE::join '', sort keys %{ { map { $_ => 1 } split //, $body } };
            "$status marks=$marks [$body] writing=" . ($next // '-');
        } // "failed: $@";
        $out .= "$callback$silent: $answer\n";
    }
    return $out;
}

run_tests();

__DATA__

=== TEST 1: return
--- http_config eval: $::module
--- config eval: main::paused('return 200 text;')
--- client eval: sub { main::each_paused() }
--- client_out
request_headers: 200 marks=1 [text] writing=1
request_body: 200 marks=1 [text] writing=1
response_headers: 200 marks=1 [text] writing=1
response_body: 200 marks=1 [text] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 2: a file, sent by sendfile or not
--- http_config eval: $::module
--- config eval: 'sendfile on; ' . main::paused('error_page 405 =200 $uri; alias html/file.txt;')
--- user_files
>>> file.txt
file
--- client eval: sub { main::each_paused(0, method => 'GET') }
--- client_out
request_headers: 200 marks=1 [file
] writing=1
request_body: 200 marks=1 [file
] writing=1
response_headers: 200 marks=1 [file
] writing=1
response_body: 200 marks=1 [file
] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 3: a file of 3 MB
--- http_config eval: $::module
--- config eval: main::paused('alias html/file.txt;')
--- user_files eval: [['file.txt', 'abc' x 1000000]]
--- client eval: sub { main::each_paused(0, method => 'GET', callbacks => ['response_headers', 'request_headers', 'request_body']) }
--- client_out
response_headers: 200 marks=1 [3000000 bytes of abc] writing=1
request_headers: 200 marks=1 [3000000 bytes of abc] writing=1
request_body: 200 marks=1 [3000000 bytes of abc] writing=1
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 4: an upstream, buffered
--- http_config eval: $::module
--- config eval: main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;')
--- client eval: sub { main::each_paused() }
--- client_out
request_headers: 200 marks=1 [upstream] writing=1
request_body: 200 marks=1 [upstream] writing=1
response_headers: 200 marks=1 [upstream] writing=1
response_body: 200 marks=1 [upstream] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 5: an upstream, not buffered
--- http_config eval: $::module
--- config eval: 'proxy_buffering off;' . main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;')
--- client eval: sub { main::each_paused() }
--- client_out
request_headers: 200 marks=1 [upstream] writing=1
request_body: 200 marks=1 [upstream] writing=1
response_headers: 200 marks=1 [upstream] writing=1
response_body: 200 marks=1 [upstream] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 6: an upstream's 3 MB, buffered
--- config eval: main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/file.txt; proxy_method GET; ')
--- http_config eval
$::module =~ s/location \/ \{.*?\}//r
--- user_files eval: [['file.txt', 'abc' x 1000000]]
--- client eval: sub { main::each_paused(0, callbacks => ['response_headers']) }
--- client_out
response_headers: 200 marks=1 [3000000 bytes of abc] writing=1
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 7: an upstream's 3 MB, not buffered
--- config eval: 'proxy_buffering off;' . main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/file.txt; proxy_method GET; ')
--- http_config eval
$::module =~ s/location \/ \{.*?\}//r
--- user_files eval: [['file.txt', 'abc' x 1000000]]
--- client eval: sub { main::each_paused(0, callbacks => ['response_headers']) }
--- client_out
response_headers: 200 marks=1 [3000000 bytes of abc] writing=1
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 8: a response without a body
--- http_config eval: $::module
--- config eval: main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/empty;')
--- client eval: sub { main::each_paused(0, callbacks => [qw(request_headers request_body response_headers)]) }
--- client_out
request_headers: 204 marks=1 [] writing=1
request_body: 204 marks=1 [] writing=1
response_headers: 204 marks=1 [] writing=1
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 9: HEAD
--- http_config eval: $::module
--- config eval: main::paused('return 200 text;', keep_length => 1)
--- client eval: sub { main::each_paused(0, method => 'HEAD', callbacks => [qw(request_headers request_body response_headers)]) }
--- client_out
request_headers: 200 marks=1 [] writing=1
request_body: 200 marks=1 [] writing=1
response_headers: 200 marks=1 [] writing=1
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 10: HEAD of a file and of an upstream
--- http_config eval: $::module
--- config eval: main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;', keep_length => 1)
--- client eval: sub { main::each_paused(0, method => 'HEAD', callbacks => [qw(request_headers request_body response_headers)]) }
--- client_out
request_headers: 200 marks=1 [] writing=1
request_body: 200 marks=1 [] writing=1
response_headers: 200 marks=1 [] writing=1
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 11: nginx's error page for a missing file, and for a missing upstream
--- http_config eval: $::module
--- config eval
main::paused('error_page 404 502 = @page; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/;') . 'location @page { return 404 "page"; }'
--- client eval: sub { main::each_paused(0, callbacks => [qw(request_headers request_body)]) }
--- client_out
request_headers: 404 marks=0 [page] writing=1
request_body: 404 marks=0 [page] writing=1
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 12: nginx's own 404
--- http_config eval: $::module
--- config eval: main::paused('return 404;')
--- client eval: sub { main::each_paused() =~ s/\[\d+ bytes of [^\]]*\]/[page]/gr }
--- client_out
request_headers: 404 marks=1 [page] writing=1
request_body: 404 marks=1 [page] writing=1
response_headers: 404 marks=1 [page] writing=1
response_body: 404 marks=1 [page] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 13: a response from nginx's cache
--- http_config eval: $::module
--- config eval
main::paused('proxy_cache cache; proxy_cache_valid 1m; proxy_cache_methods POST; proxy_cache_key one; add_header X-Cache $upstream_cache_status; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;')
--- client eval: sub { main::each_paused() . main::each_paused(0, callbacks => ['response_body']) }
--- client_out
request_headers: 200 marks=1 [upstream] writing=1
request_body: 200 marks=1 [upstream] writing=1
response_headers: 200 marks=1 [upstream] writing=1
response_body: 200 marks=1 [upstream] writing=1
response_body: 200 marks=1 [upstream] writing=1
--- contexts: 5
--- no_error_log eval: $::bad



=== TEST 14: a part put in by SSI behind a pause
--- http_config eval: $::module
--- config eval: 'ssi on; ssi_types text/plain; location /part { return 200 PART; }' . main::paused('alias html/ssi.txt;')
--- user_files
>>> ssi.txt
1 <!--# include virtual="/part" --> 2
--- client eval: sub { main::each_paused(0, method => 'GET') =~ s/\n\]/]/gr }
--- client_out
request_headers: 200 marks=1 [1 PART 2] writing=1
request_body: 200 marks=1 [1 PART 2] writing=1
response_headers: 200 marks=1 [1 PART 2] writing=1
response_body: 200 marks=1 [1 PART 2] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 15: gzip behind a pause
--- http_config eval: $::module
--- config eval: 'gzip on; gzip_types text/plain; gzip_min_length 1;' . main::paused('return 200 text;')
--- client eval: sub { main::each_paused() }
--- client_out
request_headers: 200 marks=1 [text] writing=1
request_body: 200 marks=1 [text] writing=1
response_headers: 200 marks=1 [text] writing=1
response_body: 200 marks=1 [text] writing=1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 16: over HTTP/2
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;') . '}'
--- config
--- client eval
sub {
    my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    my $stream = -1;
    rows(map {
        my $id = $stream += 2;
        my $callback = $_;
        my $before = main::pauses($callback);
        $h2->headers($id, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => "/$callback", ':authority' => 'a');
        $h2->data($id, 1, 'body');
        main::await_pause($callback, $before);
        $h2->get($stream += 2, '/go');
        my %answer = $h2->answers($id, $stream);
        "$callback: $answer{$id} $answer{$stream}";
    } @main::callbacks);
}
--- client_out
request_headers: upstream go
request_body: upstream go
response_headers: upstream go
response_body: upstream go
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 17: the next request is on the connection already while the first one is paused
--- http_config eval: $::module
--- config eval: main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;') . 'location /next { return 200 next; }'
--- client eval
sub {
    rows(map {
        my $c = connection();
        my $callback = $_;
        my $before = main::pauses($callback);
        $c->write("POST /$callback HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" . "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        main::await_pause($callback, $before);
        $c->write("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        CORE::join ', ', $callback, map { $c->answer } 1 .. 3;
    } @main::callbacks);
}
--- client_out
request_headers, 200 upstream, 200 next, 200 next
request_body, 200 upstream, 200 next, 200 next
response_headers, 200 upstream, 200 next, 200 next
response_body, 200 upstream, 200 next, 200 next
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 18: a request body that comes only while the headers are paused, and after 100 Continue
--- http_config eval: $::module
--- config eval: main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9/;')
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
}
--- client eval
sub {
    my $c = connection();
    $c->write("POST /request_headers HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    main::await_pause('request_headers', 0);
    my $silent = $c->is_silent(0.05) ? 'silent' : 'not silent';
    ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my ($continue) = $c->message;
    $c->write("hello");
    my $first = $c->answer;
    $c->write("POST /request_headers HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    main::await_pause('request_headers', 1);
    $c->write("later");
    ask("GET /go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    rows($silent, $continue =~ /(100)/, $first, $c->answer);
}
--- client_out
silent
100
200 hello
200 later
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 19: a filter answers or closes from another request while it is paused
--- http_config eval: $::module
--- config eval
main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;')
. qq~location /answer { wasm_filter a '{"request_headers":[["local_response",200,[],"go"],~ . (CORE::join ',', map { qq~["effective_context",$_],["local_response",418,[["x-late","1"]],"late answer"]~ } 8, 10, 12, 14) . q~]}'; }~
. qq~location /close { wasm_filter a '{"request_headers":[["local_response",200,[],"go"],~ . (CORE::join ',', map { qq~["effective_context",$_],["close","request"]~ } 8 .. 23) . q~]}'; }~
--- client eval
sub {
    my $out = '';
    for my $go ('/answer', '/close') {
        for my $callback (@main::callbacks) {
            my $c = connection();
            my $before = main::pauses($callback);
            $c->write("POST /$callback HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            main::await_pause($callback, $before);
            ask("GET $go HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            $out .= "$go $callback: " . ($go eq '/close' ? '[' . $c->rest . ']' : $c->answer) . "\n";
        }
    }
    $out;
}
--- client_out
/answer request_headers: 418 late answer
/answer request_body: 418 late answer
/answer response_headers: 418 late answer
/answer response_body: 418 late answer
/close request_headers: []
/close request_body: []
/close response_headers: []
/close response_body: []
--- contexts: 8
--- no_error_log eval: $::bad
