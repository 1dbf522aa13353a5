# What a guest writes and nothing can send: byte by byte, in header lines, pseudo-headers, trailers and in nginx's variables. The request does
# not go on with what the guest wanted to replace, whatever the guest makes of a status; and no guest traps for it. (A whole map, and the
# names: 050 and 051.)

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;

# Control characters, and some that are none.
our @control = map { sprintf '%02x', $_ } 0 .. 8, 0x0a .. 0x1f, 0x7f;
our @visible = qw(09 20 21 7e 80 9f e4 ff);

# Operations for each byte, where the path says so: `$make` gives the operation for one, in hex.
sub for_each {
    my ($make, @bytes) = @_;
    return '[' . join(',', map { qq(["if_path","/$_/",[) . $make->($_) . ']]' } @bytes) . ']';
}

# "hex status" for each of these paths, on one connection.
sub statuses {
    my $connection = main::connection();
    return join '', map {
        $connection->write("GET /$_/ HTTP/1.1\r\nHost: old\r\nX-Old: old\r\n\r\n");
        my ($status, $body) = $connection->answer =~ /\A(\d+) (.*)\z/s;
        "$_ $status" . ($status == 200 ? ' ' . unpack 'H*', $body =~ s/\n\z//r : '') . "\n";
    } @_;
}

# An upstream that answers with what a pattern finds in the head of its request.
sub tells {
    my $pattern = shift;
    return sub {
        my $connection = shift;
        my ($head) = $connection->message;
        my ($found) = $head =~ $pattern;
        $found //= 'none';
        $connection->write("HTTP/1.1 200 OK\r\nX-Old: old\r\nContent-Length: " . length($found) . "\r\n\r\n$found");
    };
}

our $trap = qr/\[(?:alert|crit|emerg)\]|panicked|trap/;

run_tests();

__DATA__

=== TEST 1: a value of a request header has no control character but a tab
--- filter eval
'{"request_headers":' . ::for_each(sub { qq(["set_header","request","x-old",{"hex":"61$_[0]62"}]) }, @::control, @::visible) . '}'
--- upstream eval: ::tells(qr/^x-old: *(.*?)\r$/mi)
--- client eval: sub { ::statuses(@::control, @::visible) }
--- client_out eval: rows((map { "$_ 503" } @::control), map { "$_ 200 61${_}62" } @::visible)
--- guests eval: qq(hostcalls: wrote a header of the request that cannot be sent: "x-old"; the request ends with 503\n) x @::control
--- no_error_log eval: $::trap



=== TEST 2: neither has one of a response header
--- filter eval
'{"response_headers":' . ::for_each(sub { qq(["set_header","response","x-old",{"hex":"61$_[0]62"}],["add_header","response","x-seen","1"]) }, @::control, @::visible) . '}'
--- client eval
sub {
    CORE::join '', map {
        my $answer = ask("GET /$_/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        my ($value) = $answer =~ /^x-old: (.*?)\r$/mi;
        "$_ " . ($answer =~ m{\AHTTP/1\.1 (\d+)})[0] . (defined $value ? ' ' . unpack 'H*', $value : '') . "\n";
    } @::control, @::visible;
}
--- client_out eval: rows((map { "$_ 502" } @::control), map { "$_ 200 61${_}62" } @::visible)
--- no_error_log eval: $::trap



=== TEST 3: :path has no blank and no control character; others go on as they are
--- filter eval
'{"request_headers":' . ::for_each(sub { qq(["set_header","request",":path",{"hex":"2f61$_[0]62"}]) }, @::control, @::visible) . '}'
--- upstream eval: ::tells(qr{^GET /a(.*)b HTTP})
--- client eval: sub { ::statuses(@::control, @::visible) }
--- client_out eval: rows((map { "$_ 503" } @::control, '09', '20'), map { "$_ 200 $_" } @::visible[2 .. $#::visible])
--- guests_like eval: qr/./
--- guests eval: qq(hostcalls: wrote a header of the request that cannot be sent: ":path"; the request ends with 503\n) x (@::control + 2)
--- no_error_log eval: $::trap



=== TEST 4: :authority is a host that nginx takes from a client, which may become part of a file's name
--- filter eval
our @hosts = ('', '.', 'a b', "a\tb", 'a/b', '../../etc', 'a..b', ':80', "a\x7f");
our @good = ('b', 'B.example:81', '[::1]:80', 'b.', "\xe4.example");
my $all = 0;
'{"request_headers":[' . CORE::join(',', map { my $path = $all++; qq(["if_path","/$path/",[["set_header","request",":authority",{"hex":") . unpack('H*', $_) . '"}]]]' } @hosts, @good) . ']}'
--- config
    location / {
        @filter;
        proxy_set_header Host $http_host;
        proxy_set_header X-Host $host;
        proxy_pass http://up;
    }
--- upstream eval: ::tells(qr/^Host: (.*\r\nX-Host: .*?)\r$/m)
--- client eval: sub { ::statuses(0 .. 13) =~ s/200 ([0-9a-f]+)/pack('H*', $1) =~ s{\r\nX-Host:}{}r/ger }
--- client_out eval: rows((map { "$_ 503" } 0 .. 8), '9 b b', '10 B.example:81 b.example', '11 [::1]:80 [::1]', '12 b. b', "13 \xe4.example \xe4.example")
--- no_error_log eval: $::trap



=== TEST 5: paused in the same callback, from another context, in the body's callback, where on_failure is open: it ends at once
--- http_config
    wasm_module open $TEST_NGINX_FILTERS/hostcalls.wasm on_failure=open log_rate=off;
--- config
    wasm_pause_timeout 1h;
    location /call { return 204; }
    location /paused/ { wasm_filter hostcalls '{"request_headers":[["set_header","request",":path","/a b"],["action","pause"]]}'; proxy_pass http://up; }
    location /open/ { wasm_filter open '{"request_headers":[["set_header","request",":path","/a b"]]}'; proxy_pass http://up; }
    location /body/ { wasm_filter hostcalls '{"request_body_end":[["set_header","request","x-old",{"hex":"0a"}]]}'; proxy_pass http://up; }
    location /answer/ { wasm_filter hostcalls '{"request_headers":[["http_call","a","127.0.0.1:$TEST_NGINX_SERVER_PORT",[[":method","GET"],[":path","/call"],[":authority","h"]],"",[],5000],["action","pause"]],"http_call_response":[["set_header","request","x-old",{"hex":"0a"}]]}'; proxy_pass http://up; }
    location /response/ { wasm_filter hostcalls '{"response_headers":[["set_header","response","x-old",{"hex":"0a"}],["action","pause"]]}'; proxy_pass http://up; }
    location /late/ { wasm_filter hostcalls '{"response_body":[["set_header","response","x-old",{"hex":"0a"}],["action","pause"]]}'; proxy_pass http://up; }
    location /reply/ { wasm_filter hostcalls '{"request_headers":[["set_header","request",":path","/a b"],["local_response",403,[],"own"],["action","pause"]]}'; proxy_pass http://up; }
    location /log/ { wasm_filter hostcalls '{"log":[["set_header","request","x-old",{"hex":"0a"}],["set_header","response","x-old",{"hex":"0a"}]]}'; proxy_pass http://up; }
    location /page/ { error_page 503 /error; wasm_filter hostcalls '{"request_headers":[["set_header","request",":path","/a b"]]}'; proxy_pass http://up; }
    location /error { return 200 page; }
--- client eval
sub {
    CORE::join '', map {
        my $answer = ask("POST /$_/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Old: old\r\nContent-Length: 4\r\n\r\nbody");
        "$_ " . ($answer =~ m{\AHTTP/1\.1 (\d+)})[0] . ($answer =~ /\r\n\r\n(own|page)\z/ ? " $1" : '') . "\n";
    } qw(paused open body answer response late reply log page);
}
--- client_out
paused 503
open 503
body 503
answer 503
response 502
late 502
reply 403 own
log 200
page 503 page
--- no_error_log eval: $::trap



=== TEST 6: in a variable of nginx's, control characters are written as %NN; the guest's filter state stays whole
Request line, headers of the request and of the response, a redirect, and a log without escapes.
--- http_config
    log_format raw escape=none '[$wasm_property_user] [$who]';
    map $wasm_property_user $mapped { default other; "bob" bob; }
--- config
    set $who "";
    location / {
        wasm_filter_phase access;
        @filter;
        access_log logs/raw.log raw;
        proxy_set_header X-User $wasm_property_user;
        proxy_set_header X-Who $who;
        proxy_set_header X-State $wasm_property_state;
        add_header X-User $wasm_property_user;
        add_header X-Who $who;
        add_header X-Mapped $mapped;
        proxy_pass http://up;
    }
    location = /redirect {
        wasm_filter_phase rewrite;
        @filter;
        return 302 https://x/$wasm_property_user;
    }
--- filter
{"request_headers":[["set_property","user",{"hex":"626f620d0a582d4576696c3a2031005c7f2065e4"}],["set_property","nginx.who",{"hex":"77686f0d0a582d4576696c3a20310009e4"}],
  ["set_property","nginx.args",{"hex":"613d3120485454502f312e310d0a582d4576696c3a2031000962e425"}],
  ["call_foreign_function","set_envoy_filter_state",{"hex":"0a0573746174651204610d0a62"},"x"],
  ["get_property","user"],["get_property","filter_state.state"],["get_property","nginx.who"],["get_property","nginx.args"]]}
--- upstream eval
sub {
    my $connection = shift;
    my ($head) = $connection->message;
    $head =~ s/^(?:Host|Connection): .*\r\n//mg;
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($head) . "\r\n\r\n$head");
}
--- client eval
sub {
    my $got = '';
    for my $path (qw(/x /redirect)) {
        my $answer = ask("GET $path HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        $answer =~ s/^(?:Server|Date|Content-Type|Content-Length|Connection): .*\r\n//mg;
        $answer =~ s/<html>.*//s;
        $got .= $answer;
    }
    wait_for(sub { -s "$Test::Nginx::Util::ServRoot/logs/raw.log" });
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/raw.log" or die $!;
    $got .= $_ while <$in>;
    $got =~ s/\r//g;
    $got;
}
--- client_out eval
my ($user, $who) = ("bob%0D%0AX-Evil: 1%00\\%7F e\xe4", "who%0D%0AX-Evil: 1%00\t\xe4");
"HTTP/1.1 200 OK\nX-User: $user\nX-Who: $who\nX-Mapped: other\n\n"
    . "GET /x?a=1%20HTTP/1.1%0D%0AX-Evil:%201%00%09b\xe4% HTTP/1.0\nX-User: $user\nX-Who: $who\nX-State: a%0D%0Ab\n\n"
    . "HTTP/1.1 302 Moved Temporarily\nLocation: https://x/$user\n\n[$user] [$who]\n"
--- guests_like eval: qr/property user|state/
--- guests eval
rows(('hostcalls: property user = bob\x0d\x0aX-Evil: 1\x00\\\\\x7f e\xe4', 'hostcalls: property filter_state.state = a\x0d\x0ab') x 2)
--- no_error_log eval: $::trap



=== TEST 7: a trailer that cannot be sent is left out, and not the old one sent; the others are
--- filter
{"response_trailers":[["add_header","response_trailers","x-new",{"hex":"610d0a62"}],["set_header","response_trailers","x-t",{"hex":"01"}],["add_header","response_trailers","bad name","v"],
  ["add_header","response_trailers",":status","200"],["add_header","response_trailers","content-length","5"],["add_header","response_trailers","Transfer-Encoding","chunked"],["add_header","response_trailers","keep-alive","x"],
  ["add_header","response_trailers","connection","close"],["add_header","response_trailers","upgrade","x"],["add_header","response_trailers","x-good","good"]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
        proxy_http_version 1.1;
        proxy_pass_trailers on;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nTrailer: x-t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nup\r\n0\r\nX-T: old\r\nX-U: 1\r\n\r\n")
--- client eval: sub { (ask("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: close\r\n\r\n") =~ /\r\n\r\n(.*)\z/s)[0] =~ s/\r//gr }
--- client_out eval: "2\nup\n0\nX-U: 1\nx-good: good\n\n"
--- guests
hostcalls: wrote a header of the response's trailers that cannot be sent: "x-new"; it is left out
--- no_error_log eval: $::trap



=== TEST 8: after the header is sent, nothing ends for a header that would have no effect
--- filter
{"response_body":[["if_end_of_stream",[["set_header","response","x-old",{"hex":"0a"}]]]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
        proxy_buffering off;
    }
--- upstream eval
Filtered::reply(Filtered::slowly(0.3, "HTTP/1.1 200 OK\r\nX-Old: old\r\nContent-Length: 4\r\n\r\n12", "34"))
--- client eval: sub { my $connection = connection(); $connection->write("GET / HTTP/1.1\r\nHost: h\r\n\r\n"); $connection->answer }
--- client_out chomp
200 1234
--- no_error_log eval: $::trap
