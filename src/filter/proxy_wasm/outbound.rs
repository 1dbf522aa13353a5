//! Outbound calls of an instance.

use std::rc::Rc;

use proxy_wasm_host::{GrpcEvent, Status};

use crate::client::calls::{Calls, Event};
use crate::conf::location::LocConf;
use crate::filter::proxy_wasm::foreign::Questions;
use crate::filter::proxy_wasm::proxy::NginxProxy;
use crate::filter::proxy_wasm::redis::RedisCalls;
use crate::filter::proxy_wasm::stream::Stream;
use crate::net::origin::{Caller, Origin};
use crate::worker::process::{Main, ProcessKind};

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
    /// For the calls of a module's instance, which `proxy` stands in.
    pub fn new(
        main: &Main,
        module: usize,
        proxy: &NginxProxy,
        redis: RedisCalls,
    ) -> Option<Outbound> {
        let state = main.module(module);
        let bounds = (state.calls.clone(), state.turn.clone());
        let (link, metrics) = (proxy.link.clone(), proxy.metrics.clone());
        let channels = main.process.channels.clone();
        let calls = Calls::new(proxy.name.clone(), channels, bounds, move |id, event| {
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
        let caller = main.caller(ProcessKind::Worker, module, proxy.log);
        Some(Outbound {
            calls,
            redis,
            root: main.origin(proxy.log, caller.clone())?,
            caller,
            questions: Questions::default(),
        })
    }

    /// Whose call it is; a stream may wait for `proxy_done` when its request is gone already.
    pub fn origin(&self, stream: Option<&Stream>) -> Result<Origin, Status> {
        match stream.and_then(|stream| Some((stream.request()?, stream.owner()))) {
            Some((request, owner)) => {
                let settings = LocConf::of(request).call().ok_or(Status::InternalFailure)?;
                let caller = self.caller.clone();
                Ok(Origin::of_request(request, settings.clone(), owner, caller))
            }
            None => Ok(self.root.clone()),
        }
    }
}
