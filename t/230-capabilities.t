# allow= and deny= of wasm_module: what a guest gets of functions that it may not use, what the log
# says, and which configurations are refused.

use Test::Nginx::Socket 'no_plan';
use Control;

$ENV{WASM_TEST_SECRET} = 'from nginx';

our $guest = '$TEST_NGINX_FILTERS/hostcalls.wasm';
our $upstream = 'server { listen 127.0.0.1:$TEST_NGINX_PORT_9; location / { return 200 "from the upstream"; } }'
    . ' upstream auth { server 127.0.0.1:$TEST_NGINX_PORT_9; }';

# A location whose requests do this, and what its filter is called in the log.
sub location {
    my ($path, $module, @operations) = @_;
    my $text = CORE::join ',', @operations;
    return "location $path { wasm_filter $module '{\"request_headers\":[$text]}'; return 200 served; }\n";
}

sub http_call { return qq(["http_call","c","$_[0]",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],1000]) }
sub grpc_call { return qq(["grpc_call","g","$_[0]","s","m",[],"x",1000]) }
sub stream { return qq(["grpc_stream","g","$_[0]","s","m",[]]) }
sub resolve { return qq(["call_foreign_function","resolve","$_[0]","x"]) }

# Every function that a filter of this guest can call, by family.
our %families = (
    http_call => [http_call('auth')],
    grpc_call => [grpc_call('auth'), stream('auth'), '["grpc_send","7","x",true]', '["grpc_close","7"]', '["grpc_cancel","7"]', '["get_status","s"]'],
    shared_data => ['["get_shared_data","k","v"]', '["set_shared_data","k","v",0]'],
    shared_queue => ['["register_queue","q","n"]', '["resolve_queue","","q","n"]', '["enqueue",1,"m"]', '["dequeue",1,"m"]'],
    metrics => ['["define_metric","counter","m","n"]', '["increment_metric",1,1]', '["record_metric",1,1]', '["get_metric",1,"v"]'],
    properties_write => ['["set_property","a","v"]', '["call_foreign_function","set_envoy_filter_state",{"hex":"0a0161120162"},"x"]',
        '["call_foreign_function","declare_property",{"hex":"0a0161"},"x"]'],
);

# The lines of the guests' failures and of denials since the last time, without what nginx adds.
our $read = 0;
sub lines {
    my $text = do { local (@ARGV, $/) = $main::log; <> };
    my @lines = $text =~ /\[wasm\] (\w+: .*?(?:status \d+|is denied; .*?))(?: while .*|, client.*)?$/mg;
    my @new = @lines[$read .. $#lines];
    $read = @lines;
    return @new;
}

# Exit status and the lines of `nginx -t` with this in the http block.
sub nginx_t {
    my $http = shift;
    my $conf = "$main::html/t.conf";
    $http =~ s/\$(TEST_NGINX_\w+)/$ENV{$1}/g;
    open my $out, '>', $conf or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $main::html/t.pid;\nevents {}\nhttp {\n$http\nserver {}\n}\n";
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $main::root/ -e stderr -c $conf 2>&1`;
    return ($? >> 8, $said);
}

# The error of `nginx -t` for these parameters.
sub mistake {
    my ($parameters, $more) = @_;
    my ($status, $said) = nginx_t(($more // '') . "\nwasm_module m $guest $parameters;");
    my ($error) = $said =~ /\[emerg\] \S+ (.*) in \S+t\.conf:\d+$/m;
    return $status == 1 ? $error : "status $status: $said";
}

no_long_string();
no_root_location();
run_tests();

__DATA__

=== TEST 1: what is denied answers InternalFailure, request after request, and is logged once in each family
--- http_config eval
"$::upstream wasm_module m $::guest deny=all allow=random,clock;"
--- config eval
main::location('/t', 'm', map { @{$::families{$_}} } sort keys %::families)
--- init
main::lines();
for my $turn (1, 2) {
    Test::More::like(main::get('/t'), qr{\AHTTP/1\.1 200 .*served\z}s, "request $turn");
    my @lines = main::lines();
    my @denied = grep { /denied/ } @lines;
    Test::More::is_deeply(\@denied, $turn == 2 ? [] : [
        'm: proxy_grpc_call is denied; allow=grpc_call permits it',
        'm: proxy_http_call is denied; allow=http_call permits it',
        'm: proxy_define_metric is denied; allow=metrics permits it',
        'm: proxy_set_property is denied; allow=properties_write permits it',
        'm: proxy_get_shared_data is denied; allow=shared_data permits it',
        'm: proxy_register_shared_queue is denied; allow=shared_queue permits it',
    ], "lines of request $turn");
    my $calls = map { @$_ } values %::families;
    Test::More::is(scalar(grep { /status 10$/ } @lines), $calls, "statuses of request $turn");
}
--- request
GET /t
--- response_body: served
--- no_error_log
[alert]
[crit]
[emerg]
panicked


=== TEST 2: one family is denied, the others work
--- http_config eval
$::upstream . CORE::join '', map { "wasm_module $_ $::guest deny=$_;" } sort keys %::families
--- config eval
CORE::join '', map { my $name = $_; main::location("/$name", $name, (map { $_->[0] } map { $::families{$_} } sort keys %::families)) } sort keys %::families
--- init
main::lines();
for my $name (sort keys %::families) {
    Test::More::like(main::get("/$name"), qr{\AHTTP/1\.1 200 }, $name);
    my @lines = grep { !/get_shared_data k: status 1$/ } main::lines();
    Test::More::is(scalar(@lines), 2, "$name: two lines") or Test::More::diag(CORE::join "\n", @lines);
    Test::More::like($lines[0], qr/\A$name: proxy_\w+ is denied; allow=$name permits it\z/, "$name: denied");
    Test::More::like($lines[1], qr/\A$name: .*: status 10\z/, "$name: status");
}
--- request
GET /metrics
--- response_body: served
--- no_error_log
[alert]
[crit]
[emerg]
panicked


=== TEST 3: calls go to the listed upstreams, by whatever function, and nowhere else
--- http_config eval
"$::upstream" . 'wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm deny=all allow=random,http_call(auth|127.0.0.1:$TEST_NGINX_PORT_8),grpc_call(grpcs://auth);'
--- config eval
main::location('/grpc', 'm', main::grpc_call('auth'), main::stream('auth'), main::stream('grpcs://auth'), main::resolve('one.test'))
. main::location('/other', 'm', main::http_call('127.0.0.1:$TEST_NGINX_PORT_9'))
. q~location /listed { wasm_filter m '{"request_headers":[~ . main::http_call('AUTH')
. q~,["action","pause"]],"http_call_response":[["body_to_header","call_response","request","x-answer"],["continue","request"]]}'; return 200 "got $http_x_answer"; }~
--- init
main::lines();
Test::More::is(main::body_of(main::get('/listed')), 'got from the upstream', 'a listed upstream answers');
Test::More::is_deeply([main::lines()], [], 'nothing is denied');
Test::More::is(main::body_of(main::get('/other')), 'served', 'another address of the same server');
Test::More::is_deeply([main::lines()], [
    qq(m: proxy_http_call to "127.0.0.1:$ENV{TEST_NGINX_PORT_9}" is denied; allow=http_call(…) does not list that upstream),
    'm: http_call c: status 10'], 'is denied');
Test::More::is(main::body_of(main::get('/grpc')), 'served', 'gRPC');
Test::More::is_deeply([grep { !/TLS/ } main::lines()], [
    'm: proxy_grpc_call to "auth" is denied; allow=grpc_call(…) does not list that upstream',
    'm: grpc_call g: status 10', 'm: grpc_stream g: status 10',
    'm: resolve of "one.test" is denied; neither allow=http_call(…) nor allow=grpc_call(…) lists that host',
    'm: call_foreign_function resolve: status 10'], 'is denied');
--- request
GET /other
--- response_body: served
--- no_error_log
[alert]
[crit]
[emerg]
panicked


=== TEST 4: clock and random bytes
--- http_config eval
CORE::join '', map { "wasm_module $_ $::guest " . ($_ eq 'both' ? '' : "deny=$_") . ';' } qw(both clock)
--- config eval
CORE::join '', map { main::location("/$_", $_, '["time"]') } qw(both clock)
--- init
for my $case ([both => 'time realtime ok, monotonic ok, host ok, random ok'], [clock => 'time realtime errno 76, .*host status 10, random ok']) {
    my ($name, $says) = @$case;
    Test::More::like(main::get("/$name"), qr{\AHTTP/1\.1 200 }, $name);
    my @lines = main::wait_for(qr/\[wasm\] $name: \Ktime .*?(?=, client|$)/, 1);
    Test::More::like($lines[0], qr/\A$says/, "$name: what the guest sees");
}
--- request
GET /clock
--- response_body: served
--- no_error_log
[alert]
[crit]
[emerg]
panicked


=== TEST 5: the environment is seen when it is allowed; env= in any case, and it counts for more
--- http_config eval
"wasm_module none $::guest; wasm_module some $::guest env=WASM_TEST_SECRET deny=env; wasm_module all $::guest allow=env;"
. "wasm_module other $::guest allow=all env=WASM_TEST_SECRET=given;"
--- config eval
CORE::join '', map { main::location("/$_", $_, '["env","WASM_TEST_SECRET"]', '["env","PATH"]') } qw(none some all other)
--- init
for my $case ([none => 'unset', 'unset'], [some => '= from nginx', 'unset'], [all => '= from nginx', "= $ENV{PATH}"], [other => '= given', "= $ENV{PATH}"]) {
    my ($name, $secret, $path) = @$case;
    $secret =~ s/\Aunset/: unset/; $path =~ s/\Aunset/: unset/; s/\A=/ =/ for $secret, $path;
    Test::More::like(main::get("/$name"), qr{\AHTTP/1\.1 200 }, $name);
    my @lines = main::wait_for(qr/\[wasm\] $name: \Kenv .*?(?=, client|$)/, 2);
    Test::More::is_deeply(\@lines, ["env WASM_TEST_SECRET$secret", "env PATH$path"], "$name: what the guest sees");
}
--- request
GET /all
--- response_body: served
--- no_error_log
[alert]
[crit]
[emerg]
panicked


=== TEST 6: the check of the configuration denies too
--- config
    location /t { return 200 served; }
--- init
my ($status, $said) = main::nginx_t(qq(wasm_module m $::guest deny=all allow=random; wasm_filter m '{"configure":[["define_metric","counter","m","n"]]}';));
Test::More::is($status, 0, 'what is denied is no failure');
my @lines = $said =~ /(\[error\] .*)/g;
Test::More::is(scalar @lines, 1, 'one line');
Test::More::like($lines[0], qr/\[wasm\] m: proxy_define_metric is denied; allow=metrics permits it$/, 'the line');
--- request
GET /t
--- response_body: served


=== TEST 7: mistakes in allow= and deny= are told
--- config
    location /t { return 200 served; }
--- init
my $known = 'known are http_call, grpc_call, redis, upstream_hosts, shared_data, shared_queue, metrics, properties_write, env, clock, random and all';
my $which = 'it must be the name of an upstream block, host:port, 1.2.3.4:port, [v6]:port or unix:/path';
for my $case (
    ['allow=http_cal', "allow=: unknown capability \"http_cal\"; $known"],
    ['deny=', "deny=: unknown capability \"\"; $known"],
    ['allow=clock deny=random deny=clock', 'clock is in allow= and in deny='],
    ['deny=all allow=all', 'allow=all and deny=all contradict each other'],
    ['deny=http_call(a)', 'deny=: deny= takes no upstreams: those that http_call may have are listed in allow='],
    ['allow=clock(a)', 'allow=: clock has no upstreams; http_call, grpc_call and redis have'],
    ['allow=http_call(a', 'allow=: the upstreams of http_call must be written http_call(one|another)'],
    ['allow=http_call()', 'allow=: an upstream of http_call has no name; deny=http_call allows none'],
    ['allow=http_call(127.0.0.1:1|other)', "allow=http_call(…): there is no upstream \"other\"; $which"],
    ['allow=grpc_call(grpcs://other)', "allow=grpc_call(…): there is no upstream \"grpcs://other\"; $which"],
    ['allow=http_call(10.0.0.1)', "allow=http_call(…): there is no upstream \"10.0.0.1\"; $which"],
) {
    my ($parameters, $error) = @$case;
    Test::More::is(main::mistake($parameters), "wasm module \"m\": $error", $parameters);
}
my $upstream = 'upstream other { server 127.0.0.1:1; }';
for my $parameters ('allow=http_call(other|unix:/a|[::1]:80|a.test:80)', 'allow=http_call(other) allow=http_call(a.test:1) allow=grpc_call(https://other)') {
    my ($status, $said) = main::nginx_t("wasm_module m $::guest $parameters; $upstream");
    Test::More::is($status, 0, $parameters) or Test::More::diag($said);
}
--- request
GET /t
--- response_body: served
