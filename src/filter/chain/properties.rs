//! Properties of a stream: Envoy's attributes as far as nginx knows them, nginx's variables as
//! `nginx.<variable>`, and what filters have set.

pub mod route;

use std::time::{SystemTime, UNIX_EPOCH};

use ngx::ffi::{ngx_connection_local_sockaddr, ngx_inet_get_port, ngx_sock_ntop, sockaddr};
use proxy_wasm_host::{Status, serialize_map};

use crate::filter::chain::context::Context;
use crate::filter::chain::filter_state;
use crate::filter::chain::stage::ResponseStage;
use crate::message::headers::sendable::escape_for_variable;
use crate::message::headers::{request as request_headers, response as response_headers};
use crate::nginx::request::Request;
use crate::nginx::{OK, borrowed_str, variable};

/// Appends a property's value to `out`: text as it is, numbers, timestamps (ns since 1970) and
/// durations (ns) as 8 bytes, booleans as one, header maps in the ABI's serialized form.
pub fn get(
    context: &Context,
    index: usize,
    request: Request,
    path: &[&[u8]],
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    if let Some(value) = route::configured(context, index, request, path)? {
        out.extend_from_slice(value);
        return Ok(());
    }
    let value = match path {
        [b"nginx", name @ ..] if !name.is_empty() => context.read(index, request, |request| {
            of_nginx(request, &name.join(&b'.'))
        })?,
        [b"request", b"headers", name] => first(|found| request_headers::get(request, name, found)),
        [
            b"response",
            b"headers" | b"trailers" | b"code" | b"code_details" | b"flags",
            ..,
        ] if context.response.stage() == ResponseStage::New => None,
        [b"response", b"headers", name] => {
            first(|found| response_headers::get(request, name, found))
        }
        [b"response", b"trailers", name] => {
            first(|found| response_headers::trailers::get(request, name, found))
        }
        [b"route_name"] | [b"xds", b"route_name"] => Some(Value::from(route::location(request))),
        [b"cluster_name"] | [b"xds", b"cluster_name"] => route::upstream(request).map(Value::Bytes),
        [b"x_request_id"] => of_request(request, b"id"),
        [b"request", name] => of_request(request, name),
        [b"response", name] => of_response(request, name),
        [b"connection", name] => {
            context.read(index, request, |request| of_connection(request, name))?
        }
        [b"source", name] => {
            // SAFETY: the connection is live.
            of_address(request, name, unsafe { (*request.connection()).sockaddr })
        }
        [b"destination", name] => local_address(request).and_then(|a| of_address(request, name, a)),
        [b"upstream", name] => of_upstream(request, name),
        _ => None,
    };
    let mut value = value.or_else(|| filter_state::property(request, path).map(Value::Bytes));
    if let (None, Some(name)) = (&value, variable_of_driven(context, path)) {
        value = context.read(index, request, |request| of_nginx(request, name))?;
    }
    match value {
        Some(Value::Bytes(bytes)) => out.extend_from_slice(&bytes),
        Some(Value::Number(number)) => out.extend_from_slice(&number.to_le_bytes()),
        Some(Value::Bool(value)) => out.push(value.into()),
        None => return Err(Status::NotFound),
    }
    Ok(())
}

/// Sets an nginx variable that may be set, or stores a value for this request's filters.
pub fn set(
    context: &Context,
    index: usize,
    request: Request,
    path: &[&[u8]],
    value: &[u8],
) -> Result<(), Status> {
    match path {
        [] => Err(Status::BadArgument),
        [b"nginx", name @ ..] if !name.is_empty() => {
            set_variable(context, index, &name.join(&b'.'), value)
        }
        _ => {
            if let Some(name) = variable_of_driven(context, path) {
                set_variable(context, index, name, value).or_else(|status| match status {
                    Status::InternalFailure => Err(status),
                    _ => Ok(()),
                })?;
            }
            filter_state::set_property(context, index, request, path, value)
        }
    }
}

/// As in api7's module, whose guests Lua's code runs, a name alone is that of a variable of nginx's, too, if there is one.
fn variable_of_driven<'a>(context: &Context, path: &[&'a [u8]]) -> Option<&'a [u8]> {
    match path {
        [name] if context.driver.is_some() => Some(name),
        _ => None,
    }
}

/// Sets a variable that `set` could set, too.
fn set_variable(context: &Context, index: usize, name: &[u8], value: &[u8]) -> Result<(), Status> {
    context.write(index, context.direction(), value.len(), |request| {
        let target = name.eq_ignore_ascii_case(b"args");
        let value = escape_for_variable(value, target);
        variable::set(request, name, &value).map_err(|error| match error {
            variable::SetError::Unknown => Status::NotFound,
            variable::SetError::ReadOnly => Status::BadArgument,
            variable::SetError::NoMemory => Status::InternalFailure,
        })
    })
}

enum Value {
    Bytes(Vec<u8>),
    Number(i64),
    Bool(bool),
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

/// The value that `get` passes on.
fn first(get: impl FnOnce(&mut dyn FnMut(&[u8])) -> bool) -> Option<Value> {
    let mut value = None;
    get(&mut |bytes| value = Some(Value::from(bytes)));
    value
}

fn header(request: Request, name: &[u8]) -> Option<Value> {
    first(|found| request_headers::get(request, name, found))
}

fn of_request(request: Request, name: &[u8]) -> Option<Value> {
    // SAFETY: the request and its strings are live.
    unsafe {
        let r = request.as_ptr();
        Some(match name {
            b"path" => return header(request, b":path"),
            b"url_path" => {
                let target = crate::nginx::uri::target(request);
                let end = target
                    .iter()
                    .position(|&b| b == b'?')
                    .unwrap_or(target.len());
                Value::from(&target[..end])
            }
            b"query" => Value::from((*r).args.as_bytes()),
            b"host" => return header(request, b":authority"),
            b"scheme" => return header(request, b":scheme"),
            b"method" => return header(request, b":method"),
            b"referer" => return header(request, b"referer"),
            b"useragent" => return header(request, b"user-agent"),
            b"id" => {
                let mut id = header(request, b"x-request-id");
                if id.is_none() {
                    variable::get(request, b"request_id", &mut |made| {
                        id = Some(Value::from(made));
                    });
                }
                return id;
            }
            b"headers" => Value::Bytes(serialize_map(|v| request_headers::visit(request, v))),
            b"time" => Value::Number(start_time(request)),
            b"duration" => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .ok()?
                    .as_nanos() as i64;
                Value::Number(now.saturating_sub(start_time(request)).max(0))
            }
            b"protocol" => Value::from(match (*r).http_protocol.as_bytes() {
                b"HTTP/2.0" => &b"HTTP/2"[..],
                b"HTTP/3.0" => b"HTTP/3",
                other => other,
            }),
            b"size" => Value::Number((*r).headers_in.content_length_n.max(0)),
            b"total_size" => Value::Number((*r).request_length),
            _ => return None,
        })
    }
}

/// When the request began, in ns since 1970.
fn start_time(request: Request) -> i64 {
    // SAFETY: the request is live.
    let (seconds, millis) = unsafe {
        (
            (*request.as_ptr()).start_sec,
            (*request.as_ptr()).start_msec,
        )
    };
    seconds
        .saturating_mul(1000)
        .saturating_add(millis as i64)
        .saturating_mul(1_000_000)
}

fn of_response(request: Request, name: &[u8]) -> Option<Value> {
    // SAFETY: the request is live.
    unsafe {
        let r = request.as_ptr();
        let sent = (*request.connection()).sent;
        Some(match name {
            b"code" => Value::Number(request.status() as i64),
            b"code_details" => Value::from(if (*r).upstream.is_null() {
                &b"direct_response"[..]
            } else {
                b"via_upstream"
            }),
            b"flags" => Value::Number(0),
            b"headers" => Value::Bytes(serialize_map(|v| response_headers::visit(request, v))),
            b"trailers" => Value::Bytes(serialize_map(|v| {
                response_headers::trailers::visit(request, v)
            })),
            b"size" => Value::Number((sent - (*r).header_size as i64).max(0)),
            b"total_size" => Value::Number(sent),
            b"grpc_status" => {
                let text = first(|found| {
                    response_headers::trailers::get(request, b"grpc-status", found)
                        || response_headers::get(request, b"grpc-status", found)
                })?;
                let Value::Bytes(text) = text else {
                    return None;
                };
                Value::Number(std::str::from_utf8(&text).ok()?.parse().ok()?)
            }
            b"backend_latency" => {
                let (_, milliseconds) = request.last_upstream()?;
                let milliseconds = i64::try_from(milliseconds).ok()?;
                Value::Number(milliseconds.checked_mul(1_000_000).filter(|ns| *ns >= 0)?)
            }
            _ => return None,
        })
    }
}

fn of_connection(request: Request, name: &[u8]) -> Option<Value> {
    let ssl = |name: &[u8]| {
        of_nginx(request, name).filter(|value| !matches!(value, Value::Bytes(b) if b.is_empty()))
    };
    match name {
        // SAFETY: the connection is live.
        b"id" => Some(Value::Number(
            unsafe { (*request.connection()).number } as i64
        )),
        b"mtls" => Some(Value::Bool(
            matches!(of_nginx(request, b"ssl_client_verify"), Some(Value::Bytes(b)) if b == b"SUCCESS"),
        )),
        b"requested_server_name" => ssl(b"ssl_server_name"),
        b"tls_version" => ssl(b"ssl_protocol"),
        b"subject_peer_certificate" => ssl(b"ssl_client_s_dn"),
        _ => None,
    }
}

fn of_upstream(request: Request, name: &[u8]) -> Option<Value> {
    let (address, _) = request.last_upstream()?;
    match name {
        b"address" => Some(Value::from(address)),
        b"port" => {
            let (_, port) = std::str::from_utf8(address).ok()?.rsplit_once(':')?;
            Some(Value::Number(port.parse().ok()?))
        }
        _ => None,
    }
}

/// The value of a variable of nginx's.
fn of_nginx(request: Request, name: &[u8]) -> Option<Value> {
    first(|found| variable::get(request, name, found))
}

fn local_address(request: Request) -> Option<*mut sockaddr> {
    let mut none = borrowed_str(b"");
    // SAFETY: the connection is live; nginx fills in its local address.
    unsafe {
        let connection = request.connection();
        (ngx_connection_local_sockaddr(connection, &mut none, 0) == OK
            && !(*connection).local_sockaddr.is_null())
        .then(|| (*connection).local_sockaddr)
    }
}

/// Passes the client's address on, with its port.
pub fn source_address(request: Request, found: &mut dyn FnMut(&[u8])) {
    // SAFETY: the request's connection is live.
    let address = unsafe { (*request.connection()).sockaddr };
    if let Some(Value::Bytes(address)) = of_address(request, b"address", address) {
        found(&address);
    }
}

fn of_address(request: Request, name: &[u8], address: *mut sockaddr) -> Option<Value> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the address is the live connection's; the text fits the longest address.
    unsafe {
        match name {
            b"address" => {
                let connection = request.connection();
                let length = if address == (*connection).sockaddr {
                    (*connection).socklen
                } else {
                    (*connection).local_socklen
                };
                let mut text = [0u8; ADDRESS_LEN];
                let len = ngx_sock_ntop(address, length, text.as_mut_ptr(), text.len(), 1);
                Some(Value::from(text.get(..len)?))
            }
            b"port" => Some(Value::Number(ngx_inet_get_port(address).into())),
            _ => None,
        }
    }
}

/// Bytes of the longest address: a path of a Unix socket behind `unix:`, of 108 bytes.
const ADDRESS_LEN: usize = 128;
