# Components: processor time of streams, TLS of calls, of key-value stores and of subscriptions.

use Test::Nginx::Socket 'no_plan';
use Redis ();
use Servers;
use Service;
use Wire;

log_level('info');
no_long_string();
timeout(300);

our ($plain, $secure, $web) = @ENV{qw(TEST_NGINX_PORT_1 TEST_NGINX_PORT_2 TEST_NGINX_PORT_3)};
our $clean = $Service::clean;
our $alive = $Service::alive;
our $certificates = $Servers::certificates;
Servers::make_certificates();
our $redis = Servers::redis($plain, '--requirepass', 'all%of&it', '--tls-port', $secure, '--tls-auth-clients', 'no',
    '--tls-cert-file', "$certificates/server.pem", '--tls-key-file', "$certificates/server.key", '--tls-ca-cert-file', "$certificates/ca.pem");
our $trusts = "wasm_call_ssl_trusted_certificate $certificates/ca.pem;\n";

our $trusting = join '', map { "location /$_/trusts/ { rewrite ^/$_/trusts(.*)\$ \$1 break; $trusts wasm_handler lab$_; }\n" } 2, 3;

# The server without TLS.
sub redis {
    my $connection = Redis::open_redis($plain);
    Redis::reply_of($connection, 'AUTH', 'all%of&it');
    return Redis::reply_of($connection, @_);
}

# What the guest of Spin's SDK says to each of these paths.
sub said { return join '', map { Service::short($_, '') . "\n" } @_ }

run_tests();

__DATA__

=== TEST 1: pieces of a stream take more than cpu_time= in all; a loop does not
--- http_config eval: Service::service_modules('cpu_time=100ms')
--- config eval: Service::service_locations()
--- client eval
sub { rows(map { Service::short($_, '') =~ s/<.*//sr } '/2/pieces?30', '/3/pieces?30', '/2/spin', '/3/spin', '/2/pieces?1', '/3/pieces?1') }
--- client_out eval
("200 " . 'x' x 30 . "\n") x 2 . "504 \n" x 2 . "200 x\n" x 2
--- no_error_log eval: $::alive



=== TEST 2: https: by an upstream's name, and to a host; a server that is not trusted
--- http_config eval
Service::service_modules("allowed_outbound_hosts=https://127.0.0.1:$::web") . <<"_EOC_";
upstream localhost { server 127.0.0.1:$::web; }
server {
    listen 127.0.0.1:$::web ssl;
    ssl_certificate $::certificates/server.pem;
    ssl_certificate_key $::certificates/server.key;
    location / { return 200 "\$scheme \$request_uri \$http_host."; }
}
_EOC_
--- config eval
$::trusting . Service::service_locations()
--- client eval
sub {
    my $told = rows(map { my $lab = $_; map { Service::short("/$lab/$_", '') } 'trusts/proxy?https://localhost/a', "trusts/proxy?https://127.0.0.1:$main::web/b", 'proxy?https://localhost/c' } 2, 3);
    $told =~ s/127\.0\.0\.1:\d+/ADDRESS/g;
    $told;
}
--- client_out eval
Service::matching(<<'_' x 2)
200 200: https /a localhost\.
200 200: https /b ADDRESS\.
200 error: .*TlsCertificateError.*
_
--- no_error_log eval: $::alive



=== TEST 3: a key-value store, and Spin's Redis, over TLS with a password; a server that is not trusted
--- http_config eval
<<"_EOC_";
wasm_cache \$TEST_NGINX_SERVROOT.cache;
wasm_key_value safe redis=rediss://127.0.0.1:$::secure password=all%of&it database=2;
wasm_module spin \$TEST_NGINX_FILTERS/component_spin.wasm allowed_outbound_hosts=rediss://127.0.0.1:$::secure;
_EOC_
--- config eval
"location /trusts/ { rewrite ^/trusts(.*)\$ \$1 break; $::trusts wasm_handler spin; }\nlocation /not/ { rewrite ^/not(.*)\$ \$1 break; wasm_handler spin; }"
--- client eval
sub {
    main::redis('FLUSHALL');
    my $server = "rediss://:all%25of&it\@127.0.0.1:$main::secure/2";
    main::said('/trusts/key-value/set?safe,a,1', '/trusts/key-value/get?safe,a', "/trusts/redis/get?$server,a", '/not/key-value/get?safe,a');
}
--- client_out eval
Service::matching(<<'_')
200 \(\)
200 1
200 Some\("1"\)
200 error: Error::Other\(".*certificate.*"\)
_
--- no_error_log eval: $::alive



=== TEST 4: a subscription over TLS with a password; one with a wrong password
--- http_config eval
<<"_EOC_";
$::trusts
wasm_cache \$TEST_NGINX_SERVROOT.cache;
wasm_module taker \$TEST_NGINX_FILTERS/component_messages.wasm;
wasm_redis_subscribe rediss://127.0.0.1:$::secure safe taker password=all%of&it;
wasm_redis_subscribe rediss://127.0.0.1:$::secure wrong taker password=wrong;
_EOC_
--- config
location /t { return 204; }
--- client eval
sub {
    Wire::wait_for(sub { main::redis('EVAL', "return redis.call('PUBSUB', 'NUMSUB', 'safe')[2]", 0) =~ /^:1/ });
    main::redis('PUBLISH', 'safe', 'say hello over TLS');
    rows(map { Wire::log_has($_) } qr/\[wasm\] taker: hello over TLS/, qr/taker: subscription to 127\.0\.0\.1:\d+: AUTH was refused: WRONGPASS .*; tried again in 1 s/);
}
--- client_out
1
1
--- no_error_log eval: $::alive
