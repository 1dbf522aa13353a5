//! Replaces all occurrences of a text in response bodies.
//!
//! The body is buffered by the host until its end, since an occurrence can
//! span chunks. A compressed response passes untouched: the text is not in it.

use std::rc::Rc;

use memchr::memmem;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Config {
    find: String,
    replace: String,
}

impl Config {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let Value::Object(object) = value else {
            return Err("must be a JSON object".into());
        };
        let mut config = Config::default();
        for (key, value) in object {
            let Value::String(text) = value else {
                return Err(format!("\"{key}\" must be a string"));
            };
            match key.as_str() {
                "find" => config.find = text,
                "replace" => config.replace = text,
                _ => {
                    return Err(format!(
                        "unknown key \"{key}\"; known are \"find\" and \"replace\""
                    ));
                }
            }
        }
        if config.find.is_empty() {
            return Err("\"find\" is missing or empty".into());
        }
        Ok(config)
    }
}

#[derive(Default)]
struct Root {
    config: Rc<Config>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Config::parse(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(config) => {
                self.config = Rc::new(config);
                true
            }
            Err(problem) => {
                log::error!("invalid configuration: {problem}");
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            config: Rc::clone(&self.config),
            rewrite: false,
        }))
    }
}

struct Stream {
    config: Rc<Config>,
    rewrite: bool,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.rewrite = match self.get_http_response_header_bytes("content-encoding") {
            None => true,
            Some(coding) => coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"),
        };
        if self.rewrite {
            // The new length is known only after the headers are sent.
            self.remove_http_response_header("content-length");
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.rewrite {
            return Action::Continue;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        let Some(body) = self.get_http_response_body(0, size) else {
            return Action::Continue;
        };
        if let Some(rewritten) = replace_all(
            &body,
            self.config.find.as_bytes(),
            self.config.replace.as_bytes(),
        ) {
            self.set_http_response_body(0, size, &rewritten);
        }
        Action::Continue
    }
}

/// The body with all occurrences replaced, from the start and without overlap;
/// `None` if there are none.
fn replace_all(body: &[u8], find: &[u8], replace: &[u8]) -> Option<Vec<u8>> {
    let count = memmem::find_iter(body, find).count();
    if count == 0 {
        return None;
    }
    // Counted first: a body is large, and growing would take twice its size.
    let len = body.len() - count * find.len() + count * replace.len();
    let mut rewritten = Vec::with_capacity(len);
    let mut rest = 0;
    for at in memmem::find_iter(body, find) {
        rewritten.extend_from_slice(&body[rest..at]);
        rewritten.extend_from_slice(replace);
        rest = at + find.len();
    }
    rewritten.extend_from_slice(&body[rest..]);
    Some(rewritten)
}
