//! An http-wasm guest with the configuration of a `wasm_filter`.

use std::cell::OnceCell;
use std::rc::Rc;

use http_wasm_host::Imports;

use crate::conf::chain::FilterId;
use crate::conf::policy::Isolation;
use crate::filter::http_wasm::instances::Instances;
use crate::filter::http_wasm::maker::{Maker, Outside};
use crate::net::turn::Turn;
use crate::nginx::log::Log;
use crate::worker::attempts::Attempts;
use crate::worker::process::{Main, ProcessKind};

/// A guest with its configuration.
pub struct Module {
    pub instances: Instances,
    pub turn: Rc<Turn>,
    pub imports: Imports,
}

impl Module {
    /// The error is for the log.
    pub fn new(
        kind: ProcessKind,
        main: &Main,
        filter: FilterId,
        log: Log,
    ) -> Result<Module, String> {
        let filter = &main.conf.filters[filter];
        let (index, configuration) = (filter.module, filter.configuration.clone());
        let conf = &main.conf.modules[index];
        let program = conf.guest.middleware();
        let program = program.ok_or_else(|| format!("is {}", conf.guest.kind()))?;
        let outside = Outside {
            name: conf.name.as_str().into(),
            log,
            rate: main.log_rate(kind, index, log),
        };
        let maker = Maker {
            engine: main.conf.engine()?.clone(),
            program: program.clone(),
            config: Rc::new(conf.http_wasm_config(configuration)),
            outside,
            metrics: main.module_metrics(kind, index),
            fresh: conf.isolation == Isolation::Request,
            state: OnceCell::new(),
        };
        let attempts = Attempts::new(&conf.name, log, || {});
        let limits = &conf.limits;
        Ok(Module {
            imports: program.imports(),
            instances: Instances::new(maker, attempts, limits.instances, limits.queue),
            turn: main.module(index).turn.clone(),
        })
    }

    pub fn outside(&self) -> &Outside {
        &self.instances.maker().outside
    }
}
