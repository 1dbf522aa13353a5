-- The filters of workload.py in Lua, as they are written with lua-nginx-module.
local cjson = require "cjson"

local ngx, tonumber = ngx, tonumber
local _M = {}
local config, upstream_port, find, replace, filters

-- init_by_lua: the configuration is parsed once, as guests do.
function _M.init(text, port, from, to, guests)
    config, upstream_port, find, replace, filters = cjson.decode(text), port, from, to, guests
    config.percentage = config.percentage or 100
end

-- W1
function _M.fault()
    if math.random() * 100 >= config.percentage then
        return ngx.exit(404)
    end
    ngx.status = config.http_status
    ngx.header.content_length = #config.body
    ngx.print(config.body)
end

-- A1
function _M.fault_and_exit()
    if math.random() * 100 < config.percentage then
        _M.fault()
        return ngx.exit(config.http_status)
    end
end

-- A1, by a plugin: each worker makes it when it is first asked for.
local plugin_ctxs = {}

function _M.plugin(guest, configuration)
    local wasm = require("resty.proxy-wasm")
    local plugin_ctx = plugin_ctxs[guest]
    if not plugin_ctx then
        local plugin = assert(wasm.load(guest, filters .. "/" .. guest .. ".wasm"))
        plugin_ctx = assert(wasm.on_configure(plugin, configuration))
        plugin_ctxs[guest] = plugin_ctx
    end
    local ok, err = wasm.on_http_request_headers(plugin_ctx)
    if not ok then
        ngx.log(ngx.ERR, err)
        return ngx.exit(503)
    end
end

-- W2
function _M.request_headers()
    local var, read = ngx.var, 0
    if var.request_uri then read = read + 1 end
    if var.http_host then read = read + 1 end
    if var.http_user_agent then read = read + 1 end
    ngx.req.set_header("x-bench-request", "1")
    ngx.ctx.read = read
end

function _M.response_headers()
    ngx.header["x-bench-response"] = ngx.ctx.read == 3 and "all" or "some"
end

-- W3, rewritten
function _M.rewrite()
    local ctx, arg = ngx.ctx, ngx.arg
    local pieces = ctx.pieces
    if not pieces then
        pieces = {}
        ctx.pieces = pieces
    end
    pieces[#pieces + 1] = arg[1]
    if arg[2] then
        arg[1] = ngx.re.gsub(table.concat(pieces), find, replace, "jo")
    else
        arg[1] = nil
    end
end

-- W6
function _M.call()
    local socket = ngx.socket.tcp()
    socket:settimeout(5000)
    local status = "failed"
    if socket:connect("127.0.0.1", upstream_port)
        and socket:send("GET / HTTP/1.1\r\nHost: bench_upstream\r\n\r\n") then
        local line = socket:receive()
        status = line and line:sub(10, 12) or status
        local length = 0
        repeat
            line = socket:receive()
            local value = line and line:match("^[Cc]ontent%-[Ll]ength: (%d+)")
            if value then length = tonumber(value) end
        until not line or line == ""
        if line and socket:receive(length) then
            socket:setkeepalive(60000, 64)
        else
            status = "failed"
        end
    end
    ngx.header["x-bench-call"] = status
end

return _M
