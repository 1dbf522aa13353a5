//! Asks the upstream `bench_upstream` before each request goes on; the response header
//! `x-bench-call` is the status of its answer.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

const TIMEOUT: Duration = Duration::from_secs(5);

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
        Some(Box::new(Stream { answer: None }))
    }
}

struct Stream {
    /// None until there is one, and where there is none.
    answer: Option<String>,
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, _: usize, _: usize, _: usize) {
        self.answer = self.get_http_call_response_header(":status");
        self.resume_http_request();
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers = vec![
            (":method", "GET"),
            (":path", "/"),
            (":authority", "bench_upstream"),
        ];
        match self.dispatch_http_call("bench_upstream", headers, None, vec![], TIMEOUT) {
            Ok(_) => Action::Pause,
            Err(_) => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let value = self.answer.as_deref().unwrap_or("failed");
        self.set_http_response_header("x-bench-call", Some(value));
        Action::Continue
    }
}
