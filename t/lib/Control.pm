# The nginx under test, watched and driven from a block's `--- init`: requests, the error log, reload,
# exit and another start. Every wait is bounded. In every block, the log's level is info unless it
# says otherwise, and `--- workers: N` gives a master process and so many workers; without it, one
# process does all.
#
# What is exported goes to main, where Test::Nginx's blocks find it as `main::get` or `$main::html`.

package Control;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use Test::Nginx::Util ();
use Time::HiRes ();

# Seconds that anything here waits at most: a busy machine may take long for what takes no time.
our $PATIENCE = 120;

our ($root, $html) = (Test::Nginx::Util::server_root(), Test::Nginx::Util::html_dir());
our ($log, $conf) = ("$root/logs/error.log", "$root/conf/nginx.conf");

our @EXPORT = qw($PATIENCE $root $html $log $conf connection receive get body_of matches wait_for wait_until pid workers_of is_alive quit start reload);

Test::Nginx::Util::add_block_preprocessor(sub {
    my $block = shift;
    my $workers = $block->workers;
    defined $workers ? Test::Nginx::Util::master_on() : Test::Nginx::Util::master_off();
    Test::Nginx::Util::workers($workers // 1);
    $block->set_value(log_level => 'info') unless defined $block->log_level;
});

sub connection {
    return IO::Socket::INET->new(
        PeerAddr => '127.0.0.1',
        PeerPort => $_[0] // $ENV{TEST_NGINX_SERVER_PORT},
        Timeout => $PATIENCE,
    ) || die "connect: $@";
}

# What comes from a connection until it is closed, or until it matches; at most so many seconds.
sub receive {
    my ($socket, $until, $seconds) = @_;
    my $end = Time::HiRes::time() + ($seconds // $PATIENCE);
    my $text = '';
    while ((my $left = $end - Time::HiRes::time()) > 0) {
        last if defined $until && $text =~ $until;
        my $ready = '';
        vec($ready, fileno($socket), 1) = 1;
        last unless select($ready, undef, undef, $left);
        last unless sysread($socket, $text, 65536, length $text);
    }
    return $text;
}

# The whole response to one request on a connection of its own.
sub get {
    my ($path, $headers) = @_;
    my $socket = connection();
    print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ($headers // '') . "\r\n";
    return receive($socket);
}

sub body_of {
    my $text = shift;
    $text =~ s/\A.*?\r\n\r\n//s;
    return $text;
}

# What matches in the lines of the error log.
sub matches {
    my $regex = shift;
    open my $in, '<', $log or die "$log: $!";
    return map { /$regex/ ? $& : () } <$in>;
}

# Waits until the log has as many matches as that, and gives them.
sub wait_for {
    my ($regex, $count) = @_;
    my @found;
    wait_until(sub { (@found = matches($regex)) >= ($count // 1) });
    return @found;
}

# Waits until the condition holds; false when it does not for so long that it never will.
sub wait_until {
    my $condition = shift;
    my $end = Time::HiRes::time() + $PATIENCE;
    until ($condition->()) {
        return 0 if Time::HiRes::time() > $end;
        Time::HiRes::sleep(0.01);
    }
    return 1;
}

# Of nginx; it writes its file a little later than the command that started it returns.
sub pid {
    wait_until(sub { -s "$root/logs/nginx.pid" });
    open my $in, '<', "$root/logs/nginx.pid" or die "nginx.pid: $!";
    return <$in> + 0;
}

# The workers of a master that are not zombies; the process that compiles is none.
sub workers_of {
    my $master = shift;
    open my $in, '<', "/proc/$master/task/$master/children" or return;
    return grep { is_alive($_) && !compiles($_) } split ' ', <$in> // '';
}

sub compiles {
    open my $in, '<', "/proc/$_[0]/comm" or return 0;
    return <$in> eq "wasm-compile\n";
}

sub is_alive {
    open my $in, '<', "/proc/$_[0]/stat" or return 0;
    return <$in> !~ /\) [ZX] /;
}

# Has nginx end what it does and exit; false when it does not.
sub quit {
    kill QUIT => pid();
    return wait_until(sub { !-e "$root/logs/nginx.pid" });
}

# Starts it again with its configuration.
sub start {
    system("$ENV{TEST_NGINX_BINARY} -e $log -p $root/ -c $conf >/dev/null 2>&1") == 0
        or die 'nginx does not start again';
}

# Replaces a text in nginx.conf and has nginx read it.
sub reload {
    my ($from, $to) = @_;
    open my $in, '<', $conf or die "$conf: $!";
    my $text = join '', <$in>;
    close $in;
    $text =~ s/\Q$from\E/$to/ or die "no $from in nginx.conf";
    # At once, for nginx may still be at the last one.
    open my $out, '>', "$conf.new" or die "$conf.new: $!";
    print $out $text;
    close $out;
    rename "$conf.new", $conf or die "$conf: $!";
    kill HUP => pid();
}

1;
