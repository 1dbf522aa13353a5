# Guests that mean harm, in the text format, and what they may cost: their own request.
#
#   guest(request_headers => '(call $spin) (i32.const 0)')       a module with these callbacks
#   costs($name, $path, $status, qr/line/)                       one request to it
#
# Every block gets a module `good` with a filter in /good; costs() shows that it still answers, in the same process.

package Hostile;

use strict;
use warnings;

use Control;
use Exporter 'import';
use Test::More ();
use Test::Nginx::Util ();

our @EXPORT = qw(guest costs imports call_of);

my %types = (
    context_create => [2, 0], vm_start => [2, 1], configure => [2, 1], tick => [1, 0], queue_ready => [2, 0],
    request_headers => [3, 1], request_body => [3, 1], response_headers => [3, 1], response_body => [3, 1],
    done => [1, 1], log => [1, 0], delete => [1, 0], http_call_response => [5, 0], grpc_close => [3, 0],
);

# Every import of the ABI: module, name, parameters and results, as the crate's tests have them.
sub imports {
    my $file = __FILE__ =~ s{t/lib/[^/]+\z}{crates/proxy-wasm-host/tests/common/imports.rs}r;
    open my $in, '<', $file or die "$file: $!";
    my ($module, @imports) = ('env');
    while (my $line = <$in>) {
        $module = 'wasi_snapshot_preview1' if $line =~ /pub const WASI/;
        push @imports, [$module, $1, $2, $3] if $line =~ /\("(\w+)", "([iL]*)", "(i?)"\)/;
    }
    die "no imports in $file" unless @imports > 50;
    return @imports;
}

# A call of an import with these numbers, one for all parameters or one each; its result is dropped.
sub call_of {
    my ($import, @values) = @_;
    my (undef, $name, $parameters, $result) = @$import;
    my @types = split //, $parameters;
    my @arguments = map { my $value = @values > 1 ? $values[$_] : $values[0]; $types[$_] eq 'L' ? "(i64.const $value)" : "(i32.const $value)" } 0 .. $#types;
    my $call = "(call \$$name @arguments)";
    return $result ? "(drop $call)" : $call;
}

# A module. Beside callbacks: `imports`, names; `allocator`, the body of malloc (parameter 0: the size); `fields` of the module.
sub guest {
    my %parts = @_;
    my %wanted = map { $_ => 1 } @{ delete $parts{imports} // [] };
    my $allocator = delete $parts{allocator} // '(i32.const 32768)';
    my $fields = delete $parts{fields} // '';
    my $imported = join "\n", map {
        my ($module, $name, $parameters, $result) = @$_;
        my $types = join ' ', map { $_ eq 'L' ? 'i64' : 'i32' } split //, $parameters;
        my $answer = $result ? '(result i32)' : '';
        "(import \"$module\" \"$name\" (func \$$name (param $types) $answer))";
    } grep { $wanted{$_->[1]} } imports();
    my $callbacks = join "\n", map {
        my ($count, $answers) = @{ $types{$_} };
        my $result = $answers ? '(result i32)' : '';
        "(func \$$_ (export \"proxy_on_$_\") (param @{['i32 ' x $count]}) $result $parts{$_})";
    } sort keys %parts;
    return <<"_EOC_";
(module
$imported
(memory (export "memory") 1)
(func (export "proxy_abi_version_0_2_1"))
(func (export "malloc") (param i32) (result i32) $allocator)
(func \$spin (loop \$on (br \$on)))
$fields
$callbacks)
_EOC_
}

Test::Nginx::Util::add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => 'wasm_module good $TEST_NGINX_FILTERS/hostcalls.wasm; ' . ($block->http_config // ''));
    $block->set_value(config => ($block->config // '') . ' location = /good { wasm_filter good "{}"; return 200 "good from $pid"; } location = /t { return 204; }');
    $block->set_value(request => 'GET /t') unless defined $block->request;
    $block->set_value(error_code => 204);
    $block->set_value(no_error_log => qr/\[alert\]|\[crit\]|\[emerg\]|panicked/) unless defined $block->no_error_log;
});

my %lines;

# A request gets this status, and the log one more line of level error that matches (none where there is no regex); another filter
# answers as before, in the same process. The response, for more checks.
sub costs {
    my ($name, $path, $status, $line, $body) = @_;
    my $before = body_of(get('/good'));
    my $known = () = matches(qr/\[error\]/);
    my $length = defined $body ? 'Content-Length: ' . length($body) . "\r\n\r\n$body" : '';
    my $got = get($path, $length);
    $status eq '' ? Test::More::is($got, '', "$name: no answer") : Test::More::like($got, qr{\AHTTP/1\.1 $status }, "$name: status");
    wait_until(sub { (() = matches(qr/\[error\]/)) > $known }) if $line;
    my @new = matches(qr/\[error\] \d+#\d+: \K.*/);
    splice @new, 0, $known;
    $line ? Test::More::like($new[0] // '', $line, "$name: the line") : Test::More::is("@new", '', "$name: no line");
    Test::More::cmp_ok(scalar @new, '<=', 1, "$name: no more lines") if $line;
    Test::More::is(body_of(get('/good')), $before, "$name: another filter, in the same process");
    return $got;
}

1;
