/* The symbol that Lua's FFI looks for (src/lua/abi.rs). */

extern const void *ngx_http_wasm_ffi_table(unsigned version);
const void *ngx_http_wasm_ffi(unsigned version);


const void *
ngx_http_wasm_ffi(unsigned version)
{
    return ngx_http_wasm_ffi_table(version);
}
