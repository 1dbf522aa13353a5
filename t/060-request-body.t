# Request bodies: read and rewritten by a filter, wherever nginx keeps them, and framed right for
# the upstream.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;

# What the upstream got, for a POST of these bytes.
sub post {
    my ($target, $body, $lines) = @_;
    my $text = ask("POST $target HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n" . ($lines // '') . "\r\n$body");
    return seen($text);
}

sub post_chunked {
    my ($target, @parts) = @_;
    my $connection = connection();
    $connection->write("POST $target HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (@parts) {
        $connection->write(sprintf("%x\r\n", length) . "$_\r\n");
        select undef, undef, undef, 0.03;
    }
    $connection->write("0\r\n\r\n");
    return seen($connection->rest);
}

# "status length body" of the echoed request.
sub seen {
    my $text = shift;
    my ($status) = $text =~ m{^HTTP/1\.1 (\d+)};
    my ($head, $body) = $text =~ /\r\n\r\n(\S+ \S+ HTTP.*?\n)(?:\n(.*)\n)?\z/s or return "$status no echo";
    my @lengths = $head =~ /^content-length: *(\d+)/mgi;
    my $framing = CORE::join ',', (@lengths ? "length=@lengths" : ()), ($head =~ /^transfer-encoding: *(\S+)/mi ? $1 : ());
    return "$status " . ($framing || 'none') . ' ' . ($body // '');
}

run_tests();

__DATA__

=== TEST 1: read: all, a part, beyond the end; the length; in which callbacks
--- filter
{"trace":true,"request_headers":[["log_body","request",0,5],["set_body","request",0,0,"x"]],
 "request_body":[["log_body","request",0,-1],["log_body","request",2,3],["log_body","request",8,100],["log_body_status","request"],["log_body","response",0,5]],
 "response_headers":[["set_body","request",0,-1,"x"]]}
--- client eval: sub { ::post('/', '0123456789') }
--- client_out eval: '200 length=10 0123456789'
--- guests_like eval: qr/request_body|body re|set_body|body_status/
--- guests
hostcalls: body request 0 5: status 1
hostcalls: set_body request 0 0: status 2
hostcalls: on_request_body id=2 size=10 eos=true
hostcalls: body request 0 4294967295 = 0123456789
hostcalls: body request 2 3 = 234
hostcalls: body request 8 100 = 89
hostcalls: body_status request: 10 bytes, flags 0
hostcalls: body response 0 5: status 1
hostcalls: set_body request 0 4294967295: status 2



=== TEST 2: replace all, prepend, append, insert, truncate, ranges; the upstream's Content-Length is the new one
--- config eval
my %set = (
    all       => '0,-1,"new and longer body"', prepend => '0,0,"<"',        append  => '10,0,">"',  append_far => '4294967295,0,">"',
    insert    => '4,0,"--"',                   truncate => '4,-1,""',      longer  => '3,2,"abcdef"', shorter => '3,4,"x"',
    nothing   => '3,4,""',                     beyond  => '8,100,"END"',   empty   => '0,-1,""',   first => '0,1,"FIRST"',
    last      => '9,1,"LAST"',                 same    => '0,10,"abcdefghij"',
);
CORE::join '', map { qq(location /$_ { wasm_filter hostcalls '{"request_body":[["set_body","request",$set{$_}]]}'; proxy_pass http://up; }\n) } sort keys %set
--- client eval
sub { CORE::join '', map { "$_ " . ::post("/$_", '0123456789') . "\n" } qw(all prepend append append_far insert truncate longer shorter nothing beyond first last same empty) }
--- client_out eval
<<'_EOC_';
all 200 length=19 new and longer body
prepend 200 length=11 <0123456789
append 200 length=11 0123456789>
append_far 200 length=11 0123456789>
insert 200 length=12 0123--456789
truncate 200 length=4 0123
longer 200 length=14 012abcdef56789
shorter 200 length=7 012x789
nothing 200 length=6 012789
beyond 200 length=11 01234567END
first 200 length=14 FIRST123456789
last 200 length=13 012345678LAST
same 200 length=10 abcdefghij
empty 200 length=0 
_EOC_



=== TEST 3: a body in a temporary file is read and rewritten all the same
--- config
    client_body_buffer_size 1k;
    location / {
        wasm_filter hostcalls '{"request_body_end":[["set_body","request",4294967295,0,"+end"]]}';
        proxy_pass http://up;
    }
    location /only {
        wasm_filter hostcalls '{"request_body_end":[["set_body","request",4294967295,0,"+end"]]}';
        client_body_in_file_only clean;
        proxy_pass http://up;
    }
    location /upper {
        wasm_filter body_stream '{"direction":"request"}';
        proxy_pass http://up;
    }
    location /read {
        wasm_filter hostcalls '{"request_body":[["log_body_length","request",0,-1]]}';
        proxy_pass http://up;
    }
    location /grow {
        wasm_filter hostcalls '{"request_body_end":[["repeat_body","request","0123456789abcdef",65536]]}';
        proxy_pass http://up;
    }
    location /paused {
        wasm_filter hostcalls '{"request_body":[["action","pause"],["if_end_of_stream",[["set_body","request",0,0,"start+"],["action","continue"]]]]}';
        proxy_pass http://up;
    }
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
--- client eval
sub {
    my $body = '0123456789abcdef' x 12500;
    my %expected = ('/' => "$body+end", '/only' => "$body+end", '/upper' => uc $body, '/read' => $body, '/grow' => substr($body, 0, 196608) . '0123456789abcdef' x 65536, '/paused' => "start+$body");
    CORE::join '', map { my ($front, $got) = ::post($_, $body) =~ /^(\S+ \S+) (.*)\z/s; "$_ $front " . ($got eq $expected{$_} ? 'right' : 'wrong ' . length $got) . "\n" } sort keys %expected;
}
--- client_out
/ 200 length=200004 right
/grow 200 length=1245184 right
/only 200 length=200004 right
/paused 200 length=200006 right
/read 200 length=200000 right
/upper 200 length=200000 right
--- no_error_log eval: $Filtered::bad



=== TEST 4: a small body in a file (client_body_in_file_only), and in one buffer
--- filter
{"request_body":[["log_body","request",0,-1],["set_body","request",2,1,"[]"]]}
--- config
    location /file {
        @filter;
        client_body_in_file_only clean;
        proxy_pass http://up;
    }
    location /single {
        @filter;
        client_body_in_single_buffer on;
        proxy_pass http://up;
    }
--- client eval: sub { ::post('/file', 'abcde') . ' ' . ::post('/single', 'abcde') }
--- client_out eval: '200 length=6 ab[]de 200 length=6 ab[]de'
--- guests
hostcalls: body request 0 4294967295 = abcde
hostcalls: body request 0 4294967295 = abcde



=== TEST 5: chunked request bodies: read, rewritten and sent on with a length; unchanged ones keep their bytes
--- filter
{"request_body_end":[["if_path","/set",[["set_body","request",4294967295,0,"+end"]]]]}
--- client eval: sub { CORE::join '', map { "$_ " . ::post_chunked($_, 'one', 'two', '3') . "\n" } qw(/set /same) }
--- client_out
/set 200 length=11 onetwo3+end
/same 200 length=7 onetwo3



=== TEST 6: a chunked request to an HTTP/1.1 upstream, buffered in memory and in a file
--- filter
{"request_body_end":[["if_path","/set",[["set_body","request",4294967295,0,"+end"]]]]}
--- config
    client_body_buffer_size 1k;
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
--- client eval
sub {
    CORE::join '', map { my $path = $_; map { my ($front, $body) = ::post_chunked($path, @$_) =~ /^(\S+ \S+) (.*)\z/s; $body =~ s/(x+)/'x' . length $1/e; "$path $front $body\n" } ['one', 'two'], [('x' x 1000) x 9] } qw(/set /same);
}
--- client_out
/set 200 length=10 onetwo+end
/set 200 length=9004 x9000+end
/same 200 length=6 onetwo
/same 200 length=9000 x9000



=== TEST 7: no body: no body callback, end-of-stream in the header callback, and nothing for the upstream
--- filter
{"trace":true,"request_body":[["set_body","request",0,0,"x"]],"request_body_end":[["set_body","request",0,0,"y"]]}
--- client eval
sub { ::seen(ask("GET / HTTP/1.0\r\n\r\n")) . '|' . ::seen(ask("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")) }
--- client_out eval: '200 none |200 length=0 '
--- guests_like eval: qr/on_request/
--- guests
hostcalls: on_request_headers id=2 count=3 eos=true
hostcalls: on_request_headers id=3 count=4 eos=true



=== TEST 8: an empty chunked body still ends: either in the headers or in one empty body callback
--- filter
{"trace":true}
--- client eval: sub { ::post_chunked('/') }
--- client_out eval: qr/\A200 (?:none|length=0) \z/
--- guests_like eval: qr/on_request.*eos=true/
--- guests eval: qr/\Ahostcalls: on_request_(?:headers id=2 count=6|body id=2 size=0) eos=true\n\z/



=== TEST 9: Expect: 100-continue is answered before the body is sent, and the rewritten body goes on
--- filter
{"request_body":[["set_body","request",0,-1,"rewritten"]]}
--- client eval
sub {
    my $connection = connection();
    $connection->write("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    my $first = $connection->until(qr/\r\n\r\n/);
    $connection->write('hello');
    return ($first =~ /^HTTP\/1.1 100 / ? '100 then ' : "[$first] then ") . ::seen($connection->rest);
}
--- client_out eval: '100 then 200 length=9 rewritten'



=== TEST 10: client_max_body_size still answers 413, for a length and for chunks, and no body callback is made
--- filter
{"trace":true}
--- config
    location / {
        @filter;
        client_max_body_size 10;
        proxy_pass http://up;
    }
--- client eval
sub {
    CORE::join ' ', ask("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 11\r\n\r\n01234567890") =~ /^HTTP\/1.1 (\d+)/,
        ask("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n") =~ /^HTTP\/1.1 (\d+)/;
}
--- client_out eval: '413 413'
--- guests_like eval: qr/on_request_body/
--- guests eval: ''
--- no_error_log eval: $Filtered::alive



=== TEST 11: a filter may grow the body beyond client_max_body_size and client_body_buffer_size
--- filter
{"request_body_end":[["repeat_body","request","abcdefgh",1000]]}
--- config
    client_body_buffer_size 1k;
    location / {
        @filter;
        client_max_body_size 10;
        proxy_pass http://up;
    }
--- client eval: sub { my $got = ::post('/', 'hello'); $got =~ s/(?:abcdefgh)+/'abcdefgh*' . length($&) \/ 8/e; $got }
--- client_out eval: '200 length=8000 abcdefgh*1000'



=== TEST 12: proxy_request_buffering off: rewritten all the same, with a length and with chunks
--- filter
{"request_body_end":[["set_body","request",4294967295,0,"+end"]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_pass http://up;
    }
--- client eval: sub { ::post('/', 'hello') . '|' . ::post_chunked('/', 'one', 'two') }
--- client_out eval: '200 length=9 hello+end|200 chunked onetwo+end'



=== TEST 13: Pause buffers to the end: sizes add up, all of it can be read, and it goes on rewritten
--- filter
{"trace":true,"request_body":[["action","pause"],["if_end_of_stream",[["log_body_length","request",0,-1],["log_body","request",65530,12],["set_body","request",3,99994,"-"],["action","continue"]]]]}
--- config
    client_body_buffer_size 1k;
    location / {
        @filter;
        proxy_pass http://up;
    }
--- client eval: sub { ::post('/', '0123456789' x 10000) }
--- client_out eval: '200 length=7 012-789'
--- guests_like eval: qr/request_body|body request/
--- guests eval
qr/\A(?:hostcalls: on_request_body id=2 size=\d+ eos=false\n)+hostcalls: on_request_body id=2 size=100000 eos=true\nhostcalls: body request 0 4294967295: 100000 bytes\nhostcalls: body request 65530 12 = 012345678901\n\z/



=== TEST 14: an emptied chunk of several (the first, the middle one, the last) neither stalls nor loses the end
--- http_config
    wasm_module empty ../html/empty.wat;
--- user_files
>>> empty.wat
;; Empties each piece of a body whose first byte is "-".
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (drop (call $get (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 45))
      (then (drop (call $set (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0)))))
    (i32.const 0)))
--- config
    client_body_in_file_only clean;
    location / {
        wasm_filter empty;
        proxy_pass http://up;
    }
--- client eval
sub {
    # Pieces of a file are 64 KiB.
    my ($x, $minus) = ('x' x 65536, '-' x 65536);
    my %body = (first => "$minus$x$x", middle => "$x$minus$x", last => "$x$x---", all => "$minus$minus--", none => "$x$x");
    CORE::join '', map { my $got = ::post("/$_", $body{$_}); $got =~ s/x+/'x*' . length($&) \/ 65536/e; "$_ $got\n" } qw(first middle last all none);
}
--- client_out eval
<<'_EOC_';
first 200 length=131072 x*2
middle 200 length=131072 x*2
last 200 length=131072 x*2
all 200 length=0 
none 200 length=131072 x*2
_EOC_



=== TEST 15: $request_body, $content_length and $request_length after the change
--- filter
{"request_body":[["set_body","request",0,-1,"rewritten"]]}
--- config
    location / {
        @filter;
        proxy_set_header X-Seen "$content_length $http_content_length [$request_body]";
        proxy_pass http://up;
    }
--- request
POST /
hello
--- response_body_like: \nX-Seen: 9 9 \[rewritten\]\n(?:.*\n)*Content-Length: 9\n(?:.*\n)*\nrewritten\n



=== TEST 16: content-length removed by the filter in the header callback, body rewritten
--- filter
{"request_headers":[["remove_header","request","content-length"]],"request_body_end":[["set_body","request",4294967295,0,"+end"]]}
--- client eval: sub { ::post('/', 'hello') }
--- client_out eval: '200 length=9 hello+end'



=== TEST 17: GET and DELETE with bodies are rewritten as well; POST turned GET keeps the framing
--- filter
{"request_headers":[["if_path","/turn",[["set_header","request",":method","GET"]]]],"request_body":[["set_body","request",0,-1,"new"]]}
--- client eval
sub { CORE::join ' ', map { my ($method, $path) = @$_; ::seen(ask("$method $path HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")) } ['GET', '/'], ['DELETE', '/'], ['POST', '/turn'] }
--- client_out eval: '200 length=3 new 200 length=3 new 200 length=3 new'



=== TEST 18: pipelined requests with bodies: each gets its own, and the next is found behind it
--- filter
{"request_body":[["set_body","request",0,0,"<"],["if_end_of_stream",[["set_body","request",4294967295,0,">"]]]]}
--- client eval
sub {
    my $connection = connection();
    $connection->write(CORE::join '', map { "POST /$_ HTTP/1.1\r\nHost: h\r\nContent-Length: " . length($_) . "\r\n\r\n$_" } qw(one three seven));
    CORE::join ' ', map { my ($head, $body) = $connection->message; ::seen("$head$body") } 1 .. 3;
}
--- client_out eval: '200 length=5 <one> 200 length=7 <three> 200 length=7 <seven>'



=== TEST 19: a body that trickles in slowly, byte by byte, with a length and in chunks
--- filter
{"request_body_end":[["set_body","request",4294967295,0,"!"]]}
--- client eval
sub {
    my $trickle = sub {
        my $connection = connection();
        for my $byte (split //, $_[0]) { $connection->write($byte); select undef, undef, undef, 0.005 }
        ::seen($connection->rest);
    };
    $trickle->("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello") . ' ' . $trickle->("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: t\r\n\r\n");
}
--- client_out eval: '200 length=6 hello! 200 length=6 hello!'



=== TEST 20: content that is not UTF-8, and NUL, pass unchanged
--- filter
{"request_body":[["set_body","request",0,0,{"hex":"00ff"}]]}
--- client eval: sub { ::post('/', "\x00\xfe\r\n\r\n\xc3") }
--- client_out eval: "200 length=9 \x00\xff\x00\xfe\r\n\r\n\xc3"



=== TEST 21: a filter without body callbacks leaves reading to the location (return: the body is discarded)
--- http_config
    wasm_module plain ../html/plain.wat;
--- user_files
>>> plain.wat
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0)))
--- config
    location / {
        wasm_filter plain;
        proxy_pass http://up;
    }
    location /return {
        wasm_filter plain;
        return 200 "returned";
    }
--- client eval
sub {
    my $connection = connection();
    $connection->write("POST /return HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nworld");
    my $first = $connection->answer;
    my ($head, $body) = $connection->message;
    "$first " . ::seen("$head$body");
}
--- client_out eval: '200 returned 200 length=5 world'



=== TEST 22: a filter that reads bodies in front of `return`: the body is read, and the next request is found
--- filter
{"trace":true}
--- config
    location / {
        @filter;
        return 200 "returned";
    }
--- client eval
sub {
    my $connection = connection();
    $connection->write("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    $connection->answer . ' ' . $connection->answer;
}
--- client_out eval: '200 returned 200 returned'
--- guests_like eval: qr/on_request_body/
--- guests
hostcalls: on_request_body id=2 size=5 eos=true



=== TEST 23: a client that leaves in the middle of its body: the contexts end, nothing reaches the upstream
--- filter
{"trace":true}
--- client eval
sub {
    my $connection = connection();
    $connection->write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhello");
    wait_for(sub { log_text() =~ /on_request_headers/ });
    $connection->close;
    'left';
}
--- client_out eval: 'left'
--- contexts: 1
--- guests_like eval: qr/on_request_body|on_response/
--- guests eval: ''



=== TEST 24: SCGI upstream: the length, method and target that it is told are those of the filter, and so is the body
--- filter
{"request_headers":[["set_header","request",":method","PUT"],["set_header","request",":path","/new?q=1"],["set_header","request","x-one","1"]],"request_body":[["set_body","request",0,-1,"rewritten"]]}
--- config
    location / {
        @filter;
        scgi_param CONTENT_LENGTH $content_length;
        scgi_param METHOD $request_method;
        scgi_param TARGET $request_uri;
        scgi_param QUERY $query_string;
        scgi_pass 127.0.0.1:$TEST_NGINX_PORT_9;
    }
--- upstream eval
sub {
    my $connection = shift;
    my ($size) = $connection->until(qr/:/) =~ /(\d+)/;
    my %param = split /\0/, $connection->take($size);
    $connection->take(1);
    my $body = $connection->take($param{CONTENT_LENGTH});
    my $text = "$param{CONTENT_LENGTH} $param{METHOD} $param{TARGET} $param{QUERY} $param{HTTP_X_ONE} [$body]\n";
    $connection->write("Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n$text");
}
--- request
POST /old
hello
--- response_body
9 PUT /new?q=1 q=1 1 [rewritten]



=== TEST 25: a body rewritten for the first upstream is sent again to the next one
--- filter
{"request_body":[["set_body","request",0,-1,"rewritten"]]}
--- http_config
    upstream two { server 127.0.0.1:$TEST_NGINX_PORT_1; server 127.0.0.1:$TEST_NGINX_PORT_9 backup; }
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_1;
        location / { return 503; }
    }
--- config
    location / {
        @filter;
        proxy_next_upstream http_503 non_idempotent;
        proxy_pass http://two;
    }
--- client eval: sub { ::post('/', 'hello') }
--- client_out eval: '200 length=9 rewritten'
--- no_error_log eval: $Filtered::alive



=== TEST 26: Pause of a filter between two others: the third sees what the second lets go, once
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
--- config
    client_body_buffer_size 1k;
    location / {
        wasm_filter body_stream '{"direction":"request"}';
        wasm_filter hostcalls '{"request_body":[["action","pause"],["if_end_of_stream",[["set_body","request",0,0,"a"],["action","continue"]]]]}';
        wasm_filter hostcalls '{"trace":true,"request_body":[["set_body","request",0,1,"z"]]}';
        proxy_pass http://up;
    }
--- client eval: sub { my $got = ::post('/', 'x' x 150000); $got =~ s/X+/'X*' . length $&/e; $got }
--- client_out eval: '200 length=150001 zX*150000'
--- guests_like eval: qr/on_request_body/
--- guests
hostcalls: on_request_body id=4 size=150001 eos=true



=== TEST 27: a content-length that the filter sets ahead for the body it will make, right or wrong: the upstream gets the true one
--- filter
{"request_headers":[["if_path","/right",[["set_header","request","content-length","9"]]],["if_path","/wrong",[["set_header","request","content-length","1000"]]]],"request_body":[["set_body","request",0,-1,"rewritten"]]}
--- client eval: sub { ::post('/right', 'hello') . '|' . ::post('/wrong', 'hello') }
--- client_out eval: '200 length=9 rewritten|200 length=9 rewritten'



=== TEST 28: a path and headers that the body decides about (set in on_request_body) are what is proxied
--- filter
{"request_body":[["action","pause"]],"request_body_end":[["body_to_header","request","request","x-body"],["set_header","request",":path","/by/body?x"],["set_body","request",0,-1,"moved"],["action","continue"]]}
--- request
POST /old
hello
--- response_body
POST /by/body?x HTTP/1.0
Host: up
Connection: close
Content-Length: 5
x-body: hello

moved
