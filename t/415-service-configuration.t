# wasm_module and wasm_handler for components: what nginx takes, and what it says about the rest.

use Test::Nginx::Socket 'no_plan';

my $html = html_dir();

# Runs `nginx -t` over a configuration; what is wrong with it, or "ok".
sub nginx_t {
    my ($http, $server) = @_;
    open my $out, '>', "$html/t.conf" or die $!;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $html/t.pid;\nevents {}\nhttp {\n$http\nserver { "
        . ($server // '') . " }\n}\n";
    close $out;
    my $root = $ENV{TEST_NGINX_SERVER_ROOT};
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $root/ -e stderr -c $html/t.conf 2>&1`;
    return 'ok' if $? == 0;
    my ($mistake) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$/m or return $said;
    $mistake =~ s/\("[^"]*"\)/(FILE)/;
    return $mistake;
}

my $lab = "$ENV{TEST_NGINX_FILTERS}/component_lab.wasm";

# Parameters of wasm_module, and what nginx says of them.
our %parameters = (
    '' => 'ok',
    'type=component' => 'ok',
    'memory=64m cpu_time=1s stack=512k table=1000 instances=10 queue=5 log_rate=off turn_time=5ms env=A=b env=HOME' => 'ok',
    'allowed_outbound_hosts=https://*.example.com allowed_outbound_hosts=http://10.0.0.0/8:8000..8100,*://a.example:*' => 'ok',
    'dir=/srv dir=/srv/data::/data dir=/srv/more:rw' => 'ok',
    'isolation=worker reuse=100' => 'ok',
    'isolation=worker' => 'ok',
    'isolation=request' => 'ok',
    'reuse=5' => 'wasm module "m" (FILE): reuse= needs isolation=worker',
    'reuse=0 isolation=worker' => 'wasm module "m": invalid value "0" of reuse=, it must be a number from 1 to 4294967295',
    'dir=data' => 'wasm module "m": dir= needs an absolute path: dir=/path, dir=/path::/name, dir=/path:rw',
    'allowed_outbound_hosts=a.example' => 'wasm module "m" (FILE): allowed_outbound_hosts=: "a.example" has no scheme: write http://…, https://… or *://…',
    'type=wasm' => 'wasm module "m": invalid value "wasm" of type=, it must be "proxy-wasm", "http-wasm", "extism", "wapc" or "component"',
    map({ my ($name) = /^(\w+)=/; $_ => qq(wasm module "m" (FILE): $name= is not for components) }
        qw(vm_id=a vm_config=a on_failure=open header_stop=all start_time=1s allow=env deny=env config=a:b allowed_hosts=a vars=shared http_headers=on)),
);

# Those of wasm_handler.
our %handler = (
    '' => 'ok',
    map({ my ($name) = /^(\w+)=/; $_ => qq(wasm module "m" is a component: $name= of wasm_handler is for plugins alone) }
        qw(function=a input=json content_type=text/plain error_status=503 errors=show variable=$uri)),
);
$handler{'variable=$uri'} = 'variable= of wasm_handler needs input=json';

for my $given (sort keys %parameters) {
    Test::More::is(nginx_t("wasm_module m $lab $given;"), $parameters{$given}, "wasm_module: $given");
}
for my $given (sort keys %handler) {
    Test::More::is(nginx_t("wasm_module m $lab;", "location / { wasm_handler m $given; }"), $handler{$given}, "wasm_handler: $given");
}
Test::More::is(nginx_t("wasm_module m $lab;", "location / { wasm_filter m; }"), 'wasm module "m" is a component: use wasm_handler', 'no filter');
for my $given (qw(dir=/srv allowed_outbound_hosts=http://a reuse=2)) {
    my ($name) = $given =~ /^(\w+)=/;
    Test::More::is(nginx_t("wasm_module m $ENV{TEST_NGINX_FILTERS}/extism_hello.wasm $given;"),
        qq(wasm module "m" (FILE): $name= is for components alone), "not of plugins: $given");
}

# A component as text, with these imports, and exports that are there or not.
sub component {
    my ($import, $export) = @_;
    my $file = "$html/own.wat";
    open my $out, '>', $file or die $!;
    print $out '(component ', ($import ? qq((import "$import" (instance))) : ''), ($export ? qq((instance \$i) (export "$export" (instance \$i))) : ''), ")\n";
    close $out;
    return nginx_t("wasm_module m $file;");
}

my $handler = 'wasi:http/incoming-handler@0.2.0';
Test::More::like(component('', ''), qr{^wasm module "m" \(FILE\): the component exports no handler: wasi:http/incoming-handler\@0\.2\S* or wasi:http/handler\@0\.3\S* for requests, spin:redis/inbound-redis\@3\.0\.0 or fermyon:spin/inbound-redis for messages of Redis$}, 'no handler');
Test::More::like(component('a:b/c@1.0.0', $handler), qr{^wasm module "m" \(FILE\): the component imports "a:b/c\@1\.0\.0", which is not offered$}, 'an interface that nobody has');
Test::More::like(component('wasi:http/types@0.9.0', $handler), qr{^wasm module "m" \(FILE\): the component imports "wasi:http/types\@0\.9\.0", of which there is version 0\.2\S* and 0\.3\S*$}, 'a version that is not there');

no_long_string();
run_tests();

__DATA__

=== TEST 1: a component serves where the file says what it is
--- http_config
wasm_module m $TEST_NGINX_FILTERS/component_hello.wasm sha256=00;
--- config
--- must_die
--- error_log
sha256= needs 64 hexadecimal digits
