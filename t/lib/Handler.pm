# What tests of plugins that answer requests share: requests with a body, and what the log must not have.

package Handler;

use strict;
use warnings;

use Exporter 'import';
use Wire;

our @EXPORT = qw(post short statuses);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

# Where nothing fails.
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;
# Where calls fail, and the worker goes on.
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# The answer to a request with this body: head and body.
sub post {
    my ($path, $body, %with) = @_;
    my $method = $with{method} // 'POST';
    my $lines = join '', map { "$_\r\n" } @{$with{lines} // []};
    my $answer = ask("$method $path HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${lines}Content-Length: "
        . length($body) . "\r\n\r\n$body", $with{port});
    return split /\r\n\r\n/, $answer, 2;
}

# "status body" of it.
sub short {
    my ($head, $body) = post(@_);
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
    return "$status " . ($body // '');
}

# The same for each "path body", without nginx's own pages.
sub statuses {
    return map { my $answer = short(split / /, $_, 2); $answer =~ s/<html>.*//s; $answer } @_;
}

1;
