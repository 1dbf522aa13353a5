# What tests of paused requests share: locations that continue contexts from other requests, and clients
# that wait until a filter has paused.

package Pause;

use strict;
use warnings;

use Exporter 'import';
use Wire;

our @EXPORT = qw(go go_locations logged until_logged module_lines);

# Blocks' `eval` sections are evaluated in this package.
{
    no strict 'refs';
    *{"Test::Base::Filter::$_"} = \&$_ for @EXPORT;
}

# wasm_module lines for instances of the guest hostcalls.
sub module_lines {
    return join '', map { "wasm_module $_ \$TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;\n" } @_;
}

# For each module a location /go/NAME, which continues both directions of its contexts, and for each
# of the operations, WHAT => JSON, a location /WHAT/NAME that runs them in its contexts. Contexts are
# numbered on from 1; the first 400 are reached.
sub go_locations {
    my ($names, %operations) = @_;
    $operations{go} = '["continue","request"],["continue","response"]';
    my $text = '';
    for my $name (@$names) {
        for my $what (sort keys %operations) {
            $text .= qq~location = /$what/$name { wasm_filter $name '{"request_headers":[["local_response",200,[],"go"],["let","n","2"],~
                . qq~["repeat",400,[["effective_context",{"var":"n"}],["if",{"var":"status"},"0",[$operations{$what}]],["let","n",{"add":[{"var":"n"},1]}]]]]}'; }\n~;
        }
    }
    return $text;
}

# Asks for /go/NAME or another such path.
sub go {
    my ($path, $port) = @_;
    $path = "/go/$path" if $path !~ m{^/};
    my $answer = ask("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $port);
    # What closes contexts may close its own.
    return $answer eq '' if $path =~ m{^/close/};
    die "$path: $answer\n" if $answer !~ m{^HTTP/1.1 200 .*go\z}s;
    return 1;
}

# How often the log matches.
sub logged {
    my $pattern = shift;
    my $count = () = log_text() =~ /$pattern/g;
    return $count;
}

# Waits until the log matches so often.
sub until_logged {
    my ($pattern, $count) = @_;
    wait_for(sub { logged($pattern) >= ($count // 1) }) or die "not logged: $pattern\n";
}

1;
