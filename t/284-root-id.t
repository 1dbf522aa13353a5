# root_id= of wasm_filter: which of a module's filters a configuration is for. Guests read it as plugin_root_id.

use Test::Nginx::Socket 'no_plan';
use Control;

our $guest = 'wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $show = '{"request_headers":[["get_property","plugin_root_id"]]}';

# What `nginx -t` says of these lines of the http block: its error.
sub mistake {
    my $http = "$main::guest\n@_" =~ s/\$(TEST_NGINX_\w+)/$ENV{$1}/gr;
    my $file = "$main::html/t.conf";
    open my $out, '>', $file or die "$file: $!";
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $main::html/t.pid;\nevents {}\nhttp {\n$http\nserver {}\n}\n";
    close $out;
    my $said = `$ENV{TEST_NGINX_BINARY} -t -p $main::root/ -e stderr -c $file 2>&1`;
    my ($error) = $said =~ /\[emerg\] \S+ (.*) in \S+t\.conf:\d+$/m;
    return $error // $said;
}

# The values of a response's x-root lines.
sub roots { return CORE::join ' ', $_[0] =~ /^x-root: (.*?)\r$/mgi }

# What a block does is in its `--- init`; the request behind it is to show that all is well.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => ($block->config // '') . ' location = /t { return 204; }');
    $block->set_value(request => 'GET /t');
    $block->set_value(error_code => 204);
});

no_long_string();
no_root_location();
run_tests();

__DATA__

=== TEST 1: a guest with two roots does what the root id says
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/roots_as.wasm;
--- config
    location /one { wasm_filter m same root_id=one; return 200; }
    location /two { wasm_filter m same root_id=two; return 200; }
    location /both {
        wasm_filter m a root_id=one;
        wasm_filter m b root_id=two;
        return 200;
    }
--- init
Test::More::is(main::roots(main::get('/one')), 'one=same', 'one');
Test::More::is(main::roots(main::get('/two')), 'two=same', 'two');
Test::More::is(main::roots(main::get('/both')), 'two=b one=a', 'both, the last one first');
--- no_error_log
[error]
[alert]
[emerg]



=== TEST 2: a root context for each root id and configuration
--- http_config eval
"$::guest"
--- config eval
my $trace = '{"trace":true,"request_headers":[["get_property","plugin_root_id"]]}';
qq(location /a { wasm_filter m '$trace' root_id=a; return 200; }
location /b { wasm_filter m '$trace' root_id=b; return 200; }
location /none { wasm_filter m '$trace'; return 200; }
location /again { wasm_filter m '$trace' root_id=a; return 200; }
location /other { wasm_filter m '$trace ' root_id=a; return 200; })
--- init
main::get($_) for qw(/a /b /none /again /other);
my @roots = main::matches(qr/on_context_create id=(\d+) parent=0/);
Test::More::is(scalar @roots, 4, 'root contexts');
my @ids = main::matches(qr/property (plugin_root_id = \w*)/);
Test::More::is(CORE::join(', ', map { s/.* = //r } @ids), 'a, b, , a, a', 'their ids');
my @parents = map { s/.*=//r } main::matches(qr/on_context_create id=\d+ parent=[1-9]\d*/);
Test::More::is($parents[0], $parents[3], 'the same root context in both locations');
--- no_error_log
[error]
[alert]



=== TEST 3: the first text behind the name is the configuration, whatever it begins with
--- http_config eval
"$::guest wasm_module r \$TEST_NGINX_FILTERS/http_config.wasm;"
--- config eval
qq(location /text { wasm_filter r root_id=a; return 200; }
location /twice { wasm_filter r root_id=a root_id=b; return 200; })
--- init
for my $path (qw(/text /twice)) {
    Test::More::like(main::get($path), qr/^custom-header: root_id=a\r$/m, $path);
}
--- no_error_log
[error]
[alert]



=== TEST 4: another root id makes another filter of a location: its parent's goes
--- http_config eval
"$::guest wasm_filter m '$::show' root_id=http;"
--- config eval
qq(location /inherited { return 200; }
location /own { wasm_filter m '$::show' root_id=own; return 200; })
--- init
main::get($_) for qw(/inherited /own);
my @ids = map { s/.* = //r } main::matches(qr/property plugin_root_id = \w*/);
Test::More::is("@ids", 'http own', 'root ids');
--- no_error_log
[error]
[alert]



=== TEST 5: mistakes
--- config
--- init
my $wanted = 'wasm_filter takes a name, one configuration and root_id=, not "%s"; quote a configuration that has spaces';
my %mistakes = (
    'wasm_filter m a b;' => sprintf($wanted, 'b'),
    'wasm_filter m a rootid=b;' => sprintf($wanted, 'rootid=b'),
    'wasm_filter m a root_id=b c;' => sprintf($wanted, 'c'),
    'wasm_filter m a root_id=;' => 'empty root_id=',
    'wasm_filter m a root_id=b root_id=b;' => 'duplicate parameter root_id=',
    'wasm_filter off a root_id=b;' => '"wasm_filter off" takes no configuration',
);
for my $line (sort keys %mistakes) {
    Test::More::is(main::mistake($line), $mistakes{$line}, $line);
}
--- no_error_log
[alert]
