# Short blocks for tests of one filter in front of an upstream. Beside the sections of Wire:
#
#   --- filter    configuration of the guest hostcalls. `@filter;` in `--- config` stands for the
#                 directive; without a `--- config`, location / has the filter and is proxied
#   --- upstream  `echo`, the default, answers with the request as it came in: the lines of its
#                 head and, behind an empty line, its body with a newline
#
# http://up is the upstream. A block that says nothing about error.log wants no line of level error
# or worse in it.

package Filtered;

use strict;
use warnings;

use Exporter 'import';
use Test::Nginx::Socket ();
use Wire;

our @EXPORT = qw(echo reply slowly);

our $bad   = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $alive = qr/\[(?:alert|crit|emerg)\]|panicked/;

our $modules = <<'_EOC_';
    wasm_module hostcalls   $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
    upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
_EOC_

our $proxied = <<'_EOC_';
    location / {
        @filter;
        proxy_pass http://up;
    }
_EOC_

# Answers with the request as it came in.
sub echo {
    my $connection = shift;
    my ($head, $body) = $connection->message;
    return if $head eq '';
    $head =~ s/\r\n/\n/g;
    $head =~ s/\n\n\z/\n/;
    my $text = $head . ($body eq '' ? '' : "\n$body\n");
    $text = '' if $head =~ /^HEAD /;
    return $connection->write(join "\r\n", 'HTTP/1.1 200 OK', 'Content-Length: ' . length $text,
        'Content-Type: text/plain', '', $text);
}

# An upstream that reads the request and answers with these bytes; a number is a pause in seconds.
sub reply {
    my @parts = @_;
    return sub {
        my $connection = shift;
        $connection->message;
        for my $part (@parts) {
            ref $part ? select(undef, undef, undef, $$part) : $connection->write($part) || last;
        }
    };
}

# Parts of a reply with a pause between each two.
sub slowly {
    my ($seconds, @parts) = @_;
    my @all = map { ($_, \$seconds) } @parts;
    pop @all;
    return @all;
}

Test::Nginx::Socket::log_level('info');
Test::Nginx::Socket::no_long_string();
Test::Nginx::Util::no_root_location();

Test::Nginx::Socket::add_block_preprocessor(sub {
    my $block = shift;
    my $filter = $block->filter;
    my $config = $block->config // $proxied;
    if (defined $filter) {
        $filter =~ s/\s+\z//;
        # nginx takes one of two backslashes.
        my $quoted = $filter =~ s/\\/\\\\/gr;
        # A parameter of nginx.conf has 4096 bytes at the most.
        if (length $quoted > 3500) {
            $block->set_value(user_files => ($block->user_files // '') . ">>> filter.json\n$filter\n");
            $quoted = '@../html/filter.json';
        }
        $config =~ s/\@filter;/wasm_filter hostcalls '$quoted';/g;
    } else {
        $config =~ s/\@filter;//g;
    }
    $block->set_value(config => $config);
    $block->set_value(http_config => $modules . ($block->http_config // ''));
    $block->set_value(upstream => \&echo)
        if !defined $block->upstream || !ref $block->upstream;
    $block->set_value(no_error_log => defined $block->error_log ? $alive : $bad)
        if !defined $block->no_error_log;
});

1;
