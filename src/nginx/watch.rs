//! A client that leaves while its request waits for something else.

use ngx::ffi::{ngx_handle_read_event, ngx_http_test_reading, ngx_post_event, ngx_posted_events};

use crate::nginx::OK;
use crate::nginx::request::Request;

/// Has nginx end the request when its client leaves, as its module limit_req does. A client may have left already: what
/// has come with the request is not told again. `false`: nginx cannot.
pub fn client(request: Request) -> bool {
    // SAFETY: a handle is of a live request, whose connection has a read event; nobody reads the client now.
    unsafe {
        let read = (*request.connection()).read;
        if (*read).ready() == 0 {
            if ngx_handle_read_event(read, 0) != OK {
                return false;
            }
        } else if (*read).posted() == 0 {
            ngx_post_event(read, &raw mut ngx_posted_events);
        }
        (*request.as_ptr()).read_event_handler = Some(ngx_http_test_reading);
    }
    true
}
