# Filters of subrequests and of the main request: SSI, auth_request, mirror, addition. Contexts are
# each request's own, end once, and leave the other requests' headers alone.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

# A wasm_filter directive: the filter logs when its callbacks run, under this name, and does what the
# operations say.
sub f {
    my ($name, %do) = @_;
    my $in = $do{request} // '';
    my $out = $do{response} // '';
    my $body = $do{body} // '';
    return qq~wasm_filter a '{"trace":true,"request_headers":[["log","info","in $name"]$in],~
        . qq~"response_headers":[["log","info","out $name"]$out],"response_body":[$body]}';~;
}

our $module = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm;
log_subrequest on;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "[$request_method $uri a=$http_x_a b=$http_x_b c=$http_x_c]"; }
}
_EOC_
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $in_out = qr/: (in|out) /;

run_tests();

__DATA__

=== TEST 1: filters of SSI subrequests: each its own context, which ends once
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main') . ' }
    location /one { ' . main::f('one', body => '["set_body","response",0,-1,"ONE"]', response => ',["remove_header","response","content-length"]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /two { ' . main::f('two') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
a <!--# include virtual="/one" --> b <!--# include virtual="/two" --> c <!--# include virtual="/one" --> d
--- request
GET /t/x.txt
--- response_body
a ONE b [GET /two a= b= c=] c ONE d
--- contexts: 4
--- guests_like eval: $::in_out
--- guests eval
qr/\Aa: in main\na: out main\n(?:a: (?:in|out) (?:one|two)\n){6}\z/
--- no_error_log eval: $::bad



=== TEST 2: header edits of a subrequest's filter stay in the subrequest
It shares its parent's header lines. A later subrequest, and the main request's log, see the client's.
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; wasm_filter a \'{"trace":true,"log":[["log_header","request","x-a"],["log_header","request","x-b"],["log_header","request","x-c"],["log_header","request",":path"]]}\'; }
    location /edit { ' . main::f('edit', request => ',["set_header","request","x-a","sub"],["remove_header","request","x-b"],["add_header","request","x-c","sub"]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /plain { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
<!--# include virtual="/edit" wait="yes" --> <!--# include virtual="/plain" wait="yes" -->
--- request
GET /t/x.txt
--- more_headers
X-A: client
X-B: client
--- response_body
[GET /edit a=sub b= c=sub] [GET /plain a=client b=client c=]
--- contexts: 2
--- guests_like eval: qr/: request x-|:path/
--- guests
a: request x-a=client
a: request x-b=client
a: request x-c: status 1
a: request :path=/t/x.txt
--- no_error_log eval: $::bad



=== TEST 3: header edits of the main request's filter are what its subrequests start with
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main', request => ',["set_header","request","x-a","main"]') . ' }
    location /plain { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /edit { ' . main::f('edit', request => ',["add_header","request","x-a","sub"]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
<!--# include virtual="/edit" wait="yes" --> <!--# include virtual="/plain" wait="yes" -->
--- request
GET /t/x.txt
--- response_body
[GET /edit a=main, sub b= c=] [GET /plain a=main b= c=]
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 4: response headers of a subrequest's filter do not reach the client
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main', response => ',["add_header","response","x-main","1"]') . ' }
    location /sub { ' . main::f('sub', response => ',["add_header","response","x-sub","1"],["set_header","response",":status","404"]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
<!--# include virtual="/sub" -->
--- request
GET /t/x.txt
--- response_headers
X-Main: 1
!X-Sub
--- response_body
[GET /sub a= b= c=]
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 5: the main request's body filter sees its own body before SSI puts the parts in
As nginx's own body filters do that stand before SSI: what a subrequest sends passes the subrequest's
filters, not its parent's.
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main', response => ',["remove_header","response","content-length"]', body => '["log_body","response",0,-1],["set_body","response",0,1,"A long beginning "]') . ' }
    location /sub { return 200 SUB; }
'
--- user_files
>>> t/x.txt
x<!--# include virtual="/sub" -->y
--- request
GET /t/x.txt
--- response_body
A long beginning SUBy
--- contexts: 1
--- guests_like eval: qr/body response/
--- guests
a: body response 0 4294967295 = x<!--# include virtual="/sub" -->y\x0a
--- no_error_log eval: $::bad



=== TEST 6: a filter that writes an SSI directive into the body gets it carried out
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main', response => ',["remove_header","response","content-length"]', body => '["set_body","response",0,0,"<!--# include virtual=\u0022/sub\u0022 -->"]') . ' }
    location /sub { ' . main::f('sub') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
text
--- request
GET /t/x.txt
--- response_body
[GET /sub a= b= c=]text
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 7: output stays in order when an earlier subrequest's filter holds its body back
The first part comes only when the second is complete.
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; }
    location /slow { wasm_filter a \'{"trace":true,"response_headers":[["remove_header","response","content-length"]],"response_body":[["set_tick",50],["action","pause"]],"tick":[["effective_context",3],["continue","response"],["set_tick",0]]}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /quick { wasm_filter a \'{"trace":true}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
1 <!--# include virtual="/slow" --> 2 <!--# include virtual="/quick" --> 3
--- request
GET /t/x.txt
--- response_body
1 [GET /slow a= b= c=] 2 [GET /quick a= b= c=] 3
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 8: a subrequest paused in its request headers goes on when its root context continues it
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main') . ' }
    location /slow { wasm_filter a \'{"trace":true,"request_headers":[["set_tick",50],["action","pause"]],"tick":[["effective_context",4],["continue","request"],["set_tick",0]]}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
1 <!--# include virtual="/slow" --> 2
--- request
GET /t/x.txt
--- response_body
1 [GET /slow a= b= c=] 2
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 9: nested subrequests
--- http_config eval: $::module
--- config eval
'
    ssi on; ssi_types text/plain;
    location /t/ { ' . main::f('top') . ' }
    location /mid/ { ' . main::f('mid', request => ',["set_header","request","x-a","mid"]') . ' }
    location /leaf { ' . main::f('leaf', request => ',["set_header","request","x-b","leaf"]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- user_files
>>> t/x.txt
t<!--# include virtual="/mid/x.txt" -->t<!--# include virtual="/leaf" -->
>>> mid/x.txt
m<!--# include virtual="/leaf" -->m
--- request
GET /t/x.txt
--- response_body
tm[GET /leaf a=mid b=leaf c=]m
t[GET /leaf a= b=leaf c=]
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 10: a local response of a subrequest's filter stands in for that part
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main') . ' }
    location /sub { ' . main::f('sub', request => ',["local_response",200,[["x-sub","1"]],"local"]') . ' }
'
--- user_files
>>> t/x.txt
1 <!--# include virtual="/sub" --> 2
--- request
GET /t/x.txt
--- response_headers
!X-Sub
--- response_body
1 local 2
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 11: auth_request to a location with a filter: its verdict counts, its edits stay there
--- http_config eval: $::module
--- config eval
'
    location /t {
        auth_request /auth;
        auth_request_set $user $sent_http_x_user;
        add_header X-User $user;
        ' . main::f('main', request => ',["set_header","request","x-b","main"]') . '
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /auth {
        ' . main::f('auth', request => ',["set_header","request","x-a","auth"],["remove_header","request","x-token"],["if_header","request","x-deny","1",[["local_response",403,[],"no"]]]', response => ',["set_header","response","x-user","u1"]') . '
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
'
--- client eval
sub {
    rows(map {
        my $answer = ask("GET /t HTTP/1.1\r\nHost: a\r\nX-A: client\r\nX-Deny: $_\r\nConnection: close\r\n\r\n");
        my ($status) = $answer =~ m{^HTTP/1.1 (\d+)};
        my ($user) = $answer =~ /^X-User: (.*)\r$/m;
        my ($body) = $answer =~ /(\[GET.*?\])/;
        CORE::join ' ', $status, $user // '-', $body // '-';
    } 0, 1);
}
--- client_out
200 u1 [GET /t a=client b=main c=]
403 - -
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 12: auth_request: the main request's filters run before, its response callbacks once
--- http_config eval: $::module
--- config eval
'
    location /t {
        auth_request /auth;
        ' . main::f('main') . '
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /auth { ' . main::f('auth') . ' return 204; }
'
--- request
GET /t
--- response_body chomp
[GET /t a= b= c=]
--- contexts: 2
--- guests_like eval: $::in_out
--- guests
a: in main
a: in auth
a: out auth
a: out main
--- no_error_log eval: $::bad



=== TEST 13: mirror: a background subrequest with a filter; the client's answer does not wait for it
--- http_config eval: $::module
--- config eval
'
    location /t {
        mirror /mirror;
        ' . main::f('main') . '
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /mirror {
        internal;
        ' . main::f('mirror', request => ',["set_header","request","x-a","mirror"]') . '
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9/mirrored;
    }
'
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my ($a) = $head =~ /x-a: (\S+)/i;
    my ($line) = $head =~ /^(.*?)\r/;
    open my $file, '>', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/mirrored.tmp";
    print $file "$line a=$a body=$body\n";
    CORE::close $file;
    rename "$ENV{TEST_NGINX_SERVER_ROOT}/logs/mirrored.tmp", "$ENV{TEST_NGINX_SERVER_ROOT}/logs/mirrored";
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}
--- client eval
sub {
    my $answer = ask("POST /t HTTP/1.1\r\nHost: a\r\nX-A: client\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    my $seen = "$ENV{TEST_NGINX_SERVER_ROOT}/logs/mirrored";
    wait_for(sub { -e $seen });
    open my $file, '<', $seen;
    rows($answer =~ /(\[POST.*)/) . <$file>;
}
--- client_out
[POST /t a=client b= c=]
POST /mirrored HTTP/1.0 a=mirror body=hello
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 14: mirror with a filter that changes the main request's body: both get the new one
--- http_config eval: $::module
--- config
    location /t {
        mirror /mirror;
        wasm_filter a '{"trace":true,"request_body":[["set_body","request",0,-1,"a new and longer body"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
    location /mirror {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9/mirrored;
    }
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my ($path) = $head =~ m{^\w+ /(\S+)};
    open my $file, '>', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/$path.tmp";
    print $file "$path $body\n";
    CORE::close $file;
    rename "$ENV{TEST_NGINX_SERVER_ROOT}/logs/$path.tmp", "$ENV{TEST_NGINX_SERVER_ROOT}/logs/$path.got";
    $c->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}
--- client eval
sub {
    ask("POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    CORE::join '', map {
        my $seen = "$ENV{TEST_NGINX_SERVER_ROOT}/logs/$_.got";
        wait_for(sub { -e $seen });
        open my $file, '<', $seen;
        <$file>;
    } qw(t mirrored);
}
--- client_out
t a new and longer body
mirrored a new and longer body
--- contexts: 1
--- no_error_log eval: $::bad



=== TEST 15: add_before_body and add_after_body: the parts have filters of their own
--- http_config eval: $::module
--- config eval
'
    location /t {
        addition_types text/plain;
        add_before_body /before;
        add_after_body /after;
        ' . main::f('main', response => ',["remove_header","response","content-length"]', body => '["set_body","response",0,-1,"MAIN"]') . '
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
    location /before { ' . main::f('before', response => ',["remove_header","response","content-length"]', body => '["set_body","response",0,-1,"BEFORE "]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /after { ' . main::f('after', response => ',["remove_header","response","content-length"]', body => '["set_body","response",0,-1," AFTER"]') . ' proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- request
GET /t
--- response_body chomp
BEFORE MAIN AFTER
--- contexts: 3
--- no_error_log eval: $::bad



=== TEST 16: subrequests of a POST: no request body is theirs to be read
--- config eval
'
    location /t { ssi on; ssi_types text/plain; wasm_filter a \'{"trace":true}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
    location /sub { wasm_filter b \'{"trace":true}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
'
--- http_config eval
'wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;' . $::module
--- upstream eval
sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    my $answer = qq{$body <!--# include virtual="/sub" -->};
    $c->write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($answer) . "\r\n\r\n$answer");
}
--- request
POST /t
hello
--- response_body chomp
hello [GET /sub a= b= c=]
--- contexts: 2
--- guests_like eval: qr/: on_request/
--- guests
a: on_request_headers id=2 count=6 eos=false
a: on_request_body id=2 size=5 eos=true
b: on_request_headers id=2 count=6 eos=true
--- no_error_log eval: $::bad



=== TEST 17: the client leaves while a subrequest is paused: all contexts end
--- http_config eval: $::module
--- config eval
'
    location /t/ { ssi on; ssi_types text/plain; ' . main::f('main') . ' }
    location /sub { wasm_filter a \'{"trace":true,"request_headers":[["action","pause"]]}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
    location /status { stub_status; }
'
--- user_files
>>> t/x.txt
1 <!--# include virtual="/sub" --> 2
--- client eval
sub {
    my $c = connection();
    $c->write("GET /t/x.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    log_has(qr/on_request_headers id=4 /) or return "no subrequest\n";
    $c->reset;
    log_has(qr/on_delete id=3[^\x00]*on_delete id=4|on_delete id=4[^\x00]*on_delete id=3/) or return "contexts do not end\n";
    writing();
    ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /(Reading.*)/;
    "$1\n";
}
--- client_out eval
qr/^Reading: 0 Writing: 1 Waiting: 0/
--- contexts: 2
--- no_error_log eval: $::bad



=== TEST 18: a subrequest's filter that traps or answers costs this part alone
The other part has its filter in another instance: those that share one fail with it.
--- http_config eval: 'wasm_module b $TEST_NGINX_FILTERS/hostcalls.wasm;' . $::module
--- config eval
'location /t/ { ssi on; ssi_types text/plain; ssi_silent_errors off; }
location /ok { wasm_filter b \'{"response_headers":[["add_header","response","x","y"]]}\'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
location /status { stub_status; }'
. CORE::join '', map { qq~
    location /trap-$_ { wasm_filter a '{"$_":[["abort"]]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
    location /local-$_ { wasm_filter a '{"$_":[["local_response",500,[["x","y"]],"local"]]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
    ~ } qw(context_create request_headers response_headers response_body done)
--- user_files eval
[map { my $kind = $_; map { ["t/$kind-$_.txt", qq{1 <!--# include virtual="/$kind-$_" --> 2 <!--# include virtual="/ok" --> 3}] }
    qw(context_create request_headers response_headers response_body done) } qw(trap local)]
--- client eval
sub {
    my @all = map { my $kind = $_; map { "$kind-$_" } qw(request_headers response_headers response_body) } qw(trap local);
    rows((map {
        my $c = connection();
        $c->write("GET /t/$_.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        my $answer = $c->answer;
        $answer =~ s/<html>.*?<\/html>\r\n/PAGE/s;
        $answer =~ s/<!-- a padding.*?-->\r\n//sg;
        "$_: $answer";
    } @all, 'trap-context_create', 'trap-done'), 'Writing: ' . writing());
}
--- client_out
trap-request_headers: 200 1 PAGE 2 [GET /ok a= b= c=] 3
trap-response_headers: 200 1  2 [GET /ok a= b= c=] 3
trap-response_body: 200 1  2 [GET /ok a= b= c=] 3
local-request_headers: 200 1 local 2 [GET /ok a= b= c=] 3
local-response_headers: 200 1 local 2 [GET /ok a= b= c=] 3
local-response_body: 200 1 local 2 [GET /ok a= b= c=] 3
trap-context_create: 200 1 PAGE 2 [GET /ok a= b= c=] 3
trap-done: 200 1 [GET /trap-done a= b= c=] 2 [GET /ok a= b= c=] 3
Writing: 1
--- no_error_log eval: $::bad



=== TEST 19: a cache that renews itself in the background: the client's response passes the filter
--- http_config eval: $::module . 'proxy_cache_path proxy_temp/cache keys_zone=cache:1m;'
--- config
    location /t {
        wasm_filter a '{"trace":true,"request_headers":[["set_header","request","x-a","filter"]],"response_body":[["set_body","response",0,0,"filtered "]]}';
        proxy_cache cache;
        proxy_cache_use_stale updating;
        proxy_cache_background_update on;
        add_header X-Cache $upstream_cache_status;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9;
    }
    location /status { stub_status; }
--- upstream eval
sub {
    my ($c, $number) = @_;
    my ($head) = $c->message;
    my ($a) = $head =~ /^x-a: (\S+)/mi;
    my $body = "body $number a=$a";
    $c->write("HTTP/1.1 200 OK\r\nX-Accel-Expires: @" . "100\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
}
--- client eval
sub {
    rows((map {
        my $c = connection();
        $c->write("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        my ($head, $body) = $c->message;
        my ($cache) = $head =~ /^x-cache: (\w+)/mi;
        wait_for(sub { ask("GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /Writing: 1/ });
        "$cache $body";
    } 1 .. 3));
}
--- client_out
MISS filtered body 1 a=filter
STALE filtered body 1 a=filter
STALE filtered body 2 a=filter
--- no_error_log eval: $::bad



=== TEST 20: close_stream in a subrequest closes the client's connection; contexts end
--- http_config eval: $::module
--- config eval
'location /t/ { ssi on; ssi_types text/plain; ' . main::f('main') . ' }
location /status { stub_status; }'
. CORE::join '', map { qq~
    location /$_ { wasm_filter a '{"trace":true,"$_":[["close","~ . (/request/ ? 'request' : 'response') . qq~"]]}'; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1; }
    ~ } qw(request_headers response_headers response_body)
--- user_files eval
[map { ["t/$_.txt", qq{1 <!--# include virtual="/$_" --> 2}] } qw(request_headers response_headers response_body)]
--- client eval
sub {
    rows((map {
        my $answer = ask("GET /t/$_.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        "$_: " . ($answer =~ / 2/ ? 'went on' : 'closed');
    } qw(request_headers response_headers response_body)), 'Writing: ' . writing());
}
--- client_out
request_headers: closed
response_headers: closed
response_body: closed
Writing: 1
--- contexts: 6
--- no_error_log eval: $::bad



=== TEST 21: slices: the parts that nginx asks for itself pass the filter as the first one does
--- http_config eval
'wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { root html; } }'
--- config
    location /x.txt {
        slice 1k;
        proxy_set_header Range $slice_range;
        wasm_filter upper;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
    }
--- user_files eval: [['x.txt', "abcdefg\n" x 400]]
--- request
GET /x.txt
--- response_body eval: "ABCDEFG\n" x 400
--- no_error_log eval: $::bad



=== TEST 22: slices: each part has a context, which ends
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { root html; } }'
--- config
    location /x.txt {
        slice 1k;
        proxy_set_header Range $slice_range;
        wasm_filter a '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
    }
    location /status { stub_status; }
--- user_files eval: [['x.txt', "abcdefg\n" x 400]]
--- client eval
sub {
    my $c = connection();
    $c->write("GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    my ($head, $body) = $c->message;
    $c->close;
    rows($head =~ m{^HTTP/1.1 (\d+)}, length $body,
        'Writing: ' . writing());
}
--- client_out
200
3200
Writing: 1
--- contexts: 4
--- no_error_log eval: $::bad



=== TEST 23: a range of slices that pass a filter
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; location / { root html; } }'
--- config
    location /x.txt {
        slice 1k;
        proxy_set_header Range $slice_range;
        wasm_filter a '{"trace":true}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
    }
    location /status { stub_status; }
--- user_files eval: [['x.txt', "abcdefg\n" x 400]]
--- client eval
sub {
    my $c = connection();
    $c->write("GET /x.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=1000-2100\r\n\r\n");
    my ($part, $bytes) = $c->message;
    $c->close;
    rows($part =~ m{^HTTP/1.1 (\d+)}, $part =~ /^content-range: (.*)\r/mi, length $bytes,
        'Writing: ' . writing());
}
--- client_out
206
bytes 1000-2100/3200
1101
Writing: 1
--- no_error_log eval: $::bad
