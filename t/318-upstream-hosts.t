# proxy_get_upstream_hosts and proxy_set_upstream_override_host: the servers of the upstream that a location proxies to.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;
use JSON::PP ();

# Chooses the server that the request header x-choose names, then asks for all of them. Says the statuses of both, and the map, in pieces
# that are no longer than a line of nginx's log may be.
our $text = '(func $say (param $status i32)
    (i32.store8 (i32.const 17) (i32.add (local.get $status) (i32.const 48)))
    (drop (call $proxy_log (i32.const 2) (i32.const 16) (i32.const 2))))
    (func $say_map (param $at i32) (param $left i32) (local $piece i32)
        (loop $on
            (local.set $piece (select (local.get $left) (i32.const 256) (i32.lt_u (local.get $left) (i32.const 256))))
            (drop (call $proxy_log (i32.const 2) (local.get $at) (local.get $piece)))
            (local.set $at (i32.add (local.get $at) (local.get $piece)))
            (br_if $on (local.tee $left (i32.sub (local.get $left) (local.get $piece))))))
    (data (i32.const 16) "=?") (data (i32.const 32) "x-choose") (data (i32.const 64) "127.0.0.1:1")';
our $guest = guest(
    imports => [qw(proxy_log proxy_get_header_map_value proxy_get_upstream_hosts proxy_set_upstream_override_host)],
    fields => $text,
    request_headers => '
        (if (i32.eqz (call $proxy_get_header_map_value (i32.const 0) (i32.const 32) (i32.const 8) (i32.const 0) (i32.const 4)))
            (then (call $say (call $proxy_set_upstream_override_host (i32.load (i32.const 0)) (i32.load (i32.const 4))))))
        (call $say (call $proxy_get_upstream_hosts (i32.const 0) (i32.const 4)))
        (call $say_map (i32.load (i32.const 0)) (i32.load (i32.const 4)))
        (i32.const 0)',
    # The response is there: too late.
    response_headers => '(call $say (call $proxy_set_upstream_override_host (i32.const 64) (i32.const 11))) (i32.const 0)',
);

our @ports = @ENV{map { "TEST_NGINX_PORT_$_" } 1 .. 4};
# Nobody listens there.
our $dead = $ENV{TEST_NGINX_PORT_9};

# Servers that answer with their number and the number of the connection. The fourth one fails.
our $servers = CORE::join '', map { "server { listen 127.0.0.1:$ports[$_ - 1]; location / { " . ($_ == 4 ? 'return 502;' : "return 200 '$_ \$connection';") . " } }\n" } 1 .. 4;
our $three = CORE::join ' ', map { "server 127.0.0.1:$_;" } @ports[0 .. 2];
our $start = "wasm_module m ../html/m.wat;\n$servers proxy_http_version 1.1; proxy_set_header Connection '';\n";

sub location {
    my ($name, $more) = @_;
    return "location /$name { wasm_filter m ''; add_header x-upstream \$upstream_addr always; @{[$more // qq(proxy_pass http://$name;)]} }\n";
}

# Number of the server, number of the connection, $upstream_addr and the status.
sub ask {
    my ($path, $choose) = @_;
    my $got = get($path, defined $choose ? "x-choose: $choose\r\n" : '');
    my ($status) = $got =~ m{\AHTTP/1.1 (\d+)};
    my ($upstream) = $got =~ /^x-upstream: (.*)\r$/m;
    my ($server, $connection) = split / /, body_of($got);
    return ($server, $connection, $upstream // '', $status);
}

# Statuses and maps that the guest has said since the last time.
our $read = 0;
sub said {
    my $text = do { local (@ARGV, $/) = $main::log; <> };
    my @all = $text =~ /\[wasm\] m: (.*?)(?: while [\w ]+)?(?:, client.*)?$/mg;
    my @new = @all[$read .. $#all];
    $read = @all;
    return @new;
}

# address => [health_status, {metric => value}]
sub hosts {
    my ($path, $count) = @_;
    said();
    ask($path);
    my $map = CORE::join '', grep { !/\A=/ } said();
    my %hosts;
    while ($map =~ /((?:127\.0\.0\.1|\[::1\]):\d+|unix:[^\\]*)\\x00(\{.*?\})\\x00/g) {
        my ($address, $json) = ($1, $2);
        my $host = JSON::PP::decode_json($json =~ s/\\x5C/\\/gr);
        $hosts{$address} = [$host->{health_status}, { $host->{metrics} =~ /^nginx_upstream_server_(\w+) (\d+)$/mg }];
    }
    return \%hosts;
}

sub address { return "127.0.0.1:$_[0]" }

no_long_string();
run_tests();

__DATA__

=== TEST 1: the chosen server answers, whatever balances the upstream
--- http_config eval
$::start . CORE::join '', map {
    my ($name, $method) = @$_;
    "upstream $name { $method->[0] $::three $method->[1] }\n"
} map { my ($n, @m) = @$_; [$n, \@m] }
    ['rr', '', ''], ['least', 'least_conn;', ''], ['ip', 'ip_hash;', ''], ['hash', 'hash $request_uri;', ''],
    ['chash', 'hash $request_uri consistent;', ''], ['random', 'random two least_conn;', ''], ['keep', '', 'keepalive 4;'],
    ['zone', 'zone z1 64k;', ''], ['all', 'zone z2 64k; random;', 'keepalive 4;'], ['zchash', 'zone z3 64k; hash $request_uri consistent;', 'keepalive 1;']
--- config eval
CORE::join '', map { main::location($_) } qw(rr least ip hash chash random keep zone all zchash)
--- user_files eval: ">>> m.wat\n$::guest"
--- init
for my $kind (qw(rr least ip hash chash random keep zone all zchash)) {
    my @wanted = (1, 3, 2, 2, 1, 3, 3, 1);
    my @got = map { (main::ask("/$kind", main::address($::ports[$_ - 1])))[0] } @wanted;
    Test::More::is_deeply(\@got, \@wanted, $kind);
    # So many that chance leaves none out.
    my %by = map { (main::ask("/$kind?$_"))[0] => 1 } 1 .. 100;
    Test::More::is_deeply([sort keys %by], $kind eq 'ip' ? [keys %by] : [1, 2, 3], "$kind: and without a choice, as ever");
}



=== TEST 2: a kept connection of the chosen server is used again
--- http_config eval
$::start . "upstream keep { $::three keepalive 4; }\nupstream zone { zone z 64k; least_conn; $::three keepalive 4; }\n"
--- config eval: main::location('keep') . main::location('zone')
--- user_files eval: ">>> m.wat\n$::guest"
--- init
for my $kind (qw(keep zone)) {
    my %connections;
    for (1 .. 4) {
        for my $server (1 .. 3) {
            my ($number, $connection) = main::ask("/$kind", main::address($::ports[$server - 1]));
            $connections{"$number $connection"}++;
        }
    }
    Test::More::is_deeply([values %connections], [4, 4, 4], "$kind: one connection to each server");
    Test::More::is((main::ask("/$kind"))[2] ne '', 1, "$kind: others use them, too");
    my $hosts = main::hosts("/$kind");
    Test::More::is_deeply([map { $_->[1]{active} } values %$hosts], [0, 0, 0], "$kind: no request is left");
}



=== TEST 3: what is told of the servers
--- http_config eval
$::start . "upstream kinds { zone z 64k; server 127.0.0.1:$::ports[0] weight=5; server 127.0.0.1:$::ports[1] down; server 127.0.0.1:$::ports[2] max_conns=7 backup;
    server [::1]:$::dead max_fails=3; server unix:/tmp/x.sock; }
upstream none { server 127.0.0.1:$::ports[0]; }\n"
--- config eval: main::location('kinds') . main::location('none', 'return 200;') . main::location('variable', 'set $up kinds; proxy_pass http://$up;') . main::location('plain', "proxy_pass http://127.0.0.1:$::ports[0];")
--- user_files eval: ">>> m.wat\n$::guest"
--- init
my $hosts = main::hosts('/kinds');
my %base = (active => 0, max_conns => 0, weight => 1, fails => 0);
Test::More::is_deeply($hosts, {
    main::address($::ports[0]) => ['Healthy', {%base, weight => 5}],
    main::address($::ports[1]) => ['Unhealthy', {%base}],
    main::address($::ports[2]) => ['Degraded', {%base, max_conns => 7}],
    "[::1]:$::dead" => ['Healthy', {%base}],
    'unix:/tmp/x.sock' => ['Healthy', {%base}],
}, 'servers of a block');
Test::More::is_deeply(main::hosts('/plain'), {main::address($::ports[0]) => ['Healthy', {%base}]}, 'without a block');
main::said();
main::ask($_) for qw(/none /variable);
my @said = grep { /\A=/ } main::said();
Test::More::is_deeply(\@said, ['=1', '=2', '=1', '=2'], 'no upstream, or none that is known yet; and too late');
# A variable's upstream is found when it is needed.
Test::More::is((main::ask('/variable', main::address($::ports[2])))[0], 3, 'a backup server, of a variable\'s upstream');
Test::More::is((main::ask('/kinds', main::address($::ports[0])))[0], 1, 'by another location');



=== TEST 4: when the chosen server fails, the others are tried, and its marks count
--- http_config eval
$::start . "upstream marks { zone z 64k; server 127.0.0.1:$::ports[0]; server 127.0.0.1:$::dead fail_timeout=60s; }
upstream unmarked { server 127.0.0.1:$::ports[0]; server 127.0.0.1:$::dead max_fails=0; }
upstream answers { server 127.0.0.1:$::ports[3] max_fails=2 fail_timeout=60s; server 127.0.0.1:$::ports[1]; keepalive 2; }
upstream backup { server 127.0.0.1:$::ports[3] max_fails=0; server 127.0.0.1:$::ports[2] backup; }\n"
--- config eval
main::location('marks') . main::location('unmarked') . main::location('answers', 'proxy_pass http://answers; proxy_next_upstream error http_502;') . main::location('backup', 'proxy_pass http://backup; proxy_next_upstream http_502;')
 . main::location('once', 'proxy_pass http://unmarked; proxy_next_upstream off;')
--- user_files eval: ">>> m.wat\n$::guest"
--- init
my ($one, $two, $four, $dead) = map { main::address($_) } @::ports[0, 1, 3], $::dead;
Test::More::is_deeply([(main::ask('/marks', $dead))[0, 2]], [1, "$dead, $one"], 'another one answers');
Test::More::is(main::hosts('/marks')->{$dead}[0], 'Unhealthy', 'it is marked');
Test::More::is_deeply([(main::ask('/marks', $dead))[0, 2]], [1, $one], 'and not tried again');
Test::More::ok(scalar main::matches(qr/\[info\] .*\[wasm\] upstream "marks" chooses: \Q$dead\E, which a filter has chosen, is down or has failed/), 'as the log says');
for (1 .. 4) {
    Test::More::is_deeply([(main::ask('/unmarked', $dead))[0, 2]], [1, "$dead, $one"], "each is tried once: $_");
}
Test::More::is_deeply([(main::ask('/once', $dead))[2, 3]], [$dead, 502], 'proxy_next_upstream off');
my @tried = map { (main::ask('/answers', $four))[2] } 1 .. 3;
Test::More::is_deeply(\@tried, ["$four, $two", "$four, $two", $two], 'max_fails=2');
Test::More::is(main::hosts('/answers')->{$four}[1]{fails}, 2, 'are counted');
Test::More::is_deeply([(main::ask('/backup', $four))[0, 2]], [3, "$four, " . main::address($::ports[2])], 'a backup server is tried');
Test::More::is_deeply([(main::ask('/backup', main::address($::ports[2])))[0, 2]], [3, main::address($::ports[2])], 'or chosen');
--- no_error_log
[emerg]
[alert]
[crit]
panicked



=== TEST 5: choices that are none
--- http_config eval
$::start . "upstream three { $::three }\nupstream one { server 127.0.0.1:$::ports[1]; }\n"
--- config eval: main::location('three') . main::location('one')
--- user_files eval: ">>> m.wat\n$::guest"
--- init
for my $choice (main::address($::dead), 'nonsense', '127.0.0.1', '[::1]:80', 'a' x 256) {
    main::said();
    my ($server, undef, $upstream, $status) = main::ask('/three', $choice);
    Test::More::like($server // '', qr/\A[123]\z/, "$choice: the upstream chooses");
    Test::More::is((main::said())[0], '=0', "$choice: nothing is wrong");
}
Test::More::ok(scalar main::matches(qr/\[wasm\] upstream "three" chooses: nonsense, which a filter has chosen, is none of its servers/), 'as the log says');
main::ask('/three', 'a' x 257);
Test::More::is((main::said())[0], '=2', 'what is too long is refused');
Test::More::is((main::ask('/three', ''))[3], 200, 'an empty one');
Test::More::is((main::ask('/one', main::address($::dead)))[0], 2, 'an upstream of one server');



=== TEST 6: a guest of Higress' SDK
--- http_config eval
"wasm_module m $ENV{TEST_NGINX_FILTERS}/pick_host_go.wasm;\n$::servers
upstream up { zone z 64k; server 127.0.0.1:$::ports[0] weight=2; server 127.0.0.1:$::ports[1]; server 127.0.0.1:$::ports[2] backup; server 127.0.0.1:$::dead; }
server { listen 127.0.0.1:$ENV{TEST_NGINX_PORT_5}; location / { return 200; } }\n"
--- config eval: main::location('up')
--- init
Test::More::is((main::ask('/up'))[0], 1, 'all are idle: the first one');
Test::More::is((main::get('/up', 'x-server: ' . main::address($::ports[$_]) . "\r\n") =~ /\r\n\r\n(\d)/)[0], $_ + 1, "server $_ is named") for 0 .. 2;
Test::More::like(main::get('/up', 'x-server: ' . main::address($::dead) . "\r\n"), qr/^x-upstream: \Q127.0.0.1:$::dead, \E/m, 'a dead one is named');
Test::More::is((main::ask('/up'))[2], main::address($::ports[0]), 'and not taken for the best');
