//! Removes, sets and adds request and response headers.

mod rules;

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use rules::Rules;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    rules: Rc<Rules>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Rules::parse(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(rules) => {
                self.rules = Rc::new(rules);
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
            rules: Rc::clone(&self.rules),
        }))
    }
}

struct Stream {
    rules: Rc<Rules>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let rules = &self.rules.request;
        for name in &rules.remove {
            self.remove_http_request_header(name);
        }
        for (name, value) in &rules.set {
            self.set_http_request_header(name, Some(value));
        }
        for (name, value) in &rules.add {
            self.add_http_request_header(name, value);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let rules = &self.rules.response;
        for name in &rules.remove {
            self.remove_http_response_header(name);
        }
        for (name, value) in &rules.set {
            self.set_http_response_header(name, Some(value));
        }
        for (name, value) in &rules.add {
            self.add_http_response_header(name, value);
        }
        Action::Continue
    }
}
