//! `wasi:http/outgoing-handler` 0.2. Requests run in the background of the call, whether the guest waits for them or not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri};
use http_body_util::{BodyExt, Empty};
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode};
use wasmtime_wasi_http::p2::body::{HostFutureTrailers, HostIncomingBody};
use wasmtime_wasi_http::p2::types::{HostIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{FieldMap, RequestOptions, WasiHttpView};
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::{OUTGOING, TYPES};
use crate::body::{Body, BodyError, content_length};
use crate::hooks::timeouts;
use crate::platform::LocalFuture;
use crate::state::State;

/// Defines it, over what wasmtime-wasi-http has defined.
pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.resource(
        "future-incoming-response",
        ResourceType::host::<Pending>(),
        |mut store, rep| {
            let pending = Resource::<Pending>::new_own(rep);
            store.data_mut().table.delete(pending)?;
            Ok(())
        },
    )?;
    types.func_wrap("[method]future-incoming-response.subscribe", subscribe_to)?;
    types.func_wrap("[method]future-incoming-response.get", get)?;
    linker.instance(OUTGOING)?.func_wrap("handle", handle)?;
    Ok(())
}

type Store<'a> = StoreContextMut<'a, State>;
type Sent = Result<http::Response<Body>, BodyError>;

/// A response that is waited for, as the guest has it.
struct Pending(Arc<Mutex<Shared>>);

enum Shared {
    /// With who waits for it, and the task that does.
    Waiting {
        guest: Option<Waker>,
        task: Option<Waker>,
    },
    Ready(Sent),
    /// The guest has it, or does not want it any more.
    Consumed,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.0)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guest does not want the response any more.
impl Drop for Pending {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut *self.lock(), Shared::Consumed);
        if let Shared::Waiting {
            task: Some(task), ..
        } = before
        {
            task.wake();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pending {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| match &mut *self.lock() {
            Shared::Waiting { guest, .. } => {
                *guest = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }
}

/// Waits for a response in the background, for as long as the guest wants it.
fn wait(mut sent: LocalFuture<Sent>, shared: Arc<Mutex<Shared>>) -> LocalFuture<()> {
    Box::pin(std::future::poll_fn(move |cx: &mut Context<'_>| {
        match &mut *lock(&shared) {
            Shared::Waiting { task, .. } => *task = Some(cx.waker().clone()),
            _ => return Poll::Ready(()),
        }
        let Poll::Ready(response) = sent.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        let mut state = lock(&shared);
        let before = std::mem::replace(&mut *state, Shared::Ready(response));
        drop(state);
        if let Shared::Waiting {
            guest: Some(guest), ..
        } = before
        {
            guest.wake();
        }
        Poll::Ready(())
    }))
}

fn handle(
    mut store: Store<'_>,
    (request, options): (
        Resource<HostOutgoingRequest>,
        Option<Resource<RequestOptions>>,
    ),
) -> Result<(Result<Resource<Pending>, ErrorCode>,)> {
    let state = store.data_mut();
    let options = match options {
        Some(options) => Some(state.table.delete(options)?),
        None => None,
    };
    let request = match to_http(state.table.delete(request)?) {
        Ok(request) => request,
        Err(code) => return Ok((Err(code),)),
    };
    let outgoing = state.hooks.outgoing().clone();
    let shared = Arc::new(Mutex::new(Shared::Waiting {
        guest: None,
        task: None,
    }));
    let pending = state.table.push(Pending(shared.clone()))?;
    let sent = outgoing.send(request, timeouts(options));
    state.spawner.spawn(wait(sent, shared));
    Ok((Ok(pending),))
}

/// The request as the platform gets it.
fn to_http(request: HostOutgoingRequest) -> Result<http::Request<Body>, ErrorCode> {
    let HostOutgoingRequest {
        method,
        scheme,
        authority,
        path_with_query,
        headers,
        body,
    } = request;
    if body.is_none() && content_length(&headers).is_some_and(|length| length > 0) {
        return Err(ErrorCode::HttpRequestBodySize(Some(0)));
    }
    let method: Method = method
        .try_into()
        .map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let authority: Authority = authority
        .unwrap_or_default()
        .parse()
        .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let path: PathAndQuery = match path_with_query.as_deref() {
        None | Some("") => PathAndQuery::from_static("/"),
        Some(path) => path.parse().map_err(|_| ErrorCode::HttpRequestUriInvalid)?,
    };
    let host =
        HeaderValue::from_str(authority.as_str()).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let uri = Uri::builder()
        .scheme(scheme_of(scheme)?)
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let body = body.unwrap_or_else(|| {
        let none = Empty::new().map_err(|never: std::convert::Infallible| match never {});
        Body::new(none)
    });
    let mut sent = http::Request::new(body);
    *sent.method_mut() = method;
    *sent.uri_mut() = uri;
    *sent.headers_mut() = headers.into();
    sent.headers_mut().insert(HOST, host);
    Ok(sent)
}

/// As in other hosts, one that is not named is https.
fn scheme_of(scheme: Option<types::Scheme>) -> Result<Scheme, ErrorCode> {
    match scheme {
        Some(types::Scheme::Http) => Ok(Scheme::HTTP),
        Some(types::Scheme::Https) | None => Ok(Scheme::HTTPS),
        Some(types::Scheme::Other(_)) => Err(ErrorCode::HttpProtocolError),
    }
}

fn subscribe_to(
    mut store: Store<'_>,
    (pending,): (Resource<Pending>,),
) -> Result<(Resource<DynPollable>,)> {
    Ok((subscribe(&mut store.data_mut().table, pending)?,))
}

/// The response, once: `None` until it is there, an error when the guest has got it.
type Got = Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>;

fn get(mut store: Store<'_>, (pending,): (Resource<Pending>,)) -> Result<(Got,)> {
    let state = store.data_mut();
    let response = {
        let mut shared = state.table.get(&pending)?.lock();
        match std::mem::replace(&mut *shared, Shared::Consumed) {
            Shared::Ready(response) => response,
            Shared::Consumed => return Ok((Some(Err(())),)),
            waiting => {
                *shared = waiting;
                return Ok((None,));
            }
        }
    };
    let response = match response {
        Ok(response) => response,
        Err(error) => return Ok((Some(Ok(Err(error_code(state, error)?))),)),
    };
    let (parts, body) = response.into_parts();
    let response = HostIncomingResponse {
        status: parts.status.as_u16(),
        headers: FieldMap::new_immutable(&mut state.hooks, parts.headers),
        body: Some(HostIncomingBody::new(body)),
    };
    Ok((Some(Ok(Ok(state.table.push(response)?))),))
}

/// The guest's word for an error. wasmtime-wasi-http has a table, which it shows in trailers alone.
fn error_code(state: &mut State, error: BodyError) -> Result<ErrorCode> {
    use types::HostFutureTrailers as _;
    let trailers = state.table.push(HostFutureTrailers::Done(Err(error)))?;
    let id = Resource::new_borrow(trailers.rep());
    let told = state.http().get(id)?;
    state.table.delete(trailers)?;
    match told {
        Some(Ok(Err(code))) => Ok(code),
        _ => Ok(ErrorCode::InternalError(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_spoken() {
        let other = types::Scheme::Other("ftp".into());
        assert!(scheme_of(Some(other)).is_err());
        assert_eq!(scheme_of(None).unwrap(), Scheme::HTTPS);
    }
}
