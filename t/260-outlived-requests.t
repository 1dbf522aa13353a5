# What outlives its request: calls of contexts that wait for proxy_done, and what a mixed load leaves behind.

use Test::Nginx::Socket 'no_plan';
use Calls;
use JSON::PP ();
use Pause ();
use Servers;
use Time::HiRes ();
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $grpc = Servers::grpc(tcp => $ENV{TEST_NGINX_PORT_2});
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $blocks = <<'_EOC_';
upstream up { ip_hash; server 127.0.0.1:$TEST_NGINX_PORT_1; keepalive 4; }
upstream named { hash $remote_addr$arg_a consistent; server 127.0.0.1:9; server 127.0.0.1:$TEST_NGINX_PORT_1; }
_EOC_

our @kinds = qw(answered held balanced named late refused grpc grpc_late grpc_refused stream stream_refused);
my %calls = (
    answered => http('a', path => '/status/200'),
    held => http('a', path => '/hold/held'),
    balanced => http('a', path => '/hold/held', upstream => 'up'),
    named => http('a', path => '/status/200', upstream => 'named'),
    late => http('a', path => '/never', timeout => 100),
    refused => http('a', upstream => '127.0.0.1:1'),
    grpc => grpc('a', 'Upper', 'x', upstream => '127.0.0.1:$TEST_NGINX_PORT_2'),
    grpc_late => grpc('a', 'Delay', '0.2', upstream => '127.0.0.1:$TEST_NGINX_PORT_2'),
    grpc_refused => grpc('a', 'Upper', 'x', upstream => '127.0.0.1:1'),
    # Nobody ends it but the end of its request.
    stream => stream('a', 'Chat', upstream => '127.0.0.1:$TEST_NGINX_PORT_2'),
    stream_refused => stream('a', 'Chat', upstream => '127.0.0.1:1'),
);

# A location /KIND for each: a call, then this; the context's end waits until it has been told of the call's.
sub waiting {
    my @then = @_;
    my %told = map { $_ => [['done']] } qw(http_call_response grpc_receive grpc_close);
    return CORE::join '', map { location("/$_", { trace => JSON::PP::true, request_headers => [$calls{$_}, @then], done => [['return_false']], %told }) } @kinds;
}

# Lets go what is held, until nothing is.
sub let_go {
    wait_for(sub {
        ask("GET /release/held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1});
        return logged('on_delete') >= $_[0] if @_;
        return 1;
    });
}

# A filter with these operations.
sub filter {
    my ($module, $operations) = @_;
    return location('', $operations, '') =~ s/^location  \{ wasm_filter a (.*;)  \}\n\z/wasm_filter $module $1 /r;
}

sub logged { my $pattern = shift; my $count = () = log_text() =~ /$pattern/g; return $count }

sub answers {
    my $times = shift;
    my %answers;
    for my $kind (@kinds) {
        $answers{ask("GET /$kind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /(bye)\z/ ? $1 : 'none'}++ for 1 .. $times;
    }
    my $all = $times * @kinds;
    wait_for(sub { let_go(); logged('on_delete') >= $all });
    return rows((map { "$_ $answers{$_}" } sort keys %answers), "deleted " . logged('on_delete'));
}

run_tests();

__DATA__

=== TEST 1: the request is answered while its call is under way, and the context waits for the call's end
--- http_config eval: 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;' . $::blocks
--- config eval: ::waiting(['local_response', 200, [], 'bye'])
--- client eval: sub { ::answers(6) }
--- client_out
bye 66
deleted 66
--- contexts: 66
--- no_error_log eval: $::bad



=== TEST 2: the same with an instance for each request
--- http_config eval: 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off isolation=request;' . $::blocks
--- config eval: ::waiting(['local_response', 200, [], 'bye'])
--- client eval: sub { ::answers(2) }
--- client_out
bye 22
deleted 22
--- no_error_log eval: $::bad



=== TEST 3: a client that leaves: the guest is told that its call has failed, and the context ends
--- http_config eval: 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;' . $::blocks
--- config eval: ::waiting(['action', 'pause']) . 'location /status { stub_status; }'
--- client eval
sub {
    my @kinds = qw(held balanced stream);
    for my $how ('close', 'reset') {
        for my $kind (@kinds) {
            my $begun = ::logged('on_request_headers');
            my $c = connection();
            $c->write("GET /$kind HTTP/1.1\r\nHost: a\r\n\r\n");
            wait_for(sub { ::logged('on_request_headers') > $begun }) or die "no request\n";
            $c->$how;
        }
    }
    wait_for(sub { ::logged('on_delete') == 6 });
    rows('deleted ' . ::logged('on_delete'), 'writing ' . writing());
}
--- client_out
deleted 6
writing 1
--- contexts: 6
--- no_error_log eval: $::bad



=== TEST 4: clients that leave, chains that pause, call, reply, close and trap, with subrequests, and ticks that act on them all
The short form of what runs for longer under valgrind. Whatever becomes of a request, nginx is done with it.
--- http_config eval
'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off; wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off isolation=request;
map $uri $next { default /text; }' . $::blocks
--- config eval
my $held = ::http('a', path => '/delay/0.02', upstream => 'up');
my $add = sub { ['let', $_[0], { add => [{ var => $_[0] }, $_[1]] }] };
my $n = { var => 'n' };
my $zero = sub { ['if', { var => 'status' }, '0', [@_]] };
my $on = sub { my ($path, @operations) = @_; ['if_path', $path, [@operations]] };
my $pause = ['action', 'pause'];
my %act = (
    request_headers => [$on->('/pause', $pause), $on->('/call', $held, $pause), $on->('/local', $held, ['local_response', 202, [], 'local']), $on->('/close', ['close', 'request']), $on->('/trap', ['abort'])],
    response_headers => [$on->('/late', $held, $pause), $on->('/sub-late', $pause)],
    response_body => [$on->('/held', ['action', 'pause'])],
    http_call_response => [['continue', 'request'], ['continue', 'response'], ['done']],
    done => [['return_false'], $held, ['if_path', '/pause', [['close', 'response']]]],
    log => [$on->('/call', $held)],
);
my $made = { var => 'made' };
my %shared = (%act,
    context_create => [['let_root', 'made', { add => [$made, 1] }]],
    configure => [['set_tick', 15]],
    tick => [['let', 'n', { add => [$made, -24] }], ['repeat', 28, [$add->('n', 1), ['effective_context', $n],
        $zero->(['continue', 'request'], ['continue', 'response'], $add->('k', 1),
            ['if', { var => 'k' }, '19', [['local_response', 409, [], 'tick'], ['done']]], ['if', { var => 'k' }, '53', [['close', 'request'], ['let', 'k', '0']]])]]],
);
my $filters = ::filter('a', \%shared) . ::filter('b', \%act);
my $up = 'proxy_pass http://up/';
"wasm_pause_timeout 300ms; location /status { stub_status; } location /plain { $filters error_page 503 504 409 \$next; ${up}size/3000; } location /late { $filters ${up}size/3000; } location ~ ^/(call|pause|local|close|held|trap) { $filters return 200 text; }
location /text { $filters return 200 text; }
location /sub { $filters rewrite ^ /delay/0.02 break; proxy_pass http://up; proxy_pass_request_body off; proxy_set_header Content-Length ''; }
location /ssi { $filters ssi on; ssi_types *; alias html/parts.html; }
location /auth { $filters auth_request /sub/auth; ${up}status/200/auth; }
location /mirror { $filters mirror /sub/mirror; ${up}drip/0.01; }
location /both { $filters auth_request /text; mirror /sub-late; addition_types *; add_before_body /text; add_after_body /sub/after; ${up}status/200; }
location /echo { $filters client_max_body_size 2k; error_page 400 413 /text; ${up}echo; }"
--- user_files
>>> parts.html
<p><!--#include virtual="/sub/one" --> <!--#include virtual="/text" --> <!--#include virtual="/sub-late" --> <!--#include virtual="/local" --></p>
--- client eval
sub {
    my @paths = qw(/ssi /auth /mirror /both /late /call /pause /local /close /held /plain /ssi/call /auth/late /both /trap);
    my @pids;
    for my $seed (1 .. 4) {
        my $pid = fork // die "fork: $!\n";
        push @pids, $pid and next if $pid;
        srand $seed;
        for (1 .. 60) {
            eval {
                my $c = connection();
                my $path = $paths[rand @paths];
                my $upload = rand() < 0.2;
                my $body = 'x' x (rand() < 0.5 ? 100 : 3000);
                $c->write($upload ? "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n%s\r\n", length $body, $body) . (rand() < 0.5 ? "0\r\n\r\n" : "zz\r\n")
                    : "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                my $how = rand;
                if ($how < 0.4) { Time::HiRes::sleep(rand 0.06) } else { $c->message }
                $how < 0.2 ? $c->reset : $c->close;
            };
        }
        POSIX::_exit(0);
    }
    waitpid $_, 0 for @pids;
    rows('writing ' . writing(), ask("GET /text HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /(text|tick)\z/ ? 'served' : 'not served');
}
--- client_out
writing 1
served
--- no_error_log eval: $::bad
