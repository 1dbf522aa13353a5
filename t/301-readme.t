# The nginx.conf of README.md as it stands there, but for the port: `nginx -t` takes it, and it does what it says.

use strict;
use warnings;

use File::Temp ();
use Test::More;

my $root = "$ENV{TEST_NGINX_SUITE}/..";
my $port = $ENV{TEST_NGINX_SERVER_PORT};

my ($conf) = read_file("$root/README.md") =~ /^```nginx\n(load_module.*?)^```$/ms;
ok(defined $conf, 'there is a whole nginx.conf') or BAIL_OUT('README.md');
$conf =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/g;

my $prefix = File::Temp::tempdir('readme-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $prefix;
is(system("$root/scripts/layout", $prefix, $ENV{TEST_NGINX_BINARY}, $ENV{TEST_NGINX_WASM_MODULE},
    $ENV{TEST_NGINX_FILTERS}, '/dev/null'), 0, 'nginx with the module');
open my $file, '>', "$prefix/conf/nginx.conf" or die "$prefix/conf/nginx.conf: $!\n";
print $file $conf;
close $file;

my $nginx = "$prefix/sbin/nginx -p $prefix/ -c conf/nginx.conf";
my $output = qx($nginx -t 2>&1);
is($?, 0, 'nginx -t') or diag($output);

# It listens when the command has returned.
$output = qx($nginx 2>&1);
is($?, 0, 'nginx') or diag($output);
like(scalar qx(curl -si -m 120 http://127.0.0.1:$port/fault), qr{^HTTP/1.1 503 .*\r\n\r\nhello from a filter\z}s, 'the filter answers');

done_testing();

END {
    my ($pid) = defined $prefix ? read_file("$prefix/logs/nginx.pid") =~ /^(\d+)$/m : ();
    kill 'TERM', $pid if defined $pid;
}

sub read_file {
    my $path = shift;
    open my $file, '<', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}
