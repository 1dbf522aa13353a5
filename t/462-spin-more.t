# wasm_spin: static responses, files, and components that ask each other.

use File::Path ();
use File::Temp ();
use Test::Nginx::Socket 'no_plan';
use Service;
use Wire;

log_level('info');
no_long_string();
timeout(300);

our $root = File::Temp::tempdir('spin-XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $filters = $ENV{TEST_NGINX_FILTERS};
our $clean = $Service::clean;
our $alive = $Service::alive;
our $head = "spin_manifest_version = 2\n[application]\nname = \"more\"\n";

# An application's folder with this manifest, files, and the components beside it; its manifest.
my $number = 0;
sub app {
    my ($text, %files) = @_;
    my $folder = "$main::root/app" . $number++;
    for my $name (sort keys %files) {
        File::Path::make_path("$folder/$name" =~ s{/[^/]*\z}{}r);
        open my $out, '>', "$folder/$name" or die "$name: $!";
        print $out $files{$name};
        close $out;
    }
    File::Path::make_path($folder);
    symlink "$main::filters/$_.wasm", "$folder/$_.wasm" or die $! for qw(component_lab component_lab_p3 component_hello);
    open my $out, '>', "$folder/spin.toml" or die $!;
    print $out "$main::head$text";
    close $out;
    chmod 0755, $main::root;
    return "$folder/spin.toml";
}

sub trigger { return "[[trigger.http]]\nroute = $_[0]\ncomponent = \"$_[1]\"\n" }

sub said { return join '', map { Service::short($_, '') =~ s/\n*\z/\n/r } @_ }

run_tests();

__DATA__

=== TEST 1: static responses
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /s/ { rewrite ^/s(.*)$ $1 break; wasm_spin ' . main::app(<<'_') . ' base=/; }'
[[trigger.http]]
route = "/plain"
static_response = { body = "as it is" }
[[trigger.http]]
route = "/teapot"
static_response = { status_code = 418, headers = { x-tea = "yes", content-type = "text/tea" }, body = "short" }
[[trigger.http]]
route = "/moved/..."
static_response = { status_code = 302, headers = { location = "/elsewhere" } }
_
--- client eval
sub {
    my @answers = map { [Service::answered("/s$_", 'a body that nobody reads')] } '/plain', '/teapot', '/moved/a/b';
    rows(map { my ($head, $body) = @$_; CORE::join('|', $head =~ m{^HTTP/1\.1 (\d+)}, (map { $head =~ /^$_: (\S+)\r$/mi ? $1 : '-' } qw(content-type content-length x-tea location)), $body) } @answers);
}
--- client_out eval
Service::matching(<<'_')
200\|text/plain\|8\|-\|-\|as it is
418\|text/tea\|5\|yes\|-\|short
302\|[^|]*\|0\|-\|\S*/elsewhere\|
_
--- no_error_log eval: $::clean



=== TEST 2: files: directories, read-only, of one component alone
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /s/ { rewrite ^/s(.*)$ $1 break; wasm_spin ' . main::app(main::trigger('"/..."', 'lab') . main::trigger('"/p3/..."', 'bare') . <<'_', 'pages/a.txt' => 'a page', 'pages/deep/b.txt' => 'a deeper one', 'more/c.txt' => 'elsewhere') . ' base=/; }'
[component.lab]
source = "component_lab.wasm"
files = ["pages/**/*", { source = "more", destination = "/other" }]
[component.bare]
source = "component_lab_p3.wasm"
_
--- client eval
sub { main::said(map { "/s$_" } '/read?/pages/a.txt', '/read?/pages/deep/b.txt', '/read?/other/c.txt', '/list?/pages', '/write?/pages/new.txt', '/read?/spin.toml', '/read?/pages/../spin.toml') }
--- client_out eval
Service::matching(<<'_')
200 a page
200 a deeper one
200 elsewhere
200 a.txt
deep
200 error: .*
200 error: .*
200 error: .*
_
--- no_error_log eval: $::clean



=== TEST 3: components that ask each other, as far as they are allowed to
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /s/ { rewrite ^/s(.*)$ $1 break; wasm_spin ' . main::app(main::trigger('"/..."', 'two') . main::trigger('"/hello"', 'hello') . main::trigger('{ private = true }', 'three') . <<'_') . ' base=/; }'
[component.two]
source = "component_lab.wasm"
allowed_outbound_hosts = ["http://*.spin.internal"]
[component.three]
source = "component_lab_p3.wasm"
allowed_outbound_hosts = ["http://two.spin.internal"]
[component.hello]
source = "component_hello.wasm"
_
--- client eval
sub {
    main::said(map { "/s/proxy?http://$_" } 'three.spin.internal/count', 'hello.spin.internal/', 'none.spin.internal/', 'three.spin.internal/proxy?http://hello.spin.internal/',
        'three.spin.internal/proxy?http://two.spin.internal/count', 'two.spin.internal/proxy?http://' x 7 . 'two.spin.internal/count', 'two.spin.internal/proxy?http://' x 9 . 'two.spin.internal/count',
        'three.spin.internal/trap-early');
}
--- client_out eval
Service::matching('200 200: 1
200 200: \{"message":"Hello "\}
200 error: .*DestinationNotFound.*
200 200: error: .*HttpRequestDenied.*
200 200: 200: 1
200 (?:200: ){8}1
200 (?:200: )*error: .*LoopDetected.*
200 error: .*InternalError.*
')
--- error_log
[wasm] more/three: request to hello.spin.internal: requests to hello.spin.internal are not allowed
--- no_error_log eval: $::alive



=== TEST 4: bodies between components are streams, which end with their readers; a guest that fails amid one
--- http_config: wasm_cache $TEST_NGINX_SERVROOT.cache;
--- config eval
'location /status { stub_status; }
location /s/ { rewrite ^/s(.*)$ $1 break; wasm_spin ' . main::app(main::trigger('"/..."', 'two') . main::trigger('{ private = true }', 'three') . <<'_') . ' base=/; }'
[component.two]
source = "component_lab.wasm"
allowed_outbound_hosts = ["http://*.spin.internal"]
[component.three]
source = "component_lab_p3.wasm"
_
--- client eval
sub {
    my $text = 'some text ' x 100;
    my $sent = Service::short('/s/upload?http://three.spin.internal/echo', $text);
    # What has come of the other one's body may have been passed on by then.
    my $late = Service::short('/s/proxy?http://three.spin.internal/trap-late', '');
    my @rows = ($sent eq "200 200: $text" ? 'the same' : $sent, $late =~ /\A(?:500 |200 200: begun)/ ? 'not whole' : $late);
    for (1, 2) {
        my $flood = Service::asked('/s/proxy?http://three.spin.internal/flood');
        push @rows, length $flood->take(2_000_000);
        $flood->close;
        push @rows, 'left: ' . writing();
    }
    # Both components answer others.
    push @rows, Service::short('/s/proxy?http://three.spin.internal/count', '');
    rows(@rows);
}
--- client_out eval
Service::matching("the same\nnot whole\n" . "2000000\nleft: 1\n" x 2 . "200 200: 1\n")
--- error_log eval: qr/\[error\] .*\[wasm\] more\/three: .*unreachable/
--- no_error_log eval: $::alive
