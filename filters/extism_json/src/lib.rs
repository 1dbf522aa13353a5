//! A request comes as JSON, and a response goes as JSON: what `input=json` of `wasm_handler` does.
//!
//! Answers with what it was asked, in lines; the path /teapot is 418, and /none is 204.

use std::collections::BTreeMap;

use extism_pdk::{FnResult, FromBytes, Json, ToBytes, plugin_fn};
use serde::{Deserialize, Serialize};

type Headers = BTreeMap<String, Vec<String>>;

#[derive(Deserialize, FromBytes)]
#[encoding(Json)]
struct Request {
    method: String,
    uri: String,
    path: String,
    query: String,
    headers: Headers,
    #[serde(default)]
    body: String,
    remote_addr: String,
}

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Response {
    status: u16,
    headers: Headers,
    body: String,
}

#[plugin_fn]
pub fn handle(request: Request) -> FnResult<Response> {
    let status = match request.path.as_str() {
        "/teapot" => 418,
        "/none" => 204,
        _ => 200,
    };
    let names = request.headers.get("x-name").cloned().unwrap_or_default();
    let body = format!(
        "{} {}\npath {}\nquery {}\nfrom {}\nx-name {}\nbody {}\n",
        request.method,
        request.uri,
        request.path,
        request.query,
        request.remote_addr,
        names.join(","),
        request.body
    );
    let headers = Headers::from([
        ("content-type".into(), vec!["text/plain".into()]),
        ("x-method".into(), vec![request.method]),
        ("x-two".into(), vec!["1".into(), "2".into()]),
    ]);
    Ok(Response {
        status,
        headers,
        body: if status == 204 { String::new() } else { body },
    })
}
