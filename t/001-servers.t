# The tests' own servers: they do what tests rely on. No nginx here.

use strict;
use warnings;

use JSON::PP 'decode_json';
use Servers;
use Test::More;

my ($tcp, $tls, $expired, $rpc, $rpcs) = map { $ENV{"TEST_NGINX_PORT_$_"} } 1 .. 5;
my $faults = Servers::faults(tcp => $tcp, tls => $tls, tls => [$expired, 'expired'], unix => 1);
Servers::grpc(tcp => $rpc, tls => $rpcs);

# What curl prints, and its exit status: 52 no answer, 56 reset, 18 cut short, 1 and 8 nonsense, 60 a
# certificate that is not right.
sub curl {
    my $out = qx(curl -s -m 120 @_ 2>&1);
    return ($out, $? >> 8);
}

my $echo = decode_json((curl("http://127.0.0.1:$tcp/echo?q -H 'X-A: 1' -H 'x-a: 2' -d body"))[0]);
is_deeply([@$echo{qw(method path framing body listener requests sni)}],
    ['POST', '/echo?q', 'length', 'body', 'tcp', 1, undef], 'a request is echoed');
is_deeply([grep { $_->[0] =~ /x-a/i } @{$echo->{headers}}], [['X-A', 1], ['x-a', 2]], 'with its headers as they came');
$echo = decode_json((curl("--unix-socket $faults->{unix} http://a/echo -H 'Transfer-Encoding: chunked' -d chunks"))[0]);
is_deeply([@$echo{qw(framing body listener)}], ['chunked', 'chunks', 'unix'], 'over a unix socket, in chunks');
my $connect = "--cacert $Servers::certificates/ca.pem --connect-to ::127.0.0.1:$tls";
$echo = decode_json((curl("$connect https://up.example/echo"))[0]);
is_deeply([@$echo{qw(listener sni alpn)}], ['tls', 'up.example', 'http/1.1'], 'over TLS');
is((curl("$connect https://other.example/echo"))[1], 60, 'a name that is not in the certificate');
is((curl("--cacert $Servers::certificates/ca.pem https://127.0.0.1:$expired/echo"))[1], 60, 'a certificate that has expired');
like((curl("--cacert $Servers::certificates/ca.pem -v https://127.0.0.1:$expired/echo"))[0], qr/expired/, 'and for that reason');

my @echoes = map { decode_json($_) } (curl("http://127.0.0.1:$tcp/echo http://127.0.0.1:$tcp/echo"))[0] =~ /\{.*?\}/g;
is($echoes[0]{connection}, $echoes[1]{connection}, 'a connection is kept');
is("$echoes[0]{requests} $echoes[1]{requests}", '1 2', 'and its requests are counted');

my %expected = (
    'status/418/tea' => ['tea', 0],
    'size/10' => ['abcdefghab', 0],
    'chunked/3/2' => ['abcabc', 0],
    'trailers' => ['hello, world', 0],
    'multi' => ['multi', 0],
    'hints' => ['behind hints', 0],
    'delay/0.1' => ['late', 0],
    'drip/0.01' => ['drip, drip', 0],
    'http10' => ['hello', 0],
    'http10-length' => ['hello', 0],
    'until-close' => ['hello', 0],
    'stale' => ['hello', 0],
    'surplus' => ['hello', 0],
    'early' => ['large', 0],
    'huge-head/50000' => ['hello', 0],
    'many-headers/200' => ['hello', 0],
    'close' => ['', 52],
    'reset' => ['', 56],
    'reset-head' => ['', 56],
    'reset-body' => ['hello', 56],
    'truncated' => ['hello', 18],
    'truncated-chunks' => ['hello', 18],
    'http09' => ['', 1],
    'bad-version' => ['', 1],
    'bad-header' => ['', 8],
    'bad-chunk' => ['', 56],
    'bad-length' => ['', 8],
);
for my $path (sort keys %expected) {
    is_deeply([curl("-d body http://127.0.0.1:$tcp/$path")], $expected{$path}, "/$path");
}
like((curl("--raw http://127.0.0.1:$tcp/trailers"))[0], qr/0\r\nX-Trailer: 1\r\nx-trailer: 2\r\nx-last: end\r\n\r\n\z/, 'trailers');
is_deeply([map { (curl("http://127.0.0.1:$tcp/flaky/f/2"))[1] } 1 .. 3], [56, 56, 0], '/flaky');
is_deeply([map { (curl("http://127.0.0.1:$tcp/hits/h"))[0] } 1 .. 2], [1, 2], '/hits');

# A request that is held, one that leaves, and one that is let go.
sub held_is {
    my $expected = shift;
    my $end = time + 120;
    while (time < $end) {
        my ($held) = curl("http://127.0.0.1:$tcp/held/x");
        return pass("held: $held") if $held eq $expected;
        select undef, undef, undef, 0.02;
    }
    return fail("held: not $expected");
}
my $pid = open my $leaving, '-|', 'curl', '-s', '-m', '120', "http://127.0.0.1:$tcp/hold/x" or die;
held_is('waiting=1 left=0 released=0');
kill 'KILL', $pid;
close $leaving;
held_is('waiting=0 left=1 released=0');
open my $waiting, '-|', 'curl', '-s', '-m', '120', "http://127.0.0.1:$tcp/hold/x" or die;
held_is('waiting=1 left=1 released=0');
is((curl("http://127.0.0.1:$tcp/release/x"))[0], 1, 'released');
is(<$waiting>, 'released', 'answered');
like((curl("http://127.0.0.1:$tcp/log"))[0], qr{^POST /status/418/tea\n.*^GET /release/x\n\z}ms, '/log');

# The gRPC server, asked by gRPC's own client.
my $client = <<'EOC';
import sys
import grpc

rpc, rpcs, ca = sys.argv[1:]


def call(channel, kind, method, message):
    answer = getattr(channel, kind)("/test.Echo/" + method)(message, timeout=5)
    return b"|".join(answer) if kind.endswith("stream") else answer


plain = grpc.insecure_channel("127.0.0.1:" + rpc)
print(call(plain, "unary_unary", "Unary", b"\x00hello"))
print(len(call(plain, "unary_unary", "Size", b"3000000")))
print(call(plain, "unary_stream", "Split", b"abc"))
print(call(plain, "stream_unary", "Count", iter([b"a", b"bc"])))
print(call(plain, "stream_stream", "Chat", iter([b"a", b"bye", b"c"])))
print(call(plain, "unary_unary", "Deadline", b""), plain.unary_unary("/test.Echo/Deadline")(b""))
answer, done = plain.unary_unary("/test.Echo/Metadata").with_call(b"", metadata=(("x-a", "1"), ("x-b-bin", b"\x00")))
print([line for line in answer.decode().split() if line.startswith("x-")])
print([tuple(pair) for pair in done.initial_metadata()], [tuple(pair) for pair in done.trailing_metadata()])
try:
    call(plain, "unary_unary", "Status", b"7 no entry")
except grpc.RpcError as error:
    print(error.code(), error.details(), [tuple(pair) for pair in error.trailing_metadata()])
with open(ca, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
print(call(grpc.secure_channel("localhost:" + rpcs, credentials), "unary_unary", "Upper", b"tls"))
EOC
open my $file, '>', "$Servers::certificates/client.py" or die;
print $file $client;
close $file;
is(scalar qx($ENV{TEST_NGINX_PYTHON} $Servers::certificates/client.py $rpc $rpcs $Servers::certificates/ca.pem 2>&1), <<'EOT', 'gRPC');
b'\x00hello'
3000000
b'a|b|c'
b'2 3'
b'1: a|2: bye'
b'5' b'none'
['x-a=1', 'x-b-bin=00']
[('x-initial', 'one'), ('x-initial', 'two'), ('x-bin-bin', b'\x00\xff')] [('x-trailing', 'end')]
StatusCode.PERMISSION_DENIED no entry [('x-reason', 'test')]
b'TLS'
EOT

$faults->stop;
is((curl("http://127.0.0.1:$tcp/echo"))[1], 7, 'nobody listens when it has stopped');
$faults->start;
is((curl("http://127.0.0.1:$tcp/size/1"))[0], 'a', 'and it can be started again');

done_testing();
