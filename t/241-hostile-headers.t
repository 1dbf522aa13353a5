# Nothing that a guest gives as a header's name or value breaks the protocol around it: towards the upstream, the client, and servers
# that it calls, over HTTP/1 and HTTP/2. (Requests' and responses' own maps are in 050 and 051, too.)

use Test::Nginx::Socket 'no_plan';
use Calls;
use Hostile ();
use JSON::PP ();
use Servers;
use Wire;
use Wire::H2;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;

# What would end a line, a header or a string, alone and with what comes behind it.
our @evil = ('610d0a582d4576696c3a2031', '610a582d4576696c3a2031', '610d582d4576696c3a2031', '0d0a0d0a4556494c', '610061', '0d', '0a', '00');
our @names = ('782d610d0a782d6576696c', '782d610a', '782d6100', '', '7820', '782d613a', '782d61e4', '20782d61', '0d0a');

sub evil_values { my $name = shift; return map { [$name, { hex => $_ }] } @evil }
sub evil_names { return map { [{ hex => $_ }, 'v'] } @names }

run_tests();

__DATA__

=== TEST 1: local responses
--- http_config eval: $::module
--- config eval
my $all = 0;
CORE::join '', map { ::location('/' . $all++ . '/', {request_headers => [['local_response', 200, [['x-good', '1'], $_], 'body']]}) } ::evil_values('x-a'), ::evil_names()
--- client eval
sub {
    my $count = @::evil + @::names;
    my $h2 = 0;
    for my $one (0 .. $count - 1) {
        my $answer = ask("GET /$one/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        return "$one: $answer" if $answer =~ /evil/i || $answer =~ /\0/ || $answer !~ m{\AHTTP/1\.1 [25]\d\d [^\r\n]*\r\n(?:[\w-]+: [^\r\n\0]*\r\n)+\r\n(?:body|.*<html>.*)?\z}s;
    }
    return rows($count);
}
--- client_out
17
--- no_error_log eval: $::alive



=== TEST 2: headers, trailers and pseudo-headers of HTTP calls
None of these calls is made, or it is made without what is bad; the server sees no line of the guest's making.
--- http_config eval: $::module
--- config eval
my @calls = (
    (map { ::http('v', path => '/echo', headers => [$_]) } ::evil_values('x-a'), ::evil_names()),
    (map { ::http('t', path => '/echo', method => 'POST', body => 'x', trailers => [$_]) } ::evil_values('x-a'), ::evil_names()),
    (map { my $evil = $_->[1]; map { my $pseudo = $_; ::http('p', all => [map { [$_, $_ eq $pseudo ? $evil : {':method' => 'GET', ':path' => '/echo', ':authority' => 'a'}->{$_}] } ':method', ':path', ':authority']) } ':method', ':path', ':authority' } ::evil_values('')),
    ::http('length', path => '/echo', method => 'POST', headers => [['content-length', '0'], ['content-length', '99'], ['transfer-encoding', 'chunked'], ['connection', 'upgrade'], ['upgrade', 'x'], ['te', 'trailers']], body => 'exactly'),
);
my $all = 0;
CORE::join '', map { ::location('/' . $all++ . '/', {request_headers => [$_, ['if', {var => 'status'}, '0', [::pause()], [['local_response', 200, [], 'refused']]]], http_call_response => ::answer()}) } @calls
--- client eval
sub {
    my $count = 2 * (@::evil + @::names) + 3 * @::evil + 1;
    my ($refused, $made) = (0, 0);
    for my $one (0 .. $count - 1) {
        my $answer = ::get("/$one/");
        if ($answer eq '200 refused') { $refused++; next }
        return "$one: $answer" if $answer =~ /evil/i;
        $made++;
        next unless $one == $count - 1;
        my $seen = ::echo_of($answer);
        my @headers = map { lc } JSON::PP->new->canonical->encode($seen);
        return "$one: $answer" unless $answer =~ /exactly/ && (() = lc($answer) =~ /content-length|transfer-encoding/g) == 1;
    }
    return rows($refused + $made, $made);
}
--- client_out eval: qr/\A59\n\d+\n\z/
--- no_error_log eval: $::alive



=== TEST 3: what is sent to the upstream cannot be read as two requests
--- http_config eval
$::module . 'upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }'
--- config eval
my @changes = (
    [['set_header', 'request', 'content-length', '0']], [['set_header', 'request', 'content-length', '999']], [['add_header', 'request', 'content-length', '3']],
    [['set_header', 'request', 'transfer-encoding', 'chunked']], [['add_header', 'request', 'Transfer-Encoding', 'identity, chunked']],
    [['remove_header', 'request', 'content-length']], [['set_header', 'request', 'connection', 'content-length']], [['set_header', 'request', 'content-length', '+7']],
    [['set_headers', 'request', [[':path', '/'], [':method', 'POST'], [':authority', 'a'], ['content-length', '7'], ['content-length', '8'], ['transfer-encoding', 'chunked']]]],
    [['set_header', 'request', ':method', 'GET']], [['set_header', 'request', ':path', '/ HTTP/1.1']], [['set_header', 'request', ':method', 'GET / HTTP/1.1']],
    [['set_header', 'request', ':authority', 'a b']], [['set_header', 'request', 'upgrade', 'h2c'], ['set_header', 'request', 'connection', 'upgrade']],
);
my $all = 0;
CORE::join '', map { ::location('/' . $all++ . '/', {request_headers => $_}, 'proxy_pass http://up; proxy_http_version 1.1;') } @changes
--- upstream eval
sub {
    my $connection = shift;
    # All that comes in a moment, on a connection that is not closed: one request, framed as it says.
    my $text = $connection->until(qr/\r\n\r\n/);
    $text .= $connection->take(length $connection->{bytes});
    while (!$connection->is_silent(0.05)) {
        $connection->more or last;
        $text .= $connection->take(length $connection->{bytes});
    }
    my ($head, $body) = $text =~ /\A(.*?\r\n)\r\n(.*)\z/s or return;
    my @lengths = $head =~ /^content-length: *(.*?)\r$/gmi;
    my @codings = $head =~ /^transfer-encoding: *(.*?)\r$/gmi;
    my $wrong = @lengths + @codings > 1 ? 'two framings' : @lengths && $lengths[0] != length $body ? "length @lengths of " . length $body : !@lengths && !@codings && length $body ? 'no framing' : '';
    $wrong ||= 'request line' unless $head =~ m{\A[A-Z]+ \S+ HTTP/1\.1\r\n};
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($wrong || 'right') . "\r\nConnection: close\r\n\r\n" . ($wrong || 'right'));
}
--- client eval
sub {
    my @answers;
    for my $one (0 .. 13) {
        my $answer = ask("POST /$one/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 7\r\n\r\nseven..");
        push @answers, $answer =~ /\r\n\r\nright\z/ ? 'right' : $answer =~ m{\AHTTP/1\.1 [45]\d\d } ? 'refused' : $answer;
    }
    return rows(grep { !/^(?:right|refused)$/ } @answers) . rows(scalar @answers);
}
--- client_out
14
--- no_error_log eval: $::alive



=== TEST 4: a hundred thousand headers, and a path of a hundred thousand segments
One host call with them takes no long time: it is refused, or done.
--- http_config
    wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm cpu_time=300ms;
    wasm_module many ../html/many.wat cpu_time=300ms;
    wasm_module property ../html/property.wat cpu_time=300ms;
--- config eval
'location /many { wasm_filter many; return 200 served; } location /property { wasm_filter property; return 200 served; }'
--- user_files eval
# Pairs of a name of six letters, counted up, and no value; the number of pairs, then the lengths, then the bytes.
my $pairs = Hostile::guest(imports => ['proxy_set_header_map_pairs', 'proxy_get_header_map_pairs'], fields => '(func $make (local $i i32) (local $at i32) (local $n i32)
    (drop (memory.grow (i32.const 40)))
    (i32.store (i32.const 65536) (i32.const 100000))
    (local.set $at (i32.const 865540))
    (loop $on
      (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $i) (i32.const 8))) (i32.const 6))
      (local.set $n (local.get $i))
      (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.rem_u (local.get $n) (i32.const 26)))) (local.set $n (i32.div_u (local.get $n) (i32.const 26)))
      (i32.store8 (i32.add (local.get $at) (i32.const 1)) (i32.add (i32.const 97) (i32.rem_u (local.get $n) (i32.const 26)))) (local.set $n (i32.div_u (local.get $n) (i32.const 26)))
      (i32.store8 (i32.add (local.get $at) (i32.const 2)) (i32.add (i32.const 97) (i32.rem_u (local.get $n) (i32.const 26)))) (local.set $n (i32.div_u (local.get $n) (i32.const 26)))
      (i32.store8 (i32.add (local.get $at) (i32.const 3)) (i32.add (i32.const 97) (i32.rem_u (local.get $n) (i32.const 26))))
      (i32.store8 (i32.add (local.get $at) (i32.const 4)) (i32.const 120)) (i32.store8 (i32.add (local.get $at) (i32.const 5)) (i32.const 121))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $on (i32.lt_u (local.get $i) (i32.const 100000))))
    (drop (call $proxy_set_header_map_pairs (i32.const 2) (i32.const 65536) (i32.sub (local.get $at) (i32.const 65536)))))',
    response_headers => '(call $make) (i32.const 0)');
my $property = Hostile::guest(imports => ['proxy_get_property', 'proxy_set_property'], fields => '(func $ask (local $i i32)
    (drop (memory.grow (i32.const 4)))
    (loop $on (i32.store16 (i32.add (i32.const 65536) (local.get $i)) (i32.const 0x61)) (local.set $i (i32.add (local.get $i) (i32.const 2))) (br_if $on (i32.lt_u (local.get $i) (i32.const 200000))))
    (drop (call $proxy_get_property (i32.const 65536) (i32.const 199999) (i32.const 0) (i32.const 4)))
    (drop (call $proxy_set_property (i32.const 65536) (i32.const 199999) (i32.const 0) (i32.const 4))))', request_headers => '(call $ask) (i32.const 0)');
">>> many.wat\n$pairs\n>>> property.wat\n$property"
--- client eval
sub {
    my $property = ask("GET /property HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $many = ask("GET /many HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    # More than fits into a response is an error of the filter's, or of nginx's; what counts is that nobody has waited.
    return rows($property =~ /served\z/ ? 'served' : $property, $many =~ m{\AHTTP/1\.1 (200|500|502|503) } ? 'answered' : $many eq '' ? 'closed' : substr($many, 0, 200), scalar(() = Wire::log_text() =~ /over cpu_time/g));
}
--- client_out eval: qr/\Aserved\n(?:answered|closed)\n0\n\z/
--- no_error_log eval: qr/\[alert\]|\[emerg\]|panicked/



=== TEST 5: blanks around values, which HTTP/2 forbids, are left out
--- http_config eval: $::module
--- config eval
my @set = (['add_header', 'response', 'x-add', " \t a b\t "], ['set_header', 'response', 'x-set', ' c'], ['set_header', 'response', 'x-blank', ' ']);
::location('/changed', {response_headers => \@set}) . ::location('/local', {request_headers => [['local_response', 200, [['x-local', ' d ']], 'body']]})
. ::location('/request', {request_headers => [['set_header', 'request', 'x-r', ' e '], ['local_response', 200, [], {header => ['request', 'x-r']}]]})
--- client eval
sub {
    my $changed = ask("GET /changed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $local = ask("GET /local HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    return rows((map { "[$_]" } $changed =~ /^x-\w+: (.*?)\r$/gm), (map { "[$_]" } $local =~ /^x-local: (.*?)\r$/gm), ::get('/request'));
}
--- client_out
[a b]
[c]
[]
[d]
200 e
--- no_error_log eval: $::alive
