# Guests of every SDK: the same filter in Rust, Go, AssemblyScript and C++ does the same, and what
# the public Rust SDK's examples do, they do here.

use Test::Nginx::Socket 'no_plan';
use IO::Socket::INET;
use Time::HiRes ();

our $root = server_root();
our $html = html_dir();
our $log = "$root/logs/error.log";
our $message = qr/\[wasm\] \K\w+: .*?(?=(?: while [\w ]+)?, client:|$)/;

# Configuration, request, status and body; no status where the request goes on to its location.
our @faults = (
    ['{"http_status":200}', 'GET', 200, ''],
    ['{"body":"hello world","http_status":200}', 'GET', 200, 'hello world'],
    ['{"body":"hello world","http_status":200}', 'HEAD', 200, ''],
    ['{"body":"hello world","http_status":200}', 'POST', 200, 'hello world'],
    ['{"http_status":503,"percentage":100}', 'GET', 503, ''],
    ['{"http_status":503,"percentage":0}', 'GET'],
    ['{"http_status":503,"percentage":0.0,"body":"never"}', 'POST'],
    ['{"http_status":429,"percentage":1e2,"body":"always"}', 'GET', 429, 'always'],
    ['{"http_status":599,"percentage":100.0}', 'GET', 599, ''],
    ['{"http_status":204}', 'GET', 204, ''],
    ['{"http_status":301,"body":"nowhere"}', 'GET', 301, 'nowhere'],
    ['{"body":"line\n","http_status":404}', 'GET', 404, "line\n"],
    ["{\"body\":\"\\u00e9 \\ud83d\\ude00 \xc3\xa9 \\\"\\\\ \\/\\b\\f\\n\\r\\t\\u0000\",\"http_status\":200}", 'GET', 200,
        "\xc3\xa9 \xf0\x9f\x98\x80 \xc3\xa9 \"\\ /\b\f\n\r\t\0"],
    [" \n\t{ \"http_status\" : 418 ,\r\n\"body\":\"tea\" } \n", 'GET', 418, 'tea'],
    ['{"http_status":200,"body":"' . 'x' x 100_000 . '"}', 'GET', 200, 'x' x 100_000],
);

# Configurations that none takes, with what they say.
our @refused = (
    ['', 'not valid JSON'],
    ['{', 'not valid JSON'],
    ['{"http_status":200,}', 'not valid JSON'],
    ["{'http_status':200}", 'not valid JSON'],
    ['{"http_status":200} x', 'not valid JSON'],
    ['{"http_status":0200}', 'not valid JSON'],
    ["{\"http_status\":200,\"body\":\"\xff\"}", 'not valid JSON'],
    ['[200]', 'must be a JSON object'],
    ['null', 'must be a JSON object'],
    ['"text"', 'must be a JSON object'],
    ['{"http_status":200,"status":1,"extra":2}', 'unknown key "extra"; known are "body", "http_status" and "percentage"'],
    ['{"body":1,"http_status":200}', '"body" must be a string'],
    ['{"body":null}', '"body" must be a string'],
    ['{}', '"http_status" is missing'],
    ['{"body":"x","percentage":"all"}', '"http_status" is missing'],
    (map { ["{\"http_status\":$_}", '"http_status" must be an integer from 200 to 599'] }
        qw(199 600 -200 200.0 2e2 "200" null 4294967496)),
    (map { ["{\"http_status\":200,\"percentage\":$_}", '"percentage" must be a number from 0 to 100'] }
        qw(-1 100.1 "50" null true)),
);

our %module = (rust => 'fault_injection', go => 'fault_injection_go', as => 'fault_injection_as');
our @languages = qw(rust go as);

sub port { $ENV{'TEST_NGINX_' . (@_ ? "PORT_$_[0]" : 'SERVER_PORT')} }

sub write_file {
    my ($name, $text) = @_;
    open my $out, '>', "$html/$name" or die "$name: $!";
    binmode $out;
    print $out $text;
    close $out or die $!;
}

# A configuration as part of a test's name.
sub printable {
    my $text = substr shift, 0, 60;
    $text =~ s/[^ -~]/./g;
    return $text;
}

# A location for each language and configuration.
sub fault_files {
    my $locations = '';
    for my $i (0 .. $#faults) {
        for my $language (@languages) {
            $locations .= "location = /$language/$i {\nwasm_filter $language \@$html/fault$i.json;\n"
                . "try_files /passed.txt =404;\nerror_page 405 =200 /passed.txt;\n}\n";
        }
    }
    $locations .= CORE::join '', map {
        "location = /half/$_ { wasm_filter $_ '{\"http_status\":418,\"percentage\":50}'; try_files /passed.txt =404; }\n"
    } @languages;
    return [map({ ["fault$_.json", $faults[$_][0]] } 0 .. $#faults), ['faults.conf', $locations],
        ['refused.conf', '# none'], ['passed.txt', 'passed']];
}

sub exchange {
    my $text = shift;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => port(), Timeout => 120) or die "connect: $@";
    print $socket $text;
    my ($got, $end) = ('', Time::HiRes::time() + 120);
    while ((my $left = $end - Time::HiRes::time()) > 0) {
        my $ready = '';
        vec($ready, fileno($socket), 1) = 1;
        last unless select($ready, undef, undef, $left) && sysread $socket, $got, 65536, length $got;
    }
    return $got;
}

# A response's status, its header lines without what differs from one to the next, its body.
sub request {
    my ($method, $path, $headers) = @_;
    my $body = $method eq 'POST' ? 'some body' : '';
    my $got = exchange("$method $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ($headers // '')
        . ($body ne '' ? 'Content-Length: ' . length($body) . "\r\n" : '') . "\r\n$body");
    my ($head, $content) = $got =~ /\A(.*?)\r\n\r\n(.*)\z/s or return ('no response', '', $got);
    my ($line, @headers) = split /\r\n/, $head;
    return ($line =~ m{\AHTTP/1\.1 (\d+)} ? $1 : $line, CORE::join("\n", grep { !/\A(?:Date|Server):/i } @headers), $content);
}

# The log's lines from a position on that match.
sub lines_from {
    my ($position, $regex) = @_;
    open my $in, '<', $log or die $!;
    seek $in, $position, 0;
    return map { /$regex/ ? $& : () } <$in>;
}

sub wait_from {
    my ($position, $regex, $count) = @_;
    my @found;
    my $end = Time::HiRes::time() + 120;
    while (Time::HiRes::time() < $end) {
        @found = lines_from($position, $regex);
        last if @found >= ($count // 1);
        Time::HiRes::sleep(0.01);
    }
    return @found;
}

# A server that answers each request with the same response; the head of the request is its body.
# Gives its process.
sub echo_server {
    my ($port, $headers) = @_;
    my $listening = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 10, ReuseAddr => 1)
        or die "listen: $!";
    my $child = fork() // die "fork: $!";
    if ($child) {
        close $listening;
        return $child;
    }
    alarm 600;
    while (my $socket = $listening->accept) {
        my $head = '';
        1 while $head !~ /\r\n\r\n/ && sysread $socket, $head, 65536, length $head;
        print $socket "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($head) . "\r\n$headers\r\n$head";
        close $socket;
    }
    require POSIX;
    POSIX::_exit(0);
}

add_block_preprocessor(sub {
    my $block = shift;
    defined $block->master ? master_on() : master_off();
});

log_level('info');
no_long_string();
run_tests();

__DATA__

=== TEST 1: fault injection in Rust, Go and AssemblyScript: the same answers, the same refusals
--- master
--- user_files eval: main::fault_files()
--- http_config eval
CORE::join '', map { "wasm_module $_ $ENV{TEST_NGINX_FILTERS}/$main::module{$_}.wasm;\n" } @main::languages
--- config
    include $TEST_NGINX_SERVER_ROOT/html/faults.conf;
    include $TEST_NGINX_SERVER_ROOT/html/refused.conf;
--- init
for my $i (0 .. $#main::faults) {
    my ($configuration, $method, $status, $body) = @{$main::faults[$i]};
    my $name = "$method " . main::printable($configuration);
    my @headers;
    for my $language (@main::languages) {
        my ($got, $headers, $content) = main::request($method, "/$language/$i");
        Test::More::is($got, $status // 200, "$language: status: $name");
        Test::More::is(length $content > 1000 ? $content eq $body : $content,
            length $content > 1000 ? 1 : $body // 'passed', "$language: body: $name");
        push @headers, $headers;
        if (defined $status && $status != 204) {
            my $length = length($method eq 'HEAD' ? 'hello world' : $body);
            Test::More::like($headers, qr/^Content-Length: $length$/mi, "$language: length: $name");
        }
    }
    Test::More::is($headers[$_], $headers[0], "$main::languages[$_]: the headers of Rust's: $name") for 1, 2;
}
for my $language (@main::languages) {
    # Half of 400 requests; the chance to be outside is below one in 10^11.
    my $got = main::exchange("GET /half/$language HTTP/1.1\r\nHost: localhost\r\n\r\n" x 399
        . "GET /half/$language HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    my $faults = () = $got =~ m{HTTP/1\.1 418 }g;
    my $passed = () = $got =~ m{HTTP/1\.1 200 }g;
    Test::More::is($faults + $passed, 400, "$language: all are answered");
    Test::More::cmp_ok($faults, '>', 130, "$language: enough faults");
    Test::More::cmp_ok($faults, '<', 270, "$language: not too many");
}
# A refused configuration is told by the master at a reload, and the workers stay.
for my $case (@main::refused) {
    my ($configuration, $problem) = @$case;
    main::write_file('refused.json', $configuration);
    for my $language (@main::languages) {
        main::write_file('refused.conf', "location = /refused {\n wasm_filter $language \@$main::html/refused.json;\n}\n");
        my $position = -s $main::log;
        kill HUP => do { open my $in, '<', "$main::root/logs/nginx.pid"; <$in> + 0 };
        main::wait_from($position, qr/\[emerg\]/);
        Test::More::is_deeply([main::lines_from($position, qr/\[(?:error|crit|alert|emerg)\] \d+#\d+: \K.*/)], [
            "[wasm] $language: invalid configuration: $problem",
            "wasm module \"$language\" refused its configuration (proxy_on_configure returned false) in $main::html/refused.conf:2",
        ], "$language: " . main::printable($configuration));
    }
}
--- request
GET /rust/1
--- response_body: hello world
--- error_log
[emerg]
--- no_error_log
[alert]
[crit]
panicked


=== TEST 2: headers in Rust, Go, C++ and AssemblyScript: the same requests and responses
--- user_files
>>> rules.json
{"request": {"remove": ["X-Gone", "x-none"], "set": {"X-Set": "set", "x-multi": "one", "User-Agent": "filtered"}, "add": {"X-Added": ["1", "2"], "x-kept": "more"}},
 "response": {"remove": ["X-Up-Gone", "etag"], "set": {"Content-Type": "text/x; charset=utf-8", "X-Up-Multi": "one"}, "add": {"Set-Cookie": ["c=3", "d=4"]}}}
>>> rules.lines
# The same, as lines.
request remove X-Gone
request remove x-none

request set User-Agent filtered
request set X-Set set
request set x-multi one
request add X-Added 1
request add X-Added 2
request add x-kept more
response remove X-Up-Gone
response remove etag
response set Content-Type text/x; charset=utf-8
response set X-Up-Multi one
response add Set-Cookie c=3
response add Set-Cookie d=4
--- http_config
    wasm_module rust $TEST_NGINX_FILTERS/headers.wasm;
    wasm_module go $TEST_NGINX_FILTERS/headers_go.wasm;
    wasm_module cpp $TEST_NGINX_FILTERS/headers_cpp.wasm;
    wasm_module as $TEST_NGINX_FILTERS/headers_as.wasm;
--- config
    proxy_http_version 1.1;
    location = /rust { wasm_filter rust @../html/rules.json; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/up; }
    location = /go { wasm_filter go @../html/rules.json; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/up; }
    location = /cpp { wasm_filter cpp @../html/rules.lines; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/up; }
    location = /as { wasm_filter as @../html/rules.lines; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/up; }
    location = /t { return 204; }
--- init
my $server = main::echo_server(main::port(1), "Content-Type: text/html\r\nX-Up: 1\r\nX-Up-Gone: 1\r\nx-up-gone: 2\r\n"
    . "X-Up-Multi: 1\r\nX-Up-Multi: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: \"e\"\r\n");
my @got = map {
    my ($status, $headers, $body) = main::request('GET', "/$_",
        "X-Gone: 1\r\nx-gone: 2\r\nX-Multi: 1\r\nX-Multi: 2\r\nX-Kept: 0\r\nUser-Agent: test\r\n");
    [$status, [sort split /\n/, $headers], [sort split /\r\n/, $body]];
} qw(rust go cpp as);
kill TERM => $server;
waitpid $server, 0;
my @lower = map { s/\A[^:]+/\L$&/r } @{$got[0][1]};
Test::More::is($got[0][0], 200, 'status');
Test::More::is_deeply([grep { !/\A(?:content-length|connection):/ } sort @lower], [
    'content-type: text/x; charset=utf-8', 'set-cookie: a=1', 'set-cookie: b=2', 'set-cookie: c=3', 'set-cookie: d=4',
    'x-up-multi: one', 'x-up: 1',
], 'response');
Test::More::is_deeply([sort map { s/\A[^:]+/\L$&/r } @{$got[0][2]}], [
    'connection: close', 'get /up http/1.1', 'host: 127.0.0.1:' . main::port(1), 'user-agent: filtered',
    'x-added: 1', 'x-added: 2', 'x-kept: 0', 'x-kept: more', 'x-multi: one', 'x-set: set',
], 'request');
for my $i (1 .. 3) {
    my $language = (qw(rust go cpp as))[$i];
    Test::More::is_deeply([map { s/\A[^:]+/\L$&/r } @{$got[$i][1]}], [map { s/\A[^:]+/\L$&/r } @{$got[0][1]}], "$language: the same response");
    Test::More::is_deeply([map { s/\A[^:]+/\L$&/r } @{$got[$i][2]}], [map { s/\A[^:]+/\L$&/r } @{$got[0][2]}], "$language: the same request");
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 3: guests of every language in one chain
--- http_config
    wasm_module rust $TEST_NGINX_FILTERS/headers.wasm;
    wasm_module cpp $TEST_NGINX_FILTERS/headers_cpp.wasm;
    wasm_module as $TEST_NGINX_FILTERS/headers_as.wasm;
    wasm_module trace $TEST_NGINX_FILTERS/trace_cpp.wasm;
--- config
    location /t {
        wasm_filter rust '{"request":{"add":{"x-way":"rust"}},"response":{"add":{"x-back":"rust"}}}';
        wasm_filter cpp 'request add x-way cpp
response add x-back cpp';
        wasm_filter as 'request add x-way as
response add x-back as';
        wasm_filter trace;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
    }
    location /up { return 200 "$http_x_way"; }
--- request
GET /t
--- response_headers
x-back: as, cpp, rust
--- response_body: rust, cpp, as
--- error_log
[wasm] trace: on_request_headers id=2 count=8 eos=1
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 4: a mistake in the lines of the C++ and AssemblyScript guests
--- must_die
--- suppress_stderr
--- http_config
    wasm_module cpp $TEST_NGINX_FILTERS/headers_cpp.wasm;
    wasm_module as $TEST_NGINX_FILTERS/headers_as.wasm;
--- config
    location /a { wasm_filter cpp 'request set x-a 1
request drop x-b
'; }
    location /b { wasm_filter as 'request set x-a 1
request drop x-b
'; }
--- grep_error_log eval: qr/\[(?:error|emerg)\] \d+#\d+: \K.*?(?= in \S+$|$)/
--- grep_error_log_out
[wasm] cpp: invalid configuration: line 2: expected "request|response remove NAME" or "request|response set|add NAME VALUE"
wasm module "cpp" refused its configuration (proxy_on_configure returned false)


=== TEST 5: http_headers: logs all headers, answers /hello
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_headers.wasm;
--- config
    location = /hello {
        wasm_filter m;
        return 500;
    }
--- init
--- request
GET /hello
--- more_headers
X-A: 1
--- response_headers
Hello: World
Powered-By: proxy-wasm
Content-Length: 14
--- response_body
Hello, World!
--- grep_error_log eval: $::message
--- grep_error_log_out eval
qr/\Am: #2 -> :authority: localhost
m: #2 -> :path: \/hello
m: #2 -> :method: GET
m: #2 -> :scheme: http
m: #2 -> connection: close
m: #2 -> x-a: 1
m: #2 <- :status: 200
(?:m: #2 <- [\w-]+: .*\n)*m: #2 <- hello: World
m: #2 <- powered-by: proxy-wasm
(?:m: #2 <- [\w-]+: .*\n)*m: #2 completed\.
\z/i
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 6: http_headers: other paths go on
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_headers.wasm;
--- config
    location /t {
        wasm_filter m;
        return 200 "served";
    }
--- request
GET /t
--- response_headers
! Powered-By
--- response_body: served
--- error_log
m: #2 <- :status: 200
m: #2 completed.
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 7: http_body: replaces a body with a secret
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_body.wasm;
--- config
    location /t {
        wasm_filter m;
        return 200 "my secret\n";
    }
--- request
GET /t
--- response_headers
! Content-Length
Transfer-Encoding: chunked
--- response_body
Original message body (10 bytes) redacted.
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 8: http_body: leaves others
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_body.wasm;
--- config
    location /t {
        wasm_filter m;
        return 200 "nothing to hide\n";
    }
--- request
GET /t
--- response_body
nothing to hide
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 9: http_config: its configuration as a response header
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/http_config.wasm;
--- config
    location /t {
        wasm_filter m 'a value';
        return 200 "served";
    }
--- request
GET /t
--- response_headers
custom-header: a value
--- response_body: served
--- no_error_log
[error]
[alert]
[crit]
[emerg]


=== TEST 10: hello_world: starts, and has no contexts for requests
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hello_world.wasm;
--- config
    location /a { wasm_filter m; return 200 "served"; }
    location /t { return 200 "served"; }
--- request
GET /t
--- response_body: served
--- grep_error_log eval: $::message
--- grep_error_log_out
m: Hello, World!
--- no_error_log
[error]
[alert]
[crit]
[emerg]
