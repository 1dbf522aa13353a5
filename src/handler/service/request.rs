//! A request as a component gets it.

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::client::http1::request::escaped;
use crate::message::headers::request as headers;
use crate::nginx::request::Request;

/// Where the client names no host.
const NO_HOST: &str = "localhost";

/// The request, with the whole URL: its scheme, and the host of the Host line, which is not among the headers. `None`: it
/// is none that a component can be told of, such as one with a strange host.
pub fn request<B>(request: Request, body: B) -> Option<http::Request<B>> {
    let mut parts = Parts::default();
    headers::visit(request, &mut |name, value| parts.take(name, value));
    let mut made = http::Request::new(body);
    *made.method_mut() = parts.method?;
    *made.uri_mut() = uri(request, parts.authority?, parts.path?)?;
    *made.headers_mut() = parts.headers;
    Some(made)
}

struct Parts {
    method: Option<Method>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
    headers: HeaderMap,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            method: None,
            authority: Some(Authority::from_static(NO_HOST)),
            path: None,
            headers: HeaderMap::with_capacity(16),
        }
    }
}

impl Parts {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b":method" => self.method = Method::from_bytes(value).ok(),
            b":authority" => self.authority = Authority::try_from(value).ok(),
            b":path" => self.path = path(value),
            b":scheme" => {}
            _ => self.add(name, value),
        }
    }

    /// What a client may send and a component cannot be given is left out.
    fn add(&mut self, name: &[u8], value: &[u8]) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            && name != HOST
        {
            let _ = self.headers.try_append(name, value);
        }
    }
}

/// The target, as the client has written it where it can be told so.
fn path(value: &[u8]) -> Option<PathAndQuery> {
    let given = PathAndQuery::try_from(value);
    given
        .ok()
        .or_else(|| PathAndQuery::try_from(escaped(value).ok()?).ok())
}

fn uri(request: Request, authority: Authority, path: PathAndQuery) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match request.is_tls() {
        true => Scheme::HTTPS,
        false => Scheme::HTTP,
    });
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}
