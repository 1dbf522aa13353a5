-- What APISIX makes of its configuration `wasm.plugins`, for tests: the same calls of resty.proxy-wasm, in the same order.
--
--   load{ name =, file = }                in init_by_lua or init_worker_by_lua
--   request(name, conf)                   in rewrite_by_lua or access_by_lua
--   header_filter(name, conf)             in header_filter_by_lua
--   body_filter(name, conf)               in body_filter_by_lua
--
-- A plugin context is made for each plugin and conf when it is first needed. What fails is logged, and ends the request with 503.

local wasm = require("resty.proxy-wasm")

local _M = {}
local plugins = {}
local plugin_ctxs = {}


function _M.load(attrs)
    local plugin, err = wasm.load(attrs.name, attrs.file, attrs.parameters)
    if not plugin then
        return nil, err
    end
    plugins[attrs.name] = plugin
    plugin_ctxs[attrs.name] = {}
    return true
end


local function fail(name, what, err)
    ngx.log(ngx.ERR, name, ": failed to ", what, ": ", err)
    return 503
end


local function fetch(name, conf)
    local known = plugin_ctxs[name][conf]
    if known then
        return known
    end
    local plugin_ctx, err = wasm.on_configure(plugins[name], conf)
    plugin_ctxs[name][conf] = plugin_ctx
    return plugin_ctx, err
end


local function run(name, conf, calls)
    local plugin_ctx, err = fetch(name, conf)
    if not plugin_ctx then
        return fail(name, "fetch wasm plugin ctx", err)
    end
    for _, call in ipairs(calls) do
        local ok
        ok, err = call(plugin_ctx)
        if not ok then
            return fail(name, "run wasm plugin", err)
        end
    end
end


local function request_body(plugin_ctx)
    if ngx.var.wasm_process_req_body == "" then
        return true
    end
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    local name = ngx.req.get_body_file()
    if name then
        local file = assert(io.open(name, "rb"))
        body = file:read("*a")
        file:close()
    end
    return wasm.on_http_request_body(plugin_ctx, body, true)
end


function _M.request(name, conf)
    local code = run(name, conf, { wasm.on_http_request_headers, request_body })
    if code then
        ngx.exit(code)
    end
end


function _M.header_filter(name, conf)
    run(name, conf, { wasm.on_http_response_headers })
    if ngx.var.wasm_process_resp_body ~= "" then
        ngx.header.content_length = nil
    end
end


function _M.body_filter(name, conf)
    if ngx.var.wasm_process_resp_body ~= "" then
        run(name, conf, { wasm.on_http_response_body })
    end
end


return _M
