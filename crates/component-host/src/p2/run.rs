//! A request to a component of wasi:http 0.2.

use std::rc::Rc;
use std::sync::Arc;

use http::Method;
use http_body::Body as _;
use send_wrapper::SendWrapper;
use wasmtime::component::{Resource, TypedFunc};
use wasmtime::{Result, Store};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};

use crate::answer::Slot;
use crate::body::{Body, BodyError, Link, Watched, announced};
use crate::failure::Failure;
use crate::state::State;

/// The export `handle`.
pub(crate) type Handle = TypedFunc<
    (
        Resource<HostIncomingRequest>,
        Resource<HostResponseOutparam>,
    ),
    (),
>;

/// Has the guest handle a request.
pub(crate) async fn run(
    store: &mut Store<State>,
    handle: Handle,
    request: http::Request<Body>,
    slot: &Rc<Slot>,
) -> Result<()> {
    let method = request.method().clone();
    let scheme = match request.uri().scheme_str() {
        Some("https") => Scheme::Https,
        None | Some("http") => Scheme::Http,
        Some(other) => Scheme::Other(other.to_owned()),
    };
    let state = store.data_mut();
    state.bodies.begin(&method);
    let mut view = state.http();
    let request = view.new_incoming_request(scheme, request)?;
    let slot = SendWrapper::new(slot.clone());
    let out = view.new_response_outparam_from_callback(move |response| {
        slot.fill(answer(&method, response));
    })?;
    handle.call_async(store, (request, out)).await
}

fn answer(
    method: &Method,
    response: Result<http::Response<Body>, ErrorCode>,
) -> Result<http::Response<Body>, Failure> {
    let response = response.map_err(|code| Failure::answered(&BodyError::from(code)))?;
    // A body that the guest has taken holds itself to its length.
    let announced = announced(method, response.status(), response.headers());
    let taken = !response.body().is_end_stream() || announced.is_none_or(|length| length == 0);
    Ok(match taken {
        true => response,
        false => {
            response.map(|body| Body::new(Watched::new(body, Arc::<Link>::default(), announced)))
        }
    })
}
