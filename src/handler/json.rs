//! Requests and responses as JSON (`input=json`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::conf::handler::HandlerConf;
use crate::message::headers::request as headers;
use crate::nginx::request::Request;
use crate::nginx::variable;

/// What a plugin gets.
#[derive(Serialize)]
struct JsonRequest {
    method: String,
    /// As the client sent it: path and query.
    uri: String,
    /// Decoded.
    path: String,
    /// Without the question mark; empty when there is none.
    query: String,
    /// By names in lower case, each with its values in their order.
    headers: Map<String, Value>,
    /// A body that is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Any other body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    remote_addr: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    variables: Map<String, Value>,
}

/// What a plugin answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonResponse {
    #[serde(default)]
    status: Option<u16>,
    /// A text, or a list of texts for several lines.
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
}

/// A response that a plugin has described.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The request as JSON.
pub fn request(request: Request, conf: &HandlerConf, body: Vec<u8>) -> Vec<u8> {
    let mut lines: Map<String, Value> = Map::new();
    headers::visit(request, &mut |name, value| {
        if name.first() == Some(&b':') {
            return;
        }
        let values = lines
            .entry(text(name))
            .or_insert_with(|| Value::Array(vec![]));
        if let Value::Array(values) = values {
            values.push(Value::String(text(value)));
        }
    });
    let of = |name: &[u8]| {
        let mut found = None;
        variable::get(request, name, &mut |value| found = Some(text(value)));
        found
    };
    let named = conf.variables.iter();
    let variables = named.filter_map(|name| Some((text(name), Value::String(of(name)?))));
    let variables = variables.collect();
    let (body, body_base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
    };
    let described = JsonRequest {
        method: of(b"request_method").unwrap_or_default(),
        uri: of(b"request_uri").unwrap_or_default(),
        path: of(b"uri").unwrap_or_default(),
        query: of(b"args").unwrap_or_default(),
        headers: lines,
        body,
        body_base64,
        remote_addr: of(b"remote_addr").unwrap_or_default(),
        variables,
    };
    // Texts and lists of texts cannot fail to be written.
    serde_json::to_vec(&described).unwrap_or_default()
}

/// The response that JSON describes; an error says what is wrong with it.
pub fn response(json: &[u8]) -> Result<Response, String> {
    let described: JsonResponse = serde_json::from_slice(json)
        .map_err(|error| format!("the output is no response as JSON: {error}"))?;
    let status = described.status.unwrap_or(200);
    if !(200..=999).contains(&status) {
        return Err(format!("the status {status} is not from 200 to 999"));
    }
    let mut headers = Vec::new();
    for (name, value) in described.headers {
        match value {
            Value::String(value) => headers.push((name, value)),
            Value::Array(values) => {
                for value in values {
                    let Value::String(value) = value else {
                        return Err(format!("a value of the header \"{name}\" is no text"));
                    };
                    headers.push((name.clone(), value));
                }
            }
            _ => {
                return Err(format!(
                    "the header \"{name}\" is no text and no list of texts"
                ));
            }
        }
    }
    let body = match (described.body, described.body_base64) {
        (Some(_), Some(_)) => return Err("there is a body and a body_base64".into()),
        (Some(text), None) => text.into_bytes(),
        (None, Some(encoded)) => STANDARD
            .decode(encoded)
            .map_err(|error| format!("body_base64: {error}"))?,
        (None, None) => Vec::new(),
    };
    Ok(Response {
        status,
        headers,
        body,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
