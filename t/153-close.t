# proxy_close_stream in every callback, and clients that leave while a filter has paused.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Wire::H2;
use Pause;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our @callbacks = qw(request_headers request_body response_headers response_body);

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 upstream; }
}
_EOC_

# A location /CALLBACK with these operations in the callback, for each.
sub each_callback {
    my ($operations, $content) = @_;
    return CORE::join '', map {
        my $stream = /request/ ? 'request' : 'response';
        my $ops = $operations =~ s/STREAM/$stream/gr;
        qq~location /$_ { wasm_filter a '{"trace":true,"$_":[$ops]}'; $content }\n~;
    } @callbacks;
}

sub post { return "POST $_[0] HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" }

run_tests();

__DATA__

=== TEST 1: closed in each callback, for its own direction: no answer
--- http_config eval: $::module
--- config eval: main::each_callback('["close","STREAM"]', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;') . 'location /status { stub_status; }'
--- client eval
sub { rows((map { "$_ [" . ask(main::post("/$_")) . ']' } @main::callbacks), 'writing ' . writing()) }
--- client_out
request_headers []
request_body []
response_headers []
response_body []
writing 1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 2: closing after a part of the response cuts it off
--- http_config eval: $::module
--- config
location / { proxy_buffering off; wasm_filter a '{"trace":true,"response_body":[["if_header","response","x-n","1",[["close","response"]]],["if_header","response","x-n",null,[["set_header","response","x-n","1"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    select undef, undef, undef, 0.2;
    $c->write("world");
    $c->rest;
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    my $part = $c->until(qr/hello/);
    rows($part =~ /(hello)/, '[' . $c->rest . ']');
}
--- client_out eval: qr/\Ahello\n\[(?:\(reset\))?\]\n\z/
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 3: HTTP/2: the stream is reset, the connection lives on
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; location /ok { return 200 ok; } ' . main::each_callback('["close","STREAM"]', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;') . '}'
--- config
--- client eval
sub {
    my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    my ($id, @out) = 1;
    for my $callback (@main::callbacks) {
        $h2->headers($id, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => "/$callback", ':authority' => 'a');
        $h2->data($id, 1, 'body');
        my %got = $h2->answers($id);
        push @out, "$callback: " . ($got{$id} // 'connection closed');
        $id += 2;
    }
    $h2->get($id, '/ok');
    my %last = $h2->answers($id);
    rows(@out, $last{$id});
}
--- client_out
request_headers: reset 1
request_body: reset 1
response_headers: reset 2
response_body: reset 2
ok
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 4: a client that leaves while a filter has paused: contexts end at once
--- http_config eval: $::module
--- config eval: main::each_callback('["action","pause"]', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;') . 'location /status { stub_status; }'
--- client eval
sub {
    my @out;
    for my $callback (@main::callbacks) {
        for my $how ('close', 'reset') {
            my $c = connection();
            $c->write(main::post("/$callback"));
            until_logged("on_$callback id=.*/$callback HTTP", $how eq 'close' ? 1 : 2);
            $c->$how;
            until_logged('on_delete', @out + 1);
            push @out, "$callback $how: writing " . writing();
        }
    }
    rows(@out);
}
--- client_out
request_headers close: writing 1
request_headers reset: writing 1
request_body close: writing 1
request_body reset: writing 1
response_headers close: writing 1
response_headers reset: writing 1
response_body close: writing 1
response_body reset: writing 1
--- contexts: 8
--- no_error_log eval: $::bad



=== TEST 5: a client that leaves while its response is paused: the upstream's connection is closed
--- http_config eval: $::module
--- config
location / {
    wasm_filter a '{"trace":true,"response_headers":[["action","pause"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    location /ignore { proxy_ignore_client_abort on; wasm_pause_timeout 3s; wasm_filter a '{"trace":true,"response_headers":[["action","pause"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
}
--- upstream eval
sub {
    my $c = shift;
    my ($head) = $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    my $start = Time::HiRes::time();
    $c->rest;
    my $late = Time::HiRes::time() - $start > 2.5 ? 'late' : 'at once';
    open my $file, '>>', "$ENV{TEST_NGINX_SERVER_ROOT}/html/closed.txt";
    print $file $head =~ m{ /ignore } ? 'ignored' : 'closed', " $late\n";
    close $file;
}
--- client eval
sub {
    my $seen = sub {
        my $count = shift;
        my $text = '';
        wait_for(sub {
            open my $file, '<', "$ENV{TEST_NGINX_SERVER_ROOT}/html/closed.txt" or return 0;
            $text = CORE::join '', <$file>;
            return (() = $text =~ /\n/g) >= $count;
        });
        return $text;
    };
    for my $path ('/', '/ignore') {
        my $c = connection();
        $c->write("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
        until_logged("on_response_headers id=.*\"GET $path HTTP");
        $c->close;
        $seen->($path eq '/' ? 1 : 2);
    }
    return $seen->(2);
}
--- client_out
closed at once
ignored late
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 6: HTTP/2: a stream that is reset while a filter has paused
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; location /ok { return 200 ok; } ' . main::each_callback('["action","pause"]', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;') . '}'
--- config
location /status { stub_status; }
--- client eval
sub {
    my $h2 = Wire::H2->new(connection($ENV{TEST_NGINX_PORT_2}));
    my ($id, $ended) = (1, 0);
    for my $callback (@main::callbacks) {
        $h2->headers($id, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => "/$callback", ':authority' => 'a');
        $h2->data($id, 1, 'body');
        until_logged("on_$callback id=.*/$callback HTTP");
        $h2->reset($id);
        until_logged('on_delete', ++$ended);
        $id += 2;
    }
    $h2->get($id, '/ok');
    my %last = $h2->answers($id);
    rows("$ended ended", $last{$id});
}
--- client_out
4 ended
ok
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 7: a filter traps while another request is paused in its instance: 503 at once, or the end
--- http_config eval: $::module
--- config eval: main::each_callback('["action","pause"]', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;') . q~location /trap { wasm_filter a '{"request_headers":[["abort"]]}'; return 200; } location /status { stub_status; }~
--- client eval
sub {
    my @clients = map {
        my $c = connection();
        $c->write(main::post("/$_"));
        until_logged("on_$_ id=.*/$_ HTTP");
        $c;
    } @main::callbacks;
    ask("GET /trap HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    rows((map { ($_->message)[0] =~ m{^HTTP/1.1 (\d+)} } @clients), 'writing ' . writing());
}
--- client_out
503
503
503
503
writing 1
--- error_log: trapped
--- no_error_log eval: $::bad



=== TEST 8: nothing is paused, the upstream is slow: another request's filter answers or closes
--- http_config eval: $::module
--- config eval
Pause::go_locations(['a'], answer => '["local_response",418,[["x-late","1"]],"late answer"]', close => '["close","request"]') . q~
location /status { stub_status; }
location / { wasm_filter a '{"trace":true,"response_headers":[["add_header","response","x-f","1"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
location /unbuffered { proxy_request_buffering off; wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
~
--- upstream eval
sub {
    my $c = shift;
    my ($head) = $c->message;
    open my $file, '>>', "$ENV{TEST_NGINX_SERVER_ROOT}/html/seen.txt";
    print $file "asked\n";
    close $file;
    # Until nginx closes the connection.
    $c->rest;
    open $file, '>>', "$ENV{TEST_NGINX_SERVER_ROOT}/html/seen.txt";
    print $file "closed\n";
}
--- client eval
sub {
    my $seen = sub {
        open my $file, '<', "$ENV{TEST_NGINX_SERVER_ROOT}/html/seen.txt" or return 0;
        my $text = CORE::join '', <$file>;
        return scalar(() = $text =~ /$_[0]/g);
    };
    my ($count, @out) = 0;
    for my $do ('answer', 'close') {
        for my $path ('/', '/unbuffered') {
            my $c = connection();
            $c->write(main::post($path));
            $count++;
            wait_for(sub { $seen->('asked') == $count });
            go("/$do/a");
            if ($do eq 'close') {
                push @out, "$path: [" . $c->rest . ']';
            } else {
                my ($head, $body) = $c->message;
                push @out, "$path: " . CORE::join ' ', $head =~ m{^HTTP/1.1 (\d+)}, $head =~ /^(x-.*: .*)\r/mg, $body;
                $c->write("GET /status HTTP/1.1\r\nHost: a\r\n\r\n");
                push @out, 'kept' if ($c->message)[0] =~ / 200 /;
                $c->close;
            }
            wait_for(sub { $seen->('closed') == $count }) or push @out, 'the upstream is left open';
        }
    }
    rows(@out, 'writing ' . writing());
}
--- client_out
/: 418 x-late: 1 x-f: 1 late answer
kept
/unbuffered: 418 x-late: 1 late answer
kept
/: []
/unbuffered: []
writing 1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 9: nothing is paused, part of a response has been sent: it is cut off
--- http_config eval: $::module
--- config eval
Pause::go_locations(['a'], answer => '["local_response",418,[],"late answer"]', close => '["close","response"]') . q~
location /status { stub_status; }
location / { proxy_buffering off; wasm_filter a '{"trace":true}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
~
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    $c->rest;
}
--- client eval
sub {
    my @out;
    for my $do ('answer', 'close') {
        my $c = connection();
        $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        my $part = $c->until(qr/hello/);
        go("/$do/a");
        push @out, $part =~ /(hello)/, '[' . $c->rest . ']';
    }
    rows(@out, 'writing ' . writing());
}
--- client_out eval: qr/\A(?:hello\n\[(?:\(reset\))?\]\n){2}writing 1\n\z/
--- contexts: 2
--- error_log: a filter's local response came after the response headers were sent
--- no_error_log eval: $::bad
