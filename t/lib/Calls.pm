# Locations whose filter, hostcalls as module `a`, makes calls; for files that use Wire.
#
#   location('/x', {request_headers => [http('a', path => '/echo'), pause()], http_call_response => answer()})
#
# is a location of nginx.conf, and get('/x') asks for it: "status body".

package Calls;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use JSON::PP ();
use Wire ();

our @EXPORT = qw(location http grpc stream pause answer joined get echo_of errors told);

my $json = JSON::PP->new->canonical->latin1;
my $directory = File::Temp::tempdir('nginx-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $files = 0;

# A location with a filter for these operations. `content` is what nginx does there.
sub location {
    my ($path, $operations, $content) = @_;
    my $text = $json->encode($operations) =~ s/\$(TEST_NGINX_\w+)/$ENV{$1}/gr;
    $content //= 'return 200 "done";';
    # A parameter of nginx.conf has 4096 bytes at the most, and loses one of two backslashes.
    my $file = "$directory/" . $files++;
    open my $out, '>', $file or die "$file: $!\n";
    print $out $text;
    close $out;
    return "location $path { wasm_filter a \@$file; $content }\n";
}

# An HTTP call. `headers` come behind the pseudo-headers, or in place of them as `all`.
sub http {
    my ($label, %call) = @_;
    my $all = $call{all} // [
        [':method', $call{method} // 'GET'], [':path', $call{path} // '/'],
        [':authority', $call{authority} // 'up.example'], @{ $call{headers} // [] },
    ];
    return ['http_call', "$label", $call{upstream} // '127.0.0.1:$TEST_NGINX_PORT_1', $all,
        $call{body} // '', $call{trailers} // [], $call{timeout} // 60_000];
}

# A gRPC call, or the opening of a stream, of a method of test.Echo.
sub grpc {
    my ($label, $method, $message, %call) = @_;
    return ['grpc_call', "$label", $call{upstream} // '127.0.0.1:$TEST_NGINX_PORT_1', $call{service} // 'test.Echo',
        $method, $call{metadata} // [], $message, $call{timeout} // 60_000];
}

sub stream {
    my ($label, $method, %call) = @_;
    return ['grpc_stream', "$label", $call{upstream} // '127.0.0.1:$TEST_NGINX_PORT_1', 'test.Echo',
        $method, $call{metadata} // []];
}

sub pause { return ['action', 'pause'] }

sub joined { return { join => [@_] } }

# What came of an HTTP call, as a local response: its status and body, or 502 and why it failed.
sub answer {
    my @body = @_ ? @_ : ({ header => ['call_response', ':status'] }, ' ', { body => 'call_response' });
    return [['if_failed', [['local_response', 502, [], joined('failed: ', { property => 'call.error' })]],
        [['local_response', 200, [], joined(@body)]]]];
}

# "status body" of the answer to a request.
sub get {
    my ($path, %how) = @_;
    my $c = Wire::connection();
    my $body = $how{body} // '';
    my $length = $body eq '' ? '' : 'Content-Length: ' . length($body) . "\r\n";
    $c->write(($how{method} // 'GET') . " $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n$length\r\n$body");
    my $answer = $c->answer;
    $c->close;
    return $answer;
}

# What the server faults says of the request to its /echo, from the body of such an answer.
sub echo_of {
    my $answer = shift;
    my ($text) = $answer =~ /(\{.*\})/s or die "no echo: $answer\n";
    return JSON::PP::decode_json($1);
}

# The lines of level error in error.log, of what the module says, without what nginx adds.
sub errors {
    my @lines = Wire::log_text() =~ /\[error\] \S+ (?:\*\d+ )?\[wasm\] (.*)/g;
    s/, client: .*// for @lines;
    return @lines;
}

# Guests' lines that match, of requests and root contexts, in order.
sub told {
    my $wanted = shift;
    my @lines = Wire::log_text() =~ /\[wasm\] a: (.*)/g;
    s/, client: .*//, s/ while [a-z ]+$// for @lines;
    return grep { $_ =~ $wanted } @lines;
}

1;
