//! The Proxy-Wasm filters of a worker.

use std::rc::{Rc, Weak};

use proxy_wasm_host::ContextId;

use crate::conf::chain::FilterId;
use crate::filter::chain::context::Context;
use crate::filter::chain::context::failure::report;
use crate::filter::chain::guest::Guest;
use crate::filter::proxy_wasm::instance::{Instance, start};
use crate::filter::proxy_wasm::per_request::RequestInstances;
use crate::filter::proxy_wasm::stream::Stream;
use crate::nginx::log::Log;
use crate::nginx::request::Request;
use crate::worker::modules::{Modules, Restartable, Waiter};
use crate::worker::process::{Main, ProcessKind};

/// The filters' instances, for one configuration.
pub struct Filters {
    main: *const Main,
    modules: Modules<Rc<Instance>>,
}

impl Filters {
    /// Starts all modules that have filters. A module that does not start is reported and tried again after a while.
    ///
    /// # Safety
    /// `main` owns what is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn start(main: &Main, log: Log) -> Filters {
        let filters = Filters {
            main,
            // SAFETY: the caller says so.
            modules: unsafe { Modules::new(main, log) },
        };
        for filter in &main.conf.filters {
            if main.conf.modules[filter.module].guest.filter().is_some() {
                filters.modules.instance(filter.module, log);
            }
        }
        filters
    }

    fn main(&self) -> &Main {
        // SAFETY: what `start` was given outlives this.
        unsafe { &*self.main }
    }

    /// The instance and the root context of a filter. `None` when none is to be had: the log has
    /// the reason, and the request is subject to the module's `on_failure=`.
    ///
    /// `own`: the instances that the request has to itself.
    fn filter(
        &self,
        filter: FilterId,
        own: &mut RequestInstances,
        log: Log,
    ) -> Option<(Rc<Instance>, ContextId)> {
        let index = self.main().conf.filters.get(filter)?.module;
        let instance = own.of(index, self.modules.instance(index, log)?, log)?;
        let root = instance.root(filter)?;
        Some((instance, root))
    }
}

impl Filters {
    /// A context for a request in the instance of one of its filters. `None`: there is none to be had; the log has said why.
    ///
    /// `own`: the instances that the request has to itself. `headers_follow`: the request's header callbacks are made next.
    pub fn context(
        &self,
        context: &Rc<Context>,
        index: usize,
        own: &mut RequestInstances,
        request: Request,
        headers_follow: bool,
    ) -> Option<(Rc<dyn Guest>, ContextId)> {
        let id = *context.chain.filters.get(index)?;
        let (instance, root) = self.filter(id, own, request.log())?;
        let stream = Stream::new(context.clone(), index);
        // All filters of a chain have their contexts before the first of them is told of anything else.
        let chain = &context.chain;
        let follow =
            headers_follow && chain.filters.len() == 1 && chain.callbacks[index].request_headers();
        match instance.create_stream(root, stream, follow) {
            Ok(id) => Some((instance as Rc<dyn Guest>, id)),
            Err(error) => {
                let policy = context.chain.on_failure[index];
                report(request, &*instance, &error.into(), policy);
                None
            }
        }
    }

    /// The worker exits.
    pub fn shutdown(&self) {
        self.modules.shutdown();
    }
}

impl Restartable for Rc<Instance> {
    fn start(main: &Main, module: usize, log: Log) -> Result<Rc<Instance>, String> {
        let instance = start(ProcessKind::Worker, main, module, log);
        let instance = instance.map_err(|(_, error)| error)?;
        instance.set_timers();
        Ok(instance)
    }

    fn is_alive(&self) -> bool {
        Instance::is_alive(self)
    }

    fn watch(&self, waiter: Weak<dyn Waiter>) {
        Instance::watch(self, waiter);
    }

    fn shutdown(&self) {
        Instance::shutdown(self);
    }
}
