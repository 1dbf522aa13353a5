-- Proxy-Wasm filters for Lua's code: `require("resty.proxy-wasm")`, as APISIX uses it.
--
-- The functions, their arguments and their results are those of api7's wasm-nginx-module; docs/apisix.md describes them, and
-- what differs. All work is done by ngx_http_wasm_module, in the functions of its table (src/lua/abi.rs).

local ffi = require("ffi")
local base = require("resty.core.base")
local semaphore = require("ngx.semaphore")

local C = ffi.C
local ffi_gc = ffi.gc
local ffi_istype = ffi.istype
local ffi_string = ffi.string
local get_request = base.get_request
local get_phase = ngx.get_phase
local ngx = ngx
local type = type

base.allows_subsystem("http")


ffi.cdef[[
typedef struct ngx_http_wasm_plugin_s  ngx_http_wasm_plugin_t;
typedef struct ngx_http_wasm_plugin_ctx_s  ngx_http_wasm_plugin_ctx_t;

typedef struct {
    const char  *data;
    size_t       len;
} ngx_http_wasm_bytes_t;

typedef struct {
    ngx_http_wasm_plugin_t *(*load)(const char *name, size_t name_len, const char *code, size_t code_len,
                                    const char *parameters, size_t parameters_len, int init);
    void (*unload)(ngx_http_wasm_plugin_t *plugin);
    ngx_http_wasm_plugin_ctx_t *(*configure)(ngx_http_wasm_plugin_t *plugin, const char *conf, size_t len, int init);
    void (*remove)(ngx_http_wasm_plugin_ctx_t *ctx);
    int (*request_headers)(ngx_http_wasm_plugin_ctx_t *ctx, void *r);
    int (*request_body)(ngx_http_wasm_plugin_ctx_t *ctx, void *r, const char *body, size_t len, int end);
    int (*response_headers)(ngx_http_wasm_plugin_ctx_t *ctx, void *r);
    int (*response_body)(ngx_http_wasm_plugin_ctx_t *ctx, void *r, const char *body, size_t len, int end);
    int (*resume)(ngx_http_wasm_plugin_ctx_t *ctx, void *r);
    int (*wait)(ngx_http_wasm_plugin_ctx_t *ctx, void *r, int (*post)(void *, int), void *semaphore);
    void (*forget)(void *semaphore);
    int (*reply)(ngx_http_wasm_plugin_ctx_t *ctx, void *r, ngx_http_wasm_bytes_t *body);
    int (*incoming)(ngx_http_wasm_plugin_ctx_t *ctx, void *r, ngx_http_wasm_bytes_t *body);
    int (*response)(ngx_http_wasm_plugin_ctx_t *ctx, void *r, ngx_http_wasm_bytes_t *body);
} ngx_http_wasm_table_t;

const ngx_http_wasm_table_t *ngx_http_wasm_ffi(unsigned version);
]]

local VERSION = 1

local found, wasm = pcall(function() return C.ngx_http_wasm_ffi(VERSION) end)
if not found then
    error("ngx_http_wasm_module is not there: it must be loaded by load_module")
end
if wasm == nil then
    error("this resty/proxy-wasm.lua is of another version than ngx_http_wasm_module")
end

local plugin_type = ffi.typeof("ngx_http_wasm_plugin_t *")
local plugin_ctx_type = ffi.typeof("ngx_http_wasm_plugin_ctx_t *")
local bytes = ffi.new("ngx_http_wasm_bytes_t")

-- What the module answers (src/lua/answer.rs).
local DONE = 0
local WAIT = 1
local LOCAL = 2
local CLOSE = 3
local CHANGED = 4
local NO_REQUEST = -2

-- Where Lua's code can wait.
local WAITS = {
    server_rewrite = true,
    rewrite = true,
    access = true,
    content = true,
}
-- What has no body.
local BODILESS = {
    [204] = true,
    [304] = true,
}
-- Longer than any wasm_pause_timeout: that ends a pause, in seconds.
local FOR_LONG = 24 * 3600

local _M = {}


-- parameters: a table of those of `wasm_module`, by their names; one that may be there several times has a list.
-- The text has a NUL behind each.
local function parameters_text(parameters)
    local all = {}
    for name, value in pairs(parameters) do
        local values = type(value) == "table" and value or { value }
        for _, one in ipairs(values) do
            all[#all + 1] = tostring(name) .. "=" .. tostring(one) .. "\0"
        end
    end
    return table.concat(all)
end


function _M.load(name, path, parameters)
    local file, err = io.open(path, "rb")
    if not file then
        return nil, err
    end
    local code
    code, err = file:read("*a")
    file:close()
    if not code then
        return nil, err
    end

    local text = parameters and parameters_text(parameters) or ""
    local init = get_phase() == "init" and 1 or 0
    local plugin = wasm.load(name, #name, code, #code, text, #text, init)
    if plugin == nil then
        return nil, "failed to load wasm plugin"
    end
    return ffi_gc(plugin, wasm.unload)
end


function _M.on_configure(plugin, conf)
    if not ffi_istype(plugin_type, plugin) then
        return nil, "bad plugin"
    end
    if type(conf) ~= "string" or conf == "" then
        return nil, "bad conf"
    end

    local init = get_phase() == "init" and 1 or 0
    local plugin_ctx = wasm.configure(plugin, conf, #conf, init)
    if plugin_ctx == nil then
        return nil, "failed to run proxy_on_configure"
    end
    return ffi_gc(plugin_ctx, wasm.remove)
end


-- The module must not post a semaphore that is gone.
local function release(sem)
    wasm.forget(sem)
    C.ngx_http_lua_ffi_sema_gc(sem)
end


local post


-- Waits for the filter; what the module answers then.
local function wait(plugin_ctx, r)
    if not WAITS[get_phase()] then
        return nil
    end
    post = post or ffi.cast("int (*)(void *, int)", C.ngx_http_lua_ffi_sema_post)

    local sema = semaphore.new()
    if not sema then
        return nil
    end
    ffi_gc(sema.sem, release)

    local rc
    repeat
        if wasm.wait(plugin_ctx, r, post, sema.sem) ~= DONE then
            return nil
        end
        sema:wait(FOR_LONG)
        rc = wasm.resume(plugin_ctx, r)
    until rc ~= WAIT
    return rc
end


-- Sends the filter's own response. It does not return, but where there is none.
local function answer(plugin_ctx, r)
    local status = wasm.reply(plugin_ctx, r, bytes)
    if status < 0 then
        return
    end
    local body = ffi_string(bytes.data, bytes.len)
    local header = ngx.header
    -- Lua's module drops a length that it has not been told of, and adds a type where there is none.
    if not BODILESS[status] then
        header["Content-Length"] = #body
    end
    if #body > 0 then
        ngx.print(body)
    else
        header["Content-Type"] = header["Content-Type"]
        ngx.send_headers()
    end
    return ngx.exit(status)
end


-- The request goes on with the body that the filter has made.
local function set_request_body(plugin_ctx, r)
    if wasm.incoming(plugin_ctx, r, bytes) ~= DONE then
        return false
    end
    local body = ffi_string(bytes.data, bytes.len)
    return pcall(function()
        ngx.req.read_body()
        ngx.req.set_body_data(body)
    end)
end


-- The request that a plugin context is to see.
local function request_of(plugin_ctx)
    if not ffi_istype(plugin_ctx_type, plugin_ctx) then
        return nil, "bad plugin ctx"
    end
    local r = get_request()
    if not r then
        return nil, "bad request"
    end
    return r
end


-- What becomes of a callback of the request.
local function finish(plugin_ctx, r, rc, err)
    if rc == WAIT then
        rc = wait(plugin_ctx, r)
    end
    if rc == DONE then
        return true
    end
    if rc == LOCAL then
        answer(plugin_ctx, r)
    elseif rc == CLOSE then
        ngx.exit(444)
    elseif rc == CHANGED then
        local ok, reason = set_request_body(plugin_ctx, r)
        if ok then
            return true
        end
        ngx.log(ngx.ERR, "cannot replace the request's body: ", reason)
    elseif rc == NO_REQUEST then
        return nil, "bad request"
    end
    return nil, err
end


function _M.on_http_request_headers(plugin_ctx)
    local r, reason = request_of(plugin_ctx)
    if not r then
        return nil, reason
    end

    local rc = wasm.request_headers(plugin_ctx, r)
    if rc == DONE then
        return true
    end
    return finish(plugin_ctx, r, rc, "failed to run proxy_on_http_request_headers")
end


function _M.on_http_request_body(plugin_ctx, body, end_of_body)
    local r, reason = request_of(plugin_ctx)
    if not r then
        return nil, reason
    end

    body = body or ""
    local rc = wasm.request_body(plugin_ctx, r, body, #body, end_of_body and 1 or 0)
    return finish(plugin_ctx, r, rc, "failed to run proxy_on_http_request_body")
end


function _M.on_http_response_headers(plugin_ctx)
    local r, reason = request_of(plugin_ctx)
    if not r then
        return nil, reason
    end

    local rc = wasm.response_headers(plugin_ctx, r)
    if rc == DONE then
        return true
    end
    if rc == NO_REQUEST then
        return nil, "bad request"
    end
    return nil, "failed to run proxy_on_http_response_headers"
end


function _M.on_http_response_body(plugin_ctx)
    local r, reason = request_of(plugin_ctx)
    if not r then
        return nil, reason
    end

    local body = ngx.arg[1] or ""
    local rc = wasm.response_body(plugin_ctx, r, body, #body, ngx.arg[2] and 1 or 0)
    if rc == CHANGED then
        rc = wasm.response(plugin_ctx, r, bytes)
        if rc == DONE then
            ngx.arg[1] = ffi_string(bytes.data, bytes.len)
        end
    end
    if rc == DONE then
        return true
    end
    if rc == NO_REQUEST then
        return nil, "bad request"
    end
    return nil, "failed to run proxy_on_http_response_body"
end


return _M
