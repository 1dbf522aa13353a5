//! Requests that a component makes, by the client that filters use.

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{Scheme, Uri};
use http::{Method, Request, Response};
use http_body::Body;

use crate::client::http1::exchange::Failure;
use crate::client::http1::shared::BodyError;
use crate::client::http1::stream;
use crate::client::http1::stream::{ResponseBody, Timeouts, To};
use crate::handler::http::upstream;
use crate::net::origin::Origin;
use crate::net::target::{Target, is_upstream_block};
use crate::net::tls::{HTTP_1, ServerName, Tls};

/// Why a request has no response. Displayed as one line, for the log.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Neither an upstream of nginx's configuration, nor allowed.
    #[error("requests to {0} are not allowed")]
    Denied(String),
    #[error("the URL has no host, or no server can be at it")]
    Url,
    #[error("the method is none that can be passed on")]
    Method,
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Makes a request. Those to `upstream` blocks by name are always allowed, others where `is_allowed` says so.
pub async fn send<B>(
    origin: &Origin,
    is_allowed: impl Fn(&Uri) -> bool,
    mut request: Request<B>,
    timeouts: Timeouts,
) -> Result<Response<ResponseBody>, CallError>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: BodyError,
{
    let to = place(origin, is_allowed, request.uri())?;
    if *request.method() == Method::CONNECT {
        return Err(CallError::Method);
    }
    let authority = request.uri().authority().ok_or(CallError::Url)?;
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| CallError::Url)?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(stream::send(origin, &to, request, timeouts).await?)
}

/// Where a request to this URL goes.
fn place(origin: &Origin, is_allowed: impl Fn(&Uri) -> bool, uri: &Uri) -> Result<To, CallError> {
    let authority = uri.authority().ok_or(CallError::Url)?;
    let is_block = uri.port().is_none() && is_upstream_block(origin, host(uri).as_bytes(), false);
    if !is_block && !is_allowed(uri) {
        return Err(CallError::Denied(authority.to_string()));
    }
    let without_user = authority.as_str().rsplit('@').next().unwrap_or_default();
    let named = upstream(origin, uri, without_user);
    let target = Target::parse(origin, named.as_bytes()).ok_or(CallError::Url)?;
    let tls = match uri.scheme() == Some(&Scheme::HTTPS) {
        false => None,
        true => Some(Tls {
            name: ServerName::from_authority(without_user.as_bytes()).ok_or(CallError::Url)?,
            alpn: HTTP_1,
        }),
    };
    Ok(To { target, tls })
}

fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default()
}
