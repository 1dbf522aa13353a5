//! The filters that follow the module's in nginx's lists.

use std::cell::RefCell;

use ngx::ffi::{
    ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_output_header_filter_pt,
    ngx_http_request_body_filter_pt, ngx_http_top_body_filter, ngx_http_top_header_filter,
    ngx_http_top_request_body_filter, ngx_int_t,
};

use crate::nginx::request::Request;
use crate::nginx::{ERROR, buf};

// As in nginx's own modules: written by the configuration, in one thread, and only read after.
static mut HEADER: ngx_http_output_header_filter_pt = None;
static mut BODY: ngx_http_output_body_filter_pt = None;
static mut REQUEST_BODY: ngx_http_request_body_filter_pt = None;

/// Puts the filters in front of nginx's lists; what was in front comes next.
///
/// # Safety
/// Called while nginx reads its configuration, which builds the lists anew each time.
pub unsafe fn install(
    header: ngx_http_output_header_filter_pt,
    body: ngx_http_output_body_filter_pt,
    request_body: ngx_http_request_body_filter_pt,
) {
    // SAFETY: called while nginx reads its configuration, which builds the lists anew each time.
    unsafe {
        HEADER = ngx_http_top_header_filter;
        BODY = ngx_http_top_body_filter;
        REQUEST_BODY = ngx_http_top_request_body_filter;
        ngx_http_top_header_filter = header;
        ngx_http_top_body_filter = body;
        ngx_http_top_request_body_filter = request_body;
    }
}

/// The next header filter's result.
pub fn header(request: Request) -> ngx_int_t {
    // SAFETY: a filter of nginx's, called with a live request.
    unsafe { HEADER.map_or(ERROR, |filter| filter(request.as_ptr())) }
}

thread_local! {
    /// Requests whose responses have been replaced behind this module's header filter: what their bodies are, until that has
    /// been passed on.
    static REPLACED: RefCell<Vec<(Request, Option<ngx_chain_t>)>> = const { RefCell::new(Vec::new()) };
}

/// Has one link stand for the body of a response, whatever comes in. [`restore_body`] is to be called before the request goes.
pub fn replace_body(request: Request, link: ngx_chain_t) {
    restore_body(request);
    REPLACED.with_borrow_mut(|all| all.push((request, Some(link))));
}

/// Forgets a request.
pub fn restore_body(request: Request) {
    REPLACED.with_borrow_mut(|all| all.retain(|(known, _)| *known != request));
}

/// The link in place of a body, once; null behind that. `None`: it is not replaced.
fn replacement(request: Request) -> Option<Option<ngx_chain_t>> {
    REPLACED.with_borrow_mut(|all| {
        let mut known = all.iter_mut().filter(|(known, _)| *known == request);
        known.next().map(|(_, link)| link.take())
    })
}

/// The next body filter's result.
pub fn body(request: Request, mut chain: *mut ngx_chain_t) -> ngx_int_t {
    if let Some(mut link) = replacement(request) {
        // SAFETY: nobody reads these buffers any more.
        unsafe { buf::iter(chain).for_each(|b| buf::consume(b)) };
        chain = link
            .as_mut()
            .map_or(std::ptr::null_mut(), std::ptr::from_mut);
        // SAFETY: a filter of nginx's, called with a live request; it copies the link.
        return unsafe { BODY.map_or(ERROR, |filter| filter(request.as_ptr(), chain)) };
    }
    // SAFETY: a filter of nginx's, called with a live request; the chain is valid.
    unsafe { BODY.map_or(ERROR, |filter| filter(request.as_ptr(), chain)) }
}

/// The next request body filter's result.
pub fn request_body(request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: a filter of nginx's, called with a live request; the chain is valid.
    unsafe { REQUEST_BODY.map_or(ERROR, |filter| filter(request.as_ptr(), chain)) }
}
