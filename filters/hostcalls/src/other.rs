//! Imports called with harmless or with bad arguments, to see their status.

use crate::abi::calls::raw::*;
use crate::abi::shared::raw::*;
use crate::abi::{self, Status, raw};
use crate::bytes::NO_ID;
use crate::pairs;
use std::ptr::null_mut;

/// What the argument names below stand for: an upstream, a queue and so on
/// that nobody has.
const NOBODY: &[u8] = b"hostcalls-nobody";
/// An address past the end of any memory that this guest has.
const OUTSIDE: usize = 0xffff_fff0;

/// A serialized map of one pair, whose key would be longer than all the data.
const TRUNCATED: &[u8] = &[1, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, b'k', 0, 0];

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
    "http_call:bad_pointer",
    "http_call:bad_headers",
    "http_call:bad_return",
    "grpc_call:bad_pointer",
    "grpc_call:bad_return",
    "grpc_stream:bad_pointer",
    "grpc_stream:bad_return",
    "grpc_send:bad_pointer",
    "get_status:bad_return",
    "get_shared_data:bad_pointer",
    "get_shared_data:bad_return",
    "set_shared_data:bad_pointer",
    "register_shared_queue:bad_pointer",
    "register_shared_queue:bad_return",
    "resolve_shared_queue:bad_pointer",
    "enqueue_shared_queue:bad_pointer",
    "dequeue_shared_queue:bad_return",
    "define_metric:bad_type",
    "define_metric:bad_pointer",
    "define_metric:bad_return",
    "get_metric:bad_return",
    "call_foreign_function:bad_pointer",
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
            "set_header_map_pairs:truncated" => abi::set_map(0, TRUNCATED),
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
            _ => misuse(name)?,
        }
    };
    Some(status)
}

/// Those of calls, shared state and metrics.
fn misuse(name: &str) -> Option<Status> {
    let (n, len) = (NOBODY.as_ptr(), NOBODY.len());
    let (mut id, mut data, mut size) = (0u32, null_mut(), 0usize);
    let outside = OUTSIDE as *const u8;
    let outside_id = OUTSIDE as *mut u32;
    let outside_data = OUTSIDE as *mut *mut u8;
    let (m, m_len) = (TRUNCATED.as_ptr(), TRUNCATED.len());
    let headers = [(":method", "GET"), (":path", "/"), (":authority", "a")];
    let headers = pairs::serialize(&headers.map(|(key, value)| (key.into(), value.into())));
    let (h, h_len) = (headers.as_ptr(), headers.len());
    // SAFETY: as above.
    let status = unsafe {
        match name {
            "http_call:bad_pointer" => {
                proxy_http_call(n, len, outside, 100, n, 0, n, 0, 1000, &mut id)
            }
            "http_call:bad_headers" => proxy_http_call(n, len, m, m_len, n, 0, n, 0, 1000, &mut id),
            "http_call:bad_return" => {
                proxy_http_call(n, len, h, h_len, n, 0, n, 0, 1000, outside_id)
            }
            "grpc_call:bad_pointer" => {
                proxy_grpc_call(n, len, n, len, n, len, n, 0, outside, 100, 1000, &mut id)
            }
            "grpc_call:bad_return" => {
                proxy_grpc_call(n, len, n, len, n, len, n, 0, n, 0, 1000, outside_id)
            }
            "grpc_stream:bad_pointer" => {
                proxy_grpc_stream(outside, 100, n, len, n, len, n, 0, &mut id)
            }
            "grpc_stream:bad_return" => proxy_grpc_stream(n, len, n, len, n, len, n, 0, outside_id),
            "grpc_send:bad_pointer" => proxy_grpc_send(NO_ID, outside, 100, 1),
            "get_status:bad_return" => proxy_get_status(outside_id, &mut data, &mut size),
            "get_shared_data:bad_pointer" => {
                proxy_get_shared_data(outside, 100, &mut data, &mut size, &mut id)
            }
            "get_shared_data:bad_return" => {
                abi::shared::set_shared_data(NOBODY, NOBODY, 0);
                proxy_get_shared_data(n, len, outside_data, &mut size, &mut id)
            }
            "set_shared_data:bad_pointer" => proxy_set_shared_data(n, len, outside, 100, 0),
            "register_shared_queue:bad_pointer" => {
                proxy_register_shared_queue(outside, 100, &mut id)
            }
            "register_shared_queue:bad_return" => proxy_register_shared_queue(n, len, outside_id),
            "resolve_shared_queue:bad_pointer" => {
                proxy_resolve_shared_queue(n, len, outside, 100, &mut id)
            }
            "enqueue_shared_queue:bad_pointer" => proxy_enqueue_shared_queue(NO_ID, outside, 100),
            "dequeue_shared_queue:bad_return" => {
                let queue = abi::shared::register_queue(NOBODY).unwrap_or(NO_ID);
                abi::shared::enqueue(queue, NOBODY);
                proxy_dequeue_shared_queue(queue, outside_data, &mut size)
            }
            "define_metric:bad_type" => proxy_define_metric(99, n, len, &mut id),
            "define_metric:bad_pointer" => proxy_define_metric(0, outside, 100, &mut id),
            "define_metric:bad_return" => proxy_define_metric(0, n, len, outside_id),
            "get_metric:bad_return" => {
                let metric = abi::shared::define_metric(0, NOBODY).unwrap_or(NO_ID);
                proxy_get_metric(metric, OUTSIDE as *mut u64)
            }
            "call_foreign_function:bad_pointer" => {
                proxy_call_foreign_function(n, len, outside, 100, &mut data, &mut size)
            }
            _ => return None,
        }
    };
    Some(status)
}
