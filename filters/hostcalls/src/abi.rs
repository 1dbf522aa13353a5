//! The imports, declared here and not taken from the SDK, which panics on
//! statuses that tests want to see.

pub mod calls;
pub mod shared;

use std::ptr::null_mut;

/// A status as the host returned it; 0 is Ok.
pub type Status = u32;
pub const OK: Status = 0;

pub mod raw {
    use super::Status;

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn proxy_log(level: u32, message: *const u8, len: usize) -> Status;
        pub fn proxy_get_log_level(level: *mut u32) -> Status;
        pub fn proxy_get_current_time_nanoseconds(time: *mut u64) -> Status;
        pub fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
        pub fn proxy_get_buffer_bytes(
            buffer: u32,
            start: u32,
            max: u32,
            data: *mut *mut u8,
            len: *mut usize,
        ) -> Status;
        pub fn proxy_get_buffer_status(buffer: u32, len: *mut usize, flags: *mut u32) -> Status;
        pub fn proxy_set_buffer_bytes(
            buffer: u32,
            start: u32,
            size: u32,
            data: *const u8,
            len: usize,
        ) -> Status;
        pub fn proxy_get_header_map_size(map: u32, size: *mut usize) -> Status;
        pub fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, len: *mut usize) -> Status;
        pub fn proxy_set_header_map_pairs(map: u32, data: *const u8, len: usize) -> Status;
        pub fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_len: usize,
            data: *mut *mut u8,
            len: *mut usize,
        ) -> Status;
        pub fn proxy_add_header_map_value(
            map: u32,
            key: *const u8,
            key_len: usize,
            value: *const u8,
            len: usize,
        ) -> Status;
        pub fn proxy_replace_header_map_value(
            map: u32,
            key: *const u8,
            key_len: usize,
            value: *const u8,
            len: usize,
        ) -> Status;
        pub fn proxy_remove_header_map_value(map: u32, key: *const u8, key_len: usize) -> Status;
        pub fn proxy_continue_stream(stream: u32) -> Status;
        pub fn proxy_close_stream(stream: u32) -> Status;
        pub fn proxy_send_local_response(
            code: u32,
            details: *const u8,
            details_len: usize,
            body: *const u8,
            body_len: usize,
            headers: *const u8,
            headers_len: usize,
            grpc_status: i32,
        ) -> Status;
        pub fn proxy_get_property(
            path: *const u8,
            path_len: usize,
            data: *mut *mut u8,
            len: *mut usize,
        ) -> Status;
        pub fn proxy_set_property(
            path: *const u8,
            path_len: usize,
            value: *const u8,
            len: usize,
        ) -> Status;
        pub fn proxy_set_effective_context(id: u32) -> Status;
        pub fn proxy_done() -> Status;
    }
}

/// The data of a host call that returns some: the host has allocated it with
/// our allocator, or has written address 0 for none.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Result<Vec<u8>, Status> {
    let mut data = null_mut();
    let mut len = 0;
    match call(&mut data, &mut len) {
        OK if data.is_null() => Ok(Vec::new()),
        // SAFETY: on Ok the host returns what `proxy_on_memory_allocate` gave
        // it for exactly `len` bytes, and gives it up.
        OK => Ok(unsafe { Vec::from_raw_parts(data, len, len) }),
        status => Err(status),
    }
}

/// The number of a host call that writes one.
fn written<T: Default>(call: impl FnOnce(*mut T) -> Status) -> Result<T, Status> {
    let mut value = T::default();
    match call(&mut value) {
        OK => Ok(value),
        status => Err(status),
    }
}

// SAFETY of all calls below: a host reads what the pointer and length of a
// slice that lives through the call span, and writes only to the addresses
// of our own variables.

pub fn log(level: u32, message: &[u8]) -> Status {
    unsafe { raw::proxy_log(level, message.as_ptr(), message.len()) }
}

pub fn get_log_level() -> Result<u32, Status> {
    written(|level| unsafe { raw::proxy_get_log_level(level) })
}

/// Nanoseconds since 1970.
pub fn get_current_time() -> Result<u64, Status> {
    written(|time| unsafe { raw::proxy_get_current_time_nanoseconds(time) })
}

pub fn set_tick_period(milliseconds: u32) -> Status {
    unsafe { raw::proxy_set_tick_period_milliseconds(milliseconds) }
}

pub fn get_buffer(buffer: u32, start: u32, max: u32) -> Result<Vec<u8>, Status> {
    returned(|data, len| unsafe { raw::proxy_get_buffer_bytes(buffer, start, max, data, len) })
}

/// Length in bytes, and flags.
pub fn get_buffer_status(buffer: u32) -> Result<(usize, u32), Status> {
    let (mut len, mut flags) = (0, 0);
    match unsafe { raw::proxy_get_buffer_status(buffer, &mut len, &mut flags) } {
        OK => Ok((len, flags)),
        status => Err(status),
    }
}

pub fn set_buffer(buffer: u32, start: u32, size: u32, data: &[u8]) -> Status {
    unsafe { raw::proxy_set_buffer_bytes(buffer, start, size, data.as_ptr(), data.len()) }
}

pub fn get_map_size(map: u32) -> Result<usize, Status> {
    written(|size| unsafe { raw::proxy_get_header_map_size(map, size) })
}

/// The serialized map.
pub fn get_map(map: u32) -> Result<Vec<u8>, Status> {
    returned(|data, len| unsafe { raw::proxy_get_header_map_pairs(map, data, len) })
}

pub fn set_map(map: u32, serialized: &[u8]) -> Status {
    unsafe { raw::proxy_set_header_map_pairs(map, serialized.as_ptr(), serialized.len()) }
}

pub fn get_map_value(map: u32, key: &[u8]) -> Result<Vec<u8>, Status> {
    returned(|data, len| unsafe {
        raw::proxy_get_header_map_value(map, key.as_ptr(), key.len(), data, len)
    })
}

pub fn add_map_value(map: u32, key: &[u8], value: &[u8]) -> Status {
    unsafe {
        raw::proxy_add_header_map_value(map, key.as_ptr(), key.len(), value.as_ptr(), value.len())
    }
}

pub fn replace_map_value(map: u32, key: &[u8], value: &[u8]) -> Status {
    unsafe {
        raw::proxy_replace_header_map_value(
            map,
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
        )
    }
}

pub fn remove_map_value(map: u32, key: &[u8]) -> Status {
    unsafe { raw::proxy_remove_header_map_value(map, key.as_ptr(), key.len()) }
}

pub fn continue_stream(stream: u32) -> Status {
    unsafe { raw::proxy_continue_stream(stream) }
}

pub fn close_stream(stream: u32) -> Status {
    unsafe { raw::proxy_close_stream(stream) }
}

/// Puts bytes into the response's body, and with `end` ends it.
/// By the foreign function: Envoy loads no module that imports Higress' host call.
pub fn inject(body: &[u8], end: u32) -> Status {
    // A message of protobuf: 1 body, 2 end.
    let mut message = vec![0x0a];
    let mut length = body.len();
    while length >= 0x80 {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(body);
    message.extend_from_slice(&[0x10, end as u8]);
    let name = b"inject_encoded_data_to_filter_chain";
    shared::call_foreign_function(name, &message)
        .err()
        .unwrap_or(OK)
}

/// `headers` is a serialized map; `grpc_status` -1 is none.
pub fn send_local_response(code: u32, headers: &[u8], body: &[u8], grpc_status: i32) -> Status {
    unsafe {
        raw::proxy_send_local_response(
            code,
            [].as_ptr(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    }
}

/// `path` is the segments, joined by zero bytes.
pub fn get_property(path: &[u8]) -> Result<Vec<u8>, Status> {
    returned(|data, len| unsafe { raw::proxy_get_property(path.as_ptr(), path.len(), data, len) })
}

pub fn set_property(path: &[u8], value: &[u8]) -> Status {
    unsafe { raw::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }
}

pub fn set_effective_context(id: u32) -> Status {
    unsafe { raw::proxy_set_effective_context(id) }
}

pub fn done() -> Status {
    unsafe { raw::proxy_done() }
}
