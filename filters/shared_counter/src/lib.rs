//! Numbers requests over all workers, by a compare-and-swap loop on shared
//! data; the number goes into a response header. A metric counts them too, and
//! a tick puts the last number into another.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType, Status};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    shared: Rc<Shared>,
    last: u32,
}

#[derive(Default)]
struct Shared {
    key: String,
    header: String,
    requests: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Some((key, header, tick)) = parse(&text) else {
            log::error!(
                "invalid configuration: expected {{\"key\":string, \"header\":string, \
                 \"tick_ms\":integer}}"
            );
            return false;
        };
        let define = |kind, name: &str| hostcalls::define_metric(kind, name).unwrap_or_default();
        self.last = define(MetricType::Gauge, &format!("shared_counter.{key}.last"));
        self.shared = Rc::new(Shared {
            requests: define(
                MetricType::Counter,
                &format!("shared_counter.{key}.requests"),
            ),
            key,
            header,
        });
        self.set_tick_period(tick);
        true
    }

    fn on_tick(&mut self) {
        let (value, _) = self.get_shared_data(&self.shared.key);
        let last = value.as_deref().map_or(0, number);
        if let Err(status) = hostcalls::record_metric(self.last, last) {
            log::error!("record_metric: {status:?}");
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            shared: Rc::clone(&self.shared),
            number: 0,
        }))
    }
}

/// Key, header and tick period; all have defaults.
fn parse(text: &[u8]) -> Option<(String, String, Duration)> {
    let value = if text.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(text).ok()?
    };
    let (mut key, mut header, mut tick) = ("requests".to_owned(), "x-count".to_owned(), 1000);
    for (name, value) in value.as_object()? {
        match name.as_str() {
            "key" => key = value.as_str()?.to_owned(),
            "header" => header = value.as_str()?.to_owned(),
            "tick_ms" => tick = value.as_u64()?,
            _ => return None,
        }
    }
    (!key.is_empty() && tick > 0).then_some((key, header, Duration::from_millis(tick)))
}

/// A number in shared data; 0 for what is none.
fn number(value: &[u8]) -> u64 {
    let text = str::from_utf8(value).unwrap_or_default();
    text.parse().unwrap_or_default()
}

struct Stream {
    shared: Rc<Shared>,
    number: u64,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Err(status) = hostcalls::increment_metric(self.shared.requests, 1) {
            log::error!("increment_metric: {status:?}");
        }
        self.number = self.next();
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header(&self.shared.header, Some(&self.number.to_string()));
        Action::Continue
    }
}

impl Stream {
    fn next(&self) -> u64 {
        let key = &self.shared.key;
        loop {
            let (value, cas) = self.get_shared_data(key);
            let next = value.as_deref().map_or(0, number) + 1;
            match self.set_shared_data(key, Some(next.to_string().as_bytes()), cas) {
                Ok(()) => return next,
                // Another worker was quicker.
                Err(Status::CasMismatch) => {}
                Err(status) => {
                    log::error!("set_shared_data: {status:?}");
                    return next;
                }
            }
        }
    }
}
