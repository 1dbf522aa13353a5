//! Outbound calls of an instance.

use std::rc::Rc;

use proxy_wasm_host::{GrpcEvent, Status};

use crate::client::calls::{Calls, Event};
use crate::conf::{MainConf, ModuleConf};
use crate::filter::proxy_wasm::foreign::Questions;
use crate::filter::proxy_wasm::proxy::Link;
use crate::filter::proxy_wasm::redis::RedisCalls;
use crate::filter::proxy_wasm::stream::Stream;
use crate::metrics::module::ModuleMetrics;
use crate::net::origin::{Caller, Origin};
use crate::nginx::log::Log;
use crate::nginx::log_rate::LogRate;

/// What an instance in a worker has for its calls; a check makes none.
pub struct Outbound {
    pub calls: Calls,
    pub redis: RedisCalls,
    /// Whose calls those of root contexts are.
    root: Origin,
    caller: Rc<Caller>,
    /// What foreign functions have going.
    pub questions: Questions,
}

impl Outbound {
    /// `log` must live as long as the instance.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        conf: &MainConf,
        module: &ModuleConf,
        (log, rate): (Log, Rc<LogRate>),
        link: Link,
        metrics: Option<Rc<ModuleMetrics>>,
        redis: RedisCalls,
    ) -> Option<Outbound> {
        let name = module.name.as_str().into();
        let bounds = (module.calls.clone(), module.turn.clone());
        let calls = Calls::new(name, conf.channels().clone(), bounds, move |id, event| {
            if let Some(metrics) = &metrics {
                match &event {
                    Event::Http(response) => metrics.http_call_ended(response),
                    Event::Grpc(GrpcEvent::Close { status, .. }) => {
                        metrics.grpc_call_ended(*status);
                    }
                    Event::Grpc(_) => {}
                }
            }
            if let Some(instance) = link.instance() {
                instance.call_logged(|vm| match event {
                    Event::Http(response) => vm.on_http_call_response(id, response),
                    Event::Grpc(event) => vm.on_grpc(id, event),
                });
            }
        });
        let slots = module.slots.clone();
        let caller = Rc::new(Caller { rate, slots });
        Some(Outbound {
            calls,
            redis,
            root: Origin::of_root(conf, log, caller.clone())?,
            caller,
            questions: Questions::default(),
        })
    }

    /// Whose call it is; a stream may wait for `proxy_done` when its request is gone already.
    pub fn origin(&self, stream: Option<&Stream>) -> Result<Origin, Status> {
        match stream.and_then(|stream| Some((stream.request()?, stream.owner()))) {
            Some((request, owner)) => {
                let origin = Origin::of_request(request, owner, self.caller.clone());
                origin.ok_or(Status::InternalFailure)
            }
            None => Ok(self.root.clone()),
        }
    }
}
