# The response header map: what a filter reads of responses that nginx makes and of the upstream's,
# and what its changes do on the wire.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;

# Head of the answer to a GET, without what differs from run to run.
sub head {
    my ($target, $version, $lines) = @_;
    my ($head) = ask("GET $target HTTP/$version\r\nHost: h\r\nConnection: close\r\n" . ($lines // '') . "\r\n") =~ /\A(.*?\r\n)\r\n/s;
    $head =~ s/\r\n/\n/g;
    $head =~ s/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/TIME/g;
    $head =~ s{nginx/[0-9.]+}{nginx/VERSION}g;
    $head =~ s/"[0-9a-f]+-[0-9a-f]+"/"ETAG"/g;
    return $head;
}

our $upstream = "HTTP/1.1 200 OK\r\nServer: up/1\r\nX-One: 1\r\nSet-Cookie: a=1; Path=/\r\nX-Twice: a\r\nset-cookie: b=2\r\nx-twice: b\r\nX-Empty:\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nup\n";

run_tests();

__DATA__

=== TEST 1: all pairs of a response of nginx's own: status, the lines it keeps apart, lower-case names
--- filter
{"response_headers":[["remove_header","response","date"],["log_headers","response"]]}
--- config
    location / {
        @filter;
        server_tokens off;
        return 203 "text\n";
    }
--- request
GET /
--- guests
hostcalls: response has 5 pairs
hostcalls: response :status=203
hostcalls: response server=nginx
hostcalls: response content-type=text/plain
hostcalls: response content-length=5
hostcalls: response connection=close
--- error_code: 203



=== TEST 2: all pairs of an upstream's response, repeated and empty ones too, in its order
--- filter
{"response_headers":[["remove_header","response","date"],["log_headers","response"]]}
--- upstream eval
Filtered::reply($::upstream)
--- request
GET /
--- guests
hostcalls: response has 11 pairs
hostcalls: response :status=200
hostcalls: response content-type=text/plain
hostcalls: response content-length=3
hostcalls: response connection=close
hostcalls: response x-one=1
hostcalls: response set-cookie=a=1; Path=/
hostcalls: response x-twice=a
hostcalls: response set-cookie=b=2
hostcalls: response x-twice=b
hostcalls: response x-empty=
--- guests_like eval: qr/^(?!.*server=)/
--- response_body
up



=== TEST 3: get: any case, the first of repeated lines, an empty value, a missing one
--- filter
{"response_headers":[
  ["log_header","response","x-one"],["log_header","response","X-ONE"],["log_header","response","X-Twice"],["log_header","response","Set-Cookie"],
  ["log_header","response","x-empty"],["log_header","response","x-none"],["log_header","response",":status"],["log_header","response",":STATUS"],
  ["log_header","response",":path"],["log_header","response",""],["log_header","response","CONTENT-length"]]}
--- upstream eval
Filtered::reply($::upstream)
--- request
GET /
--- guests
hostcalls: response x-one=1
hostcalls: response X-ONE=1
hostcalls: response X-Twice=a
hostcalls: response Set-Cookie=a=1; Path=/
hostcalls: response x-empty=
hostcalls: response x-none: status 1
hostcalls: response :status=200
hostcalls: response :STATUS=200
hostcalls: response :path: status 1
hostcalls: response : status 1
hostcalls: response CONTENT-length=3



=== TEST 4: add appends a line, also another Set-Cookie, and leaves the others alone
--- filter
{"response_headers":[["add_header","response","X-New","n"],["add_header","response","X-one","2"],["add_header","response","Set-Cookie","c=3"],["add_header","response","X-None",""]]}
--- upstream eval
Filtered::reply($::upstream)
--- client eval
sub { ::head('/', '1.1') }
--- client_out
HTTP/1.1 200 OK
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 3
Connection: close
X-One: 1
Set-Cookie: a=1; Path=/
X-Twice: a
set-cookie: b=2
x-twice: b
X-Empty: 
X-New: n
X-one: 2
Set-Cookie: c=3
X-None: 



=== TEST 5: replace leaves one line, remove drops all lines of the name, in any case
--- filter
{"response_headers":[["set_header","response","X-TWICE","new"],["remove_header","response","SET-cookie"],["set_header","response","X-Absent","there"],["remove_header","response","x-nothing"],["set_header","response","x-one",""],
  ["log_header","response","set-cookie"]]}
--- upstream eval
Filtered::reply($::upstream)
--- client eval
sub { ::head('/', '1.1') }
--- client_out
HTTP/1.1 200 OK
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 3
Connection: close
X-One: 
X-Twice: new
X-Empty: 
X-Absent: there
--- guests
hostcalls: response set-cookie: status 1



=== TEST 6: replace of repeated Set-Cookie leaves one
--- filter
{"response_headers":[["set_header","response","set-cookie","only=1"],["log_header","response","set-cookie"]]}
--- upstream eval
Filtered::reply($::upstream)
--- client eval
sub { CORE::join('', grep { /cookie/i } split /^/, ::head('/', '1.1')) }
--- client_out
Set-Cookie: only=1
--- guests
hostcalls: response set-cookie=only=1



=== TEST 7: set_pairs replaces the whole map and the status
--- filter
{"response_headers":[["set_headers","response",[[":status","202"],["x-a","1"],["X-A","2"],["content-type","a/b"],["content-length","3"],["set-cookie","x=1"],["set-cookie","y=2"]]],["log_headers_size","response"]]}
--- upstream eval
Filtered::reply($::upstream)
--- client eval
sub { ::head('/', '1.1') }
--- client_out
HTTP/1.1 202 Accepted
Content-Type: a/b
Content-Length: 3
Connection: close
x-a: 1
X-A: 2
set-cookie: x=1
set-cookie: y=2



=== TEST 8: set_pairs with one bad pair changes nothing at all
--- filter
{"response_headers":[
  ["set_headers","response",[["x-good","1"],["bad name","2"]]],
  ["set_headers","response",[["x-good","1"],["x-bad",{"hex":"610d0a62"}]]],
  ["set_headers","response",[["x-good","1"],[":status","abc"]]],
  ["set_headers","response",[["x-good","1"],[":path","/x"]]],
  ["set_headers","response",[["x-good","1"],["content-length","many"]]]]}
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nX-Old: 1\r\nContent-Length: 3\r\n\r\nup\n")
--- client eval
sub { ::head('/', '1.1') }
--- client_out
HTTP/1.1 200 OK
Server: nginx/VERSION
Date: TIME
Content-Length: 3
Connection: close
X-Old: 1
--- guests
hostcalls: set_headers response: status 2
hostcalls: set_headers response: status 2
hostcalls: set_headers response: status 2
hostcalls: set_headers response: status 2
hostcalls: set_headers response: status 2



=== TEST 9: the size of the serialized map, as many bytes as the pairs make
--- filter
{"response_headers":[["set_headers","response",[["x-a","123"],["b",""]]],["log_headers","response"],["log_headers_size","response"]]}
--- config
    location / {
        @filter;
        return 200;
    }
--- request
GET /
--- guests eval
my %pairs = (':status' => '200', 'transfer-encoding' => 'chunked', connection => 'close', 'x-a' => '123', b => '');
my $size = 4;
$size += 10 + length for map { $_ . $pairs{$_} } keys %pairs;
qr/^hostcalls: response size $size$/m
--- guests_like eval: qr/./



=== TEST 10: 200 lines of the upstream are seen and passed on, 200 more are added
--- filter eval
'{"trace":true,"response_headers":[["remove_header","response","x-7"],["set_header","response","x-100","new"],' . CORE::join(',', map { qq(["add_header","response","y-$_","v$_"]) } 1 .. 200) . ']}'
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\n" . CORE::join('', map { "X-$_: $_\r\n" } 1 .. 200) . "Content-Length: 0\r\n\r\n")
--- client eval
sub { ::head('/', '1.1') }
--- client_out eval
"HTTP/1.1 200 OK\nServer: nginx/VERSION\nDate: TIME\nContent-Length: 0\nConnection: close\n"
    . CORE::join('', map { $_ == 100 ? "X-100: new\n" : "X-$_: $_\n" } grep { $_ != 7 } 1 .. 200)
    . CORE::join('', map { "y-$_: v$_\n" } 1 .. 200)
--- guests_like eval: qr/on_response_headers/
--- guests
hostcalls: on_response_headers id=2 count=205 eos=true



=== TEST 11: values long and not UTF-8 pass unchanged
--- filter eval
'{"response_headers":[["copy_header","response","x-long","response","x-copy"],["copy_header","response","x-bytes","response","x-bytes-copy"],["set_header","response","x-set",{"hex":"fffe80c328"}],["set_header","response","x-made","' . ('m' x 3000) . '"]]}'
--- config
    location / {
        @filter;
        proxy_buffer_size 32k;
        proxy_buffers 4 32k;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nX-Long: " . ('l' x 20000) . "\r\nX-Bytes: \xff\x80 \xe4\r\nContent-Length: 0\r\n\r\n")
--- client eval
sub { my $head = ::head('/', '1.1'); $head =~ s/([lm])\1{99,}/$1 . length $&/ge; $head }
--- client_out eval
"HTTP/1.1 200 OK\nServer: nginx/VERSION\nDate: TIME\nContent-Length: 0\nConnection: close\nX-Long: l20000\nX-Bytes: \xff\x80 \xe4\nx-copy: l20000\nx-bytes-copy: \xff\x80 \xe4\nx-set: \xff\xfe\x80\xc3\x28\nx-made: m3000\n"



=== TEST 12: CR, LF and NUL in names and values are refused, whatever the line, and never sent
--- filter
{"response_headers":[
  ["add_header","response","x-a",{"hex":"610d0a582d45766c3a2031"}],["set_header","response","x-a",{"hex":"610a62"}],["add_header","response","x-a",{"hex":"610d"}],["set_header","response","x-a",{"hex":"00"}],
  ["add_header","response",{"hex":"780d0a79"},"v"],["set_header","response",{"hex":"7800"},"v"],["add_header","response","","v"],["add_header","response","a b","v"],["add_header","response","a:","v"],["set_header","response",":x","v"],
  ["set_header","response","content-type",{"hex":"610d0a62"}],["set_header","response","location",{"hex":"2f0d0a"}],["set_header","response","server",{"hex":"0a"}],
  ["set_header","response","etag",{"hex":"0d"}],["set_header","response","last-modified",{"hex":"0d"}],["set_header","response","connection",{"hex":"636c6f73650d0a"}],
  ["set_header","response","transfer-encoding",{"hex":"0d0a"}],["set_header","response","content-length",{"hex":"330d0a"}],["set_header","response",":status",{"hex":"3230300d0a"}]]}
--- config
    location / {
        @filter;
        return 200 "ok";
    }
--- client eval
sub { ::head('/', '1.1') }
--- client_out
HTTP/1.1 200 OK
Server: nginx/VERSION
Date: TIME
Content-Type: text/plain
Content-Length: 2
Connection: close
--- guests eval
my @calls = ((map { "$_ x-a" } qw(add_header set_header add_header set_header)), 'add_header x\x0d\x0ay', 'set_header x\x00', 'add_header ', 'add_header a b', 'add_header a:', 'set_header :x',
    map { "set_header $_" } qw(content-type location server etag last-modified connection transfer-encoding content-length :status));
CORE::join '', map { s/ / response /; "hostcalls: $_: status 2\n" } @calls



=== TEST 13: there are no response headers in the request callbacks: not found, changes are refused with status 2, and nothing changes
--- filter
{"request_headers":[["log_header","response",":status"],["add_header","response","x-early","1"],["remove_header","response","x"],["set_headers","response",[["x","y"]]]],
 "request_body":[["set_header","response","x-early","1"],["log_header","response","server"]],
 "response_headers":[["add_header","response_trailers","bad name","1"],["log_header","call_response","x"],["add_header",77,"x","1"]],
 "response_body":[["log_header","request_trailers","x"]]}
--- request
POST /
hello
--- guests
hostcalls: response :status: status 1
hostcalls: add_header response x-early: status 2
hostcalls: remove_header response x: status 2
hostcalls: set_headers response: status 2
hostcalls: set_header response x-early: status 2
hostcalls: response server: status 1
hostcalls: add_header response_trailers bad name: status 2
hostcalls: call_response x: status 1
hostcalls: add_header 77 x: status 2
hostcalls: request_trailers x: status 1
--- raw_response_headers_unlike: early



=== TEST 14: response headers can be read in the body and log callbacks, and no longer changed in log
--- filter
{"response_body_end":[["log_header","response",":status"],["log_header","response","content-type"],["log_header","response","x-one"]],
 "log":[["log_header","response",":status"],["log_header","response","x-one"],["log_header","response","x-added"],["log_header","response","content-length"]],
 "response_headers":[["set_header","response","x-added","a"]]}
--- upstream eval
Filtered::reply($::upstream)
--- request
GET /
--- wait: 0.1
--- guests
hostcalls: response :status=200
hostcalls: response content-type=text/plain
hostcalls: response x-one=1
hostcalls: response :status=200
hostcalls: response x-one=1
hostcalls: response x-added=a
hostcalls: response content-length=3



=== TEST 15: headers changed in the first body callback still reach the client
--- filter
{"response_body":[["set_header","response","x-late","1"],["set_header","response",":status","201"]]}
--- request
GET /
--- error_code: 201
--- response_headers
x-late: 1



=== TEST 16: :status is set, with its reason, of a proxied and of nginx's own response; bad ones are refused
--- filter
{"response_headers":[["set_header","response",":status","99"],["set_header","response",":status","1000"],["set_header","response",":status","x"],["set_header","response",":status",""],["set_header","response",":status","100"],
  ["if_path","/418",[["set_header","response",":status","418"]]],["if_path","/404",[["add_header","response",":status","404"]]],["log_header","response",":status"]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
    }
    location /404 {
        @filter;
        return 200 "text";
    }
--- client eval
sub { CORE::join('', map { (split /^/, ::head($_, '1.1'))[0] } qw(/418 /404)) }
--- client_out eval: qr{\AHTTP/1\.1 418 ?\nHTTP/1\.1 404 Not Found\n\z}
--- guests_like eval: qr/=/
--- guests
hostcalls: response :status=418
hostcalls: response :status=404



=== TEST 17: :status 204 and 304 set on a response with a body: no body, and the connection goes on
--- filter
{"response_headers":[["if_path","/204",[["set_header","response",":status","204"]]],["if_path","/304",[["set_header","response",":status","304"]]]]}
--- config
    location / {
        @filter;
        return 200 "text";
    }
--- client eval
sub {
    my $connection = connection();
    my $got = '';
    for my $path (qw(/204 /304 /200)) {
        $connection->write("GET $path HTTP/1.1\r\nHost: h\r\n\r\n");
        $got .= $connection->answer . "\n";
    }
    $got;
}
--- client_out eval: "204 \n304 \n200 text\n"



=== TEST 18: Server replaced, removed, and the upstream's not shown
--- filter
{"response_headers":[["if_path","/set",[["set_header","response","Server","mine/1"]]],["if_path","/remove",[["remove_header","response","server"]]],["if_path","/add",[["add_header","response","server","two"]]],["log_header","response","server"]]}
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nServer: up/1\r\nContent-Length: 0\r\n\r\n")
--- client eval
sub { CORE::join('', map { my @server = grep { /^Server/i } split /^/, ::head($_, '1.1'); "@server;\n" } qw(/set /remove /add /none)) }
--- client_out
Server: mine/1
;
;
server: two
;
Server: nginx/VERSION
;
--- guests eval: qr{\Ahostcalls: response server=mine/1\nhostcalls: response server: status 1\nhostcalls: response server=two\nhostcalls: response server=nginx/\S+\n\z}



=== TEST 19: Date read, replaced and removed; an upstream's Date passed by proxy_pass_header is the one read
--- filter
{"response_headers":[["if_path","/set",[["set_header","response","date","some day"]]],["if_path","/remove",[["remove_header","response","DATE"]]],["log_header","response","date"]]}
--- config
    location / {
        @filter;
        proxy_pass_header Date;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:07 GMT\r\nContent-Length: 0\r\n\r\n")
--- client eval
sub { CORE::join('', map { my @date = grep { /^Date/i } split /^/, ::head($_, '1.1'); "@date;\n" } qw(/set /remove /none)) }
--- client_out
Date: some day
;
;
Date: TIME
;
--- guests
hostcalls: response date=some day
hostcalls: response date: status 1
hostcalls: response date=Thu, 01 Jan 1970 00:00:07 GMT



=== TEST 20: Content-Type with the charset directive: read as it is sent, replaced without it, removed
--- filter
{"response_headers":[["if_path","/set",[["set_header","response","content-type","text/html"]]],["if_path","/param",[["set_header","response","content-type","text/html; charset=koi8-r"]]],["if_path","/remove",[["remove_header","response","content-type"]]],["log_header","response","content-type"]]}
--- config
    charset utf-8;
    location / {
        @filter;
        return 200 "text";
    }
--- client eval
sub { CORE::join('', map { my @type = grep { /^Content-Type/i } split /^/, ::head($_, '1.1'); "@type;\n" } qw(/none /param /remove)) }
--- client_out
Content-Type: text/plain; charset=utf-8
;
Content-Type: text/html; charset=koi8-r
;
;



=== TEST 21: Content-Type set for a file decides about gzip and sub_filter by its new value
--- filter
{"response_headers":[["set_header","response","content-type","text/html"]]}
--- config
    location / {
        @filter;
        default_type application/octet-stream;
        gzip on;
        gzip_min_length 1;
        root html;
    }
--- user_files
>>> f.bin
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
--- request
GET /f.bin
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Type: text/html
Content-Encoding: gzip



=== TEST 22: Content-Length of a file, an upstream and `return` is read
--- filter
{"response_headers":[["log_header","response","content-length"],["log_header","response","transfer-encoding"]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
    }
    location /file {
        @filter;
        alias html/f.txt;
    }
    location /return {
        @filter;
        return 200 "12";
    }
--- user_files
>>> f.txt
text
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nup\n")
--- client eval
sub { ::head('/up', '1.1'); ::head('/file', '1.1'); ::head('/return', '1.1'); 'done' }
--- client_out chomp
done
--- guests
hostcalls: response content-length=3
hostcalls: response transfer-encoding: status 1
hostcalls: response content-length=5
hostcalls: response transfer-encoding: status 1
hostcalls: response content-length=2
hostcalls: response transfer-encoding: status 1



=== TEST 23: content-length removed: chunks for HTTP/1.1, the end of the connection for 1.0, still a keep-alive for 1.1
--- filter
{"response_headers":[["remove_header","response","Content-Length"],["log_header","response","content-length"],["log_header","response","transfer-encoding"]]}
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nup\n")
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    my ($head, $body) = $connection->message;
    my $got = ($head =~ /^Transfer-Encoding: chunked\r$/m ? 'chunked ' : '') . ($head =~ /^Content-Length/mi ? 'length ' : '') . $body;
    $connection->write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    my $text = $connection->rest;
    ($head, $body) = split /\r\n\r\n/, $text, 2;
    return $got . ($head =~ /^Transfer-Encoding/mi ? 'chunked ' : '') . ($head =~ /^Content-Length/mi ? 'length ' : '')
        . ($head =~ /^Connection: close\r?$/m ? 'close ' : '') . $body;
}
--- client_out
chunked up
close up
--- guests
hostcalls: response content-length: status 1
hostcalls: response transfer-encoding=chunked
hostcalls: response content-length: status 1
hostcalls: response transfer-encoding: status 1



=== TEST 24: content-length removed from a static file and from `return`
--- filter
{"response_headers":[["remove_header","response","content-length"]]}
--- config
    location /file {
        @filter;
        alias html/f.txt;
    }
    location /return {
        @filter;
        return 200 "12";
    }
--- user_files
>>> f.txt
text
--- client eval
sub {
    my $connection = connection();
    my $got = '';
    for my $path (qw(/file /return)) {
        $connection->write("GET $path HTTP/1.1\r\nHost: h\r\n\r\n");
        my ($head, $body) = $connection->message;
        $got .= ($head =~ /^Transfer-Encoding: chunked\r$/m ? 'chunked ' : '') . ($head =~ /^Content-Length/mi ? 'length ' : '') . "$body;";
    }
    $got;
}
--- client_out eval: "chunked text\n;chunked 12;"



=== TEST 25: content-length set to another value than the body's length never frames it wrong
--- filter
{"response_headers":[["if_path","/less",[["set_header","response","content-length","2"]]],["if_path","/more",[["set_header","response","content-length","20"]]]]}
--- config
    keepalive_timeout 2s;
    location / {
        @filter;
        return 200 "12345";
    }
--- client eval
sub {
    my $got = '';
    for my $path (qw(/less /more)) {
        my $connection = connection();
        $connection->write("GET $path HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        my ($head, $body) = $connection->message;
        # Either the whole body in its right frame, or the connection ends there.
        my $rest = $connection->rest;
        my $fine = $body eq '12345' ? $rest =~ m{\AHTTP/1\.1 200 OK\r\n.*\r\n\r\n12345\z}s : $rest eq '' && $body !~ /HTTP/;
        $got .= "$path " . ($fine ? 'fine' : "[$body] then [$rest]") . "\n";
    }
    $got;
}
--- client_out
/less fine
/more fine
--- no_error_log eval: $Filtered::alive



=== TEST 26: Last-Modified and ETag of a file: read, replaced (the conditional request follows), removed
--- filter
{"response_headers":[["if_path","/set",[["set_header","response","last-modified","Thu, 01 Jan 1970 00:00:09 GMT"],["set_header","response","ETag","\"mine\""]]],["if_path","/remove",[["remove_header","response","last-modified"],["remove_header","response","etag"]]],
  ["log_header","response","last-modified"],["log_header","response","etag"]]}
--- config
    location ~ ^/(set|remove|none) {
        @filter;
        add_header X-Path $1;
        root html;
        try_files /f.txt =404;
    }
--- user_files
>>> f.txt 197001010000.42
text
--- client eval
sub {
    my $got = '';
    for my $path (qw(/set /remove /none)) {
        $got .= "$path\n" . CORE::join('', grep { /^(?:etag|last-modified)/i } split /^/, ::head($path, '1.1'));
    }
    $got;
}
--- client_out
/set
ETag: "mine"
last-modified: TIME
/remove
/none
Last-Modified: TIME
ETag: "ETAG"
--- guests_like eval: qr/1970 00:00:09|mine|status/
--- guests
hostcalls: response last-modified=Thu, 01 Jan 1970 00:00:09 GMT
hostcalls: response etag="mine"
hostcalls: response last-modified: status 1
hostcalls: response etag: status 1



=== TEST 27: a 304 of nginx for a file: the filter sees it as such, and its changes reach the client
--- filter
{"trace":true,"response_headers":[["log_header","response",":status"],["set_header","response","etag","\"mine\""],["set_header","response","x-seen","1"]]}
--- config
    location / {
        @filter;
        root html;
    }
--- user_files
>>> f.txt
text
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET /f.txt HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\n\r\nGET /f.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    my ($head) = $connection->message;
    return CORE::join('', grep { /^(?:HTTP|etag|x-seen)/i } split /^/, $head) . $connection->answer;
}
--- client_out eval: "HTTP/1.1 304 Not Modified\r\nETag: \"mine\"\r\nx-seen: 1\r\n200 text\n"
--- guests_like eval: qr/status|on_response/
--- guests
hostcalls: on_response_headers id=2 count=6 eos=true
hostcalls: response :status=304
hostcalls: on_response_headers id=3 count=8 eos=false
hostcalls: response :status=200
hostcalls: on_response_body id=3 size=5 eos=true



=== TEST 28: Location: of return 301 (absolute and relative), of the upstream; read, replaced, removed
--- filter
{"response_headers":[["log_header","response","location"],
  ["if_path","/set",[["set_header","response","Location","/elsewhere?x"]]],["if_path","/abs",[["set_header","response","location","https://other/x"]]],["if_path","/remove",[["remove_header","response","location"]]]]}
--- config
    location / {
        @filter;
        return 301 /target;
    }
    location /full {
        @filter;
        return 302 http://full.example/target;
    }
    location /up {
        @filter;
        proxy_pass http://up;
        proxy_redirect http://inside/ http://outside/;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 302 Found\r\nLocation: http://inside/p\r\nContent-Length: 0\r\n\r\n")
--- client eval
sub { CORE::join('', map { my ($location) = grep { /^Location/i } split /^/, ::head($_, '1.1'); "$_ " . ($location // "-\n") } qw(/none /full /up /set /abs /remove)) }
--- client_out eval
my $port = $ENV{TEST_NGINX_SERVER_PORT};
"/none Location: http://h:$port/target\n/full Location: http://full.example/target\n/up Location: http://outside/p\n/set Location: /elsewhere?x\n/abs Location: https://other/x\n/remove -\n"
--- guests
hostcalls: response location=/target
hostcalls: response location=http://full.example/target
hostcalls: response location=http://outside/p
hostcalls: response location=/target
hostcalls: response location=/target
hostcalls: response location=/target



=== TEST 29: Connection: read for keep-alive and close; close set by a filter closes
--- filter
{"response_headers":[["log_header","response","connection"],["if_path","/close",[["set_header","response","connection","close"]]]]}
--- config
    location / {
        @filter;
        return 200 "text";
    }
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    my ($first) = $connection->message;
    $connection->write("GET /close HTTP/1.1\r\nHost: h\r\n\r\n");
    my $rest = $connection->rest;
    ::head('/', '1.0');
    return CORE::join(' ', $first =~ /^Connection: (\S+)/m, $rest =~ /^Connection: (\S+)/m, $rest =~ /text\z/);
}
--- client_out eval: 'keep-alive close 1'
--- guests
hostcalls: response connection=keep-alive
hostcalls: response connection=keep-alive
hostcalls: response connection=close



=== TEST 30: Transfer-Encoding: visible for a chunked response; removing it does not break the framing
--- filter
{"response_headers":[["log_header","response","transfer-encoding"],["log_header","response","content-length"],["remove_header","response","transfer-encoding"]]}
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nup\n\r\n0\r\n\r\n")
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
--- request
GET /
--- response_body
up
--- response_headers
Transfer-Encoding: chunked
--- guests
hostcalls: response transfer-encoding=chunked
hostcalls: response content-length: status 1



=== TEST 31: Transfer-Encoding: chunked set by a filter, as C++ filters do: one such line, right chunks
--- filter
{"response_headers":[["remove_header","response","content-length"],["set_header","response","transfer-encoding","chunked"]]}
--- config
    location / {
        @filter;
        return 200 "text\n";
    }
--- client eval
sub { my $text = ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); my $lines = () = $text =~ /^transfer-encoding:/mgi; my ($body) = $text =~ /\r\n\r\n(.*)\z/s; "$lines $body" }
--- client_out eval: "1 5\r\ntext\n\r\n0\r\n\r\n"



=== TEST 32: add_header and expires beside the filter: both there, and the filter does not see add_header's twice
--- filter
{"response_headers":[["add_header","response","x-filter","f"],["set_header","response","cache-control","no-store"]]}
--- config
    location / {
        @filter;
        add_header X-Conf c;
        add_header X-Copy $sent_http_x_filter;
        return 200 "text";
    }
    location /expires {
        @filter;
        expires 1h;
        return 200 "text";
    }
--- client eval
sub {
    CORE::join('', grep { /^(?:x-|cache|expires)/i } split /^/, ::head('/', '1.1') . ::head('/expires', '1.1'));
}
--- client_out eval: qr/\Ax-filter: f\ncache-control: no-store\nX-Conf: c\nX-Copy: f\nx-filter: f\n(?:cache-control: \S+\nExpires: TIME\n|Expires: TIME\ncache-control: \S+\n|Expires: TIME\nCache-Control: \S+\n)\z/i



=== TEST 33: Cache-Control and other lists nginx keeps: repeated lines of the upstream, one added, all dropped
--- filter
{"response_headers":[["if_path","/add",[["add_header","response","cache-control","c"],["add_header","response","link","<l>"]]],["if_path","/remove",[["remove_header","response","cache-control"],["remove_header","response","link"],["remove_header","response","www-authenticate"],["remove_header","response","expires"],["remove_header","response","accept-ranges"]]]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
        proxy_set_header Host h;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nCache-Control: a\r\nCache-Control: b\r\nLink: <k>\r\nWWW-Authenticate: Basic\r\nExpires: 0\r\nAccept-Ranges: bytes\r\nContent-Length: 0\r\n\r\n")
--- client eval
sub {
    CORE::join('', map { "$_\n" . CORE::join('', sort grep { /^(?:cache|link|www|expires|accept)/i } split /^/, ::head($_, '1.1')) } qw(/add /remove));
}
--- client_out
/add
Accept-Ranges: bytes
Cache-Control: a
Cache-Control: b
Expires: 0
Link: <k>
WWW-Authenticate: Basic
cache-control: c
link: <l>
/remove



=== TEST 34: content-encoding of the upstream: read, and removed so that gzip compresses itself
--- filter
{"response_headers":[["log_header","response","content-encoding"],["remove_header","response","content-encoding"]]}
--- config
    location / {
        @filter;
        gzip on;
        gzip_min_length 1;
        gzip_types text/plain;
        gzip_proxied any;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Encoding: odd\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n\r\n" . 'a' x 40)
--- request
GET /
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
--- guests
hostcalls: response content-encoding=odd



=== TEST 35: $sent_http_x, $status and $upstream_http_x: the client's view and the upstream's
--- filter
{"response_headers":[["set_header","response","x-one","new"],["set_header","response",":status","299"],["remove_header","response","set-cookie"]]}
--- http_config
    log_format seen 'seen $status [$sent_http_x_one] [$upstream_http_x_one] [$sent_http_set_cookie]';
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_2;
        access_log logs/seen.log seen;
        location / {
            wasm_filter hostcalls '{"response_headers":[["set_header","response","x-one","new"],["set_header","response",":status","299"],["remove_header","response","set-cookie"]]}';
            proxy_pass http://up;
        }
    }
--- upstream eval
Filtered::reply($::upstream)
--- client eval
sub {
    ask("GET / HTTP/1.0\r\n\r\n", $ENV{TEST_NGINX_PORT_2});
    my $text = '';
    wait_for(sub { open my $file, '<', "$ENV{TEST_NGINX_SERVROOT}/logs/seen.log" or return 0; $text = <$file> // '' });
    $text;
}
--- client_out
seen 299 [new] [1] [-]



=== TEST 36: an error page of nginx passes the filter: its headers are changed too
--- filter
{"response_headers":[["log_header","response",":status"],["set_header","response","x-seen","1"],["remove_header","response","content-type"]]}
--- config
    location / {
        @filter;
        return 404;
    }
--- request
GET /
--- error_code: 404
--- response_headers
x-seen: 1
! Content-Type
--- guests
hostcalls: response :status=404



=== TEST 37: trailers that the filter adds are sent behind the chunks
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["add_header","response_trailers","x-trailer","t"]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
--- client eval
sub { my $text = ask("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n"); $text =~ /\r\n(0\r\n.*)\z/s; $1 }
--- client_out eval: "0\r\nx-trailer: t\r\n\r\n"



=== TEST 38: HTTP/1.0 and HEAD see and change the same headers
--- filter
{"response_headers":[["set_header","response","x-one","new"],["add_header","response","set-cookie","c=3"]]}
--- upstream eval
sub { my $c = shift; my ($head) = $c->message; my $text = $::upstream; $text =~ s/up\n\z// if $head =~ /^HEAD/; $c->write($text) }
--- client eval
sub {
    my $ten = ::head('/', '1.0');
    my $head = ask("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $same = sub { CORE::join('', grep { /^(?:x-one|set-cookie|content-length)/i } split /\r?\n/, $_[0]) };
    ($same->($ten) eq $same->($head) ? 'same ' : 'differ ') . $same->($head) . ($head =~ /\r\n\r\n\z/ ? '' : ' body');
}
--- client_out chomp
same Content-Length: 3X-One: newSet-Cookie: a=1; Path=/set-cookie: b=2set-cookie: c=3
