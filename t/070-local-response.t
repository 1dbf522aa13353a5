# Responses that a filter sends itself, from each callback of a request.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;
use Time::HiRes ();

# Answers "from upstream" and counts: GET /hits is the number of requests but these.
our $counting = do {
    my $hits = 0;
    sub {
        my $connection = shift;
        my ($head) = $connection->message;
        my $body = $head =~ m{^GET /hits } ? $hits : do { $hits++; "from upstream\n" };
        $connection->write("HTTP/1.1 200 OK\r\nX-Upstream: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Encoding: odd\r\nETag: \"up\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:01 GMT\r\n"
            . "Cache-Control: private\r\nAccept-Ranges: bytes\r\nContent-Type: application/x-up\r\nContent-Length: " . length($body) . "\r\n\r\n" . ($head =~ /^HEAD/ ? '' : $body));
    };
};

our $hits = 'location /hits { proxy_pass http://up; }';

# The whole answer, with what differs from run to run made constant.
sub whole {
    my $text = ask(@_);
    $text =~ s/\r//g;
    $text =~ s/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/TIME/g;
    $text =~ s{nginx/[0-9.]+}{nginx/VERSION}g;
    return $text;
}

sub hits { return (connection_answer('/hits') =~ /(\d+)\z/)[0] }

sub connection_answer {
    my $connection = connection();
    $connection->write("GET $_[0] HTTP/1.1\r\nHost: h\r\n\r\n");
    return $connection->answer;
}

run_tests();

__DATA__

=== TEST 1: from the request headers: exactly the body, text/plain, no newline, and the upstream is not contacted
--- filter
{"request_headers":[["local_response",418,[],"teapot"]]}
--- config eval: "$Filtered::proxied $::hits"
--- upstream eval: $::counting
--- client eval: sub { ::whole("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") . "\nhits " . ::hits() . "\n" }
--- client_out eval
qr{\AHTTP/1\.1 418 ?\nServer: nginx/VERSION\nDate: TIME\nContent-Type: text/plain\nContent-Length: 6\nConnection: close\n\nteapot\nhits 0\n\z}



=== TEST 2: headers: repeated ones, an own content-type, an own length that is ignored
--- filter
{"request_headers":[["local_response",200,[["X-One","1"],["Set-Cookie","a=1"],["set-cookie","b=2"],["Content-Type","application/json; charset=utf-8"],["Content-Length","999"],["x-empty",""]],"{}"]]}
--- config eval: "charset koi8-r;$Filtered::proxied"
--- client eval: sub { ::whole("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") }
--- client_out chomp
HTTP/1.1 200 OK
Server: nginx/VERSION
Date: TIME
Content-Type: application/json; charset=utf-8
Content-Length: 2
Connection: close
X-One: 1
Set-Cookie: a=1
set-cookie: b=2
x-empty: 

{}



=== TEST 3: an empty body, for HTTP/1.0, 1.1 and HEAD, and the connection goes on
--- filter
{"request_headers":[["local_response",403,[],""]]}
--- client eval
sub {
    my $ten = ::whole("GET / HTTP/1.0\r\n\r\n");
    my $connection = connection();
    my $got = $ten =~ m{\AHTTP/1\.1 403 Forbidden\n.*^Content-Length: 0\n.*\n\n\z}ms ? "1.0 right\n" : "1.0: $ten\n";
    for my $method (qw(GET HEAD GET)) {
        $connection->write("$method / HTTP/1.1\r\nHost: h\r\n\r\n");
        my ($head, $body) = $connection->message(head => $method eq 'HEAD');
        my ($length) = $head =~ /^Content-Length: (\d+)/m;
        $got .= "$method $length [$body]" . ($head =~ /^Content-Type/m ? ' typed' : '') . "\n";
    }
    $got;
}
--- client_out
1.0 right
GET 0 []
HEAD 0 []
GET 0 []



=== TEST 4: HEAD gets the headers and length of the body, HTTP/1.0 gets the body
--- filter
{"request_headers":[["local_response",200,[["x","1"]],"body"]]}
--- client eval
sub {
    my $head = ::whole("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $ten = ::whole("GET / HTTP/1.0\r\n\r\n");
    ($head . 'body' eq $ten ? 'same but the body' : "[$head] and [$ten]") . ($head =~ /^Content-Length: 4\n/m ? ', length 4' : '');
}
--- client_out eval: 'same but the body, length 4'



=== TEST 5: a long body of 2 MB arrives whole
--- filter eval
# The configuration is read from a file, and may be long.
'{"request_headers":[["local_response",200,[],"' . ('0123456789abcdef' x 131072) . '"]]}'
--- client eval: sub { my $answer = ::connection_answer('/'); $answer eq '200 ' . '0123456789abcdef' x 131072 ? 'right' : 'wrong ' . length $answer }
--- client_out eval: 'right'



=== TEST 6: from the request body, at its first chunk and at its end: the upstream is not contacted, the connection goes on
--- filter
{"trace":true,"request_body":[["if_path","/chunk",[["local_response",200,[],"chunk"]]]],"request_body_end":[["if_path","/end",[["local_response",201,[],"end"]]]]}
--- config eval: "client_body_buffer_size 1k; $Filtered::proxied $::hits"
--- upstream eval: $::counting
--- client eval
sub {
    my $connection = connection();
    my $got = '';
    for my $path (qw(/chunk /end)) {
        $connection->write("POST $path HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" . 'x' x 200000);
        $got .= $connection->answer . ' ';
    }
    $connection->write("POST /chunk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
    $got . $connection->answer . ' hits ' . ::hits();
}
--- client_out eval: '200 chunk 201 end 200 chunk hits 0'
--- guests_like eval: qr/body id=2/
--- guests eval: qr/\Ahostcalls: on_request_body id=2 size=\d+ eos=false\nhostcalls: on_response_body id=2 size=5 eos=true\n\z/



=== TEST 7: from the response headers: status, headers and body are all replaced
--- filter
{"response_headers":[["local_response",503,[["x-mine","1"]],"mine"]]}
--- upstream eval: $::counting
--- client eval: sub { ::whole("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") }
--- client_out chomp
HTTP/1.1 503 Service Temporarily Unavailable
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 4
Connection: close
x-mine: 1

mine



=== TEST 8: from the response headers of a file, of `return`, of a redirect and of an error: nothing of them is left
--- filter
{"response_headers":[["local_response",200,[],"mine"]]}
--- config
    location /file { @filter; alias html/f.txt; }
    location /return { @filter; return 404 "gone"; }
    location /redirect { @filter; return 301 /x; }
    location /error { @filter; return 500; }
    location /gzip { @filter; gzip on; gzip_min_length 1; gzip_types *; return 200 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; }
    location /buffered { @filter; proxy_pass http://up; }
    location /unbuffered { @filter; proxy_buffering off; proxy_pass http://up; }
--- user_files
>>> f.txt
text
--- upstream eval: $::counting
--- client eval
sub {
    my %seen;
    for my $path (qw(/file /return /redirect /error /gzip /buffered /unbuffered)) {
        $seen{::whole("GET $path HTTP/1.0\r\n\r\n")} .= $path;
    }
    CORE::join '', map { "$seen{$_}\n$_\n" } keys %seen;
}
--- client_out
/file/return/redirect/error/gzip/buffered/unbuffered
HTTP/1.1 200 OK
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 4
Connection: close

mine



=== TEST 9: from the first response body callback: the headers had not been sent, all is replaced
--- filter
{"response_body":[["local_response",500,[["x-mine","1"]],"mine"]]}
--- upstream eval: $::counting
--- client eval: sub { ::whole("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") }
--- client_out chomp
HTTP/1.1 500 Internal Server Error
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 4
Connection: close
x-mine: 1

mine



=== TEST 10: from the end of a paused response body: nothing of it is sent
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]],"response_body_end":[["local_response",502,[],"mine"]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.1;
Filtered::reply("HTTP/1.1 200 OK\r\nX-Up: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Filtered::slowly($pause, "3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"))
--- client eval: sub { ::whole("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") }
--- client_out chomp
HTTP/1.1 502 Bad Gateway
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 4
Connection: close

mine



=== TEST 11: from a second body chunk, when the headers have been sent: the connection ends, with an error line, no mixed output
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["local_response",502,[],"mine"]]}
--- config
    keepalive_timeout 2s;
    location / {
        @filter;
        proxy_buffering off;
        proxy_pass http://up;
    }
    location /next { return 200 "next"; }
--- upstream eval
my $pause = 0.2;
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", Filtered::slowly($pause, 'one', 'two'))
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $text = $connection->rest;
    $text =~ s/.*?\r\n\r\n//s;
    $text;
}
--- client_out eval: qr/\A3\r\none\r\n(?:3\r\ntwo\r\n)?(?:\(reset\))?\z/
--- error_log: a filter's local response came after the response headers were sent
--- no_error_log eval: $Filtered::alive



=== TEST 12: a local response with a status that cannot be sent is a 500; 999 is the last that can
--- filter eval
'{"request_headers":[' . CORE::join(',', map { qq(["if_path","/$_/",[["local_response",$_,[],"x"],["action","pause"]]]) } 0, 99, 100, 199, 1000, -1, 999) . ']}'
--- upstream eval: $::counting
--- client eval: sub { CORE::join ' ', map { ::connection_answer("/$_/") } 0, 99, 100, 199, 1000, -1, 999 }
--- client_out chomp
500 x 500 x 500 x 500 x 500 x 500 x 999 x
--- guests eval
rows(map { "hostcalls: sent a local response with the status $_, which cannot be sent; it becomes 500" } 0, 99, 100, 199, 1000, 4294967295)
--- no_error_log eval: $Filtered::alive



=== TEST 13: the first of two local responses wins, in one callback
--- filter
{"request_headers":[["local_response",201,[["x","1"]],"first"],["local_response",202,[["y","2"]],"second"]]}
--- request
GET /
--- error_code: 201
--- response_headers
x: 1
! y
--- response_body chomp
first
--- guests eval: ''



=== TEST 14: 204 and 304 have no body, whatever the filter gave; the connection goes on
--- filter
{"request_headers":[["if_path","/204",[["local_response",204,[["x","1"]],"body"]]],["if_path","/304",[["local_response",304,[["etag","\"e\""]],"body"]]],["if_path","/200",[["local_response",200,[],"ok"]]]]}
--- client eval
sub {
    my $connection = connection();
    $connection->write(CORE::join '', map { "GET $_ HTTP/1.1\r\nHost: h\r\n\r\n" } qw(/204 /304 /200));
    my $got = '';
    for (1 .. 3) {
        my ($head, $body) = $connection->message;
        $got .= ($head =~ m{^HTTP/1.1 (\d+)})[0] . ($head =~ /^(?:x: 1|etag: "e")\r$/mi ? ' headed' : '') . ($head =~ /^Transfer-Encoding/mi ? ' chunked' : '') . " [$body]\n";
    }
    $got;
}
--- client_out
204 headed []
304 headed []
200 [ok]



=== TEST 15: a header that cannot be sent is left out, never split into two
--- filter
{"request_headers":[["local_response",200,[["x-good","1"],["x-bad",{"hex":"610d0a582d45766c3a2031"}],["bad name","1"],[":status","500"]],"ok"]]}
--- client eval: sub { CORE::join '', grep { /^(?:HTTP|x-|bad|:|ok)/i } split /^/, ::whole("GET / HTTP/1.0\r\n\r\n") }
--- client_out eval
qr/\AHTTP\/1\.1 200 OK\nx-good: 1\nok\z/



=== TEST 16: error_page does not replace a local response, in the request nor in the response phase
--- filter
{"request_headers":[["if_path","/request",[["local_response",503,[],"mine"]]]],"response_headers":[["if_path","/response",[["local_response",503,[],"mine"]]]]}
--- config
    error_page 503 /error;
    location / {
        @filter;
        proxy_intercept_errors on;
        proxy_pass http://up;
    }
    location /error { return 200 "error page"; }
--- upstream eval: $::counting
--- client eval: sub { ::connection_answer('/request') . ' ' . ::connection_answer('/response') }
--- client_out eval: '503 mine 503 mine'



=== TEST 17: a local response of the request passes the response filters, those of its own sender too
--- filter
{"trace":true,"request_headers":[["local_response",200,[["x","1"]],"local"]],"response_headers":[["log_header","response","x"],["log_header","response",":status"],["add_header","response","x-filtered","1"]],"response_body":[["log_body","response",0,-1]]}
--- request
GET /
--- response_headers
x-filtered: 1
--- response_body chomp
local
--- guests_like eval: qr/response|body/
--- guests
hostcalls: on_response_headers id=2 count=7 eos=false
hostcalls: response x=1
hostcalls: response :status=200
hostcalls: on_response_body id=2 size=5 eos=true
hostcalls: body response 0 4294967295 = local



=== TEST 18: a local response of the request can be replaced by one of the response
--- filter
{"request_headers":[["local_response",200,[["x","1"]],"first"]],"response_headers":[["local_response",201,[["y","2"]],"second"]]}
--- request
GET /
--- error_code: 201
--- response_headers
y: 2
! x
--- response_body chomp
second



=== TEST 19: add_header always and gzip work on local responses as on others
--- filter
{"request_headers":[["local_response",200,[["content-type","text/html"]],"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]]}
--- config
    location / {
        @filter;
        add_header X-Conf c;
        gzip on;
        gzip_min_length 1;
        proxy_pass http://up;
    }
--- client eval: sub { output_of('curl', '-sS', '--compressed', "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/") . CORE::join '', grep { /^(?:x-conf|content-encoding)/i } split /^/, ::whole("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n") }
--- client_out eval: 'a' x 61 . "X-Conf: c\nContent-Encoding: gzip\n"



=== TEST 20: an unread request body is discarded: the next request of the connection works, pipelined or later
--- filter
{"request_headers":[["if_header","request",":method","POST",[["local_response",403,[],"no"]]]]}
--- config eval: "$Filtered::proxied $::hits"
--- upstream eval: $::counting
--- client eval
sub {
    my $connection = connection();
    $connection->write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" . 'x' x 100000 . "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    my $got = CORE::join ' ', map { $connection->answer } 1 .. 3;
    # Answered before its body has come.
    $connection->write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    $got .= $connection->answer . ' ';
    $connection->write("lloGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    $got . $connection->answer . 'hits ' . ::hits();
}
--- client_out eval: "403 no 403 no 200 from upstream\n403 no 200 from upstream\nhits 2"



=== TEST 21: Expect: 100-continue is answered by the local response
--- filter
{"request_headers":[["local_response",403,[],"no"]]}
--- client eval
sub {
    my $connection = connection();
    $connection->write("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    my ($head, $body) = $connection->message;
    ($head, $body) = $connection->message if $head =~ m{^HTTP/1.1 100};
    ($head =~ m{^HTTP/1.1 (\d+)})[0] . " $body";
}
--- client_out eval: '403 no'



=== TEST 22: pipelined requests behind a local response are answered in order
--- filter
{"request_headers":[["if_path","/local",[["local_response",200,[],"local"]]]],"response_headers":[["if_path","/replaced",[["local_response",200,[],"replaced"]]]]}
--- upstream eval: $::counting
--- client eval
sub {
    my $connection = connection();
    $connection->write(CORE::join '', map { "GET $_ HTTP/1.1\r\nHost: h\r\n\r\n" } qw(/local /up /replaced /local /replaced /up));
    CORE::join ' ', map { $connection->answer } 1 .. 6;
}
--- client_out eval: "200 local 200 from upstream\n 200 replaced 200 local 200 replaced 200 from upstream\n"



=== TEST 23: gRPC requests get their status in grpc-status, from HTTP's or the filter's own
--- filter
{"request_headers":[["if_path","/own",[["local_response",403,[],"no way",5]]],["if_path","/403",[["local_response",403,[],"a\u00e4%"]]],["if_path","/200",[["local_response",200,[["x","1"]],""]]],["if_path","/503",[["local_response",503,[],""]]]]}
--- client eval
sub {
    CORE::join '', map { my $text = ::whole("POST $_ HTTP/1.0\r\nContent-Type: application/grpc+proto\r\nContent-Length: 0\r\n\r\n"); "$_ " . CORE::join('|', ($text =~ m{^HTTP/1.1 (\d+)}), map { s/\n//r } grep { /^(?:grpc|content-type|x:)/ } split /^/, lc $text) . ' ' . ($text =~ /\n\n(.*)\z/s)[0] . "\n" } qw(/own /403 /200 /503);
}
--- client_out eval
<<'_EOC_';
/own 200|content-type: application/grpc|grpc-status: 5|grpc-message: no way 
/403 200|content-type: application/grpc|grpc-status: 7|grpc-message: a%c3%a4%25 
/200 200|content-type: application/grpc|x: 1|grpc-status: 0 
/503 200|content-type: application/grpc|grpc-status: 14 
_EOC_



=== TEST 24: a local response in on_log, on_done, on_configure and on_context_create of the root is refused or has no effect
--- filter
{"configure":[["local_response",500,[],"x"]],"log":[["local_response",500,[],"x"]],"done":[["local_response",500,[],"x"]],"delete":[["local_response",500,[],"x"]]}
--- upstream eval: $::counting
--- config
    location / {
        @filter;
        proxy_pass http://up;
    }
--- client eval: sub { my $got = ::connection_answer('/') . ::connection_answer('/'); log_has(qr/(?:local_response 500: status 2.*){4}/s); $got }
--- client_out eval: "200 from upstream\n200 from upstream\n"
--- guests_like eval: qr/./
--- guests eval: qr/\A(?:hostcalls: local_response 500: status 2\n){4,6}\z/



=== TEST 25: a local response while paused in the same callback: it is sent, the pause does not hold it
--- filter
{"request_headers":[["if_path","/request",[["local_response",200,[],"request"],["action","pause"]]]],"response_headers":[["if_path","/response",[["local_response",200,[],"response"],["action","pause"]]]]}
--- upstream eval: $::counting
--- client eval: sub { ::connection_answer('/request') . ' ' . ::connection_answer('/response') }
--- client_out eval: '200 request 200 response'



=== TEST 26: wasm_filter_phase access: the same answers, also with auth that would refuse or grant
--- filter
{"request_headers":[["local_response",401,[["www-authenticate","X"]],"mine"]]}
--- config
    location / {
        wasm_filter_phase access;
        @filter;
        proxy_pass http://up;
    }
    location /any {
        wasm_filter_phase access;
        satisfy any;
        allow 127.0.0.1;
        @filter;
        proxy_pass http://up;
    }
    location /all {
        wasm_filter_phase access;
        satisfy all;
        allow 127.0.0.1;
        @filter;
        proxy_pass http://up;
    }
--- upstream eval: $::counting
--- client eval: sub { CORE::join ' ', map { ::connection_answer($_) } qw(/ /any /all) }
--- client_out eval: '401 mine 401 mine 401 mine'



=== TEST 27: a local response of each fault_injection sample is exactly its body
--- http_config
    wasm_module fault    $TEST_NGINX_FILTERS/fault_injection.wasm;
    wasm_module fault_as $TEST_NGINX_FILTERS/fault_injection_as.wasm;
--- config
    location /rust { wasm_filter fault    '{"body":"hello world","http_status":200}'; proxy_pass http://up; }
    location /as   { wasm_filter fault_as '{"body":"hello world","http_status":200}'; proxy_pass http://up; }
--- client eval: sub { ::connection_answer('/rust') . '|' . ::connection_answer('/as') }
--- client_out eval: '200 hello world|200 hello world'



=== TEST 28: an upstream that sends on for long does not hold up the client behind a local response
--- filter
{"response_headers":[["if_path","/headers",[["local_response",200,[],"headers"]]]],"response_body":[["if_path","/body",[["local_response",200,[],"body"]]]]}
--- config
    keepalive_timeout 5s;
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
    location /headers/unbuffered {
        @filter;
        proxy_buffering off;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
    location /body/unbuffered {
        @filter;
        proxy_buffering off;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
    location /next { return 200 "next"; }
--- upstream eval
my $pause = 0.1;
sub {
    my $connection = shift;
    $connection->message;
    # In one piece: a head alone would be flushed to the client without proxy_buffering.
    $connection->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n");
    # Until the other side goes, for minutes at most.
    for (1 .. 1200) {
        $connection->write("4\r\nmore\r\n") or last;
        select undef, undef, undef, $pause;
    }
}
--- client eval
sub {
    CORE::join '', map {
        my $connection = connection();
        my $start = Time::HiRes::time();
        $connection->write("GET $_ HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        my $got = $connection->answer . ' ' . $connection->answer;
        my $soon = Time::HiRes::time() - $start < 60 ? 'soon' : 'late';
        "$_ $got $soon\n";
    } qw(/headers /headers/unbuffered /body /body/unbuffered);
}
--- client_out
/headers 200 headers 200 next soon
/headers/unbuffered 200 headers 200 next soon
/body 200 body 200 next soon
/body/unbuffered 200 body 200 next soon
--- no_error_log eval: $Filtered::alive



=== TEST 29: Connection: close among the headers of a local response ends the connection behind it, with one such line
--- filter
{"response_headers":[["local_response",200,[["Connection","close"]],"bye"]]}
--- config
    keepalive_timeout 5s;
    location / { @filter; return 200 "text"; }
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    my $text = $connection->rest;
    my $answers = () = $text =~ /HTTP\/1\.1 200/g;
    my $lines = () = $text =~ /^Connection: close\r$/mgi;
    "$answers $lines " . ($text =~ /bye\z/ ? 'bye' : $text);
}
--- client_out eval: '1 1 bye'



=== TEST 30: a long local response of each response callback to a client that reads slowly: whole, and the connection goes on
--- filter eval
my $body = '0123456789abcdef' x 131072;
qq({"response_headers":[["if_path","/headers",[["local_response",200,[],"$body"]]]],"response_body":[["if_path","/body",[["local_response",200,[],"$body"]]]]})
--- upstream eval: $::counting
--- client eval
sub {
    CORE::join '', map {
        my $connection = connection();
        $connection->write("GET $_ HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        select undef, undef, undef, 0.3;
        my $got = $connection->answer;
        "$_ " . ($got eq '200 ' . '0123456789abcdef' x 131072 ? 'right ' : 'wrong ' . length $got) . $connection->answer;
    } qw(/headers /body);
}
--- client_out
/headers right 200 from upstream
/body right 200 from upstream
