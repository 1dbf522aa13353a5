//! How long a body is that goes on before all of it is there, and how nginx frames it then.
//!
//! - The client's `content-length` is what the upstream gets, and a promise: what comes out of the filters
//!   has to be of that length.
//! - A filter that has removed `content-length` lets the body be of any length. nginx sends it as one of
//!   which the client has not told the length: in chunks over HTTP/1.1, without a length in gRPC.
//! - A body that ends before the upstream's request is made gets its right length in any case.

use ngx::ffi::{NGX_HTTP_VERSION_20, ngx_http_chunked_t, ngx_http_request_body_t, off_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::upload::state::Length;
use crate::message::headers::request as headers;
use crate::nginx::log::Level;
use crate::nginx::pool;
use crate::nginx::request::Request;

/// `sw_chunk_data` of `ngx_http_parse_chunked`: within the data of a chunk.
const CHUNK_DATA: usize = 4;

/// A body that is not as long as it has to be.
pub enum Wrong {
    /// The client's.
    Client,
    /// The filters'; the log has a line.
    Filters,
}

impl Length {
    /// nginx begins to read the body. Some of it may be in the buffers of this first call.
    pub fn start(&self, request: Request) -> Option<()> {
        // SAFETY: the request is live, and its body is being read.
        unsafe {
            let r = request.as_ptr();
            let body = (*r).request_body.as_mut()?;
            let length = (*r).headers_in.content_length_n;
            if (*r).headers_in.chunked() != 0 || length < 0 {
                return Some(());
            }
            self.declared.set(u64::try_from(length).ok());
            if !crate::filter::chain::upload::length_is_removed(request)
                || (*r).request_body_no_buffering() == 0
            {
                return Some(());
            }
            self.is_open.set(true);
            if !is_framed(request) {
                self.read_as_chunk(request, body)?;
            } else {
                (*r).headers_in.content_length_n = -1;
            }
            (*r).headers_in.set_chunked(1);
        }
        Some(())
    }

    /// By `chunked`, nginx chooses its parser of HTTP/1 bodies, and the framing of what it sends.
    ///
    /// # Safety
    /// `body` is that of the live request, whose filter `ngx_http_request_body_length_filter` is.
    unsafe fn read_as_chunk(
        &self,
        request: Request,
        body: &mut ngx_http_request_body_t,
    ) -> Option<()> {
        // SAFETY: `body` is that of the live request, whose filter `ngx_http_request_body_length_filter` is; the
        // state is zeroed memory of the request's pool.
        unsafe {
            let r = request.as_ptr();
            let state: *mut ngx_http_chunked_t = pool::zeroed(request.pool());
            let chunk = state.as_mut()?;
            chunk.state = CHUNK_DATA;
            chunk.size = body.rest;
            body.chunked = state;
            (*r).headers_in.content_length_n -= body.rest;
        }
        self.as_chunk.set(body.rest > 0);
        Some(())
    }

    /// nginx has read so many bytes more. Is it all, though no buffer says so?
    pub fn receive(&self, request: Request, bytes: usize) -> bool {
        self.received.set(self.received.get() + bytes as u64);
        if !self.as_chunk.get() {
            return false;
        }
        // SAFETY: the live request's; the parser's state is that of `read_as_chunk`.
        let left = unsafe {
            let Some(body) = (*request.as_ptr()).request_body.as_mut() else {
                return false;
            };
            // nginx has set it to what a line of chunks may take: no byte behind the body is read.
            body.rest = body.chunked.as_ref().map_or(0, |chunk| chunk.size);
            body.rest
        };
        self.as_chunk.set(left > 0);
        left == 0
    }

    /// So many bytes more are to go on, and with `end` no more.
    pub fn send(
        &self,
        context: &Context,
        request: Request,
        bytes: usize,
        end: bool,
    ) -> Result<(), Wrong> {
        let sent = self.sent.get() + bytes as u64;
        self.sent.set(sent);
        let declared = self.declared.get();
        if self.is_open.get() && declared.is_some_and(|d| self.is_wrong(d, end)) {
            request.log().write(
                Level::Info,
                format_args!("client sent a body of another length than declared"),
            );
            return Err(Wrong::Client);
        }
        // SAFETY: the request is live.
        let early = unsafe { (*request.as_ptr()).reading_body() } == 0;
        if end && early {
            return self.settle(context, request).ok_or(Wrong::Filters);
        }
        // SAFETY: the request is live.
        let buffered = unsafe { (*request.as_ptr()).request_body_no_buffering() } == 0;
        let promised = declared.filter(|_| !self.is_open.get() && !buffered);
        let broken = promised.is_some_and(|length| sent > length || (end && sent < length));
        match broken {
            false => Ok(()),
            true => {
                request.log().write(
                    Level::Error,
                    format_args!(
                        "[wasm] a filter changed the length of a request body whose Content-Length \
                         was already sent; a filter that does so must remove content-length in \
                         on_request_headers"
                    ),
                );
                Err(Wrong::Filters)
            }
        }
    }

    /// nginx checks the length itself but for one that is not told to the upstream.
    fn is_wrong(&self, declared: u64, end: bool) -> bool {
        self.received.get() > declared || (end && self.received.get() < declared)
    }

    /// The upstream's request is not yet made, and all of the body is there.
    fn settle(&self, context: &Context, request: Request) -> Option<()> {
        let length = self.sent.get();
        // SAFETY: the live request's body, all of which has been read.
        unsafe {
            (*request.as_ptr()).headers_in.content_length_n = length as off_t;
            // HTTP/2 takes this for the length of a body that had none.
            (*request.as_ptr()).request_body.as_mut()?.received = length as off_t;
        }
        let mut told = false;
        let same = |value: &[u8]| value == length.to_string().as_bytes();
        headers::get(request, b"content-length", &mut |value| told = !same(value));
        match told {
            true => headers::set_body_length(request, &context.incoming.lines, length).ok(),
            false => Some(()),
        }
    }

    /// By how much the filters have made the body longer so far.
    pub fn grown(&self) -> u64 {
        self.sent.get().saturating_sub(self.received.get())
    }
}

/// Do frames of HTTP/2 or HTTP/3 tell where the body ends?
fn is_framed(request: Request) -> bool {
    // SAFETY: the request is live.
    unsafe { (*request.as_ptr()).http_version >= NGX_HTTP_VERSION_20 as usize }
}
