# One instance has one request at a time: instances=, the line behind them, and isolation=request.

use Test::Nginx::Socket 'no_plan';
use Filtered;
use HttpWasm;
use POSIX ();
use Wire;

# Tells how many requests its instance has had: in a global, and in memory that it has grown.
our $count = guest('count', items => '(global $count (mut i32) (i32.const 48))', answers => 1,
    request => q{(global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store8 (i32.const 8192) (global.get $count))
        (i32.store8 (i32.const 8193) (i32.add (i32.const 44) (memory.grow (i32.const 1))))
        (call $set_header_value (i32.const 0) 'x-count' (i32.const 8192) (i32.const 2)) (i64.const 1)});

# Requests that the upstream holds until it is told to go on, each in a process of its own.
sub held {
    my $connection = shift;
    $SIG{CHLD} = 'IGNORE';
    my $pid = fork // die "fork: $!\n";
    return if $pid;
    answer($connection);
    POSIX::_exit(0);
}

sub answer {
    my $connection = shift;
    my ($head, $body) = $connection->message;
    return if $head eq '';
    my ($path) = $head =~ m{^\S+ (\S+)};
    my ($count) = $head =~ /^x-count: (\S+)/mi;
    line("got $path"), Wire::log_has(qr/let go/) if $path =~ /hold/;
    my $text = join ' ', $path, $count // (), $body;
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
}

# A request that is not yet answered.
sub begin {
    my ($path, $body) = @_;
    my $c = connection();
    my $length = defined $body ? 'Content-Length: ' . length($body) . "\r\n" : '';
    $c->write("POST $path HTTP/1.1\r\nHost: a\r\n${length}Connection: close\r\n\r\n" . ($body // ''));
    return $c;
}

sub line {
    open my $log, '>>', $Test::Nginx::Util::ErrLogFile or die;
    print $log "$_[0]\n";
    close $log;
}

# "status body" of an answer.
sub short {
    my $answer = shift->rest;
    my ($status, $body) = $answer =~ m{^HTTP/1\.1 (\d+).*?\r\n\r\n(.*)}s or return "no answer: $answer";
    return $status . ($body =~ /<html>/ ? '' : " $body");
}

run_tests();

__DATA__

=== TEST 1: instances are used again, by one request at a time
--- http_config
    wasm_module count ../html/count.wat;
--- config
    location / { wasm_filter count; proxy_pass http://up; }
--- user_files eval: $::count
--- upstream eval: \&main::held
--- client eval
sub {
    my $before = answers('/a', '/b');
    my @held = map { main::begin("/hold$_") } 1 .. 2;
    # Both are with the upstream, so two instances are in use.
    log_has(qr{got /hold$_}) for 1 .. 2;
    my $third = answers('/c');
    main::line('let go');
    $before . $third . rows(sort map { main::short($_) } @held);
}
--- client_out eval
qr{\A200 /a 10 \n200 /b 21 \n200 /c (?:10|32|43) \n200 /hold1 \S\S \n200 /hold2 \S\S \n\z}
--- no_error_log eval: $HttpWasm::clean



=== TEST 2: a full pool has requests wait in line, and those behind the line get 503
--- http_config
    wasm_module one ../html/count.wat instances=1 queue=2;
--- config
    location / { wasm_filter one; proxy_pass http://up; }
    location /status { stub_status; }
--- user_files eval: $::count
--- upstream eval: \&main::held
--- client eval
sub {
    my $held = main::begin('/hold');
    log_has(qr{got /hold});
    my @waiting = map { main::begin("/wait$_", "body$_") } 1 .. 2;
    wait_for(sub { ask("GET /status HTTP/1.0\r\n\r\n") =~ /Writing: 4/ });
    my @more = map { main::begin("/more$_") } 1 .. 3;
    my @refused = grep { main::short($_) =~ /^503/ } @more;
    main::line('let go');
    rows(scalar @refused, main::short($held), map { main::short($_) } @waiting);
}
--- client_out
3
200 /hold 10 
200 /wait1 21 body1
200 /wait2 32 body2
--- error_log
one: all of instances= are in use, and queue= is full
--- no_error_log eval: $HttpWasm::alive



=== TEST 3: on_failure=open lets requests pass that get no instance
--- http_config
    wasm_module one ../html/count.wat instances=1 queue=0 on_failure=open;
--- config
    location / { wasm_filter one; proxy_pass http://up; }
--- user_files eval: $::count
--- upstream eval: \&main::held
--- client eval
sub {
    my $held = main::begin('/hold');
    log_has(qr{got /hold});
    my $text = answers('/a');
    main::line('let go');
    $text . rows(main::short($held));
}
--- client_out eval: qr{\A200 /a \n200 /hold \d\d \n\z}
--- error_log
one: all of instances= are in use, and queue= is full
--- no_error_log eval: $HttpWasm::alive



=== TEST 4: a client that leaves gives its place and its instance back
--- http_config
    wasm_module one ../html/count.wat instances=1 queue=5;
--- config
    location / { wasm_filter one; proxy_pass http://up; }
--- user_files eval: $::count
--- upstream eval: \&main::held
--- client eval
sub {
    my $held = main::begin('/hold');
    log_has(qr{got /hold});
    my $gone = main::begin('/wait1');
    my $stays = main::begin('/wait2');
    $gone->reset;
    $held->reset;
    my $answer = main::short($stays);
    main::line('let go');
    rows($answer);
}
--- client_out eval: qr{\A200 /wait2 \d\d \n\z}
--- no_error_log eval: $HttpWasm::clean



=== TEST 5: a wait is bounded by wasm_pause_timeout
--- http_config
    wasm_module one ../html/count.wat instances=1;
--- config
    location / { wasm_filter one; wasm_pause_timeout 100ms; proxy_pass http://up; }
--- user_files eval: $::count
--- upstream eval: \&main::held
--- client eval
sub {
    my $held = main::begin('/hold');
    log_has(qr{got /hold});
    my $answer = answers('/a');
    main::line('let go');
    $answer . rows(main::short($held));
}
--- client_out eval: qr{\A504\n200 /hold \d\d \n\z}
--- error_log
one: paused the request headers for longer than wasm_pause_timeout (100 ms)
--- no_error_log eval: $HttpWasm::alive



=== TEST 6: with isolation=request, every request has the state after the start
--- http_config
    wasm_module own ../html/count.wat isolation=request;
    wasm_module body $TEST_NGINX_FILTERS/http_wasm_body.wasm isolation=request;
    wasm_module go $TEST_NGINX_FILTERS/http_wasm_body_go.wasm isolation=request;
--- config
    location / { wasm_filter own; proxy_pass http://up; }
    location /body { wasm_filter body 'a b'; proxy_pass http://up; }
    location /go { wasm_filter go 'a b'; proxy_pass http://up; }
--- user_files eval: $::count
--- upstream eval: \&main::held
--- client eval: sub { answers(('/x') x 5, ('/body aha') x 3, ('/go aha') x 3) =~ s/0 $/0/mgr }
--- client_out
200 /x 10
200 /x 10
200 /x 10
200 /x 10
200 /x 10
200 /body bhb
200 /body bhb
200 /body bhb
200 /go bhb
200 /go bhb
200 /go bhb
--- no_error_log eval: $HttpWasm::clean



=== TEST 7: two configurations of a module have instances of their own
--- http_config
    wasm_module header $TEST_NGINX_FILTERS/http_wasm_header.wasm;
--- config
    location /a { wasm_filter header 'request set x-count a'; proxy_pass http://up; }
    location /b { wasm_filter header 'request set x-count b'; proxy_pass http://up; }
--- upstream eval: \&main::held
--- client eval: sub { answers('/a', '/b', '/a') }
--- client_out
200 /a a 
200 /b b 
200 /a a 
