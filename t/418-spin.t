# wasm_spin: an application's routes, its headers, variables and stores; mistakes.

use File::Temp ();
use Test::Nginx::Socket 'no_plan';
use Handler;
use Wire;

log_level('info');
no_long_string();
timeout(300);

our $root = File::Temp::tempdir('spin-XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $filters = $ENV{TEST_NGINX_FILTERS};
our $clean = $Handler::clean;
our $manifest = <<"_EOC_";
spin_manifest_version = 2
[application]
name = "shop"
[variables]
name = { default = "nobody" }
token = { required = true, secret = true }
[[trigger.http]]
route = "/exact"
component = "lab"
[[trigger.http]]
route = "/users/:id/..."
component = "lab"
[[trigger.http]]
route = "/..."
component = "lab"
[[trigger.http]]
route = "/hello"
component = "hello"
[[trigger.http]]
route = { private = true }
component = "lab"
[component.lab]
source = "component_spin.wasm"
key_value_stores = ["default"]
[component.lab.variables]
greeting = "Hello {{ name }}"
token = "{{ token }}"
[component.hello]
source = "component_hello.wasm"
_EOC_

# An application's folder with this manifest, and the components beside it; its name.
my $number = 0;
sub app {
    my $text = shift // $main::manifest;
    my $folder = "$main::root/app" . $number++;
    mkdir $folder or die "$folder: $!\n";
    symlink "$main::filters/$_.wasm", "$folder/$_.wasm" for qw(component_spin component_hello);
    open my $out, '>', "$folder/spin.toml" or die $!;
    print $out $text;
    close $out;
    return "$folder/spin.toml";
}

# What `nginx -t` says of a location with this directive: the mistake, or "ok".
sub nginx_t {
    my $directive = shift;
    open my $out, '>', "$main::root/t.conf" or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $main::root/t.pid;\nevents {}\n"
        . "http { wasm_cache off; server { location /shop/ { $directive } } }\n";
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $ENV{TEST_NGINX_SERVER_ROOT}/ -e stderr -c $main::root/t.conf 2>&1`;
    return 'ok' if $? == 0;
    my ($mistake) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$/m or return $said;
    $mistake =~ s/"[^"]*\/(spin\.toml|[^"\/]*\.wasm)"/$1/g;
    return $mistake;
}

sub said { return join '', map { (Handler::short($_, ''))[0] . "\n" } @_ }

run_tests();

__DATA__

=== TEST 1: routes: exact, with a parameter, the rest; two components; nobody reaches a private one
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /shop/ { wasm_spin ' . main::app() . ' variable=token:t; }'
--- client eval
sub {
    my $headers = sub { my $said = main::said($_[0]); $said =~ s/127\.0\.0\.1:\d+/ADDRESS/g; $said };
    (join '', $headers->('/shop/headers'), (Handler::short('/shop/hello', 'Spin'))[0], "\n", main::said('/shop/exact', '/shop/users/7/a/b'), $headers->('/shop/users/7/headers')) =~ s/\n+\z/\n/r;
}
--- client_out
200 spin-base-path: /
spin-client-addr: ADDRESS
spin-component-route: 
spin-full-url: http://a.example/shop/headers
spin-matched-route: /shop/...
spin-path-info: /headers
spin-raw-component-route: /...

200 {"message":"Hello Spin"}
200 no such path
200 no such path
200 spin-base-path: /
spin-client-addr: ADDRESS
spin-component-route: /users/:id
spin-full-url: http://a.example/shop/users/7/headers
spin-matched-route: /shop/users/:id/...
spin-path-info: /headers
spin-path-match-id: 7
spin-raw-component-route: /users/:id/...
--- no_error_log eval: $::clean



=== TEST 2: variables, by the directive and by default; stores that the manifest names, and others
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /s/ { wasm_spin ' . main::app() . ' variable=token:secret; }'
--- client eval
sub {
    main::said(map { "/s$_" } '/variable?greeting', '/variable?token', '/variable?name', '/variable?No', '/key-value/count?default,n',
        '/key-value/count?default,n', '/key-value/get?other,n');
}
--- client_out
200 Hello nobody
200 secret
200 error: Error::Undefined("no variable \"name\"")
200 error: Error::InvalidName("\"No\" may have only lower-case letters, digits and underscores")
200 1
200 2
200 error: Error::AccessDenied
--- no_error_log eval: $::clean



=== TEST 3: what a client says in Spin's lines is replaced
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /s/ { wasm_spin ' . main::app() . ' variable=token:t; }'
--- client eval
sub { (Handler::post('/s/headers', '', lines => ['spin-client-addr: 1.2.3.4:5', 'spin-path-info: /evil']))[1] =~ s/127\.0\.0\.1:\d+/ADDRESS/gr }
--- client_out
spin-base-path: /
spin-client-addr: ADDRESS
spin-component-route: 
spin-full-url: http://a.example/s/headers
spin-matched-route: /s/...
spin-path-info: /headers
spin-raw-component-route: /...
--- no_error_log eval: $::clean



=== TEST 4: no route
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
my $text = $::manifest;
$text =~ s/\[\[trigger.http\]\]\nroute = "\/\.\.\."\ncomponent = "lab"\n//;
'location /s/ { wasm_spin ' . main::app($text) . ' variable=token:t; }'
--- request
GET /s/none
--- error_code: 404
--- no_error_log eval: $::clean



=== TEST 5: mistakes
--- config
location /t { return 204; }
--- init
my $good = main::app();
my $edited = sub { my ($from, $to) = @_; my $text = $main::manifest; $text =~ s/$from/$to/ or die $from; return 'wasm_spin ' . main::app($text) . ' variable=token:t;' };
my %mistakes = (
    "wasm_spin $good variable=token:t;" => qr/^ok$/,
    "wasm_spin $good;" => qr/^spin\.toml: variables: the variable "token" is required, and has no value/,
    "wasm_spin $good variable=token:t variable=none:x;" => qr/^spin\.toml: the application has no variable "none"$/,
    "wasm_spin $good variable=token;" => qr/^invalid "variable=token": it is variable=name:value$/,
    "wasm_spin $good base=x;" => qr/^invalid base "base=x": it begins with \/$/,
    "wasm_spin $good other=x;" => qr/^unknown parameter "other=x" of wasm_spin$/,
    "wasm_spin $good variable=token:t; wasm_spin $good variable=token:t;" => qr/^"wasm_spin" stands beside another handler$/,
    'wasm_spin none/spin.toml;' => qr/^cannot read spin\.toml: No such file/,
    $edited->('component_spin.wasm', 'none.wasm') => qr/^spin\.toml: component lab: cannot read none\.wasm: No such file/,
    $edited->('spin_manifest_version = 2', 'spin_manifest_version = "1"') => qr/^spin\.toml: .*version/,
);
Test::More::like(main::nginx_t($_), $mistakes{$_}, s/\S*\/(?=app)//gr) for sort keys %mistakes;
--- request
GET /t
--- error_code: 204
