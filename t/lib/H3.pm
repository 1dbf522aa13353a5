# HTTP/3 connections for tests: h3_server() for `--- http_config`, tls_files() for `--- user_files`, h3()
# for `--- client`. The commands are those of t/servers/h3.py.
#
#   my $h3 = h3();
#   $h3->say('request', 'a', 'GET', '/', {}, \1);
#   my $answer = $h3->say('wait', 'a');

package H3;

use strict;
use warnings;

use Exporter 'import';
use FindBin ();
use IO::Select;
use IPC::Open2 ();
use JSON::PP ();
use Wire;

our @EXPORT = qw(h3 h3_server tls_files);
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

my $json = JSON::PP->new->canonical->allow_nonref;

# An HTTP/3 server with these locations at UDP port TEST_NGINX_PORT_2.
sub h3_server {
    my ($locations, $directives) = @_;
    return ($directives // '') . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2 quic; http3 on;'
        . ' ssl_certificate $TEST_NGINX_SERVER_ROOT/html/tls.pem; ssl_certificate_key $TEST_NGINX_SERVER_ROOT/html/tls.pem;'
        . "\n$locations\n}\n";
}

# Certificate and key, made for this run, and other files.
sub tls_files {
    our $pem //= output_of(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2
        -subj /CN=localhost -keyout /dev/stdout -out /dev/stdout));
    return [['tls.pem', $pem], @_];
}

sub h3 {
    my $self = bless {}, 'H3';
    $self->{pid} = IPC::Open2::open2(@$self{qw(out in)}, $ENV{TEST_NGINX_PYTHON}, '-B', "$FindBin::Bin/servers/h3.py", $ENV{TEST_NGINX_PORT_2});
    return $self;
}

# Runs a command: its answer.
sub say {
    my ($self, @command) = @_;
    my $in = $self->{in};
    print $in $json->encode(\@command), "\n";
    $in->flush;
    die "no answer to @command\n" if !IO::Select->new($self->{out})->can_read(60);
    my $line = readline $self->{out};
    die "the HTTP/3 client has ended at @command\n" if !defined $line;
    my $answer = $json->decode($line);
    die "@command: $answer->{error}\n" if ref $answer eq 'HASH' && exists $answer->{error};
    return $answer;
}

# A request without a body, or with this one: its answer.
sub get {
    my ($self, $path, $headers, $body) = @_;
    my $name = 'r' . ++$self->{count};
    $self->begin($name, $path, $headers, $body);
    return $self->say('wait', $name);
}

sub begin {
    my ($self, $name, $path, $headers, $body) = @_;
    my ($yes, $no) = (JSON::PP::true(), JSON::PP::false());
    $self->say('request', $name, defined $body ? 'POST' : 'GET', $path, $headers // {}, defined $body ? $no : $yes);
    $self->say('data', $name, $body, 1, $yes) if defined $body;
}

sub close {
    my $self = shift;
    my $pid = delete $self->{pid} // return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

sub DESTROY { local $?; $_[0]->close }

1;
