# Guests that mean harm: bad numbers for every host function, allocators that lie, loops where no callback of a request runs. Loops in the
# callbacks of requests, recursion and memory are in 200-limits.t.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;

# What ends or replaces the request is left out: it would hide what the others do.
our @swept = grep { $_->[1] !~ /\A(?:abort|proc_exit|proxy_(?:continue|close)_\w+|proxy_send_local_response|proxy_set_effective_context)\z/ } imports();
our @nasty = (0, 1, 4, 65532, 65535, 65536, 65537, 0x7fffffff, -0x80000000, -4, -1);

# All host functions, with the same nasty number everywhere, and with one nasty number among good ones.
our $sweep = join "\n", map {
    my $import = $_;
    my $count = length $import->[2];
    my @calls = map { call_of($import, $_) } @nasty;
    for my $place (0 .. $count - 1) {
        push @calls, map { my @values = (16) x ($count + 1); $values[$place] = $_; call_of($import, @values) } 65533, 65536, -0x80000000, -1;
    }
    @calls;
} @swept;

sub sweeping {
    my $callback = shift;
    my $answer = $callback =~ /\A(?:request|response|done)/ ? '(i32.const 0)' : '';
    $answer = '(i32.const 1)' if $callback eq 'done';
    return guest(imports => [map { $_->[1] } @swept], fields => "(func \$sweep $sweep)", $callback => "(call \$sweep) $answer");
}

our @phases = qw(context_create request_headers request_body response_headers response_body done log delete);

no_long_string();
run_tests();

__DATA__

=== TEST 1: every host function with bad pointers, lengths and numbers, in every phase
--- http_config eval
CORE::join '', map { "wasm_module $_ ../html/$_.wat;" } @::phases
--- config eval
CORE::join '', map { "location /$_ { wasm_filter $_; return 200 served; }" } @::phases
--- log_level: error
--- user_files eval
CORE::join "\n", map { ">>> $_.wat\n" . main::sweeping($_) } @::phases
--- init
# Lines that guests have written, with what was in their memory, may be of level error.
my $pid = main::body_of(main::get('/good'));
for my $phase (@::phases) {
    my $got = main::get("/$phase", "Content-Length: 4\r\n\r\nbody");
    # An empty name is none that can be sent.
    my $status = $phase =~ /\A(?:request|context)/ ? 503 : 200;
    Test::More::like($got, qr{\AHTTP/1\.1 $status }, "$phase: the request goes on, or ends with its status");
    Test::More::is(main::body_of(main::get('/good')), $pid, "$phase: another filter, in the same process");
}
Test::More::is(scalar(() = main::matches(qr/trapped|failed/)), 0, 'nobody has trapped');
--- no_error_log eval: qr/\[alert\]|\[emerg\]|panicked/



=== TEST 2: allocators that fail, lie, trap, loop, and call the host
What the host cannot hand over is refused; the guest goes on unless it ends itself.
--- http_config
    wasm_module zero ../html/zero.wat;
    wasm_module outside ../html/outside.wat;
    wasm_module edge ../html/edge.wat;
    wasm_module grows ../html/grows.wat;
    wasm_module again ../html/again.wat;
    wasm_module traps ../html/traps.wat;
    wasm_module loops ../html/loops.wat cpu_time=20ms;
--- config
    location /zero { wasm_filter zero; return 204; }
    location /outside { wasm_filter outside; return 204; }
    location /edge { wasm_filter edge; return 204; }
    location /grows { wasm_filter grows; return 204; }
    location /again { wasm_filter again; return 204; }
    location /traps { wasm_filter traps; return 204; }
    location /loops { wasm_filter loops; return 204; }
--- user_files eval
my %allocators = (zero => '(i32.const 0)', outside => '(i32.const 65500)', edge => '(i32.const -1)', grows => '(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))',
    again => '(i32.add (i32.const 512) (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 8) (i32.const 12)))', traps => 'unreachable', loops => '(call $spin) (i32.const 1)');
# The status becomes that of a local response: 200 and the number.
CORE::join "\n", map {
    ">>> $_.wat\n" . main::guest(imports => ['proxy_get_header_map_pairs', 'proxy_send_local_response'], allocator => $allocators{$_},
        request_headers => '(drop (call $proxy_send_local_response (i32.add (i32.const 200) (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 0) (i32.const 4)))
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))) (i32.const 1)')
} sort keys %allocators
--- init
main::costs('no memory', '/zero', 210);
main::costs('an address whose end is outside', '/outside', 206);
main::costs('the last address', '/edge', 206);
main::costs('memory that grows meanwhile', '/grows', 200);
main::costs('a host call that allocates', '/again', 200);
main::costs('a trap', '/traps', 503, qr/\[wasm\] traps: proxy_on_request_headers trapped: in the guest's allocator: wasm trap: wasm `unreachable` instruction executed in function \d+ < request_headers, client/);
main::costs('a loop', '/loops', 503, qr/\[wasm\] loops: proxy_on_request_headers trapped: in the guest's allocator: over cpu_time=20ms in spin < function \d+ < request_headers, client/);



=== TEST 3: loops at nginx -t end, and the running configuration stays
--- workers: 1
--- config
    location /a { return 204; }
--- user_files eval
CORE::join "\n", ">>> section.wat\n" . main::guest(fields => '(start $spin)'), (map { ">>> entry$_.wat\n" . main::guest(fields => "(func (export \"$_\") (call \$spin))") } qw(_initialize _start main)),
    map { ">>> $_.wat\n" . main::guest($_ => '(call $spin)' . ($_ eq 'context_create' ? '' : '(i32.const 1)')) } qw(context_create vm_start configure)
--- init
my $first = 'wasm_module good';
my $count = 0;
for my $where (qw(section entry_initialize entry_start entrymain context_create vm_start configure)) {
    my $module = "wasm_module bad$count ../html/$where.wat start_time=20ms; ";
    # A module that nobody uses has no root context; that of the filter is of the whole block.
    my $filter = $where =~ /context_create|vm_start|configure/ ? "wasm_filter bad$count; " : '';
    main::reload($first, "$module$filter$first");
    my @lines = main::wait_for(qr/\[emerg\] \d+#\d+: \K.*/, ++$count);
    Test::More::like($lines[-1], qr/\Awasm module "bad\d+" .*over start_time=20ms in spin/, "$where: the line");
    main::reload("$module$filter$first", $first);
    Test::More::like(main::get('/good'), qr/good from/, "$where: the running configuration");
}
--- no_error_log eval: qr/\[alert\]|panicked/



=== TEST 4: names of functions cannot break a line of the log
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /m { wasm_filter m; return 204; }
--- user_files eval
">>> m.wat\n" . main::guest(fields => '(func $"one\0atwo\0d\0a2026/01/01 00:00:00 [emerg] 1#1: three\00four\1b[31m" unreachable)', request_headers => '(call $"one\0atwo\0d\0a2026/01/01 00:00:00 [emerg] 1#1: three\00four\1b[31m") (i32.const 0)')
--- init
main::costs('a name with lines in it', '/m', 503, qr/\A\*\d+ \[wasm\] m: proxy_on_request_headers trapped: wasm trap: wasm `unreachable` instruction executed in one two 2026\S* 00:00:00 \[emerg\] 1#1: three four \[31m < request_headers, client: /);
--- no_error_log eval: qr/\[alert\]|^2026\S+ 00:00:00 \[emerg\]|panicked/m



=== TEST 5: contexts that never end, of thousands of requests
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /m { wasm_filter m; return 200 served; }
--- user_files eval
">>> m.wat\n" . main::guest(done => '(i32.const 0)')
--- init
my $pid = (main::body_of(main::get('/good')) =~ /(\d+)/)[0];
my $rss = sub { open my $status, '<', "/proc/$pid/status" or die $!; return (map { /^VmRSS:\s+(\d+)/ } <$status>)[0] };
my $load = sub {
    for (1 .. $_[0]) {
        my $socket = main::connection();
        print $socket "GET /m HTTP/1.1\r\nHost: localhost\r\n\r\n" x 99 . "GET /m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        my $got = main::receive($socket);
        return 0 unless (() = $got =~ /served/g) == 100;
    }
    return 1;
};
Test::More::ok($load->(120), 'served');
my $before = $rss->();
Test::More::ok($load->(120), 'served');
Test::More::diag("RSS $before -> @{[$rss->()]} KiB");
# AddressSanitizer keeps what was freed, up to 256 MiB.
Test::More::cmp_ok($rss->() - $before, '<', $ENV{ASAN_OPTIONS} ? 400_000 : 2048, 'memory has an end');
main::costs('and goes on', '/m', 200);



=== TEST 6: local responses in places where there is none
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /twice { wasm_filter m '{"request_headers":[["local_response",401,[],"first"],["local_response",402,[],"second"]]}'; return 200 served; }
    location /log { wasm_filter m '{"log":[["local_response",401,[],"late"]]}'; return 200 served; }
    location /done { wasm_filter m '{"done":[["local_response",401,[],"late"]]}'; return 200 served; }
    location /sent { wasm_filter m '{"response_body":[["if",{"body_size":"response"},"4",[["local_response",401,[],"late"]]]]}'; proxy_buffering off; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/pieces; }
    location /pieces { limit_rate 6; limit_rate_after 6; return 200 "first ----"; }
    location /nonsense { wasm_filter m '{"request_headers":[["local_response",99,[],"x"],["local_response",1000,[],"x"],["local_response",4294967295,[],"x"]]}'; return 200 served; }
    location /others { wasm_filter m '{"request_headers":[["effective_context",4000000000],["effective_context",0],["done"],["continue","request"],["continue","downstream"],["status","continue_stream:bad_type"],["status","close_stream:bad_type"],["effective_context","root"],["local_response",401,[],"of the root"],["done"]]}'; return 200 served; }
--- init
Test::More::like(main::costs('twice', '/twice', 401), qr/\r\n\r\nfirst\z/, 'twice: the first holds');
main::costs('from on_log', '/log', 200);
main::costs('from on_done', '/done', 200);
main::costs('of the root context, proxy_done, and of contexts that are not there', '/others', 200);
main::costs('with statuses that there are not', '/nonsense', 500, qr/m: sent a local response with the status 99, which cannot be sent; it becomes 500/);
