//! The filters of a location, fixed when the configuration is read.

use std::rc::Rc;

use proxy_wasm_host::Callbacks;

use crate::conf::OnFailure;

/// Number of a distinct (module, root id, configuration) among those of a configuration: one root
/// context in each worker.
pub type FilterId = usize;

/// When request callbacks run (directive `wasm_filter_phase`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Rewrite,
    Access,
}

/// A location's filters in their order, and what their modules export.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    pub filters: Vec<FilterId>,
    pub callbacks: Vec<Callbacks>,
    /// What becomes of a request when a filter fails.
    pub on_failure: Vec<OnFailure>,
    /// Does any filter see request bodies?
    pub request_body: bool,
    /// Does any filter see response bodies or trailers?
    pub response_body: bool,
}

impl Chain {
    pub fn new(filters: Vec<(FilterId, Callbacks, OnFailure)>) -> Rc<Chain> {
        let on_failure = filters.iter().map(|(_, _, policy)| *policy).collect();
        let (filters, callbacks): (Vec<_>, Vec<_>) =
            filters.into_iter().map(|(id, seen, _)| (id, seen)).unzip();
        Rc::new(Chain {
            on_failure,
            request_body: callbacks.iter().any(|c| c.request_body()),
            response_body: callbacks
                .iter()
                .any(|c| c.response_body() || c.response_trailers()),
            filters,
            callbacks,
        })
    }
}
