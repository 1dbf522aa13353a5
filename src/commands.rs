//! The table of the directives: where each may stand, and what reads it.

use std::ffi::{CStr, c_char, c_void};
use std::mem::offset_of;

use ngx::ffi::{
    NGX_CONF_1MORE, NGX_CONF_2MORE, NGX_CONF_FLAG, NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_CONF_TAKE2,
    NGX_CONF_TAKE12, NGX_HTTP_LIF_CONF, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET,
    NGX_HTTP_MAIN_CONF, NGX_HTTP_MAIN_CONF_OFFSET, NGX_HTTP_SRV_CONF, ngx_command_t,
    ngx_conf_set_flag_slot, ngx_conf_set_msec_slot, ngx_conf_set_num_slot, ngx_conf_set_size_slot,
    ngx_conf_set_str_slot, ngx_conf_t, ngx_str_t,
};

use crate::conf::call::CallDirectives;
use crate::conf::location::LocConf;
use crate::conf::{
    buffers, cache, call, filter, key_value, lua_plugins, module, properties, redis_subscribe,
    request_buffering, zones,
};
use crate::handler::directive::wasm_handler;
use crate::handler::service::spin::directive::wasm_spin;
use crate::worker::metrics_page;

/// The levels of most directives.
const LEVELS: u32 = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

/// The module's directives.
pub static mut COMMANDS: [ngx_command_t; 27] = [
    command(
        c"wasm_module",
        NGX_HTTP_MAIN_CONF | NGX_CONF_2MORE,
        module::wasm_module,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_cache",
        NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        cache::wasm_cache,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_lua_defaults",
        NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
        lua_plugins::wasm_lua_defaults,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_vm",
        NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        lua_plugins::wasm_vm,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_filter",
        LEVELS | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE,
        filter::wasm_filter,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_handler",
        NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE,
        wasm_handler,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_filter_phase",
        LEVELS | NGX_CONF_TAKE1,
        filter::wasm_filter_phase,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_call_connections",
        NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        call::wasm_call_connections,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    call_command(
        c"wasm_call_connect_timeout",
        NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot,
        offset_of!(CallDirectives, connect_timeout),
    ),
    call_command(
        c"wasm_call_send_timeout",
        NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot,
        offset_of!(CallDirectives, send_timeout),
    ),
    call_command(
        c"wasm_call_read_timeout",
        NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot,
        offset_of!(CallDirectives, read_timeout),
    ),
    call_command(
        c"wasm_call_buffer_size",
        NGX_CONF_TAKE1,
        ngx_conf_set_size_slot,
        offset_of!(CallDirectives, buffer_size),
    ),
    call_command(
        c"wasm_call_ssl_verify",
        NGX_CONF_FLAG,
        ngx_conf_set_flag_slot,
        offset_of!(CallDirectives, ssl_verify),
    ),
    call_command(
        c"wasm_call_ssl_verify_depth",
        NGX_CONF_TAKE1,
        ngx_conf_set_num_slot,
        offset_of!(CallDirectives, ssl_verify_depth),
    ),
    call_command(
        c"wasm_call_ssl_trusted_certificate",
        NGX_CONF_TAKE1,
        ngx_conf_set_str_slot,
        offset_of!(CallDirectives, ssl_trusted_certificate),
    ),
    command(
        c"wasm_shared_data",
        NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
        zones::wasm_shared_data,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_spin",
        NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE,
        wasm_spin,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_key_value",
        NGX_HTTP_MAIN_CONF | NGX_CONF_2MORE,
        key_value::wasm_key_value,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_redis_subscribe",
        NGX_HTTP_MAIN_CONF | NGX_CONF_2MORE,
        redis_subscribe::wasm_redis_subscribe,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_shared_queue",
        NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
        zones::wasm_shared_queue,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_pause_timeout",
        LEVELS | NGX_CONF_TAKE1,
        filter::wasm_pause_timeout,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_buffer_size",
        LEVELS | NGX_CONF_TAKE12,
        buffers::wasm_buffer_size,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_property",
        LEVELS | NGX_CONF_TAKE2,
        properties::wasm_property,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_request_buffering",
        LEVELS | NGX_CONF_TAKE1,
        request_buffering::wasm_request_buffering,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    command(
        c"wasm_metrics_zone",
        NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
        zones::wasm_metrics_zone,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        c"wasm_metrics",
        NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
        metrics_page::wasm_metrics,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    ngx_command_t::empty(),
];

type Setter = unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_command_t, *mut c_void) -> *mut c_char;

const fn command(name: &'static CStr, type_: u32, set: Setter, conf: usize) -> ngx_command_t {
    ngx_command_t {
        name: ngx_str_t {
            len: name.count_bytes(),
            data: name.as_ptr().cast_mut().cast(),
        },
        type_: type_ as usize,
        set: Some(set),
        conf,
        offset: 0,
        post: std::ptr::null_mut(),
    }
}

/// A directive in [`CallDirectives`], which one of nginx's own setters reads.
const fn call_command(
    name: &'static CStr,
    arguments: u32,
    set: Setter,
    offset: usize,
) -> ngx_command_t {
    let command = command(name, LEVELS | arguments, set, NGX_HTTP_LOC_CONF_OFFSET);
    ngx_command_t {
        offset: offset_of!(LocConf, call_directives) + offset,
        ..command
    }
}
