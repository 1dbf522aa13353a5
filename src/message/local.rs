//! Responses that a guest sends itself.

use std::ops::RangeInclusive;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_buf_t, ngx_chain_t, ngx_http_clean_header,
    ngx_http_discard_request_body, ngx_http_output_filter, ngx_http_send_header, ngx_int_t,
};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use proxy_wasm_host::{LocalResponse, Status};

use crate::conf::location::LocConf;
use crate::message::headers::{request, response};
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, pool};

/// A recorded local response.
pub struct LocalReply {
    status: u32,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    grpc_status: Option<u32>,
    /// A client of gRPC gets it as it is.
    plain: bool,
}

/// The statuses that end a request. nginx makes those below itself, and HTTP has none above.
const STATUSES: RangeInclusive<u32> = 200..=999;

impl LocalReply {
    /// A status that cannot be sent becomes 500.
    pub fn new(response: &LocalResponse<'_>) -> LocalReply {
        LocalReply {
            status: match STATUSES.contains(&response.status) {
                true => response.status,
                false => NGX_HTTP_INTERNAL_SERVER_ERROR,
            },
            headers: response
                .headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            body: response.body.to_vec(),
            grpc_status: response.grpc_status,
            plain: false,
        }
    }

    /// One that every client gets as it is; `status` can be sent.
    pub fn plain(status: u32, headers: Vec<(Vec<u8>, Vec<u8>)>, body: Vec<u8>) -> LocalReply {
        LocalReply {
            status,
            headers,
            body,
            grpc_status: None,
            plain: true,
        }
    }

    /// What a client gets when a filter or its upstream has failed.
    pub fn failure(status: u32) -> LocalReply {
        LocalReply {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            grpc_status: None,
            plain: false,
        }
    }

    pub fn status(&self) -> u32 {
        self.status
    }

    /// Answers in place of the content handler; the response passes the response filters. The
    /// result is one to finalize the request with.
    pub fn respond(self, request: Request) -> ngx_int_t {
        drop_request_body(request);
        let Ok(mut body) = self.prepare(request) else {
            return ERROR;
        };
        // SAFETY: the request is live and in a phase before the content phase.
        unsafe {
            let rc = ngx_http_send_header(request.as_ptr());
            if rc == ERROR || rc > OK || (*request.as_ptr()).header_only() != 0 {
                return rc;
            }
            ngx_http_output_filter(request.as_ptr(), &mut body)
        }
    }

    /// Begins to answer in place of the content handler; whoever calls this sends the header, and the body that it gets.
    pub fn begin(self, request: Request) -> Result<Vec<u8>, Status> {
        drop_request_body(request);
        self.prepare_header(request)
    }

    /// Replaces status, headers and length of the response by this one's, and gives its body as
    /// the last buffer of a response.
    pub fn prepare(self, request: Request) -> Result<ngx_chain_t, Status> {
        last_buffer(request, &self.prepare_header(request)?)
    }

    /// Replaces status, headers and length of the response by this one's, and gives its body.
    pub fn prepare_header(mut self, request: Request) -> Result<Vec<u8>, Status> {
        self.speak_grpc(request);
        // SAFETY: the request is live, and its response header is not yet sent.
        unsafe { ngx_http_clean_header(request.as_ptr()) };
        request.set_status(self.status as usize);
        request.forbid_ranges();
        for (name, value) in &self.headers {
            // The length is that of the body. As in Envoy, a header that cannot be sent is left
            // out rather than the response.
            if !name.eq_ignore_ascii_case(b"content-length") && name.first() != Some(&b':') {
                let _ = response::add(request, None, name, value);
            }
        }
        if !self.body.is_empty() && !response::outside_list::is_typed(request) {
            response::outside_list::set_content_type(request, b"text/plain")?;
        }
        request.set_response_length(Some(self.body.len() as u64));
        Ok(self.body)
    }

    /// A gRPC client reads its status from the headers of a response without a body.
    fn speak_grpc(&mut self, request: Request) {
        if self.plain {
            return;
        }
        let mut grpc = false;
        request::get(request, b"content-type", &mut |value| {
            grpc = value.starts_with(b"application/grpc");
        });
        if !grpc {
            return;
        }
        let status = self.grpc_status.unwrap_or(match self.status {
            200 => 0,
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        });
        self.status = 200;
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-type"));
        let mut push = |name: &[u8], value: Vec<u8>| self.headers.push((name.to_vec(), value));
        push(b"content-type", b"application/grpc".to_vec());
        push(b"grpc-status", status.to_string().into_bytes());
        if !self.body.is_empty() {
            // As large as headers may be, each byte taking three at the most.
            let most = LocConf::of(request).buffer_size().headers / 3;
            let message = &self.body[..self.body.len().min(most)];
            push(b"grpc-message", escaped(message));
            self.body.clear();
        }
    }
}

/// As in `ngx_http_special_response_handler`: the client is not asked for the body, and one that cannot be discarded ends the
/// connection behind the response.
fn drop_request_body(request: Request) {
    // SAFETY: the request is live, and its response is about to be sent.
    unsafe {
        let r = request.as_ptr();
        (*r).set_expect_tested(1);
        if ngx_http_discard_request_body(r) != OK {
            (*r).set_keepalive(0);
        }
    }
}

/// Encodes a message as gRPC's HTTP/2 mapping wants it.
fn escaped(message: &[u8]) -> Vec<u8> {
    // All but printable ASCII.
    const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');
    percent_encode(message, ESCAPED).to_string().into_bytes()
}

/// A chain of one buffer with `body` that ends the response.
pub fn last_buffer(request: Request, body: &[u8]) -> Result<ngx_chain_t, Status> {
    // SAFETY: the buffer and its bytes are in the live request's pool.
    unsafe {
        let buf: *mut ngx_buf_t = pool::zeroed(request.pool());
        let text = pool::copy(request.pool(), body).ok_or(Status::InternalFailure)?;
        let Some(b) = buf.as_mut() else {
            return Err(Status::InternalFailure);
        };
        b.pos = text.data;
        b.last = text.data.add(text.len);
        b.start = b.pos;
        b.end = b.last;
        b.set_memory(u32::from(!body.is_empty()));
        b.set_last_buf(u32::from(request.is_main()));
        b.set_last_in_chain(1);
        b.set_sync(u32::from(body.is_empty() && !request.is_main()));
        Ok(ngx_chain_t {
            buf,
            next: std::ptr::null_mut(),
        })
    }
}
