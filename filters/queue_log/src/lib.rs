//! Collects log lines in a shared queue and posts them to an upstream.
//!
//! A filter with "upstream" in its configuration collects and posts; every
//! filter puts a line for each of its requests into the queue. So those that
//! only write may be in any location, and one alone, in one of them, posts.

mod config;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use config::Config;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel, MetricType};

/// The most lines in one post.
const BATCH: usize = 100;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    config: Config,
    /// Known from the first line on, when the collector has made it.
    queue: Cell<Option<u32>>,
    /// Counter of lines that no queue took.
    dropped: u32,
}

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
        let dropped = hostcalls::define_metric(MetricType::Counter, "queue_log.dropped");
        let queue = config
            .post
            .is_some()
            .then(|| self.register_shared_queue(&config.queue));
        self.shared = Rc::new(Shared {
            config,
            queue: Cell::new(queue),
            dropped: dropped.unwrap_or_default(),
        });
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        loop {
            let mut lines = Vec::new();
            while lines.len() < BATCH
                && let Ok(Some(line)) = self.dequeue_shared_queue(queue)
            {
                lines.push(line);
            }
            if lines.is_empty() {
                return;
            }
            self.post(&lines);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            shared: Rc::clone(&self.shared),
        }))
    }
}

impl Root {
    fn post(&self, lines: &[Vec<u8>]) {
        let Some(post) = &self.shared.config.post else {
            return;
        };
        let body = lines.concat();
        let call = self.dispatch_http_call(
            &post.upstream,
            vec![
                (":method", "POST"),
                (":path", &post.path),
                (":authority", &post.authority),
                ("content-type", "text/plain"),
            ],
            Some(&body),
            Vec::new(),
            Duration::from_secs(5),
        );
        if call.is_err() {
            log::error!(
                "{} lines lost: no upstream \"{}\"",
                lines.len(),
                post.upstream
            );
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, _: u32, headers: usize, _: usize, _: usize) {
        if headers == 0 {
            log::error!("lines lost: the upstream does not answer");
        }
    }
}

struct Stream {
    shared: Rc<Shared>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_log(&mut self) {
        let text = |path: Vec<&str>| {
            let value = self.get_property(path).unwrap_or_default();
            String::from_utf8_lossy(&value).into_owned()
        };
        // Eight bytes, little endian.
        let status = self.get_property(vec!["response", "code"]);
        let status = status.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let line = format!(
            "{} {} {}\n",
            text(vec!["request", "method"]),
            text(vec!["request", "path"]),
            status.unwrap_or(0)
        );
        let queue = self.queue().ok_or(());
        let taken = queue.and_then(|queue| {
            self.enqueue_shared_queue(queue, Some(line.as_bytes()))
                .map_err(drop)
        });
        if taken.is_err() && hostcalls::increment_metric(self.shared.dropped, 1).is_err() {
            log::error!("queue_log.dropped is no counter");
        }
    }
}

impl Stream {
    fn queue(&self) -> Option<u32> {
        let queue = &self.shared.queue;
        if queue.get().is_none() {
            queue.set(self.resolve_shared_queue("", &self.shared.config.queue));
        }
        queue.get()
    }
}
