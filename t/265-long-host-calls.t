# Host functions that take long look at the guest's clock (cpu_time=), and those that go over what a guest has piled up take a step for each.
# What guests read of nginx's variables, again and again, takes no memory that is not counted.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;

sub text { CORE::join '', map { sprintf '\\%02x', ord } split //, $_[0] }

# Calls a foreign function, with 16 MiB of noise as its argument.
sub foreign {
    my ($function) = @_;
    return guest(
        imports => ['proxy_call_foreign_function'],
        request_headers => '(call $noise) (drop (call $proxy_call_foreign_function (i32.const 16) (i32.const ' . CORE::length($function) . ') (i32.const 65536) (i32.const 16777216) (i32.const 0) (i32.const 8))) (i32.const 0)',
        fields => "(data (i32.const 16) \"$function\")
            (func \$noise (local \$i i32) (local \$x i32)
                (local.set \$x (i32.const 2463534242))
                (drop (memory.grow (i32.const 257)))
                (loop \$on
                    (local.set \$x (i32.xor (local.get \$x) (i32.shl (local.get \$x) (i32.const 13))))
                    (local.set \$x (i32.xor (local.get \$x) (i32.shr_u (local.get \$x) (i32.const 17))))
                    (local.set \$x (i32.xor (local.get \$x) (i32.shl (local.get \$x) (i32.const 5))))
                    (i32.store (i32.add (i32.const 65536) (local.get \$i)) (local.get \$x))
                    (br_if \$on (i32.lt_u (local.tee \$i (i32.add (local.get \$i) (i32.const 4))) (i32.const 16777216)))))",
    );
}

# Reads a property so many times.
sub reading {
    my ($path, $times) = @_;
    my $size = CORE::length $path;
    return guest(
        imports => ['proxy_get_property'],
        response_headers => "(call \$again (i32.const $times)) (i32.const 0)",
        fields => '(data (i32.const 16) "' . text($path) . "\")
            (func \$again (param \$i i32) (loop \$on
                (drop (call \$proxy_get_property (i32.const 16) (i32.const $size) (i32.const 8) (i32.const 12)))
                (br_if \$on (local.tee \$i (i32.sub (local.get \$i) (i32.const 1))))))",
    );
}

# Adds so many lines to a map, then replaces them all by one.
sub replacing {
    my ($map, $callback, $name, $lines) = @_;
    my $pairs = pack('V', 1) . pack('VV', 1, 1) . "a\0b\0";
    my $size = CORE::length $name;
    return guest(
        imports => ['proxy_add_header_map_value', 'proxy_set_header_map_pairs', 'proxy_remove_header_map_value'],
        $callback => "(call \$add (i32.const $lines))
            (drop (call \$proxy_remove_header_map_value (i32.const $map) (i32.const 64) (i32.const 1)))
            (drop (call \$proxy_set_header_map_pairs (i32.const $map) (i32.const 128) (i32.const @{[CORE::length $pairs]}))) (i32.const 0)",
        fields => "(data (i32.const 16) \"$name\") (data (i32.const 64) \"x\") (data (i32.const 128) \"@{[text($pairs)]}\")
            (func \$add (param \$i i32) (loop \$on
                (drop (call \$proxy_add_header_map_value (i32.const $map) (i32.const 16) (i32.const $size) (i32.const 64) (i32.const 1)))
                (br_if \$on (local.tee \$i (i32.sub (local.get \$i) (i32.const 1))))))",
    );
}

# Resident memory of nginx in KiB; it has one process.
sub resident {
    open my $in, '<', '/proc/' . pid() . '/status' or die "status: $!";
    my ($kib) = CORE::join('', <$in>) =~ /^VmRSS:\s+(\d+) kB/m;
    return $kib;
}

our $back = 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 ok; } }';

no_long_string();
run_tests();

__DATA__

=== TEST 1: a foreign function ends when the guest's time is over
--- http_config
wasm_module compress ../html/compress.wat cpu_time=100ms;
wasm_module patient ../html/compress.wat cpu_time=600s;
--- config
location /compress { wasm_filter compress; return 200 ok; }
location /patient { wasm_filter patient; return 200 ok; }
--- user_files eval
">>> compress.wat\n" . main::foreign('compress')
--- init
main::costs('compress', '/compress', 503, qr/compress: proxy_on_request_headers trapped: over cpu_time=100ms/);
my $socket = main::connection();
print $socket "GET /patient HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
Test::More::like(main::receive($socket), qr/\r\n\r\nok\z/, 'with more time it comes to its end');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked/



=== TEST 2: values of an upstream, read again and again, take no memory
--- http_config eval
$::back . CORE::join '', map { "wasm_module $_ ../html/$_.wat cpu_time=600s;" } qw(address port latency header)
--- config eval
CORE::join '', map { "location /$_ { wasm_filter $_; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }" } qw(address port latency header)
--- user_files eval
">>> address.wat\n" . main::reading("upstream\0address", 400000)
. "\n>>> port.wat\n" . main::reading("upstream\0port", 400000)
. "\n>>> latency.wat\n" . main::reading("response\0backend_latency", 400000)
. "\n>>> header.wat\n" . main::reading("nginx\0http_x_long", 400000)
--- init
main::get('/good');
for my $name (qw(address port latency header)) {
    my $before = main::resident();
    my $socket = main::connection();
    print $socket "GET /$name HTTP/1.1\r\nHost: a\r\nX-Long: @{['x' x 900]}\r\n\r\n";
    Test::More::like(main::receive($socket, qr/\r\n\r\nok\z/), qr/\AHTTP\/1.1 200 .*\r\n\r\nok\z/s, "$name: the request goes on");
    # What is taken for a request is given back when its connection is kept, but not to the system.
    Test::More::cmp_ok(main::resident() - $before, '<', 8000, "$name: no memory piles up");
}
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|\[error\]|panicked/



=== TEST 3: what nginx takes for a variable counts, whatever the length of its value
--- http_config eval
$::back . 'wasm_module m ../html/m.wat cpu_time=600s; wasm_buffer_size 1m headers=64k;'
--- config
location /m { wasm_filter m; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
--- user_files eval
">>> m.wat\n" . main::reading("nginx\0upstream_addr", 200000)
--- init
Test::More::like(main::get('/m'), qr/\AHTTP\/1.1 502 /, 'the response ends');
Test::More::like((main::matches(qr/m: read more of nginx.*/))[0], qr/m: read more of nginx's variables than 16 times the headers= of wasm_buffer_size \(65536 bytes\)/, 'the line');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked/



=== TEST 4: many lines, all replaced, in a step for each
--- http_config
wasm_buffer_size 1m headers=64m;
wasm_module response ../html/response.wat cpu_time=20s;
wasm_module request ../html/request.wat cpu_time=20s;
--- config
location /response { wasm_filter response; return 200 ok; }
location /request { wasm_filter request; return 200 ok; }
--- user_files eval
">>> response.wat\n" . main::replacing(2, 'response_headers', 'x', 100000)
. "\n>>> request.wat\n" . main::replacing(0, 'request_headers', 'x', 100000)
--- init
Test::More::like(main::get("/$_"), qr/\AHTTP\/1.1 200 .*\r\n(?:\r\n|2\r\n)ok\b/s, $_) for qw(response request);
Test::More::like(main::get('/response'), qr/\r\na: b\r\n/, 'what is left');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|\[error\]|panicked/
