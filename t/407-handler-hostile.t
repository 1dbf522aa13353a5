# wasm_handler: plugins that mean harm, or nonsense. Each costs its own request, and no more than its own instance.

use Test::Nginx::Socket 'no_plan';
use Handler;
use Wire;

log_level('warn');
no_long_string();

our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked|signal/;
our @nasty = (0, 1, 7, 63, 64, 77, 65535, 65536, 0x7fffffff, -0x80000000, -8, -1);

# Imports of an Extism plugin, with their parameters and results: I is i64, i is i32.
our @extism = (['env', 'alloc', 'I', 'I'], ['env', 'free', 'I', ''], ['env', 'length', 'I', 'I'], ['env', 'length_unsafe', 'I', 'I'],
    ['env', 'load_u8', 'I', 'i'], ['env', 'load_u64', 'I', 'I'], ['env', 'store_u8', 'Ii', ''], ['env', 'store_u64', 'II', ''],
    ['env', 'input_load_u8', 'I', 'i'], ['env', 'input_load_u64', 'I', 'I'], ['env', 'input_set', 'II', ''], ['env', 'output_set', 'II', ''],
    ['env', 'error_set', 'I', ''], ['env', 'config_get', 'I', 'I'], ['env', 'var_get', 'I', 'I'], ['env', 'var_set', 'II', ''],
    ['env', 'log_warn', 'I', ''], ['env', 'http_request', 'II', 'I'], ['env', 'http_headers', '', 'I'], ['env', 'http_status_code', '', 'i'],
    ['user', 'shared_data_get', 'I', 'I'], ['user', 'shared_data_set', 'II', 'I'], ['user', 'shared_data_compare_and_swap', 'III', 'I'],
    ['user', 'enqueue', 'II', 'I'], ['user', 'counter_increment', 'II', 'I'], ['user', 'variable_get', 'I', 'I'], ['user', 'variable_set', 'II', 'I'],
    ['user', 'log', 'II', 'I']);
our @wapc = (['wapc', '__guest_request', 'ii', ''], ['wapc', '__guest_response', 'ii', ''], ['wapc', '__guest_error', 'ii', ''],
    ['wapc', '__host_call', 'iiiiiiii', 'i'], ['wapc', '__host_response', 'i', ''], ['wapc', '__host_error', 'i', ''], ['wapc', '__console_log', 'ii', '']);

sub types { return CORE::join ' ', map { $_ eq 'I' ? 'i64' : 'i32' } split //, $_[0] }

sub import_of {
    my ($module, $name, $parameters, $result) = @{$_[0]};
    my $from = $module eq 'wapc' ? 'wapc' : "extism:host/$module";
    my $type = types($parameters);
    return qq{(import "$from" "$name" (func \$$name } . ($type ? "(param $type) " : '') . ($result ? '(result ' . types($result) . ')' : '') . '))';
}

# Calls of an import with these numbers in each place, the others being good ones, and in all places.
sub calls_of {
    my ($module, $name, $parameters, $result) = @{$_[0]};
    my @types = split //, $parameters;
    my $call = sub {
        my $call = "(call \$$name " . CORE::join(' ', map { ($types[$_] eq 'I' ? '(i64.const ' : '(i32.const ') . $_[$_] . ')' } 0 .. $#types) . ')';
        return $result ? "(drop $call)" : $call;
    };
    return $call->() if !@types;
    return map { my $number = $_; $call->(($number) x @types), map { my @all = (16) x @types; $all[$_] = $number; $call->(@all) } 0 .. $#types } @nasty;
}

# An export for each call: one that ends does not hide the others.
sub sweeping {
    my ($kind, @imports) = @_;
    my $count = 0;
    my @calls = map { calls_of($_) } @imports;
    my $imports = CORE::join "\n", map { import_of($_) } @imports;
    return "(module $imports (memory (export \"memory\") 1)\n" . CORE::join("\n", map { "(func (export \"f" . $count++ . "\") (result i32) $_ (i32.const 0))" } @calls) . ')'
        if $kind eq 'extism';
    # The operation's length says which.
    return "(module $imports (memory (export \"memory\") 1) (func (export \"__guest_call\") (param i32 i32) (result i32)\n"
        . CORE::join("\n", map { '(if (i32.eq (local.get 0) (i32.const ' . ++$count . ")) (then $_))" } @calls) . '(i32.const 1)))';
}

our ($extism_calls, $wapc_calls) = map { scalar map { calls_of($_) } @$_ } \(@extism, @wapc);
our $good = "wasm_module good $ENV{TEST_NGINX_FILTERS}/extism_test.wasm;";
our $beside = 'location /good { wasm_handler good function=count; } ';

# How often each status came; all are asked on one connection, which nginx keeps behind a 502.
sub statuses_of {
    my @requests = map { "POST $_ HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n01234567890123456789" } @_;
    $requests[-1] =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/;
    my $client = connection();
    my %seen;
    while (my @some = splice @requests, 0, 50) {
        $client->write(CORE::join '', @some);
        for (@some) {
            my ($head) = $client->message;
            $seen{($head =~ m{^HTTP/1\.1 (\d+)})[0] // "no status: $head"}++;
        }
    }
    return CORE::join ' ', map { "$_: $seen{$_}" } sort keys %seen;
}

run_tests();

__DATA__

=== TEST 1: each function of an Extism plugin's host with bad offsets, lengths and numbers
--- http_config eval
"$::good wasm_module m ../html/m.wat; wasm_module r ../html/m.wat isolation=request; keepalive_requests 100000;"
--- config eval
$::beside . 'location ~ ^/m/(\w+)$ { wasm_handler m function=$1 error_status=502; } location ~ ^/r/(\w+)$ { wasm_handler r function=$1 error_status=502; }'
--- user_files eval: ">>> m.wat\n" . ::sweeping(extism => @::extism)
--- client eval
sub {
    my @rows = short('/good', '');
    for my $path ('/m', '/r') {
        my $seen = ::statuses_of(map { "$path/f$_" } 0 .. $::extism_calls - 1);
        my %seen = $seen =~ /(\d+): (\d+)/g;
        push @rows, $seen{200} > 100 && $seen{502} > 100 && $seen{200} + $seen{502} == $::extism_calls ? "$path: as it should" : "$path: $seen";
    }
    rows(@rows, short('/good', ''));
}
--- client_out
200 1
/m: as it should
/r: as it should
200 2
--- no_error_log eval: $::alive



=== TEST 2: each function of a waPC guest's host with bad addresses and lengths
--- http_config eval
"$::good wasm_module m ../html/m.wat; wasm_module r ../html/m.wat isolation=request; keepalive_requests 100000;"
--- config eval
$::beside . 'location ~ ^/m/(\w+)$ { wasm_handler m function=$1 error_status=502; } location ~ ^/r/(\w+)$ { wasm_handler r function=$1 error_status=502; }'
--- user_files eval: ">>> m.wat\n" . ::sweeping(wapc => @::wapc)
--- client eval
sub {
    my @rows = short('/good', '');
    for my $path ('/m', '/r') {
        my $seen = ::statuses_of(map { "$path/" . 'x' x $_ } 1 .. $::wapc_calls);
        my %seen = $seen =~ /(\d+): (\d+)/g;
        push @rows, $seen{502} > 100 && ($seen{200} // 0) + $seen{502} == $::wapc_calls ? "$path: as it should" : "$path: $seen";
    }
    rows(@rows, short('/good', ''));
}
--- client_out
200 1
/m: as it should
/r: as it should
200 2
--- no_error_log eval: $::alive



=== TEST 3: loops, recursion and memory without end, and what is said afterwards
--- http_config
    wasm_module e  $TEST_NGINX_FILTERS/extism_test.wasm cpu_time=50ms memory=8m stack=128k;
    wasm_module er $TEST_NGINX_FILTERS/extism_test.wasm cpu_time=50ms memory=8m stack=128k isolation=request;
    wasm_module w  $TEST_NGINX_FILTERS/wapc_test.wasm cpu_time=50ms memory=8m;
--- config
    location ~ ^/e/(\w+)$ { wasm_handler e function=$1; }
    location ~ ^/er/(\w+)$ { wasm_handler er function=$1; }
    location ~ ^/w/(\w+)$ { wasm_handler w function=$1; }
--- client eval
sub {
    my $large = 'x' x (9 << 20);
    rows((map { my $e = $_; map { "$e/" . $_ } statuses("$e/count x", "$e/loops x", "$e/count x", "$e/recurses x", "$e/count x", "$e/eat 64", "$e/eat_kernel 64", "$e/echo $large") } '/e', '/er'),
        statuses('/w/count x', '/w/loop x', '/w/count x', "/w/echo $large", '/w/count x'));
}
--- client_out
/e/200 1
/e/500 
/e/200 1
/e/500 
/e/200 1
/e/500 
/e/200 6
/e/500 
/er/200 1
/er/500 
/er/200 1
/er/500 
/er/200 1
/er/500 
/er/200 6
/er/500 
200 1
500 
200 1
500 
200 1
--- error_log eval
['[wasm] e: timeout: over cpu_time=50ms in', '[wasm] er: timeout: over cpu_time=50ms in', '[wasm] w: trapped: over cpu_time=50ms in',
    qr/\[wasm\] e: .*wasm trap: (?:call stack exhausted|out of bounds memory access) in/, 'no memory for an input of 9437184 bytes']
--- no_error_log eval: $::alive



=== TEST 4: errors and codes that contradict each other; outputs of what is freed, or is not there; traps between calls
--- http_config
    wasm_module e  $TEST_NGINX_FILTERS/extism_test.wasm;
    wasm_module er $TEST_NGINX_FILTERS/extism_test.wasm isolation=request;
--- config
    location ~ ^/e/(\w+)$ { wasm_handler e function=$1 errors=show; }
    location ~ ^/er/(\w+)$ { wasm_handler er function=$1 errors=show; }
--- client eval
sub {
    my @functions = qw(count error_zero count code_seven count output_and_error count output_none output_twice output_part output_freed output_beyond output_then_wrong
        returns_nothing error_then_trap count traps count);
    rows(statuses(map { "/e/$_ x" } @functions), '--', statuses(map { "/er/$_ x" } @functions));
}
--- client_out eval
my ($e, $er) = map { my $count = $_; CORE::join '', map { "$_\n" } '200 1', '500 an error with code 0', "200 $count->[0]", '500 Returned non-zero exit code: 7', "200 $count->[1]",
    '500 the error', "200 $count->[2]", '200 ', '200 second', '200 3456', 'FREED', 'BEYOND', 'WRONG', '200 of nothing', '500 the error before the trap', '200 1', 'TRAP', '200 1' } [2, 3, 4], [1, 1, 1];
my $all = quotemeta("$e--\n$er");
$all =~ s/BEYOND|FREED/200\[^\\n]*/g;
$all =~ s/WRONG/\[^\\n]*/g;
$all =~ s/TRAP/500 wasm trap\[^\\n]*/g;
qr/\A$all\z/
--- no_error_log eval: $::alive



=== TEST 5: waPC guests that say yes and mean no
--- http_config eval
CORE::join '', map { "wasm_module m$_ ../html/m$_.wat;" } 0 .. 5
--- config eval
CORE::join '', map { "location /m$_ { wasm_handler m$_ function=x errors=show; }" } 0 .. 5
--- user_files eval
my ($response, $error) = ('(call $response (i32.const 8) (i32.const 3))', '(call $error (i32.const 16) (i32.const 2))');
my @bodies = ('(i32.const 1)', '(i32.const 0)', "$response $error (i32.const 1)", "$response $error (i32.const 0)", "$error (i32.const -1)", "$response unreachable");
CORE::join '', map { ">>> m$_.wat\n" . '(module (import "wapc" "__guest_response" (func $response (param i32 i32))) (import "wapc" "__guest_error" (func $error (param i32 i32)))'
    . '(memory (export "memory") 1) (data (i32.const 8) "yes") (data (i32.const 16) "no") (func (export "__guest_call") (param i32 i32) (result i32) ' . $bodies[$_] . "))\n" } 0 .. 5
--- client eval
sub { rows(map { s/(wasm trap).*/$1/sr } statuses(map { "/m$_ x" } 0 .. 5)) }
--- client_out
500 the guest succeeded without a response
500 the guest failed without a message
200 yes
500 no
500 no
500 trapped: wasm trap
--- no_error_log eval: $::alive
