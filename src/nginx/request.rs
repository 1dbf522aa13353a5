//! One HTTP request of nginx.

use std::ptr::NonNull;

use ngx::ffi::{
    NGX_HTTP_HEAD, ngx_chain_t, ngx_connection_t, ngx_del_timer, ngx_event_pipe_t,
    ngx_http_core_find_config_phase, ngx_http_core_loc_conf_t, ngx_http_core_main_conf_t,
    ngx_http_core_srv_conf_t, ngx_http_request_t, ngx_http_upstream_state_t, ngx_http_upstream_t,
    ngx_module_t, ngx_msec_t, ngx_pool_t, ngx_str_t,
};

use crate::nginx::core_module;
use crate::nginx::log::Log;

/// A live request; a copyable handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request(NonNull<ngx_http_request_t>);

impl Request {
    /// # Safety
    /// `r` is a request that nginx passed to the module, and the handle and its copies are used
    /// only until that request's pool is destroyed, on nginx's one thread.
    pub unsafe fn new(r: *mut ngx_http_request_t) -> Option<Request> {
        NonNull::new(r).map(Request)
    }

    pub fn as_ptr(self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    /// Not a subrequest?
    pub fn is_main(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).main == self.as_ptr() }
    }

    /// The request that the client sent: itself, or that of a subrequest.
    pub fn main(self) -> Request {
        // SAFETY: a handle is of a live request; a request's main request is never null.
        unsafe { NonNull::new((*self.as_ptr()).main).map_or(self, Request) }
    }

    pub fn pool(self) -> *mut ngx_pool_t {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).pool }
    }

    pub fn connection(self) -> *mut ngx_connection_t {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).connection }
    }

    /// The connection's log, whose lines end with client, server and request.
    pub fn log(self) -> Log {
        // SAFETY: a connection's log lives as long as the connection, which outlives its requests.
        unsafe { Log::new((*self.connection()).log) }
    }

    /// The value of this module's slot in the request's contexts.
    pub fn module_ctx<T>(self, module: &ngx_module_t) -> *mut T {
        // SAFETY: nginx allocates a slot for each HTTP module.
        unsafe { (*(*self.as_ptr()).ctx.add(module.ctx_index)).cast() }
    }

    pub fn set_module_ctx<T>(self, module: &ngx_module_t, value: *mut T) {
        // SAFETY: a handle is of a live request.
        unsafe { *(*self.as_ptr()).ctx.add(module.ctx_index) = value.cast() }
    }

    /// The host, in HTTP/3 with its port, as the client wrote it in the request line or in `:authority`
    /// (`ngx_http_v3_process_pseudo_header`), which is not among the header lines then.
    pub fn authority<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: a handle is of a live request; the two are null, or ends of a string that lives as long as the main request.
        unsafe {
            let main = (*self.as_ptr()).main;
            let (start, end) = ((*main).host_start, (*main).host_end);
            if start.is_null() || end <= start {
                return None;
            }
            let len = end.offset_from_unsigned(start);
            Some(std::slice::from_raw_parts(start, len))
        }
    }

    /// The response is complete without the rest of the upstream's: nginx drops that, but for
    /// what it puts into its cache.
    pub fn end_upstream(self) {
        // SAFETY: a handle is of a live request; `pipe` is there with `buffering`.
        unsafe {
            let Some(upstream) = (*self.as_ptr()).upstream.as_mut() else {
                return;
            };
            if upstream.header_sent() == 0 {
                // `ngx_http_upstream_send_response` ends it then.
                (*self.as_ptr()).set_header_only(1);
                return;
            }
            if upstream.store() != 0 || upstream_is_cacheable(upstream) {
                return;
            }
            upstream.set_keepalive(0);
            if upstream.buffering() == 0 {
                upstream.length = 0;
            } else if let Some(pipe) = upstream.pipe.as_mut() {
                pipe.set_upstream_done(1);
            }
        }
    }

    /// This module's configuration of the location.
    pub fn loc_conf<T>(self, module: &ngx_module_t) -> *mut T {
        // SAFETY: nginx allocates a slot for each HTTP module.
        unsafe { (*(*self.as_ptr()).loc_conf.add(module.ctx_index)).cast() }
    }

    /// This module's main configuration.
    pub fn main_conf<T>(self, module: &ngx_module_t) -> *mut T {
        // SAFETY: a handle is of a live request.
        unsafe { (*(*self.as_ptr()).main_conf.add(module.ctx_index)).cast() }
    }

    pub fn core_loc_conf(self) -> *mut ngx_http_core_loc_conf_t {
        self.loc_conf(core_module())
    }

    pub fn core_srv_conf(self) -> *mut ngx_http_core_srv_conf_t {
        // SAFETY: a handle is of a live request.
        unsafe { (*(*self.as_ptr()).srv_conf.add(core_module().ctx_index)).cast() }
    }

    pub fn core_main_conf(self) -> *mut ngx_http_core_main_conf_t {
        self.main_conf(core_module())
    }

    /// Did an internal redirect or an error page bring the request here? nginx clears the
    /// modules' contexts then.
    pub fn contexts_were_cleared(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).internal() != 0 || (*self.as_ptr()).filter_finalize() != 0 }
    }

    /// Has nginx answered this main request as soon as it had found its location? No phase of the location has run then.
    pub fn was_refused(self) -> bool {
        // SAFETY: a handle is of a live request; the phase engine is the configuration's, and `phase_handler` a
        // place in it.
        unsafe {
            let r = self.as_ptr();
            let core: *const ngx_http_core_main_conf_t =
                (*(*r).main_conf.add(core_module().ctx_index))
                    .cast_const()
                    .cast();
            let handlers = (*core).phase_engine.handlers;
            self.is_main()
                && !handlers.is_null()
                && (*r).phase_handler >= 0
                && (*handlers.add((*r).phase_handler as usize))
                    .checker
                    .is_some_and(|checker| {
                        std::ptr::fn_addr_eq(
                            checker,
                            ngx_http_core_find_config_phase as unsafe extern "C" fn(_, _) -> _,
                        )
                    })
        }
    }

    /// Has a filter replaced the response (`ngx_http_filter_finalize_request`)?
    pub fn filter_was_finalized(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).filter_finalize() != 0 }
    }

    pub fn is_head(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).method == NGX_HTTP_HEAD as usize }
    }

    /// Does the client's connection use TLS?
    pub fn is_tls(self) -> bool {
        #[cfg(ngx_feature = "http_ssl")]
        // SAFETY: a handle is of a live request.
        return unsafe { !(*self.connection()).ssl.is_null() };
        #[cfg(not(ngx_feature = "http_ssl"))]
        false
    }

    /// Has the client announced a body?
    pub fn has_body(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe {
            let headers = &raw const (*self.as_ptr()).headers_in;
            (*headers).content_length_n > 0 || (*headers).chunked() != 0
        }
    }

    /// Does the response come from nginx's cache?
    pub fn is_cached(self) -> bool {
        #[cfg(ngx_feature = "http_cache")]
        // SAFETY: a handle is of a live request.
        return unsafe { (*self.as_ptr()).cached() != 0 };
        #[cfg(not(ngx_feature = "http_cache"))]
        false
    }

    /// Does the response come through nginx's buffers from an upstream that has sent all of it?
    pub fn buffered_upstream_is_done(self) -> bool {
        let done = |pipe: &ngx_event_pipe_t| pipe.upstream_done() != 0 || pipe.upstream_eof() != 0;
        // SAFETY: a handle is of a live request; with `buffering` there is a pipe.
        unsafe {
            let Some(upstream) = (*self.as_ptr()).upstream.as_ref() else {
                return false;
            };
            upstream.buffering() != 0 && upstream.pipe.as_ref().is_some_and(done)
        }
    }

    /// Nothing more is sent: nginx's filters fail from now on, and it closes the connection, or the stream of HTTP/2.
    pub fn abort(self) {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.connection()).set_error(1) };
    }

    /// Is it one of a client's? Lua's timers have requests of their own, by whose connections its module tells them.
    pub fn is_of_client(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.connection()).fd != -1 }
    }

    /// Has nginx finished with an upstream, in good order or not, whose response it has begun to
    /// pass on (`ngx_http_upstream_finalize_request`)?
    pub fn upstream_has_ended(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe {
            let upstream = (*self.as_ptr()).upstream.as_ref();
            upstream.is_some_and(|u| u.header_sent() != 0 && u.cleanup.is_null())
        }
    }

    /// What [`Request::uri`] is now.
    pub fn uri_in_pool(self) -> ngx_str_t {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).uri }
    }

    /// The normalised path, by which the location is chosen.
    pub fn uri<'a>(self) -> &'a [u8] {
        // SAFETY: a handle is of a live request; the string lives in the request's pool.
        unsafe { (*self.as_ptr()).uri.as_bytes() }
    }

    /// Will nothing but a header come of the request (`r->header_only`)?
    pub fn is_header_only(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).header_only() != 0 }
    }

    /// The response waits for nothing but a filter: `send_timeout` does not run while nothing is
    /// to be sent, nor the upstream's read timeout while there is something to be read.
    pub fn forget_waiting_for_others(self) {
        // SAFETY: a handle is of a live request; so are the upstream's connection and the events of both.
        unsafe {
            let connection = self.connection();
            let write = (*connection).write;
            if (*connection).buffered() == 0 && (*write).delayed() == 0 && (*write).timer_set() != 0
            {
                ngx_del_timer(write);
            }
            let upstream = (*self.as_ptr()).upstream.as_ref();
            if let Some(peer) = upstream.and_then(|u| u.peer.connection.as_ref())
                && (*peer.read).ready() != 0
                && (*peer.read).delayed() == 0
                && (*peer.read).timer_set() != 0
            {
                ngx_del_timer(peer.read);
            }
        }
    }

    /// The server that was asked last, as `$upstream_addr` has it, and after how many milliseconds its response header
    /// was there (huge when it was not).
    pub fn last_upstream<'a>(self) -> Option<(&'a [u8], ngx_msec_t)> {
        // SAFETY: a handle is of a live request; nginx keeps the states, and the names in them, as long as the request.
        unsafe {
            let states = (*self.as_ptr()).upstream_states.as_ref()?;
            let states: &[ngx_http_upstream_state_t] = states.as_slice();
            let state = states.iter().rev().find(|state| !state.peer.is_null())?;
            Some(((*state.peer).as_bytes(), state.header_time))
        }
    }

    /// Has an upstream's balancer begun with the request?
    pub fn has_balancer(self) -> bool {
        // SAFETY: a handle is of a live request.
        let upstream = unsafe { (*self.as_ptr()).upstream.as_ref() };
        upstream.is_some_and(|upstream| upstream.peer.get.is_some())
    }

    /// Is there an upstream whose response has not begun?
    pub fn waits_for_upstream(self) -> bool {
        // SAFETY: a handle is of a live request.
        let upstream = unsafe { (*self.as_ptr()).upstream.as_ref() };
        upstream.is_some_and(|u| u.header_sent() == 0 && !u.cleanup.is_null())
    }

    /// Ends the upstream without ending the request; `false`: there is none. nginx does so when it
    /// terminates a request, but takes the request's own reference for the upstream's then.
    pub fn drop_upstream(self) -> bool {
        // SAFETY: a handle is of a live request; the handler is nginx's own (`ngx_http_upstream_cleanup`), for this
        // request.
        unsafe {
            let r = self.as_ptr();
            let Some(upstream) = (*r).upstream.as_ref() else {
                return false;
            };
            let Some(handler) = upstream.cleanup.as_ref().and_then(|slot| *slot) else {
                return false;
            };
            // The handler gives back a reference.
            let main = (*r).main;
            (*main).set_count((*main).count() + 1);
            handler(r.cast());
        }
        true
    }

    /// Keeps nginx from making a tunnel of the connection; was it about to?
    pub fn forget_upgrade(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe {
            match (*self.as_ptr()).upstream.as_mut() {
                Some(upstream) if upstream.upgrade() != 0 => {
                    upstream.set_upgrade(0);
                    (*self.as_ptr()).set_keepalive(0);
                    true
                }
                _ => false,
            }
        }
    }

    /// Has nginx read, or started to read, the request body?
    pub fn body_is_read(self) -> bool {
        // SAFETY: a handle is of a live request.
        unsafe { !(*self.as_ptr()).request_body.is_null() }
    }

    /// The buffers of the request body once it has been read; null before and for none.
    pub fn body(self) -> *mut ngx_chain_t {
        // SAFETY: a handle is of a live request.
        unsafe {
            match (*self.as_ptr()).request_body.as_ref() {
                Some(body) => body.bufs,
                None => std::ptr::null_mut(),
            }
        }
    }

    pub fn status(self) -> usize {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).headers_out.status }
    }

    /// Sets the status and drops the upstream's status line.
    pub fn set_status(self, status: usize) {
        // SAFETY: a handle is of a live request.
        unsafe {
            (*self.as_ptr()).headers_out.status = status;
            (*self.as_ptr()).headers_out.status_line = ngx_str_t::empty();
        }
    }

    /// Length of the response body in bytes, `None` when unknown.
    pub fn response_length(self) -> Option<u64> {
        // SAFETY: a handle is of a live request.
        unsafe { u64::try_from((*self.as_ptr()).headers_out.content_length_n).ok() }
    }

    /// Sets the length of the response body (with `None`: macro `ngx_http_clear_content_length`).
    pub fn set_response_length(self, length: Option<u64>) {
        // SAFETY: a handle is of a live request; a line stays valid when it is switched off.
        unsafe {
            let headers = &raw mut (*self.as_ptr()).headers_out;
            (*headers).content_length_n = length.and_then(|n| n.try_into().ok()).unwrap_or(-1);
            if let Some(line) = (*headers).content_length.as_mut() {
                line.hash = 0;
                (*headers).content_length = std::ptr::null_mut();
            }
        }
    }

    /// No ranges for this response (macro `ngx_http_clear_accept_ranges`).
    pub fn forbid_ranges(self) {
        // SAFETY: a handle is of a live request.
        unsafe {
            (*self.as_ptr()).set_allow_ranges(0);
            let headers = &raw mut (*self.as_ptr()).headers_out;
            if let Some(line) = (*headers).accept_ranges.as_mut() {
                line.hash = 0;
                (*headers).accept_ranges = std::ptr::null_mut();
            }
        }
    }

    /// Has nginx send no body behind the header (`r->header_only`).
    pub fn set_header_only(self) {
        // SAFETY: a handle is of a live request.
        unsafe { (*self.as_ptr()).set_header_only(1) };
    }

    /// Is the status one without a body?
    pub fn status_is_bodiless(self) -> bool {
        matches!(self.status(), 100..=199 | 204 | 304)
    }

    /// Can the response have no body, whatever its length says (HEAD, 1xx, 204, 304)?
    pub fn response_is_bodiless(self) -> bool {
        // SAFETY: a handle is of a live request.
        let header_only = unsafe { (*self.as_ptr()).header_only() != 0 };
        header_only || self.is_head() || self.status_is_bodiless()
    }
}

fn upstream_is_cacheable(upstream: &ngx_http_upstream_t) -> bool {
    #[cfg(ngx_feature = "http_cache")]
    return upstream.cacheable() != 0;
    #[cfg(not(ngx_feature = "http_cache"))]
    false
}
