# Plugins that Lua's code runs: their directives.

use LuaPlugins;
use Test::Nginx::Socket 'no_plan';
use Filtered;
use Wire;

our $directory = '/nonexistent';

# `--- alone`: no directive of this module.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => $block->http_config =~ s/^ *wasm_module .*\n//mgr) if defined $block->alone;
});

run_tests();

__DATA__

=== TEST 1: wasm_vm says nothing
--- http_config
wasm_vm wasmtime;
--- config
location /t { return 204; }
--- client eval
sub { ask("GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") =~ m{^HTTP/1.1 (\d+)} && $1 }
--- client_out chomp
204
--- error_log
[wasm] "wasm_vm" is not needed: guests run in Wasmtime in any case



=== TEST 2: another word
--- http_config
wasm_vm v8;
--- config
--- must_die
--- no_error_log
panicked
--- error_log
invalid value "v8" in "wasm_vm" directive, it must be "wasmtime" or "wasmedge"



=== TEST 3: defaults, and parameters that count for more
--- http_config
wasm_lua_defaults memory=64m cpu_time=20ms on_failure=open env=A=1;
--- config
location /t {
    content_by_lua_block {
        local wasm = require("resty.proxy-wasm")
        local file = "$TEST_NGINX_FILTERS/hostcalls.wasm"
        local function try(parameters, operation)
            local plugin = assert(wasm.load("p", file, parameters))
            local ctx = assert(wasm.on_configure(plugin, '{"request_headers":[' .. operation .. ']}'))
            ngx.say(tostring((wasm.on_http_request_headers(ctx))))
        end
        try(nil, '["spin"]')
        try({ on_failure = "closed" }, '["spin"]')
        try({ on_failure = "closed" }, '["allocate", 32]')
        try({ on_failure = "closed", memory = "16m" }, '["allocate", 32]')
        try({ env = "B=2" }, '["env","A"],["env","B"]')
    }
}
--- client eval
sub { ask("GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") =~ s/.*?\r\n\r\n//sr =~ s/^[0-9a-f]+\r\n|\r\n//mgr }
--- client_out
true
nil
true
nil
true
--- error_log
env A: unset
env B = 2



=== TEST 4: what is not for all plugins
--- http_config
wasm_lua_defaults memory=64m sha256=00;
--- config
--- must_die
--- no_error_log
panicked
--- error_log
wasm_lua_defaults: sha256= is for one plugin alone



=== TEST 5: what is for no plugin
--- http_config
wasm_lua_defaults isolation=request;
--- config
--- must_die
--- no_error_log
panicked
--- error_log
wasm_lua_defaults: isolation= is not for plugins of Lua's



=== TEST 6: a mistake in a value
--- http_config
wasm_lua_defaults memory=1;
--- config
--- must_die
--- no_error_log
panicked
--- error_log
wasm_lua_defaults: invalid value "1" of memory=



=== TEST 7: twice
--- http_config
wasm_lua_defaults memory=16m;
wasm_lua_defaults memory=16m;
--- config
--- must_die
--- no_error_log
panicked
--- error_log
"wasm_lua_defaults" directive is duplicate



=== TEST 8: a plugin that does not load in init_by_lua stops nginx, as assert() does
--- load eval: "p $::directory/none.wasm"
--- config
--- must_die
--- no_error_log
panicked
--- error_log
none.wasm: No such file or directory



=== TEST 9: and so does one that refuses its configuration
--- load
h hostcalls.wasm
--- init_lua
local wasm = require("resty.proxy-wasm")
assert(wasm.on_configure(assert(wasm.load("q", "$TEST_NGINX_FILTERS/hostcalls.wasm")), '{"fail_configure":true}'))
--- config
--- must_die
--- no_error_log
panicked
--- error_log
[wasm] q: refused its configuration (proxy_on_configure returned false)
failed to run proxy_on_configure



=== TEST 10: without any wasm_… directive
--- load
h hostcalls.wasm
--- config
location /t {
    access_by_lua_block { require("apisix").request("h", '{"request_headers":[["set_shared_data","k","v",0],["get_shared_data","k","v"],["local_response",200,[],{"var":"v"}]]}') }
    empty_gif;
}
set $wasm_process_req_body '';
--- alone
--- client eval
sub { ask("GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") =~ s/.*\r\n\r\n//sr }
--- client_out chomp
v
