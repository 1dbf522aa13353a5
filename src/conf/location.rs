//! A location's configuration.

use std::rc::Rc;
use std::sync::Arc;

use crate::conf::buffers::BufferSize;
use crate::conf::call::CallDirectives;
use crate::conf::chain::{Chain, Phase};
use crate::conf::handler::HandlerConf;
use crate::conf::properties::Properties;
use crate::net::settings::Settings;
use crate::nginx::conf::Place;
use crate::nginx::guard::module;
use crate::nginx::request::Request;

/// A location's configuration.
#[derive(Default)]
pub struct LocConf {
    /// The level's own directives, in order; `None` to inherit.
    pub uses: Option<Vec<FilterUse>>,
    pub phase: Option<Phase>,
    /// In milliseconds.
    pub pause_timeout: Option<usize>,
    pub buffer_size: Option<BufferSize>,
    pub properties: Properties,
    pub request_buffering: Option<bool>,
    /// The level's own `wasm_handler`.
    pub handler: Option<HandlerConf>,
    pub chain: Option<Rc<Chain>>,
    pub if_has_filters: bool,
    /// The level's own `wasm_call_…` directives.
    pub call_directives: CallDirectives,
    pub call: Option<Rc<Settings>>,
}

/// A `wasm_filter` directive.
pub struct FilterUse {
    pub module: String,
    pub configuration: Arc<[u8]>,
    pub root_id: Vec<u8>,
    pub place: Place,
}

impl LocConf {
    pub fn of<'a>(request: Request) -> &'a LocConf {
        // SAFETY: `create_loc_conf` put one into every location; it lives as long as the cycle.
        unsafe { &*request.loc_conf::<LocConf>(module()) }
    }

    /// The filters; `None` when there are none.
    pub fn chain(&self) -> Option<&Rc<Chain>> {
        self.chain.as_ref()
    }

    /// What holds for outbound calls; there from the merge step on.
    pub fn call(&self) -> Option<&Rc<Settings>> {
        self.call.as_ref()
    }

    pub fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Rewrite)
    }

    /// The longest pause of a filter, in milliseconds.
    pub fn pause_timeout(&self) -> usize {
        self.pause_timeout.unwrap_or(60_000)
    }

    /// What `wasm_property` sets.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// How much filters may hold back and write.
    pub fn buffer_size(&self) -> BufferSize {
        self.buffer_size.unwrap_or_default()
    }

    /// Do filters see a request body only when all of it is there? `None`: as nginx's own directives
    /// say for what it proxies.
    pub fn request_buffering(&self) -> Option<bool> {
        self.request_buffering
    }

    /// Has an `if` in this location filters of its own? Which filters a request gets is known
    /// only behind the rewrite directives then.
    pub fn if_has_filters(&self) -> bool {
        self.if_has_filters
    }
}
