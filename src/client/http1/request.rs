//! An HTTP request that a guest wants made, checked before anything of it can reach a wire.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use proxy_wasm_host::{HttpCall, Pairs, Status};

use crate::client::body::Payload;
use crate::client::http1::loan::Line;
use crate::net::tls::{HTTP_1, ServerName, Tls};

/// A request as it will be sent; it may have to be sent twice.
pub struct Request {
    method: Method,
    path: PathAndQuery,
    /// What stands in the request line in the place of `path`, which is `/` then.
    target: Option<Bytes>,
    authority: HeaderValue,
    /// `:scheme` is https.
    tls: Option<Tls>,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Request {
    /// `Err(BadArgument)`: `:method`, `:path` or `:authority` is missing, given twice or wrong, or
    /// a name or value cannot stand in an HTTP message (RFC 9110, section 5). As in Envoy, any
    /// `:path` goes out that can stand in a request line, be it an absolute URL or no path at all.
    ///
    /// Headers about the connection and the framing are the host's and are left out: RFC 9110,
    /// sections 7.6.1 and 8.6.
    pub fn new(call: &HttpCall<'_>) -> Result<Request, Status> {
        let (mut method, mut path, mut authority, mut scheme) = (None, None, None, None);
        let mut host = None;
        let mut headers = HeaderMap::with_capacity(call.headers.len());
        for &(name, value) in call.headers {
            match name {
                b":method" => once(&mut method, value)?,
                b":path" => once(&mut path, value)?,
                b":authority" => once(&mut authority, value)?,
                b":scheme" => once(&mut scheme, value)?,
                _ => {
                    let (name, value) = field(name, value)?;
                    if name == HOST {
                        host.get_or_insert(value);
                    } else {
                        add(&mut headers, name, value)?;
                    }
                }
            }
        }
        let authority = match authority {
            Some(authority) => HeaderValue::from_bytes(authority).map_err(bad)?,
            None => host.ok_or(Status::BadArgument)?,
        };
        let tls = match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => Some(Tls {
                name: ServerName::from_authority(authority.as_bytes())
                    .ok_or(Status::BadArgument)?,
                alpn: HTTP_1,
            }),
            _ => None,
        };
        let method = Method::from_bytes(method.ok_or(Status::BadArgument)?).map_err(bad)?;
        if method == Method::CONNECT {
            return Err(Status::BadArgument);
        }
        let (path, target) = path_and_target(path.ok_or(Status::BadArgument)?)?;
        remove_hop_by_hop(&mut headers);
        headers.remove(CONTENT_LENGTH);
        let trailers = trailers(call.trailers)?;
        if let Some(trailers) = &trailers {
            announce(&mut headers, trailers)?;
        } else if !call.body.is_empty() || has_content(&method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(call.body.len()));
        }
        Ok(Request {
            method,
            path,
            target,
            authority,
            tls,
            headers,
            body: Bytes::copy_from_slice(call.body),
            trailers,
        })
    }

    /// TLS, with the host of `:authority` as the server's name.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// May the request be made again when it is not known what became of it? nginx's
    /// `ngx_http_upstream_next` excepts the same methods.
    pub fn idempotent(&self) -> bool {
        !matches!(self.method.as_str(), "POST" | "LOCK" | "PATCH")
    }

    /// How the request line has to be changed that hyper makes of [`Request::message`].
    pub fn line(&self) -> Option<Line> {
        let target = self.target.as_ref()?;
        let before = self.method.as_str().len() + 1;
        let mut new = Vec::with_capacity(before + target.len());
        new.extend_from_slice(self.method.as_str().as_bytes());
        new.push(b' ');
        new.extend_from_slice(target);
        Some(Line::new(new, before + self.path.as_str().len()))
    }

    /// The request for hyper.
    pub fn message(&self) -> http::Request<Payload> {
        let payload = Payload::new(self.body.clone(), self.trailers.clone());
        let mut message = http::Request::new(payload);
        *message.method_mut() = self.method.clone();
        *message.uri_mut() = Uri::from(self.path.clone());
        // The host goes first (RFC 9110, section 7.2).
        let headers = message.headers_mut();
        headers.reserve(self.headers.len() + 1);
        headers.insert(HOST, self.authority.clone());
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        message
    }
}

/// A pair as a header, its name in lower case.
pub fn field(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), Status> {
    // A pseudo-header is no name.
    let name = HeaderName::from_bytes(name).map_err(bad)?;
    let value = HeaderValue::from_bytes(value).map_err(bad)?;
    Ok((name, value))
}

/// Appends a header behind others of its name.
pub fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), Status> {
    headers.try_append(name, value).map_err(bad)?;
    Ok(())
}

/// Takes out what is about one connection only: RFC 9110, section 7.6.1.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in nominated {
        headers.remove(name);
    }
    for name in [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn once<'a>(earlier: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Status> {
    match earlier.replace(value) {
        None => Ok(()),
        Some(_) => Err(Status::BadArgument),
    }
}

/// Does content-length tell something even without a body? Envoy's
/// `HeaderUtility::requestShouldHaveNoBody` excepts the same methods.
pub fn has_content(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::TRACE | Method::CONNECT
    )
}

/// The path as it goes on the wire, or what stands there instead of `/`: hyper writes paths alone.
fn path_and_target(path: &[u8]) -> Result<(PathAndQuery, Option<Bytes>), Status> {
    let slash = PathAndQuery::from_static("/");
    match path {
        // RFC 9112, section 3.2.1.
        b"" => Ok((slash, None)),
        b"*" | [b'/', ..] => match PathAndQuery::try_from(path) {
            Ok(path) => Ok((path, None)),
            Err(_) => Ok((PathAndQuery::try_from(escaped(path)?).map_err(bad)?, None)),
        },
        _ if path.len() > MAX_TARGET => Err(Status::BadArgument),
        _ => Ok((slash, Some(escaped(path)?.into()))),
    }
}

/// Bytes of a request's target at most, which are those of a path in [`http::Uri`].
const MAX_TARGET: usize = u16::MAX as usize - 1;

/// What must not stand in a request line, but can be meant by nothing else, is escaped, as browsers
/// do.
pub fn escaped(path: &[u8]) -> Result<String, Status> {
    let mut escaped = String::with_capacity(path.len() * 2);
    for &byte in path {
        match byte {
            b'\t'
            | b' '
            | b'"'
            | b'<'
            | b'>'
            | b'`'
            | b'{'
            | b'}'
            | b'\\'
            | b'^'
            | b'|'
            | 0x80.. => {
                escaped.push('%');
                for digit in [byte >> 4, byte & 15] {
                    escaped.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
            0..b' ' | 0x7f => return Err(Status::BadArgument),
            _ => escaped.push(char::from(byte)),
        }
    }
    Ok(escaped)
}

fn trailers(pairs: Pairs<'_>) -> Result<Option<HeaderMap>, Status> {
    let mut trailers = HeaderMap::with_capacity(pairs.len());
    for &(name, value) in pairs {
        let (name, value) = field(name, value)?;
        add(&mut trailers, name, value)?;
    }
    remove_hop_by_hop(&mut trailers);
    trailers.remove(CONTENT_LENGTH);
    trailers.remove(HOST);
    Ok((!trailers.is_empty()).then_some(trailers))
}

/// A body with trailers is chunked, and hyper sends only trailers that the header has announced.
fn announce(headers: &mut HeaderMap, trailers: &HeaderMap) -> Result<(), Status> {
    let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
    let names = HeaderValue::from_str(&names.join(", ")).map_err(bad)?;
    headers.insert(TRAILER, names);
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    Ok(())
}

fn bad<E>(_: E) -> Status {
    Status::BadArgument
}
