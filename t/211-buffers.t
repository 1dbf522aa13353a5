# wasm_buffer_size: how much filters may hold back of bodies, make of them, and write into headers. Over it the
# client gets 413 or 502, the log one line, and the worker stays small.

use Test::Nginx::Socket 'no_plan';
use Control;

our $modules = <<'_EOC_';
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module other $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_1;
        client_max_body_size 100m;
        location / { return 200 "from upstream"; }
        location /echo { client_body_buffer_size 10m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/nothing; add_header X-Length "$content_length"; }
        location /big { alias html/big; }
    }
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

sub status { return $_[0] =~ m{\AHTTP/1\.1 (\d+) } ? $1 : "no status: $_[0]" }

# The answer to a body of so many bytes.
sub post {
    my ($path, $length, $headers) = @_;
    return main::get($path, ($headers // '') . "Content-Length: $length\r\n\r\n" . 'x' x $length);
}

# The lines about limits, without what nginx puts around them.
sub told { return map { s{(?: while [a-z ]+)?, client: .*}{}r } main::matches(qr/\[error\] .*\[wasm\] \K\w+: .*/) }

# Resident memory of nginx, in kB.
sub resident {
    open my $status, '<', '/proc/' . main::pid() . '/status' or die "status: $!";
    return CORE::join('', <$status>) =~ /^VmRSS:\s+(\d+) kB/m ? $1 : die 'no VmRSS';
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: the directive: values, and how it is inherited
--- http_config eval
$::modules . 'wasm_buffer_size 2k;'
--- config
    wasm_buffer_size 4k headers=64k;
    location /server { wasm_filter m '{"request_body":[["action","pause"]]}'; return 200; }
    location /location { wasm_buffer_size 1k; wasm_filter m '{"request_body":[["action","pause"]]}'; return 200;
        location /location/below { return 200; }
    }
    location /t { return 204; }
--- init
for (['/server', 4096], ['/location', 1024], ['/location/below', 1024]) {
    my ($path, $limit) = @$_;
    Test::More::is(main::status(main::post($path, $limit + 1)), 413, "$path: over it");
    Test::More::is((main::told())[-1], "m: holds back " . ($limit + 1) . " bytes of the request body, more than wasm_buffer_size ($limit bytes)", "$path: the line");
}
for my $case (
    ['0' => qr/invalid value "0" in "wasm_buffer_size" directive, it must be a size, such as "64m", and not 0 in /],
    ['-1' => qr/invalid value "-1" in "wasm_buffer_size"/], ['64x' => qr/invalid value "64x" in/], ['""' => qr/invalid value "" in/],
    ['1m headers=x' => qr/invalid value "headers=x" in/], ['1m headers=0' => qr/invalid value "headers=0" in/], ['1m headers=' => qr/invalid value "headers=" in/],
    ['1m body=1m' => qr/invalid parameter "body=1m" in "wasm_buffer_size" directive, it may be headers=/],
    ['1m; wasm_buffer_size 1m' => qr/"wasm_buffer_size" directive is duplicate in /], ['' => qr/invalid number of arguments in "wasm_buffer_size" directive in /],
    ['1m headers=1m 1m' => qr/invalid number of arguments in "wasm_buffer_size" directive in /],
) {
    my ($value, $message) = @$case;
    open my $in, '<', $main::conf or die;
    my $text = CORE::join '', <$in>;
    $text =~ s/wasm_buffer_size 4k headers=64k;/wasm_buffer_size $value;/ or die;
    open my $out, '>', "$main::conf.test" or die;
    print $out $text;
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -e stderr -p $main::root/ -c $main::conf.test 2>&1`;
    Test::More::like($said, qr/\[emerg\] .*$message.*nginx\.conf\.test:\d+/, "wasm_buffer_size $value");
}
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 2: what a filter holds back of a request body
--- http_config eval: $::modules
--- config
    wasm_buffer_size 100k;
    location /held { wasm_filter other '{"response_headers":[["set_header","response","x-other","seen"]]}'; wasm_filter m '{"request_body":[["if_end_of_stream",[["action","continue"]]],["action","pause"],["if_end_of_stream",[["action","continue"]]]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/echo; }
    location /two { wasm_filter m '{"request_body":[["action","pause"]]}'; wasm_filter other '{"request_body":[["action","pause"]]}'; return 200; }
    location /t { return 204; }
--- init
my $good = main::post('/held', 100 * 1024);
Test::More::like($good, qr/^X-Length: 102400\r$/m, 'the limit itself');
for ('memory', 'file') {
    my $over = main::post('/held', 1024 * 1024, $_ eq 'file' ? '' : '');
    Test::More::is(main::status($over), 413, 'over it');
    Test::More::like($over, qr/^x-other: seen\r$/m, 'the response passes the other filters');
}
my @told = main::told();
Test::More::is(scalar @told, 2, 'a line for each request');
Test::More::like($told[0], qr/\Am: holds back \d+ bytes of the request body, more than wasm_buffer_size \(102400 bytes\)\z/, 'the line');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 3: what a filter holds back of a response: 502, or the end of the connection
--- http_config eval: $::modules
--- user_files eval
[['big', 'x' x 1_000_000]]
--- config
    wasm_buffer_size 200k;
    location /upstream { wasm_filter m '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"]]}'; wasm_filter other '{"response_headers":[["set_header","response","x-other","seen"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/big; }
    location /file { wasm_filter m '{"response_body":[["action","pause"]]}'; alias html/big; }
    # The first piece goes on, and the header with it.
    location /late { wasm_filter m '{"response_headers":[["remove_header","response","content-length"],["let","n","0"]],"response_body":[["if",{"var":"n"},"0",[["let","n","1"]],[["action","pause"]]]]}'; alias html/big; }
    location /fits { wasm_filter m '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}'; root html; }
    location /t { return 204; }
--- init
for my $path ('/upstream', '/file') {
    my $got = main::get($path);
    Test::More::is(main::status($got), 502, "$path: the status");
    Test::More::unlike($got, qr/xxx/, "$path: nothing of the response");
}
my $late = main::get('/late');
Test::More::is(main::status($late), 200, 'late: the header is there');
Test::More::unlike($late, qr/\r\n0\r\n\r\n\z/, 'late: no end');
Test::More::like($_, qr/\Am: holds back \d+ bytes of the response body, more than wasm_buffer_size \(204800 bytes\)\z/, 'the line') for my @told = main::told();
Test::More::is(scalar @told, 3, 'one each');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 4: what filters make of a body
--- http_config eval: $::modules
--- config
    wasm_buffer_size 100k;

    location /request { wasm_filter m '{"request_body":[["repeat_body","request","abcdefgh",20000],["log","info","after"]]}'; return 200; }
    location /response { wasm_filter m '{"response_body":[["repeat_body","response","abcdefgh",20000],["log","info","after"]]}'; return 200 small; }
    location /appended { wasm_filter m '{"request_body":[["repeat",100,[["set_body","request",4294967295,0,"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"]]]]}'; return 200; }
    # Each piece is as large as it may be, but there are many.
    location /grown { client_body_buffer_size 16k; wasm_filter m '{"request_body":[["repeat_body","request","abcdefgh",12000]]}'; return 200; }
    # As much as it was: there is no limit to that.
    location /same { wasm_filter m '{"request_body":[["set_body","request",0,1,"y"]]}'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/echo; }
    location /reply { wasm_filter m '{"request_headers":[["let","b","0123456789abcdef"],["repeat",13,[["let","b",{"join":[{"var":"b"},{"var":"b"}]}]]],["local_response",200,[],{"var":"b"}],["log","info","after"]]}'; return 200; }
    location /t { return 204; }
--- init
for my $case (['/request', 413, 'made a request body of 160000 bytes, more than wasm_buffer_size (102400 bytes)', 'repeat_body request'],
    ['/response', 502, 'made a response body of 160000 bytes, more than wasm_buffer_size (102400 bytes)', 'repeat_body response'],
    ['/reply', 502, 'made a response body of 131072 bytes, more than wasm_buffer_size (102400 bytes)', 'local_response 200']) {
    my ($path, $status, $line, $call) = @$case;
    Test::More::is(main::status(main::post($path, 10)), $status, "$path: the status");
    Test::More::is((main::told())[-1], "m: $line", "$path: the line");
    Test::More::is(scalar(main::matches(qr/\[info\] .*\[wasm\] m: $call: status 10,/)), 1, "$path: the host call's status");
}
Test::More::is(scalar(main::matches(qr/\[wasm\] m: after,/)), 3, 'the callbacks went on');
Test::More::is(main::status(main::post('/grown', 10)), 200, 'grown once');
Test::More::is(main::status(main::post('/grown', 500_000)), 413, 'grown often');
Test::More::like((main::told())[-1], qr/\Am: is the last of the filters that made the request body longer by \d+ bytes, more than wasm_buffer_size \(102400 bytes\)\z/, 'grown: the line');
Test::More::like(main::post('/same', 1_000_000), qr/^X-Length: 1000000\r$/m, 'a large body that does not grow');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 5: what waits behind a paused header callback
--- http_config eval: $::modules
--- config
    location /small { wasm_buffer_size 10k; wasm_filter m '{"request_body":[]}'; wasm_filter other '{"request_headers":[["action","pause"]]}'; return 200; }
    location /t { return 204; }
--- init
Test::More::is(main::status(main::post('/small', 100_000)), 413, 'over it');
Test::More::like((main::told())[-1], qr/\Aother: holds back \d+ bytes of the request body, more than wasm_buffer_size \(10240 bytes\)\z/, 'the line');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 6: headers: a guest that writes them without end
--- http_config eval: $::modules . 'wasm_buffer_size 64m headers=100k;'
--- config
    location /add { wasm_filter m '{"request_headers":[["repeat",100000,[["add_header","request","x-a","0123456789"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200; }
    location /replace { wasm_filter m '{"request_headers":[["repeat",100000,[["set_header","request","x-a","0123456789"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200; }
    location /path { wasm_filter m '{"request_headers":[["repeat",100000,[["set_header","request",":path","/path/0123456789"],["set_header","request",":path","/path/x"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200; }
    location /response { wasm_filter m '{"response_headers":[["repeat",100000,[["set_header","response","x-a","0123456789"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200 ok; }
    location /trailers { wasm_filter m '{"response_headers":[["repeat",100000,[["set_header","response_trailers","x-a","0123456789"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200 ok; }
    location /server { wasm_filter m '{"response_headers":[["repeat",100000,[["remove_header","response","server"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200 ok; }
    location /pairs { wasm_filter m '{"request_headers":[["let","b","0123456789abcdef"],["repeat",13,[["let","b",{"join":[{"var":"b"},{"var":"b"}]}]]],["set_headers","request",[["x-b",{"var":"b"}]]],["log","info","after"]]}'; return 200; }
    location /reply { wasm_filter m '{"request_headers":[["let","b","0123456789abcdef"],["repeat",13,[["let","b",{"join":[{"var":"b"},{"var":"b"}]}]]],["local_response",200,[["x-b",{"var":"b"}]],""],["log","info","after"]]}'; return 200; }
    location /state { wasm_filter m '{"request_headers":[["let","b","0123456789abcdef"],["repeat",13,[["let","b",{"join":[{"var":"b"},{"var":"b"}]}]]],["set_property","a.b",{"var":"b"}],["log","info","after"]]}'; return 200; }
    location /variable { set $v 1; wasm_filter m '{"request_headers":[["repeat",100000,[["set_property","nginx.v","0123456789"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","after"]]}'; return 200; }
    location /reading { wasm_filter m '{"request_headers":[["let","b",""],["repeat",200000,[["let","b",{"property":"nginx.time_iso8601"}],["if",{"var":"b"},"status 10",[["break"]]]]],["log","info","after"]]}'; return 200; }
    # The header has been sent when the response's body is there: only trailers can still be written.
    location /late { wasm_filter m '{"response_body":[["if_end_of_stream",[["repeat",100000,[["set_header","response_trailers","x-a","0123456789"],["if",{"var":"status"},"10",[["break"]]]]]]]]}'; alias html/big; }
    location /log { wasm_filter m '{"log":[["repeat",100000,[["set_header","response","x-a","0123456789"],["log","info",{"join":["log: ",{"var":"status"}]}],["break"]]]]}'; return 200 ok; }
    location /t { return 204; }
--- user_files eval
[['big', 'x' x 1_000_000]]
--- init
my $count = 0;
my $request = 'wrote more into the headers of the request than the headers= of wasm_buffer_size (102400 bytes)';
my $response = 'wrote more into the headers of the response than the headers= of wasm_buffer_size (102400 bytes)';
for my $case (['/add', 413, $request], ['/replace', 413, $request], ['/path', 413, $request], ['/pairs', 413, $request], ['/state', 413, $request], ['/variable', 413, $request],
    ['/reading', 413, "read more of nginx's variables than 16 times the headers= of wasm_buffer_size (102400 bytes)"],
    ['/response', 502, $response], ['/trailers', 502, $response], ['/server', 502, $response], ['/reply', 502, $response]) {
    my ($path, $status, $line) = @$case;
    Test::More::is(main::status(main::get($path)), $status, "$path: the status");
    main::wait_for(qr/\[wasm\] m: after,/, ++$count);
    my @told = main::told();
    Test::More::is($told[-1], "m: $line", "$path: the line");
    Test::More::is(scalar @told, $count, "$path: one line");
}
# What has no effect any more takes no memory.
Test::More::is(main::status(main::get('/log')), 200, 'log: the status');
main::wait_for(qr/\[wasm\] m: log: 2,/, 1);
Test::More::is(scalar main::told(), $count, 'log: no line');
my $late = main::get('/late');
Test::More::like($late, qr{\AHTTP/1\.1 200 }, 'late: the status');
Test::More::cmp_ok(length main::body_of($late), '<', 1_000_000, 'late: cut off');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 7: values that replace others take no memory: a property that is set without end
--- http_config eval: $::modules
--- config
    location /property { wasm_filter m '{"request_headers":[["let","n","0"],["repeat",30000,[["let","n",{"add":[{"var":"n"},1]}],["set_property","a.b",{"var":"n"}],["if",{"var":"status"},"10",[["log","error","refused"],["break"]]]]],["property_to_header","a.b","request","x-n"]]}'; return 200 "$http_x_n"; }
    location /t { return 204; }
--- init
Test::More::is(main::body_of(main::get('/property')), 30000, 'all of them');
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]


=== TEST 8: the memory of guests that write without end, in many requests at once
--- http_config eval: $::modules . 'wasm_module p $TEST_NGINX_FILTERS/hostcalls.wasm;'
--- config
    location /t { return 204; }
    location /p { wasm_filter p '{"trace":true,"request_headers":[["repeat",5000,[["set_header","request","x-a","0123456789"],["if",{"var":"status"},"10",[["break"]]]]],["log","info","written"],["action","pause"]]}'; return 200; }
--- init
my $before = main::resident();
my @sockets = map { my $s = main::connection(); print $s "GET /p HTTP/1.1\r\nHost: localhost\r\n\r\n"; $s } 1 .. 20;
main::wait_for(qr/\[wasm\] p: written/, 20);
my @got = map { main::status(main::receive($_, qr/\r\n\r\n/)) } @sockets;
Test::More::is("@got", join(' ', (413) x 20), 'each of them ends');
Test::More::cmp_ok(main::resident() - $before, '<', 60_000, 'kB at most');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 9: a filter that holds and lets go, again and again: its temporary file does not grow with the response
--- http_config eval: $::modules
--- user_files eval
[['big', CORE::join '', map { sprintf "%015d\n", $_ } 1 .. 40 * 1024 * 1024 / 16]]
--- config
    wasm_buffer_size 1m;
    # Pieces of 64k; each fourth lets four go.
    location /held { wasm_filter m '{"response_headers":[["remove_header","response","content-length"],["let","n","0"]],"response_body":[["let","n",{"add":[{"var":"n"},1]}],["if",{"var":"n"},"4",[["let","n","0"]],[["action","pause"]]]]}'; alias html/big; }
    location /t { return 204; }
--- init
my $socket = main::connection();
print $socket "GET /held HTTP/1.0\r\nHost: localhost\r\n\r\n";
my ($text, $most, $files) = ('', 0, 0);
while (sysread $socket, $text, 1 << 20, length $text) {
    for my $fd (glob '/proc/' . main::pid() . '/fd/*') {
        (readlink($fd) // '') =~ /client_body_temp.*deleted/ or next;
        my $size = -s $fd;
        $files++ if $size;
        $most = $size if $size > $most;
    }
}
open my $in, '<', "$main::html/big" or die;
Test::More::ok(main::body_of($text) eq CORE::join('', <$in>), 'all of the response');
Test::More::cmp_ok($files, '>', 0, 'there was a file');
Test::More::cmp_ok($most, '<', 4 << 20, 'of less than 4 MiB');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad


=== TEST 10: HTTP/2, and a connection that goes on
--- http_config eval
$::modules . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; wasm_buffer_size 1k;
    location /in { wasm_filter m "{\"request_body\":[[\"action\",\"pause\"]]}"; return 200; }
    location /out { wasm_filter m "{\"response_body\":[[\"action\",\"pause\"]]}"; root html; }
    location /good { return 200 good; } }'
--- user_files eval
[['out', 'x' x 10_000], ['body', 'x' x 2000]]
--- config
    location /t { return 204; }
--- init
my $out = `timeout 120 nghttp -v -d $main::html/body @{[map { "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$_" } qw(/in /good /in?again)]} 2>&1`;
$out .= `timeout 120 nghttp -v @{[map { "http://127.0.0.1:$ENV{TEST_NGINX_PORT_2}$_" } qw(/out /good)]} 2>&1`;
$out =~ s/\e\[[0-9;]*m//g;
Test::More::is(join(' ', sort $out =~ /recv \(stream_id=\d+(?:, \w+)?\) :status: (\d+)/g), '200 200 413 413 502', 'the statuses');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::bad
