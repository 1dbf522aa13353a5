//! `r->headers_out.trailers`, which nginx sends after a chunked or HTTP/2 body.

use ngx::ffi::ngx_list_t;
use proxy_wasm_host::Status;

use super::lines::{get_in_list, push, remove_in_list, replace_in_list, visit_list};
use crate::http::headers::{Visit, check_line};
use crate::nginx::request::Request;
use crate::nginx::table;

pub fn visit(request: Request, visit: Visit<'_>) {
    visit_list(list(request), visit);
}

pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    get_in_list(list(request), name, found)
}

pub fn add(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let value = check_line(name, value)?;
    push(request, list(request), name, value).map(drop)
}

pub fn replace(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let value = check_line(name, value)?;
    replace_in_list(request, list(request), name, value)
}

pub fn remove(request: Request, name: &[u8]) -> Result<(), Status> {
    remove_in_list(list(request), name);
    Ok(())
}

pub fn set_pairs(request: Request, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
    for (name, value) in pairs {
        check_line(name, value)?;
    }
    // SAFETY: the list is the live request's.
    unsafe { table::iter(list(request)).for_each(|line| (*line).hash = 0) };
    for (name, value) in pairs {
        add(request, name, value)?;
    }
    Ok(())
}

fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_out.trailers }
}
