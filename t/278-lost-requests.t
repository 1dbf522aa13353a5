# Reloads one after the other, with clients that keep their connections and others: requests of a location with a
# filter and shared data, beside those of a server without filters in the same nginx.
#
# On a kept connection nginx itself may close just when the client sends its next request, and any client has to ask
# again then (RFC 9112, section 9.3.1); a request on a fresh connection is never lost.

use Test::Nginx::Socket 'no_plan';
use Control;
use JSON::PP ();

no_long_string();
master_on();

run_tests();

__DATA__

=== TEST 1: reloads lose no request
--- workers: 2
--- log_level: warn
--- http_config
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
wasm_shared_data zone=d:1m;
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { wasm_filter a '{"request_headers":[["set_shared_data","k","v",0]]}'; return 200 ok; } }
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { return 200 ok; } }
--- config
location /t { return 204; }
--- init
my ($with, $without) = @ENV{qw(TEST_NGINX_PORT_1 TEST_NGINX_PORT_2)};
open(my $out, '-|', 'python3', '-B', "$ENV{TEST_NGINX_SUITE}/servers/reloads.py", main::pid(), 20, '/', $with, $without) or die "python3: $!";
my $counts = JSON::PP::decode_json(do { local $/; <$out> });
close $out or die "reloads.py: $?";
Test::More::diag("$_: " . JSON::PP->new->canonical->encode($counts->{$_})) for $with, $without;
Test::More::is($counts->{$with}{fresh}, 0, 'none on a fresh connection, with a filter');
Test::More::is($counts->{$without}{fresh}, 0, 'none on a fresh connection, without one');
Test::More::cmp_ok($counts->{$with}{kept}, '<=', 5 + 5 * $counts->{$without}{kept}, 'on kept connections not more than nginx itself loses');
Test::More::cmp_ok($counts->{$with}{right}, '>', 100, 'there was load');
--- request
GET /t
--- error_code: 204
--- no_error_log
[alert]
[emerg]
[crit]
panicked
