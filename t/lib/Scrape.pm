# The metrics of the nginx under test, read with a real parser: `main::scrape()` in a block's
# `--- init` gets /metrics and gives a hash of its samples, name{labels} => value, and of its
# families, 'TYPE name' => type. Names are as the parser has them: a counter's samples end in _total
# in both formats.

package Scrape;

use strict;
use warnings;

use Control;
use Exporter 'import';
use File::Temp ();
use FindBin ();

our @EXPORT = qw(scrape parse);

our %accept = (
    text => "Accept: text/plain;version=0.0.4\r\n",
    openmetrics => "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n",
);

# The metrics, in both formats; fails when there is a difference between them.
sub scrape {
    my $path = shift // '/metrics';
    my $response = Control::get($path, $accept{openmetrics});
    $response =~ m{\AHTTP/1.1 200 .*\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n}s
        or die "no OpenMetrics: $response";
    my $open = parse('openmetrics', Control::body_of($response));
    $response = Control::get($path, $accept{text});
    $response =~ m{\AHTTP/1.1 200 .*\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n}s or die "no text: $response";
    my $text = parse('text', Control::body_of($response));
    # Labels of buckets differ: le="1.0" and le="1".
    my @names = map { join ' ', sort grep { !/_bucket\{/ } keys %$_ } $open, $text;
    die "names differ:\n$names[0]\n$names[1]\n" if $names[0] ne $names[1];
    return $open;
}

# What is on a page of this format.
sub parse {
    my ($format, $page) = @_;
    my $python = $ENV{TEST_NGINX_PYTHON} or die "no TEST_NGINX_PYTHON: run the tests with scripts/prove\n";
    my $copy = File::Temp->new;
    print $copy $page;
    $copy->flush;
    open my $out, '-|', 'sh', '-c', 'exec "$@" <"$0" 2>&1', $copy->filename, $python, '-B', "$FindBin::Bin/lib/metrics.py", $format
        or die "$python: $!";
    my @lines = <$out>;
    close $out or die "$format: @lines\n$page";
    return { map { /\A(.*) (\S+)\n\z/s ? ($1 => $2) : () } @lines };
}

1;
