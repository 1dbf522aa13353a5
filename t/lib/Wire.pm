# Clients and upstreams that speak bytes, and what a test asks of the guests' logs. Sections for
# blocks of Test::Nginx, in place of or beside `--- request`:
#
#   --- client eval: sub { ... }    drives the server itself; what it returns is compared with
#                                   `--- client_out`, a text or (by eval) a regex
#   --- upstream eval: sub { ... }  serves each connection to port TEST_NGINX_PORT_9, in a process
#                                   of its own; called with the connection and its number from 1
#   --- guests                      what guests logged for requests, one "name: message" a line, in
#                                   order; with `--- guests_like eval: qr/.../` only lines that match
#   --- contexts: N                 guests with "trace" logged N stream contexts being created, and
#                                   each of them done, logged and deleted once
#
# A block with `--- contexts` reads error.log only when so many contexts are deleted, so no test
# needs to sleep for what nginx does behind the last byte of a response. After every block nginx
# must still be the process that it was.

package Wire;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Test::More ();
use Test::Nginx::Util ();
use Time::HiRes qw(sleep time);

use Wire::Connection;

our @EXPORT = qw(connection ask visit rows log_text log_has wait_for writing output_of);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

# Seconds that anything here waits at most.
our $PATIENCE = 120;

# A connection to the server under test, or to another port of this machine.
sub connection {
    my $port = shift // $ENV{TEST_NGINX_SERVER_PORT};
    my $last = time + $PATIENCE;
    while (time < $last) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
        return Wire::Connection->new($socket, $PATIENCE) if $socket;
        sleep 0.02;
    }
    die "cannot connect to port $port: $!\n";
}

# The answer to these bytes on a connection of its own, until the server closes it.
sub ask {
    my ($bytes, $port) = @_;
    my $connection = connection($port);
    $connection->write($bytes);
    return $connection->rest;
}

# Asks for each of "[METHOD] path" at a port; a line for each: itself, the status, and the values of
# its X-F header lines.
sub visit {
    my ($port, @requests) = @_;
    return rows(map {
        my ($method, $path) = /^(\S+) (\S+)$/ ? ($1, $2) : ('GET', $_);
        my $answer = ask("$method $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", $port);
        my ($head) = $answer =~ /^(.*?\r\n)\r\n/s;
        my ($status) = $answer =~ m{^HTTP/1.1 (\d+)};
        join ' ', $_, $status // "no answer: $answer", ($head // '') =~ /^x-f: (\S+)\r$/mgi;
    } @requests);
}

# A text of these lines.
sub rows { return join '', map { "$_\n" } @_ }

# error.log of this block.
sub log_text {
    open my $file, '<', $Test::Nginx::Util::ErrLogFile or return '';
    local $/;
    return scalar(<$file>) // '';
}

# Does error.log match, now or soon?
sub log_has {
    my $pattern = shift;
    return wait_for(sub { log_text() =~ $pattern });
}

# Is this so, now or soon?
sub wait_for {
    my $condition = shift;
    my $last = time + $PATIENCE;
    until ($condition->()) {
        return 0 if time > $last;
        sleep 0.01;
    }
    return 1;
}

# What stub_status at /status counts as "Writing", this request included, as soon as there is no
# other: nginx is done with a request a little later than its client. The last count if that
# does not come.
sub writing {
    my $writing;
    wait_for(sub {
        my $answer = ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        ($writing) = $answer =~ /Writing: (\d+)/;
        ($writing // 0) == 1;
    });
    return $writing // 'unknown';
}

# The output of a program, what it says on standard error included; $TEST_NGINX_... is in its
# environment.
sub output_of {
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec 'timeout', $PATIENCE * 2, @_ or print "cannot run $_[0]: $!\n";
        POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    return $text;
}

sub starts { return grep { !/ parent=0$/ } events('on_context_create') }

# Trace lines of a callback, without what nginx writes before and behind them.
sub events {
    my $callback = shift;
    return log_text() =~ /\[wasm\] (\w+: $callback id=\d+(?: parent=\d+)?)/g;
}

sub check_contexts {
    my ($block, $expected) = @_;
    my $name = $block->name;
    $expected += 0;
    Test::More::is(scalar(starts()), $expected, "$name - contexts created");
    my @created = sort map { /(\w+): \w+ (id=\d+)/; "$1 $2" } starts();
    for my $callback (qw(on_done on_log on_delete)) {
        my %stream = map { $_ => 1 } @created;
        my @ended = sort map { /(\w+): \w+ (id=\d+)/; "$1 $2" } events($callback);
        Test::More::is("@ended", "@created", "$name - $callback once for each context");
    }
}

# Lines that guests wrote for requests: nginx puts the connection's number before them.
sub guest_lines {
    my $wanted = shift;
    my @lines = log_text() =~ /\*\d+ \[wasm\] (\w+: .*)/g;
    for (@lines) {
        s/, client: .*//;
        s/ while [a-z ]+$//;
    }
    return join '', map { "$_\n" } grep { !defined $wanted || $_ =~ $wanted } @lines;
}

sub same {
    my ($got, $expected, $what) = @_;
    return Test::More::like($got, $expected, $what) if ref $expected eq 'Regexp';
    return Test::More::is($got, $expected, $what);
}

sub nginx_pid {
    open my $file, '<', $Test::Nginx::Util::PidFile or return 0;
    return (<$file> // 0) + 0;
}

# Serves connections until the block ends.
sub serve {
    my $code = shift;
    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1',
        LocalPort => $ENV{TEST_NGINX_PORT_9},
        Listen    => 16,
        ReuseAddr => 1,
    ) or die "cannot listen on port $ENV{TEST_NGINX_PORT_9}: $!\n";
    my $pid = fork // die "fork: $!\n";
    if ($pid) {
        close $listener;
        return $pid;
    }
    Test::More->builder->no_ending(1);
    $SIG{PIPE} = 'IGNORE';
    alarm 10 * $PATIENCE;
    my $number = 0;
    while (my $socket = $listener->accept) {
        my $connection = Wire::Connection->new($socket, $PATIENCE);
        eval { $code->($connection, ++$number); 1 } or warn "upstream: $@";
        $connection->close;
    }
    POSIX::_exit(0);
}

my $requests = $Test::Nginx::Util::RunTestHelper;
my $check_error_log = \&Test::Nginx::Socket::check_error_log;

{
    no warnings 'redefine', 'prototype';
    *Test::Nginx::Socket::check_error_log = sub {
        my $block = $_[0];
        settle($block);
        goto &$check_error_log;
    };
}

sub settle {
    my $block = shift;
    return if !defined $block->contexts;
    my $expected = $block->contexts + 0;
    wait_for(sub { my @deleted = events('on_delete'); @deleted >= $expected });
}

$Test::Nginx::Util::RunTestHelper = sub {
    my ($block, $dry_run, $index) = @_;
    my $name = $block->name;
    my $upstream = defined $block->upstream ? serve($block->upstream) : 0;
    my $pid;
    if (defined $block->client) {
        local $SIG{PIPE} = 'IGNORE';
        $pid = wait_for(sub { nginx_pid() }) && nginx_pid();
        my $got = eval { $block->client->() } // "died: $@";
        same($got, $block->client_out, "$name - client_out");
        &Test::Nginx::Socket::check_error_log($block, undef, $dry_run, $index, 0);
    } else {
        $requests->($block, $dry_run, $index);
        $pid = nginx_pid();
    }
    check_contexts($block, $block->contexts) if defined $block->contexts;
    same(guest_lines($block->guests_like), $block->guests, "$name - guests")
        if defined $block->guests;
    Test::More::ok($pid && kill(0, $pid) && $pid == nginx_pid(), "$name - nginx is still there");
    if ($upstream) {
        kill 'KILL', $upstream;
        waitpid $upstream, 0;
    }
};

1;
