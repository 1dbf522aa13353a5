# Components among Proxy-Wasm filters: these see and change what goes in and what comes out, in pieces and as a whole.

use Test::Nginx::Socket 'no_plan';
use Service;
use Wire;

log_level('info');
no_long_string();

our $modules = Service::service_modules() . 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
# A location of each lab with a filter of this configuration.
sub filtered {
    my ($configuration, $directives) = @_;
    return Service::service_locations("wasm_filter a '$configuration'; " . ($directives // ''));
}
our $clean = $Service::clean;
our $alive = $Service::alive;

run_tests();

__DATA__

=== TEST 1: lines of the request and of the response
--- http_config eval: $::modules
--- config eval: main::filtered('{"request_headers":[["set_header","request","x-added","by a filter"]],"response_headers":[["set_header","response","x-out","1"]]}')
--- client eval
sub {
    rows(map {
        my $answer = ask("GET /$_/request HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        join ', ', $answer =~ /^(x-out: \S+|x-added: .*?)\r?$/mg;
    } 2, 3);
}
--- client_out
x-out: 1, x-added: by a filter
x-out: 1, x-added: by a filter
--- no_error_log eval: $::clean



=== TEST 2: a filter changes the request's body before the component has it
--- http_config eval: $::modules
--- config eval: main::filtered('{"request_body":[["if_end_of_stream",[["set_body","request",0,3,"XYZ and "]]]]}')
--- client eval
sub { rows(map { short("/$_/echo", 'abcdef') } 2, 3) }
--- client_out
200 XYZ and def
200 XYZ and def
--- no_error_log eval: $::clean



=== TEST 3: a filter changes the response's body
--- http_config eval: $::modules
--- config eval: main::filtered('{"response_headers":[["remove_header","response","content-length"]],"response_body":[["if_end_of_stream",[["set_body","response",0,0,"<"]]]]}')
--- client eval
sub { rows(map { my ($head, $body) = asked("/$_/count", 'Connection: close')->message; $body } 2, 3) }
--- client_out
<1
<1
--- no_error_log eval: $::clean



=== TEST 4: a body that is larger than nginx's buffer, through filters before and after
--- http_config eval: $::modules
--- config eval: main::filtered('{"request_body":[["log_body_status","request"]],"response_body":[["log_body_status","response"]]}', 'client_max_body_size 0;')
--- client eval
sub {
    my $body = join '', map { sprintf "%08d", $_ } 1 .. 100_000;
    rows(map { (answered("/$_/echo", $body))[1] eq $body ? 'same' : 'other' } 2, 3);
}
--- client_out
same
same
--- no_error_log eval: $::clean



=== TEST 5: a filter that answers itself: the component is not asked
--- http_config eval: $::modules
--- config eval: main::filtered('{"request_headers":[["local_response",403,[],"no"],["action","pause"]]}')
--- client eval
sub { rows(map { short("/$_/print", '') =~ /^(\d+)/ } 2, 3) }
--- client_out
403
403
--- no_error_log
first
[alert]



=== TEST 6: a guest that fails behind the head: filters or not, the response is not whole
--- http_config eval: $::modules
--- config eval: main::filtered('{"response_body":[["log_body_status","response"]]}')
--- client eval
sub { rows(map { my ($head, $body) = asked("/$_/trap-late", 'Connection: close')->message; $body =~ /\(cut\)\z/ || $head =~ / 50\d / ? 'not whole' : "whole: $head$body" } 2, 3) }
--- client_out
not whole
not whole
--- no_error_log eval: $::alive
