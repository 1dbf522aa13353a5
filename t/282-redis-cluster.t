# Redis Cluster: redirections by servers whose answers are scripted, and a real cluster of two nodes. The guest of
# the last block is built on Higress' SDK for Go.

use Test::Nginx::Socket 'no_plan';
use Control;
use Redis;
use Servers;

no_long_string();

our ($one, $two, $a, $a_bus, $b, $b_bus, $none) = map { $ENV{"TEST_NGINX_PORT_$_"} } 1 .. 6, 9;
our @faults = map { Servers::redis_faults(tcp => $_) } $one, $two;
our $cluster = Servers::redis_cluster($a, $a_bus, $b, $b_bus);

our $modules = "wasm_module m $ENV{TEST_NGINX_FILTERS}/redis_calls.wasm log_rate=off;\nlarge_client_header_buffers 4 64k;\n";
our $location = sub {
    my ($path, $configuration) = @_;
    return "location $path { wasm_filter m '$configuration'; return 200 \"passed\\n\"; }\n";
};
our $any = $location->('/f', qq({"service":"127.0.0.1:$one","timeout_ms":60000}))
    . $location->('/c', qq({"service":"127.0.0.1:$a","timeout_ms":60000}))
    . 'location /t { return 204; }';
our $alive = qr/\[(?:alert|crit|emerg)\]|panicked/;

# The commands that a server has got since the last time, without the numbers of their connections.
my %seen;
sub main::got {
    my $port = shift;
    my @all = split / \| /, main::redis($port, 'LOG') =~ s/\A\$\d+\r\n|\r\n\z//gr;
    my @new = @all[$seen{$port} // 0 .. $#all];
    $seen{$port} = @all;
    return join ',', map { s/^\d+ //r } @new;
}

run_tests();

__DATA__

=== TEST 1: MOVED is followed, and remembered for the slot
--- http_config eval: $::modules
--- config eval: $::any
--- init
my ($one, $two) = ($main::one, $main::two);
main::got($_) for $one, $two;
Test::More::is(main::ask('/f', 'x-commands' => "GET at:$two"), "0 +$two\\r\\n\n", 'the other node');
Test::More::is(join(' ', map { main::got($_) } $one, $two), "GET at:$two GET at:$two", 'by way of the first one');
Test::More::is(main::ask('/f', 'x-commands' => "GET at:$two|GET at:$two|GET at:$one"), "0 +$two\\r\\n\n0 +$two\\r\\n\n0 +$one\\r\\n\n", 'again');
Test::More::is(join(' ', map { main::got($_) } $one, $two), "GET at:$one GET at:$two,GET at:$two", 'without it');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 2: ASK is followed for one command, behind ASKING
--- http_config eval: $::modules
--- config eval: $::any
--- init
my ($one, $two) = ($main::one, $main::two);
main::got($_) for $one, $two;
Test::More::is(main::ask('/f', 'x-commands' => "GET ask:$two|PING") =~ s/ASKING//r, "0 +asked $two\\r\\n\n0 +OK\\r\\n\n", 'the other node') for 1 .. 2;
Test::More::is(main::got($one), join(',', ("GET ask:$two,PING") x 2), 'the first one is asked each time');
Test::More::is(main::got($two), join(',', ("ASKING,GET ask:$two") x 2), 'ASKING is right before the command');
my $many = main::ask('/f', 'x-commands' => join '|', ("GET ask:$two", 'PING') x 50);
Test::More::is($many, "0 +asked $two\\r\\n\n0 +OK\\r\\n\n" x 50, 'also among others');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 3: redirections have an end, and those that lead nowhere are the guest's
--- http_config eval: $::modules
--- config eval: $::any
--- init
my ($one, $two) = ($main::one, $main::two);
main::got($_) for $one, $two;
Test::More::like(main::ask('/f', 'x-commands' => 'GET loop'), qr/\A0 -MOVED \d+ 127\.0\.0\.1:$one\\r\\n\n\z/, 'the last one');
Test::More::is(main::got($one), join(',', ('GET loop') x 6), 'five are followed');
for my $where (qw(nowhere 127.0.0.1:0 127.0.0.1:x a_b/c:1 :::)) {
    Test::More::is(main::ask('/f', 'x-commands' => "GET moved:$where") =~ s/MOVED \d+/MOVED/r, "0 -MOVED $where\\r\\n\n", $where);
}
Test::More::is(main::ask('/f', 'x-commands' => 'GET error:MOVED|GET error:MOVED%20x%20y:1|GET error:MOVED%2020000%20127.0.0.1:1|GET error:ASK'),
    "0 -MOVED\\r\\n\n0 -MOVED x y:1\\r\\n\n0 -MOVED 20000 127.0.0.1:1\\r\\n\n0 -ASK\\r\\n\n", 'what is none');
Test::More::like(main::ask('/f', 'x-commands' => "GET moved::$two|PING"), qr/\A0 -MOVED \d+ :$two/, 'a host that is left out is the same one');
Test::More::like(main::got($two), qr/\AGET moved::$two/, 'it was asked');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 4: a node that is not there: the call fails once, then the service itself is asked again
--- http_config eval: $::modules
--- config eval: $::any
--- init
my $key = "moved:127.0.0.1:$main::none";
Test::More::is(main::ask('/f', 'x-commands' => "GET $key"), "1 \n", 'told');
main::got($main::one);
Test::More::is(main::ask('/f', 'x-commands' => "GET $key"), "1 \n", 'told');
Test::More::like(main::got($main::one), qr/GET $key/, 'the service was asked');
--- request
GET /t
--- error_code: 204
--- error_log eval: qr/Redis call to "127.0.0.1:$::one" failed: connect\(\) to 127.0.0.1:$::none failed \(111: Connection refused\)/
--- no_error_log eval: $::alive



=== TEST 5: a real cluster: all keys, whatever the node, scripts by their first key, and a slot that moves
--- http_config eval: $::modules
--- config eval: $::any
--- init
my ($a, $b) = ($main::a, $main::b);
main::redis($_, 'FLUSHALL') for $a, $b;
my @keys = map { "key$_" } 1 .. 200;
Test::More::is(main::ask('/c', 'x-commands' => join '|', map { "SET $_ v$_" } @keys), "0 +OK\\r\\n\n" x 200, 'written');
Test::More::is(main::ask('/c', 'x-commands' => join '|', map { "GET $_" } @keys), join('', map { '0 $' . length("v$_") . "\\r\\nv$_\\r\\n\n" } @keys), 'read');
my @sizes = map { main::redis($_, 'DBSIZE') =~ s/\D//gr } $a, $b;
Test::More::ok($sizes[0] > 50 && $sizes[1] > 50 && $sizes[0] + $sizes[1] == 200, "on both nodes: @sizes");
Test::More::is(main::ask('/c', 'x-commands' => join '|', map { "EVAL return%20redis.call('INCR',KEYS[1]) 1 count$_" } 1 .. 20), "0 :1\\r\\n\n" x 20, 'scripts');
Test::More::is(main::ask('/c', 'x-commands' => 'MSET {t}1 a {t}2 b|MGET {t}1 {t}2'), "0 +OK\\r\\n\n0 *2\\r\\n\$1\\r\\na\\r\\n\$1\\r\\nb\\r\\n\n", 'hash tags');
my $id = sub { main::redis($_[0], 'CLUSTER', 'MYID') =~ /(\w{40})/; $1 };
my $slot = main::redis($a, 'CLUSTER', 'KEYSLOT', 'moving') =~ s/\D//gr;
my ($from, $to) = $slot < 8192 ? ($a, $b) : ($b, $a);
main::ask('/c', 'x-commands' => 'SET moving here');
main::redis($to, 'CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $id->($from));
main::redis($from, 'CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $id->($to));
main::redis($from, 'MIGRATE', '127.0.0.1', $to, 'moving', 0, 5000);
Test::More::is(main::ask('/c', 'x-commands' => 'GET moving'), "0 \$4\\r\\nhere\\r\\n\n", 'while it moves');
main::redis($_, 'CLUSTER', 'SETSLOT', $slot, 'NODE', $id->($to)) for $to, $from;
Test::More::is(main::ask('/c', 'x-commands' => 'GET moving|GET moving'), "0 \$4\\r\\nhere\\r\\n\n" x 2, 'and then');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: qr/\[error\]|$::alive/



=== TEST 6: a guest built on Higress' SDK: a quota that two nginx share
--- workers: 2
--- http_config eval: "wasm_module quota $ENV{TEST_NGINX_FILTERS}/redis_quota_go.wasm;"
--- config eval
my $quota = sub { "location $_[0] { wasm_filter quota 'service $_[1]\nlimit 3\nwindow 100\n'; return 200 \"served\\n\"; }\n" };
$quota->('/q', "127.0.0.1:$::a") . $quota->('/down', "127.0.0.1:$::none") . 'location /t { return 204; }'
--- init
main::redis($_, 'FLUSHALL') for $main::a, $main::b;
my $told = sub {
    my $answer = main::get($_[0], "x-user: $_[1]\r\n");
    return join ' ', ($answer =~ m{ (\d+) }, $answer =~ /x-quota-left: (\d+)/i, main::body_of($answer) =~ s/\n//r)[0 .. 2];
};
for my $user ('ada', 'bob') {
    Test::More::is(join(', ', map { $told->('/q', $user) } 1 .. 5), '200 2 served, 200 1 served, 200 0 served, 429 0 over the quota, 429 0 over the quota', $user);
}
my $left = main::ask('/q', 'x-user' => 'eve') && main::redis($main::a, 'TTL', 'quota:eve') . main::redis($main::b, 'TTL', 'quota:eve');
Test::More::like($left, qr/:(?:100|9\d)\r\n/, 'for a while');
Test::More::is($told->('/down', 'ada'), '200 3 served', 'Redis is away');
Test::More::is(scalar(@{[main::matches(qr/quota: no count: status 1, ""/)]}), 1, 'as the guest was told');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::alive
