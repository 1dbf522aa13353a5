//! Names of hosts, by nginx's resolver.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::future::poll_fn;
use std::net::IpAddr;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ngx::ffi::{
    ngx_msec_t, ngx_resolve_name, ngx_resolve_name_done, ngx_resolve_start, ngx_resolver_ctx_t,
    ngx_resolver_strerror, ngx_resolver_t, ngx_str_t,
};

use crate::net::address::Address;
use crate::net::error::Error;
use crate::net::origin::Origin;
use crate::nginx::OK;

/// nginx's `NGX_NO_RESOLVER`: the resolver has no servers.
const NO_RESOLVER: usize = usize::MAX;

/// The IP addresses of a host.
pub async fn addresses(origin: &Origin, host: &str) -> Result<Vec<IpAddr>, Error> {
    let addresses = resolve(origin, host, 0).await?;
    Ok(addresses.iter().filter_map(Address::to_ip).collect())
}

/// The addresses of a host with this port, in the order in which to try them: nginx's resolver
/// starts with a random one.
pub async fn resolve(origin: &Origin, host: &str, port: u16) -> Result<Vec<Address>, Error> {
    let failed = |reason: String| Error::Dns {
        name: host.to_owned(),
        reason,
    };
    let (resolver, timeout) = origin.resolver().ok_or_else(|| no_resolver(host))?;
    let query = Query::start(resolver, timeout, host)?;
    let addresses = poll_fn(|context| {
        if let Some(answer) = query.0.answer.take() {
            return Poll::Ready(answer);
        }
        query.0.waker.set(Some(context.waker().clone()));
        Poll::Pending
    })
    .await
    .map_err(failed)?;
    if addresses.is_empty() {
        return Err(failed("no addresses".into()));
    }
    Ok(addresses
        .into_iter()
        .map(|address| address.with_port(port))
        .collect())
}

fn no_resolver(host: &str) -> Error {
    Error::NoResolver {
        name: host.to_owned(),
    }
}

/// A question to the resolver; dropping it withdraws it. Counted and not boxed, because nginx
/// has a pointer as well.
struct Query(Rc<State>);

struct State {
    /// Null when the resolver has answered.
    context: Cell<*mut ngx_resolver_ctx_t>,
    answer: RefCell<Option<Result<Vec<Address>, String>>>,
    waker: Cell<Option<Waker>>,
    /// The name; nginx changes its case in place.
    name: Box<[Cell<u8>]>,
}

impl Query {
    fn start(
        resolver: NonNull<ngx_resolver_t>,
        timeout: Duration,
        host: &str,
    ) -> Result<Query, Error> {
        // SAFETY: the resolver is part of the configuration, and handles events in this process.
        let context = unsafe { ngx_resolve_start(resolver.as_ptr(), ptr::null_mut()) };
        if context.addr() == NO_RESOLVER {
            return Err(no_resolver(host));
        }
        let internal = || Error::Internal {
            reason: format!("could not start to resolve {host}"),
        };
        if context.is_null() {
            return Err(internal());
        }
        let query = Query(Rc::new(State {
            context: Cell::new(context),
            answer: RefCell::default(),
            waker: Cell::default(),
            name: host.bytes().map(Cell::new).collect(),
        }));
        // SAFETY: the context is new; what it points at lives until it has answered or `drop`
        // withdraws it. nginx may call the handler at once, and frees the context if it fails.
        unsafe {
            (*context).name = ngx_str_t {
                len: host.len(),
                data: query.0.name.as_ptr().cast_mut().cast(),
            };
            (*context).timeout = timeout.as_millis() as ngx_msec_t;
            (*context).handler = Some(on_answer);
            (*context).data = Rc::as_ptr(&query.0).cast_mut().cast();
            if ngx_resolve_name(context) != OK {
                query.0.context.set(ptr::null_mut());
                return Err(internal());
            }
        }
        Ok(query)
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        let context = self.0.context.replace(ptr::null_mut());
        if !context.is_null() {
            // SAFETY: it has not answered, so nobody has freed it.
            unsafe { ngx_resolve_name_done(context) };
        }
    }
}

unsafe extern "C" fn on_answer(context: *mut ngx_resolver_ctx_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: `data` is the state of the query, which withdraws it before it goes. The
        // addresses are valid until the context is done with.
        let state = unsafe {
            let state = &*(*context).data.cast_const().cast::<State>();
            state.answer.replace(Some(answer(&*context)));
            state.context.set(ptr::null_mut());
            ngx_resolve_name_done(context);
            state
        };
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    });
}

/// # Safety
/// The resolver has answered, and the context is not done with.
unsafe fn answer(context: &ngx_resolver_ctx_t) -> Result<Vec<Address>, String> {
    // SAFETY: the resolver has answered, and the context is not done with; nginx's texts are constant.
    unsafe {
        if context.state != OK {
            let text = CStr::from_ptr(ngx_resolver_strerror(context.state).cast());
            return Err(format!("{}: {}", context.state, text.to_string_lossy()));
        }
        if context.addrs.is_null() {
            return Ok(Vec::new());
        }
        let addresses = std::slice::from_raw_parts(context.addrs, context.naddrs);
        Ok(addresses
            .iter()
            .filter_map(|a| Address::copy(a.sockaddr, a.socklen, String::new()))
            .collect())
    }
}
