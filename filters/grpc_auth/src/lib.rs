//! Lets a gRPC service decide which requests may go on. Its one message is the
//! value of the request's `authorization` header, and what it answers is added
//! to the request as `x-auth`. Its status decides: 0 for those that may go on.

mod config;

use std::rc::Rc;

use config::Config;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, Bytes, ContextType, LogLevel};

/// gRPC's status codes that have an HTTP status of their own here.
const PERMISSION_DENIED: u32 = 7;
const UNAUTHENTICATED: u32 = 16;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

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
        }))
    }
}

struct Stream {
    config: Rc<Config>,
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let header =
            |name| -> Bytes { self.get_http_request_header_bytes(name).unwrap_or_default() };
        let (method, path) = (header(":method"), header(":path"));
        let call = self.dispatch_grpc_call(
            &self.config.upstream,
            &self.config.service,
            &self.config.method,
            vec![("x-original-method", &method), ("x-original-path", &path)],
            Some(&header("authorization")),
            self.config.timeout,
        );
        if call.is_err() {
            log::error!("cannot call the upstream \"{}\"", self.config.upstream);
            self.send_http_response(500, Vec::new(), Some(b"Access cannot be checked.\n"));
        }
        Action::Pause
    }
}

impl Context for Stream {
    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        if status == 0 {
            let answer = self.get_grpc_call_response_body(0, size);
            self.set_http_request_header_bytes("x-auth", answer.as_deref());
            return self.resume_http_request();
        }
        let (_, message) = self.get_grpc_status();
        let message = message.unwrap_or_default();
        log::info!("gRPC status {status}: {message}");
        let http_status = match status {
            PERMISSION_DENIED => 403,
            UNAUTHENTICATED => 401,
            _ => {
                return self.send_http_response(
                    503,
                    Vec::new(),
                    Some(b"Access cannot be checked.\n"),
                );
            }
        };
        let body = format!("{message}\n");
        self.send_http_response(http_status, Vec::new(), Some(body.as_bytes()));
    }
}
