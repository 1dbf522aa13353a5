//! The outbound calls of an instance.

use std::rc::Rc;

use proxy_wasm_host::Status;

use super::proxy::Link;
use crate::http::stream::Stream;
use crate::net::{Calls, Channels, Event, Origin};

/// An instance's calls, and what those of its root contexts are made with.
pub(super) struct Outside {
    pub calls: Calls,
    root: Origin,
}

impl Outside {
    /// What comes of the calls is told to the instance that `link` leads to, from nginx's event
    /// loop.
    pub fn new(name: Rc<str>, root: Origin, channels: Channels, link: Link) -> Outside {
        let calls = Calls::new(name, channels, move |id, event| {
            if let Some(instance) = link.instance() {
                instance.call_logged(|vm| match event {
                    Event::Http(response) => vm.on_http_call_response(id, response),
                    Event::Grpc(event) => vm.on_grpc(id, event),
                });
            }
        });
        Outside { calls, root }
    }

    /// What a call of a stream, or of a root context, is made with.
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
