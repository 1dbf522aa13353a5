//! Logs all headers, and answers the path `/hello` itself.
//! Does what the public Rust SDK's example of this name does.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { id }))
    }
}

struct Stream {
    id: u32,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in self.get_http_request_headers() {
            log::info!("#{} -> {name}: {value}", self.id);
        }
        if self.get_http_request_header(":path").as_deref() != Some("/hello") {
            return Action::Continue;
        }
        let headers = vec![("Hello", "World"), ("Powered-By", "proxy-wasm")];
        self.send_http_response(200, headers, Some(b"Hello, World!\n"));
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in self.get_http_response_headers() {
            log::info!("#{} <- {name}: {value}", self.id);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        log::info!("#{} completed.", self.id);
    }
}
