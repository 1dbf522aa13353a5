//! Lets requests through that have one of the configuration's sessions in their cookie `session`, and tells the upstream
//! whose it is. A line of the configuration is a session and its user: `s3cret alice`.

use http_wasm_guest::host::{Request, Response, admin};
use http_wasm_guest::{Guest, register};

struct Sessions(Vec<(Vec<u8>, Vec<u8>)>);

impl Sessions {
    fn user(&self, cookies: &[u8]) -> Option<&[u8]> {
        let mut cookies = cookies.split(|byte| *byte == b';');
        cookies.find_map(|cookie| {
            let session = cookie.trim_ascii().strip_prefix(b"session=")?;
            let known = self.0.iter().find(|(known, _)| known == session)?;
            Some(known.1.as_slice())
        })
    }
}

impl Guest for Sessions {
    fn handle_request(&self, request: &Request, response: &Response) -> (bool, i32) {
        let cookies = request.header.values(b"cookie");
        match cookies.iter().find_map(|cookies| self.user(cookies)) {
            Some(user) => {
                // Whatever the client says of itself.
                request.header.set(b"x-user", user);
                (true, 0)
            }
            None => {
                response.set_status(401);
                response.header.set(b"content-type", b"text/plain");
                response.header.set(b"www-authenticate", b"Cookie");
                response.body.write(b"who are you?\n");
                (false, 0)
            }
        }
    }
}

fn main() {
    let configuration = admin::config();
    let lines = configuration.split(|byte| *byte == b'\n');
    let sessions = lines.filter_map(|line| {
        let line = line.trim_ascii();
        let at = line.iter().position(|byte| *byte == b' ')?;
        Some((line[..at].to_vec(), line[at + 1..].to_vec()))
    });
    register(Sessions(sessions.collect()));
}
