//! Tries what a host has to do. The request header `x-httpwasm-tck-testid` names the case: a function, what it is about, and
//! how. What goes on to the next handler is for that to show; of what does not, `x-httpwasm-tck-failed` says what is wrong.

use http_wasm_guest::host::{Request, Response, admin, feature};
use http_wasm_guest::{Guest, register};

struct Cases;

/// Goes on to the next handler (true), or is answered here; an error says what is wrong.
type Outcome = Result<bool, String>;

fn expect(what: &str, want: &[u8], have: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy;
    match want == have {
        true => Ok(false),
        false => Err(format!("{what}: want {}, have {}", text(want), text(have))),
    }
}

/// The targets that clients ask for, and that requests get.
fn target(case: &str) -> Option<&'static str> {
    Some(match case {
        "simple" => "/simple",
        "simple/escaping" => "/simple%26clean",
        "query" => "/animal?name=panda",
        "query/escaping" => "/disney?name=chip%26dale",
        _ => return None,
    })
}

/// The name of a header that is asked for, and the values that it has.
fn header(case: &str) -> Option<(&'static [u8], &'static [&'static [u8]])> {
    Some(match case {
        "lowercase-key" => (b"single-header", &[b"value"]),
        "mixedcase-key" => (b"Single-Header", &[b"value"]),
        "not-exists" => (b"not-header", &[]),
        "multiple-values" => (b"multi-header", &[b"value1", b"value2"]),
        _ => return None,
    })
}

/// Bytes of a request's body.
fn size(case: &str) -> Option<usize> {
    Some(match case {
        "empty" => 0,
        "small" => 5,
        "medium" => 2048,
        "large" => 4096,
        "xlarge" => 5000,
        _ => return None,
    })
}

fn name(case: &str) -> Option<&'static [u8]> {
    match case {
        "new" => Some(b"new-header"),
        "existing" => Some(b"existing-header"),
        _ => None,
    }
}

/// `None`: there is no such case.
fn run(case: &str, request: &Request, response: &Response) -> Option<Outcome> {
    let (function, rest) = case.split_once('/').unwrap_or((case, ""));
    let of_request = rest.strip_prefix("request/");
    let header_of = |case: Option<&str>| case.and_then(name);
    Some(match function {
        "get_protocol_version" => {
            response.body.write(&request.version());
            Ok(false)
        }
        "get_method" => expect(function, rest.as_bytes(), &request.method()),
        "set_method" => {
            request.set_method(b"POST");
            Ok(true)
        }
        "get_uri" => expect(function, target(rest)?.as_bytes(), &request.uri()),
        "set_uri" => {
            request.set_uri(target(rest)?.as_bytes());
            Ok(true)
        }
        "get_header_names" => {
            let names = request.header.names();
            let has = |name: &[u8]| names.iter().any(|known| &known[..] == name);
            match has(b"a-header") && has(b"b-header") && has(b"host") {
                true => Ok(false),
                false => Err(format!("{function}: have {names:?}")),
            }
        }
        "get_header_values" => {
            let (name, want) = header(of_request?)?;
            let have = request.header.values(name);
            match have.iter().map(|value| &value[..]).eq(want.iter().copied()) {
                true => Ok(false),
                false => Err(format!("{function}: have {have:?}")),
            }
        }
        "set_header_value" => {
            request.header.set(header_of(of_request)?, b"value");
            Ok(true)
        }
        "add_header_value" => {
            request.header.add(header_of(of_request)?, b"value");
            Ok(true)
        }
        "remove_header" => {
            request.header.remove(header_of(of_request)?);
            Ok(true)
        }
        "read_body" => {
            let want = vec![b'a'; size(of_request?)?];
            expect(function, &want, &request.body.read())
        }
        _ => return None,
    })
}

impl Guest for Cases {
    fn handle_request(&self, request: &Request, response: &Response) -> (bool, i32) {
        let case = request.header.get(b"x-httpwasm-tck-testid");
        let case = case.unwrap_or_default();
        let text = String::from_utf8_lossy(&case);
        let outcome = run(&text, request, response);
        let outcome = outcome.unwrap_or_else(|| Err(format!("unknown case {text}")));
        response.header.set(b"x-httpwasm-tck-handled", b"1");
        let next = outcome.unwrap_or_else(|error| {
            response.set_status(500);
            response
                .header
                .set(b"x-httpwasm-tck-failed", error.as_bytes());
            false
        });
        (next, 0)
    }
}

fn main() {
    let all = feature::BufferRequest | feature::BufferResponse | feature::Trailers;
    assert_eq!(admin::enable(all), i32::from(all), "all features");
    register(Cases);
}
