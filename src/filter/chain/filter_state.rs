//! Filter state: values that filters store for one request, by name, for the filters behind them and
//! for nginx's configuration, which reads them as `$wasm_property_<name>`.
//!
//! It belongs to nginx's request: it stays over internal redirects, be it that another location's
//! filters go on, and until nginx has written its logs. Subrequests read what their main request
//! has, and write their own.

pub mod values;

use std::rc::Rc;

use ngx::ffi::{ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t, ngx_str_t};
use proxy_wasm_host::Status;

use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::context::store::all;
use crate::filter::chain::filter_state::values::FilterState;
use crate::message::headers::sendable::escape_for_variable;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, pool};

/// Envoy keeps what `set_property` stores under this prefix, apart from what
/// `set_envoy_filter_state` does.
const OF_PROPERTIES: &[u8] = b"wasm.";

/// The prefix of nginx's variables.
pub const VARIABLE: &[u8] = b"wasm_property_";

/// That of earlier contexts of the request, or a new one.
fn of(request: Request) -> Rc<FilterState> {
    find(request).unwrap_or_else(|| Rc::new(FilterState::new(request)))
}

fn find(request: Request) -> Option<Rc<FilterState>> {
    all(request.pool())
        .filter_map(|context| context.state.get().cloned())
        .find(|state| state.owner == request)
}

/// The value of the request, else that of its main request.
fn lookup(request: Request, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let own = find(request).and_then(|state| state.get(&wanted));
    own.or_else(|| match request.is_main() {
        true => None,
        false => find(request.main())?.get(&wanted),
    })
}

/// Stores a value by its name (`set_envoy_filter_state`) for the filter at a place of the chain.
/// `InternalFailure`: the request's values are as many as they may be.
pub fn set(
    context: &Context,
    index: usize,
    request: Request,
    name: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    let state = context.state.get_or_init(|| of(request));
    let limit = LocConf::of(request).buffer_size().headers;
    match state.set(name.to_vec(), value, limit) {
        true => Ok(()),
        false => Err(context.headers_over(index, context.direction())),
    }
}

/// Stores a property that is none of the proxy's (`set_property`).
pub fn set_property(
    context: &Context,
    index: usize,
    request: Request,
    path: &[&[u8]],
    value: &[u8],
) -> Result<(), Status> {
    let name = [OF_PROPERTIES, &path.join(&b'.')].concat();
    set(context, index, request, &name, value)
}

/// A property that is none of the proxy's: what `set_property` stored at this path, or a value by
/// its name, as it is or below `filter_state`.
pub fn property(request: Request, path: &[&[u8]]) -> Option<Vec<u8>> {
    if let [b"filter_state", name @ ..] = path
        && !name.is_empty()
    {
        let name = name.join(&b'.');
        return lookup(request, |known| known == name);
    }
    let name = path.join(&b'.');
    let is_property = |known: &[u8]| known.strip_prefix(OF_PROPERTIES) == Some(&name);
    lookup(request, is_property).or_else(|| lookup(request, |known| known == name))
}

/// Is this how a value's name is written in a variable's: in lower case, with underscores for what
/// can stand in no variable's name?
fn is_written(name: &[u8], variable: &[u8]) -> bool {
    let written = |byte: &u8| match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'_',
    };
    name.len() == variable.len() && name.iter().map(written).eq(variable.iter().copied())
}

/// Value of `$wasm_property_<name>`; `data` is the variable's full name.
pub unsafe extern "C" fn variable(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    data: usize,
) -> ngx_int_t {
    crate::nginx::guard::guard(ERROR, || {
        // SAFETY: nginx passes a live request, a value to fill in, and for a prefix variable the
        // name.
        unsafe {
            let name = (*(data as *const ngx_str_t)).as_bytes();
            let name = name.get(VARIABLE.len()..).unwrap_or_default();
            let Some(request) = Request::new(r) else {
                return ERROR;
            };
            let of_property = |known: &[u8]| {
                let known = known.strip_prefix(OF_PROPERTIES);
                known.is_some_and(|known| is_written(known, name))
            };
            let found = lookup(request, of_property)
                .or_else(|| lookup(request, |known| is_written(known, name)));
            let v = &mut *value;
            let Some(bytes) = found else {
                v.set_not_found(1);
                return OK;
            };
            // Filters may store what they like; nginx's lines cannot hold it.
            let Some(text) = pool::copy(request.pool(), &escape_for_variable(&bytes, false)) else {
                return ERROR;
            };
            v.set_len(text.len as _);
            v.data = text.data;
            v.set_valid(1);
            v.set_no_cacheable(1);
            v.set_not_found(0);
        }
        OK
    })
}
