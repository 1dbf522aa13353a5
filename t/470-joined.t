# Callbacks that are made by one entry into the guest, and the same ones made one by one: that is done where they are timed for
# the page of metrics.

use Test::Nginx::Socket 'no_plan';
use Control;

our $http = '
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    wasm_module n $TEST_NGINX_FILTERS/hostcalls.wasm;';
our $locations = q(
    location /plain { wasm_filter m '{"trace":true}'; return 200 "plain"; }
    location /answer { wasm_filter m '{"trace":true,"context_create":[["local_response",418,[],"answered"]]}'; return 200 "not this"; }
    location /close { wasm_filter m '{"trace":true,"context_create":[["close","request"]]}'; return 200 "not this"; }
    location /effective {
        wasm_filter m '{"trace":true,"done":[["effective_context","root"]],"log":[["log_header","request","x-a"]]}';
        return 200 "effective";
    }
    location /create_effective {
        wasm_filter m '{"trace":true,"context_create":[["effective_context","root"]],"request_headers":[["log_header","request","x-a"]]}';
        return 200 "create effective";
    }
    location /waits {
        wasm_filter m '{"trace":true,"done":[["return_false"]]}';
        return 200 "waits";
    }
    location /two {
        wasm_filter m '{"trace":true}';
        wasm_filter n '{"trace":true}';
        return 200 "two";
    }
    location /t { return 204; });

# The callbacks of a request, and what guests say in them.
sub of_request {
    my ($path) = @_;
    my $got = main::get($path, "x-a: value\r\n");
    main::wait_for(qr/on_delete id=\d+.*"GET \Q$path\E /, 1) unless $path eq '/waits';
    my @lines = main::matches(qr/\[wasm\] \K\w: (?!.*parent=0)[^,]*?(?=(?: while logging request)?, client: .*"GET \Q$path\E )/);
    s/ (?:count|eos|size|parent)=\S+//g, s/\bid=\d+/id/ for @lines;
    return (main::body_of($got), \@lines);
}

sub all_of_them {
    my @all = map { "m: on_$_ id" } qw(context_create request_headers response_headers response_body done log delete);
    my @ends = @all[2 .. 6];
    my ($body, $lines) = of_request('/plain');
    Test::More::is($body, 'plain', 'plain: the body');
    Test::More::is_deeply($lines, \@all, 'plain');
    ($body, $lines) = of_request('/answer');
    Test::More::is($body, 'answered', 'an answer when the context is created: the body');
    Test::More::is_deeply($lines, [$all[0], @ends[2 .. 4]], 'an answer: the filter sees neither the request nor the response');
    ($body, $lines) = of_request('/close');
    Test::More::is_deeply($lines, [$all[0], @all[4 .. 6]], 'a close when the context is created');
    ($body, $lines) = of_request('/effective');
    Test::More::is_deeply($lines, [@all[0 .. 5], 'm: request x-a=value', $all[6]], 'another effective context in done');
    ($body, $lines) = of_request('/create_effective');
    Test::More::is_deeply($lines, [@all[0, 1], 'm: request x-a=value', @ends], 'another effective context in create');
    ($body, $lines) = of_request('/two');
    my ($m, $n) = map { my $name = $_; [map { s/\Am/$name/r } @all] } qw(m n);
    Test::More::is_deeply($lines, [$m->[0], $n->[0], $m->[1], $n->[1], $n->[2], $m->[2], $n->[3], $m->[3], @$m[4 .. 6], @$n[4 .. 6]],
        'two filters: all contexts are made before the first header callback');
    of_request('/waits');
    # Behind it on the same event loop.
    of_request('/plain?again');
    ($body, $lines) = (undef, [main::matches(qr/\[wasm\] m: on_\K\w+(?= id=\d+.*"GET \/waits )/)]);
    Test::More::is_deeply($lines, [qw(context_create request_headers response_headers response_body done)], 'one that is not done is not logged');
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: joined
--- http_config eval: $main::http
--- config eval: $main::locations
--- init
main::all_of_them();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
panicked


=== TEST 2: one by one
--- http_config eval: $main::http
--- config eval: $main::locations . ' location /metrics { wasm_metrics; }'
--- init
main::all_of_them();
--- request
GET /t
--- error_code: 204
--- no_error_log
[error]
[alert]
panicked
