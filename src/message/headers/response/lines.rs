//! Lists of response lines or trailers, in which a line is switched off by its hash.

use ngx::ffi::{ngx_list_t, ngx_table_elt_t};
use proxy_wasm_host::Status;

use crate::message::headers::{Visit, visit_lower};
use crate::nginx::request::Request;
use crate::nginx::{pool, table};

/// Visits a list of response lines or trailers, without those switched off.
pub fn visit_list(list: *mut ngx_list_t, visit: Visit<'_>) {
    // SAFETY: the list is the live request's; visiting does not change it.
    unsafe {
        for line in table::iter(list).filter(|line| (**line).hash != 0) {
            visit_lower(table::key(line), table::value(line), visit);
        }
    }
}

pub fn get_in_list(list: *mut ngx_list_t, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    match live_lines(list, name).next() {
        Some(line) => {
            // SAFETY: found in the list just now.
            found(unsafe { table::value(line) });
            true
        }
        None => false,
    }
}

pub fn values_in_list(list: *mut ngx_list_t, name: &[u8], found: &mut dyn FnMut(&[u8])) {
    for line in live_lines(list, name) {
        // SAFETY: found in the list just now.
        found(unsafe { table::value(line) });
    }
}

/// Lines of this name that are not switched off.
pub fn live_lines(
    list: *mut ngx_list_t,
    name: &[u8],
) -> impl Iterator<Item = *mut ngx_table_elt_t> + '_ {
    // SAFETY: the list is the live request's.
    unsafe {
        table::iter(list)
            .filter(move |line| (**line).hash != 0 && table::key(*line).eq_ignore_ascii_case(name))
    }
}

pub fn push(
    request: Request,
    list: *mut ngx_list_t,
    name: &[u8],
    value: &[u8],
) -> Result<*mut ngx_table_elt_t, Status> {
    // SAFETY: the list is the live request's.
    let line = unsafe { table::push(list, request.pool(), name, value) };
    match line.is_null() {
        true => Err(Status::InternalFailure),
        false => Ok(line),
    }
}

pub fn replace_in_list(
    request: Request,
    list: *mut ngx_list_t,
    name: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    let mut lines = live_lines(list, name);
    let Some(first) = lines.next() else {
        return push(request, list, name, value).map(drop);
    };
    // SAFETY: found in the list just now; the value is copied into the request's pool.
    unsafe {
        lines.for_each(|line| (*line).hash = 0);
        (*first).value = pool::copy(request.pool(), value).ok_or(Status::InternalFailure)?;
    }
    Ok(())
}

pub fn remove_in_list(list: *mut ngx_list_t, name: &[u8]) {
    // SAFETY: found in the list just now.
    live_lines(list, name).for_each(|line| unsafe { (*line).hash = 0 });
}
