use Test::Nginx::Socket 'no_plan';
use Filtered;
use Calling;
use Wire;
run_tests();

__DATA__

=== TEST 1: round robin
--- http_config
upstream two { server 127.0.0.1:$TEST_NGINX_PORT_1; server 127.0.0.1:$TEST_NGINX_PORT_2; }
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { return 200 "$server_port"; } }
--- config
    @calls;
--- client eval
sub { calls(map { ['two'] } 1 .. 4) }
--- client_out eval
"200 $ENV{TEST_NGINX_PORT_1}\n200 $ENV{TEST_NGINX_PORT_2}\n" x 2
