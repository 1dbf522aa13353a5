//! The response that a call has made.

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_OK, ngx_buf_t, ngx_chain_t, ngx_http_output_filter,
    ngx_http_send_header, ngx_http_set_content_type, ngx_int_t, ngx_str_t,
};

use crate::conf::handler::HandlerConf;
use crate::message::headers::response as headers;
use crate::message::headers::response::outside_list::set_content_type;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, pool};

/// A response; its body is in the request's pool.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: ngx_str_t,
}

impl Reply {
    /// `None`: memory is out.
    pub fn new(request: Request, status: u16, body: &[u8]) -> Option<Reply> {
        let body = match body {
            [] => ngx_str_t::empty(),
            // SAFETY: the request is live, and its pool with it.
            body => unsafe { pool::copy(request.pool(), body)? },
        };
        Some(Reply {
            status,
            headers: Vec::new(),
            body,
        })
    }

    /// Sends it, and has `report` called where something of it cannot be sent. The result is one to finalize the request
    /// with.
    pub fn send(
        self,
        request: Request,
        conf: &HandlerConf,
        report: impl FnOnce(&str),
    ) -> ngx_int_t {
        let typed = self.set_headers(request, conf, report);
        if typed.is_none() {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        }
        let r = request.as_ptr();
        // SAFETY: the request is live, and its header is not yet sent. What the buffer has is in its pool.
        unsafe {
            let rc = ngx_http_send_header(r);
            if rc == ERROR || rc > OK || (*r).header_only() != 0 {
                return rc;
            }
            let buf: *mut ngx_buf_t = pool::zeroed(request.pool());
            let Some(buf) = buf.as_mut() else {
                return ERROR;
            };
            let is_empty = self.body.len == 0;
            buf.pos = self.body.data;
            buf.last = match is_empty {
                true => buf.pos,
                false => buf.pos.add(self.body.len),
            };
            buf.start = buf.pos;
            buf.end = buf.last;
            buf.set_memory(u32::from(!is_empty));
            buf.set_last_buf(u32::from(request.is_main()));
            buf.set_last_in_chain(1);
            buf.set_sync(u32::from(is_empty && !request.is_main()));
            let mut chain = ngx_chain_t {
                buf,
                next: std::ptr::null_mut(),
            };
            ngx_http_output_filter(r, &mut chain)
        }
    }

    /// `None`: memory is out.
    fn set_headers(
        &self,
        request: Request,
        conf: &HandlerConf,
        report: impl FnOnce(&str),
    ) -> Option<()> {
        request.set_status(self.status.into());
        request.set_response_length(Some(self.body.len as u64));
        let r = request.as_ptr();
        let of_ranges = ["accept-ranges", "content-range"];
        let mut names = self.headers.iter().map(|(name, _)| name);
        let says = names.any(|name| {
            of_ranges
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        });
        if u32::from(self.status) == NGX_HTTP_OK && !says {
            // SAFETY: the request is live. The body is one buffer in memory, of which nginx can send a part.
            unsafe { (*r).set_allow_ranges(1) };
        }
        let mut left_out = Vec::new();
        for (name, value) in &self.headers {
            if !self.set_line(request, name, value) && !left_out.contains(&name.as_str()) {
                left_out.push(name);
            }
        }
        if !left_out.is_empty() {
            let names = left_out.join("\", \"");
            report(&format!(
                "the response goes without headers that cannot be sent: \"{names}\""
            ));
        }
        let has_type = headers::outside_list::is_typed(request);
        if has_type {
            return Some(());
        }
        if let Some(kind) = &conf.content_type {
            return set_content_type(request, kind.value(request)?).ok();
        }
        // SAFETY: the request is live, in a location of nginx's core module.
        (unsafe { ngx_http_set_content_type(r) } == OK).then_some(())
    }

    /// `false`: the line cannot be sent.
    fn set_line(&self, request: Request, name: &str, value: &str) -> bool {
        if name.eq_ignore_ascii_case("content-length") {
            // It is that of the body, whether the plugin says so or not.
            return value.parse() == Ok(self.body.len);
        }
        // What begins so is no header.
        !name.starts_with(':')
            && headers::add(request, None, name.as_bytes(), value.as_bytes()).is_ok()
    }
}
