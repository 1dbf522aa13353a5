//! HTTP and gRPC calls.

use super::{Status, returned, written};

pub mod raw {
    use super::Status;

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn proxy_http_call(
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
        pub fn proxy_grpc_call(
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
        pub fn proxy_grpc_stream(
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
        pub fn proxy_grpc_send(id: u32, message: *const u8, len: usize, end: u32) -> Status;
        pub fn proxy_grpc_cancel(id: u32) -> Status;
        pub fn proxy_grpc_close(id: u32) -> Status;
        pub fn proxy_get_status(code: *mut u32, data: *mut *mut u8, len: *mut usize) -> Status;
    }
}

// SAFETY of all calls below: as in `abi`.

/// Starts a call and gives its number. `headers` and `trailers` are serialized maps.
pub fn http_call(
    upstream: &[u8],
    headers: &[u8],
    body: &[u8],
    trailers: &[u8],
    timeout: u32,
) -> Result<u32, Status> {
    written(|id| unsafe {
        raw::proxy_http_call(
            upstream.as_ptr(),
            upstream.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout,
            id,
        )
    })
}

/// Where a gRPC call goes; `metadata` is a serialized map.
pub struct Method {
    pub upstream: Vec<u8>,
    pub service: Vec<u8>,
    pub method: Vec<u8>,
    pub metadata: Vec<u8>,
}

pub fn grpc_call(to: &Method, message: &[u8], timeout: u32) -> Result<u32, Status> {
    written(|id| unsafe {
        raw::proxy_grpc_call(
            to.upstream.as_ptr(),
            to.upstream.len(),
            to.service.as_ptr(),
            to.service.len(),
            to.method.as_ptr(),
            to.method.len(),
            to.metadata.as_ptr(),
            to.metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout,
            id,
        )
    })
}

pub fn grpc_stream(to: &Method) -> Result<u32, Status> {
    written(|id| unsafe {
        raw::proxy_grpc_stream(
            to.upstream.as_ptr(),
            to.upstream.len(),
            to.service.as_ptr(),
            to.service.len(),
            to.method.as_ptr(),
            to.method.len(),
            to.metadata.as_ptr(),
            to.metadata.len(),
            id,
        )
    })
}

pub fn grpc_send(id: u32, message: &[u8], end: bool) -> Status {
    unsafe { raw::proxy_grpc_send(id, message.as_ptr(), message.len(), end.into()) }
}

pub fn grpc_close(id: u32) -> Status {
    unsafe { raw::proxy_grpc_close(id) }
}

pub fn grpc_cancel(id: u32) -> Status {
    unsafe { raw::proxy_grpc_cancel(id) }
}

/// gRPC's status code and message.
pub fn get_status() -> Result<(u32, Vec<u8>), Status> {
    let mut code = 0;
    let message = returned(|data, len| unsafe { raw::proxy_get_status(&mut code, data, len) })?;
    Ok((code, message))
}
