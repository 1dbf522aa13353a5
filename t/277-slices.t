# Requests that nginx makes in the middle of a response: slices, background updates of the cache, SSI, addition;
# filters that pause in them; on a cache miss and on a hit.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;

log_level('error');
no_long_string();
no_root_location();

our $alive = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $bad = qr/$alive|\[error\]/;
our $text = CORE::join '', map { sprintf "%06d\n", $_ } 0 .. 599;
our $user_files = [['x.txt', $text]];

our $http = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
proxy_cache_path proxy_temp/cache keys_zone=c:1m;
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; root html; location / { } }
_EOC_

# Continues both directions of all contexts at each tick, every millisecond.
our $tick = '"tick":[["let","n","0"],["repeat",200,[["let","n",{"add":[{"var":"n"},1]}],["effective_context",{"var":"n"}],["if",{"var":"status"},"0",[["continue","request"],["continue","response"]]]]]]';
our $pause = '["action","pause"]';
our %do = (
    pass    => '{}',
    headers => qq~{"start":[["set_tick",1]],"response_headers":[["set_tick",1],$pause],$tick}~,
    body    => qq~{"response_headers":[["set_tick",1]],"response_body":[$pause],$tick}~,
    both    => qq~{"response_headers":[["set_tick",1],$pause],"response_body":[$pause],$tick}~,
    hold    => qq~{"response_body":[$pause,["if_end_of_stream",[["action","continue"]]]]}~,
    same    => qq~{"response_body":[$pause,["if_end_of_stream",[["set_body","response",0,1,"X"],["action","continue"]]]]}~,
    longer  => qq~{"response_headers":[["remove_header","response","content-length"]],"response_body":[$pause,["if_end_of_stream",[["set_body","response",0,0,"<"],["set_body","response",100000,0,">"],["action","continue"]]]]}~,
);
$do{headers} =~ s/"start":\[\["set_tick",1\]\],//;

sub sliced {
    my ($names, $more) = @_;
    return CORE::join '', map { my $cache = $_; map { "location = /$cache/$_ { slice 1k; proxy_set_header Range \$slice_range; proxy_cache_key \$uri\$slice_range; proxy_cache_valid 200 206 1h; "
        . ($cache eq 'cache' ? 'proxy_cache c; ' : '') . "wasm_pause_timeout 20s; wasm_filter a '$do{$_}'; " . ($more // '') . " proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_2/x.txt; }\n" } @$names } qw(cache no-cache);
}

sub fetch {
    my ($path, $lines) = @_;
    my $c = connection();
    $c->write("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" . ($lines // '') . "\r\n");
    my ($head, $body) = $c->message;
    my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
    return ($status // 'none', $body . $c->rest);
}

# The text with something done to each slice.
sub each_slice {
    my $change = shift;
    return CORE::join '', map { $change->(substr $text, $_ * 1024, 1024) } 0 .. length($text) / 1024;
}

run_tests();

__DATA__

=== TEST 1: slices through filters that pause, on a cache miss, on a hit and without a cache
--- http_config eval: $::http
--- config eval: main::sliced([qw(pass headers body both hold)])
--- user_files eval: $::user_files
--- client eval
sub {
    rows(map {
        my $path = $_;
        my @wrong = map { my ($status, $body) = main::fetch($path); $status == 200 && $body eq $::text ? () : "$status " . length $body } 1 .. 2;
        "$path: " . (@wrong ? "@wrong" : 'ok');
    } map { ("/cache/$_", "/no-cache/$_") } qw(pass headers body both hold));
}
--- client_out eval
main::rows(map { ("/cache/$_: ok", "/no-cache/$_: ok") } qw(pass headers body both hold))
--- no_error_log eval: $::bad



=== TEST 2: each slice ends for itself: what a filter makes of its end stands there
--- http_config eval: $::http
--- config eval: main::sliced([qw(same longer)])
--- user_files eval: $::user_files
--- client eval
sub {
    my %want = (same => main::each_slice(sub { 'X' . substr $_[0], 1 }), longer => main::each_slice(sub { "<$_[0]>" }));
    rows(map {
        my $path = $_;
        my ($name) = $path =~ /(\w+)$/;
        my @wrong = map { my ($status, $body) = main::fetch($path); $status == 200 && $body eq $want{$name} ? () : "$status " . length $body } 1 .. 2;
        "$path: " . (@wrong ? "@wrong" : 'ok');
    } map { ("/cache/$_", "/no-cache/$_") } qw(same longer));
}
--- client_out eval
main::rows(map { ("/cache/$_: ok", "/no-cache/$_: ok") } qw(same longer))
--- no_error_log eval: $::bad



=== TEST 3: ranges of slices: only the slices of the range are asked for
--- http_config eval
$::http =~ s/location \/ \{ \}/location \/ { access_log logs\/up.log; }/r
--- config eval: main::sliced([qw(pass headers body hold same)])
--- user_files eval: $::user_files
--- client eval
sub {
    rows(map {
        my $path = $_;
        my @wrong = map { my ($status, $body) = main::fetch($path, "Range: bytes=1500-2100\r\n"); $status == 206 && length $body == 601 && ($path =~ /same/ ? $body =~ /X/ : $body eq substr $::text, 1500, 601) ? () : "$status " . length $body } 1 .. 2;
        "$path: " . (@wrong ? "@wrong" : 'ok');
    } map { ("/cache/$_", "/no-cache/$_") } qw(pass headers body hold same));
}
--- client_out eval
main::rows(map { ("/cache/$_: ok", "/no-cache/$_: ok") } qw(pass headers body hold same))
--- no_error_log eval: $::bad



=== TEST 4: a range of slices with a filter that changes the length: refused, as nginx has not asked for the beginning
--- http_config eval: $::http
--- config eval: main::sliced([qw(longer)])
--- user_files eval: $::user_files
--- client eval
sub { rows(map { (main::fetch($_, "Range: bytes=1500-2100\r\n"))[0] } qw(/cache/longer /cache/longer /no-cache/longer)) }
--- client_out
502
502
502
--- error_log
slices of a range
--- no_error_log eval: $::alive



=== TEST 5: a pause that takes too long in the first slice, and in another
--- http_config eval: $::http
--- config eval
my $forever = '{"response_headers":[["if_header","response","x-slice","late",[["action","pause"]]]]}';
my $to = 'slice 1k; wasm_pause_timeout 200ms; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2/x.txt;';
qq~
location = /first { wasm_filter a '{"response_headers":[["action","pause"]]}'; $to }
location = /body { wasm_filter a '{"response_body":[["action","pause"]]}'; $to }
location = /later { wasm_filter a '{"response_headers":[["if_header","response","content-range","bytes 1024-2047/4200",[["action","pause"]]]],"request_headers":[]}'; $to }
location = /hit { proxy_cache c; proxy_cache_key \$uri\$slice_range; proxy_cache_valid 206 1h; wasm_filter a '{"response_body":[["action","pause"]]}'; $to }
location /status { stub_status; }
~
--- user_files eval: $::user_files
--- client eval
sub {
    my @all = map { "$_ " . (main::fetch($_))[0] } qw(/first /body /hit /hit);
    rows(@all, 'Writing: ' . writing());
}
--- client_out
/first 504
/body 504
/hit 504
/hit 504
Writing: 1
--- error_log
wasm_pause_timeout
--- no_error_log eval: $::alive



=== TEST 6: a local response from the first slice is all that comes; from another it ends the connection
--- http_config eval: $::http
--- config eval
my $to = 'slice 1k; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2/x.txt;';
qq~
location = /headers { wasm_filter a '{"response_headers":[["local_response",403,[],"no"]]}'; $to }
location = /body { wasm_filter a '{"response_body":[["local_response",403,[],"no"]]}'; $to }
location = /held { wasm_filter a '{"response_body":[["action","pause"],["if_end_of_stream",[["local_response",403,[],"no"]]]]}'; $to }
location = /later { wasm_filter a '{"request_headers":[["let","first","1"]],"response_headers":[["if",{"var":"first"},"1",[],[["local_response",403,[],"LOCAL"]]]]}'; $to }
location /status { stub_status; }
~
--- user_files eval: $::user_files
--- client eval
sub {
    my $body = (main::fetch('/later'))[1];
    rows((map { my @a = main::fetch($_); "$_ @a" } qw(/headers /body /held)), "/later " . (length $body < length $::text && $body !~ /LOCAL/ ? 'cut' : $body), 'Writing: ' . writing());
}
--- client_out
/headers 403 no
/body 403 no
/held 403 no
/later cut
Writing: 1
--- no_error_log eval: $::alive



=== TEST 7: stale responses while nginx updates its cache in the background, through filters that pause
--- http_config eval
$::http . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { add_header Cache-Control max-age=1; return 200 "text $request_id"; } }'
--- config eval
CORE::join '', map { "location = /$_ { proxy_cache c; proxy_cache_key \$uri; proxy_cache_valid 200 1s; proxy_cache_use_stale updating error; proxy_cache_background_update on; proxy_cache_lock on; add_header X-Cache \$upstream_cache_status; wasm_filter a '$main::do{$_}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }\n" } qw(pass headers body both hold)
--- client eval
sub {
    rows(map {
        my $path = $_;
        # Not too many contexts: what continues them counts from 1.
        my $get = sub { select undef, undef, undef, 0.2; ask("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") };
        my $first = $get->();
        my $stale = '';
        my $is_stale = wait_for(sub { ($stale = $get->()) =~ /X-Cache: STALE/ });
        my $fresh = '';
        my ($old) = $first =~ /(text \w+)/;
        my $is_new = wait_for(sub { ($fresh = $get->()) =~ /text \w+/ && $& ne $old });
        "$path " . CORE::join ' ', $first =~ m{^HTTP/1.1 (\d+)}, $is_stale ? 'stale' : $stale, $stale =~ /\Q$old\E/ ? 'old' : 'other', $is_new ? 'new' : $fresh;
    } qw(/pass /headers /body /both /hold));
}
--- client_out
/pass 200 stale old new
/headers 200 stale old new
/body 200 stale old new
/both 200 stale old new
/hold 200 stale old new
--- no_error_log eval: $::bad



=== TEST 8: SSI and addition with filters that pause in the parts, from a cache and not
--- http_config eval
$::http . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 "[$uri]"; } }'
--- config eval
CORE::join '', map {
    my $name = $_;
    map { my $cache = $_; "location /$cache/$name/ { ssi on; wasm_filter a '$main::do{$name}'; add_before_body /$cache/before/$name; addition_types *; alias html/ssi/; }
location /$cache/before/$name { " . ($cache eq 'cached' ? 'proxy_cache c; proxy_cache_valid any 1h; ' : '') . "wasm_filter a '$main::do{$name}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1/before; }\n" } qw(cached plain)
} qw(pass headers body both hold)
--- user_files eval
[['ssi/page.html', 'a <!--# include virtual="/cached/before/headers" --> b <!--# include virtual="/plain/before/both" --> c <!--# include virtual="/cached/before/hold" --> d']]
--- client eval
sub {
    rows(map {
        my $path = "$_/page.html";
        my @wrong = grep { $_ ne '200 [/before]a [/before] b [/before] c [/before] d' } map { CORE::join ' ', main::fetch($path) } 1 .. 2;
        "$path: " . (@wrong ? "@wrong" : 'ok');
    } map { ("/cached/$_", "/plain/$_") } qw(pass headers body both hold));
}
--- client_out eval
main::rows(map { ("/cached/$_/page.html: ok", "/plain/$_/page.html: ok") } qw(pass headers body both hold))
--- no_error_log eval: $::bad
