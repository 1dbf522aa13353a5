//! Upper-cases the ASCII letters of bodies, chunk by chunk.
//!
//! Nothing is paused and nothing kept, so memory stays flat however long the
//! body is; and as no length changes, Content-Length stays true. A compressed
//! body passes untouched.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Clone, Copy)]
struct Config {
    request: bool,
    response: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            request: false,
            response: true,
        }
    }
}

impl Config {
    fn parse(text: &[u8]) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Config::default());
        }
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let Value::Object(object) = value else {
            return Err("must be a JSON object".into());
        };
        let mut config = Config::default();
        for (key, value) in object {
            if key != "direction" {
                return Err(format!("unknown key \"{key}\"; known is \"direction\""));
            }
            let (request, response) = match value.as_str() {
                Some("request") => (true, false),
                Some("response") => (false, true),
                Some("both") => (true, true),
                _ => {
                    return Err(
                        "\"direction\" must be \"request\", \"response\" or \"both\"".into(),
                    );
                }
            };
            config = Config { request, response };
        }
        Ok(config)
    }
}

#[derive(Default)]
struct Root {
    config: Config,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Config::parse(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(config) => {
                self.config = config;
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
            config: self.config,
        }))
    }
}

struct Stream {
    config: Config,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.config.request &= is_plain(self.get_http_request_header_bytes("content-encoding"));
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        if self.config.request
            && let Some(mut chunk) = self.get_http_request_body(0, size)
        {
            chunk.make_ascii_uppercase();
            self.set_http_request_body(0, size, &chunk);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.config.response &= is_plain(self.get_http_response_header_bytes("content-encoding"));
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        if self.config.response
            && let Some(mut chunk) = self.get_http_response_body(0, size)
        {
            chunk.make_ascii_uppercase();
            self.set_http_response_body(0, size, &chunk);
        }
        Action::Continue
    }
}

fn is_plain(content_encoding: Option<Vec<u8>>) -> bool {
    content_encoding
        .is_none_or(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}
