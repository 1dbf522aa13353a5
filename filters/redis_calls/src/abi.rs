//! The host's functions for Redis, which the SDK does not have.

use std::ptr::null_mut;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_redis_init(
        service: *const u8,
        service_len: usize,
        username: *const u8,
        username_len: usize,
        password: *const u8,
        password_len: usize,
        timeout: u32,
    ) -> u32;
    fn proxy_redis_call(
        service: *const u8,
        service_len: usize,
        query: *const u8,
        query_len: usize,
        id: *mut u32,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
}

/// The buffer of a reply.
const REPLY: u32 = 9;

/// `timeout` is in milliseconds. Answers the host's status.
pub fn init(service: &[u8], username: &[u8], password: &[u8], timeout: u32) -> u32 {
    // SAFETY: the host reads what is passed, and keeps nothing of it.
    unsafe {
        proxy_redis_init(
            service.as_ptr(),
            service.len(),
            username.as_ptr(),
            username.len(),
            password.as_ptr(),
            password.len(),
            timeout,
        )
    }
}

/// The number of the call, or the host's status.
pub fn call(service: &[u8], query: &[u8]) -> Result<u32, u32> {
    let mut id = 0;
    // SAFETY: as above; the host writes the number.
    let status = unsafe {
        proxy_redis_call(
            service.as_ptr(),
            service.len(),
            query.as_ptr(),
            query.len(),
            &mut id,
        )
    };
    if status == 0 { Ok(id) } else { Err(status) }
}

/// The reply of the call that the guest is being told of.
pub fn reply() -> Result<Vec<u8>, u32> {
    let (mut data, mut len) = (null_mut(), 0);
    // SAFETY: the host allocates with the SDK's function, which makes a vector of as many bytes as are asked for.
    unsafe {
        match proxy_get_buffer_bytes(REPLY, 0, usize::MAX >> 1, &mut data, &mut len) {
            0 if data.is_null() => Ok(Vec::new()),
            0 => Ok(Vec::from_raw_parts(data, len, len)),
            status => Err(status),
        }
    }
}

/// Has the host act on a request's context until the callback returns.
pub fn act_on(context: u32) -> u32 {
    // SAFETY: it takes a number.
    unsafe { proxy_set_effective_context(context) }
}
