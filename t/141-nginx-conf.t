# The configurations of nginx-conf/, run as `make run` lays them out, but for the ports: what their
# comments say to try, and what comes of it.

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET;
use Test::More;

my $root = "$ENV{TEST_NGINX_SUITE}/..";
my @ports = map { $ENV{TEST_NGINX_SERVER_PORT} + $_ } 0 .. 3;
my $nginx;

# What each command of a configuration's comments is answered with. A regex is for the whole output.
my %expected = (
    nginx => {
        'curl -i http://127.0.0.1:8080/fault' => qr{^HTTP/1.1 503 .*\r\n\r\nhello from a filter\n\z}s,
        'curl -i http://127.0.0.1:8080/headers' =>
            qr{^HTTP/1.1 200 (?!.*x-internal).*^x-filtered-by: wasm\r.*the upstream got GET /headers, x-user=alice, user-agent=\n\z}ms,
        'curl -i http://127.0.0.1:8080/body' => qr{^HTTP/1.1 200 .*\r\n\r\nthe WASM got GET /body,}s,
    },
    calls => {
        'curl -i http://127.0.0.1:8080/' => qr{^HTTP/1.1 401 .*^www-authenticate: Bearer realm="sample"\r\n.*\r\nWho are you\?\n\z}ms,
        q{curl -i -H 'Authorization: alice' http://127.0.0.1:8080/} => qr{^HTTP/1.1 200 .*\r\n\r\nhello alice, you asked for /\n\z}s,
        q{curl -i -H 'Authorization: mallory' http://127.0.0.1:8080/} => qr{^HTTP/1.1 403 .*\r\n\r\nAccess forbidden\.\n\z}s,
        'curl -i http://127.0.0.1:8080/down' => qr{^HTTP/1.1 503 .*\r\n\r\nAccess cannot be checked\.\n\z}s,
    },
    shared => {
        'curl -i http://127.0.0.1:8080/count' => qr{^HTTP/1.1 200 .*^x-count: 1\r\n.*\r\ncounted\n\z}ms,
        'curl http://127.0.0.1:8080/lines' => qr{\Asee logs/lines.log\n\z},
    },
    metrics => {
        'curl -i http://127.0.0.1:8080/count' => qr{^HTTP/1.1 200 .*^x-count: 1\r}ms,
        'curl http://127.0.0.1:8080/metrics' => qr/^shared_counter_visits_requests\{[^}]*\} 1$/m,
        q{curl -H 'Accept: application/openmetrics-text' http://127.0.0.1:8080/metrics} =>
            qr/^shared_counter_visits_requests_total\{[^}]*\} 1(?:\.0)?\n.*^# EOF\n\z/ms,
    },
);

# What comes of them a little later.
my %later = (
    shared => sub { join('|', sort grep { length } split /\n/, read_file("$_[0]/logs/lines.log")) eq 'GET /count 200|GET /lines 200' },
    metrics => sub { run_command('curl http://127.0.0.1:8080/metrics') =~ /^shared_counter_visits_last\{[^}]*\} 1$/m },
);

my @configurations = map { m{/([^/]+)\.conf$} } glob "$root/nginx-conf/*.conf";
is("@configurations", join(' ', sort keys %expected), 'configurations');

for my $name (@configurations) {
    my $prefix = File::Temp::tempdir('nginx-conf-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    start($name, $prefix) or next;
    my @commands = read_file("$root/nginx-conf/$name.conf") =~ /^ *#     (curl .*)$/mg;
    is_deeply([sort @commands], [sort keys %{$expected{$name}}], "$name: commands");
    like(run_command($_), $expected{$name}{$_}, "$name: $_") for @commands;
    ok(wait_until(sub { $later{$name}->($prefix) }), "$name: a little later") if $later{$name};
    stop();
    unlike(read_file("$prefix/logs/error.log"), qr/\[(?:alert|crit|emerg)\]|panicked/, "$name: error.log");
}

done_testing();

# The ports of this test for those of the configuration: 8080 and so on.
sub with_ports {
    my $text = shift;
    $text =~ s/127\.0\.0\.1:808(\d)/127.0.0.1:$ports[$1]/g;
    return $text;
}

sub start {
    my ($name, $prefix) = @_;
    my @layout = ("$root/scripts/layout", $prefix, $ENV{TEST_NGINX_BINARY}, $ENV{TEST_NGINX_WASM_MODULE},
        $ENV{TEST_NGINX_FILTERS}, '/dev/null', $name);
    return fail("$name: scripts/layout") if system(@layout) != 0;
    my $conf = "$prefix/conf/nginx.conf";
    my $text = with_ports(read_file($conf));
    $text =~ s/^ *include .*mime\.types;//m;
    open my $file, '>', $conf or die "$conf: $!\n";
    print $file $text;
    close $file;
    # Workers that root starts run as nobody, who may not write below a directory of root's.
    my $user = $> ? '' : 'user root; ';
    $nginx = fork // die "fork: $!\n";
    if (!$nginx) {
        open STDERR, '>>', "$prefix/logs/start.log";
        exec "$prefix/sbin/nginx", '-p', "$prefix/", '-g', "${user}daemon off;" or die;
    }
    return 1 if wait_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports[0]) });
    stop();
    return fail("$name: nginx does not start: " . read_file("$prefix/logs/start.log"));
}

sub stop {
    kill 'TERM', $nginx;
    waitpid $nginx, 0;
    $nginx = undef;
}

END { stop() if $nginx }

sub run_command {
    my $command = with_ports(shift);
    $command =~ s/^curl /curl -s -m 120 /;
    return scalar qx($command 2>&1);
}

sub read_file {
    my $path = shift;
    open my $file, '<', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}

# Does it hold, now or in two minutes at most?
sub wait_until {
    my $condition = shift;
    my $end = time + 120;
    while (time < $end) {
        return 1 if $condition->();
        select undef, undef, undef, 0.02;
    }
    return 0;
}
