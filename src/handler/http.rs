//! Outbound requests of plugins (`http_request`), by the client that filters use.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use extism_host::{HttpRequest, HttpResult};
use http::header::HOST;
use http::uri::Uri;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use proxy_wasm_host::{CallResponse, HttpCall as GuestCall, Status};

use crate::client::http1::call::HttpCall;
use crate::handler::services::Calling;
use crate::net::origin::Origin;
use crate::net::target::is_upstream_block;

/// Makes a request on behalf of this origin, or answers why there is none. The answer's body is bounded by
/// `wasm_call_buffer_size`, too.
pub fn call(
    calling: &Rc<Calling>,
    origin: Result<Origin, &'static str>,
    wanted: HttpRequest,
) -> impl Future<Output = HttpResult> + 'static {
    let begun = begin(calling, origin, &wanted);
    let most = wanted.max_response;
    let metrics = calling.metrics.clone();
    async move {
        let call = begun?;
        let result = match call.run().await {
            Ok(response) => answer(response, most),
            Err(failure) => Err(failure.to_string()),
        };
        if let Some(metrics) = metrics {
            metrics.http_ended(result.as_ref().err().map(String::as_str));
        }
        result
    }
}

/// Checks all that can be wrong with it.
fn begin(
    calling: &Calling,
    origin: Result<Origin, &'static str>,
    wanted: &HttpRequest,
) -> Result<HttpCall, String> {
    let origin = origin?;
    let uri = wanted.request.uri();
    let authority = uri.authority().ok_or("the URL has no host")?.as_str();
    let upstream = upstream(&origin, uri, authority);
    let scheme = uri.scheme_str().unwrap_or("http");
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = wanted.request.headers().get(HOST);
    let host = host.map_or(authority.as_bytes(), HeaderValue::as_bytes);
    let mut headers: Vec<(&[u8], &[u8])> = vec![
        (b":method", wanted.request.method().as_str().as_bytes()),
        (b":path", target.as_bytes()),
        (b":authority", host),
        (b":scheme", scheme.as_bytes()),
    ];
    let others = wanted.request.headers().iter();
    headers.extend(
        others
            .filter(|(name, _)| **name != HOST)
            .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())),
    );
    let call = GuestCall {
        upstream: upstream.as_bytes(),
        headers: &headers,
        body: wanted.request.body(),
        trailers: &[],
        timeout: wanted.timeout.unwrap_or(Duration::ZERO),
    };
    HttpCall::new(&origin, &call, &calling.budget).map_err(|status| match status {
        Status::InternalFailure => "the module's calls hold too much".into(),
        _ => format!("there is no upstream \"{upstream}\", or it is no proper request"),
    })
}

/// The `upstream` block of the host's name, if there is one and the URL has no port; else the host and its port.
pub fn upstream(origin: &Origin, uri: &Uri, authority: &str) -> String {
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(_), _) => return authority.to_owned(),
        (None, Some("https")) => 443,
        (None, _) => 80,
    };
    match is_upstream_block(origin, authority.as_bytes(), false) {
        true => authority.to_owned(),
        false => format!("{authority}:{port}"),
    }
}

fn answer(response: CallResponse, most: u64) -> HttpResult {
    if response.body.len() as u64 > most {
        return Err(format!("response body larger than {most} bytes"));
    }
    let mut answer = Response::new(response.body);
    for (name, value) in response.headers {
        if name == b":status" {
            let status = StatusCode::from_bytes(&value);
            *answer.status_mut() = status.map_err(|_| "the status is no number")?;
        } else if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&name),
            HeaderValue::from_bytes(&value),
        ) {
            // The client takes fewer lines than a map can have.
            let _ = answer.headers_mut().try_append(name, value);
        }
    }
    Ok(answer)
}
