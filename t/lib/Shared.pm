# Shared data and queues driven from `--- init`, over a server at port TEST_NGINX_PORT_1 whose
# workers can be asked one by one.

package Shared;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use JSON::PP ();

use Control ();

our @EXPORT = qw(shared_server ask set_data get_data resolve put take worker_sockets);

my $json = JSON::PP->new->canonical;

# A `server` with a location for each call, for a module: /MODULE/set, /get, /resolve, /put, /take.
# Arguments come in request headers; the answer has the worker in X-Pid and the status in X-Status.
# A hash as the last argument has more calls: what each does in `request_headers`.
sub shared_server {
    my @modules = @_;
    my $more = ref $modules[-1] ? pop @modules : {};
    my $header = sub { +{header => ['request', "x-$_[0]"]} };
    my $answer = sub {
        my ($body, @more) = @_;
        return ['local_response', 200, [['x-status', {var => 'status'}], @more], $body];
    };
    my %calls = (
        set => [['set_shared_data', $header->('key'), $header->('value'), $header->('cas')], $answer->('')],
        get => [['get_shared_data', $header->('key'), 'v'], $answer->({var => 'v'}, ['x-cas', {var => 'v.cas'}])],
        resolve => [['resolve_queue', $header->('vm'), $header->('name'), 'q'], $answer->({var => 'q'})],
        put => [['enqueue', $header->('queue'), $header->('value')], $answer->('')],
        take => [['dequeue', $header->('queue'), 'v'], $answer->({var => 'v'})],
        %$more,
    );
    my $locations = '';
    for my $module (@modules) {
        for my $call (sort keys %calls) {
            my $configuration = $json->encode({request_headers => $calls{$call}});
            $locations .= "        location = /$module/$call { wasm_filter $module '$configuration'; }\n";
        }
    }
    return <<"END";
    server {
        # Each worker has a socket of its own, and connections are spread over them.
        listen 127.0.0.1:$ENV{TEST_NGINX_PORT_1} reuseport;
        keepalive_requests 1000000;
        add_header X-Pid \$pid always;
        location / { return 204; }
$locations    }
END
}

# Asks for a path: {status, pid, cas, body}. On a connection, or on one of its own.
sub ask {
    my ($path, $headers, $socket) = @_;
    $socket //= Control::connection($ENV{TEST_NGINX_PORT_1});
    my $lines = join '', map { "X-$_: $headers->{$_}\r\n" } sort keys %{$headers // {}};
    print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\n$lines\r\n";
    my $text = Control::receive($socket, qr/\r\n\r\n/);
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    if ($head =~ /^content-length: (\d+)\r?$/mi && $1 > length $body) {
        $body .= Control::receive($socket, qr/\A.{$1}/s) if $1 < 30000;
        while ($1 >= 30000 && length $body < $1) {
            sysread($socket, $body, 1 << 20, length $body) or last;
        }
    }
    my %answer = (body => $body);
    for my $name (qw(status pid cas)) {
        ($answer{$name}) = $head =~ /^x-$name: (.*?)\r?$/mi;
    }
    return \%answer;
}

# The status.
sub set_data {
    my ($module, $key, $value, $cas, $socket) = @_;
    return ask("/$module/set", {Key => $key, Value => $value, Cas => $cas // 0}, $socket)->{status};
}

# Value, number; nothing where there is none.
sub get_data {
    my ($module, $key, $socket) = @_;
    my $answer = ask("/$module/get", {Key => $key}, $socket);
    return $answer->{status} eq '0' ? ($answer->{body}, $answer->{cas}) : ();
}

# The queue's number, or the status.
sub resolve {
    my ($module, $vm, $name, $socket) = @_;
    return ask("/$module/resolve", {Vm => $vm, Name => $name}, $socket)->{body};
}

# The status.
sub put {
    my ($module, $queue, $message, $socket) = @_;
    return ask("/$module/put", {Queue => $queue, Value => $message}, $socket)->{status};
}

# The message, or the status.
sub take {
    my ($module, $queue, $socket) = @_;
    return ask("/$module/take", {Queue => $queue}, $socket)->{body};
}

# A connection to each of so many workers, by process number; the wait for them is bounded.
sub worker_sockets {
    my $count = shift;
    my %workers;
    my $end = time + $Control::PATIENCE;
    while (time < $end) {
        my $socket = eval { Control::connection($ENV{TEST_NGINX_PORT_1}) } or next;
        my $pid = eval { ask('/', {}, $socket)->{pid} } // next;
        $workers{$pid} //= $socket;
        last if keys %workers == $count;
    }
    die 'only ' . keys(%workers) . " of $count workers answer" unless keys %workers == $count;
    return %workers;
}

1;
