# The request header map: what a filter reads of the client's request, and what its changes do to
# the upstream's request and to nginx's own view of the request.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;

run_tests();

__DATA__

=== TEST 1: all pairs: pseudo-headers first, names in lower case, values as sent, host only as :authority
--- filter
{"request_headers":[["log_headers","request"]]}
--- request
GET /a?b=c
--- more_headers
Host: Foo.Example:99
X-MiXed: Va Lue
X-Twice: 1
x-twice: 2
Cookie: a=1
Cookie: b=2
--- guests
hostcalls: request has 10 pairs
hostcalls: request :authority=Foo.Example:99
hostcalls: request :path=/a?b=c
hostcalls: request :method=GET
hostcalls: request :scheme=http
hostcalls: request connection=close
hostcalls: request x-mixed=Va Lue
hostcalls: request x-twice=1
hostcalls: request x-twice=2
hostcalls: request cookie=a=1
hostcalls: request cookie=b=2
--- response_body_like: ^GET /a\?b=c HTTP/1\.0\nHost: up\n



=== TEST 2: get: any case of the name, the first of repeated lines, an empty value, a missing one
--- filter
{"request_headers":[
  ["log_header","request","x-one"],["log_header","request","X-ONE"],
  ["log_header","request","x-twice"],
  ["log_header","request","x-empty"],
  ["log_header","request","x-none"],
  ["log_header","request",":AUTHORITY"],["log_header","request",":nothing"],["log_header","request",""],
  ["log_header","request","host"],["log_header","request","HOST"]]}
--- request
GET /
--- more_headers
Host: A.b:1
x-One: 1
X-Twice: first
X-Twice: second
X-Empty:
--- guests
hostcalls: request x-one=1
hostcalls: request X-ONE=1
hostcalls: request x-twice=first
hostcalls: request x-empty=
hostcalls: request x-none: status 1
hostcalls: request :AUTHORITY=A.b:1
hostcalls: request :nothing: status 1
hostcalls: request : status 1
hostcalls: request host=A.b:1
hostcalls: request HOST=A.b:1



=== TEST 3: add appends a line, also to repeated X-Forwarded-For and Cookie, and leaves the others alone
--- filter
{"request_headers":[
  ["add_header","request","X-New","n"],
  ["add_header","request","x-Here","b"],
  ["add_header","request","X-Forwarded-For","2.2.2.2"],
  ["add_header","request","cookie","b=2"],
  ["add_header","request","X-Empty",""]]}
--- request
GET /
--- more_headers
X-Here: a
X-Forwarded-For: 1.1.1.1
Cookie: a=1
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
X-Here: a
X-Forwarded-For: 1.1.1.1
Cookie: a=1
X-New: n
x-Here: b
X-Forwarded-For: 2.2.2.2
cookie: b=2
X-Empty: 



=== TEST 4: replace leaves one line with the new value, and adds one where there was none
--- filter
{"request_headers":[
  ["set_header","request","X-TWICE","new"],
  ["set_header","request","cookie","c=3"],
  ["set_header","request","x-forwarded-for","3.3.3.3"],
  ["set_header","request","X-Absent","there"],
  ["set_header","request","x-emptied",""]]}
--- request
GET /
--- more_headers
X-Twice: 1
Cookie: a=1
x-twice: 2
Cookie: b=2
X-Forwarded-For: 1.1.1.1
X-Forwarded-For: 2.2.2.2
X-Emptied: full
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
X-Twice: new
Cookie: c=3
X-Forwarded-For: 3.3.3.3
X-Emptied: 
X-Absent: there



=== TEST 5: remove drops all lines of the name, in any case; removing what is not there is fine
--- filter
{"request_headers":[
  ["remove_header","request","x-tWICE"],
  ["remove_header","request","Cookie"],
  ["remove_header","request","x-forwarded-for"],
  ["remove_header","request","user-agent"],
  ["remove_header","request","x-absent"],
  ["log_header","request","x-twice"],["log_header","request","cookie"]]}
--- request
GET /
--- more_headers
X-Twice: 1
Cookie: a=1
User-Agent: me
x-twice: 2
Cookie: b=2
X-Forwarded-For: 1.1.1.1
X-Forwarded-For: 2.2.2.2
X-Stays: 1
--- guests
hostcalls: request x-twice: status 1
hostcalls: request cookie: status 1
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
X-Stays: 1



=== TEST 6: set_pairs replaces the whole map, repeated names too; pseudo-headers change what is proxied
--- filter
{"request_headers":[
  ["set_headers","request",[[":method","PUT"],[":path","/new?q"],[":authority","New.Host:5"],["x-a","1"],["X-A","2"],["empty",""]]],
  ["log_headers","request"]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
        proxy_set_header Host $http_host;
    }
--- request
GET /old
--- more_headers
X-Old: 1
Cookie: a=1
--- guests
hostcalls: request has 7 pairs
hostcalls: request :authority=New.Host:5
hostcalls: request :path=/new?q
hostcalls: request :method=PUT
hostcalls: request :scheme=http
hostcalls: request x-a=1
hostcalls: request x-a=2
hostcalls: request empty=
--- response_body
PUT /new?q HTTP/1.0
Host: New.Host:5
Connection: close
x-a: 1
X-A: 2
empty: 



=== TEST 7: set_pairs without pseudo-headers keeps them, and an empty map leaves no line
--- filter
{"request_headers":[["set_headers","request",[]],["log_headers","request"]]}
--- request
GET /old
--- more_headers
X-Old: 1
--- guests
hostcalls: request has 4 pairs
hostcalls: request :authority=localhost
hostcalls: request :path=/old
hostcalls: request :method=GET
hostcalls: request :scheme=http
--- response_body
GET /old HTTP/1.0
Host: up
Connection: close



=== TEST 8: set_pairs with one bad line changes nothing at all
--- filter
{"request_headers":[
  ["set_headers","request",[["x-good","1"],["bad name","2"]]],
  ["set_headers","request",[["x-good","1"],["x-bad",{"hex":"610d0a62"}]]],
  ["set_headers","request",[["x-good","1"],[":path","no-slash"]]],
  ["set_headers","request",[["x-good","1"],[":unknown","2"]]]]}
--- request
GET /old
--- more_headers
X-Old: 1
--- guests
hostcalls: set_headers request: status 2
hostcalls: set_headers request: status 2
hostcalls: set_headers request: status 2
hostcalls: set_headers request: status 2
--- response_body
GET /old HTTP/1.0
Host: up
Connection: close
X-Old: 1



=== TEST 9: the size of the serialized map counts every name and value
--- filter
{"request_headers":[["log_headers_size","request"]]}
--- request
GET /abc
--- more_headers
Host: h
X-A: 123
--- guests eval
# 4 for the count; 8 for the lengths and 2 for the NULs of each pair.
my %pairs = (':authority' => 'h', ':path' => '/abc', ':method' => 'GET', ':scheme' => 'http',
    connection => 'close', 'x-a' => '123');
my $size = 4;
$size += 10 + length for map { $_ . $pairs{$_} } keys %pairs;
"hostcalls: request size $size\n"



=== TEST 10: 200 lines are seen, passed on and replaced
--- filter
{"trace":true,"request_headers":[["log_header","request","x-200"],["set_header","request","x-100","new"],["remove_header","request","x-1"],["add_header","request","x-201","201"]]}
--- client eval
sub {
    ask("GET / HTTP/1.0\r\nHost: h\r\n" . CORE::join('', map { "X-$_: $_\r\n" } 1 .. 200) . "\r\n");
}
--- client_out eval
my $lines = CORE::join "\n", map { $_ == 100 ? 'X-100: new' : "X-$_: $_" } 2 .. 200;
qr/\r\n\r\nGET \/ HTTP\/1\.0\nHost: up\nConnection: close\n$lines\nx-201: 201\n\z/
--- guests_like eval: qr/on_request_headers|x-200/
--- guests
hostcalls: on_request_headers id=2 count=204 eos=true
hostcalls: request x-200=200



=== TEST 11: 200 lines added by the filter reach the upstream
--- filter eval
'{"request_headers":[' . CORE::join(',', map { qq(["add_header","request","x-$_","v$_"]) } 1 .. 200) . ']}'
--- request
GET /
--- response_body eval
CORE::join "\n", 'GET / HTTP/1.0', 'Host: up', 'Connection: close', (map { "x-$_: v$_" } 1 .. 200), ''



=== TEST 12: long values: read whole, and set
--- filter eval
'{"request_headers":[["copy_header","request","x-long","request","x-copy"],["set_header","request","x-made","' . ('m' x 9000) . '"]]}'
--- config
    large_client_header_buffers 4 32k;
    location / {
        @filter;
        proxy_pass http://up;
        proxy_buffer_size 64k;
        proxy_buffers 4 64k;
    }
--- client eval
sub { ask("GET / HTTP/1.0\r\nHost: h\r\nX-Long: " . ('l' x 20000) . "\r\n\r\n") }
--- client_out eval
my ($l, $m) = ('l' x 20000, 'm' x 9000);
qr/^X-Long: (l+)\nx-copy: (l+)\nx-made: (m+)\n\z(?(?{ length $1 == 20000 && length $2 == 20000 && length $3 == 9000 })|(?!))/m



=== TEST 13: values that are not UTF-8 pass both ways unchanged
--- filter
{"request_headers":[["log_header","request","x-bytes"],["set_header","request","x-set",{"hex":"fffe80c328"}],["copy_header","request","x-bytes","request","x-copy"]]}
--- client eval
sub { ask("GET / HTTP/1.0\r\nHost: h\r\nX-Bytes: \xff\xfe\x80\t.\r\n\r\n") }
--- client_out eval
qr/\nX-Bytes: \xff\xfe\x80\t\.\nx-set: \xff\xfe\x80\xc3\x28\nx-copy: \xff\xfe\x80\t\.\n\z/
--- guests
hostcalls: request x-bytes=\xff\xfe\x80\x09.



=== TEST 14: CR, LF and NUL in a value are refused by add and replace, and never sent
--- filter
{"request_headers":[
  ["add_header","request","x-a",{"hex":"610d0a582d45766c3a2031"}],
  ["add_header","request","x-b",{"hex":"610a62"}],
  ["add_header","request","x-c",{"hex":"610d62"}],
  ["add_header","request","x-d",{"hex":"610062"}],
  ["set_header","request","x-old",{"hex":"610a"}],
  ["set_header","request","x-old",{"hex":"610d"}],
  ["set_header","request","x-old",{"hex":"00"}],
  ["set_header","request",":authority",{"hex":"610d0a62"}],
  ["set_header","request","host",{"hex":"610a62"}]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
        proxy_set_header Host $http_host;
    }
--- request
GET /
--- more_headers
X-Old: 1
--- guests
hostcalls: add_header request x-a: status 2
hostcalls: add_header request x-b: status 2
hostcalls: add_header request x-c: status 2
hostcalls: add_header request x-d: status 2
hostcalls: set_header request x-old: status 2
hostcalls: set_header request x-old: status 2
hostcalls: set_header request x-old: status 2
hostcalls: set_header request :authority: status 2
hostcalls: set_header request host: status 2
--- response_body
GET / HTTP/1.0
Host: localhost
Connection: close
X-Old: 1



=== TEST 15: names that are no token are refused: empty, with CR LF, NUL, blank, colon, not ASCII
--- filter
{"request_headers":[
  ["add_header","request","","v"],
  ["add_header","request",{"hex":"610d0a62"},"v"],
  ["add_header","request",{"hex":"610062"},"v"],
  ["add_header","request","a b","v"],
  ["add_header","request","a:b","v"],
  ["set_header","request",{"hex":"e4"},"v"],
  ["set_header","request","","v"],
  ["set_header","request",":nothing","v"],
  ["add_header","request",":nothing","v"],
  ["set_header","request","x!#$%&*+-.^_`|~9","ok"]]}
--- request
GET /
--- guests
hostcalls: add_header request : status 2
hostcalls: add_header request a\x0d\x0ab: status 2
hostcalls: add_header request a\x00b: status 2
hostcalls: add_header request a b: status 2
hostcalls: add_header request a:b: status 2
hostcalls: set_header request \xe4: status 2
hostcalls: set_header request : status 2
hostcalls: set_header request :nothing: status 2
hostcalls: add_header request :nothing: status 2
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
x!#$%&*+-.^_`|~9: ok



=== TEST 16: changes of maps that are not there in the request phase are refused with status 2; questions are not
--- filter
{"request_headers":[
  ["log_header","response","x"],["add_header","response","x","1"],["set_header","response","x","1"],["remove_header","response","x"],
  ["set_headers","response",[["x","1"]]],
  ["add_header","response_trailers","x","1"],["add_header","call_response","x","1"],["add_header","grpc_initial_metadata","x","1"],
  ["add_header",99,"x","1"],["log_header",99,"x"],["remove_header",8,"x"],["set_header",-1,"x","1"]]}
--- request
GET /
--- guests
hostcalls: response x: status 1
hostcalls: add_header response x: status 2
hostcalls: set_header response x: status 2
hostcalls: remove_header response x: status 2
hostcalls: set_headers response: status 2
hostcalls: add_header response_trailers x: status 2
hostcalls: add_header call_response x: status 2
hostcalls: add_header grpc_initial_metadata x: status 2
hostcalls: add_header 99 x: status 2
hostcalls: 99 x: status 2
hostcalls: remove_header 8 x: status 2
hostcalls: set_header 4294967295 x: status 2



=== TEST 17: bad pointers and a truncated map change nothing
--- filter
{"request_headers":[
  ["status","add_header_map_value:bad_pointer"],["status","set_header_map_pairs:bad_pointer"],["status","get_header_map_value:bad_pointer"],
  ["status","get_header_map_value:bad_return"],["status","set_header_map_pairs:truncated"],["status","get_header_map_size:bad_type"]]}
--- request
GET /
--- more_headers
X-Old: 1
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
X-Old: 1
--- guests eval
qr/\A(?:hostcalls: status \S+ = (?:6|2|3|4)\n){6}\z/



=== TEST 18: :authority is the client's Host with port and case, not the server's name
--- config
    server_name server.example;
    location / {
        @filter;
        return 200 "$host $http_host\n";
    }
--- filter
{"request_headers":[["log_header","request",":authority"]]}
--- request
GET /
--- more_headers
Host: Other.EXAMPLE:8080
--- guests
hostcalls: request :authority=Other.EXAMPLE:8080
--- response_body
other.example Other.EXAMPLE:8080



=== TEST 19: the host of an absolute request target is :authority when there is no Host line
--- filter
{"request_headers":[["log_header","request",":authority"],["log_header","request",":path"]]}
--- client eval
sub { ask("GET http://Abs.example:7/p?q HTTP/1.0\r\n\r\n") }
--- client_out eval: qr/^GET \/p\?q HTTP\/1\.0$/m
--- guests_like eval: qr/path/
--- guests
hostcalls: request :path=/p?q



=== TEST 20: :authority set: one Host line for the upstream with $http_host, $host follows without port
--- filter
{"request_headers":[["set_header","request",":authority","New.Example:81"],["log_headers","request"]]}
--- config
    location / {
        @filter;
        proxy_set_header Host $http_host;
        proxy_set_header X-Host $host;
        proxy_pass http://up;
    }
--- request
GET /
--- response_body
GET / HTTP/1.0
Host: New.Example:81
X-Host: new.example
Connection: close
--- guests
hostcalls: request has 5 pairs
hostcalls: request :authority=New.Example:81
hostcalls: request :path=/
hostcalls: request :method=GET
hostcalls: request :scheme=http
hostcalls: request connection=close



=== TEST 21: :authority of an HTTP/1.0 request without Host can be set; `host` sets it too
--- filter
{"request_headers":[["log_header","request","host"],["add_header","request","HOST","[::1]:9"],["log_header","request",":authority"]]}
--- config
    location / {
        @filter;
        proxy_set_header Host $http_host;
        proxy_set_header X-Host $host;
        proxy_pass http://up;
    }
--- client eval
sub { ask("GET / HTTP/1.0\r\n\r\n") }
--- client_out eval: qr/\nHost: \[::1\]:9\nX-Host: \[::1\]\nConnection: close\n\z/
--- guests_like eval: qr/:authority/
--- guests
hostcalls: request :authority=[::1]:9



=== TEST 22: removing pseudo-headers or host leaves them
--- filter
{"request_headers":[["remove_header","request",":path"],["remove_header","request",":method"],["remove_header","request",":authority"],["remove_header","request",":scheme"],["log_headers","request"]]}
--- request
GET /p
--- guests
hostcalls: request has 5 pairs
hostcalls: request :authority=localhost
hostcalls: request :path=/p
hostcalls: request :method=GET
hostcalls: request :scheme=http
hostcalls: request connection=close



=== TEST 23: :path with a query reaches the upstream through a plain proxy_pass
--- filter
{"request_headers":[["set_header","request",":path","/new/path?x=1&y=%20z"],["log_header","request",":path"]]}
--- request
GET /old?a=b
--- response_body
GET /new/path?x=1&y=%20z HTTP/1.0
Host: up
Connection: close
--- guests
hostcalls: request :path=/new/path?x=1&y=%20z



=== TEST 24: :path changed within its location is mapped by a proxy_pass with a URI
--- filter
{"request_headers":[["set_header","request",":path","/api/two%20words?q=1"]]}
--- config
    location /api/ {
        @filter;
        proxy_pass http://up/v2/;
    }
--- request
GET /api/one
--- response_body
GET /v2/two%20words?q=1 HTTP/1.0
Host: up
Connection: close



=== TEST 25: :path is what $request_uri, $uri, $args and $arg_x read, and it has no old query
--- filter
{"request_headers":[["set_header","request",":path","/a%2Fb//c/../d?x=1%3D&Y=two"]]}
--- config
    location / {
        @filter;
        set $captured $uri;
        return 200 "$request_uri|$uri|$document_uri|$args|$query_string|$is_args|$arg_x|$arg_y|$arg_old|$captured\n";
    }
--- request
GET /old?old=1
--- response_body
/a%2Fb//c/../d?x=1%3D&Y=two|/a/b/d|/a/b/d|x=1%3D&Y=two|x=1%3D&Y=two|?|1%3D|two||/a/b/d



=== TEST 26: :path without a query drops the client's
--- filter
{"request_headers":[["set_header","request",":path","/only"]]}
--- config
    location / {
        @filter;
        proxy_set_header X-Args "[$args$is_args]";
        proxy_pass http://up;
    }
--- request
GET /old?old=1
--- response_body
GET /only HTTP/1.0
X-Args: []
Host: up
Connection: close



=== TEST 27: a rewrite of the location works on the path that the filter set
--- filter
{"request_headers":[["set_header","request",":path","/from/x?k=v"]]}
--- config
    location / {
        @filter;
        rewrite ^/from/(.*)$ /to/$1 break;
        proxy_pass http://up;
    }
--- request
GET /old
--- response_body
GET /to/x?k=v HTTP/1.0
Host: up
Connection: close



=== TEST 28: rewrite last after the filter's path goes to the location of the rewritten path
--- filter
{"request_headers":[["set_header","request",":path","/from/x"]]}
--- config
    location / {
        @filter;
        rewrite ^/from/(.*)$ /there/$1 last;
        return 200 "not rewritten\n";
    }
    location /there/ {
        return 200 "there $uri\n";
    }
--- request
GET /old
--- response_body
there /there/x



=== TEST 29: encoded, doubled and dotted paths are read and passed on as they are
--- filter
{"request_headers":[["log_header","request",":path"]]}
--- client eval
sub { ask("GET /a%2f%41//b/../c/./%e4?%00+;# HTTP/1.0\r\nHost: h\r\n\r\n") }
--- client_out eval: qr/^GET \/a%2f%41\/\/b\/\.\.\/c\/\.\/%e4\?%00\+;# HTTP\/1\.0$/m
--- guests
hostcalls: request :path=/a%2f%41//b/../c/./%e4?%00+;#



=== TEST 30: a static file is chosen by the path that the filter set
--- filter
{"request_headers":[["set_header","request",":path","/sub/%66ile.txt?x"]]}
--- config
    location / {
        @filter;
        root html;
    }
--- user_files
>>> sub/file.txt
the file
--- request
GET /nothing
--- response_body
the file



=== TEST 31: paths that are no request target are refused and the old one stays
--- filter
{"request_headers":[
  ["set_header","request",":path",""],
  ["set_header","request",":path","no-slash"],
  ["set_header","request",":path","http://other/x"],
  ["set_header","request",":path","/a b"],
  ["set_header","request",":path",{"hex":"2f610d0a62"}],
  ["set_header","request",":path",{"hex":"2f6100"}],
  ["set_header","request",":path","/../.."],
  ["set_header","request",":path","/%zz"],
  ["set_header","request",":path","*"],
  ["log_header","request",":path"]]}
--- request
GET /old?q=1
--- response_body
GET /old?q=1 HTTP/1.0
Host: up
Connection: close
--- guests
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: set_header request :path: status 2
hostcalls: request :path=/old?q=1



=== TEST 32: GET becomes POST: the upstream sees it, without a body
--- filter
{"request_headers":[["set_header","request",":method","POST"],["log_header","request",":method"]]}
--- config
    location / {
        @filter;
        proxy_set_header X-Method $request_method;
        proxy_pass http://up;
    }
--- request
GET /
--- response_body
POST / HTTP/1.0
X-Method: POST
Host: up
Connection: close
--- guests
hostcalls: request :method=POST



=== TEST 33: POST becomes GET: the upstream sees it, and the body still framed
--- filter
{"request_headers":[["set_header","request",":method","GET"]]}
--- request
POST /
hello
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
Content-Length: 5

hello



=== TEST 34: GET becomes HEAD: no body from the upstream, and the client is still answered in order
--- filter
{"request_headers":[["if_path","/head",[["set_header","request",":method","HEAD"]]]]}
--- config
    keepalive_timeout 5s;
    location / {
        @filter;
        proxy_pass http://up;
    }
--- upstream eval
sub {
    my $connection = shift;
    my ($head) = $connection->message;
    my ($method) = $head =~ /^(\S+)/;
    my $body = "method $method";
    $connection->write("HTTP/1.1 200 OK\r\nX-Method: $method\r\nContent-Length: " . length($body)
        . "\r\n\r\n" . ($method eq 'HEAD' ? '' : $body));
}
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET /head HTTP/1.1\r\nHost: h\r\n\r\n");
    my ($head, $body) = $connection->message;
    my ($method) = $head =~ /^X-Method: (\S+)/m;
    $connection->write("GET /get HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    return "$method [$body] " . $connection->answer;
}
--- client_out chomp
HEAD [] 200 method GET



=== TEST 35: HEAD becomes GET: the upstream sees GET, the client gets no body and the next answer
--- filter
{"request_headers":[["if_header","request",":method","HEAD",[["set_header","request",":method","GET"]]]]}
--- config
    keepalive_timeout 5s;
    location / {
        @filter;
        proxy_pass http://up;
    }
--- upstream eval
sub {
    my $connection = shift;
    my ($head) = $connection->message;
    my ($method) = $head =~ /^(\S+)/;
    my $body = "method $method";
    $connection->write("HTTP/1.1 200 OK\r\nX-Method: $method\r\nContent-Length: " . length($body)
        . "\r\n\r\n" . ($method eq 'HEAD' ? '' : $body));
}
--- client eval
sub {
    my $connection = connection();
    $connection->write("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    my ($head) = $connection->message(head => 1);
    my ($method) = $head =~ /^X-Method: (\S+)/m;
    my ($length) = $head =~ /^Content-Length: (\S+)/m;
    $connection->write("GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    return "$method $length " . $connection->answer;
}
--- client_out chomp
GET 10 200 method GET



=== TEST 36: methods that are no token are refused; others pass, known to nginx or not
--- filter
{"request_headers":[
  ["set_header","request",":method",""],["set_header","request",":method","A B"],["set_header","request",":method",{"hex":"410d0a"}],
  ["set_header","request",":method","PURGE"]]}
--- request
GET /
--- response_body
PURGE / HTTP/1.0
Host: up
Connection: close
--- guests
hostcalls: set_header request :method: status 2
hostcalls: set_header request :method: status 2
hostcalls: set_header request :method: status 2



=== TEST 37: :scheme is https on a TLS connection and http on a plain one of the same server
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_2 ssl;
        listen 127.0.0.1:$TEST_NGINX_PORT_3;
        server_name tls.example;
        ssl_certificate     ../html/tls.crt;
        ssl_certificate_key ../html/tls.key;
        location / {
            wasm_filter hostcalls '{"request_headers":[["log_header","request",":scheme"],["log_header","request",":authority"],["copy_header","request",":scheme","request","x-scheme"]]}';
            return 200 "$scheme $http_x_scheme\n";
        }
    }
--- config
    location / { return 200; }
--- user_files eval
my $dir = "$ENV{TEST_NGINX_SERVROOT}-tls";
mkdir $dir;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tls.example -keyout $dir/tls.key -out $dir/tls.crt 2>/dev/null") == 0
    or die "openssl made no certificate";
my %files = map { my $name = $_; open my $file, '<', "$dir/$name" or die $!; local $/; ($name => scalar <$file>) } qw(tls.key tls.crt);
CORE::join '', map { ">>> $_\n$files{$_}" } sort keys %files
--- client eval
sub {
    output_of('curl', '-sSk', "https://127.0.0.1:$ENV{TEST_NGINX_PORT_2}/")
        . output_of('curl', '-sS', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_3}/");
}
--- client_out
https https
http http
--- guests eval
"hostcalls: request :scheme=https\nhostcalls: request :authority=127.0.0.1:$ENV{TEST_NGINX_PORT_2}\n"
    . "hostcalls: request :scheme=http\nhostcalls: request :authority=127.0.0.1:$ENV{TEST_NGINX_PORT_3}\n"



=== TEST 38: User-Agent, Referer, Content-Type and any other line are what nginx's variables read
--- filter
{"request_headers":[
  ["set_header","request","user-agent","filter/1"],["set_header","request","referer","http://r/"],
  ["set_header","request","content-type","x/y"],["set_header","request","X-Other","o"],["remove_header","request","x-gone"],
  ["add_header","request","x-more","2"]]}
--- config
    location / {
        @filter;
        add_header X-Seen "$http_x_other,$http_x_gone,$http_x_more";
        return 200 "$http_user_agent|$http_referer|$content_type|$http_content_type|$http_x_other|$http_x_gone|$http_x_more\n";
    }
--- request
GET /
--- more_headers
User-Agent: client
X-Gone: 1
X-More: 1
--- response_body
filter/1|http://r/|x/y|x/y|o||1, 2
--- response_headers
X-Seen: o,,1, 2



=== TEST 39: variables that were read before the filter ran (by set at server level) are read anew
--- http_config
    map $http_x_key $mapped { default "none"; old "OLD"; new "NEW"; }
--- filter
{"request_headers":[["set_header","request","x-key","new"],["set_header","request",":path","/p?a=2"]]}
--- config
    set $early "$http_x_key$arg_a$uri";
    location / {
        @filter;
        return 200 "$early $http_x_key $mapped $arg_a $uri\n";
    }
--- request
GET /o?a=1
--- more_headers
X-Key: old
--- response_body
old1/o new NEW 2 /p



=== TEST 40: Authorization set by the filter: $remote_user, and auth_basic takes it
--- filter
{"request_headers":[["set_header","request","authorization","Basic dXNlcjpwYXNz"]]}
--- config
    location / {
        @filter;
        auth_basic closed;
        auth_basic_user_file passwd;
        proxy_set_header X-User $remote_user;
        proxy_pass http://up;
    }
--- user_files
>>> ../conf/passwd
user:{PLAIN}pass
--- request
GET /
--- response_body
GET / HTTP/1.0
X-User: user
Host: up
Connection: close
authorization: Basic dXNlcjpwYXNz



=== TEST 41: Authorization removed by the filter: auth_basic refuses
--- filter
{"request_headers":[["remove_header","request","authorization"]]}
--- config
    location / {
        @filter;
        auth_basic closed;
        auth_basic_user_file passwd;
        proxy_pass http://up;
    }
--- user_files
>>> ../conf/passwd
user:{PLAIN}pass
--- request
GET /
--- more_headers
Authorization: Basic dXNlcjpwYXNz
--- error_code: 401



=== TEST 42: X-Forwarded-For lines of the filter are in $proxy_add_x_forwarded_for
--- filter
{"request_headers":[["add_header","request","x-forwarded-for","9.9.9.9"]]}
--- config
    location / {
        @filter;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://up;
    }
--- request
GET /
--- more_headers
X-Forwarded-For: 1.1.1.1
--- response_body
GET / HTTP/1.0
X-Forwarded-For: 1.1.1.1, 9.9.9.9, 127.0.0.1
Host: up
Connection: close



=== TEST 43: X-Forwarded-For removed: $proxy_add_x_forwarded_for is the client alone
--- filter
{"request_headers":[["remove_header","request","x-forwarded-for"]]}
--- config
    location / {
        @filter;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://up;
    }
--- request
GET /
--- more_headers
X-Forwarded-For: 1.1.1.1
X-Forwarded-For: 2.2.2.2
--- response_body
GET / HTTP/1.0
X-Forwarded-For: 127.0.0.1
Host: up
Connection: close



=== TEST 44: Cookie lines of the filter are what $cookie_x and $http_cookie read
--- filter
{"request_headers":[["set_header","request","cookie","a=new"],["add_header","request","cookie","c=3; d=4"]]}
--- config
    location / {
        @filter;
        return 200 "[$cookie_a][$cookie_b][$cookie_c][$cookie_d][$http_cookie]\n";
    }
--- request
GET /
--- more_headers
Cookie: a=old; b=2
--- response_body
[new][][3][4][a=new; c=3; d=4]



=== TEST 45: Range set by the filter: a part of the file
--- config
    location / {
        wasm_filter headers '{"request":{"set":{"range":"bytes=2-4"}}}';
        root html;
    }
--- http_config
    wasm_module headers $TEST_NGINX_FILTERS/headers.wasm;
--- user_files
>>> f.txt
0123456789
--- request
GET /f.txt
--- error_code: 206
--- response_headers
Content-Range: bytes 2-4/11
--- response_body chomp
234



=== TEST 46: Range removed by the filter: all of the file
--- http_config
    wasm_module headers $TEST_NGINX_FILTERS/headers.wasm;
--- config
    location / {
        wasm_filter headers '{"request":{"remove":["range"]}}';
        root html;
    }
--- user_files
>>> f.txt
0123456789
--- request
GET /f.txt
--- more_headers
Range: bytes=2-4
--- response_body
0123456789



=== TEST 47: If-None-Match set by the filter: 304; If-Modified-Since removed: 200
--- http_config
    wasm_module headers $TEST_NGINX_FILTERS/headers.wasm;
--- config
    location /etag {
        wasm_filter headers '{"request":{"set":{"if-none-match":"*"}}}';
        alias html/f.txt;
    }
    location /since {
        wasm_filter headers '{"request":{"remove":["if-modified-since"]}}';
        alias html/f.txt;
    }
    location /made {
        wasm_filter headers '{"request":{"set":{"if-modified-since":"Fri, 31 Dec 2100 00:00:00 GMT"}}}';
        if_modified_since before;
        alias html/f.txt;
    }
--- user_files
>>> f.txt
text
--- client eval
sub {
    my $status = sub { ask("GET $_[0] HTTP/1.0\r\n$_[1]\r\n") =~ m{^HTTP/1\.1 (\d+)} && $1 };
    CORE::join ' ', $status->('/etag', ''), $status->('/since', "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT\r\n"), $status->('/made', '');
}
--- client_out chomp
304 200 304



=== TEST 48: Accept-Encoding decides about gzip as the filter left it
--- http_config
    wasm_module headers $TEST_NGINX_FILTERS/headers.wasm;
--- config
    gzip on;
    gzip_min_length 1;
    gzip_types text/plain;
    default_type text/plain;
    location /set {
        wasm_filter headers '{"request":{"set":{"accept-encoding":"gzip"}}}';
        return 200 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    }
    location /remove {
        wasm_filter headers '{"request":{"remove":["accept-encoding"]}}';
        return 200 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    }
--- client eval
sub {
    my $encoded = sub { ask("GET $_[0] HTTP/1.1\r\nHost: h\r\nConnection: close\r\n$_[1]\r\n") =~ /^Content-Encoding: gzip\r$/m ? 'gzip' : 'plain' };
    CORE::join ' ', $encoded->('/set', ''), $encoded->('/remove', "Accept-Encoding: gzip\r\n");
}
--- client_out chomp
gzip plain



=== TEST 49: Connection and hop-by-hop lines set by a filter do not reach the upstream by themselves
--- filter
{"request_headers":[["set_header","request","connection","X-Evil"],["set_header","request","keep-alive","5"],["set_header","request","te","trailers"],["set_header","request","upgrade","x"]]}
--- request
GET /
--- response_body
GET / HTTP/1.0
Host: up
Connection: close



=== TEST 50: content-length cannot be made to differ from the body
--- filter
{"request_headers":[["set_header","request","content-length","3"],["add_header","request","content-length","99"]]}
--- config
    location / {
        @filter;
        proxy_set_header X-Length "$content_length";
        proxy_pass http://up;
    }
--- request
POST /
hello
--- response_body
POST / HTTP/1.0
X-Length: 5
Host: up
Connection: close
Content-Length: 5

hello



=== TEST 51: content-length removed or set without a body: what is proxied is framed right
--- filter
{"request_headers":[["if_path","/remove",[["remove_header","request","content-length"]]],["if_path","/set",[["set_header","request","content-length","7"]]]]}
--- client eval
sub {
    my $body = sub { my $text = ask($_[0]); $text =~ s/.*?\r\n\r\n//s; $text };
    $body->("POST /remove HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello") . "--\n"
        . $body->("GET /set HTTP/1.0\r\n\r\n");
}
--- client_out
POST /remove HTTP/1.0
Host: up
Connection: close
Content-Length: 5

hello
--
GET /set HTTP/1.0
Host: up
Connection: close



=== TEST 52: transfer-encoding set by a filter does not change the framing
--- filter
{"request_headers":[["set_header","request","transfer-encoding","chunked"]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
--- request
POST /
hello
--- response_body
POST / HTTP/1.1
Host: up
Connection: close
Content-Length: 5

hello



=== TEST 53: request headers can be changed in on_request_body, read in response callbacks and in log
--- filter
{"request_body_end":[["set_header","request","x-late","body"]],
 "response_headers":[["log_header","request","x-late"],["log_header","request",":path"]],
 "response_body":[["if_end_of_stream",[["log_header","request","x-late"]]]],
 "log":[["log_header","request","x-late"],["log_header","request",":method"]]}
--- request
POST /p
hello
--- response_body
POST /p HTTP/1.0
Host: up
Connection: close
Content-Length: 5
x-late: body

hello
--- wait: 0.1
--- guests
hostcalls: request x-late=body
hostcalls: request :path=/p
hostcalls: request x-late=body
hostcalls: request x-late=body
hostcalls: request :method=POST



=== TEST 54: the changes of one request do not show in the next of the connection
--- filter
{"request_headers":[["if_path","/one",[["add_header","request","x-added","1"],["set_header","request",":path","/changed?x"],["set_header","request",":authority","changed"],["set_header","request",":method","POST"],["add_header","request","cookie","c=1"]]]]}
--- config
    keepalive_timeout 5s;
    location / {
        @filter;
        proxy_set_header Host $http_host;
        proxy_pass http://up;
    }
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET /one HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: H2\r\nConnection: close\r\n\r\n");
    my (undef, $one) = $connection->message;
    my (undef, $two) = $connection->message;
    return "$one--\n$two";
}
--- client_out
POST /changed?x HTTP/1.0
Host: changed
Connection: close
x-added: 1
cookie: c=1
--
GET /two HTTP/1.0
Host: H2
Connection: close



=== TEST 55: header changes reach an upstream over HTTP/1.1 with keep-alive, and a uwsgi-like use of variables
--- filter
{"request_headers":[["set_header","request","x-a","1"],["set_header","request",":authority","h:1"]]}
--- http_config
    upstream alive { server 127.0.0.1:$TEST_NGINX_PORT_9; keepalive 2; }
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Var "$http_x_a $request_method $request_uri";
        proxy_pass http://alive;
    }
--- request
GET /q?r
--- response_body
GET /q?r HTTP/1.1
Host: h:1
X-Var: 1 GET /q?r
x-a: 1
