# wasm_handler under load: large bodies, many calls, reloads while calls wait.

use Test::Nginx::Socket 'no_plan';
use Handler;
use JSON::PP ();
use Servers;
use Wire;

log_level('warn');
no_long_string();
worker_connections(512);

our $alive = $Handler::alive;
our @kinds = qw(plain plugin-echo plugin-own plugin-call plugin-leave plugin-trap plugin-own-trap guest-echo guest-own guest-trap);
our $environment = JSON::PP->new->canonical->encode({
    filters => $ENV{TEST_NGINX_FILTERS},
    faults => $ENV{TEST_NGINX_PORT_1} + 0,
    grpc => $ENV{TEST_NGINX_PORT_2} + 0,
    guest => html_dir() . '/version.wasm',
});
our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});

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

sub pid {
    open my $file, '<', $Test::Nginx::Util::PidFile or die "no pid: $!";
    return <$file> + 0;
}

# What a process has of memory, in MiB: VmRSS, now, or VmHWM, the most since `reset_peak`.
sub memory {
    my ($name) = @_;
    open my $file, '<', '/proc/' . pid() . '/status' or die "status: $!";
    my ($size) = join('', <$file>) =~ /^$name:\s+(\d+) kB/m or die "no $name";
    return $size / 1024;
}

sub reset_peak {
    open my $file, '>', '/proc/' . pid() . '/clear_refs' or die "clear_refs: $!";
    print $file '5';
    close $file or die "clear_refs: $!";
}

add_block_preprocessor(sub {
    my $block = shift;
    my $workers = $block->workers;
    defined $workers ? master_on() : master_off();
    workers($workers // 1);
});

run_tests();

__DATA__

=== TEST 1: 32 MiB in and out, and how much memory that takes
A body of nginx's is in a file. An Extism plugin has it in the kernel, in its own memory, and again in the kernel, a waPC guest twice in
its own memory and once as its response; each then in nginx's memory. With what the guests' allocators have left over, that is less than six times as much.
--- http_config
    wasm_module e  $TEST_NGINX_FILTERS/extism_test.wasm memory=1024m cpu_time=60s;
    wasm_module er $TEST_NGINX_FILTERS/extism_test.wasm memory=1024m cpu_time=60s isolation=request;
    wasm_module w  $TEST_NGINX_FILTERS/wapc_test.wasm memory=1024m cpu_time=60s;
    wasm_module wr $TEST_NGINX_FILTERS/wapc_test.wasm memory=1024m cpu_time=60s isolation=request;
--- config
    location /e { client_max_body_size 40m; wasm_handler e function=echo; }
    location /er { client_max_body_size 40m; wasm_handler er function=echo; }
    location /w { client_max_body_size 40m; wasm_handler w function=echo; }
    location /wr { client_max_body_size 40m; wasm_handler wr function=echo; }
--- client eval
sub {
    my $body = substr(CORE::join('', map { "$_ abcdefghijklmnopqrstuvwxyz\n" } 1 .. 1_000_000), 0, 32 << 20);
    my @rows = length $body;
    for my $path (qw(/e /er /w /wr)) {
        my $before = ::memory('VmRSS');
        ::reset_peak();
        my ($head, $answer) = post($path, $body);
        my $grown = ::memory('VmHWM') - $before;
        push @rows, "$path " . ($head =~ m{^HTTP/1.1 (\d+)})[0] . ($answer eq $body ? ' equal' : ' not equal')
            . ($grown < 6 * 32 ? ' bounded' : " grown by $grown MiB");
        Test::More::diag(sprintf "%s: %.0f MiB more at most", $path, $grown);
        # What is kept: an instance's own memory, where it has a state of its own.
        my $kept = ::memory('VmRSS') - $before;
        push @rows, $kept < ($path =~ /r$/ ? 24 : 4 * 32) ? 'given back' : "kept $kept MiB";
    }
    rows(@rows);
}
--- client_out
33554432
/e 200 equal bounded
given back
/er 200 equal bounded
given back
/w 200 equal bounded
given back
/wr 200 equal bounded
given back
--- no_error_log eval: $::alive
--- timeout: 300



=== TEST 2: 20,000 calls take no more memory than 5,000, traps among them
--- http_config
    wasm_module e  $TEST_NGINX_FILTERS/extism_test.wasm;
    wasm_module er $TEST_NGINX_FILTERS/extism_test.wasm isolation=request;
    wasm_module w  $TEST_NGINX_FILTERS/wapc_test.wasm;
    wasm_module wr $TEST_NGINX_FILTERS/wapc_test.wasm isolation=request;
    keepalive_requests 100000;
--- config
    location ~ ^/e/(\w+)$ { wasm_handler e function=$1; }
    location ~ ^/er/(\w+)$ { wasm_handler er function=$1; }
    location ~ ^/w/(\w+)$ { wasm_handler w function=$1; }
    location ~ ^/wr/(\w+)$ { wasm_handler wr function=$1; }
--- client eval
sub {
    my (%seen, $first);
    # Of 250 calls, 249 answer.
    my $calls = sub {
        my ($path, $trap) = @_;
        my $echo = "POST $path/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" . 'x' x 1000;
        my $last = "POST $path/$trap HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        my $all = ask($echo x 249 . $last);
        $seen{"$path $1"}++ while $all =~ m{HTTP/1\.1 (\d+)}g;
    };
    for my $quarter (1 .. 4) {
        for (1 .. 5) {
            $calls->($_, 'error_then_trap') for '/e', '/er';
            $calls->($_, 'panic') for '/w', '/wr';
        }
        $first //= ::memory('VmRSS');
    }
    my $grown = ::memory('VmRSS') - $first;
    Test::More::diag(sprintf '%.2f MiB more', $grown);
    rows((map { "$_: $seen{$_}" } sort keys %seen), $grown < 1 ? 'flat' : "grown by $grown MiB");
}
--- client_out
/e 200: 4980
/e 500: 20
/er 200: 4980
/er 500: 20
/w 200: 4980
/w 500: 20
/wr 200: 4980
/wr 500: 20
flat
--- no_error_log eval: $::alive
--- timeout: 300



=== TEST 3: reloads while calls wait: nothing is lost
--- workers: 2
--- http_config eval: $::directives->{http}
--- config eval
"http2 on; location /t { return 204; }\n$::directives->{server}"
--- user_files eval
[['version.wasm', ::file_of('headers')]]
--- client eval
sub {
    my $result = ::python('reload.py', JSON::PP::encode_json({
        conf => "$Test::Nginx::Util::ConfFile", pid => ::pid(), port => $ENV{TEST_NGINX_SERVER_PORT} + 0, workers => 2,
        reloads => 9, warm => 3, guest => Test::Nginx::Util::html_dir() . '/version.wasm', kinds => \@::kinds,
        environment => JSON::PP::decode_json($::environment)}));
    Test::More::diag("$result->{requests} requests in $result->{seconds} s, $result->{retries} of them asked again");
    rows(@{$result->{unexplained}}, @{$result->{stuck}}, $result->{right}{Http1} > 200 && $result->{right}{Http2} > 200 ? 'there was load' : 'no load');
}
--- client_out
there was load
--- no_error_log eval: $::alive
--- timeout: 600
