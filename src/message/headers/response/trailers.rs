//! `r->headers_out.trailers`, which nginx sends after a chunked or HTTP/2 body.
//!
//! The response is under way by then: one that cannot be sent is left out, and does not leave an earlier one in its place.

use ngx::ffi::ngx_list_t;
use proxy_wasm_host::Status;

use crate::message::headers::response::connection::is_no_trailer;
use crate::message::headers::response::lines::{
    get_in_list, push, remove_in_list, replace_in_list, values_in_list, visit_list,
};
use crate::message::headers::{Visit, check_line};
use crate::nginx::request::Request;
use crate::nginx::table;

pub fn visit(request: Request, visit: Visit<'_>) {
    visit_list(list(request), visit);
}

pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    get_in_list(list(request), name, found)
}

pub fn values(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) {
    values_in_list(list(request), name, found);
}

/// `BadArgument`: it cannot be sent.
pub fn add(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let value = check_trailer(name, value)?;
    push(request, list(request), name, value).map(drop)
}

/// `BadArgument`: as [`add`].
pub fn replace(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    match check_trailer(name, value) {
        Ok(value) => replace_in_list(request, list(request), name, value),
        Err(status) => {
            remove_in_list(list(request), name);
            Err(status)
        }
    }
}

pub fn remove(request: Request, name: &[u8]) -> Result<(), Status> {
    remove_in_list(list(request), name);
    Ok(())
}

/// `BadArgument`: one of them cannot be sent; the others are set.
pub fn set_pairs(request: Request, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
    // SAFETY: the list is the live request's.
    unsafe { table::iter(list(request)).for_each(|line| (*line).hash = 0) };
    let mut result = Ok(());
    for (name, value) in pairs {
        match add(request, name, value) {
            Err(Status::BadArgument) => result = Err(Status::BadArgument),
            added => added?,
        }
    }
    result
}

fn check_trailer<'a>(name: &[u8], value: &'a [u8]) -> Result<&'a [u8], Status> {
    match is_no_trailer(name) {
        true => Err(Status::BadArgument),
        false => check_line(name, value),
    }
}

fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_out.trailers }
}
