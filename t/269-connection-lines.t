# Lines about one connection only, which a guest sets: they are nginx's to make, and in HTTP/2 and HTTP/3 an error that costs the stream.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;
use FindBin;

our @lines = qw(keep-alive Keep-Alive proxy-connection upgrade te connection transfer-encoding);
our $forbidden = qr/^(?:keep-alive|proxy-connection|te|transfer-encoding)\s*:/mi;

# Sets them by add, by replace, and by the whole map.
our $ops = join ',', (map { (qq(["add_header","response","$_","x"]), qq(["set_header","response","$_","x"])) } @lines), '["add_header","response","x-own","1"]';
our $map = '["set_headers","response",[' . join(',', map { qq(["$_","x"]) } @lines) . ',["x-own","1"]]]';
our $local = '["local_response",200,[' . join(',', map { qq(["$_","x"]) } @lines) . ',["x-own","1"]],"local"]';

our $locations = join '', map { my ($path, $filter, $answer) = @$_; "location /$path/ { wasm_filter hostcalls '$filter'; $answer }\n" } (
    ['each', qq({"response_headers":[$ops]}), 'proxy_pass http://up;'], ['map', qq({"response_headers":[$map]}), 'proxy_pass http://up;'], ['own', qq({"response_headers":[$ops]}), 'return 200 own;'],
    ['body', qq({"response_body":[$ops]}), 'proxy_pass http://up;'], ['local', qq({"request_headers":[$local]}), 'proxy_pass http://up;'], ['late', qq({"response_headers":[$local]}), 'proxy_pass http://up;'],
    ['trailers', '{"response_headers":[["remove_header","response","content-length"],["add_header","response","x-own","1"]],"response_trailers":[' . join(',', map { qq(["add_header","response_trailers","$_","x"]) } @lines) . ']}', 'proxy_pass http://up; proxy_http_version 1.1; proxy_pass_trailers on;'],
);
our @paths = qw(/each/ /map/ /own/ /body/ /local/ /late/ /trailers/);
our $server = 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; ' . "$locations }";

sub answer {
    my $connection = shift;
    my ($head) = $connection->message;
    $connection->write($head =~ m{^GET /trailers} ? "HTTP/1.1 200 OK\r\nTrailer: x-t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nup\r\n0\r\nX-T: t\r\n\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup");
}

run_tests();

__DATA__

=== TEST 1: over HTTP/2 none of them goes out, and each stream ends well
--- http_config eval: $::server
--- config
--- upstream eval: \&::answer
--- client eval
sub {
    CORE::join '', map {
        my $answer = output_of('curl', '-sSi', '--http2-prior-knowledge', '-m', 5, '-w', ' %{errormsg}', "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$_");
        my @wrong = $answer =~ /^(?:keep-alive|proxy-connection|te|transfer-encoding|upgrade|connection)\s*:.*/gmi;
        "$_ " . ($answer =~ m{\AHTTP/2 (\d+)})[0] . ' ' . ($answer =~ /^(x-own: 1)\r$/m)[0] . " [@wrong] " . ($answer =~ /\r\n\r\n(up|own|local)/)[0] . ($answer =~ / (\S[^\n]*)\z/ ? " $1" : '') . "\n";
    } @::paths;
}
--- client_out
/each/ 200 x-own: 1 [] up
/map/ 200 x-own: 1 [] up
/own/ 200 x-own: 1 [] own
/body/ 200 x-own: 1 [] up
/local/ 200 x-own: 1 [] local
/late/ 200 x-own: 1 [] local
/trailers/ 200 x-own: 1 [] up
--- no_error_log eval: $Filtered::alive



=== TEST 2: over HTTP/1.1 nginx's own are the only ones, and the connection goes on; upgrade may tell what can be asked for
--- config eval: $::locations
--- upstream eval: \&::answer
--- client eval
sub {
    my $connection = connection();
    CORE::join '', map {
        $connection->write("GET $_ HTTP/1.1\r\nHost: h\r\n\r\n");
        my ($head, $body) = $connection->message;
        my @own = sort map { lc } $head =~ /^((?:keep-alive|proxy-connection|te|upgrade|connection)\s*:.*)\r$/gmi;
        my @framing = $head =~ /^((?:transfer-encoding|content-length): .*)\r$/gmi;
        "$_ [@own] " . @framing . " $body\n";
    } grep { !/trailers/ } @::paths;
}
--- client_out
/each/ [connection: keep-alive upgrade: x] 1 up
/map/ [connection: keep-alive upgrade: x] 1 up
/own/ [connection: keep-alive upgrade: x] 1 own
/body/ [connection: keep-alive upgrade: x] 1 up
/local/ [connection: keep-alive upgrade: x] 1 local
/late/ [connection: keep-alive upgrade: x] 1 local
--- no_error_log eval: $Filtered::alive



=== TEST 3: proxy-connection is not passed to an upstream, which may speak HTTP/2
--- filter
{"request_headers":[["add_header","request","proxy-connection","x"],["set_header","request","Proxy-Connection","x"],["set_header","request","x-own","1"]]}
--- request
GET /
--- response_body
GET / HTTP/1.0
Host: up
Connection: close
x-own: 1



=== TEST 4: over HTTP/3 none of them goes out, and the connection serves all of them
--- http_config eval
'server { listen 127.0.0.1:$TEST_NGINX_PORT_3 quic; ssl_certificate ../html/tls.pem; ssl_certificate_key ../html/tls.pem; ' . "$::locations }"
--- config
--- user_files eval
[['tls.pem', output_of(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=h3.example -keyout /dev/stdout -out /dev/stdout))]]
--- upstream eval: \&::answer
--- client eval
sub {
    my $answers = output_of($ENV{TEST_NGINX_PYTHON}, '-B', "$FindBin::Bin/lib/h3_get.py", $ENV{TEST_NGINX_PORT_3}, @::paths);
    $answers =~ s/^(\S+ \d+) \[([^]]*)\]/"$1 [" . CORE::join(' ', grep { !m{^(?:server|date|content-type|content-length)\z} } split m{ }, $2) . ']'/gme;
    $answers;
}
--- client_out
/each/ 200 [x-own] [up] []
/map/ 200 [x-own] [up] []
/own/ 200 [x-own] [own] []
/body/ 200 [x-own] [up] []
/local/ 200 [x-own] [local] []
/late/ 200 [x-own] [local] []
/trailers/ 200 [trailer x-own] [up] [x-t]
--- no_error_log eval: $Filtered::alive
