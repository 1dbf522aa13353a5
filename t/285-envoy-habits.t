# What filters that were written for Envoy take for granted: paths of calls, names of upstreams, foreign functions of gateways; and what is said
# of a module that cannot run here, before it is compiled.

use Test::Nginx::Socket 'no_plan';
use Calls;
use JSON::PP ();
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1}, unix => 1);
our $module = 'wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $clean = qr/\[alert\]|\[emerg\]|\[crit\]|\[error\]|panicked/;

# The first line of a request as the upstream got it, for each of these paths.
sub lines_of {
    my @paths = @_;
    my $log = sub { (ask("GET $_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /\r\n\r\n(.*)/s)[0] };
    $log->('/log/clear');
    get("/$_") for 0 .. $#paths;
    return $log->('/log');
}

our @paths = ('x', 'x/y', 'http://up.example/abs?q=1', 'https://h', '?a=1', '', 'a b', "http://h/\xc3\xa9|\"", '/a b', '*');

run_tests();

__DATA__

=== TEST 1: a call's :path is anything that can stand in a request line
The paths of TEST 1 come as they are; what cannot stand there, but can be meant by nothing else, is escaped.
--- http_config eval: $::module
--- config eval
my $number = 0;
CORE::join '', map { ::location('= /' . $number++, {request_headers => [::http('a', path => $_), ::pause()], http_call_response => ::answer()}) } @::paths
--- client eval: sub { ::lines_of(@::paths) }
--- client_out
GET x
GET x/y
GET http://up.example/abs?q=1
GET https://h
GET ?a=1
GET /
GET a%20b
GET http://h/%C3%A9%7C%22
GET /a%20b
GET *
--- no_error_log eval: $::clean



=== TEST 2: the rest of such a request is as any other's, also of the next one on its connection
--- http_config eval
"$::module upstream up { server 127.0.0.1:\$TEST_NGINX_PORT_1; keepalive 4; }"
--- config eval
my $call = sub { ::http('a', upstream => 'up', authority => 'up.example', @_) };
CORE::join '', ::location('/post', {request_headers => [$call->(method => 'POST', path => 'raw?x', body => 'body', headers => [['x-a', '1']]), ::pause()],
    http_call_response => ::answer({body => 'call_response'})}),
    ::location('/next', {request_headers => [$call->(path => '/raw'), ::pause()], http_call_response => ::answer({body => 'call_response'})})
--- client eval: sub { ::get('/post') . '|' . ::get('/next') . '|' . ::get('/post') }
--- client_out eval
my $post = "200 POST raw?x HTTP/1.1\r\nhost: up.example\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody";
"$post|200 GET /raw HTTP/1.1\r\nhost: up.example\r\n\r\n|$post"
--- no_error_log eval: $::clean



=== TEST 3: allow= takes a name with the sign that stands between two names
--- http_config eval
<<'_EOC_'
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm allow=http_call(outbound|9090||svc|other);
upstream "outbound|9090||svc" { server 127.0.0.1:$TEST_NGINX_PORT_1; }
upstream other { server 127.0.0.1:$TEST_NGINX_PORT_1; }
upstream svc { server 127.0.0.1:$TEST_NGINX_PORT_1; }
upstream outbound { server 127.0.0.1:$TEST_NGINX_PORT_1; }
_EOC_
--- config eval
# A call that is refused has no answer.
my $call = sub { my ($path, $upstream, @then) = @_; ::location($path, {request_headers => [::http('a', upstream => $upstream, path => '/status/200/ok'),
    @then ? @then : ::pause()], http_call_response => ::answer()}) };
my $refused = ['local_response', 200, [], 'refused'];
$call->('/long', 'outbound|9090||svc') . $call->('/other', 'other') . $call->('/svc', 'svc', $refused) . $call->('/outbound', 'outbound', $refused)
--- client eval
sub {
    my $answers = CORE::join ',', map { ::get($_) } qw(/long /other /svc /outbound);
    CORE::join ' ', $answers, scalar(::told(qr/^http_call a: status 10$/));
}
--- client_out: 200 200 ok,200 200 ok,200 refused,200 refused 2
--- no_error_log eval: qr/\[alert\]|\[emerg\]|\[crit\]|panicked/



=== TEST 4: a list that names nothing is a mistake
--- http_config
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm allow=http_call(other|outbound|9090||svc);
upstream other { server 127.0.0.1:1; }
--- config
--- must_die
--- suppress_stderr
--- grep_error_log eval: qr/\[emerg\] \d+#\d+: \K.*(?= in )/
--- grep_error_log_out
wasm module "a": an upstream of http_call has no name; deny=http_call allows none



=== TEST 5: foreign functions of gateways: the log's level, and a number that is taken
--- http_config eval: $::module
--- config eval
my $call = sub { my ($name, $hex) = @_; ['call_foreign_function', $name, {hex => $hex}, 'x'] };
::location('/x', {request_headers => [$call->('get_log_level', ''), ['log', 'info', {join => ['level ', {to_hex => {var => 'x'}}]}],
    $call->('set_global_max_requests_per_io_cycle', '0100000000000000'), $call->('set_global_max_requests_per_io_cycle', '01'), ['local_response', 200, [], 'done']]})
--- client eval
sub { CORE::join ' | ', ::get('/x'), ::told(qr/^level|^call_foreign/) }
--- client_out: 200 done | level 02000000 | call_foreign_function set_global_max_requests_per_io_cycle: status 2
--- no_error_log eval: $::clean



=== TEST 6: what a module imports and exports is looked at before it is compiled
A module that was compiled is in the cache.
--- config
--- user_files
>>> good.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))
>>> import.wat
(module (import "env" "proxy_teleport" (func)) (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))
>>> marker.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_9_0")))
>>> none.wat
(module (memory (export "memory") 1))
>>> callback.wat
(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func (export "proxy_on_log")))
--- client eval
sub {
    my $html = Test::Nginx::Util::html_dir();
    my $root = Test::Nginx::Util::server_root();
    my @told;
    for my $isolation (qw(worker request)) {
        for my $name (qw(good import marker none callback)) {
            my $cache = "$html/cache-$isolation-$name";
            open my $out, '>', "$html/t.conf" or die $!;
            print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $html/t.pid;\nevents {}\nhttp {\n",
                "wasm_cache $cache;\nwasm_module m $html/$name.wat isolation=$isolation;\nserver {}\n}\n";
            close $out;
            my $said = `$ENV{TEST_NGINX_BINARY} -t -p $root/ -e stderr -c $html/t.conf 2>&1`;
            my ($error) = $said =~ /\[emerg\] .*?"\): (.*) in /;
            my @entries = grep { -f } glob "$cache/*";
            push @told, "$name $isolation: " . scalar(@entries) . ' ' . substr($error // '', 0, 40);
        }
    }
    rows(@told);
}
--- client_out
good worker: 1 
import worker: 0 imports env.proxy_teleport, which this h
marker worker: 0 exports proxy_abi_version_0_9_0, but thi
none worker: 0 not a Proxy-Wasm module: exports none of
callback worker: 0 exports proxy_on_log as () -> () instead
good request: 1 
import request: 0 imports env.proxy_teleport, which this h
marker request: 0 exports proxy_abi_version_0_9_0, but thi
none request: 0 not a Proxy-Wasm module: exports none of
callback request: 0 exports proxy_on_log as () -> () instead
--- no_error_log eval: qr/\[alert\]|panicked/
