# Components in nginx's processes: threads, reloads under load, places and who waits for one.

use Test::Nginx::Socket 'no_plan';
use Control;

no_long_string();
timeout(300);

our $modules = 'wasm_cache $TEST_NGINX_SERVROOT.cache; wasm_module lab2 $TEST_NGINX_FILTERS/component_lab.wasm; wasm_module lab3 $TEST_NGINX_FILTERS/component_lab_p3.wasm;';
our $locations = join '', map { "location /$_/ { rewrite ^/$_(.*)\$ \$1 break; wasm_handler lab$_; }\n" } 2, 3;

sub threads {
    opendir my $tasks, "/proc/$_[0]/task" or die "no process $_[0]: $!";
    return scalar grep { /^\d/ } readdir $tasks;
}

# A request to one of the labs; its body without chunks.
sub ask {
    my ($path) = @_;
    my $body = main::body_of(main::get($path));
    $body =~ s/^[0-9a-f]+\r\n|\r\n0\r\n\r\n\z//g;
    return $body;
}

run_tests();

__DATA__

=== TEST 1: a worker has the thread that ticks beside its own, whatever guests do; the master has none
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::locations . 'location /t { return 204; }'
--- init
my ($worker) = main::workers_of(main::pid());
for my $version (2, 3) {
    Test::More::is(main::ask("/$version/sleep?20"), 'slept', "version $version: a guest that sleeps");
    Test::More::like(main::ask("/$version/clock"), qr/^\d+ 0$/, 'one that looks at the clock');
    Test::More::like(main::ask("/$version/lookup?a.example"), qr/^error/, 'one that wants a name');
    Test::More::like(main::ask("/$version/connect?127.0.0.1:1"), qr/^error/, 'one that wants a socket');
    Test::More::like(main::ask("/$version/read?/etc/passwd"), qr/^error/, 'one that wants a file');
}
Test::More::is(main::threads($worker), 2, 'threads of the worker');
Test::More::is(main::threads(main::pid()), 1, 'threads of the master');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
panicked



=== TEST 2: workers have random numbers of their own
--- workers: 2
--- http_config eval: $::modules
--- config eval: $::locations . 'location /t { return 204; }'
--- init
my %seen;
for my $version (2, 3) {
    $seen{main::ask("/$version/random")}++ for 1 .. 20;
}
Test::More::is(scalar keys %seen, 40, 'forty different ones');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]



=== TEST 3: requests that are under way come to their end over a reload; no request fails
--- workers: 1
--- http_config eval: $::modules
--- config eval: $::locations . 'location /t { return 204; }'
--- init
my ($old) = main::workers_of(main::pid());
my @open = map { my $c = main::connection(); print $c "POST /$_/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc"; main::receive($c, qr/abc/); $c } 2, 3;
kill HUP => main::pid();
my ($failed, $asked) = (0, 0);
main::wait_until(sub {
    for my $version (2, 3) {
        $asked++;
        $failed++ if main::ask("/$version/count") ne '1';
    }
    return grep { $_ != $old } main::workers_of(main::pid());
});
for (1 .. 20) {
    for my $version (2, 3) {
        $failed++ if main::ask("/$version/count") ne '1';
    }
}
Test::More::is($failed, 0, 'no request has failed');
for my $connection (@open) {
    print $connection 'def';
    Test::More::like(main::receive($connection), qr/def/, 'one that began before is answered');
}
Test::More::ok(main::wait_until(sub { !main::is_alive($old) }), 'the old worker is gone');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[error]



=== TEST 4: instances= and queue=: who waits, and who is too many
--- workers: 1
--- http_config
wasm_cache $TEST_NGINX_SERVROOT.cache;
wasm_module one $TEST_NGINX_FILTERS/component_lab.wasm instances=1 queue=1;
--- config
    location /x/ { rewrite ^/x(.*)$ $1 break; wasm_handler one; }
    location /t { return 204; }
    location /status { stub_status; }
--- init
my $open = sub { my $c = main::connection(); print $c "POST $_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\na"; $c };
my $first = $open->('/x/echo');
main::receive($first, qr/a/);
my $second = $open->('/x/echo');
main::wait_until(sub { main::get('/status') =~ /Writing: 3/ });
Test::More::like($_, qr/ 503 /, 'the third is too many') for main::get('/x/count');
print $first 'b';
Test::More::like(main::receive($first), qr/b/, 'the first has its answer');
print $second 'b';
Test::More::like(main::receive($second), qr/ 200 /, 'and so the second');
--- request
GET /t
--- error_code: 204
--- error_log
[wasm] one: all of instances= are in use, and queue= is full
