# The foreign function `resolve`: nginx's resolver answers by on_foreign_function.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use Servers;
use Wire;

our $alive = $Filtered::alive;
our $dns = Servers::dns($ENV{TEST_NGINX_PORT_8}, 'one.test=127.0.0.1', 'fail.test=servfail', 'late.test=late:127.0.0.9');

# The request asks, and waits for the answer. The stream context is the first one, so its number is 2.
sub asking {
    my ($name) = @_;
    return qq({"trace":true,"request_headers":[["call_foreign_function","resolve","$name","number"],["if",{"var":"status"},"0",[["action","pause"]]]],)
        . qq("foreign_function":[["log_body","foreign_arguments",0,-1],["effective_context",2],["continue","request"]]});
}

# What guests have logged of foreign functions, once there are so many lines.
sub told {
    my ($count) = @_;
    my @lines;
    wait_for(sub { (@lines = log_text() =~ /\[wasm\] (\w+: (?:on|body|call)_?[ ]?foreign.*?)(?:, client.*|$)/mg) >= $count });
    return join '', map { "$_\n" } @lines;
}

# Asks, and says whether there was an answer and what came of it.
sub asked {
    my ($count) = @_;
    my ($status) = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") =~ m{^HTTP/1.1 (\d+)};
    return "$status\n" . told($count);
}

our $resolver = 'resolver 127.0.0.1:$TEST_NGINX_PORT_8 ipv6=off;';

run_tests();

__DATA__

=== TEST 1: a name has an address, and the request goes on
--- http_config eval: $::resolver
--- filter eval: ::asking('one.test')
--- client eval: sub { ::asked(2) }
--- client_out
200
hostcalls: on_foreign_function id=1 function=1 size=13
hostcalls: body foreign_arguments 0 4294967295 = \x01\x00\x00\x00127.0.0.1
--- no_error_log eval: $::alive



=== TEST 2: one that takes its time, while the worker does other things
--- http_config eval: $::resolver
--- filter eval: ::asking('late.test')
--- client eval: sub { ::asked(2) }
--- client_out
200
hostcalls: on_foreign_function id=1 function=1 size=13
hostcalls: body foreign_arguments 0 4294967295 = \x01\x00\x00\x00127.0.0.9
--- no_error_log eval: $::alive



=== TEST 3: a name that has none: the number alone, and one line says why
--- http_config eval: $::resolver
--- filter eval: ::asking('fail.test')
--- client eval: sub { ::asked(2) }
--- client_out
200
hostcalls: on_foreign_function id=1 function=1 size=4
hostcalls: body foreign_arguments 0 4294967295 = \x01\x00\x00\x00
--- error_log eval: qr/\[error\] .*\[wasm\] hostcalls: fail\.test could not be resolved \(2: Server failure\)/
--- no_error_log eval: $::alive



=== TEST 4: no resolver
--- filter eval: ::asking('one.test')
--- request
GET /
--- error_code: 200
--- error_log
[wasm] hostcalls: no resolver defined to resolve one.test
on_foreign_function id=1 function=1 size=4
--- no_error_log eval: $::alive



=== TEST 5: what is no name is refused at once
--- http_config eval: $::resolver
--- filter
{"trace":true,"request_headers":[["call_foreign_function","resolve","","n"],["call_foreign_function","resolve","a b","n"],["call_foreign_function","resolve","127.0.0.1","n"],["call_foreign_function","resolve","one.test:80","n"],["call_foreign_function","resolve",{"hex":"ff"},"n"]]}
--- request
GET /
--- error_code: 200
--- guests_like eval: qr/foreign/
--- guests eval
"hostcalls: call_foreign_function resolve: status 2\n" x 5
--- no_error_log eval: $::alive



=== TEST 6: a root context asks when it is configured; in the check of the configuration nothing comes
--- http_config eval: $::resolver
--- filter
{"trace":true,"configure":[["call_foreign_function","resolve","one.test","n"]],"foreign_function":[["log_body","foreign_arguments",4,100]]}
--- client eval: sub { ::asked(2) }
--- client_out
200
hostcalls: on_foreign_function id=1 function=1 size=13
hostcalls: body foreign_arguments 4 100 = 127.0.0.1
--- no_error_log eval: $::alive



=== TEST 7: a client that leaves: the root context is told all the same
--- http_config eval: $::resolver
--- filter eval: ::asking('late.test')
--- client eval
sub {
    my $c = connection();
    $c->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(sub { log_has(qr/on_request_headers/) });
    $c->close;
    wait_for(sub { log_has(qr/on_foreign_function id=1/) });
    return 'told';
}
--- client_out chomp
told
--- no_error_log eval: $::alive



=== TEST 8: there is no such name
--- http_config eval: $::resolver
--- filter eval: ::asking('no.test')
--- client eval: sub { ::asked(2) }
--- client_out
200
hostcalls: on_foreign_function id=1 function=1 size=4
hostcalls: body foreign_arguments 0 4294967295 = \x01\x00\x00\x00
--- error_log eval: qr/\[error\] .*\[wasm\] hostcalls: no\.test could not be resolved \(3: Host not found\)/
--- no_error_log eval: $::alive



=== TEST 9: a thousand questions at a time
--- http_config eval: $::resolver
--- filter
{"request_headers":[["repeat",1001,[["call_foreign_function","resolve","late.test","n"]]]]}
--- request
GET /
--- error_code: 200
--- guests_like eval: qr/call_foreign/
--- guests
hostcalls: call_foreign_function resolve: status 10
--- no_error_log eval: $::alive
