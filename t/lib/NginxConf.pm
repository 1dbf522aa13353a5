# The configurations of nginx-conf/, run as `make run` lays them out, but for the ports.
#
#   start($name, $prefix, sub { s/.../.../ })    starts nginx with NAME.conf; the code changes its text, in $_
#   commands($name)                              what its comments say to try
#   run_command($command)                        the output of one of them
#   stop()
#
# `127.0.0.1:8080` and so on stand for ports of the test's own, in files as in commands.

package NginxConf;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use Test::More ();
use Time::HiRes ();

our @EXPORT = qw(@ports $root start stop commands run_command read_file wait_until);

our $root = "$ENV{TEST_NGINX_SUITE}/..";
our @ports = map { $ENV{TEST_NGINX_SERVER_PORT} + $_ } 0 .. 3;
my $nginx;

# The ports of this test for those of the configuration: 8080 and so on.
sub with_ports {
    my $text = shift;
    $text =~ s/127\.0\.0\.1:808(\d)/127.0.0.1:$ports[$1]/g;
    return $text;
}

sub commands { return read_file("$root/nginx-conf/$_[0].conf") =~ /^ *#     (curl .*)$/mg }

# True, or a failed test with the reason.
sub start {
    my ($name, $prefix, $edit) = @_;
    my @layout = ("$root/scripts/layout", $prefix, $ENV{TEST_NGINX_BINARY}, $ENV{TEST_NGINX_WASM_MODULE},
        $ENV{TEST_NGINX_FILTERS}, '/dev/null', $name);
    return Test::More::fail("$name: scripts/layout") if system(@layout) != 0;
    my $conf = "$prefix/conf/nginx.conf";
    my $text = with_ports(read_file($conf));
    $text =~ s/^ *include .*mime\.types;//m;
    if ($edit) {
        local $_ = $text;
        $edit->();
        $text = $_;
    }
    open my $file, '>', $conf or die "$conf: $!\n";
    print $file $text;
    close $file;
    # Workers that root starts run as nobody, who may not write below a directory of root's.
    my $user = $> ? '' : 'user root; ';
    $nginx = fork // die "fork: $!\n";
    if (!$nginx) {
        open STDERR, '>>', "$prefix/logs/start.log";
        exec "$prefix/sbin/nginx", '-p', "$prefix/", '-g', "${user}daemon off;" or die;
    }
    return 1 if wait_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports[0]) });
    stop();
    return Test::More::fail("$name: nginx does not start: " . read_file("$prefix/logs/start.log"));
}

sub stop {
    return if !$nginx;
    kill 'TERM', $nginx;
    waitpid $nginx, 0;
    $nginx = undef;
}

# Not in children that a test forks.
my $owner = $$;
END {
    if ($$ == $owner) {
        my $status = $?;
        stop();
        $? = $status;
    }
}

sub run_command {
    my $command = with_ports(shift);
    $command =~ s/^curl /curl -s -m 120 /;
    return scalar qx($command 2>&1);
}

sub read_file {
    my $path = shift;
    open my $file, '<', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}

# Does it hold within two minutes?
sub wait_until {
    my $condition = shift;
    my $end = Time::HiRes::time() + 120;
    until ($condition->()) {
        return 0 if Time::HiRes::time() > $end;
        Time::HiRes::sleep(0.02);
    }
    return 1;
}

1;
