//! A request body through the filters while it comes, where nginx passes it on as it comes
//! (`grpc_pass`, `proxy_request_buffering off` and their like).
//!
//! The body callbacks run in nginx's chain of request body filters, when the content handler has nginx
//! read the body. What no filter has taken stays in nginx's own buffers, so that nginx stops reading from
//! the client; what no filter has changed goes on in them.

pub mod filter;
pub mod length;
pub mod queue;
pub mod start;
pub mod state;
pub mod wake;

use crate::conf::location::LocConf;
use crate::conf::main::MainConf;
use crate::conf::request_buffering::Proxy;
use crate::filter::chain::context::Context;
use crate::filter::chain::stage::{Direction, RequestStage};
use crate::message::headers::request as headers;
use crate::nginx::request::Request;

/// Do the filters see this request's body while it comes?
pub fn streams(request: Request) -> bool {
    if !request.is_main() || !request.has_body() || request.body_is_read() {
        return false;
    }
    let Some(proxy) = MainConf::of(request).and_then(|conf| conf.proxy_of(request)) else {
        return false;
    };
    let chunked = is_chunked(request);
    let open = chunked || length_is_removed(request);
    match LocConf::of(request).request_buffering() {
        None => proxy.is_unbuffered(request, open),
        Some(true) => false,
        // Where nginx waits for all of it, its length is known by then.
        Some(false) => !proxy.is_unbuffered(request, chunked) || proxy.is_unbuffered(request, open),
    }
}

/// Has a filter removed the `content-length` that the client has sent?
pub fn length_is_removed(request: Request) -> bool {
    // SAFETY: the request is live.
    let declared = unsafe { (*request.as_ptr()).headers_in.content_length_n } >= 0;
    declared && !is_chunked(request) && !headers::get(request, b"content-length", &mut |_| {})
}

/// Filters may change the length of a body that goes out by gRPC, where HTTP/2 needs none.
pub fn forget_length(context: &Context, request: Request) {
    let proxy = MainConf::of(request).and_then(|conf| conf.proxy_of(request));
    if proxy.is_some_and(Proxy::is_duplex)
        && headers::get(request, b"content-length", &mut |_| {})
        && headers::remove(request, &context.incoming.lines, b"content-length").is_ok()
    {
        context.incoming.changed.set(true);
    }
}

fn is_chunked(request: Request) -> bool {
    // SAFETY: the request is live.
    unsafe { (*request.as_ptr()).headers_in.chunked() != 0 }
}

impl Context {
    /// Do body callbacks run while nginx reads the body?
    pub fn is_streaming(&self) -> bool {
        self.incoming.stage.get() == RequestStage::Streaming
    }

    /// Does a filter hold back some of a body that comes?
    pub fn holds_upload(&self) -> bool {
        let mut halves = self.filters().iter().map(|filter| &filter.request);
        self.is_streaming() && self.has_held() && halves.any(|half| half.held.get().is_some())
    }

    /// Have the filters got all that has come of such a body, and not its end? Then its client's timers
    /// run.
    pub fn upload_waits(&self) -> bool {
        self.is_streaming()
            && self
                .incoming
                .upload
                .get()
                .is_none_or(|upload| !upload.has_all())
    }

    /// May what a filter holds of it go on?
    fn upload_may_go_on(&self) -> bool {
        let holds = self.holds_upload();
        let goes_on = holds
            && self.filters().iter().any(|filter| {
                filter.request.held.get().is_some() && filter.may_go_on(Direction::Request)
            });
        // Or its turn has come.
        goes_on || self.later.is_set()
    }
}
