//! The lines of a request that frame its body, whatever filters make of them.

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::RequestStage;
use crate::message::headers::request as headers;
use crate::nginx::request::Request;

impl Context {
    /// A filter has changed the request's lines, which other locations may still proxy (`error_page`) when its
    /// filters are done with it.
    pub fn request_was_changed(&self, request: Request) {
        if self.incoming.stage.get() == RequestStage::Done {
            self.keep_framing(request);
        }
    }

    /// The lines that frame the body tell what it is: some kinds of upstreams get them as they are.
    pub fn keep_framing(&self, request: Request) {
        self.keep_length(request);
        self.keep_coding(request);
    }

    /// A body that no filter has changed keeps its length, whatever became of its line.
    fn keep_length(&self, request: Request) {
        // SAFETY: the request is live.
        let length = unsafe { (*request.as_ptr()).headers_in.content_length_n };
        if length < 0 {
            if headers::get(request, b"content-length", &mut |_| ()) {
                let _ = headers::remove(request, &self.incoming.lines, b"content-length");
            }
            return;
        }
        let mut line = None;
        headers::get(request, b"content-length", &mut |value| {
            line = Some(value.to_vec())
        });
        let text = length.to_string().into_bytes();
        if request.is_main() && line.as_ref() != Some(&text) {
            let had_line = line.is_some() || length > 0;
            // A line that cannot be kept is left as the filter set it.
            let _ = match had_line {
                true => headers::replace(request, &self.incoming.lines, b"content-length", &text),
                false => Ok(()),
            };
        }
    }

    /// A body is in chunks when the client has sent it so.
    fn keep_coding(&self, request: Request) {
        const NAME: &[u8] = b"transfer-encoding";
        // SAFETY: the request is live.
        let (any, chunked) = unsafe {
            let headers = &raw const (*request.as_ptr()).headers_in;
            (
                !(*headers).transfer_encoding.is_null(),
                (*headers).chunked() != 0,
            )
        };
        // As above.
        let _ = match (any, chunked) {
            (false, _) => Ok(()),
            (true, false) => headers::remove(request, &self.incoming.lines, NAME),
            (true, true) => headers::replace(request, &self.incoming.lines, NAME, b"chunked"),
        };
    }
}
