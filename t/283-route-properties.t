# Properties about the route: route_name, cluster_name, what wasm_property sets, and what gateways' SDKs read beside them.

use Test::Nginx::Socket 'no_plan';
use Control;

our $guest = 'wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;';

# Operations that log properties; a number of eight bytes where the name begins with +.
sub show {
    return CORE::join ',', map { /\A\+(.*)/ ? qq(["get_property_u64","$1"]) : qq(["get_property","$_"]) } @_;
}

# A location that logs them when the request comes, and with `log`, at its end.
sub location {
    my ($path, $content, $properties, $at) = @_;
    my $shown = show(@$properties);
    $at //= 'request_headers';
    return "location $path { wasm_filter m '{\"$at\":[$shown]}'; $content }\n";
}

# What the guests have said of properties since the last time: "name = value" or "name: status 1".
our $read = 0;
sub told {
    my $text = do { local (@ARGV, $/) = $main::log; <> };
    my @all = $text =~ /\[wasm\] m: property (.*?)(?: while [\w ]+)?(?:, client.*)?$/mg;
    my @new = @all[$read .. $#all];
    $read = @all;
    return @new;
}

sub is_told {
    my ($path, @wanted) = @_;
    main::get($path);
    my @told = told();
    Test::More::is_deeply(\@told, \@wanted, $path) or Test::More::diag(CORE::join "\n", @told);
}

# What `nginx -t` says of these lines of the http block: its error.
sub mistake {
    my $file = "$main::html/t.conf";
    open my $out, '>', $file or die "$file: $!";
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $main::html/t.pid;\nevents {}\nhttp {\n@_\nserver {}\n}\n";
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $main::root/ -e stderr -c $file 2>&1`;
    my ($error) = $said =~ /\[emerg\] \S+ (.*) in \S+t\.conf:\d+$/m;
    return $error // $said;
}

our @names = qw(route_name xds.route_name cluster_name xds.cluster_name);

# What a block does is in its `--- init`; the request behind it is to show that all is well.
add_block_preprocessor(sub {
    my $block = shift;
    $main::read = 0;
    $block->set_value(config => ($block->config // '') . ' location = /t { return 204; }');
    $block->set_value(request => 'GET /t');
    $block->set_value(error_code => 204);
});

no_long_string();
no_root_location();
run_tests();

__DATA__

=== TEST 1: by default, the names of the location and of the upstream
--- http_config eval
qq($::guest
upstream up { server 127.0.0.1:\$TEST_NGINX_PORT_1; }
upstream "outbound|9090||svc" { server 127.0.0.1:\$TEST_NGINX_PORT_1; }
server { listen 127.0.0.1:\$TEST_NGINX_PORT_1; location / { return 200 up; } })
--- config eval
main::location('/block', 'proxy_pass http://up;', \@::names)
. main::location('= /exact', 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;', \@::names)
. main::location('~ ^/re(x|y)$', 'proxy_pass "http://outbound|9090||svc";', \@::names)
. main::location('/none', 'return 200;', \@::names)
. main::location('/grpc', 'grpc_pass up;', ['cluster_name'])
. main::location('/fastcgi', 'fastcgi_pass up;', ['cluster_name'])
. main::location('/uwsgi', 'uwsgi_pass up;', ['cluster_name'])
. main::location('/scgi', 'scgi_pass up;', ['cluster_name'])
. main::location('/if', 'if ($arg_a) { set $b 1; } proxy_pass http://up;', ['route_name', 'cluster_name'])
. 'location @named { ' . qq(wasm_filter m '{"request_headers":[@{[main::show('route_name')]}]}'; return 200; }\n)
. 'location /named { try_files /missing @named; }'
--- init
my $names = sub { my ($route, $cluster) = @_; return ("route_name = $route", "xds.route_name = $route", $cluster ? ("cluster_name = $cluster", "xds.cluster_name = $cluster") : ('cluster_name: status 1', 'xds.cluster_name: status 1')) };
main::is_told('/block', $names->('/block', 'up'));
main::is_told('/exact', $names->('/exact', "127.0.0.1:$ENV{TEST_NGINX_PORT_1}"));
main::is_told('/rey', $names->('^/re(x|y)$', 'outbound|9090||svc'));
main::is_told('/none', $names->('/none'));
main::is_told("/$_", 'cluster_name = up') for qw(grpc fastcgi uwsgi scgi);
main::is_told('/if?a=1', 'route_name = /if', 'cluster_name = up');
main::is_told('/named', 'route_name = @named');
--- no_error_log
[alert]
[emerg]



=== TEST 2: an upstream that a variable names is known when it has been chosen
--- http_config eval
qq($::guest
upstream up { server 127.0.0.1:\$TEST_NGINX_PORT_1; }
server { listen 127.0.0.1:\$TEST_NGINX_PORT_1; location / { return 200 up; } })
--- config eval
main::location('/early', 'proxy_pass http://$arg_u;', ['cluster_name'])
. main::location('/late', 'proxy_pass http://$arg_u;', ['cluster_name'], 'response_headers')
--- init
main::is_told('/early?u=up', 'cluster_name: status 1');
main::is_told('/late?u=up', 'cluster_name = up');
--- no_error_log
[alert]
[emerg]



=== TEST 3: wasm_property, with variables, on every level; each name is inherited by itself
--- http_config eval
qq($::guest
wasm_property route_name "\$server_name\$uri";
wasm_property cluster_name 'outbound|80||svc';
wasm_property my.own http;)
--- config eval
'wasm_property xds.cluster_name "outbound|${server_port}||other"; '
. main::location('/a', 'wasm_property my.own $arg_x; return 200;', [@::names, 'my.own'])
. main::location('/b', 'wasm_property route_name fixed; return 200;', [@::names, 'my.own'])
. main::location('/c', 'wasm_property source.address $http_x_real; wasm_property empty ""; return 200;', ['source.address', 'empty', 'xds.my.own'])
--- init
my $cluster = "outbound|$ENV{TEST_NGINX_SERVER_PORT}||other";
main::is_told('/a/b?x=1', 'route_name = localhost/a/b', 'xds.route_name = localhost/a/b', "cluster_name = $cluster", "xds.cluster_name = $cluster", 'my.own = 1');
main::is_told('/b', 'route_name = fixed', 'xds.route_name = fixed', "cluster_name = $cluster", "xds.cluster_name = $cluster", 'my.own = http');
main::get('/c', "X-Real: 10.1.2.3\r\n");
Test::More::is_deeply([main::told()], ['source.address = 10.1.2.3', 'empty = ', 'xds.my.own = http'], '/c');
--- no_error_log
[error]
[alert]
[emerg]



=== TEST 4: a guest cannot change what the configuration sets
--- http_config eval
"$::guest wasm_property route_name fixed;"
--- config
    location /a {
        wasm_filter m '{"request_headers":[["set_property","route_name","x"],["get_property","route_name"]]}';
        return 200;
    }
--- init
main::is_told('/a', 'route_name = fixed');
--- no_error_log
[alert]
[emerg]



=== TEST 5: mistakes of wasm_property
--- config
--- init
my %mistakes = (
    'wasm_property a;' => 'invalid number of arguments in "wasm_property" directive',
    'wasm_property a b c;' => 'invalid number of arguments in "wasm_property" directive',
    'wasm_property "" b;' => 'invalid name "" of a wasm_property',
    'wasm_property a..b c;' => 'invalid name "a..b" of a wasm_property',
    'wasm_property xds. c;' => 'invalid name "xds." of a wasm_property',
    'wasm_property nginx.uri c;' => 'wasm_property cannot set "nginx.uri": this name has a meaning of its own',
    'wasm_property plugin_name c;' => 'wasm_property cannot set "plugin_name": this name has a meaning of its own',
    'wasm_property a b; wasm_property xds.a c;' => 'duplicate wasm_property "xds.a"',
    'wasm_property a $nothing;' => 'unknown "nothing" variable',
);
for my $line (sort keys %mistakes) {
    my $said = main::mistake($line);
    $said = 'unknown "nothing" variable' if $said =~ /unknown "nothing" variable/;
    Test::More::is($said, $mistakes{$line}, $line);
}
--- no_error_log
[alert]



=== TEST 6: request.id is the client's x-request-id, or else $request_id, the same each time
--- http_config eval
qq($::guest log_format ids '\$request_id';)
--- config eval
my @show = qw(request.id x_request_id);
'access_log logs/ids.log ids; ' . main::location('/a', 'return 200 $request_id;', \@show)
. main::location('/end', 'return 200 $request_id;', \@show, 'log')
--- init
my $id = main::body_of(main::get('/a'));
Test::More::like($id, qr/\A[0-9a-f]{32}\z/, 'an id');
Test::More::is_deeply([main::told()], ["request.id = $id", "x_request_id = $id"], 'without x-request-id');
$id = main::body_of(main::get('/end'));
main::wait_for(qr/x_request_id = $id/);
Test::More::is_deeply([main::told()], ["request.id = $id", "x_request_id = $id"], 'at the end');
main::get('/a', "X-Request-ID: mine\r\n");
Test::More::is_deeply([main::told()], ['request.id = mine', 'x_request_id = mine'], 'with x-request-id');
--- no_error_log
[error]
[alert]
[emerg]



=== TEST 7: response.code_details is there with the response
--- http_config eval
qq($::guest
server { listen 127.0.0.1:\$TEST_NGINX_PORT_1; location / { return 200 up; } })
--- config eval
my $up = 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;';
main::location('/early', $up, ['response.code_details']) . main::location('/up', $up, ['response.code_details'], 'response_headers')
. main::location('/own', 'return 200;', ['response.code_details'], 'response_headers')
--- init
main::is_told('/early', 'response.code_details: status 1');
main::is_told('/up', 'response.code_details = via_upstream');
main::is_told('/own', 'response.code_details = direct_response');
--- no_error_log
[error]
[alert]
[emerg]



=== TEST 8: plugin_vm_memory is what the instance's memory has, in bytes
--- http_config eval: $::guest
--- config eval
main::location('/a', 'return 200;', ['+plugin_vm_memory'])
--- init
main::get('/a');
my ($size) = (main::told())[0] =~ /\Aplugin_vm_memory = (\d+)\z/;
Test::More::ok($size && $size % 65536 == 0, 'whole pages');
--- no_error_log
[error]
[alert]



=== TEST 9: subrequests and internal redirects have the names of their own locations
--- http_config eval
qq($::guest upstream up { server 127.0.0.1:9; })
--- config eval
my $show = main::show(qw(route_name));
qq(location /a { wasm_filter m '{"request_headers":[$show]}'; mirror /sub; return 200; }
location /sub { wasm_filter m '{"request_headers":[$show,["get_property","cluster_name"]]}'; proxy_pass http://up; }
location /from { error_page 404 /to; return 404; }
location /to { wasm_filter m '{"request_headers":[$show]}'; return 200; })
--- init
main::is_told('/from', 'route_name = /to');
--- no_error_log
[alert]
[emerg]
