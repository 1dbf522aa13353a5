//! All filters of a worker, of either kind.

use std::rc::Rc;

use crate::conf::policy::OnFailure;
use crate::filter::chain::chains::Guests;
use crate::filter::chain::context::Context;
use crate::filter::chain::filter::{Filter, FilterList};
use crate::filter::http_wasm::modules::Middlewares;
use crate::filter::proxy_wasm::filters::Filters;
use crate::filter::proxy_wasm::per_request::RequestInstances;
use crate::nginx::log::Log;
use crate::nginx::request::Request;
use crate::worker::process::Main;

/// The filters of a worker, for one configuration.
pub struct WorkerGuests {
    proxy_wasm: Filters,
    http_wasm: Middlewares,
}

impl WorkerGuests {
    /// Starts them all. What does not start is reported, and tried again.
    ///
    /// # Safety
    /// `main` owns what is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn start(main: &Main, log: Log) -> WorkerGuests {
        WorkerGuests {
            // SAFETY: the caller says so.
            proxy_wasm: unsafe { Filters::start(main, log) },
            http_wasm: Middlewares::start(main, log),
        }
    }
}

impl Guests for WorkerGuests {
    fn contexts(
        &self,
        context: &Rc<Context>,
        request: Request,
        headers_follow: bool,
    ) -> FilterList {
        let chain = &context.chain;
        let mut own = RequestInstances::default();
        let mut filters = FilterList::with_capacity(chain.filters.len());
        for (index, &id) in chain.filters.iter().enumerate() {
            let guest = match self.http_wasm.has(id) {
                true => self.http_wasm.context(context, index, request),
                false => {
                    let proxy_wasm = &self.proxy_wasm;
                    proxy_wasm.context(context, index, &mut own, request, headers_follow)
                }
            };
            if guest.is_none() && chain.on_failure[index] == OnFailure::Closed {
                break;
            }
            filters.push(Filter::new(guest));
        }
        filters
    }

    fn shutdown(&self) {
        self.proxy_wasm.shutdown();
    }
}
