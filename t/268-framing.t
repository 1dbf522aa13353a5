# The host frames every message: the length that a client gets is that of the body that goes out, whatever a guest sets, with and without
# body callbacks, over each version of HTTP, of an upstream, a cache, a file, nginx's own responses and the filters'.

use Test::Nginx::Socket 'no_plan';
use Hostile ();
use Wire;
use Filtered;
use FindBin;

# A call of a header map's function with these strings, which get their places in memory.
our ($data, $at) = ('', 1024);

sub change {
    my ($op, $map, @strings) = @_;
    my $operands = '';
    for my $string (@strings) {
        $operands .= " (i32.const $at) (i32.const " . length($string) . ')';
        $data .= "(data (i32.const $at) \"" . join('', map { sprintf '\\%02x', ord } split //, $string) . '")';
        $at += length($string) + 8;
    }
    return "(drop (call \$proxy_${op}_header_map_value (i32.const $map)$operands))";
}

# A guest that makes these changes in these callbacks.
sub guest {
    my %callbacks = @_;
    my $text = Hostile::guest(
        imports => [map { "proxy_${_}_header_map_value" } qw(add replace remove)],
        (map { ($_ => "$callbacks{$_} (i32.const 0)") } keys %callbacks), fields => $data,
    );
    ($data, $at) = ('', 1024);
    return $text;
}

our @lengths = qw(0 3 99 99999999999);
our %guests = (
    # Only header callbacks, or body callbacks as well, of which no filter does anything.
    (map { my $n = $_; ("head$n" => sub { guest(response_headers => change('replace', 2, 'content-length', $n) . change('add', 2, 'Content-Length', $n)) }) } @lengths),
    (map { my $n = $_; ("both$n" => sub { guest(response_headers => change('replace', 2, 'content-length', $n), response_body => '') }) } @lengths),
    (map { my $n = $_; ("body$n" => sub { guest(response_body => change('replace', 2, 'content-length', $n)) }) } @lengths),
    (map { my $n = $_; ("again$n" => sub { guest(response_headers => change('remove', 2, 'content-length'), response_body => change('add', 2, 'content-length', $n)) }) } @lengths),
    gone => sub { guest(response_headers => change('remove', 2, 'content-length')) },
    chunked => sub { guest(response_headers => change('replace', 2, 'content-length', '3') . change('add', 2, 'transfer-encoding', 'gzip') . change('add', 2, 'Transfer-Encoding', 'chunked')) },
    odd => sub { guest(response_headers => change('replace', 2, 'content-length', '5, 6') . change('add', 2, 'content-length', '-1') . change('add', 2, 'content-length', '')) },
    ok => sub { guest(response_headers => change('replace', 2, ':status', '200') . change('replace', 2, 'content-length', '10'), response_body => '') },
    ok2 => sub { guest(response_headers => change('replace', 2, ':status', '200')) },
    none => sub { guest(response_headers => change('replace', 2, ':status', '204')) },
    same => sub { guest(response_headers => change('replace', 2, ':status', '304')) },
    late => sub { guest(response_body => change('replace', 2, ':status', '204')) },
);
our @names = sort keys %guests;

# Their files and directives, and a location of each in front of what answers.
our $files = join '', map { ">>> $_.wat\n" . $guests{$_}->() . "\n" } @names;
our $modules = join '', map { "wasm_module $_ ../html/$_.wat;\n" } @names;

sub locations {
    my ($prefix, $answers) = @_;
    return join '', map { my $answer = $answers =~ s/\@name/$_/gr; "location /$prefix/$_/ { wasm_filter $_; $answer }\n" } @names;
}

# "upstream" in each way that a body ends, or none.
our %answers = (
    length => "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nupstream",
    chunks => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nupst\r\n4\r\nream\r\n0\r\n\r\n",
    close  => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nupstream",
    204    => "HTTP/1.1 204 No Content\r\n\r\n",
    304    => "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
);

sub answers {
    my $connection = shift;
    my ($head) = $connection->message;
    my ($method, $kind) = $head =~ m{^(\w+) /\w+/\w+/(\w+)} or return;
    my $answer = $answers{$kind} =~ s/\r\n/\r\nCache-Control: max-age=60\r\n/r;
    $connection->write($method eq 'HEAD' ? $answer =~ s/\r\n\r\n.*/\r\n\r\n/sr : $answer);
}

# What is wrong with the answers to these requests. A second request on the connection shows where the first one's answer ends.
sub wrong {
    my ($whole, @paths) = @_;
    my @wrong;
    for my $path (@paths) {
        for my $method (qw(GET HEAD)) {
            my $connection = main::connection();
            $connection->write("$method $path HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            my ($head, $body) = eval { $connection->message(head => $method eq 'HEAD') };
            if (!defined $head) { push @wrong, "$method $path: waits: $@"; next }
            my ($status) = $head =~ m{\AHTTP/1\.1 (\d+)};
            my @framing = $head =~ /^(content-length|transfer-encoding):/gmi;
            # A connection that ends behind the answer is right as well.
            my $rest = $head =~ /^connection: close\r$/mi ? '' : $connection->rest;
            my $right = $rest eq '' || $rest =~ m{\AHTTP/1\.1 200 OK\r\n.*\r\n\r\nnext\z}s;
            push @wrong, "$method $path: two framings" if @framing > 1;
            push @wrong, "$method $path: behind it [$rest]" if !$right;
            push @wrong, "$method $path: framing of a 204" if ($status // 0) == 204 && @framing;
            push @wrong, "$method $path: [$body]" if $method eq 'GET' && $status == 200 && $body ne $whole->($path);
            # HTTP/1.0, which has a length or ends with the connection.
            my $old = main::ask("$method $path HTTP/1.0\r\nHost: h\r\n\r\n");
            my ($length) = $old =~ /^content-length: (\d+)\r$/mi;
            my ($got) = $old =~ /\r\n\r\n(.*)\z/s;
            push @wrong, "HTTP/1.0 $method $path: [$old]" if $method eq 'GET' && ($old =~ /chunked/i || (defined $length && $status == 200 && $length != length $got) || ($status == 200 && $got ne $whole->($path)));
        }
    }
    return @wrong;
}

our $conf = "$modules proxy_http_version 1.1; proxy_cache_path cache keys_zone=c:1m;";

run_tests();

__DATA__

=== TEST 1: a length of a guest's, with and without body callbacks, for bodies that end in each way; HTTP/1.0 and 1.1; GET and HEAD
--- http_config eval: $::conf
--- config eval: ::locations('x', 'proxy_pass http://up;') . 'location = /next { return 200 next; }'
--- user_files eval: $::files
--- upstream eval: \&::answers
--- client eval
sub {
    my @paths = map { my $name = $_; map { "/x/$name/$_" } qw(length chunks close 204 304) } @::names;
    rows(::wrong(sub { $_[0] =~ /204|304|none|same|late/ ? '' : 'upstream' }, @paths)) . scalar @paths;
}
--- client_out eval: 5 * @::names
--- no_error_log eval: $Filtered::alive



=== TEST 2: from the cache, missed and hit; not buffered
--- http_config eval: $::conf
--- config eval
::locations('c', 'proxy_cache c; proxy_cache_valid 200 204 304 1m; proxy_cache_key @name$uri; proxy_pass http://up;') . ::locations('n', 'proxy_buffering off; proxy_pass http://up;') . 'location = /next { return 200 next; }'
--- user_files eval: $::files
--- upstream eval: \&::answers
--- client eval
sub {
    my @paths = map { my $name = $_; map { ("/c/$name/$_", "/c/$name/$_", "/n/$name/$_") } qw(length chunks 204) } @::names;
    rows(::wrong(sub { $_[0] =~ /204|none|same|late/ ? '' : 'upstream' }, @paths)) . scalar @paths;
}
--- client_out eval: 9 * @::names
--- no_error_log eval: $Filtered::alive



=== TEST 3: a file, a part of it, a file that has not been modified, nginx's own responses and error pages
--- http_config eval: $::conf
--- config eval
::locations('f', 'alias html/;') . ::locations('r', 'return 200 own;') . 'location = /next { return 200 next; }'
--- user_files eval: $::files . ">>> a.txt 197001010000.42\nupstream"
--- client eval
sub {
    my @paths = map { ("/f/$_/a.txt", "/r/$_/x") } @::names;
    my @wrong = ::wrong(sub { $_[0] =~ /none|same|late/ ? "" : $_[0] =~ m{^/r} ? "own" : "upstream" }, @paths);
    for my $name (@::names) {
        for my $lines ("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", "Range: bytes=2-4\r\n") {
            my $connection = connection();
            $connection->write("GET /f/$name/a.txt HTTP/1.1\r\nHost: h\r\n$lines\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            my ($head, $body) = $connection->message;
            my $rest = $connection->rest;
            push @wrong, "$name $lines: $head [$body] [$rest]" if $rest !~ m{\AHTTP/1\.1 200 OK\r\n.*\r\n\r\nnext\z}s || ($head =~ / 304 / && $body ne '');
        }
    }
    rows(@wrong) . scalar @paths;
}
--- client_out eval: 2 * @::names
--- no_error_log eval: $Filtered::alive



=== TEST 4: over HTTP/2, where curl ends a stream whose length is wrong; subrequests
--- http_config eval
$::conf . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . ::locations('x', 'proxy_pass http://up;') . ::locations('r', 'return 200 own;') . ' location /s/ { ssi on; ssi_types *; default_type text/plain; alias html/; } }'
--- config
--- user_files eval
$::files . CORE::join '', map { ">>> $_.txt\n<!--#include virtual=\"/x/$_/length\" --><!--#include virtual=\"/x/$_/204\" -->!\n" } @::names
--- upstream eval: \&::answers
--- client eval
sub {
    my @paths = map { my $name = $_; ("/r/$name/x", map { "/x/$name/$_" } qw(length chunks close 204 304)) } @::names;
    my $url = "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}";
    my @wrong;
    for my $path (@paths) {
        my $line = output_of('curl', '-sS', '--http2-prior-knowledge', '-m', 5, '-w', ' %{response_code} %{errormsg}', "$url$path");
        my $body = $path =~ /none|same|204|304|late/ ? '' : $path =~ m{^/r/} ? 'own' : 'upstream';
        push @wrong, "$path: $line" if $line !~ /\A\Q$body\E \d\d\d \z/;
    }
    for my $name (@::names) {
        my $text = output_of('curl', '-sS', '--http2-prior-knowledge', '-m', 5, "$url/s/$name.txt");
        push @wrong, "$name: $text" if $text !~ /\A(?:upstream)?!\n\z/;
    }
    rows(@wrong) . scalar @paths;
}
--- client_out eval: 6 * @::names
--- no_error_log eval: $Filtered::alive



=== TEST 5: local responses from each callback, with a length of the guest's in its headers and set afterwards
--- config
    location /request/ { wasm_filter hostcalls '{"request_headers":[["local_response",200,[["content-length","2"],["transfer-encoding","chunked"]],"local"],["action","pause"]],"response_headers":[["set_header","response","content-length","3"]],"response_body":[["set_header","response","content-length","9"]]}'; proxy_pass http://up; }
    location /headers/ { wasm_filter hostcalls '{"response_headers":[["set_header","response","content-length","3"],["local_response",200,[["Content-Length","2"]],"local"]]}'; proxy_pass http://up; }
    location /body/ { wasm_filter hostcalls '{"response_body":[["local_response",200,[["content-length","99"]],"local"],["set_header","response","content-length","3"]]}'; proxy_pass http://up; }
    location /none/ { wasm_filter hostcalls '{"request_headers":[["local_response",204,[["content-length","5"]],"local"]],"response_headers":[["set_header","response",":status","200"]]}'; proxy_pass http://up; }
    location /of204/ { wasm_filter hostcalls '{"response_headers":[["local_response",200,[],"local"]]}'; proxy_pass http://up/x/x/204; }
    location = /next { return 200 next; }
--- upstream eval: Filtered::reply("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nupstream")
--- client eval: sub { rows(::wrong(sub { $_[0] =~ /none/ ? '' : 'local' }, qw(/request/ /headers/ /body/ /none/ /of204/))) . 'done' }
--- client_out chomp
done
--- no_error_log eval: $Filtered::alive



=== TEST 6: a 101 with another status is no tunnel, and has no body; one that nobody has asked for is a 502
--- http_config
    map $http_upgrade $asked { default upgrade; "" ""; }
--- config
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $asked;
    location /200/ { wasm_filter hostcalls '{"response_headers":[["set_header","response",":status","200"],["set_header","response","content-length","3"]]}'; proxy_pass http://up; }
    location /204/ { wasm_filter hostcalls '{"response_headers":[["set_header","response",":status","204"]]}'; proxy_pass http://up; }
    location /keep/ { wasm_filter hostcalls '{"request_headers":[["set_header","request","x-a","b"]],"response_headers":[["set_header","response","content-length","3"],["add_header","response","transfer-encoding","chunked"]]}'; proxy_pass http://up; }
    location /made/ { wasm_filter hostcalls '{"request_headers":[["add_header","request","upgrade","websocket"],["add_header","request","connection","upgrade"]]}'; proxy_pass http://up; }
--- upstream eval
sub {
    my $connection = shift;
    my ($head) = $connection->message;
    $connection->write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nfirst");
    $connection->until(qr/ping/);
    $connection->write('pong');
}
--- client eval
sub {
    CORE::join '', map {
        my $connection = connection();
        $connection->write("GET /$_/ HTTP/1.1\r\nHost: h\r\n" . ($_ eq 'made' ? '' : "Connection: upgrade\r\nUpgrade: websocket\r\n") . "\r\n");
        my ($head) = $connection->until(qr/\r\n\r\n/);
        my ($status) = $head =~ m{\AHTTP/1\.1 (\d+)};
        my @framing = $head =~ /^((?:content-length|transfer-encoding): .*)\r$/gmi;
        $connection->write('ping') if $status == 101;
        my $body = $status == 502 ? '' : $connection->rest;
        "$_: $status [@{[$status == 502 ? '' : @framing]}] [$body]\n";
    } qw(200 204 keep made);
}
--- client_out
200: 200 [Content-Length: 0] []
204: 204 [] []
keep: 101 [] [firstpong]
made: 502 [] []
--- no_error_log eval: $Filtered::alive



=== TEST 7: the lines that frame a request tell what its body is, for upstreams that get them as they are
--- config
    location /x/ { wasm_filter hostcalls '{"request_headers":[["set_header","request","content-length","99"],["add_header","request","Transfer-Encoding","gzip, chunked"]]}'; fastcgi_pass 127.0.0.1:$TEST_NGINX_PORT_9; fastcgi_param CONTENT_LENGTH $content_length; }
    location /y/ { wasm_filter hostcalls '{"request_headers":[["remove_header","request","content-length"]],"request_body_end":[["set_header","request","content-length","1"],["add_header","request","transfer-encoding","chunked"]]}'; fastcgi_pass 127.0.0.1:$TEST_NGINX_PORT_9; fastcgi_param CONTENT_LENGTH $content_length; }
--- upstream eval
# FastCGI: answers with the parameters and the body as they came in.
sub {
    my $connection = shift;
    my ($params, $body) = ('', '');
    while (1) {
        my ($type, $length, $padding) = (unpack 'CCnnCC', $connection->take(8))[1, 3, 4];
        my $content = $connection->take($length);
        $connection->take($padding);
        $params .= $content if $type == 4;
        $body .= $content if $type == 5;
        last if $type == 5 && !$length;
    }
    my %param;
    while (length $params) {
        my ($name, $value) = map { my $n = ord substr $params, 0, 1, ''; $n < 128 ? $n : (($n & 127) << 24) + unpack 'N', "\0" . substr $params, 0, 3, '' } 1, 2;
        my $key = substr $params, 0, $name, '';
        $param{$key} = substr $params, 0, $value, '';
    }
    my $text = "Content-Type: text/plain\r\n\r\n" . CORE::join(' ', map { $param{$_} // 'none' } qw(CONTENT_LENGTH HTTP_TRANSFER_ENCODING)) . " [$body]";
    $connection->write(pack('CCnnCC', 1, 6, 1, length $text, 0, 0) . $text . pack('CCnnCC', 1, 3, 1, 8, 0, 0) . pack 'NCCCC', 0, 0, 0, 0, 0);
}
--- client eval
sub {
    CORE::join '', map {
        my ($path, $lines, $body) = @$_;
        (ask("POST $path HTTP/1.1\r\nHost: h\r\nConnection: close\r\n$lines\r\n\r\n$body") =~ /\r\n\r\n(?:[0-9a-f]+\r\n)?(.*\])/s)[0] . "\n";
    } (map { ["/$_/", 'Content-Length: 4', 'body'], ["/$_/", 'Transfer-Encoding: chunked', "4\r\nbody\r\n0\r\n\r\n"], ["/$_/", 'Content-Length: 0', ''] } qw(x y));
}
--- client_out
4 none [body]
4 chunked [body]
0 none []
4 none [body]
4 chunked [body]
0 none []
--- no_error_log eval: $Filtered::alive



=== TEST 8: over HTTP/3, where the client ends a stream whose length is wrong
(Also that of a 304, which tells of another response: there is none here that stays one.)
--- http_config eval
$::conf . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_3 quic; ssl_certificate ../html/tls.pem; ssl_certificate_key ../html/tls.pem; ' . ::locations('x', 'proxy_pass http://up;') . ::locations('r', 'return 200 own;') . '}'
--- config
--- user_files eval
$::files . ">>> tls.pem\n" . output_of(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=h3.example -keyout /dev/stdout -out /dev/stdout))
--- upstream eval: \&::answers
--- client eval
sub {
    my @paths = map { my $name = $_; ("/r/$name/x", map { "/x/$name/$_" } qw(length chunks 204), $name =~ /^ok/ ? '304' : ()) } grep { $_ ne 'same' } @::names;
    my @lines = split /\n/, output_of($ENV{TEST_NGINX_PYTHON}, '-B', "$FindBin::Bin/lib/h3_get.py", $ENV{TEST_NGINX_PORT_3}, @paths);
    my @wrong;
    for my $path (@paths) {
        my $line = shift @lines // 'none';
        my $body = $path =~ /none|same|204|304|late/ ? '' : $path =~ m{^/r/} ? 'own' : 'upstream';
        push @wrong, "$path: $line" if $line !~ /\A\S+ \d+ \[.*?\] \[\Q$body\E\] \[\]\z/;
    }
    rows(@wrong) . scalar @paths;
}
--- client_out eval: 4 * (@::names - 1) + 2
--- no_error_log eval: $Filtered::alive
