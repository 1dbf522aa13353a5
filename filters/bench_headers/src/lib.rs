//! Reads three request headers, sets a request header and a response header: what a small filter
//! of the usual kind does. The response header says what was read.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { read: 0 }))
    }
}

struct Stream {
    read: usize,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for name in [":path", ":authority", "user-agent"] {
            let value = self.get_http_request_header(name);
            self.read += usize::from(value.is_some());
        }
        self.set_http_request_header("x-bench-request", Some("1"));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let value = match self.read {
            3 => "all",
            _ => "some",
        };
        self.set_http_response_header("x-bench-response", Some(value));
        Action::Continue
    }
}
