# Tests of plugins that Lua's code runs. To be used before Test::Nginx::Socket, for nginx has to load Lua's module. Beside the
# sections of Wire and Filtered:
#
#   --- load         the plugins of t/lib/lua/apisix.lua, "name file" a line, file being one of the sample guests; behind that
#                    parameters as a table of Lua's. They are loaded in init_by_lua, with `--- load_in: init_worker` there.
#   --- init_lua     Lua's code behind that
#   --- workers: N   a master process with so many workers; without it, one process does all
#
# In `--- config`:
#
#   @apisix PHASE NAME 'CONF';    the calls that APISIX makes for a plugin with this configuration, which hold for one location
#                                 with request callbacks in this phase
#   @vars;                        the variables that APISIX predefines

package LuaPlugins;

use strict;
use warnings;

my ($module, $root);

BEGIN {
    my $lua = $ENV{TEST_NGINX_LUA} // '';
    $module = "$lua/ngx_http_lua_module.so";
    $root = "$lua/root/usr/share/lua/5.1";
    if (!-f $module) {
        require Test::More;
        Test::More::plan(skip_all => "no Lua module at $module: scripts/lua-module builds it");
    }
    # Whichever comes first.
    my @modules = ($module, $ENV{TEST_NGINX_WASM_MODULE});
    @modules = reverse @modules if $ENV{TEST_NGINX_LUA_LAST};
    $ENV{TEST_NGINX_LOAD_MODULES} = "@modules";
}

use Test::Nginx::Socket ();

Test::Nginx::Socket::add_block_preprocessor(sub {
    my $block = shift;
    defined $block->workers ? Test::Nginx::Util::master_on() : Test::Nginx::Util::master_off();
    Test::Nginx::Util::workers($block->workers // 1);
    my $suite = $ENV{TEST_NGINX_SUITE};
    my $load = join '', map {
        my ($name, $file, $parameters) = /^(\S+) (\S+)(?: (.*))?$/ or die "load: $_";
        $file = "$ENV{TEST_NGINX_FILTERS}/$file" if $file !~ m{^/};
        $parameters = $parameters ? ", parameters = $parameters" : '';
        "assert(apisix.load{ name = '$name', file = '$file'$parameters })\n";
    } grep { /\S/ } split /\n/, $block->load // '';
    my $where = $block->load_in // 'init';
    my $init = $block->init_lua // '';
    my $http = "lua_package_path \"$suite/../lua/?.lua;$suite/lib/lua/?.lua;$root/?.lua;;\";\n";
    $http .= "${where}_by_lua_block { local apisix = require('apisix')\n$load$init }\n" if $load || $init;
    $block->set_value(http_config => $http . ($block->http_config // ''));

    my $config = $block->config // return;
    $config =~ s{\@vars;}{set \$wasm_process_req_body ''; set \$wasm_process_resp_body '';}g;
    $config =~ s{\@apisix (\w+) (\w+) '(.*?)';}{apisix($1, $2, $3)}ges;
    $block->set_value(config => $config);
});

sub apisix {
    my ($phase, $name, $conf) = @_;
    my $arguments = "'$name', [==[$conf]==]";
    return "${phase}_by_lua_block { require('apisix').request($arguments) }\n"
        . "header_filter_by_lua_block { require('apisix').header_filter($arguments) }\n"
        . "body_filter_by_lua_block { require('apisix').body_filter($arguments) }\n";
}

1;
