//! Lets an upstream decide which requests may go on: it is asked with a
//! request of the same headers, and answers 2xx for those that may.

mod config;

use std::rc::Rc;

use config::Config;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

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
        let path = self.get_http_request_header(":path").unwrap_or_default();
        let method = self.get_http_request_header(":method").unwrap_or_default();
        let mut headers = vec![
            (":method", "GET"),
            (":path", self.config.path.as_str()),
            (":authority", self.config.authority.as_str()),
            ("x-original-method", method.as_str()),
            ("x-original-path", path.as_str()),
        ];
        let known: Vec<(&str, String)> = ["authorization", "cookie"]
            .into_iter()
            .filter_map(|name| Some((name, self.get_http_request_header(name)?)))
            .collect();
        headers.extend(known.iter().map(|(name, value)| (*name, value.as_str())));

        let call = self.dispatch_http_call(
            &self.config.upstream,
            headers,
            None,
            Vec::new(),
            self.config.timeout,
        );
        if call.is_err() {
            log::error!("cannot call the upstream \"{}\"", self.config.upstream);
            self.refuse(500);
        }
        Action::Pause
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, headers: usize, _: usize, _: usize) {
        if headers == 0 {
            return self.refuse(503);
        }
        let status = self.get_http_call_response_header(":status");
        match status.and_then(|status| status.parse().ok()) {
            Some(200..300) => {
                // What the upstream knows about the user goes to the next one.
                for (name, value) in self.get_http_call_response_headers_bytes() {
                    if name.starts_with("x-auth-") {
                        self.set_http_request_header_bytes(&name, Some(&value));
                    }
                }
                self.resume_http_request();
            }
            Some(401) => {
                let challenge = self.get_http_call_response_header("www-authenticate");
                let headers = challenge
                    .iter()
                    .map(|challenge| ("www-authenticate", challenge.as_str()))
                    .collect();
                self.send_http_response(401, headers, Some(b"Who are you?\n"));
            }
            _ => self.refuse(403),
        }
    }
}

impl Stream {
    fn refuse(&self, status: u32) {
        let text: &[u8] = match status {
            403 => b"Access forbidden.\n",
            _ => b"Access cannot be checked.\n",
        };
        self.send_http_response(status, Vec::new(), Some(text));
    }
}
