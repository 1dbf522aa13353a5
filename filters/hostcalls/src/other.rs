//! The imports that the interpreter has no operation for: each can be called
//! with harmless arguments, to see its status.

use crate::abi::{self, Status, raw};
use std::ptr::null_mut;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_http_call(
        upstream: *const u8,
        upstream_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
        trailers: *const u8,
        trailers_len: usize,
        timeout: u32,
        id: *mut u32,
    ) -> Status;
    fn proxy_grpc_call(
        upstream: *const u8,
        upstream_len: usize,
        service: *const u8,
        service_len: usize,
        method: *const u8,
        method_len: usize,
        metadata: *const u8,
        metadata_len: usize,
        message: *const u8,
        message_len: usize,
        timeout: u32,
        id: *mut u32,
    ) -> Status;
    fn proxy_grpc_stream(
        upstream: *const u8,
        upstream_len: usize,
        service: *const u8,
        service_len: usize,
        method: *const u8,
        method_len: usize,
        metadata: *const u8,
        metadata_len: usize,
        id: *mut u32,
    ) -> Status;
    fn proxy_grpc_send(id: u32, message: *const u8, len: usize, end_of_stream: u32) -> Status;
    fn proxy_grpc_cancel(id: u32) -> Status;
    fn proxy_grpc_close(id: u32) -> Status;
    fn proxy_get_status(code: *mut u32, data: *mut *mut u8, len: *mut usize) -> Status;
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
        cas: *mut u32,
    ) -> Status;
    fn proxy_set_shared_data(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        len: usize,
        cas: u32,
    ) -> Status;
    fn proxy_register_shared_queue(name: *const u8, len: usize, id: *mut u32) -> Status;
    fn proxy_resolve_shared_queue(
        vm: *const u8,
        vm_len: usize,
        name: *const u8,
        len: usize,
        id: *mut u32,
    ) -> Status;
    fn proxy_enqueue_shared_queue(id: u32, data: *const u8, len: usize) -> Status;
    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, len: *mut usize) -> Status;
    fn proxy_define_metric(kind: u32, name: *const u8, len: usize, id: *mut u32) -> Status;
    fn proxy_record_metric(id: u32, value: u64) -> Status;
    fn proxy_increment_metric(id: u32, offset: i64) -> Status;
    fn proxy_get_metric(id: u32, value: *mut u64) -> Status;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        arguments: *const u8,
        len: usize,
        data: *mut *mut u8,
        data_len: *mut usize,
    ) -> Status;
}

/// What the argument names below stand for: an upstream, a queue and so on
/// that nobody has.
const NOBODY: &[u8] = b"hostcalls-nobody";
/// An identifier that no host gives out.
const NO_ID: u32 = 0x7fff_fff0;
/// An address past the end of any memory that this guest has.
const OUTSIDE: usize = 0xffff_fff0;

pub const NAMES: &[&str] = &[
    "http_call",
    "grpc_call",
    "grpc_stream",
    "grpc_send",
    "grpc_cancel",
    "grpc_close",
    "get_status",
    "get_shared_data",
    "set_shared_data",
    "register_shared_queue",
    "resolve_shared_queue",
    "enqueue_shared_queue",
    "dequeue_shared_queue",
    "define_metric",
    "record_metric",
    "increment_metric",
    "get_metric",
    "call_foreign_function",
    "set_tick_period_milliseconds",
    "get_log_level",
    "done",
    "log:bad_level",
    "log:bad_pointer",
    "get_property:bad_pointer",
    "get_property:bad_return",
    "get_header_map_value:bad_pointer",
    "get_header_map_value:bad_return",
    "add_header_map_value:bad_pointer",
    "set_header_map_pairs:bad_pointer",
    "set_header_map_pairs:truncated",
    "get_buffer_bytes:bad_type",
    "get_buffer_bytes:overflow",
    "get_buffer_bytes:bad_return",
    "set_buffer_bytes:bad_type",
    "set_buffer_bytes:bad_pointer",
    "get_header_map_pairs:bad_type",
    "get_header_map_size:bad_type",
    "send_local_response:bad_pointer",
    "continue_stream:bad_type",
    "close_stream:bad_type",
    "set_effective_context:bad_id",
];

/// Makes the call of this name, with or without `proxy_`; `None` if there is
/// none.
pub fn status(name: &str) -> Option<Status> {
    let name = name.strip_prefix("proxy_").unwrap_or(name);
    let (n, len) = (NOBODY.as_ptr(), NOBODY.len());
    let mut id = 0u32;
    let mut value = 0u64;
    let mut data = null_mut();
    let mut size = 0usize;
    let outside = OUTSIDE as *const u8;
    let outside_data = OUTSIDE as *mut *mut u8;
    let get = "x-nobody".as_bytes();
    // SAFETY: as in `abi`; the addresses outside the memory are never used
    // here, and a host has to refuse them.
    let status = unsafe {
        match name {
            "http_call" => proxy_http_call(n, len, n, 0, n, 0, n, 0, 1000, &mut id),
            "grpc_call" => proxy_grpc_call(n, len, n, len, n, len, n, 0, n, 0, 1000, &mut id),
            "grpc_stream" => proxy_grpc_stream(n, len, n, len, n, len, n, 0, &mut id),
            "grpc_send" => proxy_grpc_send(NO_ID, n, len, 1),
            "grpc_cancel" => proxy_grpc_cancel(NO_ID),
            "grpc_close" => proxy_grpc_close(NO_ID),
            "get_status" => proxy_get_status(&mut id, &mut data, &mut size),
            "get_shared_data" => proxy_get_shared_data(n, len, &mut data, &mut size, &mut id),
            "set_shared_data" => proxy_set_shared_data(n, len, n, len, 0),
            "register_shared_queue" => proxy_register_shared_queue(n, len, &mut id),
            "resolve_shared_queue" => proxy_resolve_shared_queue(n, len, n, len, &mut id),
            "enqueue_shared_queue" => proxy_enqueue_shared_queue(NO_ID, n, len),
            "dequeue_shared_queue" => proxy_dequeue_shared_queue(NO_ID, &mut data, &mut size),
            "define_metric" => proxy_define_metric(0, n, len, &mut id),
            "record_metric" => proxy_record_metric(NO_ID, 1),
            "increment_metric" => proxy_increment_metric(NO_ID, 1),
            "get_metric" => proxy_get_metric(NO_ID, &mut value),
            "call_foreign_function" => {
                proxy_call_foreign_function(n, len, n, 0, &mut data, &mut size)
            }
            "set_tick_period_milliseconds" => abi::set_tick_period(0),
            "get_log_level" => raw::proxy_get_log_level(&mut id),
            "done" => abi::done(),
            "log:bad_level" => abi::log(6, b"never logged"),
            "log:bad_pointer" => raw::proxy_log(2, outside, 100),
            "get_property:bad_pointer" => {
                raw::proxy_get_property(outside, 100, &mut data, &mut size)
            }
            "get_property:bad_return" => {
                let path = b"request\0method";
                raw::proxy_get_property(path.as_ptr(), path.len(), outside_data, &mut size)
            }
            "get_header_map_value:bad_pointer" => {
                raw::proxy_get_header_map_value(0, outside, 100, &mut data, &mut size)
            }
            "get_header_map_value:bad_return" => {
                let key = b":path";
                raw::proxy_get_header_map_value(0, key.as_ptr(), key.len(), outside_data, &mut size)
            }
            "add_header_map_value:bad_pointer" => {
                raw::proxy_add_header_map_value(0, get.as_ptr(), get.len(), outside, 100)
            }
            "set_header_map_pairs:bad_pointer" => raw::proxy_set_header_map_pairs(0, outside, 100),
            "set_header_map_pairs:truncated" => {
                // One pair, whose key would be longer than all the data.
                abi::set_map(0, &[1, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, b'k', 0, 0])
            }
            "get_buffer_bytes:bad_type" => {
                raw::proxy_get_buffer_bytes(99, 0, 10, &mut data, &mut size)
            }
            "get_buffer_bytes:overflow" => {
                raw::proxy_get_buffer_bytes(7, 2, u32::MAX, &mut data, &mut size)
            }
            "get_buffer_bytes:bad_return" => {
                raw::proxy_get_buffer_bytes(7, 0, 10, outside_data, &mut size)
            }
            "set_buffer_bytes:bad_type" => abi::set_buffer(99, 0, 0, b"x"),
            "set_buffer_bytes:bad_pointer" => raw::proxy_set_buffer_bytes(0, 0, 0, outside, 100),
            "get_header_map_pairs:bad_type" => {
                raw::proxy_get_header_map_pairs(99, &mut data, &mut size)
            }
            "get_header_map_size:bad_type" => raw::proxy_get_header_map_size(99, &mut size),
            "send_local_response:bad_pointer" => {
                raw::proxy_send_local_response(200, n, 0, outside, 100, n, 0, -1)
            }
            "continue_stream:bad_type" => abi::continue_stream(99),
            "close_stream:bad_type" => abi::close_stream(99),
            "set_effective_context:bad_id" => abi::set_effective_context(NO_ID),
            _ => return None,
        }
    };
    Some(status)
}
