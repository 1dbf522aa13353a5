# wasm_redis_subscribe: components and plugins that get the messages of Redis channels.

use Test::Nginx::Socket 'no_plan';
use Control;
use Redis;
use Servers;

no_long_string();
timeout(300);

our ($plain, $coming) = @ENV{qw(TEST_NGINX_PORT_1 TEST_NGINX_PORT_2)};
our $redis = Servers::redis($plain);
our $filters = $ENV{TEST_NGINX_FILTERS};
our $clean = qr/\[(?:alert|crit|emerg|error)\]|panicked/;
our $alive = qr/\[(?:alert|crit|emerg)\]|panicked at (?!component_)/;

# Components of both SDKs: `seven` and `five`.
our $modules = join '', "wasm_cache \$TEST_NGINX_SERVROOT.cache;\n", map {
    "wasm_module $_->[0] $filters/component_messages$_->[1].wasm env=REDIS=redis://127.0.0.1:$plain"
        . " allowed_outbound_hosts=redis://127.0.0.1:$plain;\n"
} ['seven', ''], ['five', '_p2'];

sub script { return Redis::redis($plain, 'EVAL', $_[0], 0) }

# How many have subscribed to a channel.
sub subscribers {
    my ($count) = script("return redis.call('PUBSUB', 'NUMSUB', '$_[0]')[2]") =~ /^:(\d+)/;
    return $count;
}

sub subscribed {
    my ($channel, $count) = @_;
    Test::More::ok(wait_until(sub { subscribers($channel) == $count }), "$count subscribed to $channel");
}

sub publish { return Redis::redis($plain, 'PUBLISH', @_) }

# A list's members.
sub list { return (script("return table.concat(redis.call('LRANGE', '$_[0]', 0, -1), ' ')") =~ /\r\n(.*)\r\n/)[0] }

# Does a list become this?
sub becomes {
    my ($list, $expected, $what) = @_;
    wait_until(sub { length list($list) >= length $expected });
    Test::More::is(list($list), $expected, $what);
}

# What `nginx -t` says of this in the http block: the mistake, or "ok".
sub nginx_t {
    my $directives = shift;
    open my $out, '>', "$html/t.conf" or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $html/t.pid;\nevents {}\nhttp { wasm_cache $ENV{TEST_NGINX_SERVROOT}.cache; $directives }\n";
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $ENV{TEST_NGINX_SERVER_ROOT}/ -e stderr -c $html/t.conf 2>&1`;
    return 'ok' if $? == 0;
    my ($mistake) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$/m or return $said;
    return $mistake;
}

run_tests();

__DATA__

=== TEST 1: messages in their order, one after the other, by components of both SDKs; from several channels
--- workers: 1
--- http_config eval
$::modules . "wasm_redis_subscribe 127.0.0.1:$::plain first second seven;\nwasm_redis_subscribe 127.0.0.1:$::plain first five;\n"
--- config
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('first', 2);
main::subscribed('second', 1);
main::publish('first', "push order $_") for 1 .. 30;
main::publish('second', 'push last a');
main::publish('second', 'push last b');
main::becomes('last', 'a b', 'the other channel');
main::wait_until(sub { (() = main::list('order') =~ /\d+/g) == 60 });
my %count;
$count{$_}++ for split ' ', main::list('order');
Test::More::is_deeply([@count{1 .. 30}], [(2) x 30], 'each message once for each of the two');
main::publish('second', "push alone $_") for 1 .. 30;
main::becomes('alone', join(' ', 1 .. 30), 'in their order');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::clean



=== TEST 2: each worker subscribes
--- workers: 3
--- http_config eval
$::modules . "wasm_redis_subscribe 127.0.0.1:$::plain each seven;\n"
--- config
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('each', 3);
main::publish('each', 'push each x');
main::becomes('each', 'x x x', 'all three');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::clean



=== TEST 3: once=yes: one of all workers subscribes; another one does when it is killed
--- workers: 3
--- http_config eval
$::modules . "wasm_redis_subscribe 127.0.0.1:$::plain once seven once=yes;\n"
--- config
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('once', 1);
main::publish('once', 'push once a');
main::becomes('once', 'a', 'one of them');
my $master = main::pid();
my @first = main::workers_of($master);
# Whichever has subscribed is among them.
kill KILL => @first;
main::wait_until(sub { my @now = main::workers_of($master); @now == 3 && !grep { my $pid = $_; grep { $_ == $pid } @first } @now });
main::subscribed('once', 1);
main::publish('once', 'push once b');
main::becomes('once', 'a b', 'one of the new ones');
Test::More::is(main::subscribers('once'), 1, 'and no other');
--- request
GET /t
--- error_code: 204
--- error_log
exited on signal 9
--- no_error_log eval: qr/\[(?:crit|emerg|error)\]|panicked/



=== TEST 4: a reload: the new workers subscribe, and the old ones no more
--- workers: 2
--- http_config eval
$::modules . "wasm_redis_subscribe 127.0.0.1:$::plain each seven;\nwasm_redis_subscribe 127.0.0.1:$::plain once seven once=yes;\n"
--- config
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('each', 2);
main::subscribed('once', 1);
for my $round (1 .. 3) {
    my $master = main::pid();
    my @old = main::workers_of($master);
    kill HUP => $master;
    Test::More::ok(main::wait_until(sub { my @now = main::workers_of($master); @now == 2 && !grep { my $pid = $_; grep { $_ == $pid } @old } @now }), "new workers $round");
    main::subscribed('each', 2);
    main::subscribed('once', 1);
    main::publish('once', "push once $round");
    main::becomes('once', join(' ', 1 .. $round), 'once');
}
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::clean



=== TEST 5: a worker that is told to quit does so; what has come is handled before
--- workers: 1
--- http_config eval
$::modules . "wasm_redis_subscribe 127.0.0.1:$::plain quits seven;\n"
--- config
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('quits', 1);
main::publish('quits', "push quits $_") for 1 .. 100;
main::wait_until(sub { main::list('quits') =~ /1/ });
Test::More::ok(main::quit(), 'nginx has quit');
main::subscribed('quits', 0);
my $handled = main::list('quits');
my $count = () = $handled =~ /\d+/g;
Test::More::is($handled, join(' ', 1 .. $count), "the first $count, in their order");
main::start();
main::subscribed('quits', 1);
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::clean



=== TEST 6: what fails costs the message, and a line
--- workers: 1
--- http_config eval
$::modules =~ s/(_p2|messages)\.wasm /$1.wasm cpu_time=100ms /gr
    . "wasm_redis_subscribe 127.0.0.1:$::plain fails seven;\nwasm_redis_subscribe 127.0.0.1:$::plain fails five;\n"
    . "server { listen unix:\$TEST_NGINX_SERVER_ROOT/metrics.sock; }\n"
--- config
location /metrics { wasm_metrics; }
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('fails', 2);
main::publish('fails', $_) for 'fail as it is asked', 'trap', 'nonsense', "\xff", 'say hello', 'push fails on';
main::becomes('fails', 'on on', 'both go on');
main::publish('fails', 'spin');
main::publish('fails', 'push fails still');
main::becomes('fails', 'on on still still', 'a loop is ended');
for my $counted ('failed"} 5', 'handled"} 3') {
    my $line = qq(nginx_wasm_messages_total{module="seven",outcome="$counted\n);
    Test::More::ok(main::wait_until(sub { index(main::body_of(main::get('/metrics')), $line) >= 0 }), "counted: $counted");
}
--- request
GET /t
--- error_code: 204
--- error_log eval
[
    qr/\[error\] .*\[wasm\] seven: subscription to 127\.0\.0\.1:\d+: a message failed: the component answers the error: as it is asked/,
    qr/\[error\] .*\[wasm\] five: subscription to \S+: a message failed: the component answers the error: error/,
    qr/\[error\] .*\[wasm\] seven: subscription to \S+: a message failed: .*unreachable/,
    qr/\[error\] .*\[wasm\] five: subscription to \S+: a message failed: .*unreachable/,
    qr/\[error\] .*\[wasm\] seven: subscription to \S+: a message failed: .*over cpu_time=100ms/,
    qr/\[info\] .*\[wasm\] seven: hello/,
    qr/\[info\] .*\[wasm\] five: hello/,
]
--- no_error_log eval: $::alive



=== TEST 7: a server that comes later, goes and comes again
--- workers: 1
--- http_config eval
$::modules . "wasm_redis_subscribe 127.0.0.1:$::coming late seven;\n"
--- config
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
Test::More::ok(main::wait_for(qr/connect\(\) to \S+ failed .*; tried again in $_ s/), "again in $_ s") for 1, 2;
my $count = sub { (Redis::redis($main::coming, 'EVAL', "return redis.call('PUBSUB', 'NUMSUB', 'late')[2]", 0) =~ /^:(\d+)/)[0] };
for my $round (1, 2) {
    my $server = Servers::redis($main::coming);
    Test::More::ok(main::wait_until(sub { $count->() == 1 }), "subscribed $round");
    Redis::redis($main::coming, 'PUBLISH', 'late', "push late $round");
    main::becomes('late', join(' ', 1 .. $round), 'handled');
    $server->stop;
    my $told = main::wait_for(qr/\[error\].*subscription to .*(?:closed|reset).*tried again in/, $round);
    Test::More::is($told, $round, 'the end is told');
}
--- request
GET /t
--- error_code: 204
--- error_log eval
[qr/\[notice\] .*\[wasm\] seven: subscription to \S+: subscribed again, \d+ s after it was lost/]
--- no_error_log eval: $::alive



=== TEST 8: more messages than may wait, and one that is too large
--- workers: 1
--- http_config eval
$::modules =~ s/(_p2|messages)\.wasm /$1.wasm cpu_time=1s queue=3 /gr
    . "wasm_call_buffer_size 1k;\nwasm_redis_subscribe 127.0.0.1:$::plain many seven;\n"
--- config
location /metrics { wasm_metrics; }
location /t { return 204; }
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('many', 1);
main::publish('many', 'push many ' . 'x' x 1024);
main::publish('many', 'spin');
main::publish('many', "push many $_") for 1 .. 50;
Test::More::ok(main::wait_for(qr/messages dropped/), 'the log says so');
my $ends = 0;
# It may be dropped as well.
main::wait_until(sub { $ends++; main::publish('many', 'push many end'); main::list('many') =~ /end/ });
my @got = split ' ', main::list('many');
my @numbers = grep { /\d/ } @got;
Test::More::is(join(' ', sort { $a <=> $b } @numbers), join(' ', @numbers), 'what was not dropped is in order');
my $handled = sub { scalar split ' ', main::list('many') };
my $dropped = sub { (main::body_of(main::get('/metrics')) =~ /nginx_wasm_messages_total\{module="seven",outcome="dropped"\} (\d+)/)[0] };
Test::More::ok(main::wait_until(sub { $handled->() + $dropped->() == 50 + 1 + $ends }), 'all that are not there are counted');
--- request
GET /t
--- error_code: 204
--- error_log eval
[qr/\[error\] .*\[wasm\] seven: subscription to \S+: a message larger than 1024 bytes is dropped/, qr/\d+ messages dropped: as many wait as queue= says/]
--- no_error_log eval: $::alive



=== TEST 9: plugins: a function of Extism's, which makes a request, and an operation of waPC's
--- workers: 1
--- http_config eval
qq(wasm_module out $::filters/extism_call_out.wasm config=url:http://127.0.0.1:\$TEST_NGINX_SERVER_PORT/called allowed_hosts=127.0.0.1;
wasm_module wapc $::filters/wapc_test.wasm;
wasm_redis_subscribe 127.0.0.1:$::plain plugin out;
wasm_redis_subscribe 127.0.0.1:$::plain plugin wapc function=log;
wasm_redis_subscribe 127.0.0.1:$::plain plugin wapc function=panic;
)
--- config
location /called { access_log $TEST_NGINX_SERVER_ROOT/logs/called.log; return 200 "fine"; }
location /t { return 204; }
--- init
main::subscribed('plugin', 3);
main::publish('plugin', 'a=1');
Test::More::ok(main::wait_until(sub { open my $in, '<', "$main::root/logs/called.log" or return 0; join('', <$in>) =~ m{GET /called\?a=1} }), 'the request was made');
Test::More::ok(main::wait_for(qr/a message failed/), 'one fails');
main::publish('plugin', 'a=2');
Test::More::ok(main::wait_for(qr/wapc: a=2/), 'the others go on');
--- request
GET /t
--- error_code: 204
--- error_log eval
[qr/\[wasm\] wapc: a=1/, qr/\[wasm\] wapc: a=2/, qr/\[error\] .*\[wasm\] wapc: subscription to \S+: a message failed: /]
--- no_error_log eval: qr/\[(?:alert|crit|emerg)\]/



=== TEST 10: mistakes
--- config
location /t { return 204; }
--- init
my $seven = "wasm_module m $main::filters/component_messages.wasm;";
my %mistakes = (
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m;" => 'ok',
    "wasm_redis_subscribe 127.0.0.1:6379 c m once=no user=u password=p; $seven" => 'ok',
    "$seven wasm_redis_subscribe rediss://redis.example:6380 c d e m once=yes;" => 'ok',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 m;" => 'wasm_redis_subscribe needs a server, channels and a wasm module',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c none;" => 'unknown wasm module "none"',
    "$seven wasm_redis_subscribe nowhere c m;" => qr/^there is no upstream "nowhere"; it must be the name of an upstream block, host:port/,
    "$seven wasm_redis_subscribe redis://u:p\@h:1 c m;" => qr/^invalid server "redis:\/\/u:p\@h:1" of wasm_redis_subscribe: user= and password= say/,
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m once=maybe;" => 'invalid "once=maybe": it is once=yes or once=no',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m once=yes once=no;" => 'duplicate parameter once= of wasm_redis_subscribe',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m user=a;" => 'user= needs password=',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m password=;" => 'invalid parameter "password="',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 '' m;" => 'the name of a channel must not be empty',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m function=f;" => 'wasm module "m" is a component: function= is for plugins alone',
    "$seven wasm_redis_subscribe 127.0.0.1:6379 c m; wasm_redis_subscribe 127.0.0.1:6379 c m;" => 'duplicate wasm_redis_subscribe',
    "wasm_module m $main::filters/component_hello.wasm; wasm_redis_subscribe 127.0.0.1:6379 c m;" => qr/^wasm module "m" is a component that takes no messages/,
    "wasm_module m $main::filters/http_headers.wasm; wasm_redis_subscribe 127.0.0.1:6379 c m;" => 'wasm module "m" is a Proxy-Wasm filter: messages are for components and plugins',
    "wasm_module m $main::filters/wapc_test.wasm; wasm_redis_subscribe 127.0.0.1:6379 c m;" => 'wasm module "m" is a waPC guest: name its operation by function=',
    "wasm_module m $main::filters/extism_test.wasm; wasm_redis_subscribe 127.0.0.1:6379 c m;" => qr/^wasm module "m" has several functions: name one by function= \(/,
    "$seven server { location / { wasm_handler m; } }" => 'wasm module "m" is a component that handles no requests: use wasm_redis_subscribe',
);
for my $given (sort keys %mistakes) {
    my $expected = $mistakes{$given};
    my $said = main::nginx_t($given);
    ref $expected ? Test::More::like($said, $expected, $given) : Test::More::is($said, $expected, $given);
}
--- request
GET /t
--- error_code: 204



=== TEST 11: a Spin application with a trigger for messages: one of all workers gets each
--- workers: 2
--- http_config
wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
my $folder = "$ENV{TEST_NGINX_SERVER_ROOT}-spin";
mkdir $folder;
unlink "$folder/component_messages.wasm";
symlink "$::filters/component_messages.wasm", "$folder/component_messages.wasm" or die $!;
open my $out, '>', "$folder/spin.toml" or die $!;
print $out <<"_EOC_";
spin_manifest_version = 2
[application]
name = "orders"
[variables]
channel = { default = "orders" }
[application.trigger.redis]
address = "redis://127.0.0.1:$::plain"
[[trigger.redis]]
channel = "{{ channel }}"
component = "taker"
[[trigger.http]]
route = "/health"
static_response = { body = "fine" }
[component.taker]
source = "component_messages.wasm"
allowed_outbound_hosts = ["redis://127.0.0.1:$::plain"]
environment = { REDIS = "redis://127.0.0.1:$::plain" }
_EOC_
close $out;
"location /a/ { wasm_spin $folder/spin.toml; }\nlocation /b/ { wasm_spin $folder/spin.toml; }\nlocation /t { return 204; }"
--- init
main::redis($main::plain, 'FLUSHALL');
main::subscribed('orders', 1);
main::publish('orders', 'push orders a');
main::publish('orders', 'push orders b');
main::becomes('orders', 'a b', 'each once');
Test::More::like(main::get('/b/health'), qr/fine\z/, 'the route beside it');
--- request
GET /t
--- error_code: 204
--- no_error_log eval: $::clean
