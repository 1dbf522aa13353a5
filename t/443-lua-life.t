# Plugins that Lua's code runs: how long they live, failures, and other ways of a request.

use LuaPlugins;
use Test::Nginx::Socket 'no_plan';
use File::Copy ();
use File::Temp ();
use Filtered;
use Wire;

sub status {
    my $connection = connection();
    $connection->write("GET $_[0] HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    my ($head, $body) = $connection->message;
    my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
    return join ' ', $status // "no answer: $head", $head =~ /^(X-\S+: \S+)\r$/mgi, $body =~ /([^\r\n]*)\r?\n?\z/;
}
{ no warnings 'once'; *Test::Base::Filter::status = \&status; }

our $directory = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $directory;
our $file = "$directory/p.wasm";

# Has the file be a sample guest.
sub put {
    File::Copy::copy("$ENV{TEST_NGINX_FILTERS}/$_[0].wasm", "$file.new") or die $!;
    rename "$file.new", $file or die $!;
}

run_tests();

__DATA__

=== TEST 1: plugin contexts and plugins end when Lua collects them, and not before their requests
--- config
location /t {
    content_by_lua_block {
        local wasm = require("resty.proxy-wasm")
        local conf = '{"trace":true}'
        do
            local plugin = assert(wasm.load("p", "$TEST_NGINX_FILTERS/hostcalls.wasm"))
            local gone = assert(wasm.on_configure(plugin, conf))
            gone = nil
            collectgarbage() collectgarbage()
            ngx.log(ngx.INFO, "p: one is gone")
            local ctx = assert(wasm.on_configure(plugin, conf))
            assert(wasm.on_http_request_headers(ctx))
            assert(wasm.on_http_request_headers(ctx))
        end
        collectgarbage() collectgarbage()
        ngx.log(ngx.INFO, "p: all are gone")
        ngx.say("done")
    }
}
--- client eval
sub {
    status('/t');
    status('/t');
    log_has(qr/(?:on_delete id=3.*){2}/s);
    my @lines = log_text() =~ /p: ((?:on_(?:configure|context_create|done|log|delete|request_headers) id=\d+|one is gone|all are gone))/g;
    return rows(@lines);
}
--- client_out eval
my $once = join '', map { "$_\n" } 'on_context_create id=1', 'on_configure id=1', 'on_done id=1', 'on_delete id=1', 'one is gone',
    'on_context_create id=2', 'on_configure id=2', 'on_context_create id=3', 'on_request_headers id=3', 'on_request_headers id=3',
    'all are gone', 'on_done id=3', 'on_log id=3', 'on_delete id=3';
qr/\A(?:\Q$once\E(?:on_done id=2\non_delete id=2\n)?){2}\z/



=== TEST 2: the worker exits: root contexts end
--- load
h hostcalls.wasm
--- init_lua
ctx = assert(require("resty.proxy-wasm").on_configure(assert(require("resty.proxy-wasm").load("g", "$TEST_NGINX_FILTERS/hostcalls.wasm")), '{"trace":true}'))
--- load_in: init_worker
--- config
location /t { return 204; }
--- client eval
sub { status('/t') }
--- client_out eval: '204 '
--- shutdown_error_log
g: on_done id=1
g: on_delete id=1



=== TEST 3: a trap costs its own request; the next one gets a new instance, with its plugin contexts
--- load
h hostcalls.wasm
o hostcalls.wasm { on_failure = "open" }
--- config
@vars;
location /h { @apisix access h '{"request_headers":[["if_path","/h/trap",[["abort"]]],["local_response",200,[],"well"]]}'; proxy_pass http://up; }
location /o { @apisix access o '{"request_headers":[["if_path","/o/trap",[["abort"]]],["local_response",200,[],"well"]]}'; proxy_pass http://up/open; }
location /r { @apisix access h '{"response_headers":[["if_path","/r/trap",[["abort"]]],["set_header","response","x-r","seen"]]}'; proxy_pass http://up; }
location /limit {
    content_by_lua_block {
        local wasm = require("resty.proxy-wasm")
        local plugin = assert(wasm.load("l", "$TEST_NGINX_FILTERS/hostcalls.wasm", { cpu_time = "20ms", memory = "16m" }))
        for _, operation in ipairs{ '["spin"]', '["allocate", 64]' } do
            local ctx = assert(wasm.on_configure(plugin, '{"request_headers":[' .. operation .. ']}'))
            ngx.print(tostring((wasm.on_http_request_headers(ctx))), " ")
        end
    }
}
--- upstream eval
sub {
    my $connection = shift;
    $connection->message;
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nupstream\n");
}
--- client eval
sub { rows(map { "$_ " . status($_) } qw(/h/ok /h/trap /h/ok /o/ok /o/trap /o/ok /r/ok /r/trap /r/ok /limit)) }
--- client_out eval
qr{\A/h/ok 200 well\n/h/trap 503 </html>\n/h/ok 200 well\n/o/ok 200 well\n/o/trap 200 upstream\n/o/ok 200 well
/r/ok 200 x-r: seen upstream\n/r/trap 200 upstream\n/r/ok 200 x-r: seen upstream\n/limit 200 .*\n\z}s
--- error_log
[wasm] h: proxy_on_request_headers trapped
[wasm] o: proxy_on_request_headers trapped
[wasm] l: proxy_on_request_headers trapped
h: failed to run wasm plugin: failed to run proxy_on_http_request_headers
h: failed to run wasm plugin: failed to run proxy_on_http_response_headers



=== TEST 4: beside wasm_filter in the same location and server
--- load
h hostcalls.wasm
--- config
@vars;
wasm_filter hostcalls '{"request_headers":[["add_header","request","x-filter","server"]],"response_headers":[["add_header","response","x-f","server"]]}';
location /both {
    wasm_filter hostcalls '{"request_headers":[["add_header","request","x-filter","location"]],"request_body":[["set_body","request",0,-1,"body"]],
        "response_headers":[["add_header","response","x-f","location"]],"response_body":[["set_body","response",0,3,"FIL"]]}';
    @apisix access h '{"request_headers":[["copy_header","request","x-filter","request","x-lua"]],"response_headers":[["copy_header","response","x-f","response","x-l"]]}';
    proxy_pass http://up;
}
location /own {
    @apisix access h '{"response_headers":[["local_response",418,[],"own"]]}';
    proxy_pass http://up;
}
location /alone { proxy_pass http://up; }
--- client eval
sub { rows(map { (status($_) =~ s/ GET .*//r) } qw(/both /own /alone)) }
--- client_out eval
qr{\A200 x-f: location x-l: location .*\n418 own\n200 x-f: server .*\n\z}



=== TEST 5: an internal redirect, and a subrequest of Lua's
--- load
h hostcalls.wasm
--- config
@vars;
location /redirect {
    access_by_lua_block {
        require("apisix").request("h", '{"trace":true}')
        ngx.exec("/target")
    }
}
location /target { @apisix access h '{"trace":true}'; proxy_pass http://up; }
location /parent {
    content_by_lua_block {
        local apisix = require("apisix")
        apisix.request("h", '{"trace":true}')
        ngx.print(ngx.location.capture("/sub").body)
    }
}
location /sub {
    internal;
    rewrite_by_lua_block { require("apisix").request("h", '{"trace":true}') }
    content_by_lua_block { ngx.say("sub") }
}
--- client eval
sub {
    my @all = map {
        my $before = log_text();
        my $answer = status($_);
        my $count = /parent/ ? 2 : 1;
        my $new;
        wait_for(sub {
            $new = substr log_text(), length $before;
            (() = $new =~ /on_delete/g) >= $count;
        });
        (() = $new =~ /on_context_create id=\d+ parent=[1-9]/g) . ' contexts, ' . (() = $new =~ /on_request_headers/g) . ' calls, '
            . (() = $new =~ /on_delete/g) . ' ends';
    } qw(/redirect /parent);
    rows(@all, status('/parent'));
}
--- client_out
1 contexts, 2 calls, 1 ends
2 contexts, 2 calls, 2 ends
200 sub



=== TEST 6: what a plugin of the same name has in common with a filter: shared data, metrics; ticks
--- load
hostcalls hostcalls.wasm
--- load_in: init_worker
--- init_lua
tick = assert(require("resty.proxy-wasm").on_configure(assert(require("resty.proxy-wasm").load("hostcalls", "$TEST_NGINX_FILTERS/hostcalls.wasm")), '{"configure":[["set_tick",10]],"tick":[["set_shared_data","k","ticked",0],["set_tick",0],["log","info","tick"]]}'))
--- config
@vars;
location /t { wasm_filter hostcalls '{"request_headers":[["get_shared_data","k","v"],["local_response",200,[],{"var":"v"}]]}'; return 204; }
location /metrics { wasm_metrics; }
--- client eval
sub {
    log_has(qr/hostcalls: tick/) or return 'no tick';
    my $metrics = ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return rows(status('/t'), $metrics =~ /^nginx_wasm_instances\S*\{\S*hostcalls\S*\} (\d+)$/m);
}
--- client_out
200 ticked
3



=== TEST 7: a file that has changed is loaded anew: by a worker that loads it again, and by all after a reload
--- load eval
main::put('bench_noop');
"p $main::file"
--- workers: 1
--- config eval
qq~\@vars;
location / { \@apisix access p '{"body":"a fault","http_status":418}'; proxy_pass http://up; }
location /again {
    content_by_lua_block {
        ngx.say(tostring(require("apisix").load{ name = "p", file = "$main::file" }))
    }
}
~
--- client eval
sub {
    my @answers = status('/');
    main::put('fault_injection');
    push @answers, status('/');
    push @answers, status('/again'), status('/');
    main::put('bench_noop');
    kill HUP => Wire::nginx_pid();
    # The old worker is gone.
    log_has(qr/exited with code 0/);
    push @answers, status('/');
    return rows(@answers);
}
--- client_out
200 upstream
200 upstream
200 true
418 a fault
200 upstream
--- upstream eval
sub {
    my $connection = shift;
    $connection->message;
    $connection->write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nupstream\n");
}
