//! The http-wasm guests of a worker.

use std::rc::Rc;

use proxy_wasm_host::ContextId;

use crate::conf::chain::FilterId;
use crate::filter::chain::context::Context;
use crate::filter::chain::guest::Guest;
use crate::filter::http_wasm::middleware::Middleware;
use crate::filter::http_wasm::module::Module;
use crate::nginx::log::{Level, Log};
use crate::nginx::request::Request;
use crate::worker::check::Refusal;
use crate::worker::process::{Main, ProcessKind};

/// The guests, by the numbers of their filters.
pub struct Middlewares(Vec<Slot>);

enum Slot {
    /// A filter of another kind.
    Other,
    Ready(Rc<Module>),
    /// It cannot be had, which the log says.
    Failed,
}

impl Middlewares {
    /// Makes a first instance of each, so that no request waits for it. What does not start is reported, and tried again for
    /// a request.
    pub fn start(main: &Main, log: Log) -> Middlewares {
        let filters = 0..main.conf.filters.len();
        Middlewares(filters.map(|filter| start(main, filter, log)).collect())
    }

    /// Is this filter one of them?
    #[inline]
    pub fn has(&self, filter: FilterId) -> bool {
        !matches!(self.0.get(filter), None | Some(Slot::Other))
    }

    /// What stands for a request in a filter of its chain. `None`: the guest cannot be had.
    pub fn context(
        &self,
        context: &Rc<Context>,
        index: usize,
        request: Request,
    ) -> Option<(Rc<dyn Guest>, ContextId)> {
        let filter = *context.chain.filters.get(index)?;
        match self.0.get(filter)? {
            Slot::Ready(module) => {
                let middleware = Middleware::new(module.clone(), context, index);
                // It has no other context.
                Some((middleware, ContextId::new(0)))
            }
            _ => {
                let name = context.filter_name(index);
                let line = format_args!("[wasm] {name}: not there, as it could not be loaded");
                request.log().write(Level::Warn, line);
                None
            }
        }
    }
}

fn start(main: &Main, filter: FilterId, log: Log) -> Slot {
    let conf = main.conf.module_of(filter);
    if conf.guest.middleware().is_none() {
        return Slot::Other;
    }
    let failed = |error: &dyn std::fmt::Display| {
        log.write(Level::Error, format_args!("[wasm] {}: {error}", conf.name));
    };
    match Module::new(ProcessKind::Worker, main, filter, log) {
        Ok(module) => {
            // That it does not start has been logged.
            if let Some(Ok(instance)) = module.instances.take() {
                module.instances.give_back(instance);
            }
            Slot::Ready(Rc::new(module))
        }
        Err(error) => {
            failed(&error);
            Slot::Failed
        }
    }
}

/// Starts a module with each of its configurations as a worker does, and throws that away.
pub fn check(main: &Main, module: usize, log: Log) -> Result<(), Refusal> {
    let filters = main.conf.filters.iter().enumerate();
    for (id, _) in filters.filter(|(_, filter)| filter.module == module) {
        let refused = |error: String| (Some(id), error);
        let module = Module::new(ProcessKind::Check, main, id, log).map_err(refused)?;
        let started = module.instances.maker().make();
        started.map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}
