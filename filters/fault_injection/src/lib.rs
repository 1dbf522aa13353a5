//! Answers a share of the requests with a fixed response.
//!
//! The same filter exists in Go and AssemblyScript; all three take the same
//! configuration, log the same errors and answer the same bytes.

mod config;
mod random;

use std::cell::RefCell;
use std::rc::Rc;

use config::Config;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use random::Random;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    config: Rc<Config>,
    random: Rc<RefCell<Random>>,
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
            random: Rc::clone(&self.random),
        }))
    }
}

struct Stream {
    config: Rc<Config>,
    random: Rc<RefCell<Random>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.random.borrow_mut().percent() >= self.config.percentage {
            return Action::Continue;
        }
        self.send_http_response(
            self.config.http_status,
            Vec::new(),
            Some(self.config.body.as_bytes()),
        );
        Action::Pause
    }
}
