# For tests of Redis calls, beside Control: requests to the guest redis_calls, and commands to a server.
#
#   main::ask('/', 'x-commands' => 'SET a b|GET a')    the guest's lines
#   main::redis($port, 'GET', 'a')                     a reply as it comes
#
# What is exported goes to main.

package Redis;

use strict;
use warnings;

use Exporter 'import';
use Control;

our @EXPORT = qw(ask redis open_redis reply_of);

# The body of the answer to one request with these headers.
sub ask {
    my ($path, @headers) = @_;
    my $headers = '';
    while (my ($name, $value) = splice @headers, 0, 2) {
        $headers .= "$name: $value\r\n";
    }
    my $answer = get($path, $headers);
    return $answer =~ m{\AHTTP/1.1 200} ? body_of($answer) : $answer;
}

# A connection to a server, which takes commands one at a time.
sub open_redis { return connection($_[0]) }

sub reply_of {
    my ($socket, @parts) = @_;
    print $socket '*' . @parts . "\r\n" . join('', map { '$' . length($_) . "\r\n$_\r\n" } @parts);
    my $line = receive($socket, qr/\r\n/);
    return $line if $line !~ /\A\$(\d+)\r\n/;
    my $all = length($1) + 3 + $1 + 2;
    $line .= receive($socket, qr/\r\n/) while length $line < $all;
    return $line;
}

# One command on a connection of its own.
sub redis {
    my ($port, @parts) = @_;
    return reply_of(open_redis($port), @parts);
}

1;
