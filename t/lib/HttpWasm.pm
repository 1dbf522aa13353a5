# Guests of http-wasm, written as the bodies of their two handlers, and requests for them.
#
# In a guest's source, '…' stands for a text: for its address and its length, as two arguments. Buffers are from 8192 on.

package HttpWasm;

use strict;
use warnings;

use Exporter 'import';
use Wire;

our @EXPORT = qw(guest answers tell value_of);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

# Where nothing fails.
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;
# Where guests fail, and the worker goes on.
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

our $imports = join "\n", map {
    my ($name, $type) = /^(\w+)(.*)$/;
    qq{(import "http_handler" "$name" (func \$$name$type))};
} split /\n/, <<'_EOC_';
enable_features (param i32) (result i32)
get_config (param i32 i32) (result i32)
log_enabled (param i32) (result i32)
log (param i32 i32 i32)
get_method (param i32 i32) (result i32)
set_method (param i32 i32)
get_uri (param i32 i32) (result i32)
set_uri (param i32 i32)
get_protocol_version (param i32 i32) (result i32)
get_source_addr (param i32 i32) (result i32)
get_header_names (param i32 i32 i32) (result i64)
get_header_values (param i32 i32 i32 i32 i32) (result i64)
set_header_value (param i32 i32 i32 i32 i32)
add_header_value (param i32 i32 i32 i32 i32)
remove_header (param i32 i32 i32)
read_body (param i32 i32 i32) (result i64)
write_body (param i32 i32 i32)
get_status_code (result i32)
set_status_code (param i32)
_EOC_

# A section of `--- user_files` with a guest: it imports what its source names. `request` leaves the guest's answer, 1 by
# default; `response` has $context and $failed.
sub guest {
    my ($name, %parts) = @_;
    my ($items, $request, $response) = map { $_ // '' } @parts{qw(items request response)};
    $request .= ' (i64.const 1)' if !$parts{answers};
    my $source = qq{$items
(func (export "handle_request") (result i64) $request)
(func (export "handle_response") (param \$context i32) (param \$failed i32) $response)};
    my ($at, $data) = (1024, '');
    $source =~ s{'([^']*)'}{
        my $text = $1;
        $data .= qq{(data (i32.const $at) "$text")\n};
        (my $bytes = $text) =~ s/\\[0-9a-fn]{1,2}/./g;
        my $place = "(i32.const $at) (i32.const ${\length $bytes})";
        $at += length $bytes;
        $place;
    }gex;
    my $named = join "\n", grep { my ($n) = /func (\$\w+)/; $source =~ /call \Q$n\E\b/ } split /\n/, $imports;
    my $pages = $parts{pages} // 4;
    return ">>> $name.wat\n(module\n$named\n(memory (export \"memory\") $pages)\n$data$source)\n";
}

# Sets a response header to what a function leaves in the buffer; its result is the length, or has it in the lower half.
sub value_of {
    my ($header, $call) = @_;
    $call = "(i32.wrap_i64 $call)" if $call =~ /get_header|read_body/;
    return "(call \$set_header_value (i32.const 1) '$header' (i32.const 8192) $call)";
}

# A line of the log with what a function leaves in the buffer.
sub tell {
    my $call = shift;
    $call = "(i32.wrap_i64 $call)" if $call =~ /get_header|read_body/;
    return "(call \$log (i32.const 0) (i32.const 8192) $call)";
}

# Each request is "[METHOD] path [body]"; a line for each: status, the x- lines of the head, and the body.
sub answers {
    my %with = ref $_[0] ? %{+shift} : ();
    my $lines = join '', map { "$_\r\n" } @{$with{lines} // []};
    return rows(map {
        my ($method, $path, $body) = m{^(?:([A-Z]+) )?(/\S*) ?(.*)$}s;
        $method //= $body eq '' ? 'GET' : 'POST';
        my $length = $body eq '' ? '' : 'Content-Length: ' . length($body) . "\r\n";
        my $answer = ask("$method $path HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n$lines$length\r\n$body", $with{port});
        my ($head, $text) = split /\r\n\r\n/, $answer, 2;
        my ($status) = ($head // '') =~ m{^HTTP/1\.1 (\d+)};
        my $chunked = ($head // '') =~ /^transfer-encoding: chunked/mi;
        if ($chunked) {
            my ($all, $end) = ('', 0);
            while ($text =~ s/^([0-9a-f]+)\r\n//i) {
                my $size = hex $1;
                $end = 1, last if $size == 0;
                last if length $text < $size;
                $all .= substr $text, 0, $size, '';
                $text =~ s/^\r\n//;
            }
            $text = $all . ($end ? '' : ' (cut off)');
        }
        $text = '' if ($text // '') =~ /<html>/;
        $text =~ s/\n\z//;
        join ' ', $status // 'no answer', (($head // '') =~ /^(x-[^\r]*)\r?$/mgi), $text eq '' ? () : $text;
    } @_);
}

1;
