# The ABI: versions, entry points, allocators, every import, WASI.

use Test::Nginx::Socket 'no_plan';

# A guest's message in a request or outside of one, without what nginx adds.
our $message = qr/\[wasm\] \K\w+: .*?(?=(?: while [\w ]+)?, client:|$)/;

# [module, name, parameters, results]; i = i32, L = i64.
our @env = map { ['env', @$_] } (
    [abort => 'iiii', ''], [emscripten_notify_memory_growth => 'i', ''],
    (map { ["proxy_$_->[0]", $_->[1], 'i'] } (
        [log => 'iii'], [get_log_level => 'i'], [get_current_time_nanoseconds => 'i'],
        [set_tick_period_milliseconds => 'i'], [get_buffer_bytes => 'iiiii'], [get_buffer_status => 'iii'],
        [set_buffer_bytes => 'iiiii'], [get_header_map_size => 'ii'], [get_header_map_pairs => 'iii'],
        [set_header_map_pairs => 'iii'], [get_header_map_value => 'iiiii'], [add_header_map_value => 'iiiii'],
        [replace_header_map_value => 'iiiii'], [remove_header_map_value => 'iii'], [continue_stream => 'i'],
        [close_stream => 'i'], [continue_request => ''], [continue_response => ''], [clear_route_cache => ''],
        [get_configuration => 'ii'], [send_local_response => 'iiiiiiii'], [http_call => 'iiiiiiiiii'],
        [grpc_call => 'iiiiiiiiiiii'], [grpc_stream => 'iiiiiiiii'], [grpc_send => 'iiii'], [grpc_cancel => 'i'],
        [grpc_close => 'i'], [get_status => 'iii'], [get_shared_data => 'iiiii'], [set_shared_data => 'iiiii'],
        [register_shared_queue => 'iii'], [resolve_shared_queue => 'iiiii'], [enqueue_shared_queue => 'iii'],
        [dequeue_shared_queue => 'iii'], [define_metric => 'iiii'], [record_metric => 'iL'],
        [increment_metric => 'iL'], [get_metric => 'ii'], [get_property => 'iiii'], [set_property => 'iiii'],
        [call_foreign_function => 'iiiiii'], [set_effective_context => 'i'], [done => ''],
    )),
);

# With the arguments of a call and the errno that it must give. 1024 is memory to write to; 512
# holds the address 768 and the length 4 of "text".
our @wasi = (
    [args_sizes_get => 'ii', '1024 1028' => 0], [args_get => 'ii', '1024 1028' => 0],
    [environ_sizes_get => 'ii', '1024 1028' => 0], [environ_get => 'ii', '1024 1028' => 0],
    [clock_res_get => 'ii', '0 1024' => 0], [clock_time_get => 'iLi', '1 0 1024' => 0],
    [fd_advise => 'iLLi', '3 0 0 0' => 0], [fd_allocate => 'iLL', '3 0 0' => 8], [fd_close => 'i', '1' => 0],
    [fd_datasync => 'i', '1' => 8], [fd_fdstat_get => 'ii', '1 1024' => 0],
    [fd_fdstat_set_flags => 'ii', '1 0' => 52], [fd_fdstat_set_rights => 'iLL', '1 0 0' => 8],
    [fd_filestat_get => 'ii', '1 1024' => 8], [fd_filestat_set_size => 'iL', '1 0' => 8],
    [fd_filestat_set_times => 'iLLi', '1 0 0 0' => 8], [fd_pread => 'iiiLi', '1 512 1 0 1024' => 8],
    [fd_prestat_get => 'ii', '3 1024' => 8], [fd_prestat_dir_name => 'iii', '3 1024 8' => 8],
    [fd_pwrite => 'iiiLi', '1 512 1 0 1024' => 8], [fd_read => 'iiii', '0 512 1 1024' => 52],
    [fd_readdir => 'iiiLi', '3 1024 8 0 1024' => 8], [fd_renumber => 'ii', '1 2' => 8],
    [fd_seek => 'iLii', '1 0 0 1024' => 0], [fd_sync => 'i', '1' => 8], [fd_tell => 'ii', '1 1024' => 8],
    [fd_write => 'iiii', '1 512 1 1024' => 0],
    [path_create_directory => 'iii', '3 768 4' => 58], [path_filestat_get => 'iiiii', '3 0 768 4 1024' => 58],
    [path_filestat_set_times => 'iiiiLLi', '3 0 768 4 0 0 0' => 58], [path_link => 'iiiiiii', '3 0 768 4 3 768 4' => 58],
    [path_open => 'iiiiiLLii', '3 0 768 4 0 0 0 0 1024' => 44], [path_readlink => 'iiiiii', '3 768 4 1024 8 1040' => 58],
    [path_remove_directory => 'iii', '3 768 4' => 58], [path_rename => 'iiiiii', '3 768 4 3 768 4' => 58],
    [path_symlink => 'iiiii', '768 4 3 768 4' => 58], [path_unlink_file => 'iii', '3 768 4' => 58],
    [poll_oneoff => 'iiii', '1024 1100 1 1200' => 0], [proc_raise => 'i', '1' => 8],
    [sched_yield => '', '' => 0], [random_get => 'ii', '1024 16' => 0],
    [sock_accept => 'iii', '3 0 1024' => 58], [sock_recv => 'iiiiii', '3 512 1 0 1024 1028' => 58],
    [sock_send => 'iiiii', '3 512 1 0 1024' => 58], [sock_shutdown => 'ii', '3 0' => 58],
);

# What is answered to the same functions when they are misused, or asked for more.
our @wasi_more = (
    ['clock_time_get of the CPU', clock_time_get => '2 0 1024' => 58],
    ['clock_res_get of the CPU', clock_res_get => '3 1024' => 58],
    ['clock_time_get to nowhere', clock_time_get => '0 0 -8' => 21],
    ['random_get of 64 KiB', random_get => '65536 65536' => 0],
    ['random_get of more', random_get => '65536 65537' => 28],
    ['random_get to nowhere', random_get => '-8 16' => 21],
    ['fd_write to stdin', fd_write => '0 512 1 1024' => 8],
    ['fd_write to a file', fd_write => '3 512 1 1024' => 8],
    ['fd_write from nowhere', fd_write => '1 -8 1 1024' => 21],
    ['fd_fdstat_get of a file', fd_fdstat_get => '3 1024' => 8],
    ['environ_sizes_get to nowhere', environ_sizes_get => '-4 -4' => 21],
);

sub types {
    my ($list, $word) = @_;
    return '' if $list eq '';
    return " ($word" . join('', map { $_ eq 'L' ? ' i64' : ' i32' } split //, $list) . ')';
}

sub import_of {
    my ($module, $name, $parameters, $results, $id) = @_;
    return qq{(import "$module" "$name" (func \$} . ($id // $name)
        . types($parameters, 'param') . types($results, 'result') . "))\n";
}

# A guest that makes calls in on_request_headers and logs "what=result" for each.
# Calls: [what, function, its parameters, arguments].
sub caller_of {
    my ($imports, @calls) = @_;
    my ($data, $code, $at) = ('', '', 2048);
    for my $call (@calls) {
        my ($what, $function, $parameters, $arguments) = @$call;
        my @arguments = split / /, $arguments;
        my @types = split //, $parameters;
        my $values = join ' ', map { ($types[$_] eq 'L' ? '(i64.const ' : '(i32.const ') . "$arguments[$_])" } 0 .. $#types;
        $data .= qq{(data (i32.const $at) "$what=")\n};
        my $length = length("$what=");
        $code .= "(call \$say (i32.const $at) (i32.const $length) (call \$$function $values))\n";
        $at += $length + 4;
    }
    return <<"WAT";
(module
$imports
(memory (export "memory") 2)
(data (i32.const 512) "\\00\\03\\00\\00\\04\\00\\00\\00")
(data (i32.const 768) "text")
$data
(func (export "proxy_abi_version_0_2_1"))
(func (export "malloc") (param i32) (result i32) (i32.const 4096))
;; Appends a number below 1000 to the text, and logs it.
(func \$say (param \$text i32) (param \$length i32) (param \$number i32)
  (local \$end i32)
  (local.set \$end (i32.add (local.get \$text) (local.get \$length)))
  (if (i32.ge_u (local.get \$number) (i32.const 100)) (then
    (i32.store8 (local.get \$end) (i32.add (i32.const 48) (i32.div_u (local.get \$number) (i32.const 100))))
    (local.set \$end (i32.add (local.get \$end) (i32.const 1)))))
  (if (i32.ge_u (local.get \$number) (i32.const 10)) (then
    (i32.store8 (local.get \$end)
      (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get \$number) (i32.const 10)) (i32.const 10))))
    (local.set \$end (i32.add (local.get \$end) (i32.const 1)))))
  (i32.store8 (local.get \$end) (i32.add (i32.const 48) (i32.rem_u (local.get \$number) (i32.const 10))))
  (drop (call \$proxy_log (i32.const 2) (local.get \$text)
    (i32.sub (i32.add (local.get \$end) (i32.const 1)) (local.get \$text)))))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
$code
  (i32.const 0)))
WAT
}

# All imports of the ABI and of WASI under both of its names, and a call to each of WASI's.
sub everything {
    my $module = shift;
    my $imports = CORE::join('', map { import_of(@$_) } @env);
    for my $name (qw(wasi_snapshot_preview1 wasi_unstable)) {
        for my $function (@wasi, ['proc_exit', 'i']) {
            my $results = $function->[0] eq 'proc_exit' ? '' : 'i';
            $imports .= import_of($name, $function->[0], $function->[1], $results,
                $name eq $module ? $function->[0] : "other_$function->[0]");
        }
    }
    my %parameters = map { $_->[0] => $_->[1] } @wasi;
    return caller_of($imports,
        (map { [$_->[0], $_->[0], $_->[1], $_->[2]] } @wasi),
        (map { [$_->[0], $_->[1], $parameters{$_->[1]}, $_->[2]] } @wasi_more));
}

# What fd_write was given has no newline: it is logged when the callback is over.
our $errnos = CORE::join '', (map { "m: $_->[0]=$_->[3]\n" } @wasi, @wasi_more), "m: text\n";

# A guest whose entry points log their names.
sub entries {
    my ($start, @functions) = @_;
    my ($code, $at) = ('', 0);
    for my $function (@functions) {
        my ($name, $parameters, $results) = @$function;
        my $length = length $name;
        my $export = $name eq 'start' ? '$start' : qq{(export "$name")};
        $code .= qq{(data (i32.const $at) "$name")\n(func $export} . types($parameters, 'param')
            . types($results, 'result') . " (drop (call \$proxy_log (i32.const 2) (i32.const $at) (i32.const $length)))"
            . ($results ? ' (i32.const 0)' : '') . ")\n";
        $at += 32;
    }
    return "(module\n" . import_of('env', 'proxy_log', 'iii', 'i') . "(memory (export \"memory\") 1)\n"
        . "(func (export \"proxy_abi_version_0_2_1\"))\n$code" . ($start ? '(start $start)' : '') . ')';
}

# A guest that logs ":path" and then an empty header, with an allocator as it is given here.
sub allocating {
    my $allocator = shift;
    my $get = import_of('env', 'proxy_get_header_map_value', 'iiiii', 'i', 'get');
    my $log = import_of('env', 'proxy_log', 'iii', 'i', 'log');
    return <<"WAT";
(module
$get$log
(memory (export "memory") 1)
(func (export "proxy_abi_version_0_2_1"))
(data (i32.const 0) ":path")
(data (i32.const 16) "x-empty")
(data (i32.const 32) "status --")
(data (i32.const 48) "allocate")
$allocator
(func \$show (param \$status i32)
  (if (local.get \$status)
    (then
      (i32.store8 (i32.const 39) (i32.add (i32.const 48) (i32.div_u (local.get \$status) (i32.const 10))))
      (i32.store8 (i32.const 40) (i32.add (i32.const 48) (i32.rem_u (local.get \$status) (i32.const 10))))
      (drop (call \$log (i32.const 2) (i32.const 32) (i32.const 9))))
    (else (drop (call \$log (i32.const 2) (i32.load (i32.const 100)) (i32.load (i32.const 104)))))))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (call \$show (call \$get (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 100) (i32.const 104)))
  (call \$show (call \$get (i32.const 0) (i32.const 16) (i32.const 7) (i32.const 100) (i32.const 104)))
  (i32.const 0)))
WAT
}

sub allocator {
    my $name = shift;
    return <<"WAT";
(func (export "$name") (param \$size i32) (result i32)
  (drop (call \$log (i32.const 2) (i32.const 48) (i32.const 8)))
  (if (i32.eqz (local.get \$size)) (then unreachable))
  (i32.const 1024))
WAT
}

log_level('info');
no_long_string();
run_tests();

__DATA__

=== TEST 1: a guest of ABI 0.1.0: _start, header callbacks with two parameters, its own imports
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/abi_0_1_0.wasm;
--- config
    location /t {
        wasm_filter m "it's";
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up$request_uri;
    }
    location /up { wasm_filter off; return 200 "$http_x_abi_request"; }
--- request
GET /t
--- response_headers
x-abi-response: it's
--- response_body: it's
--- grep_error_log eval: $::message
--- grep_error_log_out
m: on_configure size=4 configuration=4 bytes
m: on_request_headers count=5
m: missing header: status 0
m: on_response_headers count=6
m: on_log
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 2: ABI 0.1.0: proxy_continue_request within the callback that pauses
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/abi_0_1_0.wasm;
--- config
    location /continue {
        wasm_filter m x;
        return 200 "served";
    }
--- request
GET /continue
--- response_headers
x-abi-response: x
--- response_body: served
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 3: ABI 0.1.0: a missing header is empty; later versions have a status for it
--- user_files eval
my $guest = main::allocating(main::allocator('malloc'));
(my $old = $guest) =~ s/0_2_1/0_1_0/;
$old =~ s/"proxy_on_request_headers"\) \(param i32 i32 i32\)/"proxy_on_request_headers") (param i32 i32)/;
(my $middle = $guest) =~ s/0_2_1/0_2_0/;
[['old.wat', $old], ['middle.wat', $middle], ['new.wat', $guest]]
--- http_config
    wasm_module old ../html/old.wat;
    wasm_module middle ../html/middle.wat;
    wasm_module new ../html/new.wat;
--- config
    location /t {
        wasm_filter old;
        wasm_filter middle;
        wasm_filter new;
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
"old: allocate\nold: /t\nold: \nmiddle: allocate\nmiddle: /t\nmiddle: status 01\nnew: allocate\nnew: /t\nnew: status 01\n"


=== TEST 4: the allocators, neither is asked for nothing; a guest without one gets a status
--- user_files eval
[['malloc.wat', main::allocating(main::allocator('malloc'))],
 ['proxy.wat', main::allocating(main::allocator('proxy_on_memory_allocate'))],
 ['none.wat', main::allocating('')],
 ['null.wat', main::allocating('(func (export "malloc") (param i32) (result i32) (i32.const 0))')],
 ['beyond.wat', main::allocating('(func (export "malloc") (param i32) (result i32) (i32.const 65535))')]]
--- http_config
    wasm_module malloc ../html/malloc.wat;
    wasm_module proxy ../html/proxy.wat;
    wasm_module none ../html/none.wat;
    wasm_module null ../html/null.wat;
    wasm_module beyond ../html/beyond.wat;
--- config
    location /t {
        wasm_filter malloc;
        wasm_filter proxy;
        wasm_filter none;
        wasm_filter null;
        wasm_filter beyond;
        return 204;
    }
--- more_headers eval
"X-Empty: "
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
malloc: allocate
malloc: /t
malloc: 
proxy: allocate
proxy: /t
proxy: 
none: status 10
none: 
null: status 10
null: 
beyond: status 06
beyond: 
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 5: the entry points and their order
--- user_files eval
my ($start, $initialize, $begin) = (['start', '', ''], ['_initialize', '', ''], ['_start', '', '']);
my ($main, $main_c) = (['main', '', ''], ['main', 'ii', 'i']);
[['a.wat', main::entries(1, $start)], ['b.wat', main::entries(0, $initialize)], ['c.wat', main::entries(0, $begin)],
 ['d.wat', main::entries(0, $initialize, $begin)], ['e.wat', main::entries(0, $initialize, $main)],
 ['f.wat', main::entries(0, $main_c)], ['g.wat', main::entries(0, $begin, $main_c)],
 ['h.wat', main::entries(1, $start, $initialize, $main_c)]]
--- http_config eval
CORE::join '', map { "wasm_module $_ ../html/$_.wat; wasm_filter $_;\n" } 'a' .. 'h'
--- config
    location /t { return 204; }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
a: start
b: _initialize
c: _start
d: _initialize
e: _initialize
e: main
f: main
g: _start
h: start
h: _initialize
h: main


=== TEST 6: every import is there, with WASI as wasi_snapshot_preview1; its answers
--- user_files eval
[['m.wat', main::everything('wasi_snapshot_preview1')]]
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t { wasm_filter m; return 204; }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval: $::errnos
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 7: WASI as wasi_unstable
--- user_files eval
[['m.wat', main::everything('wasi_unstable')]]
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t { wasm_filter m; return 204; }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval: $::errnos
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 8: proc_exit ends the instance and costs the request
--- user_files
>>> m.wat
(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $exit (i32.const 3))
    (i32.const 0)))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t { wasm_filter m; return 204; }
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/\[error\] \d+#\d+: \*\d+ \[wasm\] m: proxy_on_request_headers trapped: .*proc_exit\(3\)/
--- no_error_log
[alert]
[emerg]


=== TEST 9: abort ends it with the message, file, line and column of AssemblyScript
--- user_files
>>> m.wat
(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (data (i32.const 0) "\06\00\00\00w\00h\00y\00")
  (data (i32.const 20) "\08\00\00\00i\00.\00t\00s\00")
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $abort (i32.const 4) (i32.const 24) (i32.const 7) (i32.const 9))
    (i32.const 0)))
--- http_config
    wasm_module m ../html/m.wat;
--- config
    location /t { wasm_filter m; return 204; }
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/\[error\] \d+#\d+: \*\d+ \[wasm\] m: proxy_on_request_headers trapped: .*why.*i\.ts.*7.*9/
--- no_error_log
[alert]
[emerg]


=== TEST 10: nobody's upstreams, queues, metrics and functions have the statuses of the ABI
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $calls = CORE::join ',', map { qq{["status","$_"]} } qw(http_call grpc_call grpc_stream grpc_send grpc_cancel grpc_close get_status
    get_shared_data set_shared_data register_shared_queue resolve_shared_queue enqueue_shared_queue dequeue_shared_queue
    define_metric record_metric increment_metric get_metric call_foreign_function);
"location /t { wasm_filter m '{\"request_headers\":[$calls]}'; return 204; }"
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: status http_call = 2
m: status grpc_call = 4
m: status grpc_stream = 4
m: status grpc_send = 2
m: status grpc_cancel = 2
m: status grpc_close = 2
m: status get_status = 0
m: status get_shared_data = 1
m: status set_shared_data = 0
m: status register_shared_queue = 0
m: status resolve_shared_queue = 1
m: status enqueue_shared_queue = 1
m: status dequeue_shared_queue = 1
m: status define_metric = 0
m: status record_metric = 1
m: status increment_metric = 1
m: status get_metric = 1
m: status call_foreign_function = 1
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 11: misuse gives a status, and does not trap
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $calls = CORE::join ',', map { qq{["status","$_"]} } qw(log:bad_level log:bad_pointer get_property:bad_pointer
    get_property:bad_return get_header_map_value:bad_pointer get_header_map_value:bad_return add_header_map_value:bad_pointer
    set_header_map_pairs:bad_pointer set_header_map_pairs:truncated get_buffer_bytes:bad_type get_buffer_bytes:overflow
    get_buffer_bytes:bad_return set_buffer_bytes:bad_type set_buffer_bytes:bad_pointer get_header_map_pairs:bad_type
    get_header_map_size:bad_type send_local_response:bad_pointer continue_stream:bad_type close_stream:bad_type
    set_effective_context:bad_id);
"location /t {
    wasm_filter m '{\"request_body\":[$calls,[\"log_header\",\"request\",\":path\"]]}';
    return 200 '\$http_x_a';
}"
--- more_headers
X-A: kept
--- request
POST /t
x
--- response_body: kept
--- grep_error_log eval: $::message
--- grep_error_log_out
m: status log:bad_level = 2
m: status log:bad_pointer = 6
m: status get_property:bad_pointer = 6
m: status get_property:bad_return = 6
m: status get_header_map_value:bad_pointer = 6
m: status get_header_map_value:bad_return = 6
m: status add_header_map_value:bad_pointer = 6
m: status set_header_map_pairs:bad_pointer = 6
m: status set_header_map_pairs:truncated = 2
m: status get_buffer_bytes:bad_type = 2
m: status get_buffer_bytes:overflow = 2
m: status get_buffer_bytes:bad_return = 6
m: status set_buffer_bytes:bad_type = 2
m: status set_buffer_bytes:bad_pointer = 6
m: status get_header_map_pairs:bad_type = 2
m: status get_header_map_size:bad_type = 2
m: status send_local_response:bad_pointer = 6
m: status continue_stream:bad_type = 2
m: status close_stream:bad_type = 2
m: status set_effective_context:bad_id = 2
m: request :path=/t
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 12: in a root context: no headers, no bodies, no stream; pairs are Ok and empty
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"configure":[["log_headers","request"],["log_headers","response"],["log_header","request",":path"],
            ["set_header","request","x-a","1"],["log_body","request",0,10],["set_body","response",0,0,"x"],
            ["local_response",200,[],"x"],["continue","request"],["close","request"],["set_tick",0],["log_context"]]}';
        return 200 "served";
    }
--- request
GET /t
--- response_body: served
--- grep_error_log eval: $::message
--- grep_error_log_out
m: request has 0 pairs
m: response has 0 pairs
m: request :path: status 1
m: set_header request x-a: status 2
m: body request 0 10: status 1
m: set_body response 0 0: status 2
m: local_response 200: status 2
m: continue request: status 2
m: close request: status 2
m: context 1 root 1
--- no_error_log
[error]
[alert]
[emerg]
[crit]


=== TEST 13: the effective context: reads of another one, and the own one again at the next callback
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["effective_context","root"],["log_header","request",":path"],
            ["effective_context","own"],["log_header","request",":path"],["effective_context","root"]],
            "response_headers":[["log_header","response",":status"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: request :path: status 1
m: request :path=/t
m: response :status=204


=== TEST 14: clocks, random bytes and the log level
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"configure":[["time"],["log_level"]],"request_headers":[["time"],["log_level"]]}';
        return 204;
    }
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: time realtime ok, monotonic ok, host ok, random ok
m: log_level 2
m: time realtime ok, monotonic ok, host ok, random ok
m: log_level 2


=== TEST 15: ABI 0.2.0 with every callback exported, the L4 ones too
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/trace_cpp.wasm;
--- config
    location /t {
        wasm_filter m;
        return 200 "hello";
    }
--- request
POST /t
01
--- response_body: hello
--- grep_error_log eval: $::message
--- grep_error_log_out
m: on_context_create id=1 parent=0
m: plugin_root_id status=0 value=""
m: on_vm_start id=1 size=0
m: on_configure id=1 size=0
m: on_context_create id=2 parent=1
m: on_request_headers id=2 count=6 eos=0
m: on_request_body id=2 size=2 eos=1
m: on_response_headers id=2 count=6 eos=0
m: on_response_body id=2 size=5 eos=1
m: on_done id=2
m: on_log id=2
m: on_delete id=2


=== TEST 16: misuse of calls and of shared state gives a status, and does not trap
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $calls = CORE::join ',', map { qq{["status","$_"]} } qw(
    http_call:bad_pointer http_call:bad_headers http_call:bad_return grpc_call:bad_pointer grpc_call:bad_return
    grpc_stream:bad_pointer grpc_stream:bad_return grpc_send:bad_pointer get_status:bad_return
    get_shared_data:bad_pointer get_shared_data:bad_return set_shared_data:bad_pointer
    register_shared_queue:bad_pointer register_shared_queue:bad_return resolve_shared_queue:bad_pointer
    enqueue_shared_queue:bad_pointer dequeue_shared_queue:bad_return define_metric:bad_type define_metric:bad_pointer
    define_metric:bad_return get_metric:bad_return call_foreign_function:bad_pointer);
"location /t { wasm_filter m '{\"request_headers\":[$calls]}'; return 204; }"
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: status http_call:bad_pointer = 6
m: status http_call:bad_headers = 2
m: status http_call:bad_return = 6
m: status grpc_call:bad_pointer = 6
m: status grpc_call:bad_return = 6
m: status grpc_stream:bad_pointer = 6
m: status grpc_stream:bad_return = 6
m: status grpc_send:bad_pointer = 6
m: status get_status:bad_return = 6
m: status get_shared_data:bad_pointer = 6
m: status get_shared_data:bad_return = 6
m: status set_shared_data:bad_pointer = 6
m: status register_shared_queue:bad_pointer = 6
m: status register_shared_queue:bad_return = 6
m: status resolve_shared_queue:bad_pointer = 6
m: status enqueue_shared_queue:bad_pointer = 6
m: status dequeue_shared_queue:bad_return = 6
m: status define_metric:bad_type = 2
m: status define_metric:bad_pointer = 6
m: status define_metric:bad_return = 6
m: status get_metric:bad_return = 6
m: status call_foreign_function:bad_pointer = 6
--- no_error_log
[error]
[alert]
[emerg]
[crit]
