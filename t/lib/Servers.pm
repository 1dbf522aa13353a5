# Servers for tests that call out, each a process of its own, for all blocks of a file:
#
#   our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1}, tls => $ENV{TEST_NGINX_PORT_2}, unix => 1);
#   our $grpc = Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_3});
#
# What they do for which path or method is at the top of t/servers/faults/paths.py and broken.py, and
# of t/servers/grpc_server.py. They listen on 127.0.0.1 (`tcp`, `tls`), ::1 (`tcp6`) and on a socket
# whose path is $server->{unix}; they end with this process, or by stop() and start().
#
# `tls` takes [PORT, NAME] too, for another certificate than "server". In $Servers::certificates are
# NAME.pem and NAME.key, all signed by ca.pem but the last:
#
#   server       for localhost, up.example, *.wild.example and 127.0.0.1
#   other        for other.example
#   expired      like server, till yesterday
#   self-signed  like server

package Servers;

use strict;
use warnings;

use File::Temp ();
use FindBin ();
use IO::Select;
use IPC::Open2 ();

my $directory = File::Temp::tempdir('nginx-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $certificates = "$directory/tls";

# Seconds for a server to start.
my $PATIENCE = 120;

my @running;
my $owner = $$;

sub faults { return Servers->new(['python3', '-B', "$FindBin::Bin/servers/faults"], @_) }

# A DNS server at a UDP port of 127.0.0.1: dns($port, 'name=address', ...); see t/servers/dns.py.
sub dns {
    my ($port, @names) = @_;
    return Servers->new(['python3', '-B', "$FindBin::Bin/servers/dns.py", "udp:127.0.0.1:$port", @names]);
}

# Redis at a port, with options as redis-server takes them: redis($port, '--requirepass', 'x').
sub redis {
    my ($port, @options) = @_;
    return Servers->new(['python3', '-B', "$FindBin::Bin/servers/redis.py", @options, $port]);
}

# Nodes of a Redis Cluster: port and port of the bus of each.
sub redis_cluster { return Servers->new(['python3', '-B', "$FindBin::Bin/servers/redis.py", 'cluster', @_]) }

# See t/servers/redis_faults.py.
sub redis_faults { return Servers->new(['python3', '-B', "$FindBin::Bin/servers/redis_faults.py"], @_) }

sub grpc {
    my $python = $ENV{TEST_NGINX_PYTHON} or die "no TEST_NGINX_PYTHON: run the tests with scripts/prove\n";
    return Servers->new([$python, '-B', "$FindBin::Bin/servers/grpc_server.py"], @_);
}

sub new {
    my ($class, $command, @listeners) = @_;
    my $self = bless { command => [@$command] }, $class;
    while (my ($kind, $value) = splice @listeners, 0, 2) {
        push @{$self->{command}}, $self->listener($kind, $value);
    }
    return $self->start;
}

sub listener {
    my ($self, $kind, $value) = @_;
    return "tcp:127.0.0.1:$value" if $kind eq 'tcp';
    return "tcp:[::1]:$value" if $kind eq 'tcp6';
    if ($kind eq 'unix') {
        $self->{unix} = "$directory/" . @running . '.sock';
        return "unix:$self->{unix}";
    }
    die "no such listener: $kind\n" if $kind ne 'tls';
    my ($port, $name) = ref $value ? @$value : ($value, 'server');
    make_certificates();
    return "tls:127.0.0.1:$port:$certificates/$name.pem:$certificates/$name.key";
}

# Starts it and waits until it listens.
sub start {
    my $self = shift;
    unlink $self->{unix} if defined $self->{unix};
    $self->{pid} = IPC::Open2::open2(my $out, my $in, @{$self->{command}});
    # It ends when `in` is closed, so also when this process is killed.
    @$self{qw(in out)} = ($in, $out);
    my $line = IO::Select->new($out)->can_read($PATIENCE) ? <$out> // '' : "nothing in $PATIENCE s\n";
    if ($line ne "ready\n") {
        $self->stop;
        die "@{$self->{command}} does not start: $line\n";
    }
    push @running, $self;
    return $self;
}

sub stop {
    my $self = shift;
    my $pid = delete $self->{pid} // return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    @running = grep { $_ != $self } @running;
}

# Not in children that a test forks.
END {
    if ($$ == $owner) {
        my $status = $?;
        $_->stop for @running;
        $? = $status;
    }
}

sub make_certificates {
    return if -d $certificates;
    mkdir $certificates or die "$certificates: $!\n";
    my $key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
    my $names = 'subjectAltName=DNS:localhost,DNS:up.example,DNS:*.wild.example,IP:127.0.0.1';
    openssl("req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj '/CN=test authority'"
        . ' -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign');
    for (['server', $names, 2], ['other', 'subjectAltName=DNS:other.example', 2], ['expired', $names, -1]) {
        my ($name, $extension, $days) = @$_;
        open my $file, '>', "$certificates/$name.ext" or die "$name.ext: $!\n";
        print $file "$extension\n";
        close $file;
        openssl("req -new $key -keyout $name.key -out $name.csr -subj /CN=$name");
        openssl("x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $days"
            . " -extfile $name.ext -out $name.pem");
    }
    openssl("req -x509 $key -keyout self-signed.key -out self-signed.pem -days 2 -subj /CN=self-signed -addext $names");
}

sub openssl {
    my $arguments = shift;
    my $said = `cd $certificates && openssl $arguments 2>&1`;
    die "openssl $arguments: $said\n" if $?;
}

1;
