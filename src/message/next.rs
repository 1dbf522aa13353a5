//! The filters that follow the module's in nginx's lists.

use ngx::ffi::{
    ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_output_header_filter_pt,
    ngx_http_request_body_filter_pt, ngx_http_top_body_filter, ngx_http_top_header_filter,
    ngx_http_top_request_body_filter, ngx_int_t,
};

use crate::nginx::ERROR;
use crate::nginx::request::Request;

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

/// The next body filter's result.
pub fn body(request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: a filter of nginx's, called with a live request; the chain is valid.
    unsafe { BODY.map_or(ERROR, |filter| filter(request.as_ptr(), chain)) }
}

/// The next request body filter's result.
pub fn request_body(request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: a filter of nginx's, called with a live request; the chain is valid.
    unsafe { REQUEST_BODY.map_or(ERROR, |filter| filter(request.as_ptr(), chain)) }
}
