//! Rules for headers, one in each line of the configuration:
//!
//! ```text
//! request set x-name a value
//! response add x-name a value
//! response remove server
//! ```

use http_wasm_guest::host::{Header, Request, Response, admin, feature, log};
use http_wasm_guest::{Guest, register};

/// A level of the log.
const ERROR: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

enum Change {
    Set(String),
    Add(String),
    Remove,
}

struct Rule {
    side: Side,
    name: String,
    change: Change,
}

impl Rule {
    fn parse(line: &str) -> Option<Rule> {
        let mut words = line.trim().splitn(4, ' ');
        let side = match words.next()? {
            "request" => Side::Request,
            "response" => Side::Response,
            _ => return None,
        };
        let (change, name) = (words.next()?, words.next()?.to_owned());
        let value = words.next().map(str::to_owned);
        let change = match (change, value) {
            ("set", value) => Change::Set(value.unwrap_or_default()),
            ("add", value) => Change::Add(value.unwrap_or_default()),
            ("remove", None) => Change::Remove,
            _ => return None,
        };
        Some(Rule { side, name, change })
    }

    fn apply(&self, headers: &Header) {
        let name = self.name.as_bytes();
        match &self.change {
            Change::Set(value) => headers.set(name, value.as_bytes()),
            Change::Add(value) => headers.add(name, value.as_bytes()),
            Change::Remove => headers.remove(name),
        }
    }
}

struct Rules(Vec<Rule>);

impl Rules {
    fn apply(&self, side: Side, headers: &Header) {
        let rules = self.0.iter().filter(|rule| rule.side == side);
        rules.for_each(|rule| rule.apply(headers));
    }
}

impl Guest for Rules {
    fn handle_request(&self, request: &Request, _: &Response) -> (bool, i32) {
        self.apply(Side::Request, &request.header);
        (true, 0)
    }

    fn handle_response(&self, _: i32, _: &Request, response: &Response, _: bool) {
        self.apply(Side::Response, &response.header);
    }
}

fn main() {
    let configuration = admin::config();
    let text = String::from_utf8_lossy(&configuration);
    let mut rules = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match Rule::parse(line) {
            Some(rule) => rules.push(rule),
            None => {
                log::write(ERROR, format!("invalid rule: {line}").as_bytes());
                std::process::exit(1);
            }
        }
    }
    if rules.iter().any(|rule| rule.side == Side::Response) {
        // Else a response cannot be changed any more.
        admin::enable(feature::BufferResponse);
    }
    register(Rules(rules));
}
