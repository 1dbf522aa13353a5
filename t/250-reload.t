# Reloads under full load: none loses a request, and nothing is left behind of old configurations.
# soak/reload.py makes the load, the reloads, and the measurements.

use Test::Nginx::Socket 'no_plan';
use Control;
use JSON::PP ();
use Servers;

no_long_string();
master_on();

our @kinds = qw(plain local chain download upload redirect subrequest call call-response call-refused grpc shared);
our $environment = JSON::PP->new->canonical->encode({
    filters => $ENV{TEST_NGINX_FILTERS},
    faults => $ENV{TEST_NGINX_PORT_1} + 0,
    grpc => $ENV{TEST_NGINX_PORT_2} + 0,
    guest => html_dir() . '/version.wasm',
});
our ($faults, $grpc) = (Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1}), Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_2}));

sub python {
    my ($program, @arguments) = @_;
    open(my $out, '-|', $ENV{TEST_NGINX_PYTHON}, '-B', "$ENV{TEST_NGINX_SUITE}/../soak/$program", @arguments) or die "python: $!";
    local $/;
    my $text = <$out>;
    close $out or die "$program: $?";
    return JSON::PP::decode_json($text);
}

our $directives = python('kinds.py', $environment, @kinds);

sub file_of {
    open my $in, '<:raw', "$ENV{TEST_NGINX_FILTERS}/$_[0].wasm" or die "$_[0]: $!";
    local $/;
    return scalar <$in>;
}

# What a process may use more behind the last reload than behind the first ones: KiB, mappings.
our %bound = (rss => 4096, maps => 16);

sub main::check_usage {
    my ($who, $first, $last) = @_;
    for ([warm => $first], [end => $last]) {
        my ($when, $usage) = @$_;
        Test::More::diag("$who, $when: RSS $usage->{rss} KiB, $usage->{maps} mappings, descriptors: "
            . join ', ', map { "$usage->{fds}{$_} $_" } sort keys %{$usage->{fds}});
    }
    Test::More::cmp_ok($last->{$_}, '<=', $first->{$_} + $bound{$_}, "$who: $_") for sort keys %bound;
    # How many connections and bodies a worker has is up to its clients, 30 of them, and their requests.
    if ($who eq 'workers') {
        for my $kind (qw(socket temporary)) {
            delete $first->{fds}{$kind};
            Test::More::cmp_ok(delete $last->{fds}{$kind} // 0, '<=', 150, "$who: $kind");
        }
    }
    Test::More::is_deeply($last->{fds}, $first->{fds}, "$who: descriptors");
}

run_tests();

__DATA__

=== TEST 1: 100 reloads under full load
--- workers: 2
--- log_level: warn
--- http_config eval: $::directives->{http}
--- config eval
"http2 on; location /t { return 204; }\n$::directives->{server}"
--- user_files eval
[['version.wasm', ::file_of('headers')]]
--- init
my $result = main::python('reload.py', JSON::PP::encode_json({
    conf => $main::conf, pid => main::pid(), port => $ENV{TEST_NGINX_SERVER_PORT} + 0, workers => 2,
    reloads => 100, warm => 20, guest => "$main::html/version.wasm", kinds => \@::kinds,
    environment => JSON::PP::decode_json($::environment)}));
Test::More::diag("$result->{requests} requests in $result->{seconds} s, $result->{retries} of them asked again");
Test::More::is_deeply($result->{unexplained}, [], 'every answer is right');
Test::More::is_deeply($result->{stuck}, [], 'every configuration is taken, and the old workers go');
Test::More::cmp_ok($result->{right}{$_}, '>', 1000, "there was load: $_") for qw(Http1 Http2);
main::check_usage($_, @{$result->{$_}}) for qw(master workers);
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
[crit]
panicked
