# nginx-conf/ai-gateway.conf with a real Redis, and its filter with a model's server that the test itself is.

use strict;
use warnings;

use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use NginxConf;
use Servers;
use Test::More;

my $PATIENCE = 120;
my $port = $ENV{TEST_NGINX_PORT_9};
my $redis = Servers::redis($port);
my $bad = qr/\[(?:alert|crit|emerg)\]|panicked/;

# --- what the comments of the configuration say to try ---

my $example = directory();
my $errors = start('ai-gateway', $example, sub { s/127\.0\.0\.1:6379/127.0.0.1:$port/g });
if ($errors) {
    my ($large, $stream, $unknown, $nobody) = commands('ai-gateway');
    for my $left (100, 70, 40, 10) {
        like(run_command($large), qr/\AHTTP\S+ 200 .*^x-quota-left: $left\r\n.*"good day"/ms, "an answer, with $left left");
        # The client has its answer before Redis has the count.
        has_counts(130 - $left);
    }
    like(run_command($large), qr/\AHTTP\S+ 429 .*^retry-after: [1-6]?\d\r\n.*"the quota of 100 tokens is used up"/ms, 'no more');
    my $answer = run_command($stream);
    like($answer, qr{\AHTTP\S+ 200 .*^Content-Type: text/event-stream\r\n.*"one".*"two".*"three".*"total_tokens": 12}ms, 'a stream');
    has_counts('12 120');
    like(run_command($unknown =~ s/alice/carol/r), qr/\AHTTP\S+ 404 .*"there is no model \\"huge\\""/s, 'an unknown model');
    like(run_command($nobody), qr/\AHTTP\S+ 401 /, 'nobody');
    is(scalar(() = commands('ai-gateway')), 4, 'no other command');
    my @logged = map { /(\d{3} .*)/ } split /\n/, read_file("$example/logs/access.log");
    is(join('|', grep { /large tokens=30/ } @logged), join('|', ('200 model_server=large tokens=30') x 4), 'logged');
    is(join('|', grep { /small/ } @logged), '200 model_server=small tokens=12', 'so is the stream');
    away();
    like(run_command($large =~ s/alice/dave/r), qr/\AHTTP\S+ 503 .*"the quota cannot be checked"/s, 'without Redis');
    like(read_file("$example/logs/error.log"), qr/\[error\] .*\[wasm\] gateway: Redis call to "127.0.0.1:\d+" failed: /, 'and the log says why');
    $redis->start;
    like(run_command($large =~ s/alice/dave/r), qr/\AHTTP\S+ 200 /, 'it is back');
    stop();
    unlike(read_file("$example/logs/error.log"), $bad, 'error.log');
}

# --- the test is the small models' server ---

my $model = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!\n";
my $own = directory();
my $started = start('ai-gateway', $own, sub {
    s/127\.0\.0\.1:6379/127.0.0.1:$port/g;
    s/(upstream small_models \{\s*server\s+)127\.0\.0\.1:\d+/$1 . '127.0.0.1:' . $model->sockport/e;
    s/"timeout_ms": 1000/"timeout_ms": 60000/;
    s/"quota": 100/"quota": 1000/;
});
if ($started) {
    streams();
    answers();
    waits();
    stop();
    unlike(read_file("$own/logs/error.log"), $bad, 'error.log');
}

my $open = directory();
away();
if (start('ai-gateway', $open, sub { s/127\.0\.0\.1:6379/127.0.0.1:$port/g; s/"quota": 100/"quota": 100, "fail_open": true/ })) {
    my ($large) = commands('ai-gateway');
    my $answer = run_command($large);
    like($answer, qr/\AHTTP\S+ 200 .*"good day"/s, 'fail_open, without Redis');
    unlike($answer, qr/x-quota-left/, 'without a number that is not known');
    stop();
    unlike(read_file("$open/logs/error.log"), $bad, 'error.log');
}

done_testing();

sub streams {
    command('FLUSHALL');
    my $client = post('{"model": "small", "stream": true, "temperature": 0.10, "stream_options": {"x": 1}}', 'x-model-server: large');
    my ($server, $head, $body) = accepted();
    like($head, qr/^x-model-server: small\r$/m, 'what the client says of the server does not count');
    my $sent = JSON::PP::decode_json($body);
    is_deeply($sent->{stream_options}, {include_usage => JSON::PP::true, x => 1}, 'the usage is asked for');
    like($body, qr/"temperature":0\.10\b/, 'the rest is as it was');

    # Each event is read before the next is sent, so none waits for another.
    print $server "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n";
    for my $text (qw(one two)) {
        print $server "data: {\"choices\":[{\"delta\":{\"content\":\"$text\"}}]}\n\n";
        like(until_there($client, qr/"$text".*\n\n/), qr/"$text"/, "$text is there before the next");
    }
    is(counts(), '', 'nothing is charged yet');
    # The usage comes in two pieces, of which the first has reached the client.
    print $server "data: {\"choices\":[],\"usage\":{\"total_";
    until_there($client, qr/total_/);
    print $server "tokens\":345}}\r\n\r\ndata: [DONE]\n\n";
    close $server;
    like(until_there($client, qr/\r\n0\r\n\r\n\z/), qr/\[DONE\]/, 'the end');
    has_counts(345);

    # A client that leaves pays for what it has got.
    command('FLUSHALL');
    $client = post('{"model": "small", "stream": true}');
    ($server) = accepted();
    print $server "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "data: {\"choices\":[{}]}\n\n" x 3;
    until_there($client, qr/(?:data.*?){3}\n\n/s);
    close $client;
    has_counts(3);
    close $server;
}

sub answers {
    command('FLUSHALL');
    my $body = '{"model": "small", "stream": false}';
    my $client = post($body);
    my ($server, $head, $sent) = accepted();
    is($sent, $body, 'a request that is no stream stays as it is');
    unlike($head, qr/^accept-encoding:/mi, 'no coding that could not be read');
    my $answer = '{"choices":[{"text":"' . 'x' x 300_000 . '"}],"usage":{"total_tokens":7}}';
    print $server "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ", length $answer, "\r\n\r\n";
    print $server substr $answer, 0, 200_000;
    until_there($client, qr/x{1000}/);
    print $server substr $answer, 200_000;
    like(until_there($client, qr/\}\}\z/), qr/"total_tokens":7/, 'an answer in pieces');
    has_counts(7);
    close $server;

    for ('', '{', '[]', '{"model": 1}', '{"stream": true}') {
        like(until_there(post($_), qr/\}\n\z/), qr/\AHTTP\S+ 400 .*names a model/s, "no model: $_");
    }
}

# The body, and what Redis says, come in either order.
sub waits {
    command('FLUSHALL');
    command('CONFIG', 'RESETSTAT');
    my $body = '{"model": "small"}';
    my $client = connection();
    print $client head(length $body), substr $body, 0, 5;
    ok(wait_until(sub { command('INFO', 'commandstats') =~ /cmdstat_eval:calls=1,/ }), 'Redis is asked while the body comes');
    print $client substr $body, 5;
    my ($server) = accepted();
    print $server "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    like(until_there($client, qr/\{\}\z/), qr/\AHTTP\S+ 200 /, 'Redis first');
    close $server;

    # Redis answers nobody but for these commands.
    command('CLIENT', 'PAUSE', '100000', 'WRITE');
    $client = post($body);
    ok(wait_until(sub { command('INFO', 'clients') =~ /clients_in_timeout_table:|blocked_clients:[1-9]/ && command('CLIENT', 'LIST') =~ / cmd=eval /, }), 'Redis waits');
    ok(!IO::Select->new($model)->can_read(0.2), 'and so does the request');
    command('CLIENT', 'UNPAUSE');
    ($server) = accepted();
    print $server "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    like(until_there($client, qr/\{\}\z/), qr/\AHTTP\S+ 200 /, 'the body first');
    close $server;
}

# Redis ends a moment later than what has started it.
sub away {
    $redis->stop;
    ok(wait_until(sub { !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }), 'Redis is gone');
}

sub directory { return File::Temp::tempdir('nginx-conf-XXXXXX', TMPDIR => 1, CLEANUP => 1) }

sub connection {
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[0] // $ports[0]) || die "connect: $@\n";
}

sub head {
    my ($length, @lines) = @_;
    return join "\r\n", 'POST /v1/chat/completions HTTP/1.1', 'Host: a', 'Authorization: Bearer test', 'Accept-Encoding: gzip',
        "Content-Length: $length", @lines, '', '';
}

sub post {
    my ($body, @lines) = @_;
    my $client = connection();
    print $client head(length $body, @lines), $body;
    return $client;
}

# The connection of a request that reaches the model's server, its head and its body.
sub accepted {
    IO::Select->new($model)->can_read($PATIENCE) or die "no request within $PATIENCE s\n";
    my $server = $model->accept;
    $server->autoflush;
    my ($head, $body) = until_there($server, qr/\r\n\r\n/) =~ /\A(.*?\r\n\r\n)(.*)\z/s;
    my ($length) = $head =~ /^content-length: (\d+)/mi;
    $body .= until_there($server, qr/./s) while length $body < $length;
    return ($server, $head, $body);
}

# What comes of a connection until it matches or ends.
sub until_there {
    my ($socket, $pattern) = @_;
    my ($text, $end) = ('', time + $PATIENCE);
    until ($text =~ $pattern) {
        my $left = $end - time;
        last if $left <= 0 || !IO::Select->new($socket)->can_read($left) || !sysread $socket, $text, 65536, length $text;
    }
    return $text;
}

# A command to Redis, and its reply.
sub command {
    my $socket = connection($port);
    print $socket '*' . @_ . "\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" } @_;
    my $reply = until_there($socket, qr/\r\n/);
    if ($reply =~ /\A\$(\d+)\r\n/) {
        my $all = length($1) + 5 + $1;
        $reply .= until_there($socket, qr/./s) while length $reply < $all;
    }
    return $reply;
}

sub has_counts {
    my $wanted = shift;
    ok(wait_until(sub { counts() eq $wanted }), "charged: $wanted") or diag(counts());
}

# What users have used, least first.
sub counts {
    my $reply = command('EVAL', "local n = {} for _, k in ipairs(redis.call('KEYS', 'tokens:*')) do n[#n + 1] = tonumber(redis.call('GET', k)) end
        table.sort(n) return table.concat(n, ' ')", '0');
    return $reply =~ /\A\$\d+\r\n(.*)\r\n\z/ ? $1 : $reply;
}
