# Manifests of Extism plugins in nginx: several modules, limits, hashes.

use Test::Nginx::Socket 'no_plan';
use Digest::SHA qw(sha256_hex);
use Handler;
use JSON::PP ();
use Wire;

log_level('info');
no_long_string();

our $alive = $Handler::alive;
our $test = "$ENV{TEST_NGINX_FILTERS}/extism_test.wasm";

sub manifest {
    my ($name, %with) = @_;
    return ">>> $name.json\n" . JSON::PP->new->canonical->encode({wasm => [{path => $::test}], %with}) . "\n";
}

sub sum_of {
    open my $file, '<:raw', $_[0] or die "$_[0]: $!";
    local $/;
    return sha256_hex(<$file>);
}

# A library, and a plugin that calls it and says what came of it: a digit.
our $library = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))';
our $main = <<'_EOC_';
(module
  (import "lib" "add" (func $add (param i32 i32) (result i32)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func (export "seven") (result i32)
    (local $at i64)
    (local.set $at (call $alloc (i64.const 1)))
    (call $store (local.get $at) (call $add (i32.const 48) (i32.const 7)))
    (call $output (local.get $at) (i64.const 1))
    i32.const 0))
_EOC_
# A plugin that is initialized by hs_init, behind _initialize; it answers in which order.
our $haskell = <<'_EOC_';
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (global $seen (mut i32) (i32.const 0))
  (func $note (param i32) (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 4)) (local.get 0))))
  (func (export "__wasm_call_ctors") (call $note (i32.const 3)))
  (func (export "_initialize") (call $note (i32.const 1)))
  (func (export "hs_init") (param i32 i32) (call $note (i32.add (i32.const 2) (i32.or (local.get 0) (local.get 1)))))
  (func (export "seen") (result i32)
    (local $at i64)
    (local.set $at (call $alloc (i64.const 1)))
    (call $store (local.get $at) (i32.add (i32.const 64) (global.get $seen)))
    (call $output (local.get $at) (i64.const 1))
    i32.const 0))
_EOC_

run_tests();

__DATA__

=== TEST 1: several modules, by path and as data; with an instance for each request too
--- http_config
    wasm_module m ../html/m.json;
    wasm_module r ../html/m.json isolation=request;
--- config
    location /m { wasm_handler m; }
    location /r { wasm_handler r; }
--- user_files eval
use MIME::Base64 ();
">>> main.wat\n$::main\n>>> m.json\n"
    . JSON::PP::encode_json({wasm => [{name => 'lib', data => MIME::Base64::encode_base64($::library, '')}, {name => 'main', path => 'main.wat'}]}) . "\n"
--- client eval: sub { rows(statuses(('/m x') x 2, ('/r x') x 2)) }
--- client_out
200 7
200 7
200 7
200 7
--- no_error_log eval: $::alive



=== TEST 2: hs_init, behind _initialize, once for each instance
--- http_config
    wasm_module m ../html/m.wat;
    wasm_module r ../html/m.wat isolation=request;
--- config
    location /m { wasm_handler m; }
    location /r { wasm_handler r; }
--- user_files eval: ">>> m.wat\n$::haskell"
--- client eval: sub { rows(statuses(('/m x') x 2, ('/r x') x 2)) }
--- client_out
200 F
200 F
200 F
200 F
--- no_error_log eval: $::alive



=== TEST 3: timeout_ms ends a loop, and a call that waits; the next call is as any
--- http_config
    wasm_module m ../html/m.json cpu_time=60s;
--- config
    location ~ ^/m/(\w+)$ { wasm_handler m function=$1 errors=show error_status=504; }
    location /other { return 200 other; }
--- user_files eval: ::manifest(m => timeout_ms => 100, allowed_hosts => ['127.0.0.1'])
--- client eval
sub {
    my $silence = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{TEST_NGINX_PORT_9}, Listen => 10, ReuseAddr => 1) || die "cannot listen: $!";
    my @answers = statuses('/m/count x', '/m/loops x', '/m/count x', qq(/m/http_request {"url":"http://127.0.0.1:$ENV{TEST_NGINX_PORT_9}/"}), '/m/count x');
    rows(map { s/(timeout: over timeout=100ms) in .*/$1/sr =~ s/(504 HTTP request: ).*/$1/sr } @answers);
}
--- client_out eval
qr/\A200 1
504 timeout: over timeout=100ms
200 1
504 (?:HTTP request: |timeout: over timeout=100ms)
200 1
\z/
--- no_error_log eval: $::alive



=== TEST 4: max_pages bounds what memories grow by, the kernel's too; memory= bounds all
--- http_config
    client_max_body_size 16m;
    wasm_module m ../html/m.json;
    wasm_module l $TEST_NGINX_FILTERS/extism_test.wasm memory=4m;
--- config
    location ~ ^/m/(\w+)$ { wasm_handler m function=$1 errors=show; }
    location ~ ^/l/(\w+)$ { wasm_handler l function=$1 errors=show; }
--- user_files eval: ::manifest(m => memory => {max_pages => 64})
--- client eval
sub {
    my $large = 'x' x (8 << 20);
    rows(map { s/\A(500 .{1,40}).*/$1/sr } statuses('/m/eat 2', '/m/eat 64', '/m/eat_kernel 64', '/m/count x', "/m/count $large", '/m/count x',
        "/l/count $large", '/l/count x'));
}
--- client_out eval
qr/\A200 [^\n]*
500 oom[^\n]*
500 oom[^\n]*
200 1
500 no memory for an input of 8388608 bytes
200 2
500 no memory for an input of 8388608 bytes
200 1
\z/
--- no_error_log eval: $::alive



=== TEST 5: max_http_response_bytes, and max_var_bytes
--- http_config
    wasm_module m ../html/m.json;
--- config
    location /ten { return 200 0123456789; }
    location /eleven { return 200 0123456789a; }
    location ~ ^/m/(\w+)$ { wasm_handler m function=$1 errors=show; }
--- user_files eval: ::manifest(m => memory => {max_http_response_bytes => 10, max_var_bytes => 60}, allowed_hosts => ['127.0.0.?'])
--- client eval
sub {
    my $url = sub { qq(/m/http_request {"url":"http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/$_[0]"}) };
    rows(map { s/ in \S+ < .*//sr =~ s/.*(0123456789").*/200 $1/sr } statuses($url->('ten'), $url->('eleven'), '/m/var_set a=12345678', '/m/var_get a', '/m/var_set b=x'));
}
--- client_out eval
qr/\A200 0123456789"
500 HTTP re[^\n]* (?:larger than 10 bytes|maximum number of bytes: 10)[^\n]*
200 
200 12345678
500 Variable store is full[^\n]*
\z/
--- no_error_log eval: $::alive



=== TEST 6: the right hash
--- http_config
    wasm_module m ../html/m.json;
--- config
    location /m { wasm_handler m function=count; }
--- user_files eval: ::manifest(m => wasm => [{path => $::test, hash => ::sum_of($::test)}])
--- client eval: sub { rows(statuses('/m x')) }
--- client_out
200 1
--- no_error_log eval: $::alive



=== TEST 7: a wrong hash
--- http_config
    wasm_module m ../html/m.json;
--- config
--- user_files eval: ::manifest(m => wasm => [{path => $::test, hash => '0' x 64}])
--- must_die
--- error_log eval
qr/its SHA-256 is @{[::sum_of($::test)]}, and not 0{64} as the manifest says/



=== TEST 8: a memory that does not fit
--- http_config
    wasm_module m ../html/m.json;
--- config
    location /m { wasm_handler m function=count; }
--- user_files eval: ::manifest(m => memory => {max_pages => 1})
--- must_die
--- error_log
wasm module "m" cannot be instantiated: oom



=== TEST 9: paths of the host's
--- http_config
    wasm_module m ../html/m.json;
--- config
--- user_files eval: ::manifest(m => allowed_paths => {'/tmp' => '/'})
--- must_die
--- error_log
"allowed_paths" is not supported: guests have no files
