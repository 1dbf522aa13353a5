//! The HTTP requests that guests ask for.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use glob::Pattern;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Request, Uri};
use serde::Deserialize;
use url::Url;

use crate::error::Refusal;

/// A request as guests write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Json {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    method: Option<String>,
}

/// Longest host that is looked at, in bytes: names have no more, and to match a pattern takes long for a long one.
const MAX_HOST: usize = 255;

/// Longest text of a guest's in an error, in characters.
const MAX_SHOWN: usize = 256;

/// A guest's text as a part of a line.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN)
        .collect::<String>()
        .escape_debug()
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

pub fn parse(json: &[u8]) -> Result<Json, Refusal> {
    serde_json::from_slice(json).map_err(|error| Refusal::HttpJson(shown(&error.to_string())))
}

/// The lines that say how a message is framed, or are of the connection. The client writes its own.
static FRAMING: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The request, if its host is an allowed one.
pub fn checked(
    json: Json,
    body: Vec<u8>,
    allowed: &[Pattern],
) -> Result<Request<Vec<u8>>, Refusal> {
    let bad = |what: &str, why: &dyn std::fmt::Display| Refusal::Http(format!("{what}: {why}"));
    let url = Url::parse(&json.url).map_err(|error| bad("Invalid URL", &error))?;
    let host = url.host_str().unwrap_or_default();
    let matches = |pattern: &Pattern| host.len() <= MAX_HOST && pattern.matches(host);
    if !allowed.iter().any(matches) {
        return Err(Refusal::HttpHost(shown(&json.url)));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("unknown scheme", &shown(url.scheme())));
    }
    let method = method(json.method.as_deref())?;
    let mut headers = header(&json.headers)?;
    let url = without_user(url, &mut headers);
    let uri: Uri = url
        .as_str()
        .parse()
        .map_err(|error| bad("Invalid URL", &error))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// In capital letters; `GET` by default. Only those of the standard, and no tunnels.
fn method(name: Option<&str>) -> Result<Method, Refusal> {
    let name = name.unwrap_or("GET").to_uppercase();
    match name.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "PATCH" => {
            Method::from_bytes(name.as_bytes()).map_err(|error| Refusal::Http(error.to_string()))
        }
        _ => Err(Refusal::Http(format!(
            "unknown method {}",
            name.escape_debug()
        ))),
    }
}

fn header(lines: &BTreeMap<String, String>) -> Result<HeaderMap, Refusal> {
    let mut header = HeaderMap::new();
    for (name, value) in lines {
        let bad = |_| Refusal::Http(format!("invalid header {}", shown(name)));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
        let value = HeaderValue::from_str(value).map_err(|_| bad(()))?;
        if !FRAMING.contains(&key) {
            let appended = header.try_append(key, value);
            appended.map_err(|_| Refusal::Http("too many headers".into()))?;
        }
    }
    Ok(header)
}

/// Moves a URL's user and password to the header, and drops its fragment, which is not sent.
fn without_user(mut url: Url, header: &mut HeaderMap) -> Url {
    url.set_fragment(None);
    if url.username().is_empty() && url.password().is_none() {
        return url;
    }
    let user = format!("{}:{}", url.username(), url.password().unwrap_or_default());
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user)));
    if let (Ok(value), false) = (value, header.contains_key(AUTHORIZATION)) {
        // There are few of them.
        let _ = header.try_insert(AUTHORIZATION, value);
    }
    // They fail only for URLs that can have no user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str, hosts: &[&str]) -> Result<Request<Vec<u8>>, String> {
        let hosts: Vec<_> = hosts.iter().map(|h| Pattern::new(h).unwrap()).collect();
        let json = parse(json.as_bytes()).map_err(|e| e.to_string())?;
        checked(json, Vec::new(), &hosts).map_err(|e| e.to_string())
    }

    fn allows(url: &str, host: &str) -> bool {
        request(&format!(r#"{{"url":"{url}"}}"#), &[host]).is_ok()
    }

    #[test]
    fn hosts_are_matched_without_port_and_in_lower_case() {
        for (url, pattern) in [
            ("http://a.test/", "a.test"),
            ("http://A.TEST:81/", "a.test"),
            ("http://x.y.a.test/", "*.a.test"),
            ("http://127.0.0.1:80/", "127.0.0.1"),
            ("http://127.1/", "127.0.0.1"),
            ("http://[::1]:80/", "[[]::1]"),
            ("http://u:p@a.test/", "a.test"),
            ("http://a.test/", "*"),
            ("http://a.test/", "[a-b].test"),
        ] {
            assert!(allows(url, pattern), "{url} {pattern}");
        }
        for (url, pattern) in [
            ("http://127.0.0.1:80/", "127.0.0.1:80"),
            ("http://localhost/", "LOCALHOST"),
            ("http://a.test.evil/", "a.test"),
            ("http://a.test@evil/", "a.test"),
            ("http://evil/#a.test", "*a.test"),
            ("http://evil\\\\@a.test/", "a.test"),
            ("http://a.test/", "http://a.test"),
        ] {
            assert!(!allows(url, pattern), "{url} {pattern}");
        }
    }

    #[test]
    fn long_hosts_and_long_errors() {
        let long = format!("http://{}/", "a.".repeat(500_000));
        assert!(!allows(&long, "*a*b*c*d*"));
        let json = format!(r#"{{"url":"{long}"}}"#);
        assert!(request(&json, &["*"]).unwrap_err().len() < 400);
    }

    #[test]
    fn what_is_checked_is_what_is_called() {
        let uri =
            |url| request(&format!(r#"{{"url":"{url}"}}"#), &["*"]).map(|r| r.uri().to_string());
        assert_eq!(
            uri("HTTP://A.test:80/ä b?q#f").unwrap(),
            "http://a.test/%C3%A4%20b?q"
        );
        assert_eq!(uri("http://u:p@a.test").unwrap(), "http://a.test/");
        for url in [
            "a.test",
            "",
            "ftp://a.test/",
            "http://",
            "file:///etc/passwd",
            "data:,x",
        ] {
            assert!(uri(url).is_err(), "{url}");
        }
    }

    #[test]
    fn methods_and_headers() {
        let json = r#"{"url":"http://u:p@a.test","method":"post","headers":{"Host":"b","X":"1","Content-Length":"9"}}"#;
        let made = request(json, &["*"]).unwrap();
        assert_eq!(made.method(), Method::POST);
        assert_eq!(made.headers()["host"], "b");
        assert_eq!(made.headers()["authorization"], "Basic dTpw");
        assert!(!made.headers().contains_key("content-length"));
        let lines: Vec<_> = (0..50_000).map(|n| format!("\"h{n}\":\"\"")).collect();
        let many = format!(r#"{{"url":"http://a","headers":{{{}}}}}"#, lines.join(","));
        for json in [
            many.as_str(),
            r#"{"url":"http://a","method":"foo"}"#,
            r#"{"url":"http://a","method":"CONNECT"}"#,
            r#"{"url":"http://a","method":"GET /x"}"#,
            r#"{"url":"http://a","headers":{"a b":"1"}}"#,
            r#"{"url":"http://a","headers":{"a":"1\r\nb: 2"}}"#,
            r#"{"url":"http://a","headers":{"a":1}}"#,
            r#"{"url":"http://a","header":{}}"#,
            r#"{"method":"GET"}"#,
            "",
        ] {
            assert!(request(json, &["*"]).is_err(), "{json}");
        }
    }
}
