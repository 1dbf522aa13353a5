# Plugins that Lua's code runs (resty.proxy-wasm), by the calls that APISIX makes: filters' own responses, headers, and the words
# of mistakes.

use LuaPlugins;
use Test::Nginx::Socket 'no_plan';
use Filtered;
use Wire;

our $fault = '{"body": "a fault", "http_status": 418}';

# The head without lines that differ each time, and the body.
sub answer {
    my $text = ask("$_[0] HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ($_[1] // '') . "\r\n");
    $text =~ s/^(?:Server|Date|Connection): .*\r\n//mg;
    return $text =~ s/\r//gr;
}
{ no warnings 'once'; *Test::Base::Filter::answer = \&answer; }

our $sdks = "rust fault_injection.wasm\ngo fault_injection_go.wasm\nas fault_injection_as.wasm";

# A location in each phase for the filter in each language.
our $locations = join '', '@vars;', map {
    my $phase = $_;
    map { "location /$phase/$_ { \@apisix $phase $_ '$fault'; proxy_pass http://up; }\n" } qw(rust go as)
} qw(rewrite access);

our @paths = map { my $phase = $_; map { "/$phase/$_" } qw(rust go as) } qw(rewrite access);
our $faults = "HTTP/1.1 418 \nContent-Type: text/plain\nContent-Length: 7\n\na fault" x 6;

run_tests();

__DATA__

=== TEST 1: a filter of three SDKs answers in either phase
--- load eval: $::sdks
--- config eval: $::locations
--- client eval
sub { CORE::join '', map { answer("GET $_") } @main::paths }
--- client_out eval: $::faults



=== TEST 2: they are loaded in a worker's start
--- load
rust fault_injection.wasm
--- load_in: init_worker
--- config eval: join '', grep { !m{/(?:go|as) } } split /^/m, $::locations =~ s/\@vars;/\@vars;\n/r
--- client eval
sub { CORE::join '', map { answer("GET $_") } grep { /rust/ } @main::paths }
--- client_out eval: substr $::faults, 0, length($::faults) / 3



=== TEST 3: with a master process, whose workers go on with what it has loaded
--- load
rust fault_injection.wasm
--- config eval: join '', grep { !m{/(?:go|as) } } split /^/m, $::locations =~ s/\@vars;/\@vars;\n/r
--- workers: 2
--- client eval
sub { CORE::join '', map { answer("GET $_") } grep { /rust/ } @main::paths }
--- client_out eval: substr $::faults, 0, length($::faults) / 3



=== TEST 4: HEAD, a status without a body, headers several times, a body that the client sends
--- load
h hostcalls.wasm
--- config
@vars;
location /two {
    @apisix access h '{"request_headers":[["local_response",200,[["set-cookie","a=1"],["set-cookie","b=2"],["content-type","text/x"]],"body"]]}';
    proxy_pass http://up;
}
location /none {
    @apisix rewrite h '{"request_headers":[["local_response",204,[["x-a","b"]],""]]}';
    proxy_pass http://up;
}
location /empty {
    @apisix access h '{"request_headers":[["local_response",403,[],""]]}';
    proxy_pass http://up;
}
--- client eval
sub {
    my $connection = connection();
    my @answers = map {
        $connection->write("$_\r\nHost: localhost\r\n" . (/^POST/ ? "Content-Length: 5\r\n\r\nhello" : "\r\n"));
        my ($head, $body) = $connection->message(/^HEAD/ ? (head => 1) : ());
        CORE::join ' ', $head =~ m{^HTTP/1.1 (\d+)}, sort($head =~ /^((?:Set-Cookie|Content-\S+|x-a): \S+)\r$/mgi), $body;
    } 'GET /two HTTP/1.1', 'HEAD /two HTTP/1.1', 'POST /two HTTP/1.1', 'GET /none HTTP/1.1', 'GET /empty HTTP/1.1',
      'GET /two HTTP/1.1';
    rows(@answers);
}
--- client_out
200 Content-Length: 4 Content-Type: text/x set-cookie: a=1 set-cookie: b=2 body
200 Content-Length: 4 Content-Type: text/x set-cookie: a=1 set-cookie: b=2 
200 Content-Length: 4 Content-Type: text/x set-cookie: a=1 set-cookie: b=2 body
204 x-a: b 
403 Content-Length: 0 
200 Content-Length: 4 Content-Type: text/x set-cookie: a=1 set-cookie: b=2 body



=== TEST 5: headers of requests and responses; what stands behind the filter sees them
--- load
h hostcalls.wasm
--- config
@vars;
location / {
    @apisix rewrite h '{"request_headers":[["set_header","request","x-new","1"],["remove_header","request","x-old"],["set_header","request",":path","/other?q"]],
        "response_headers":[["set_header","response","x-seen","yes"],["log_header","response","content-length"]]}';
    proxy_set_header X-Var $http_x_new;
    proxy_pass http://up;
}
--- client eval
sub { answer('GET /path', "X-Old: 1\r\n") =~ s/\n\n/\n/r }
--- client_out eval
qr{\AHTTP/1.1 200 OK\n(?=.*^x-seen: yes$)(?=.*^GET /other\?q )(?=.*^X-Var: 1$)(?=.*^x-new: 1$)(?!.*x-old)}smi
--- guests_like eval: qr/content-length/
--- guests eval: qr/response content-length=\d+/



=== TEST 6: the words of mistakes
--- load
h hostcalls.wasm
--- config
location /t {
    content_by_lua_block {
        local wasm = require("resty.proxy-wasm")
        local filters = os.getenv("TEST_NGINX_FILTERS")
        local function say(ok, err) ngx.say(ok and "true" or tostring(ok), " ", (tostring(err):gsub(".*/", ""))) end
        say(wasm.load("none", filters .. "/no-such-file.wasm"))
        say(wasm.load("bad", filters .. "/../../t/440-lua.t"))
        say(wasm.load("kind", filters .. "/http_wasm_header.wasm"))
        local hostcalls = filters .. "/hostcalls.wasm"
        say(wasm.load("", hostcalls))
        say(wasm.load("m", hostcalls, { memory = "many" }))
        say(wasm.load("m", hostcalls, { isolation = "request" }))
        say(wasm.load("m", hostcalls, { memory = "1m", sha256 = "00" }))
        local plugin = assert(wasm.load("h", hostcalls, { memory = "16m", env = { "A=1", "B=2" } }))
        say(wasm.on_configure(nil, "{}"))
        say(wasm.on_configure("plugin", "{}"))
        say(wasm.on_configure(plugin))
        say(wasm.on_configure(plugin, ""))
        say(wasm.on_configure(plugin, {}))
        say(wasm.on_configure(plugin, '{"fail_configure": true}'))
        say(wasm.on_configure(plugin, '{"configure": [["abort"]]}'))
        local ctx = assert(wasm.on_configure(plugin, '{"configure":[["env","A"],["env","B"]]}'))
        say(wasm.on_configure(ctx, "{}"))
        say(wasm.on_http_request_headers(nil))
        say(wasm.on_http_request_headers(plugin))
        say(wasm.on_http_request_body("ctx", "", true))
        say(wasm.on_http_response_headers({}))
        say(wasm.on_http_response_body(1))
        say(wasm.on_http_request_headers(ctx))
        local done
        ngx.timer.at(0, function()
            done = { wasm.on_http_request_headers(ctx) }
        end)
        repeat ngx.sleep(0.01) until done
        say(unpack(done, 1, 2))
    }
}
--- main_config
env TEST_NGINX_FILTERS;
--- client eval
sub {
    my $connection = connection();
    $connection->write("GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ($connection->message)[1];
}
--- client_out
nil no-such-file.wasm: No such file or directory
nil failed to load wasm plugin
nil failed to load wasm plugin
nil failed to load wasm plugin
nil failed to load wasm plugin
nil failed to load wasm plugin
nil failed to load wasm plugin
nil bad plugin
nil bad plugin
nil bad conf
nil bad conf
nil bad conf
nil failed to run proxy_on_configure
nil failed to run proxy_on_configure
nil bad plugin
nil bad plugin ctx
nil bad plugin ctx
nil bad plugin ctx
nil bad plugin ctx
nil bad plugin ctx
true nil
nil bad request
--- error_log
[wasm] kind: it is an http-wasm guest, not a Proxy-Wasm filter
a plugin needs a name
[wasm] m: invalid value "many" of memory=
[wasm] m: isolation= is not for plugins of Lua's
[wasm] m: sha256= needs 64 hexadecimal digits
[wasm] h: refused its configuration (proxy_on_configure returned false)
[wasm] h: proxy_on_configure trapped
env A = 1
env B = 2



=== TEST 7: a filter closes the stream
--- load
h hostcalls.wasm
--- config
@vars;
location / {
    @apisix access h '{"request_headers":[["close","request"]]}';
    proxy_pass http://up;
}
--- client eval
sub { answer('GET /') }
--- client_out eval: ''
