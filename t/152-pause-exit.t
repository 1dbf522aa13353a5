# A paused request in a worker that is shutting down, and the time that a pause may take.

use Test::Nginx::Socket 'no_plan';
use Control ();
use Wire;
use Pause;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our @callbacks = qw(request_headers request_body response_headers response_body);

# A location for each callback, /CALLBACK/..., whose filter pauses there.
sub paused {
    my ($content, $more) = @_;
    return CORE::join '', map {
        my $length = $_ =~ /response/ ? '["remove_header","response","content-length"],' : '';
        my %operations = (response_headers => $length . '["action","continue"]');
        $operations{$_} = "$length\[\"action\",\"pause\"]";
        $operations{response_body} =~ s/\["remove.*?\],// if $operations{response_body};
        my $text = CORE::join ',', map { qq~"$_":[$operations{$_}]~ } sort keys %operations;
        qq~location /$_ { wasm_filter a '{"trace":true,$text~ . ($more // '') . qq~}'; $content }\n~;
    } @callbacks;
}

# Sends POST /$callback and waits until it pauses.
sub send_paused {
    my $callback = shift;
    my $before = logged("on_$callback id=.*/$callback HTTP");
    my $c = connection();
    $c->write("POST /$callback HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    until_logged("on_$callback id=.*/$callback HTTP", $before + 1);
    return $c;
}

run_tests();

__DATA__

=== TEST 1: a worker that is shutting down ticks on and exits when its paused requests are done
The tick of the old worker continues them.
--- master_on
--- workers: 1
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
    server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 upstream; } }
--- config eval
my $continue = CORE::join ',', map { qq~["effective_context",$_],["continue","request"],["continue","response"]~ } 1 .. 20;
'location /new { return 200 new; } '
    . main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;')
    . qq~location /tick { wasm_filter a '{"trace":true,"request_headers":[["effective_context","root"],["set_tick",1000]],"tick":[$continue]}'; return 200; }~
--- client eval
sub {
    my @clients = map { main::send_paused($_) } @main::callbacks;
    my ($worker) = log_text() =~ /(\d+)#\d+: \*\d+ \[wasm\] a: on_request_headers/;
    ask("GET /tick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    kill HUP => Control::pid();
    until_logged("$worker#\\d+: gracefully shutting down");
    my $new = ask("GET /new HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /new\z/ ? 'new' : 'not served';
    my $alive = kill(0, $worker) ? 'old worker alive' : 'old worker gone';
    my @answers = map { $_->answer } @clients;
    wait_for(sub { !kill 0, $worker }) or return "the old worker does not exit\n";
    # A tick is the last thing that the old worker did for them.
    my $ticks = logged("$worker#\\d+: \\[wasm\\] a: on_tick") ? 'ticked' : 'no tick';
    rows($new, $alive, @answers, $ticks);
}
--- client_out
new
old worker alive
200 upstream
200 upstream
200 upstream
200 upstream
ticked
--- no_error_log eval: [$::bad, qr/open socket/]



=== TEST 2: SIGQUIT waits for a paused request
--- workers: 1
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
'wasm_pause_timeout 1s; location /t { return 204; } ' . main::paused('return 200 text;')
--- init
my @clients = map { main::send_paused($_) } @main::callbacks;
kill QUIT => Control::pid();
main::until_logged('gracefully shutting down');
my @answers = map { ($_->rest =~ m{^HTTP/1.1 (\d+)})[0] // 'closed' } @clients;
Test::More::is("@answers", '504 504 504 504', 'all are answered');
Test::More::ok(main::wait_for(sub { !-e "$Control::root/logs/nginx.pid" }), 'nginx is gone');
Control::start();
--- request
GET /t
--- error_code: 204
--- no_error_log eval: [$::bad, qr/open socket/]



=== TEST 3: a pause that takes longer than wasm_pause_timeout
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
    server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 upstream; } }
--- config eval
'wasm_pause_timeout 300ms; location /status { stub_status; } ' . main::paused('proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;')
--- client eval
sub {
    my @clients = map { main::send_paused($_) } @main::callbacks;
    my @status = map { ($_->message)[0] =~ m{^HTTP/1.1 (\d+)} } @clients;
    my $kept = 0;
    for my $c (@clients) {
        $c->write("GET /status HTTP/1.1\r\nHost: a\r\n\r\n");
        $kept++ if ($c->message)[0] =~ m{^HTTP/1.1 200};
    }
    rows(@status, "kept $kept", 'writing ' . writing());
}
--- client_out
504
504
504
504
kept 4
writing 1
--- contexts: 4
--- error_log eval
[map { qr/\[error\] .*\[wasm\] a: paused the $_ for longer than wasm_pause_timeout \(300 ms\)/ } 'request headers', 'request body', 'response headers', 'response body']
--- no_error_log eval: $::bad



=== TEST 4: when part of the response has been sent, the connection is closed
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
location / {
    wasm_pause_timeout 300ms;
    proxy_buffering off;
    wasm_filter a '{"trace":true,"response_body":[["if_header","response","x-n","1",[["action","pause"]]],["if_header","response","x-n",null,[["set_header","response","x-n","1"]]]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    select undef, undef, undef, 0.1;
    $c->write("world");
    $c->rest;
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    $c->until(qr/hello/);
    rows('hello', $c->rest =~ /\A(?:\(reset\))?\z/ ? 'closed' : 'more');
}
--- client_out
hello
closed
--- contexts: 1
--- error_log eval: qr/paused the response body for longer than wasm_pause_timeout/
--- no_error_log eval: $::bad



=== TEST 5: a body that a filter collects does not time out while more of it is to come
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
location / {
    wasm_pause_timeout 200ms;
    wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["action","continue"]]}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
}
--- upstream eval
sub {
    my $c = shift;
    $c->message;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    select undef, undef, undef, 0.8;
    $c->write("world");
    $c->rest;
}
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rows($c->answer);
}
--- client_out
200 helloworld
--- contexts: 1
--- no_error_log eval: [$::bad, qr/wasm_pause_timeout/]



=== TEST 6: a pause is not taken for a client that does not read, nor for an upstream that does not send
send_timeout and proxy_read_timeout are shorter than the pause.
--- http_config eval
'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm; server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { alias html/; } }'
--- config eval
Pause::go_locations(['a']) . 'location /status { stub_status; } send_timeout 200ms; proxy_read_timeout 200ms;' . CORE::join '', map {
    my ($name, $content) = @$_;
    map { qq~location /$name/$_ { wasm_filter a '{"trace":true,"response_headers":[["remove_header","response","content-length"]~ . ($_ eq 'headers' ? ',["action","pause"]' : '') . ']'
        . ($_ eq 'body' ? ',"response_body":[["action","pause"]]' : '') . qq~}'; $content }~ } 'headers', 'body'
} ['static', 'alias html/big.txt;'], ['text', 'return 200 text;'], ['proxied', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;'],
    ['unbuffered', 'proxy_buffering off; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big.txt;'];
--- user_files eval: [['big.txt', 'abcdefgh' x 131072]]
--- client eval
sub {
    my (@clients, @out);
    for my $what (qw(static text proxied unbuffered)) {
        for my $where (qw(headers body)) {
            my $c = connection();
            $c->write("GET /$what/$where HTTP/1.1\r\nHost: a\r\n\r\n");
            until_logged($where eq 'headers' ? "on_response_headers id=.*/$what/$where" : "on_response_body id=.* eos=true.*/$what/$where");
            push @clients, ["$what $where", $c];
        }
    }
    select undef, undef, undef, 0.6;
    go('a');
    for (@clients) {
        my ($what, $c) = @$_;
        push @out, "$what: " . length(($c->message)[1]);
    }
    rows(@out, 'writing ' . writing());
}
--- client_out
static headers: 1048576
static body: 1048576
text headers: 4
text body: 4
proxied headers: 1048576
proxied body: 1048576
unbuffered headers: 1048576
unbuffered body: 1048576
writing 1
--- no_error_log eval: [$::bad, qr/timed out/]



=== TEST 7: wasm_pause_timeout in the configuration
--- http_config eval
'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm; wasm_pause_timeout 1h;'
--- config
wasm_pause_timeout 200ms;
location / { wasm_filter a '{"request_headers":[["action","pause"]]}'; return 200; location /own { wasm_pause_timeout 2s; wasm_filter a '{"request_headers":[["action","pause"]]}'; return 200; } }
--- client eval
sub {
    my ($inherited, $own) = (connection(), connection());
    $own->write("GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
    $inherited->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    my ($first) = $inherited->message;
    my $silent = $own->is_silent(0.3);
    my @errors = map {
        my $name = "$Test::Nginx::Util::ServRoot/conf/bad.conf";
        open my $file, '>', $name or die;
        print $file "load_module $ENV{TEST_NGINX_WASM_MODULE}; events {} http { wasm_pause_timeout $_; }";
        close $file;
        (output_of($ENV{TEST_NGINX_BINARY}, '-t', '-e', 'stderr', '-p', $Test::Nginx::Util::ServRoot, '-c', $name) =~ /\[emerg\] .*?: (.*) in /)[0] // 'taken';
    } 'x', '0', '-1s', '1s; wasm_pause_timeout 2s';
    rows($first =~ /(504)/, $silent ? 'silent' : 'not silent', @errors);
}
--- client_out eval
my $must = 'in "wasm_pause_timeout" directive, it must be a time, such as "60s", and not 0';
rows('504', 'silent', qq~invalid value "x" $must~, qq~invalid value "0" $must~, qq~invalid value "-1s" $must~, '"wasm_pause_timeout" directive is duplicate')
--- no_error_log eval: $::bad



=== TEST 8: the second filter pauses in the headers, and the body that the first one waits for does not come
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
location /status { stub_status; }
location / {
    wasm_pause_timeout 300ms;
    wasm_filter a '{"trace":true}';
    wasm_filter b '{"trace":true,"request_headers":[["action","pause"]]}';
    return 200;
}
--- client eval
sub {
    my ($part, $left) = map {
        my $c = connection();
        $c->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nthe ");
        $c;
    } 1, 2;
    until_logged('b: on_request_headers id=\d+ count=\d+ eos=false', 2);
    $left->reset;
    until_logged('b: on_delete id=');
    my ($head) = $part->message;
    rows($head =~ m{^HTTP/1.1 (\d+)}, 'writing ' . writing());
}
--- client_out
504
writing 1
--- contexts: 4
--- error_log eval: qr/\[wasm\] b: paused the request headers for longer than wasm_pause_timeout/
--- no_error_log eval: $::bad
