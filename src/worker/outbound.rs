//! Outbound calls of an instance.

use std::rc::Rc;

use proxy_wasm_host::Status;

use super::proxy::Link;
use crate::conf::MainConf;
use crate::http::stream::Stream;
use crate::net::{Calls, Channels, Event, Origin};
use crate::nginx::log::Log;

/// What an instance in a worker has for its calls; a check makes none.
pub struct Outbound {
    pub calls: Calls,
    /// Whose calls those of root contexts are.
    root: Origin,
}

impl Outbound {
    /// `log` must live as long as the instance.
    pub fn new(
        conf: &MainConf,
        module: Rc<str>,
        log: Log,
        link: Link,
        channels: Channels,
    ) -> Option<Outbound> {
        let calls = Calls::new(module, channels, move |id, event| {
            if let Some(instance) = link.instance() {
                instance.call_logged(|vm| match event {
                    Event::Http(response) => vm.on_http_call_response(id, response),
                    Event::Grpc(event) => vm.on_grpc(id, event),
                });
            }
        });
        Some(Outbound {
            calls,
            root: Origin::of_root(conf, log)?,
        })
    }

    /// Whose call it is.
    pub fn origin(&self, stream: Option<&Stream>) -> Result<Origin, Status> {
        match stream {
            Some(stream) => stream
                .request()
                .and_then(Origin::of_request)
                .ok_or(Status::InternalFailure),
            None => Ok(self.root.clone()),
        }
    }
}
