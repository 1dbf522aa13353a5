//! HTTP requests, with all that they can have.

use std::collections::BTreeMap;

use extism_pdk::{
    FnResult, FromBytes, HttpRequest, Json, Memory, ToBytes, extism, http, plugin_fn,
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, FromBytes)]
#[encoding(Json)]
struct Request {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Response {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Makes the request that its input describes.
#[plugin_fn]
pub fn http_request(input: Request) -> FnResult<Response> {
    let mut request = HttpRequest::new(input.url);
    request.method = input.method;
    request.headers = input.headers;
    let response = http::request(&request, input.body)?;
    Ok(Response {
        status: response.status_code(),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        body: String::from_utf8_lossy(&response.body()).into_owned(),
    })
}

/// Hands its input to the host as a request, whatever it is; answers the status.
#[plugin_fn]
pub fn http_raw(input: Vec<u8>) -> FnResult<String> {
    let request = Memory::from_bytes(input)?;
    // SAFETY: calls of the host, which takes the block from here on.
    let status = unsafe {
        extism::http_request(request.offset(), 0);
        extism::http_status_code()
    };
    Ok(status.to_string())
}

/// The status where no request was made.
#[plugin_fn]
pub fn http_status_before() -> FnResult<String> {
    // SAFETY: calls of the host.
    Ok(unsafe { format!("{} {}", extism::http_status_code(), extism::http_headers()) })
}
