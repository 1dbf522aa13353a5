//! The filters of a location, fixed when the configuration is read.

use std::rc::Rc;

use proxy_wasm_host::Callbacks;

use crate::conf::policy::{HeaderStop, OnFailure};

/// Number of a distinct (module, root id, configuration) among those of a configuration: one root
/// context in each worker.
pub type FilterId = usize;

/// When request callbacks run (directive `wasm_filter_phase`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Rewrite,
    Access,
}

/// A filter of a chain.
pub struct Link {
    pub filter: FilterId,
    pub callbacks: Callbacks,
    pub on_failure: OnFailure,
    pub header_stop: HeaderStop,
}

/// A location's filters in their order, and what their modules export.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    pub filters: Vec<FilterId>,
    pub callbacks: Vec<Callbacks>,
    /// What becomes of a request when a filter fails.
    pub on_failure: Vec<OnFailure>,
    /// What 1 of a header callback stops.
    pub header_stop: Vec<HeaderStop>,
    /// Does any filter see request bodies?
    pub request_body: bool,
    /// Does any filter see response bodies or trailers?
    pub response_body: bool,
}

impl Chain {
    pub fn new(links: Vec<Link>) -> Rc<Chain> {
        let callbacks: Vec<_> = links.iter().map(|link| link.callbacks).collect();
        Rc::new(Chain {
            filters: links.iter().map(|link| link.filter).collect(),
            on_failure: links.iter().map(|link| link.on_failure).collect(),
            header_stop: links.iter().map(|link| link.header_stop).collect(),
            request_body: callbacks.iter().any(|c| c.request_body()),
            response_body: callbacks
                .iter()
                .any(|c| c.response_body() || c.response_trailers()),
            callbacks,
        })
    }
}
