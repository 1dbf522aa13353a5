# One end of a TCP connection that speaks HTTP/1 by the byte. Every wait is bounded.

package Wire::Connection;

use strict;
use warnings;

use IO::Select;
use Socket qw(IPPROTO_TCP SHUT_WR SOL_SOCKET SO_LINGER TCP_NODELAY);
use Time::HiRes qw(time);

sub new {
    my ($class, $socket, $patience) = @_;
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    binmode $socket;
    return bless { socket => $socket, patience => $patience, bytes => '' }, $class;
}

# Writes all of it; false when the other side has gone.
sub write {
    my ($self, $bytes) = @_;
    my $sent = 0;
    my $last = time + $self->{patience};
    while ($sent < length $bytes) {
        die "cannot write: the other side reads nothing\n"
            if !IO::Select->new($self->{socket})->can_write($last - time);
        my $n = syswrite $self->{socket}, $bytes, length($bytes) - $sent, $sent;
        return 0 if !defined $n;
        $sent += $n;
    }
    return 1;
}

# Reads some more; 0 at the end, undef on a reset.
sub more {
    my $self = shift;
    die "nothing more to read within $self->{patience} s, after: " . substr($self->{bytes}, -200) . "\n"
        if !IO::Select->new($self->{socket})->can_read($self->{patience});
    return sysread $self->{socket}, $self->{bytes}, 65536, length $self->{bytes};
}

# What comes until the pattern matches, that included; all there is if the other side ends before.
sub until {
    my ($self, $pattern) = @_;
    while (1) {
        return $self->take($+[0]) if $self->{bytes} =~ $pattern;
        $self->more or return $self->take(length $self->{bytes});
    }
}

sub take {
    my ($self, $length) = @_;
    while (length $self->{bytes} < $length) {
        $self->more or last;
    }
    return substr $self->{bytes}, 0, $length, '';
}

# All up to the end; a reset is written out.
sub rest {
    my $self = shift;
    my $n;
    1 while $n = $self->more;
    return $self->take(length $self->{bytes}) . (defined $n ? '' : '(reset)');
}

# The next message: (head, body), with a chunked body decoded. Without the head of a response to
# HEAD a length is not to be told from a body, so say so.
sub message {
    my ($self, %how) = @_;
    my $head = $self->until(qr/\r\n\r\n/);
    return ($head, '') if $how{head} || $head =~ m{^HTTP/1\.. (?:1\d\d|204|304)};
    if ($head =~ /^transfer-encoding: *chunked/mi) {
        my $body = '';
        while (1) {
            my $line = $self->until(qr/\r\n/);
            my ($size) = $line =~ /^([0-9a-f]+)/i or return ($head, $body . '(cut)');
            my $chunk = $self->take(hex $size);
            $body .= $chunk;
            return ($head, $body . '(cut)') if length $chunk < hex $size;
            $self->take(2);
            return ($head, $body) if !hex $size;
        }
    }
    return ($head, $self->take($1)) if $head =~ /^content-length: *(\d+)/mi;
    # A request has no body then, a response goes on to the end.
    return ($head, $head =~ m{^HTTP/} ? $self->rest : '');
}

# The next response as "status body".
sub answer {
    my ($self, %how) = @_;
    my ($head, $body) = $self->message(%how);
    my ($status) = $head =~ m{^HTTP/1\.. (\d+)} or return "no response: $head";
    return "$status $body";
}

# Is the other side silent for so many seconds?
sub is_silent {
    my ($self, $seconds) = @_;
    return $self->{bytes} eq '' && !IO::Select->new($self->{socket})->can_read($seconds);
}

sub finish_writing {
    my $self = shift;
    shutdown $self->{socket}, SHUT_WR;
}

# Closes with a reset.
sub reset {
    my $self = shift;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    $self->close;
}

sub close {
    my $self = shift;
    CORE::close($self->{socket}) if $self->{socket};
    $self->{socket} = undef;
}

1;
