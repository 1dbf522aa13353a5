//! Makes the Redis calls that a request asks for, and answers with what came of them: a tool for tests.
//!
//! The configuration is the service as for `proxy_redis_init`, and what is called when it is read:
//! `{"service":"redis?db=1","username":"u","password":"p","timeout_ms":1000,"start":["PING"]}`.
//!
//! A request has these headers, each of them optional:
//!
//! - `x-init`: another service, `service username password milliseconds`, each of them percent-encoded
//! - `x-service`: the service of the calls
//! - `x-commands`: commands with `|` between them; their parts have spaces between them and are percent-encoded
//! - `x-query`: one query more, percent-encoded, as it is sent
//! - `x-mode`: `go` passes the request on without waiting; `trap` traps when it is told of a reply
//!
//! The answer has a line for each call: the status of the host function if it was refused, else the status and the reply that
//! were told, escaped. Each reply is logged as well.

mod abi;

use std::cell::RefCell;
use std::collections::HashMap;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

thread_local! {
    /// The context of a call that is under way, and which of its calls it is.
    static CALLS: RefCell<HashMap<u32, (u32, usize)>> = RefCell::default();
    static REQUESTS: RefCell<HashMap<u32, Request>> = RefCell::default();
}

/// The calls of a request.
#[derive(Default)]
struct Request {
    lines: Vec<Option<String>>,
    traps: bool,
    waits: bool,
}

#[derive(Default)]
struct Root {
    service: String,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        self.service = text("service");
        let timeout = value["timeout_ms"].as_u64().unwrap_or(0) as u32;
        let (username, password) = (text("username"), text("password"));
        let status = abi::init(
            self.service.as_bytes(),
            username.as_bytes(),
            password.as_bytes(),
            timeout,
        );
        log::info!("init: {status}");
        for command in value["start"].as_array().into_iter().flatten() {
            let query = query(command.as_str().unwrap_or_default());
            if let Err(status) = abi::call(self.service.as_bytes(), &query) {
                log::info!("call: {status}");
            }
        }
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            context,
            service: self.service.clone(),
        }))
    }
}

struct Stream {
    context: u32,
    service: String,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let header = |name: &str| self.get_http_request_header(name).unwrap_or_default();
        let mut request = Request {
            traps: header("x-mode") == "trap",
            waits: header("x-mode") != "go",
            ..Request::default()
        };
        if let Some(service) = self.get_http_request_header("x-init") {
            let mut parts = service.split(' ').map(decode);
            let mut part = || parts.next().unwrap_or_default();
            let (service, username, password, timeout) = (part(), part(), part(), part());
            let timeout = String::from_utf8_lossy(&timeout).parse().unwrap_or(0);
            let status = abi::init(&service, &username, &password, timeout);
            request.lines.push(Some(format!("init {status}")));
        }
        let service = self.get_http_request_header("x-service");
        let service = service.as_deref().unwrap_or(&self.service);
        let commands = header("x-commands");
        let mut queries: Vec<_> = commands
            .split('|')
            .filter(|command| !command.is_empty())
            .map(query)
            .collect();
        queries.extend(
            self.get_http_request_header("x-query")
                .as_deref()
                .map(decode),
        );
        for query in queries {
            request
                .lines
                .push(match abi::call(service.as_bytes(), &query) {
                    Err(status) => Some(format!("call {status}")),
                    Ok(id) => {
                        let place = (self.context, request.lines.len());
                        CALLS.with_borrow_mut(|calls| calls.insert(id, place));
                        None
                    }
                });
        }
        if !request.waits {
            REQUESTS.with_borrow_mut(|requests| requests.insert(self.context, request));
            return Action::Continue;
        }
        if answered(&request) {
            return Action::Pause;
        }
        REQUESTS.with_borrow_mut(|requests| requests.insert(self.context, request));
        Action::Pause
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        REQUESTS.with_borrow_mut(|requests| requests.remove(&self.context));
    }
}

/// Answers, if all calls have ended.
fn answered(request: &Request) -> bool {
    let lines: Option<Vec<_>> = request.lines.iter().map(|line| line.as_deref()).collect();
    let Some(lines) = lines else {
        return false;
    };
    let body = lines.join("\n") + "\n";
    if let Err(status) = hostcalls::send_http_response(200, Vec::new(), Some(body.as_bytes())) {
        log::error!("send_http_response: {status:?}");
    }
    true
}

/// The host tells of a reply.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_redis_call_response(_root: u32, id: u32, status: u32, len: u32) {
    let line = match abi::reply() {
        Ok(reply) if reply.len() == len as usize => format!("{status} {}", reply.escape_ascii()),
        Ok(reply) => format!("{status} of {len} bytes: {}", reply.len()),
        Err(error) => format!("{status} without a reply: {error}"),
    };
    log::info!("told {line}");
    let Some((context, index)) = CALLS.with_borrow_mut(|calls| calls.remove(&id)) else {
        return;
    };
    let done = REQUESTS.with_borrow_mut(|requests| {
        let request = requests.get_mut(&context)?;
        assert!(!request.traps, "as the request wants it");
        request.lines[index] = Some(line);
        let done = request.lines.iter().all(Option::is_some);
        if done {
            requests.remove(&context)
        } else {
            None
        }
    });
    if let Some(request) = done.filter(|request| request.waits) {
        abi::act_on(context);
        answered(&request);
    }
}

/// A command as RESP.
fn query(command: &str) -> Vec<u8> {
    let parts: Vec<_> = command.split(' ').map(decode).collect();
    let mut query = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        query.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        query.extend_from_slice(&part);
        query.extend_from_slice(b"\r\n");
    }
    query
}

/// Percent-encoded bytes. `%*N,c` stands for the character `c` N times.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if let Some((count, after)) = rest.strip_prefix('*').and_then(|r| r.split_once(',')) {
            let byte = after.as_bytes().first().copied().unwrap_or_default();
            bytes.resize(bytes.len() + count.parse().unwrap_or(0), byte);
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let digits = rest.get(..2).unwrap_or_default();
        bytes.extend(u8::from_str_radix(digits, 16));
        rest = rest.get(2..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
