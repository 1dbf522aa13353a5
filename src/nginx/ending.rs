//! The end of a request, and of the reading of its body.

use ngx::ffi::{ngx_del_timer, ngx_http_block_reading};

use crate::nginx::request::Request;

impl Request {
    /// Has nginx finished with it (`r->done`)? A `post_action` begins when a request is done.
    pub fn is_done(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).done() != 0 && (*self.as_ptr()).post_action() == 0 }
    }

    /// Leaves a body that is being read, and what has come of it. As where nginx leaves one that it was
    /// passing on unbuffered (`r->reading_body`), HTTP/2 skips the rest, and a connection with HTTP/1.1 is
    /// not used for another request.
    pub fn leave_body(self) {
        // SAFETY: a handle is of a live request; a connection has its events. Nothing has a pointer into the body
        // but who reads it, which this ends.
        unsafe {
            let r = self.as_ptr();
            (*r).set_reading_body(1);
            (*r).set_request_body_no_buffering(0);
            (*r).read_event_handler = Some(ngx_http_block_reading);
            if let Some(body) = (*r).request_body.as_mut() {
                body.bufs = std::ptr::null_mut();
                body.temp_file = std::ptr::null_mut();
            }
            let read = (*self.connection()).read;
            if (*read).timer_set() != 0 {
                ngx_del_timer(read);
            }
        }
    }
}
