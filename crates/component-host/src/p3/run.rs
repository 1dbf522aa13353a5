//! A request to a component of wasi:http 0.3.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use send_wrapper::SendWrapper;
use wasmtime::component::{Accessor, InstancePre};
use wasmtime::{Result, Store};
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::p3::{Request, Response};

use crate::answer::Slot;
use crate::body::{Body, BodyError, Link, Watched, announced};
use crate::failure::Failure;
use crate::state::State;

/// A component with its imports resolved, and its exports looked up.
#[derive(Clone)]
pub(crate) struct Linked(Arc<ServicePre<State>>);

/// The exports of an instance.
pub(crate) type Handle = Arc<Service>;

impl Linked {
    pub fn new(pre: InstancePre<State>) -> Result<Linked> {
        Ok(Linked(Arc::new(ServicePre::new(pre)?)))
    }

    pub async fn instantiate(&self, store: &mut Store<State>) -> Result<Handle> {
        Ok(Arc::new(self.0.instantiate_async(store).await?))
    }
}

/// Fails a response's body unless the guest comes to its end.
struct Unfinished(Option<Arc<Link>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.fail();
        }
    }
}

/// Has the guest handle a request: until it has returned, all that it has started has ended, and its response is read.
pub(crate) async fn run(
    store: &mut Store<State>,
    service: Handle,
    request: http::Request<Body>,
    slot: &Rc<Slot>,
) -> Result<()> {
    let slot = SendWrapper::new(slot.clone());
    let link = Arc::<Link>::default();
    let mut unfinished = Unfinished(Some(link.clone()));
    store
        .run_concurrent(async move |accessor| {
            let method = request.method().clone();
            let request = accessor.with(|mut store| {
                let (request, _processed) =
                    Request::from_http(&mut store.data_mut().hooks, request);
                request
            });
            let head = service.handle(accessor, request).await?;
            let response = match head {
                Ok(response) => to_http(accessor, response)?,
                Err(code) => {
                    slot.fill(Err(Failure::answered(&BodyError::from(code))));
                    return ended(accessor, None).await;
                }
            };
            if response.status().is_informational() {
                let status = response.status();
                return Err(wasmtime::format_err!("a response with status {status}"));
            }
            let announced = announced(&method, response.status(), response.headers());
            let watched = link.clone();
            slot.fill(Ok(
                response.map(|body| Body::new(Watched::new(body, watched, announced)))
            ));
            ended(accessor, Some(&link)).await
        })
        .await??;
    unfinished.0 = None;
    Ok(())
}

fn to_http(accessor: &Accessor<State>, response: Response) -> Result<http::Response<Body>> {
    accessor.with(|store| response.into_http(store, async { Ok(()) }))
}

/// Waits until all that the guest has started has ended, and its response is read.
pub(crate) async fn ended(accessor: &Accessor<State>, link: Option<&Link>) -> Result<()> {
    poll_fn(|cx| {
        let read = link.is_none_or(|link| link.poll_done(cx).is_ready());
        match accessor.poll_no_interesting_tasks(cx) {
            Poll::Ready(()) if read => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
}
