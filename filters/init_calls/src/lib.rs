//! Makes host calls in `_initialize`, when there is no context yet, and logs
//! there and then the status of each as `initialize <import> = <status>`; none
//! may crash the host. Then it runs as a filter that does nothing.
//!
//! It exports no callback but the start and the allocator: all are optional.

use std::ptr::null_mut;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, len: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: u32,
        max: u32,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_buffer_status(buffer: u32, len: *mut usize, flags: *mut u32) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: u32,
        size: u32,
        data: *const u8,
        len: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        key: *const u8,
        key_len: usize,
        value: *const u8,
        len: usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        len: usize,
        data: *mut *mut u8,
        data_len: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(id: u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_done() -> u32;
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Vec::leak(vec![0; size]).as_mut_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    let key = b"x-init";
    let (k, n) = (key.as_ptr(), key.len());
    let (mut data, mut len, mut flags, mut time) = (null_mut(), 0, 0, 0);
    // SAFETY: called once, by the host, before anything else; the addresses
    // given to the host are those of the variables above.
    let statuses = unsafe {
        __wasm_call_ctors();
        [
            ("log", proxy_log(2, k, n)),
            (
                "get_current_time_nanoseconds",
                proxy_get_current_time_nanoseconds(&mut time),
            ),
            (
                "get_buffer_bytes:plugin_configuration",
                proxy_get_buffer_bytes(7, 0, 100, &mut data, &mut len),
            ),
            (
                "get_buffer_bytes:request",
                proxy_get_buffer_bytes(0, 0, 100, &mut data, &mut len),
            ),
            (
                "get_buffer_status",
                proxy_get_buffer_status(0, &mut len, &mut flags),
            ),
            ("set_buffer_bytes", proxy_set_buffer_bytes(0, 0, 0, k, n)),
            (
                "get_header_map_pairs",
                proxy_get_header_map_pairs(0, &mut data, &mut len),
            ),
            (
                "get_header_map_value",
                proxy_get_header_map_value(0, k, n, &mut data, &mut len),
            ),
            (
                "add_header_map_value",
                proxy_add_header_map_value(0, k, n, k, n),
            ),
            (
                "get_property",
                proxy_get_property(k, n, &mut data, &mut len),
            ),
            (
                "send_local_response",
                proxy_send_local_response(200, k, 0, k, n, k, 0, -1),
            ),
            ("continue_stream", proxy_continue_stream(0)),
            ("close_stream", proxy_close_stream(0)),
            ("set_effective_context", proxy_set_effective_context(1)),
            (
                "set_tick_period_milliseconds",
                proxy_set_tick_period_milliseconds(0),
            ),
            ("done", proxy_done()),
        ]
    };
    for (import, status) in statuses {
        let line = format!("initialize {import} = {status}");
        // SAFETY: the line lives through the call.
        unsafe { proxy_log(2, line.as_ptr(), line.len()) };
    }
}
