//! Shared data, queues, metrics and foreign functions.

use super::{Status, returned, written};

pub mod raw {
    use super::Status;

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn proxy_get_shared_data(
            key: *const u8,
            key_len: usize,
            data: *mut *mut u8,
            len: *mut usize,
            cas: *mut u32,
        ) -> Status;
        pub fn proxy_set_shared_data(
            key: *const u8,
            key_len: usize,
            value: *const u8,
            len: usize,
            cas: u32,
        ) -> Status;
        pub fn proxy_register_shared_queue(name: *const u8, len: usize, id: *mut u32) -> Status;
        pub fn proxy_resolve_shared_queue(
            vm: *const u8,
            vm_len: usize,
            name: *const u8,
            len: usize,
            id: *mut u32,
        ) -> Status;
        pub fn proxy_enqueue_shared_queue(id: u32, data: *const u8, len: usize) -> Status;
        pub fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, len: *mut usize) -> Status;
        pub fn proxy_define_metric(kind: u32, name: *const u8, len: usize, id: *mut u32) -> Status;
        pub fn proxy_record_metric(id: u32, value: u64) -> Status;
        pub fn proxy_increment_metric(id: u32, offset: i64) -> Status;
        pub fn proxy_get_metric(id: u32, value: *mut u64) -> Status;
        pub fn proxy_call_foreign_function(
            name: *const u8,
            name_len: usize,
            arguments: *const u8,
            len: usize,
            data: *mut *mut u8,
            data_len: *mut usize,
        ) -> Status;
    }
}

// SAFETY of all calls below: as in `abi`.

/// The value, and its compare-and-swap number.
pub fn get_shared_data(key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
    let mut cas = 0;
    let value = returned(|data, len| unsafe {
        raw::proxy_get_shared_data(key.as_ptr(), key.len(), data, len, &mut cas)
    })?;
    Ok((value, cas))
}

pub fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Status {
    unsafe { raw::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) }
}

pub fn register_queue(name: &[u8]) -> Result<u32, Status> {
    written(|id| unsafe { raw::proxy_register_shared_queue(name.as_ptr(), name.len(), id) })
}

pub fn resolve_queue(vm: &[u8], name: &[u8]) -> Result<u32, Status> {
    written(|id| unsafe {
        raw::proxy_resolve_shared_queue(vm.as_ptr(), vm.len(), name.as_ptr(), name.len(), id)
    })
}

pub fn enqueue(queue: u32, message: &[u8]) -> Status {
    unsafe { raw::proxy_enqueue_shared_queue(queue, message.as_ptr(), message.len()) }
}

pub fn dequeue(queue: u32) -> Result<Vec<u8>, Status> {
    returned(|data, len| unsafe { raw::proxy_dequeue_shared_queue(queue, data, len) })
}

pub fn define_metric(kind: u32, name: &[u8]) -> Result<u32, Status> {
    written(|id| unsafe { raw::proxy_define_metric(kind, name.as_ptr(), name.len(), id) })
}

pub fn record_metric(id: u32, value: u64) -> Status {
    unsafe { raw::proxy_record_metric(id, value) }
}

pub fn increment_metric(id: u32, offset: i64) -> Status {
    unsafe { raw::proxy_increment_metric(id, offset) }
}

pub fn get_metric(id: u32) -> Result<u64, Status> {
    written(|value| unsafe { raw::proxy_get_metric(id, value) })
}

pub fn call_foreign_function(name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, Status> {
    returned(|data, len| unsafe {
        raw::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            len,
        )
    })
}
