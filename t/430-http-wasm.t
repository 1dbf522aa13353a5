# http-wasm guests of the SDKs as filters: rules for headers, a cookie, bodies; what a host has to do, case by case.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use Wire;

# The backend of the cases: shows what has come, without a body.
sub backend {
    my $connection = shift;
    my ($head) = $connection->message;
    return if $head eq '';
    my ($method, $target, @lines) = ($head =~ m{^(\S+) (\S+) }, grep { /:/ } split /\r\n/, $head);
    my (%count, @shown);
    for (@lines) {
        my ($name, $value) = /^([^:]+): *(.*)$/ or next;
        $name = join '-', map { ucfirst lc } split /-/, $name;
        push @shown, "x-httpwasm-next-header-$name-" . ($count{$name}++) . ": $value";
    }
    $connection->write(join "\r\n", 'HTTP/1.1 200 OK', 'Content-Length: 0', "x-httpwasm-next-method: $method",
        "x-httpwasm-next-uri: $target", @shown, '', '');
}

# A case: its name, the request, and what the answer's head must have beside x-httpwasm-tck-handled.
our @cases = (
    ['get_protocol_version', 'GET /get_protocol_version'],
    (map { ["get_method/$_", "$_ /"] } qw(GET HEAD POST PUT DELETE OPTIONS PATCH)),
    ['set_method', 'GET /', 'x-httpwasm-next-method: POST'],
    (map { ["get_uri/$_->[0]", "GET $_->[1]"], ["set_uri/$_->[0]", 'GET /', "x-httpwasm-next-uri: $_->[1]"] }
        ['simple', '/simple'], ['simple/escaping', '/simple%26clean'], ['query', '/animal?name=panda'],
        ['query/escaping', '/disney?name=chip%26dale']),
    ['get_header_values/request/lowercase-key', 'GET /', undef, 'single-header: value'],
    ['get_header_values/request/mixedcase-key', 'GET /', undef, 'Single-Header: value'],
    ['get_header_values/request/not-exists', 'GET /'],
    ['get_header_values/request/multiple-values', 'GET /', undef, 'multi-header: value1', 'multi-header: value2'],
    ['get_header_names/request', 'GET /', undef, 'a-header: value1', 'b-header: 2'],
    ['set_header_value/request/new', 'GET /', 'x-httpwasm-next-header-new-header-0: value'],
    ['set_header_value/request/existing', 'GET /', 'x-httpwasm-next-header-existing-header-0: value', 'existing-header: bear'],
    ['add_header_value/request/new', 'GET /', 'x-httpwasm-next-header-new-header-0: value'],
    ['add_header_value/request/existing', 'GET /', 'x-httpwasm-next-header-existing-header-1: value', 'existing-header: bear'],
    ['remove_header/request/new', 'GET /', 'x-httpwasm-next-header-existing-header-0: bear', 'existing-header: bear'],
    ['remove_header/request/existing', 'GET /', '!x-httpwasm-next-header-existing-header-0', 'existing-header: bear'],
    (map { ["read_body/request/$_->[0]", 'POST /' . 'a' x $_->[1] ] } ['empty', 0], ['small', 5], ['medium', 2048], ['large', 4096], ['xlarge', 5000]),
);

# Answers each case with "name: ok", or with what is wrong.
sub cases {
    my $client = shift;
    return rows(map {
        my ($name, $request, $wanted, @lines) = @$_;
        my ($method, $path, $body) = $request =~ m{^(\S+) (/[^a]*(?:a(?!a)[^a]*)*)(a*)$};
        ($path, $body) = ('/', substr((split / /, $request)[1], 1)) if $name =~ /^read_body/;
        my ($head, $text) = $client->($method, $path, $body, "x-httpwasm-tck-testid: $name", @lines);
        my $problem = $head !~ /^x-httpwasm-tck-handled: 1\r?$/mi ? "not handled: $head"
            : $head =~ /^x-httpwasm-tck-failed: ([^\r]*)/mi ? $1
            : !defined $wanted ? undef
            : $wanted =~ s/^!// ? ($head =~ /^\Q$wanted\E:/mi ? "has $wanted" : undef)
            : $head !~ /^\Q$wanted\E\r?$/mi ? "not $wanted: $head" : undef;
        $problem //= "version $text" if $name eq 'get_protocol_version' && $head !~ m{^\Q$text\E(?:\.0)? }
            && $text ne 'HTTP/2.0';
        "$name: " . ($problem // 'ok');
    } @cases);
}

our $all_ok = rows(map { "$_->[0]: ok" } @cases);

run_tests();

__DATA__

=== TEST 1: all that the ABI's test kit asks for, but for TRACE, which nginx refuses itself
--- http_config
    wasm_module tck $TEST_NGINX_FILTERS/http_wasm_tck.wasm;
--- config
    location / { wasm_filter tck; proxy_pass http://up; proxy_http_version 1.1; }
--- upstream eval: \&main::backend
--- client eval
sub {
    main::cases(sub {
        my ($method, $path, $body, @lines) = @_;
        my $length = $method eq 'POST' ? ['Content-Length: ' . length $body] : [];
        my $head = CORE::join "\r\n", "$method $path HTTP/1.1", 'Host: a', 'Connection: close', @lines, @$length, '', '';
        split /\r\n\r\n/, ask($head . $body), 2;
    }) . answers('TRACE /');
}
--- client_out eval: $main::all_ok . "405\n"



=== TEST 2: the same over HTTP/2
--- http_config
    wasm_module tck $TEST_NGINX_FILTERS/http_wasm_tck.wasm;
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_1;
        http2 on;
        location / { wasm_filter tck; proxy_pass http://up; proxy_http_version 1.1; }
    }
--- config
    location / { return 404; }
--- upstream eval: \&main::backend
--- client eval
sub {
    main::cases(sub {
        my ($method, $path, $body, @lines) = @_;
        my @body = $method eq 'POST' ? ('--data-binary', $body) : ();
        push @body, '--head' if $method eq 'HEAD';
        my $text = output_of('curl', '-sS', '-i', '--http2-prior-knowledge', '-X', $method, @body,
            (map { ('-H', $_) } @lines), "http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}$path");
        split /\r\n\r\n/, $text, 2;
    });
}
--- client_out eval: $main::all_ok



=== TEST 3: rules for headers, in Rust and in Go
--- http_config
    wasm_module rust $TEST_NGINX_FILTERS/http_wasm_header.wasm;
    wasm_module go   $TEST_NGINX_FILTERS/http_wasm_header_go.wasm;
--- config eval
my $rules = "'request set x-tell all of it\n request add x-had more\n request remove x-gone\n response set x-own yes\nresponse add x-up 2\n response remove x-not'";
CORE::join '', map { qq{
    location /$_ {
        wasm_filter $_ $rules;
        proxy_pass http://up;
        proxy_pass_header X-Accel-Nothing;
    }
} } qw(rust go);
--- upstream eval
sub {
    my $connection = shift;
    my ($head) = $connection->message;
    my $text = CORE::join ' ', sort $head =~ /^(x-[^\r]*)\r$/mgi;
    $connection->write(CORE::join "\r\n", 'HTTP/1.1 200 OK', 'x-up: 1', 'x-not: here', 'Content-Length: ' . length $text, '', $text);
}
--- client eval: sub { answers({ lines => ['X-Had: one', 'X-Gone: yes', 'X-Tell: little'] }, '/rust', '/go') }
--- client_out
200 x-up: 1 x-own: yes x-up: 2 X-Had: one X-Tell: all of it x-had: more
200 x-up: 1 x-own: yes x-up: 2 X-Had: one X-Tell: all of it x-had: more



=== TEST 4: a cookie lets requests through, in Rust and in Go
--- http_config
    wasm_module rust $TEST_NGINX_FILTERS/http_wasm_auth.wasm;
    wasm_module go   $TEST_NGINX_FILTERS/http_wasm_auth_go.wasm;
--- config
    location /rust { wasm_filter rust 's3cret alice\n  other bob'; return 200 "$http_x_user\n"; }
    location /go { wasm_filter go 's3cret alice\n  other bob'; return 200 "$http_x_user\n"; }
--- client eval
sub {
    CORE::join '', map {
        answers({ lines => ["Cookie: $_", 'X-User: root'] }, '/rust', '/go')
    } 'session=s3cret', 'a=b; session=other', 'session=s3cre', 'a=b';
}
--- client_out
200 alice
200 alice
200 bob
200 bob
401 who are you?
401 who are you?
401 who are you?
401 who are you?



=== TEST 5: an answer of a guest has its headers, its length and its type
--- http_config
    wasm_module auth $TEST_NGINX_FILTERS/http_wasm_auth.wasm;
--- config
    location / { wasm_filter auth 's3cret alice'; return 204; }
--- request
GET /
--- error_code: 401
--- response_headers
WWW-Authenticate: Cookie
Content-Type: text/plain
Content-Length: 13
--- response_body
who are you?



=== TEST 6: bodies of request and response are seen and changed, in Rust and in Go
--- http_config
    wasm_module rust $TEST_NGINX_FILTERS/http_wasm_body.wasm;
    wasm_module go   $TEST_NGINX_FILTERS/http_wasm_body_go.wasm;
    client_max_body_size 16m;
--- config
    location /rust { wasm_filter rust 'panda polar bear'; proxy_pass http://up; }
    location /go { wasm_filter go 'panda polar bear'; proxy_pass http://up; }
--- upstream eval
sub {
    my ($head, $body) = $_[0]->message;
    my $size = length $body;
    my $text = "got $size, " . ($body =~ s/a{9,}/-/gr) . ", a panda";
    $_[0]->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
}
--- client eval: sub { CORE::join '', map { answers("$_ a panda", $_, "$_ " . 'a' x 2_000_000 . 'panda') } '/rust', '/go' }
--- client_out
200 got 12, a polar bear, a polar bear
200 got 0, , a polar bear
200 got 2000010, -polar bear, a polar bear
200 got 12, a polar bear, a polar bear
200 got 0, , a polar bear
200 got 2000010, -polar bear, a polar bear
--- guests
rust: request of 7 bytes, response 200 of 29 bytes
rust: request of 0 bytes, response 200 of 16 bytes
rust: request of 2000005 bytes, response 200 of 33 bytes
go: request of 7 bytes, response 200 of 29 bytes
go: request of 0 bytes, response 200 of 16 bytes
go: request of 2000005 bytes, response 200 of 33 bytes
