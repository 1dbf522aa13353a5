# Plugins that Lua's code runs: filters that pause a request. Lua's code waits meanwhile.

use LuaPlugins;
use Test::Nginx::Socket 'no_plan';
use File::Temp ();
use Filtered;
use Wire;

# Answers calls, /wait when a file is there.
sub upstream {
    my $connection = shift;
    while ((my ($head, $body) = $connection->message)[0] ne '') {
        my ($path) = $head =~ m{^\S+ (\S+)};
        return if $path eq '/cut';
        wait_for(sub { -e $main::file }) if $path eq '/wait';
        my $text = $path =~ m{^/(?:reply|wait)} ? "answer to $path" : $head =~ s/\r//gr . "\n$body";
        $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
    }
}

sub go {
    open my $file, '>', $main::file or die $!;
    return 1;
}

# A filter that makes a call in a callback, and does something when the answer is there.
sub calls {
    my ($path, $then, $callback) = @_;
    $callback //= 'request_headers';
    my $body = $callback eq 'request_body' ? '"request_headers":[["set_property","wasm_process_req_body","yes"]],' : '';
    return qq~{$body"$callback":[["log","info","it pauses"],["http_call","a","up",[[":method","GET"],[":path","$path"],[":authority","a"]],"",[],60000],["action","pause"]],~
        . qq~"http_call_response":[$then]}~;
}
our $on = '["body_to_header","call_response","request","x-answer"],["continue","request"]';

sub get {
    my ($path, $body) = @_;
    my $length = defined $body ? 'Content-Length: ' . length($body) . "\r\n" : '';
    my $method = defined $body ? 'POST' : 'GET';
    my $text = ask("$method $path HTTP/1.1\r\nHost: localhost\r\n${length}Connection: close\r\n\r\n" . ($body // ''));
    my ($status) = $text =~ m{^HTTP/1.1 (\d+)};
    my ($line) = $text =~ /^(x-answer: [^\r\n]*)/mi;
    my ($end) = $text =~ /\n([^\n]*)\z/;
    return join ' ', $status // $text, $line // '-', $end;
}
{
    no warnings 'once';
    *Test::Base::Filter::go = \&go;
    *Test::Base::Filter::get = \&get;
}

our $file = File::Temp::tempdir(CLEANUP => 1) . '/go';

run_tests();

__DATA__

=== TEST 1: a call, and then the request goes on, or is answered
--- load
h hostcalls.wasm
--- config eval
qq~\@vars;
location /rewrite { \@apisix rewrite h '@{[main::calls('/reply', $::on)]}'; proxy_pass http://up; }
location /access { \@apisix access h '@{[main::calls('/reply', $::on)]}'; proxy_pass http://up; }
location /body { \@apisix access h '@{[main::calls('/reply', $::on, 'request_body')]}'; proxy_pass http://up; }
location /answer { \@apisix access h '@{[main::calls('/reply', '["local_response",403,[],{"body":"call_response"}]')]}'; proxy_pass http://up; }
location /fails { \@apisix access h '@{[main::calls('/cut', '["if_failed",[["local_response",502,[],"failed"]]]')]}'; proxy_pass http://up; }
location /content {
    content_by_lua_block {
        require("apisix").request("h", '@{[main::calls('/reply', $::on)]}')
        ngx.say("x-answer: ", ngx.var.http_x_answer, "\\nend")
    }
}
~
--- upstream eval: \&main::upstream
--- client eval
sub { rows(map({ "$_ " . get("/$_") } qw(rewrite access answer fails content)), map { "body " . get('/body', $_) } 'x', 'hello') }
--- client_out eval
qr{\Arewrite 200 x-answer: answer to /reply \naccess 200 x-answer: answer to /reply \nanswer 403 - answer to /reply
fails 502 - failed\ncontent 200 x-answer: answer to /reply .*\nbody 200 x-answer: answer to /reply x
body 200 x-answer: answer to /reply hello\n\z}
--- error_log
call to "up" failed: connection closed before the end of the response



=== TEST 2: several plugins in a request, each of which calls
--- load
a hostcalls.wasm
b hostcalls.wasm
--- config eval
qq~\@vars;
location / {
    access_by_lua_block {
        local apisix = require("apisix")
        apisix.request("a", '@{[main::calls('/reply/1', $::on)]}')
        ngx.req.set_header("x-first", ngx.var.http_x_answer)
        apisix.request("b", '@{[main::calls('/reply/2', $::on)]}')
    }
    proxy_pass http://up;
}
~
--- upstream eval: \&main::upstream
--- client eval
sub { ask("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") }
--- client_out eval
qr{(?=.*^x-answer: answer to /reply/2$)(?=.*^x-first: answer to /reply/1$)}smi



=== TEST 3: a pause that takes too long, and one that nobody may wait for
--- load
h hostcalls.wasm
--- config
@vars;
location /long {
    wasm_pause_timeout 50ms;
    @apisix access h '{"request_headers":[["action","pause"]]}';
    proxy_pass http://up;
}
location /filter {
    header_filter_by_lua_block {
        local wasm = require("resty.proxy-wasm")
        ctx = ctx or assert(wasm.on_configure(assert(wasm.load("f", "$TEST_NGINX_FILTERS/hostcalls.wasm")), '{"request_headers":[["action","pause"]]}'))
        local ok, err = wasm.on_http_request_headers(ctx)
        ngx.header["X-Answer"] = tostring(ok) .. " " .. err
    }
    proxy_pass http://up;
}
--- client eval
sub { rows(get('/long') =~ /^(\d+)/, get('/filter')) }
--- client_out eval
qr{\A503\n200 X-Answer: nil failed to run proxy_on_http_request_headers }
--- error_log
[wasm] h: paused the request headers for longer than wasm_pause_timeout (50 ms)
h: failed to run wasm plugin: failed to run proxy_on_http_request_headers



=== TEST 4: the client leaves while Lua's code waits; the call's end finds nobody
--- load
h hostcalls.wasm
--- config eval
qq~\@vars;
lua_check_client_abort on;
location /slow { \@apisix access h '@{[main::calls('/wait', $::on)]}'; proxy_pass http://up; }
location /call { \@apisix access h '@{[main::calls('/reply', $::on)]}'; proxy_pass http://up; }
location /collect { content_by_lua_block { collectgarbage() collectgarbage() ngx.say("collected") } }
~
--- upstream eval: \&main::upstream
--- client eval
sub {
    unlink $main::file;
    my $connection = connection();
    $connection->write("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    log_has(qr/it pauses/) or return 'not paused';
    $connection->close;
    wait_for(sub { log_text() =~ /client (?:prematurely )?closed connection/ }) or return 'not noticed';
    get('/collect');
    go();
    return rows(map { get('/call') } 1 .. 3);
}
--- client_out eval
"200 x-answer: answer to /reply \n" x 3
--- error_log
client prematurely closed connection



=== TEST 5: a light thread that waits is killed; its semaphore is collected before the call ends
--- load
h hostcalls.wasm
--- config eval
qq~\@vars;
location /kill {
    content_by_lua_block {
        local apisix = require("apisix")
        local function run() apisix.request("h", '@{[main::calls('/wait', '["log","info","the call has ended"],["continue","request"]')]}') end
        local thread = ngx.thread.spawn(run)
        ngx.thread.kill(thread)
        thread = nil
        collectgarbage() collectgarbage()
        ngx.say("killed")
        ngx.flush(true)
        ngx.sleep(0.05)
        for _ = 1, 1000 do
            if ngx.shared.t:get("end") then break end
            ngx.sleep(0.01)
        end
    }
}
location /end { content_by_lua_block { ngx.shared.t:set("end", true) ngx.say("ok") } }
location /call { \@apisix access h '@{[main::calls('/reply', $::on)]}'; proxy_pass http://up; }
~
--- http_config
lua_shared_dict t 1m;
--- upstream eval: \&main::upstream
--- client eval
sub {
    unlink $main::file;
    my $connection = connection();
    $connection->write("GET /kill HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    $connection->until(qr/killed/);
    go();
    my $ended = log_has(qr/the call has ended/);
    get('/end');
    $connection->rest;
    return rows($ended, get('/call'));
}
--- client_out eval
"1\n200 x-answer: answer to /reply \n"
