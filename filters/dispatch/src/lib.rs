//! Asks an upstream about each request and tells the request what came;
//! numbers the requests in shared data, counts them in metrics, and collects
//! a line for each in a queue.
//!
//! The same filter exists in Go, AssemblyScript and C++; all four take the
//! same configuration and say the same.

mod config;

use std::rc::Rc;
use std::time::Duration;

use config::Config;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType, Status};

/// Bounds the call.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The key in shared data.
const KEY: &str = "dispatch";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    shared: Rc<Shared>,
}

/// What the root context prepares for its streams.
#[derive(Default)]
struct Shared {
    config: Config,
    queue: u32,
    /// Counter of requests.
    requests: u32,
    /// Histogram of the sizes of answers, in bytes.
    size: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let config = match Config::parse(&text) {
            Ok(config) => config,
            Err(problem) => {
                log::error!("invalid configuration: {problem}");
                return false;
            }
        };
        let metric = |kind, name| hostcalls::define_metric(kind, name).unwrap_or_default();
        self.shared = Rc::new(Shared {
            queue: self.register_shared_queue(&config.queue),
            requests: metric(MetricType::Counter, "dispatch.requests"),
            size: metric(MetricType::Histogram, "dispatch.size"),
            config,
        });
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        while let Ok(Some(message)) = self.dequeue_shared_queue(queue) {
            log::info!("queue: {}", String::from_utf8_lossy(&message));
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            shared: Rc::clone(&self.shared),
            path: String::new(),
            number: 0,
            result: String::new(),
        }))
    }
}

struct Stream {
    shared: Rc<Shared>,
    path: String,
    number: u64,
    /// Status and size of the answer, and the request's number.
    result: String,
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = self.get_http_request_header(":path").unwrap_or_default();
        self.number = self.next_number();
        if let Err(status) = hostcalls::increment_metric(self.shared.requests, 1) {
            log::error!("increment_metric: {status:?}");
        }
        let config = &self.shared.config;
        let call = self.dispatch_http_call(
            &config.upstream,
            vec![
                (":method", "GET"),
                (":path", &config.path),
                (":authority", &config.authority),
                ("x-path", &self.path),
            ],
            None,
            Vec::new(),
            TIMEOUT,
        );
        match call {
            Ok(_) => Action::Pause,
            Err(_) => {
                log::error!("no such upstream: {}", config.upstream);
                Action::Continue
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header("x-dispatch", &self.result);
        let requests = hostcalls::get_metric(self.shared.requests).unwrap_or_default();
        self.add_http_response_header("x-requests", &requests.to_string());
        Action::Continue
    }

    fn on_log(&mut self) {
        let line = format!("{} {}", self.path, self.result);
        let queued = self.enqueue_shared_queue(self.shared.queue, Some(line.as_bytes()));
        if let Err(status) = queued {
            log::error!("enqueue: {status:?}");
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, _: usize) {
        if headers == 0 {
            self.result = format!("failed 0 {}", self.number);
        } else {
            let status = self.get_http_call_response_header(":status");
            let status = status.unwrap_or_default();
            self.result = format!("{status} {size} {}", self.number);
            let body = self.get_http_call_response_body(0, size);
            let body = body.unwrap_or_default();
            let line = body.split(|byte| b"\r\n".contains(byte)).next();
            self.set_http_request_header_bytes("x-answer", line);
        }
        if let Err(status) = hostcalls::record_metric(self.shared.size, size as u64) {
            log::error!("record_metric: {status:?}");
        }
        self.set_http_request_header("x-dispatch", Some(&self.result));
        self.resume_http_request();
    }
}

impl Stream {
    /// One more than the last, over all workers.
    fn next_number(&self) -> u64 {
        loop {
            let (value, cas) = self.get_shared_data(KEY);
            let last = value.and_then(|value| String::from_utf8(value).ok()?.parse().ok());
            let next: u64 = last.unwrap_or(0) + 1;
            match self.set_shared_data(KEY, Some(next.to_string().as_bytes()), cas) {
                // Somebody else was quicker.
                Err(Status::CasMismatch) => {}
                _ => return next,
            }
        }
    }
}
