# What tests of components that answer requests share: both labs, and a worker that is watched.

package Service;

use strict;
use warnings;

use Exporter 'import';
use Test::Nginx::Util ();
use Wire;

our @EXPORT = qw(service_modules service_locations asked resident chunk settled matching answered short);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

# Where nothing fails.
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;
# Where guests fail, which say so if they panic, and the worker goes on.
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked at (?!component_)/;

# The labs of both versions, with more parameters.
sub service_modules {
    my $parameters = join ' ', @_;
    return join '', "wasm_cache \$TEST_NGINX_SERVROOT.cache;\n", map { "wasm_module lab$_->[0] \$TEST_NGINX_FILTERS/component_lab$_->[1].wasm $parameters;\n" } [2, ''], [3, '_p3'];
}

# Below /2/ and /3/; with directives of their own.
sub service_locations {
    my $directives = shift // '';
    return join '', map { "location /$_/ { rewrite ^/$_(.*)\$ \$1 break; $directives wasm_handler lab$_; }\n" } 2, 3;
}

# A connection on which this has been asked; what stands behind the head can follow.
sub asked {
    my ($path, @lines) = @_;
    my $method = $path =~ s/^([A-Z]+) // ? $1 : 'GET';
    my $connection = connection();
    $connection->write(join "\r\n", "$method $path HTTP/1.1", 'Host: a.example', @lines, '', '');
    return $connection;
}

# Head and body of the answer to a request with this body; chunks are put together.
sub answered {
    my ($path, $body) = @_;
    my $connection = asked("POST $path", 'Connection: close', 'Content-Length: ' . length $body);
    $connection->write($body);
    return $connection->message;
}

# "status body" of it.
sub short {
    my ($head, $body) = answered(@_);
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
    return ($status // 'no') . " $body";
}

# A piece of a body in chunks.
sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }

# A text of lines that match these.
sub matching {
    my $lines = join '', map { "(?:$_)\n" } split /\n/, $_[0];
    return qr/\A$lines\z/;
}

# The memory of nginx's one process in KiB.
sub resident {
    open my $pids, '<', $Test::Nginx::Util::PidFile or die "no pid: $!\n";
    my $pid = <$pids> + 0;
    open my $status, '<', "/proc/$pid/status" or die "no status: $!\n";
    my ($size) = join('', <$status>) =~ /^VmRSS:\s+(\d+) kB/m;
    return $size;
}

# Waits until a number does not change any more; that number.
sub settled {
    my $number = shift;
    my ($before, $same) = (-1, 0);
    wait_for(sub {
        my $now = $number->();
        $same = $now == $before ? $same + 1 : 0;
        $before = $now;
        $same >= 20;
    });
    return $before;
}

1;
