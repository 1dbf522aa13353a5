//! What wasmtime-wasi-http asks of its host.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderName;
use http::header::{
    CONNECTION, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING, UPGRADE,
};
use http_body::{Frame, SizeHint};
use send_wrapper::SendWrapper;
use wasmtime_wasi_http::{ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use crate::body::{Body, BodyError};
use crate::platform::{LocalFuture, Platform, Sent, Timeouts};

/// The outgoing requests of a guest, and the rules for its header fields.
pub(crate) struct Hooks(SendWrapper<Outgoing>);

/// Clone = refcount.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub platform: Rc<dyn Platform>,
    left: Rc<Cell<usize>>,
}

/// One of the outgoing requests that a guest can have at a time.
struct Permit(Rc<Cell<usize>>);

type Response = Result<http::Response<Body>, BodyError>;

impl Hooks {
    pub fn new(platform: Rc<dyn Platform>, requests: usize) -> Hooks {
        Hooks(SendWrapper::new(Outgoing {
            platform,
            left: Rc::new(Cell::new(requests)),
        }))
    }

    pub fn outgoing(&self) -> &Outgoing {
        &self.0
    }

    pub fn set_platform(&mut self, platform: Rc<dyn Platform>) {
        self.0.platform = platform;
    }
}

impl Outgoing {
    /// Sends a request, if the guest may have one more.
    pub fn send(&self, request: http::Request<Body>, timeouts: Timeouts) -> LocalFuture<Response> {
        let Some(permit) = Permit::take(&self.left) else {
            return Box::pin(async { Err(BodyError::ConnectionLimitReached) });
        };
        let sent = self.platform.send(request, timeouts);
        Box::pin(async move {
            let response = sent.await?;
            Ok(response.map(|body| {
                Body::new(Counted {
                    body,
                    _permit: SendWrapper::new(permit),
                })
            }))
        })
    }
}

impl Permit {
    fn take(left: &Rc<Cell<usize>>) -> Option<Permit> {
        left.set(left.get().checked_sub(1)?);
        Some(Permit(left.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A response's body, with which its request's count ends.
struct Counted {
    body: Body,
    _permit: SendWrapper<Permit>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Fields that guests neither set nor see: they are the connection's, and the server's.
fn is_forbidden(name: &HeaderName) -> bool {
    [
        CONNECTION,
        HOST,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
        || ["keep-alive", "proxy-connection", "http2-settings"].contains(&name.as_str())
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        static FILTER: OnceLock<ForbiddenHeaderFilter> = OnceLock::new();
        FILTER.get_or_init(|| Arc::new(is_forbidden)).clone()
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), BodyError>> + Send>,
    ) -> Box<
        dyn Future<
                Output = Result<
                    (
                        http::Response<WasiBody>,
                        Box<dyn Future<Output = Result<(), BodyError>> + Send>,
                    ),
                    BodyError,
                >,
            > + Send,
    > {
        let sent = Sent::new(self.0.send(request, timeouts(options)));
        Box::new(async move {
            let response = sent.await?;
            // What is left to be done is done by the body as it is read. Were it not ready at once, it would be spawned.
            let io: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, io))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        crate::p2::BUDGET
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        crate::p2::BUDGET
    }
}

/// What a guest has set.
pub(crate) fn timeouts(options: Option<RequestOptions>) -> Timeouts {
    let options = options.unwrap_or_default();
    Timeouts {
        connect: options.connect_timeout,
        first_byte: options.first_byte_timeout,
        between_bytes: options.between_bytes_timeout,
    }
}
