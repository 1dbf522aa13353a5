//! Logs the sizes of the bodies of request and response, and replaces a text in both by another one, if the configuration has
//! them, with a blank between: `find replace`. The context that a request is known by is its size.

use http_wasm_guest::host::{Body, Request, Response, admin, feature, log};
use http_wasm_guest::{Guest, register};

/// Levels of the log.
const INFO: i32 = 0;
const WARN: i32 = 1;

struct Bodies {
    texts: Option<(Vec<u8>, Vec<u8>)>,
}

impl Bodies {
    /// Answers the size of the body that has come.
    fn see(&self, body: &Body) -> usize {
        let bytes = body.read();
        if let Some((find, replace)) = &self.texts {
            let new = replaced(&bytes, find, replace);
            if new != *bytes {
                body.write(&new);
            }
        }
        bytes.len()
    }
}

fn replaced(bytes: &[u8], find: &[u8], replace: &[u8]) -> Vec<u8> {
    let mut new = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        match rest.strip_prefix(find) {
            Some(behind) => {
                new.extend_from_slice(replace);
                rest = behind;
            }
            None => {
                new.push(*first);
                rest = &rest[1..];
            }
        }
    }
    new
}

impl Guest for Bodies {
    fn handle_request(&self, request: &Request, _: &Response) -> (bool, i32) {
        let size = self.see(&request.body);
        (true, size as i32)
    }

    fn handle_response(&self, size: i32, _: &Request, response: &Response, is_error: bool) {
        if is_error {
            log::write(WARN, b"no response");
            return;
        }
        let status = response.status();
        let got = self.see(&response.body);
        let line = format!("request of {size} bytes, response {status} of {got} bytes");
        log::write(INFO, line.as_bytes());
    }
}

fn main() {
    admin::enable(feature::BufferRequest | feature::BufferResponse);
    let configuration = admin::config();
    let mut words = configuration.splitn(2, |byte| *byte == b' ');
    let find = words.next().filter(|find| !find.is_empty());
    let texts = find.zip(words.next());
    let texts = texts.map(|(find, replace)| (find.to_vec(), replace.to_vec()));
    register(Bodies { texts });
}
