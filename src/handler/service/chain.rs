//! Requests of a component to another one of its Spin application, `http://component.spin.internal`: no connection is made for them.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use component_host::{Body, BodyError, Call, Failure};
use http::uri::Uri;
use http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};

use crate::handler::service::local::Local;
use crate::handler::service::places::Place;
use crate::handler::service::platform::NginxPlatform;
use crate::handler::service::services::Service;
use crate::net::executor::{Task, spawn};
use crate::net::origin::Origin;
use crate::net::timer::timeout;

/// What the names of components end with, as hosts.
const DOMAIN: &str = ".spin.internal";

/// How many components may stand in a row, each of which waits for the next one.
const DEEPEST: u8 = 8;

/// The component that a URL names.
pub fn component(uri: &Uri) -> Option<&str> {
    uri.host()?.strip_suffix(DOMAIN)
}

/// Has the component of this name answer a request of `caller`, which has `depth` others before it.
pub async fn send(
    caller: &Service,
    origin: &Origin,
    depth: u8,
    name: &str,
    mut request: Request<Body>,
) -> Result<Response<Body>, BodyError> {
    if depth >= DEEPEST {
        return Err(BodyError::LoopDetected);
    }
    let service = caller.sibling(name).ok_or(BodyError::DestinationNotFound)?;
    add_lines(&mut request);
    let answered = async {
        service.turn.wait().await;
        let place = service.places.take().await;
        let place = place.map_err(|_| BodyError::ConnectionLimitReached)?;
        let origin = origin.on_behalf_of(service.caller.clone());
        let platform = NginxPlatform::chained(service.clone(), origin.clone(), depth + 1);
        let call = service.call(request, Rc::new(platform));
        let (call, answer) = call.ok_or(BodyError::DestinationUnavailable)?;
        let task = spawn(run(service.clone(), origin, call, place));
        let response = answer.await.map_err(|failure| error(&failure))?;
        Ok(response.map(|body| Body::new(Local::new(Chained { body, _task: task }))))
    };
    let answered = timeout(origin.conf.read_timeout, answered).await;
    answered.unwrap_or(Err(BodyError::HttpResponseTimeout))
}

/// The lines that Spin adds to such a request, which has matched no route.
fn add_lines(request: &mut Request<Body>) {
    let path = request.uri().path().to_owned();
    let url = request.uri().to_string();
    let lines = [
        ("spin-path-info", path.as_str()),
        ("spin-full-url", url.as_str()),
        ("spin-matched-route", "/..."),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", "/..."),
        ("spin-component-route", ""),
        ("spin-client-addr", "127.0.0.1:0"),
    ];
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_str(value) {
            request.headers_mut().insert(name, value);
        }
    }
}

/// Runs the guest to its end.
async fn run(service: Rc<Service>, origin: Origin, mut call: Call, place: Place) {
    let turn = service.turn.clone();
    let ended = poll_fn(|context| turn.poll(context, |context| Pin::new(&mut call).poll(context)));
    let failure = service.ended(ended.await);
    drop(place);
    if let Some(failure) = failure {
        service.report(origin.log(), &failure.to_string());
    }
}

/// What the caller is told of a guest that has failed before its response.
fn error(failure: &Failure) -> BodyError {
    match failure {
        Failure::OutOfTime(_) => BodyError::HttpResponseTimeout,
        Failure::Busy(_) => BodyError::ConnectionLimitReached,
        _ => BodyError::InternalError(Some("the component has failed".to_owned())),
    }
}

/// A response's body, with the guest that makes it. The guest ends when nobody reads it any more.
struct Chained {
    body: Body,
    _task: Task,
}

impl http_body::Body for Chained {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_components() {
        let name = |uri: &'static str| component(&Uri::from_static(uri)).map(str::to_owned);
        assert_eq!(name("http://cart.spin.internal/x"), Some("cart".to_owned()));
        assert_eq!(name("http://spin.internal/"), None);
        assert_eq!(name("http://cart.spin.internal.example/"), None);
    }
}
