# A location that makes the HTTP call which a request asks for, for tests of where calls go. Needs
# Filtered before it.
#
# `@calls;` in `--- config` stands for the location /call, and `@call_filter;` for its filter, which takes the call from the request's
# headers X-Up (the upstream), X-Path, X-Authority and X-Scheme, and answers with the status and the
# body of the answer, or with "failed: " and the reason.

package Calling;

use strict;
use warnings;

use Exporter 'import';
use Test::Nginx::Socket ();
use Wire;

our @EXPORT = qw(calls call_on);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

my $filter = <<'_EOC_' =~ s/\n\s*//gr;
{"request_headers": [
  ["http_call", "a", {"header":["request","x-up"]},
   [[":method","GET"], [":path",{"header":["request","x-path"]}], [":scheme",{"header":["request","x-scheme"]}],
    [":authority",{"header":["request","x-authority"]}]], "", [], 5000],
  ["if", {"var":"status"}, "0", [["action","pause"]], [["local_response", 200, [], {"join":["status ", {"var":"status"}]}]]]],
 "http_call_response": [["if_failed",
  [["local_response", 200, [], {"join":["failed: ", {"property":"call.error"}]}]],
  [["local_response", 200, [], {"join":[{"header":["call_response",":status"]}, " ", {"body":"call_response"}]}]]]]}
_EOC_

# The answers to calls, a line each, made one after the other on one connection. A call is
# [UPSTREAM, path => '/', authority => 'up.example', scheme => 'http', location => '/call'].
sub calls {
    my $connection = connection();
    return rows(map { call_on($connection, @$_) } @_);
}

sub call_on {
    my ($connection, $upstream, %call) = @_;
    my $location = $call{location} // '/call';
    my @headers = ("X-Up: $upstream", 'X-Path: ' . ($call{path} // '/'),
        'X-Authority: ' . ($call{authority} // 'up.example'), 'X-Scheme: ' . ($call{scheme} // 'http'));
    $connection->write(join "\r\n", "GET $location HTTP/1.1", 'Host: localhost', @headers, '', '');
    my $answer = $connection->answer;
    return $answer =~ s/^200 //r;
}

Test::Nginx::Socket::add_block_preprocessor(sub {
    my $block = shift;
    # What nginx says when it refuses a configuration is an [emerg].
    $block->set_value(no_error_log => qr/panicked/) if defined $block->must_die;
    my $config = $block->config // return;
    $config =~ s/\@calls;/location \/call { wasm_filter hostcalls '$filter'; }/g;
    $config =~ s/\@call_filter;/wasm_filter hostcalls '$filter';/g;
    $block->set_value(config => $config);
});

1;
