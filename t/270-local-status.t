# A local response whose status cannot be sent is a 500, at once, with a line in the log: from each callback, also for a guest that pauses.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;

our @statuses = (0, 1, 99, 100, 101, 103, 199, 1000, 65736, 99999, 4294967295);

run_tests();

__DATA__

=== TEST 1: each such status, of a guest that pauses
--- filter eval
'{"request_headers":[' . CORE::join(',', map { qq(["if_path","/$_/",[["local_response",$_,[["x-own","1"]],"own"],["action","pause"]]]) } @::statuses) . ']}'
--- config
    wasm_pause_timeout 1h;
    location / { @filter; proxy_pass http://up; }
--- client eval
sub {
    my $connection = connection();
    CORE::join ' ', map { $connection->write("GET /$_/ HTTP/1.1\r\nHost: h\r\n\r\n"); $connection->answer } @::statuses;
}
--- client_out eval: CORE::join ' ', ('500 own') x @::statuses
--- guests eval: rows(map { "hostcalls: sent a local response with the status $_, which cannot be sent; it becomes 500" } @::statuses)
--- no_error_log eval: $Filtered::alive



=== TEST 2: from each callback, also by another context; a gRPC client is told in its way
--- config
    wasm_pause_timeout 1h;
    location /call { return 204; }
    location /headers/ { wasm_filter hostcalls '{"request_headers":[["local_response",0,[],"own"],["action","pause"]]}'; proxy_pass http://up; }
    location /body/ { wasm_filter hostcalls '{"request_body":[["local_response",99999,[],"own"],["action","pause"]]}'; proxy_pass http://up; }
    location /answer/ { wasm_filter hostcalls '{"request_headers":[["http_call","a","127.0.0.1:$TEST_NGINX_SERVER_PORT",[[":method","GET"],[":path","/call"],[":authority","h"]],"",[],5000],["action","pause"]],"http_call_response":[["local_response",100,[],"own"]]}'; proxy_pass http://up; }
    location /response/ { wasm_filter hostcalls '{"response_headers":[["local_response",101,[],"own"],["action","pause"]]}'; proxy_pass http://up; }
    location /late/ { wasm_filter hostcalls '{"response_body":[["local_response",0,[],"own"],["action","pause"]]}'; proxy_pass http://up; }
--- client eval
sub {
    my $ask = sub { ask("POST /$_[0]/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n$_[1]\r\nbody") };
    my $got = CORE::join '', map { my $answer = $ask->($_, ''); "$_ " . ($answer =~ m{\AHTTP/1\.1 (\d+)})[0] . ' ' . ($answer =~ /\r\n\r\n(.*)\z/s)[0] . "\n" } qw(headers body answer response late);
    my $grpc = $ask->('headers', "Content-Type: application/grpc\r\n");
    $got . CORE::join ' ', $grpc =~ m{\AHTTP/1\.1 (\d+)}, $grpc =~ /^grpc-status: (\d+)/m;
}
--- client_out chomp
headers 500 own
body 500 own
answer 500 own
response 500 own
late 500 own
200 2
--- guests_like eval: qr/becomes/
--- guests eval: qr/\A(?:hostcalls: sent a local response with the status \d+, which cannot be sent; it becomes 500.*\n){6}\z/
--- no_error_log eval: $Filtered::alive
