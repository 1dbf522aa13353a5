# Key-value stores of components, in the shared data and on Redis, and Redis itself; guests of Spin's SDKs 5 and 7.

use Test::Nginx::Socket 'no_plan';
use Handler;
use Redis ();
use Servers;
use Wire;

log_level('info');
no_long_string();
timeout(300);

our ($plain, $secret) = @ENV{qw(TEST_NGINX_PORT_1 TEST_NGINX_PORT_2)};
our $redis = Servers::redis($plain);
our $locked = Servers::redis($secret, '--requirepass', 'all%of&it');
our $clean = $Handler::clean;
our $alive = $Handler::alive;
our $modules = <<"_EOC_";
wasm_cache \$TEST_NGINX_SERVROOT.cache;
wasm_key_value far    redis=127.0.0.1:$plain;
wasm_key_value locked redis=127.0.0.1:$secret password=all%of&it database=3;
wasm_key_value gone   redis=127.0.0.1:1;
wasm_module spin \$TEST_NGINX_FILTERS/component_spin.wasm
    allowed_outbound_hosts=redis://127.0.0.1:$plain,redis://127.0.0.1:$secret;
wasm_module spin5 \$TEST_NGINX_FILTERS/component_spin_p2.wasm;
_EOC_
our $locations = <<'_EOC_';
location /7/ { rewrite ^/7(.*)$ $1 break; wasm_handler spin; }
location /5/ { rewrite ^/5(.*)$ $1 break; wasm_handler spin5; }
_EOC_

# What the guest says to each of these paths.
sub said { return join '', map { (Handler::short($_, ''))[0] . "\n" } @_ }

# The same things to a store, by both SDKs.
sub store {
    my ($sdk, $store) = @_;
    my $at = "/$sdk/key-value";
    return said("$at/set?$store,a,1", "$at/get?$store,a", "$at/get?$store,none", "$at/exists?$store,a", "$at/exists?$store,none",
        "$at/set?$store,b,", "$at/get?$store,b", "$at/keys?$store", "$at/delete?$store,a", "$at/delete?$store,none", "$at/keys?$store");
}

our $stored = <<'_EOC_';
200 ()
200 1
200 none
200 true
200 false
200 ()
200 
200 a b
200 ()
200 ()
200 b
_EOC_

# What `nginx -t` says of this in the http block: the mistake, or "ok".
sub nginx_t {
    my $directive = shift;
    my $html = html_dir();
    open my $out, '>', "$html/t.conf" or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $html/t.pid;\nevents {}\nhttp { $directive }\n";
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $ENV{TEST_NGINX_SERVER_ROOT}/ -e stderr -c $html/t.conf 2>&1`;
    return 'ok' if $? == 0;
    my ($mistake) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$/m or return $said;
    return $mistake;
}

run_tests();

__DATA__

=== TEST 1: the default store, in the shared data: each module has its own
--- http_config eval: $::modules
--- config eval: $::locations
--- client eval
sub { main::store(7, 'default') . main::store(5, 'default') }
--- client_out eval: $::stored x 2
--- no_error_log eval: $::clean



=== TEST 2: a store on Redis; with a password and a database of its own
--- http_config eval: $::modules
--- config eval: $::locations
--- init
Redis::redis($main::plain, 'FLUSHALL');
--- client eval
sub { my $seven = main::store(7, 'far'); Redis::redis($main::plain, 'FLUSHALL'); $seven . main::store(5, 'far') . main::store(7, 'locked') }
--- client_out eval: $::stored x 3
--- no_error_log eval: $::clean



=== TEST 3: no such store; a server that is not there; a value that is no text to Redis
--- http_config eval: $::modules
--- config eval: $::locations
--- init
Redis::redis($main::plain, 'FLUSHALL');
Redis::redis($main::plain, 'RPUSH', 'list', 'x');
--- client eval
sub { main::said('/7/key-value/get?none,a', '/5/key-value/get?none,a', '/7/key-value/get?gone,a', '/7/key-value/get?far,list') }
--- client_out eval
qr/\A200 error: Error::NoSuchStore\n200 error: Error::NoSuchStore\n200 error: Error::Other\("[^"]*127\.0\.0\.1:1[^"]*"\)\n200 error: Error::Other\("the value is of another type"\)\n\z/
--- no_error_log eval: $::alive



=== TEST 4: a counter of all workers: nothing is lost between requests
--- http_config eval: $::modules
--- config eval: $::locations
--- client eval
sub { main::said(map { '/7/key-value/count?default,n' } 1 .. 20) }
--- client_out eval: join '', map { "200 $_\n" } 1 .. 20
--- no_error_log eval: $::clean



=== TEST 5: Redis by the address that the guest gives
--- http_config eval: $::modules
--- config eval: $::locations
--- init
Redis::redis($main::plain, 'FLUSHALL');
--- client eval
sub {
    my ($plain, $secret) = ("redis://127.0.0.1:$main::plain", "redis://:all%25of%26it\@127.0.0.1:$main::secret/2");
    main::said("/7/redis/set?$plain,k,v", "/7/redis/get?$plain,k", "/7/redis/get?$plain,none", "/7/redis/incr?$plain,n", "/7/redis/incr?$plain,k",
        "/7/redis/sadd?$plain,s,a,b,a", "/7/redis/smembers?$plain,s", "/7/redis/srem?$plain,s,a,c", "/7/redis/get?$plain,s", "/7/redis/del?$plain,k",
        "/7/redis/publish?$plain,c,m", "/7/redis/execute?$plain,ECHO,word", "/7/redis/execute?$plain,SUBSCRIBE,c",
        "/7/redis/set?$secret,k,w", "/7/redis/get?$secret,k");
}
--- client_out eval
<<'_'
200 ()
200 Some("v")
200 None
200 1
200 error: Error::Other("ERR value is not an integer or out of range")
200 2
200 a b
200 1
200 error: Error::TypeError
200 1
200 ()
200 [RedisResult::Binary([119, 111, 114, 100])]
200 error: Error::Other("the command SUBSCRIBE cannot be sent")
200 ()
200 Some("w")
_
--- no_error_log eval: $::clean



=== TEST 6: addresses that are not allowed, or none
--- http_config eval: $::modules
--- config eval: $::locations
--- client eval
sub { main::said(map { "/7/redis/get?$_,k" } 'redis://127.0.0.1:1', 'redis://other.example', "http://127.0.0.1:$main::plain", 'nonsense', '') }
--- client_out eval: "200 error: Error::InvalidAddress\n" x 5
--- no_error_log eval: $::alive



=== TEST 7: mistakes in wasm_key_value
--- config
location /t { return 204; }
--- init
my %mistakes = (
    'a redis=h:1' => qr/^ok$/,
    'a redis=h:1 user=u password=p database=2' => qr/^ok$/,
    'a x=1' => qr/^invalid parameter "x=1"$/,
    'a redis=' => qr/^invalid parameter "redis="$/,
    'a word' => qr/^invalid parameter "word"$/,
    'a user=x' => qr/^"wasm_key_value" must have "redis" parameter$/,
    'a redis=h:1 redis=h:2' => qr/^duplicate parameter "redis"$/,
    'a redis=h:1 user=x' => qr/^user= needs password=$/,
    'a redis=h:1 database=x' => qr/^invalid database "x"$/,
    'a redis=h:1?db=1' => qr/^invalid redis=: the database is for database=$/,
    '"" redis=h:1' => qr/^the name of a store must not be empty$/,
    'a redis=h:1; wasm_key_value a redis=h:1' => qr/^duplicate store "a"$/,
);
Test::More::like(main::nginx_t("wasm_key_value $_;"), $mistakes{$_}, $_) for sort keys %mistakes;
--- request
GET /t
--- error_code: 204
