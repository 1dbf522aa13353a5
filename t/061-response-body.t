# Response bodies: read and rewritten by a filter, from every kind of source, and framed right for
# every kind of client.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;

# "status framing body" of an answer; framing is length, chunked or close.
sub framed {
    my $connection = shift;
    my ($head, $body) = $connection->message;
    my ($status) = $head =~ m{^HTTP/1\.. (\d+)};
    my $framing = $head =~ /^content-length: (\d+)/mi ? "length=$1"
        : $head =~ /^transfer-encoding: chunked/mi ? 'chunked' : 'close';
    return "$status $framing $body";
}

sub get {
    my ($target, $lines, $version) = @_;
    $version //= '1.1';
    my $connection = connection();
    $connection->write("GET $target HTTP/$version\r\nHost: h\r\n" . ($lines // '') . "\r\n");
    return framed($connection);
}

sub chunks { return CORE::join '', map { sprintf("%x\r\n", length) . "$_\r\n" } @_ }

our $files = ">>> f.txt\n0123456789\n>>> long.txt\n" . ('0123456789abcde' x 10000) . "\n";

run_tests();

__DATA__

=== TEST 1: read: all, a part, beyond the end, from beyond the end; the length; another buffer
--- filter
{"trace":true,"response_body":[["log_body","response",0,-1],["log_body","response",2,3],["log_body","response",8,100],["log_body","response",100,5],["log_body","response",10,0],["log_body_status","response"],
 ["log_body","request",0,-1],["log_body","call_response",0,5],["log_body",99,0,5],["set_body",99,0,0,"x"],["set_body","plugin_configuration",0,0,"x"]]}
--- config
    location / {
        @filter;
        return 200 "0123456789";
    }
--- client eval: sub { ::get('/') }
--- client_out eval: '200 length=10 0123456789'
--- guests_like eval: qr/body/
--- guests eval
qr/\Ahostcalls: on_response_body id=2 size=10 eos=true
hostcalls: body response 0 4294967295 = 0123456789
hostcalls: body response 2 3 = 234
hostcalls: body response 8 100 = 89
hostcalls: body response 100 5(?: = |: status 1)
hostcalls: body response 10 0(?: = |: status 1)
hostcalls: body_status response: 10 bytes, flags 0
hostcalls: body request 0 4294967295: status 1
hostcalls: body call_response 0 5: status 1
hostcalls: body 99 0 5: status 2
hostcalls: set_body 99 0 0: status 2
hostcalls: set_body plugin_configuration 0 0: status \d+
\z/



=== TEST 2: there is no response body before it comes: status 1, and nothing is set
--- filter
{"request_headers":[["log_body","response",0,5],["set_body","response",0,0,"x"]],"response_headers":[["log_body","response",0,5],["set_body","response",0,0,"x"]],"log":[["set_body","response",0,0,"x"]]}
--- config
    location / {
        @filter;
        return 200 "0123456789";
    }
--- client eval: sub { ::get('/') }
--- client_out eval: '200 length=10 0123456789'
--- guests_like eval: qr/ body /
--- guests
hostcalls: body response 0 5: status 1
hostcalls: body response 0 5: status 1



=== TEST 3: replace all, prepend, append, insert, truncate, a range by more, by less, by nothing, beyond the end
--- config eval
my %set = (
    all       => '0,-1,"new and longer body"', prepend => '0,0,"<"',        append  => '10,0,">"',  append_far => '4294967295,0,">"',
    insert    => '4,0,"--"',                   truncate => '4,-1,""',      longer  => '3,2,"abcdef"', shorter => '3,4,"x"',
    nothing   => '3,4,""',                     beyond  => '8,100,"END"',   empty   => '0,-1,""',   first => '0,1,"FIRST"',
    last      => '9,1,"LAST"',                 same    => '0,10,"abcdefghij"', all_exact => '0,10,"x"',
);
CORE::join '', map { qq(location /$_ { wasm_filter hostcalls '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_body","response",$set{$_}]]}'; return 200 "0123456789"; }\n)
    . qq(location /kept/$_ { wasm_filter hostcalls '{"response_body":[["set_body","response",$set{$_}]]}'; return 200 "0123456789"; }\n) } sort keys %set
--- client eval
sub {
    my $got = '';
    for my $name (qw(all prepend append append_far insert truncate longer shorter nothing beyond empty first last same all_exact)) {
        my ($removed, $kept) = (::get("/$name"), ::get("/kept/$name"));
        $removed =~ s/^200 (chunked|length=(?:\d+)) //;
        my $length = $kept =~ s/^200 length=(\d+) // ? $1 : 'none';
        $got .= "$name [$removed]" . ($removed eq $kept ? '' : " [$kept]") . ($length eq length $kept ? '' : " length $length") . "\n";
    }
    $got;
}
--- client_out
all [new and longer body]
prepend [<0123456789]
append [0123456789>]
append_far [0123456789>]
insert [0123--456789]
truncate [0123]
longer [012abcdef56789]
shorter [012x789]
nothing [012789]
beyond [01234567END]
empty []
first [FIRST123456789]
last [012345678LAST]
same [abcdefghij]
all_exact [x]



=== TEST 4: several changes in one callback work on each other's result
--- filter
{"response_body":[["set_body","response",0,0,"A"],["set_body","response",1,1,"BB"],["log_body","response",0,-1],["set_body","response",100,0,"Z"],["log_body","response",0,-1],["set_body","response",0,-1,""],["log_body","response",0,-1],["set_body","response",0,0,"end"]]}
--- config
    location / {
        @filter;
        return 200 "012";
    }
--- client eval: sub { ::get('/') }
--- client_out eval: '200 length=3 end'
--- guests
hostcalls: body response 0 4294967295 = ABB12
hostcalls: body response 0 4294967295 = ABB12Z
hostcalls: body response 0 4294967295 = 



=== TEST 5: the body grows to megabytes and shrinks from them
--- filter
{"response_body_end":[["if_path","/grow",[["repeat_body","response","0123456789abcdef",262144]]]]}
--- config
    location / {
        @filter;
        return 200 "x";
    }
--- client eval
sub { my $answer = ::get('/grow'); my ($front, $body) = $answer =~ /^(\S+ \S+) (.*)/s; $front . ($body eq '0123456789abcdef' x 262144 ? ' right' : ' wrong ' . length $body) }
--- client_out eval: '200 length=4194304 right'



=== TEST 6: upstream with Content-Length, in pieces: chunks rewritten one by one, with content-length removed
--- filter
{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_body","response",0,0,"<"],["set_body","response",1000,0,">"]]}
--- config
    location / {
        @filter;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.15;
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Filtered::slowly($pause, 'one', 'two', 'end'))
--- client eval: sub { ::get('/') }
--- client_out eval: qr/\A200 chunked <one><two><end>(?:<>)?\z/
--- guests_like eval: qr/body.*eos=true/
--- guests eval: qr/\Ahostcalls: on_response_body id=2 size=\d+ eos=true\n\z/



=== TEST 7: Pause buffers the whole body: cumulative sizes, then it goes on rewritten
--- filter
{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"],["if_end_of_stream",[["log_body","response",0,-1],["set_body","response",3,3,"[middle]"],["action","continue"]]]]}
--- config
    location / {
        @filter;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.15;
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Filtered::slowly($pause, 'one', 'two', 'end'))
--- client eval: sub { ::get('/') }
--- client_out eval: qr/\A200 (?:chunked|length=14) one\[middle\]end\z/
--- guests_like eval: qr/response_body|body response/
--- guests eval: qr/\Ahostcalls: on_response_body id=2 size=3 eos=false\nhostcalls: on_response_body id=2 size=6 eos=false\n(?:hostcalls: on_response_body id=2 size=9 eos=false\n)?hostcalls: on_response_body id=2 size=9 eos=true\nhostcalls: body response 0 4294967295 = onetwoend\n\z/



=== TEST 8: Pause at the first chunks only: what was held comes with the next, each byte once
--- filter
{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["if_end_of_stream",[["set_header","response","x-never","1"]]]],"request_headers":[]}
--- config
    location / {
        wasm_filter hostcalls '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}';
        @filter;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.15;
Filtered::reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Filtered::slowly($pause, ::chunks('one'), ::chunks('two'), ::chunks('end', '')))
--- client eval: sub { ::get('/') }
--- client_out eval: qr/\A200 (?:chunked|length=9) onetwoend\z/



=== TEST 9: an emptied first, middle and last chunk neither stalls the body nor loses its end
--- config eval
my $ops = sub { qq('{"response_headers":[["remove_header","response","content-length"]],"response_body":[$_[0]]}') };
my %set = (first => '["log_body","response",0,1]', all => '["set_body","response",0,-1,""]', end => '["if_end_of_stream",[["set_body","response",0,-1,""]]]');
CORE::join('', map { "location /$_ { wasm_filter hostcalls " . $ops->($set{$_}) . "; proxy_buffering off; proxy_pass http://up; }\n" } sort keys %set)
    . q(location /empty/ { wasm_filter empty; proxy_buffering off; proxy_pass http://up; })
--- http_config
    wasm_module empty ../html/empty.wat;
--- user_files
>>> empty.wat
;; Empties each chunk that begins with "-".
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "content-length")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $remove (i32.const 2) (i32.const 16) (i32.const 14)))
    (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (drop (call $get (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 45))
      (then (drop (call $set (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0)))))
    (i32.const 0)))
--- upstream eval
my $pause = 0.1;
sub {
    my ($c) = @_;
    my ($head) = $c->message;
    my @parts = $head =~ m{GET /empty/first} ? qw(-one two end) : $head =~ m{/empty/middle} ? qw(one -two end) : $head =~ m{/empty/last} ? qw(one two -end) : $head =~ m{/empty/all} ? qw(-1 -2 -3) : qw(one two end);
    my $length = length CORE::join '', @parts;
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: $length\r\n\r\n");
    for (@parts) { select undef, undef, undef, $pause; $c->write($_) }
}
--- client eval
sub { CORE::join '', map { "$_ " . ::get($_) . "\n" } qw(/empty/first /empty/middle /empty/last /empty/all /first /all) }
--- client_out eval
qr{\A/empty/first 200 (?:chunked|length=6) twoend
/empty/middle 200 chunked oneend
/empty/last 200 chunked onetwo
/empty/all 200 (?:chunked|length=0)\x20
/first 200 chunked onetwoend
/all 200 (?:chunked|length=0)\x20
\z}



=== TEST 10: chunked upstream, buffered and unbuffered, to HTTP/1.1 and 1.0 clients
--- filter
{"response_body":[["if_end_of_stream",[["set_body","response",4294967295,0,"+end"]]]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass http://up;
    }
    location /unbuffered {
        @filter;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.05;
Filtered::reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Filtered::slowly($pause, ::chunks('one'), ::chunks('two', '')))
--- client eval
sub { CORE::join '', map { my $path = $_; map { "$path $_ " . ::get($path, '', $_) . "\n" } '1.0', '1.1' } qw(/ /unbuffered) }
--- client_out
/ 1.0 200 close onetwo+end
/ 1.1 200 chunked onetwo+end
/unbuffered 1.0 200 close onetwo+end
/unbuffered 1.1 200 chunked onetwo+end



=== TEST 11: a close-delimited upstream, and one that closes without any body
--- filter
{"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- upstream eval
sub { my $c = shift; my ($head) = $c->message; $c->write("HTTP/1.0 200 OK\r\n\r\n" . ($head =~ /none/ ? '' : 'body')) }
--- client eval: sub { ::get('/') . "\n" . ::get('/none') . "\n" }
--- client_out
200 chunked body+end
200 chunked +end



=== TEST 12: an upstream that breaks off: no whole answer is made of it
--- filter
{"response_body":[["log_body_length","response",0,-1]]}
--- config
    location / {
        @filter;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
--- client eval: sub { my $text = ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"); ($text =~ /^Content-Length: 100\r$/m ? 'promised ' : '') . ($text =~ /some(\(reset\))?\z/ ? 'cut' : "[$text]") }
--- client_out eval: 'promised cut'
--- no_error_log eval: $Filtered::alive



=== TEST 13: a length changed behind a sent Content-Length ends the connection with an error line, never a wrong frame
--- filter
{"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- config
    location / {
        @filter;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.2;
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", Filtered::slowly($pause, 'one', 'two'))
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    my ($head, $body) = $connection->message;
    my ($length) = $head =~ /^Content-Length: (\d+)/mi;
    my $rest = $connection->rest;
    defined $length && length $body > $length ? 'wrong' : "length " . ($length // 'none') . " rest [$rest] body " . (length $body < 6 ? 'cut' : $body);
}
--- client_out eval: qr/\Alength 6 rest \[\] body (?:cut|onetwo)\z/
--- error_log: a filter changed the length of a response body whose Content-Length was already sent



=== TEST 14: a middle chunk emptied behind a sent Content-Length: the connection ends short, the next request does not read on
--- http_config
    wasm_module empty ../html/empty.wat;
--- user_files
>>> empty.wat
;; Empties each chunk that begins with "-", and leaves the headers alone.
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (drop (call $get (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 45))
      (then (drop (call $set (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0)))))
    (i32.const 0)))
--- config
    keepalive_timeout 2s;
    location / {
        wasm_filter empty;
        proxy_buffering off;
        proxy_pass http://up;
    }
    location /next {
        return 200 "next";
    }
--- upstream eval
my $pause = 0.15;
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", Filtered::slowly($pause, 'one', '-two', 'end'))
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $text = $connection->rest;
    my ($length) = $text =~ /\A.*?^Content-Length: (\d+)/ms;
    my ($body) = $text =~ /\A.*?\r\n\r\n(.*)\z/s;
    # A kept length, and nothing behind what there is of the body.
    return "length $length [$body]";
}
--- client_out eval: 'length 10 [oneend]'
--- error_log: a filter changed the length of a response body whose Content-Length was already sent



=== TEST 15: a static file, with sendfile on and off and small buffers, read and passed on
--- filter
{"response_body":[["log_body_length","response",0,-1]]}
--- config
    location / {
        @filter;
        sendfile on;
        alias html/;
    }
    location /off/ {
        @filter;
        sendfile off;
        alias html/;
    }
    location /small/ {
        @filter;
        sendfile off;
        output_buffers 1 1k;
        alias html/;
    }
    location /directio/ {
        @filter;
        directio 1;
        alias html/;
    }
--- user_files eval: $::files
--- client eval
sub { my $body = '0123456789abcde' x 10000 . "\n"; CORE::join ' ', map { my $got = ::get("${_}long.txt"); $got eq "200 length=150001 $body" ? "$_ right" : "$_ wrong: " . length($got) . substr($got, 0, 40) } qw(/ /off/ /small/ /directio/) }
--- client_out eval: '/ right /off/ right /small/ right /directio/ right'



=== TEST 16: a static file rewritten: grown in its last window, in its first, in each
--- config
    location /last/ {
        wasm_filter hostcalls '{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",4294967295,0,"+end"]]}';
        alias html/;
    }
    location /kept/ {
        wasm_filter hostcalls '{"response_body_end":[["set_body","response",4294967295,0,"+end"]]}';
        alias html/;
    }
    location /upper/ {
        wasm_filter body_stream;
        alias html/;
    }
    location /rewrite/ {
        wasm_filter body_rewrite '{"find":"abcde","replace":"-"}';
        alias html/;
    }
    location /small/ {
        wasm_filter body_rewrite '{"find":"abcde","replace":"-"}';
        sendfile off;
        output_buffers 2 4k;
        alias html/;
    }
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
    wasm_module body_rewrite $TEST_NGINX_FILTERS/body_rewrite.wasm;
--- user_files eval: $::files
--- client eval
sub {
    my $body = '0123456789abcde' x 10000 . "\n";
    my $dashed = '0123456789-' x 10000 . "\n";
    my %expected = ('/last/' => "$body+end", '/upper/' => uc $body, '/rewrite/' => $dashed, '/small/' => $dashed);
    my $got = '';
    for my $path (sort keys %expected) {
        my ($front, $answer) = ::get("${path}long.txt") =~ /^(\S+ \S+) (.*)\z/s;
        $got .= "$path $front " . ($answer eq $expected{$path} ? 'right' : 'wrong ' . length $answer) . "\n";
    }
    $got . ::get('/kept/f.txt');
}
--- client_out eval
qr{\A/last/ 200 chunked right
/rewrite/ 200 (?:chunked|length=110001) right
/small/ 200 (?:chunked|length=110001) right
/upper/ 200 (?:chunked|length=150001) right
200 length=15 0123456789
\+end\z}
--- no_error_log eval: $Filtered::bad



=== TEST 17: HEAD: the length that GET would have, no body, no body callback, and the next answer in order
--- filter
{"trace":true,"response_body":[["set_body","response",0,0,"x"]]}
--- config
    location / {
        @filter;
        root html;
    }
    location /up {
        @filter;
        proxy_pass http://up;
    }
--- user_files eval: $::files
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
--- client eval
sub {
    my $connection = connection();
    my $got = '';
    for my $path (qw(/f.txt /up)) {
        $connection->write("HEAD $path HTTP/1.1\r\nHost: h\r\n\r\n");
        my ($head) = $connection->message(head => 1);
        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        $got .= "$path " . ($length // 'none') . ' ' . ($head =~ /^Transfer-Encoding/mi ? 'chunked ' : '');
    }
    $connection->write("GET /f.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    $got . ::framed($connection);
}
--- client_out eval: "/f.txt 11 /up 7 200 length=12 x0123456789\n"
--- guests_like eval: qr/on_response/
--- guests
hostcalls: on_response_headers id=2 count=8 eos=true
hostcalls: on_response_headers id=3 count=5 eos=true
hostcalls: on_response_headers id=4 count=8 eos=false
hostcalls: on_response_body id=4 size=11 eos=true



=== TEST 18: 304 and 204 of an upstream: no body callback, the connection goes on
--- filter
{"trace":true,"response_body":[["set_body","response",0,0,"x"]]}
--- upstream eval
sub { my $c = shift; my ($head) = $c->message; $c->write($head =~ /304/ ? "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n" : $head =~ /204/ ? "HTTP/1.1 204 No Content\r\n\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
--- client eval
sub { my $connection = connection(); CORE::join ' ', map { $connection->write("GET $_ HTTP/1.1\r\nHost: h\r\n\r\n"); $connection->answer } qw(/304 /204 /200) }
--- client_out eval: '304  204  200 xok'
--- guests_like eval: qr/on_response/
--- guests eval: qr/\Ahostcalls: on_response_headers id=2 count=\d+ eos=true\nhostcalls: on_response_headers id=3 count=\d+ eos=true\nhostcalls: on_response_headers id=4 count=\d+ eos=false\nhostcalls: on_response_body id=4 size=2 eos=true\n\z/



=== TEST 19: ranges of a file through a filter that changes nothing: 206, several parts, 416
--- filter
{"response_body":[["log_body_length","response",0,-1]]}
--- config
    location / {
        @filter;
        root html;
    }
--- user_files eval: $::files
--- client eval
sub {
    my $parts = ::get('/f.txt', "Range: bytes=0-1,4-5\r\n");
    my $count = () = $parts =~ /^Content-Range: bytes (?:0-1|4-5)\/11\r$/mg;
    my $refused = ask("GET /f.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\nRange: bytes=100-200\r\n\r\n");
    CORE::join "\n", ::get('/f.txt', "Range: bytes=2-4\r\n"), ::get('/f.txt', "Range: bytes=-3\r\n"),
        ($parts =~ /^(206)/)[0] . " $count", ($refused =~ /^HTTP\/1.1 (\d+)/)[0] . ($refused =~ /0123456789/ ? ' with the body' : '') . ($refused =~ /Content-Range: bytes \*\/11\r/ ? ' */11' : ''),
        length(($refused =~ /\r\n\r\n(.*)\z/s)[0]) == ($refused =~ /^Content-Length: (\d+)/m)[0] ? 'framed' : 'not framed';
}
--- client_out eval: "206 length=3 234\n206 length=3 89\n\n206 2\n416 */11\nframed"



=== TEST 20: ranges of a file through a filter that rewrites: all of the new body, no Accept-Ranges
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- config
    location / {
        @filter;
        root html;
    }
--- user_files eval: $::files
--- client eval
sub { my $text = ask("GET /f.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\nRange: bytes=2-4\r\n\r\n"); ($text =~ /^HTTP\/1.1 (\d+)/)[0] . ($text =~ /^(?:Accept-Ranges|Content-Range)/mi ? ' ranges' : '') . ($text =~ /0123456789\n\+end/ ? ' whole' : ' part') }
--- client_out eval: '200 whole'



=== TEST 21: ETag: kept when nothing changes, weak when the filter rewrites
--- config
    location /same/ {
        wasm_filter hostcalls '{"response_body":[["log_body_length","response",0,-1]]}';
        alias html/;
    }
    location /removed/ {
        wasm_filter hostcalls '{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",4294967295,0,"+end"]]}';
        alias html/;
    }
    location /kept/ {
        wasm_filter hostcalls '{"response_body_end":[["set_body","response",4294967295,0,"+end"]]}';
        alias html/;
    }
    location /plain/ {
        alias html/;
    }
--- user_files eval: $::files
--- client eval
sub {
    my %tag = map { $_ => ask("GET /$_/f.txt HTTP/1.0\r\n\r\n") =~ /^ETag: (\S+)/m ? $1 : 'none' } qw(plain same removed kept);
    CORE::join ' ', $tag{same} eq $tag{plain} ? 'kept' : "$tag{same} for $tag{plain}", map { $tag{$_} eq "W/$tag{plain}" ? 'weak' : $tag{$_} } qw(removed kept);
}
--- client_out eval: 'kept weak weak'



=== TEST 22: gzip on compresses what the filter made of it
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- config
    location / {
        @filter;
        gzip on;
        gzip_min_length 1;
        gzip_types text/plain;
        root html;
    }
    location /kept/ {
        wasm_filter hostcalls '{"response_body_end":[["set_body","response",4294967295,0,"+end"]]}';
        gzip on;
        gzip_min_length 1;
        gzip_types text/plain;
        alias html/;
    }
--- user_files eval: $::files
--- client eval
sub { CORE::join '', map { output_of('curl', '-sS', '--compressed', "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}$_") . (ask("GET $_ HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n") =~ /^Content-Encoding: gzip\r$/m ? " gzip\n" : " plain\n") } '/f.txt', '/kept/f.txt' }
--- client_out eval: qr/\A0123456789\n\+end (?:gzip|plain)\n0123456789\n\+end (?:gzip|plain)\n\z/



=== TEST 23: gzip of a large rewritten text body
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
--- config
    location / {
        wasm_filter body_stream;
        gzip on;
        gzip_http_version 1.0;
        gzip_types text/plain;
        default_type text/plain;
        root html;
    }
--- user_files eval: $::files
--- client eval
sub {
    my $url = "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/long.txt";
    my $same = output_of('curl', '-sS', '--compressed', $url) eq uc('0123456789abcde' x 10000 . "\n");
    ($same ? 'right' : 'wrong') . (ask("GET /long.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n") =~ /^Content-Encoding: gzip\r$/m ? ' gzip' : ' plain');
}
--- client_out eval: 'right gzip'



=== TEST 24: a gzipped upstream body passes as it is, and with gunzip on is unpacked behind the filter
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
--- config
    location / {
        wasm_filter body_stream;
        wasm_filter hostcalls '{"trace":true}';
        proxy_pass http://up;
    }
    location /gunzip {
        wasm_filter body_stream;
        gunzip on;
        proxy_pass http://up;
    }
--- upstream eval
require IO::Compress::Gzip;
my ($text, $packed) = ("unpacked text\n");
IO::Compress::Gzip::gzip(\$text => \$packed);
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\nContent-Length: " . length($packed) . "\r\n\r\n$packed")
--- client eval
sub { output_of('curl', '-sS', '--compressed', "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/") . ::get('/gunzip') }
--- client_out
unpacked text
200 chunked unpacked text



=== TEST 25: proxy_cache: a stored response goes through the filter each time, and is stored unfiltered
--- http_config
    proxy_cache_path cache keys_zone=cache:1m;
--- filter
{"response_headers":[["add_header","response","x-filtered","1"],["remove_header","response","content-length"]],"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- config
    location / {
        @filter;
        proxy_cache cache;
        proxy_cache_key k;
        proxy_cache_valid 1m;
        add_header X-Cache $upstream_cache_status;
        proxy_pass http://up;
    }
    location /plain {
        proxy_cache cache;
        proxy_cache_key k;
        add_header X-Cache $upstream_cache_status;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
--- client eval
sub { CORE::join '', map { my $text = ask("GET $_ HTTP/1.0\r\n\r\n"); my $lines = () = $text =~ /^x-filtered: 1\r$/mg; CORE::join(' ', $_, $lines, $text =~ /^X-Cache: (\S+)/m, $text =~ /\r\n\r\n(.*)\z/s) . "\n" } qw(/ / /plain /) }
--- client_out
/ 1 MISS body+end
/ 1 HIT body+end
/plain 0 HIT body
/ 1 HIT body+end



=== TEST 26: the end comes once, with or behind the last bytes, for every source
--- filter
{"trace":true}
--- config
    location /file { @filter; alias html/f.txt; }
    location /return { @filter; return 200 "text"; }
    location /empty { @filter; return 200; }
    location /gif { @filter; empty_gif; }
    location /up { @filter; proxy_pass http://up; }
    location /unbuffered { @filter; proxy_buffering off; proxy_pass http://up; }
--- user_files eval: $::files
--- client eval
sub { CORE::join ' ', map { ::get($_) =~ /^(\d+ \S+)/ } qw(/file /return /empty /gif /up /unbuffered) }
--- client_out eval: qr/\A200 length=11 200 length=4 200 length=0 200 length=43 200 length=\d+ 200 length=\d+\z/
--- guests_like eval: qr/on_response_(?:headers|body).*eos=true/
--- guests eval
qr/\Ahostcalls: on_response_body id=2 size=\d+ eos=true
hostcalls: on_response_body id=3 size=4 eos=true
hostcalls: on_response_headers id=4 count=\d+ eos=true
hostcalls: on_response_body id=5 size=43 eos=true
hostcalls: on_response_body id=6 size=\d+ eos=true
hostcalls: on_response_body id=7 size=\d+ eos=true
\z/



=== TEST 27: buffered: a paused response holds its headers until the filter goes on, which may still change them
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"],["if_end_of_stream",[["set_header","response","x-late","1"],["set_header","response",":status","250"],["body_to_header","response","response","x-body"],["action","continue"]]]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.15;
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", Filtered::slowly($pause, 'one', 'two'))
--- request
GET /
--- error_code: 250
--- response_headers
x-late: 1
x-body: onetwo
--- response_body chomp
onetwo



=== TEST 28: unbuffered: nginx flushes the headers ahead of the body, so that a change in a body callback comes too late for them
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"],["if_end_of_stream",[["set_header","response","x-late","1"],["set_header","response",":status","250"],["body_to_header","response","response","x-body"],["action","continue"]]]]}
--- config
    location / {
        @filter;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- upstream eval
my $pause = 0.15;
Filtered::reply(Filtered::slowly($pause, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", 'one', 'two'))
--- request
GET /
--- error_code: 200
--- response_headers
! x-late
! x-body
--- response_body chomp
onetwo



=== TEST 29: keep-alive and pipelining: rewritten bodies of three requests, each in its own frame
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_body","response",0,0,"<"],["if_end_of_stream",[["set_body","response",100000,0,">"]]]]}
--- config
    location / {
        @filter;
        return 200 $uri;
    }
--- client eval
sub {
    my $connection = connection();
    $connection->write(CORE::join '', map { "GET $_ HTTP/1.1\r\nHost: h\r\n\r\n" } qw(/a /b /c));
    CORE::join ' ', map { ::framed($connection) } 1 .. 3;
}
--- client_out eval: qr{\A200 (?:chunked|length=4) </a> 200 (?:chunked|length=4) </b> 200 (?:chunked|length=4) </c>\z}



=== TEST 30: sub_filter and SSI behind the filter work on its body
--- filter
{"response_body":[["set_body","response",0,-1,"say old"]]}
--- config
    location / {
        @filter;
        default_type text/html;
        sub_filter old new;
        return 200 "x";
    }
--- request
GET /
--- response_body chomp
say new



=== TEST 31: limit_rate and small socket buffers: a rewritten body waits for the client and comes whole
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
--- config
    location / {
        wasm_filter body_stream;
        limit_rate 300k;
        root html;
    }
    location /up {
        wasm_filter body_stream;
        limit_rate 300k;
        proxy_pass http://up;
    }
    location /unbuffered {
        wasm_filter body_stream;
        limit_rate 300k;
        proxy_buffering off;
        proxy_pass http://up;
    }
--- user_files eval: $::files
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n", '0123456789abcde' x 10000)
--- client eval
sub {
    my $expected = uc '0123456789abcde' x 10000;
    CORE::join ' ', map { my $got = ::get($_); $got =~ s/^200 \S+ //; $got eq $expected || $got eq "$expected\n" ? 'right' : "$_ wrong " . length $got } qw(/long.txt /up /unbuffered);
}
--- client_out eval: 'right right right'



=== TEST 32: aio threads: a file passed on and rewritten
--- http_config
    wasm_module body_stream  $TEST_NGINX_FILTERS/body_stream.wasm;
--- config
    aio threads;
    location /same/ {
        wasm_filter hostcalls '{"response_body":[["log_body_length","response",0,-1]]}';
        sendfile off;
        alias html/;
    }
    location /upper/ {
        wasm_filter body_stream;
        sendfile off;
        output_buffers 2 4k;
        alias html/;
    }
    location /sendfile/ {
        wasm_filter body_stream;
        sendfile on;
        alias html/;
    }
--- user_files eval: $::files
--- client eval
sub {
    my $body = '0123456789abcde' x 10000 . "\n";
    CORE::join ' ', map { my $got = ::get("${_}long.txt"); $got =~ s/^200 \S+ //; "$_ " . ($got eq $body ? 'same' : $got eq uc $body ? 'upper' : 'wrong') } qw(/same/ /upper/ /sendfile/);
}
--- client_out eval: '/same/ same /upper/ upper /sendfile/ upper'



=== TEST 33: 101: the connection is upgraded behind a filter with body callbacks, and bytes flow both ways
--- filter
{"trace":true,"response_body":[["set_body","response",0,0,"x"]],"response_headers":[["set_header","response","x-seen","1"]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_pass http://up;
    }
--- upstream eval
sub {
    my $connection = shift;
    $connection->until(qr/\r\n\r\n/);
    $connection->write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello ");
    my $word = $connection->take(4);
    $connection->write("got $word");
}
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n");
    my $head = $connection->until(qr/\r\n\r\n/);
    my $first = $connection->take(6);
    $connection->write('ping');
    ($head =~ m{^HTTP/1.1 (\d+)})[0] . ($head =~ /^x-seen: 1\r$/m ? ' seen ' : ' unseen ') . $first . $connection->rest;
}
--- client_out eval: '101 seen hello got ping'
--- guests_like eval: qr/on_response/
--- guests eval
qr/\Ahostcalls: on_response_headers id=2 count=\d+ eos=true\n\z/



=== TEST 34: an intercepted error of the upstream: the error page passes the filter, nothing of the error's body is left
--- filter
{"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- config
    error_page 502 /page;
    location / {
        @filter;
        proxy_intercept_errors on;
        proxy_pass http://up;
    }
    location /page {
        @filter;
        internal;
        return 200 "page";
    }
--- upstream eval
Filtered::reply("HTTP/1.1 502 Bad\r\nX-Up: 1\r\nContent-Length: 6\r\n\r\nbroken")
--- client eval: sub { ::get('/') }
--- client_out eval: '502 length=8 page+end'



=== TEST 35: X-Accel-Redirect: the file is what the filter sees and the client gets
--- filter
{"response_body":[["log_body","response",0,-1],["set_body","response",0,0,"<"]]}
--- config
    location / {
        @filter;
        proxy_pass http://up;
    }
    location /file {
        @filter;
        internal;
        alias html/f.txt;
    }
--- user_files eval: $::files
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nX-Accel-Redirect: /file\r\nContent-Length: 6\r\n\r\nunseen")
--- client eval: sub { ::get('/') }
--- client_out eval: "200 length=12 <0123456789\n"
--- guests_like eval: qr/body/
--- guests
hostcalls: body response 0 4294967295 = 0123456789\x0a



=== TEST 36: an upstream that sends less or more than its Content-Length: never a wrong frame behind a filter
--- filter
{"response_body":[["log_body_length","response",0,-1]]}
--- config
    keepalive_timeout 2s;
    location / {
        @filter;
        proxy_pass http://up;
    }
    location /next { return 200 "next"; }
--- upstream eval
sub { my $c = shift; my ($head) = $c->message; $c->write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" . ($head =~ /less/ ? '123' : '123456789')) }
--- client eval
sub {
    CORE::join ' ', map {
        my $connection = connection();
        $connection->write("GET $_ HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        my ($head, $body) = $connection->message;
        my $rest = $connection->rest;
        $rest =~ s/^HTTP.*\r\n\r\n//s;
        "[$body] [$rest]";
    } qw(/more /less);
}
--- client_out eval: '[12345] [next] [123] []'
--- no_error_log eval: $Filtered::alive



=== TEST 36: a content-length set by the filter for the body that it makes
--- filter
{"response_headers":[["set_header","response","content-length","3"]],"response_body":[["set_body","response",0,-1,"abc"]]}
--- config
    location / { @filter; return 200 "12345"; }
    location /file { @filter; alias html/f.txt; }
--- user_files eval: $::files
--- client eval: sub { ::get('/') . '|' . ::get('/file') }
--- client_out eval: qr/\A200 (?:length=3|chunked) abc\|200 (?:length=3|chunked) abc\z/



=== TEST 37: HTTP/0.9: the rewritten body without a header, and the end of the connection
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_body","response",0,0,"<"]]}
--- config
    location / { @filter; return 200 "text"; }
--- client eval: sub { ask("GET /\r\n") }
--- client_out eval: '<text'



=== TEST 38: HEAD with content-length removed, and HEAD that fills a cache: no body, the next answers in order
--- http_config
    proxy_cache_path cache keys_zone=cache:1m;
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",4294967295,0,"+end"]]}
--- config
    location / { @filter; return 200 "text"; }
    location /cached {
        @filter;
        proxy_cache cache;
        proxy_cache_key k;
        proxy_cache_valid 1m;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
--- client eval
sub {
    my $connection = connection();
    $connection->write(CORE::join '', map { "$_ HTTP/1.1\r\nHost: h\r\n\r\n" } 'HEAD /', 'GET /', 'HEAD /cached', 'GET /cached');
    my $got = '';
    for my $head (1, 0, 1, 0) {
        my ($lines, $body) = $connection->message(head => $head);
        $got .= ($lines =~ m{^HTTP/1.1 (\d+)})[0] . ($lines =~ /^Content-Length/mi ? ' length' : '') . " [$body]\n";
    }
    $got;
}
--- client_out
200 []
200 [text+end]
200 []
200 [body+end]



=== TEST 39: trailers of the upstream: the body's end is theirs, they are seen, changed and sent on
--- filter
{"trace":true,"response_body":[["set_body","response",0,0,""]],"response_trailers":[["log_headers","response_trailers"],["set_header","response_trailers","x-one","new"],["add_header","response_trailers","x-two","2"]]}
--- config
    location / {
        @filter;
        proxy_http_version 1.1;
        proxy_pass_trailers on;
        proxy_pass http://up;
    }
--- upstream eval
Filtered::reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-One\r\n\r\n4\r\nbody\r\n0\r\nX-One: 1\r\n\r\n")
--- client eval
sub { my $text = ask("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: close\r\n\r\n"); ($text =~ /\r\n\r\n(.*)\z/s)[0] }
--- client_out eval: "4\r\nbody\r\n0\r\nX-One: new\r\nx-two: 2\r\n\r\n"
--- guests_like eval: qr/on_response_body.*eos=true|trailers/
--- guests
hostcalls: on_response_trailers id=2 count=1
hostcalls: response_trailers has 1 pairs
hostcalls: response_trailers x-one=1



=== TEST 40: SSI: the filter of an included part sees its body and its end
--- config
    location /plain {
        ssi on;
        default_type text/html;
        return 200 '<!--# include virtual="/part" -->[page]';
    }
    location /part {
        wasm_filter hostcalls '{"response_body_end":[["set_body","response",0,0,"<"],["set_body","response",4294967295,0,">"]]}';
        return 200 "part";
    }
--- client eval: sub { ::get('/plain') }
--- client_out eval: '200 chunked <part>[page]'



=== TEST 41: an empty response of an upstream grows a body
--- filter
{"response_headers":[["remove_header","response","content-length"]],"response_body_end":[["set_body","response",0,0,"grown"]]}
--- upstream eval
sub { my $c = shift; my ($head) = $c->message; $c->write($head =~ /chunked/ ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" : "HTTP/1.0 200 OK\r\n\r\n") }
--- config
    location / { @filter; proxy_http_version 1.1; proxy_pass http://up; }
    location /unbuffered { @filter; proxy_http_version 1.1; proxy_buffering off; proxy_pass http://up; }
--- client eval: sub { CORE::join ' ', map { ::get($_) } qw(/chunked /closed /unbuffered/chunked /unbuffered/closed) }
--- client_out eval: '200 chunked grown 200 chunked grown 200 chunked grown 200 chunked grown'



=== TEST 42: pieces of a file emptied or kept at every place: no byte lost, doubled or out of order
--- http_config
    wasm_module empty ../html/empty.wat;
--- user_files
>>> empty.wat
;; Empties each piece that begins with "-", and doubles the first byte of one that begins with "+".
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "content-length")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $remove (i32.const 2) (i32.const 16) (i32.const 14)))
    (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (drop (call $get (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 45))
      (then (drop (call $set (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0)))))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 43))
      (then (drop (call $set (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 1)))))
    (i32.const 0)))
--- config
    location / {
        wasm_filter empty;
        root html;
    }
    location /off/ {
        wasm_filter empty;
        sendfile off;
        output_buffers 1 64k;
        alias html/;
    }
--- client eval
sub {
    my %piece = (a => 'a' x 65536, b => 'b' x 65536, m => '-' x 65536, p => '+' . 'p' x 65535);
    my %kept = (a => $piece{a}, b => $piece{b}, m => '', p => "+$piece{p}");
    my $wrong = '';
    my $count = 0;
    for my $plan (map { my $x = $_; map { my $y = $_; map { "$x$y$_" } '', qw(a m p) } qw(b m p) } qw(a m p)) {
        for my $tail ('', 'tail', '-tail', '+tail') {
            open my $file, '>', "$ENV{TEST_NGINX_SERVROOT}/html/file" or die $!;
            print $file map({ $piece{$_} } split //, $plan), $tail;
            close $file;
            my $expected = CORE::join('', map { $kept{$_} } split //, $plan) . ($tail eq '-tail' ? '' : $tail eq '+tail' ? '++tail' : $tail);
            for my $path ('/file', '/off/file') {
                my $got = ::get($path);
                $count++;
                $wrong .= "$path $plan$tail: " . length($got) . ' for ' . (12 + length $expected) . "\n" if $got ne "200 chunked $expected";
            }
        }
    }
    $wrong . "$count files";
}
--- client_out eval: '288 files'
