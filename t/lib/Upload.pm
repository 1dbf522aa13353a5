# What tests of request bodies that stream share: an upstream that notes what comes, as it comes, and a client
# that sends piece by piece.

package Upload;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use Test::Nginx::Util ();
use Wire;

our @EXPORT = qw(recorder seen has_seen framing piece post_head);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

my $directory = File::Temp::tempdir('nginx-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $file = "$directory/seen";

# Nothing of an earlier block is seen.
my $run = $Test::Nginx::Util::RunTestHelper;
$Test::Nginx::Util::RunTestHelper = sub {
    unlink $file;
    goto &$run;
};

sub note {
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, $_[0];
    close $out;
}

# For `--- upstream`: notes every byte of a connection when it comes, "(end)" when the other side closes it, and
# answers a request that is complete with "got " and its body. With `answer`, these bytes are the answer, sent
# behind the head. With `quiet`, nothing is noted but the end, and the answer has the body's length.
sub recorder {
    my %how = @_;
    return sub {
        my $connection = shift;
        my $read = sub {
            my $before = length $connection->{bytes};
            my $n = eval { $connection->more };
            return if !defined $n && $@;
            $n or note('(end)'), return;
            note(substr $connection->{bytes}, $before) if !$how{quiet};
            return 1;
        };
        while (1) {
            until ($connection->{bytes} =~ /\r\n\r\n/) { $read->() or return }
            my ($head) = $connection->{bytes} =~ /\A(.*?\r\n\r\n)/s;
            substr($connection->{bytes}, 0, length $head) = '';
            if ($how{answer}) {
                $connection->write($how{answer});
                1 while $read->();
                return;
            }
            my $body = '';
            if ($head =~ /^transfer-encoding: *chunked/mi) {
                while (1) {
                    my $line;
                    until ($connection->{bytes} =~ s/\A([0-9a-f]+)\r\n//i and $line = $1, defined $line) { $read->() or return }
                    until (length $connection->{bytes} >= 2 + hex $line) { $read->() or return }
                    $body .= substr $connection->{bytes}, 0, hex $line, '';
                    substr $connection->{bytes}, 0, 2, '';
                    last if !hex $line;
                }
            } elsif ($head =~ /^content-length: *(\d+)/mi) {
                until (length $connection->{bytes} >= $1) { $read->() or return }
                $body = substr $connection->{bytes}, 0, $1, '';
            }
            $body = length $body if $how{quiet};
            $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . (4 + length $body) . "\r\n\r\ngot $body");
        }
    };
}

# All that the upstream has got.
sub seen {
    open my $in, '<', $file or return '';
    local $/;
    return scalar(<$in>) // '';
}

# Has the upstream got what matches, now or soon?
sub has_seen {
    my $pattern = shift;
    return wait_for(sub { seen() =~ $pattern }) ? 'seen' : 'not seen: ' . seen();
}

# How the body of the request that came is framed.
sub framing {
    my ($head) = seen() =~ /\A(.*?\r\n\r\n)/s or return 'no head';
    my @lengths = $head =~ /^content-length: *(\d+)/mgi;
    my @codings = $head =~ /^transfer-encoding: *(\S+)/mgi;
    return join ' ', (@lengths ? "length @lengths" : ()), @codings;
}

# A chunk.
sub piece {
    my $text = shift;
    return sprintf("%x\r\n", length $text) . "$text\r\n";
}

# The head of a request whose body is so long, or comes in chunks.
sub post_head {
    my ($path, $length, @lines) = @_;
    my $framing = defined $length ? "Content-Length: $length" : 'Transfer-Encoding: chunked';
    return join "\r\n", "POST $path HTTP/1.1", 'Host: a', $framing, @lines, '', '';
}

1;
