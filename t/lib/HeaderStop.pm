# For tests of headers that wait for a filter that sees the body: module `a` stops its header alone. Of requests the same
# filters are at /buffered and /streamed, of responses at /buffered and /unbuffered.

package HeaderStop;

use strict;
use warnings;

use Exporter 'import';

use Pause;
use Wire;

our @EXPORT = qw($bad $worse $modules $router $pause);
our @EXPORT_OK = qw(response_locations replies responses dechunked $length $chunked);

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $worse = qr/\[(?:alert|crit|emerg)\]|panicked/;
our $modules = module_lines('b', 'c') . <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off header_stop=iteration;
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
proxy_http_version 1.1;
_EOC_
# It takes long to compile.
our $router = 'wasm_module router $TEST_NGINX_FILTERS/model_router_go.wasm;' . "\n";
our $pause = '["action","pause"]';

our $length = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 9\r\n\r\n";
our $chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

# The same filters at /buffered and at /unbuffered.
sub response_locations {
    my $filters = shift;
    return join '', map { "location /$_ { " . ($_ eq 'unbuffered' ? 'proxy_buffering off; ' : '') . "$filters proxy_pass http://up; }\n" } qw(buffered unbuffered);
}

# An upstream that answers with these parts; a reference to a number is a wait of so many seconds.
sub replies {
    my @parts = @_;
    return sub {
        my $connection = shift;
        while (my ($head) = $connection->message) {
            last if $head eq '';
            ref $_ ? select(undef, undef, undef, $$_) : $connection->write($_) for @parts;
        }
    };
}

# What a client gets of both: status, body and these headers.
sub responses {
    my @names = @_;
    my @rows;
    for my $path (qw(buffered unbuffered)) {
        my $text = ask("GET /$path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($head, $body) = split /\r\n\r\n/, $text, 2;
        my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
        $body = dechunked($body) if $head =~ /chunked/;
        push @rows, join ' ', "$path:", $status, $body, map { my ($v) = $head =~ /^$_: *(.*?)\r?$/mi; $v // 'none' } @names;
    }
    return rows(@rows);
}

sub dechunked {
    my ($text, $body) = (shift, '');
    while ($text =~ s/\A([0-9a-f]+)\r\n//i) {
        last if !hex $1;
        $body .= substr $text, 0, hex $1, '';
        substr $text, 0, 2, '';
    }
    return $body;
}

1;
