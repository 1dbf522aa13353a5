# Guests of every SDK that call out, share data and queues, and count: the same filter in Rust, Go,
# AssemblyScript and C++ does the same; and the samples that are in one language alone.

use Test::Nginx::Socket 'no_plan';
use JSON::PP 'decode_json';

use Control;
use Servers;

our ($upstream, $rpc, $nobody) = map { $ENV{"TEST_NGINX_PORT_$_"} } 1 .. 3;
our $faults = Servers::faults(tcp => $upstream);
our $grpc = Servers::grpc(tcp => $rpc);

our %module = (rust => 'dispatch', go => 'dispatch_go', as => 'dispatch_as', cpp => 'dispatch_cpp');
our @languages = qw(rust go as cpp);

sub modules {
    my @languages = @_;
    return "upstream up { server 127.0.0.1:$upstream; }\n"
        . join '', map { "wasm_module $_ \$TEST_NGINX_FILTERS/$module{$_}.wasm;\n" } @languages;
}

# A location for each language, /LANGUAGE and what is behind it, that calls the path and then shows
# what the upstream gets.
sub locations {
    my ($path, $to, @languages) = @_;
    return join '', map { <<"_EOC_" } @languages;
    location /$_/ {
        wasm_filter $_ '
            # as an example
            upstream $to
            authority a.example
            path $path
            queue lines
        ';
        proxy_pass http://127.0.0.1:$upstream/echo?;
    }
_EOC_
}

# A location whose filter asks an upstream; the rest of its configuration is given.
sub auth_location {
    my ($module, $path, $to, $rest) = @_;
    return <<"_EOC_";
    location /$path {
        wasm_filter $module '{"upstream":"$to",$rest}';
        proxy_pass http://127.0.0.1:$upstream/echo?;
    }
_EOC_
}

# The response to a path: status, headers by name, and what the upstream got, as its /echo shows it.
sub answer {
    my $text = get(@_);
    my ($status) = $text =~ m{^HTTP/1.1 (\d+)};
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my %header = map { /^([^:]+): (.*?)\r?$/ ? (lc $1, $2) : () } split /\n/, $head // '';
    return ($status, \%header, eval { decode_json(body_of($text)) } // $body);
}

# Values of a header in what /echo shows.
sub sent {
    my ($echo, $name) = @_;
    return join ',', map { lc $_->[0] eq $name ? $_->[1] : () } @{$echo->{headers}};
}

# Asks the upstream itself.
sub ask_upstream {
    my $socket = connection($upstream);
    print $socket "GET $_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    return body_of(receive($socket));
}

# So many responses to the path, eight at a time: their X-Dispatch values.
sub flood {
    my ($path, $count) = @_;
    my @values;
    while (@values < $count) {
        my @sockets = map { connection() } 1 .. ($count < 8 ? $count : 8);
        print $_ "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" for @sockets;
        push @values, map { receive($_) =~ /^x-dispatch: (.*)\r$/m ? $1 : 'none' } @sockets;
    }
    return @values;
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(request => 'GET /end');
    $block->set_value(error_code => 204);
    $block->set_value(config => $block->config . "\n    location /end { return 204; }");
    $block->set_value(no_error_log => "[alert]\n[crit]\n[emerg]\npanicked") unless defined $block->no_error_log;
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: every SDK: the call as the upstream sees it, its answer, and the request going on with it
--- http_config eval: main::modules(@main::languages)
--- config eval: main::locations('/echo', 'up', @main::languages)
--- init
for my $language (@main::languages) {
    my ($status, $header, $echo) = main::answer("/$language/one");
    Test::More::is($status, 200, "$language: the request goes on");
    my $call = main::decode_json(main::sent($echo, 'x-answer') || '{}');
    Test::More::is_deeply([@$call{qw(method path framing body)}], ['GET', '/echo', 'none', ''], "$language: the call");
    Test::More::is(main::sent($call, 'host'), 'a.example', "$language: its authority");
    Test::More::is(main::sent($call, 'x-path'), "/$language/one", "$language: its own header");
    my $size = length main::sent($echo, 'x-answer');
    Test::More::is(main::sent($echo, 'x-dispatch'), "200 $size 1", "$language: the answer's status and size, and the first number");
    Test::More::is($header->{'x-dispatch'}, "200 $size 1", "$language: in the response, too");
    Test::More::is($header->{'x-requests'}, 1, "$language: its counter");
    Test::More::is_deeply([main::wait_for(qr/\[wasm\] \K$language: queue: .*/)], ["$language: queue: /$language/one 200 $size 1"], "$language: out of the queue");
}
--- no_error_log
[error]
[alert]
[crit]
[emerg]
panicked



=== TEST 2: every SDK: a call that fails, and one to an upstream that there is not
--- http_config eval: main::modules(@main::languages)
--- config eval
main::locations('/reset', 'up', @main::languages) =~ s/location /location \/reset/gr
. main::locations('/echo', 'nobody', @main::languages) =~ s/location /location \/nobody/gr
--- init
for my $language (@main::languages) {
    my ($status, $header, $echo) = main::answer("/reset/$language/");
    Test::More::is($status, 200, "$language: the request goes on without an answer");
    Test::More::is(main::sent($echo, 'x-dispatch'), 'failed 0 1', "$language: and knows");
    Test::More::is(main::sent($echo, 'x-answer'), '', "$language: has no answer");
    Test::More::is($header->{'x-dispatch'}, 'failed 0 1', "$language: in the response, too");
    ($status, $header, $echo) = main::answer("/nobody/$language/");
    Test::More::is($status, 200, "$language: the request goes on without a call");
    Test::More::is(main::sent($echo, 'x-dispatch'), '', "$language: knows nothing");
    Test::More::is_deeply([main::wait_for(qr/\[wasm\] \K$language: no such upstream: \w+/)], ["$language: no such upstream: nobody"], "$language: and says why");
}



=== TEST 3: every SDK: numbers and counters are exact over four workers, and each line comes out of the queue once
--- workers: 4
--- http_config eval: main::modules(@main::languages)
--- config eval: main::locations('/size/5', 'up', @main::languages)
--- init
for my $language (@main::languages) {
    # The first is there before the others compete.
    my @values = (main::flood("/$language/x", 1), main::flood("/$language/x", 7), main::flood("/$language/x", 80));
    my @numbers = sort { $a <=> $b } map { /^200 5 (\d+)$/ ? $1 : 0 } @values;
    Test::More::is("@numbers", "@{[1 .. 88]}", "$language: each number once");
    my ($status, $header) = main::answer("/$language/last");
    Test::More::is($header->{'x-requests'}, 89, "$language: the counter");
    my @lines = main::wait_for(qr/\[wasm\] \K$language: queue: .*/, 89);
    my %lines = map { $_ => 1 } @lines;
    Test::More::is_deeply([sort keys %lines], [sort map { "$language: queue: /$language/" . ($_ == 89 ? 'last' : 'x') . " 200 5 $_" } 1 .. 89], "$language: the lines");
    Test::More::is(scalar @lines, 89, "$language: no line twice");
}
--- no_error_log
[error]
[alert]
[crit]
[emerg]
panicked



=== TEST 4: every SDK: clients that leave while the call is under way
The call ends with its request, and the next request is served. The AssemblyScript SDK logs at level
critical that the context of its call is gone, in Envoy, too.
--- http_config eval: main::modules(@main::languages)
--- config eval: main::locations('/hold/left', 'up', @main::languages)
--- init
my $left = 0;
for my $language (@main::languages) {
    for (1 .. 3) {
        my $socket = main::connection();
        print $socket "GET /$language/ HTTP/1.1\r\nHost: a\r\n\r\n";
        Test::More::ok(main::wait_until(sub { main::ask_upstream('/held/left') =~ /^waiting=1 / }), "$language: the call is under way");
        close $socket;
        $left++;
        Test::More::ok(main::wait_until(sub { main::ask_upstream('/held/left') eq "waiting=0 left=$left released=" . ($left - 1 - ($left - 1) % 3) / 3 }), "$language: it is gone with its client");
    }
    my $socket = main::connection();
    print $socket "GET /$language/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    Test::More::ok(main::wait_until(sub { main::ask_upstream('/held/left') =~ /^waiting=1 / }), "$language: another");
    main::ask_upstream('/release/left');
    Test::More::like(main::receive($socket), qr/^x-dispatch: 200 8 4\r$/m, "$language: is answered");
}
--- no_error_log
[error]
[alert]
[emerg]
panicked



=== TEST 5: http_auth: what the upstream says is what happens
--- http_config
    wasm_module auth $TEST_NGINX_FILTERS/http_auth.wasm;
    upstream up { server 127.0.0.1:$TEST_NGINX_PORT_1; }
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_4;
        location /yes { add_header x-auth-user alice; add_header x-other secret; return 204; }
        location /who { add_header www-authenticate Basic always; return 401; }
        location /no { return 403; }
        location /error { return 500; }
    }
--- config eval
my $service = $main::upstream + 3;
CORE::join '', map { main::auth_location('auth', @$_) }
    (map { [$_, "127.0.0.1:$service", "\"path\":\"/$_\""] } qw(yes who no error)),
    ['never', 'up', '"path":"/never","timeout_ms":100'], ['close', 'up', '"path":"/close"'],
    ['refused', "127.0.0.1:$main::nobody", '"path":"/"']
--- init
my ($status, $header, $echo) = main::answer('/yes');
Test::More::is($status, 200, 'yes: goes on');
Test::More::is(main::sent($echo, 'x-auth-user'), 'alice', 'with what the upstream knows');
Test::More::is(main::sent($echo, 'x-other'), '', 'and no more');
($status, $header, $echo) = main::answer('/who');
Test::More::is_deeply([$status, $header->{'www-authenticate'}, $echo], [401, 'Basic', "Who are you?\n"], 'unknown');
for (['/no', 403, 'Access forbidden.'], ['/error', 403, 'Access forbidden.'],
        map { ["/$_", 503, 'Access cannot be checked.'] } qw(never close refused)) {
    my ($path, @expected) = @$_;
    ($status, $header, $echo) = main::answer($path);
    Test::More::is_deeply([$status, $echo], [$expected[0], "$expected[1]\n"], $path);
}



=== TEST 6: grpc_auth: a real gRPC service decides
--- http_config
    wasm_module auth $TEST_NGINX_FILTERS/grpc_auth.wasm;
    upstream rpc { server 127.0.0.1:$TEST_NGINX_PORT_2; }
--- config eval
CORE::join '', map { my ($path, $to, $method) = @$_; main::auth_location('auth', $path, $to, qq{"service":"test.Echo","method":"$method","timeout_ms":300}) }
    ['upper', 'rpc', 'Upper'], ['status', 'rpc', 'Status'], ['late', 'rpc', 'Delay'], ['none', 'rpc', 'None'],
    ['refused', "127.0.0.1:$main::nobody", 'Upper']
--- init
my $ask = sub {
    my ($path, $authorization) = @_;
    my ($status, $header, $echo) = main::answer($path, "Authorization: $authorization\r\n");
    return ref $echo ? "$status " . main::sent($echo, 'x-auth') : "$status $echo";
};
Test::More::is($ask->('/upper', 'secret'), '200 SECRET', 'the message and its answer');
Test::More::is($ask->('/status', '0'), '200 ', 'status 0, with an empty message');
Test::More::is($ask->('/status', '7 no entry'), "403 no entry\n", 'permission denied');
Test::More::is($ask->('/status', '16 who?'), "401 who?\n", 'unauthenticated');
for (['/status', '13 broken', 'another status'], ['/late', '2', 'a deadline'], ['/none', 'x', 'no such method'], ['/refused', 'x', 'nobody there']) {
    my ($path, $authorization, $name) = @$_;
    Test::More::is($ask->($path, $authorization), "503 Access cannot be checked.\n", $name);
}



=== TEST 7: shared_counter: numbers over workers, and its metrics
--- workers: 4
--- http_config
    wasm_module counter $TEST_NGINX_FILTERS/shared_counter.wasm;
--- config
    location /count { wasm_filter counter '{"key":"visits","header":"x-dispatch","tick_ms":50}'; return 200 "counted"; }
    location /metrics { wasm_metrics; }
--- init
my @numbers = sort { $a <=> $b } main::flood('/count', 1), main::flood('/count', 7), main::flood('/count', 160);
Test::More::is("@numbers", "@{[1 .. 168]}", 'each number once');
my $metric = sub { main::get('/metrics') =~ /^\Q$_[0]\E\{[^}]*\} (\S+)$/m ? $1 : 'none' };
Test::More::is($metric->('shared_counter_visits_requests'), 168, 'the counter');
Test::More::ok(main::wait_until(sub { $metric->('shared_counter_visits_last') eq '168' }), 'a tick sets the gauge');
--- no_error_log
[error]
[alert]
[crit]
[emerg]
panicked



=== TEST 8: queue_log: every line is posted once, whichever worker takes it
--- workers: 4
--- http_config
    wasm_module log $TEST_NGINX_FILTERS/queue_log.wasm;
--- config
    location /write { wasm_filter log; return 200 "written"; }
    location /post {
        wasm_filter log '{"upstream":"127.0.0.1:$TEST_NGINX_PORT_1","authority":"logs.example","path":"/keep/lines"}';
        return 404 "both";
    }
    location /metrics { wasm_metrics; }
--- init
main::flood("/write?$_", 8) for 1 .. 20;
main::get('/post');
my @expected = sort 'GET /post 404', map { ("GET /write?$_ 200") x 8 } 1 .. 20;
my @lines;
main::wait_until(sub { (@lines = split /\n/, main::ask_upstream('/kept/lines')) >= @expected });
Test::More::is_deeply([sort @lines], \@expected, 'the lines');
Test::More::unlike(main::get('/metrics'), qr/^queue_log_dropped\{[^}]*\} [1-9]/m, 'none is lost');
--- no_error_log
[error]
[alert]
[crit]
[emerg]
panicked
