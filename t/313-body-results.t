# What 2 and 3 of a body callback do to request bodies, buffered and streamed; 3 to a piece that was held before.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;

log_level('info');
no_long_string();
no_root_location();

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $modules = module_lines('b') . <<'_EOC_';
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
proxy_http_version 1.1;
_EOC_
our $open = '"request_headers":[["let","n","0"],["remove_header","request","content-length"]]';

# The answer to a body of three pieces, in chunks; each is sent when the filter has seen the one before. Where
# nginx reads the whole body first, the filter sees one piece.
sub pieces {
    my $c = connection();
    $c->write(post_head('/', undef));
    my $number;
    for my $piece (qw(first second third)) {
        $c->write(piece($piece));
        until_logged('b: on_request_body', ++$number);
    }
    $c->write("0\r\n\r\n");
    return $c->answer;
}

sub streamed {
    my $operations = shift;
    return qq~location / { proxy_request_buffering off; wasm_filter b '{"trace":true,$main::open,"request_body":[$operations]}'; proxy_pass http://up; }~;
}

run_tests();

__DATA__

=== TEST 1: 3 drops what the filter sees; the end goes on
--- http_config eval: $::modules
--- config eval: main::streamed('["action","3"],["if_end_of_stream",[["action","continue"],["set_body","request",0,100,"end"]]]')
--- upstream eval: recorder()
--- client eval: sub { rows(main::pieces()) }
--- client_out
200 got end
--- guests_like eval: qr/on_request_body/
--- guests eval: qr/size=5 .*\n.*size=6 .*\n.*size=5 .*\n.*size=0 eos=true\n/
--- no_error_log eval: $::bad



=== TEST 2: 2 holds pieces that are not seen again; they go on before the next
--- http_config eval: $::modules
--- config eval: main::streamed('["action","2"],["if_end_of_stream",[["action","continue"],["set_body","request",0,0,"+"]]]')
--- upstream eval: recorder()
--- client eval: sub { rows(main::pieces()) }
--- client_out
200 got firstsecondthird+
--- guests_like eval: qr/on_request_body/
--- guests eval: qr/size=5 .*\n.*size=6 .*\n.*size=5 .*\n.*size=0 eos=true\n/
--- no_error_log eval: $::bad



=== TEST 3: 3 keeps what was held before, as Envoy does; it is not seen again
--- http_config eval: $::modules
--- config eval: main::streamed('["action","pause"],["let","n",{"add":[{"var":"n"},1]}],["if",{"var":"n"},"2",[["action","3"]]],["if_end_of_stream",[["action","continue"]]]')
--- upstream eval: recorder()
--- client eval: sub { rows(main::pieces()) }
--- client_out
200 got firstsecondthird
--- guests_like eval: qr/on_request_body/
--- guests eval: qr/size=5 .*\n.*size=11 .*\n.*size=5 .*\n/
--- no_error_log eval: $::bad



=== TEST 4: a body that nginx has read: parts of it are dropped, and what is left has the right length
--- http_config eval: $::modules
--- config eval: qq~location / { client_body_buffer_size 8k; wasm_filter b '{"trace":true,"request_body":[["action","3"],["if_end_of_stream",[["action","continue"]]]]}'; proxy_pass http://up; }~
--- upstream eval: recorder(quiet => 1)
--- client eval
sub {
    my $c = connection();
    $c->write(post_head('/', 200_000) . 'x' x 200_000);
    rows($c->answer);
}
--- client_out
200 got 3392
--- no_error_log eval: $::bad



=== TEST 5: 3 with the end: the end alone waits, and the body is empty
--- http_config eval: $::modules
--- config eval
qq~location / { wasm_filter b '{"trace":true,"request_body":[["action","3"]]}'; proxy_pass http://up; }~ . go_locations(['b'])
--- upstream eval: recorder()
--- client eval
sub {
    my $c = connection();
    $c->write(post_head('/', 9) . 'firstlast');
    until_logged('b: on_request_body');
    my $silent = $c->is_silent(0.2) ? 'silent' : 'not silent';
    go('b');
    rows($silent, $c->answer, framing());
}
--- client_out
silent
200 got 
length 0
--- no_error_log eval: $::bad
