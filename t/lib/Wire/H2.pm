# The client's end of an HTTP/2 connection that speaks frames: for what no command-line client does on
# request, such as resetting a stream at a given moment. Header blocks are written without
# compression (RFC 7541 section 6.2.2) and those that come are not decoded, but for the status in nginx's
# way of writing it.

package Wire::H2;

use strict;
use warnings;

our %TYPE = (data => 0, headers => 1, rst_stream => 3, settings => 4, ping => 6, goaway => 7, window_update => 8);
our %NAME = reverse %TYPE;

my $END_STREAM = 1;
my $END_HEADERS = 4;
my $ACK = 1;

# Over a fresh Wire::Connection: sends the preface and SETTINGS.
sub new {
    my ($class, $connection) = @_;
    my $self = bless { connection => $connection }, $class;
    $connection->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    $self->frame('settings', 0, 0, '');
    return $self;
}

sub frame {
    my ($self, $type, $flags, $stream, $payload) = @_;
    my $length = length $payload;
    $self->{connection}->write(pack('CnCCN', $length >> 16, $length & 0xffff, $TYPE{$type}, $flags, $stream) . $payload);
}

# Sends a header block: pairs in order, and whether the stream ends with it.
sub headers {
    my ($self, $stream, $end, @pairs) = @_;
    my $block = '';
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $block .= "\0" . string($name) . string($value);
    }
    $self->frame('headers', $END_HEADERS | ($end ? $END_STREAM : 0), $stream, $block);
}

# A string literal; lengths from 127 need more than one byte (RFC 7541 section 5.1).
sub string {
    my $text = shift;
    my $length = length $text;
    return chr($length) . $text if $length < 127;
    my ($head, $rest) = (chr 127, $length - 127);
    while ($rest >= 128) {
        $head .= chr(128 | $rest & 127);
        $rest >>= 7;
    }
    return $head . chr($rest) . $text;
}

sub get {
    my ($self, $stream, $path, @more) = @_;
    $self->headers($stream, 1, ':method' => 'GET', ':scheme' => 'http', ':path' => $path, ':authority' => 'h2.example', @more);
}

sub data {
    my ($self, $stream, $end, $bytes) = @_;
    $self->frame('data', $end ? $END_STREAM : 0, $stream, $bytes);
}

# Resets a stream: CANCEL.
sub reset {
    my ($self, $stream) = @_;
    $self->frame('rst_stream', 0, $stream, pack 'N', 8);
}

# The next frame as { type, flags, stream, payload }; nothing at the end. SETTINGS are acknowledged.
sub next {
    my $self = shift;
    while (1) {
        my $head = $self->{connection}->take(9);
        return if length $head < 9;
        my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', $head;
        my $payload = $self->{connection}->take($high << 16 | $low);
        my $name = $NAME{$type} // $type;
        if ($name eq 'settings') {
            $self->frame('settings', $ACK, 0, '') if !($flags & $ACK);
            next;
        }
        return { type => $name, flags => $flags, stream => $stream, payload => $payload };
    }
}

# Reads until these streams have ended; what each stream got: "body", or "reset N" with the error code.
sub answers {
    my ($self, @streams) = @_;
    my (%body, %answer);
    while (grep { !exists $answer{$_} } @streams) {
        my $frame = $self->next or last;
        my $stream = $frame->{stream};
        $body{$stream} .= $frame->{payload} if $frame->{type} eq 'data';
        if ($frame->{type} eq 'rst_stream') {
            $answer{$stream} //= 'reset ' . unpack 'N', $frame->{payload};
        } elsif ($frame->{type} =~ /^(?:data|headers)$/ && $frame->{flags} & $END_STREAM) {
            $answer{$stream} = $body{$stream} // '';
        }
    }
    return %answer;
}

1;
