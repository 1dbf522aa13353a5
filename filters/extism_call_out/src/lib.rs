//! Asks another server: the URL is the configuration "url", with the input as its query. Answers what came of it.

use extism_pdk::{Error, FnResult, HttpRequest, Json, ToBytes, config, http, plugin_fn};
use serde::Serialize;

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Answer {
    status: u16,
    body: String,
}

#[plugin_fn]
pub fn call_out(query: String) -> FnResult<Answer> {
    let mut url = config::get("url")?.ok_or_else(|| Error::msg("no url in the configuration"))?;
    if !query.is_empty() {
        url = format!("{url}?{query}");
    }
    let request = HttpRequest::new(url).with_header("accept", "text/plain");
    let response = http::request::<()>(&request, None)?;
    Ok(Answer {
        status: response.status_code(),
        body: String::from_utf8_lossy(&response.body()).into_owned(),
    })
}
