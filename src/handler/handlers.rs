//! The plugins of a worker.

use std::cell::RefCell;
use std::rc::Rc;

use crate::conf::policy::Isolation;
use crate::handler::instances::{Instances, Maker};
use crate::handler::linked::Linked;
use crate::handler::services::Calling;
use crate::metrics::module::ModuleMetrics;
use crate::net::origin::Caller;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, Log};
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;
use crate::worker::check::Refusal;
use crate::worker::process::{Main, ProcessKind};

/// A module that answers requests.
pub struct Handler {
    pub name: Rc<str>,
    pub instances: Instances,
    pub turn: Rc<Turn>,
    /// How many lines the log has of it.
    pub rate: Rc<LogRate>,
    pub metrics: Option<Rc<ModuleMetrics>>,
}

impl Handler {
    pub fn linked(&self) -> &Linked {
        &self.instances.source().linked
    }
}

/// Those of a worker, by the modules' numbers; made for their first requests.
pub struct Handlers {
    main: *const Main,
    log: Log,
    modules: RefCell<Vec<Option<Rc<Handler>>>>,
}

impl Handlers {
    /// # Safety
    /// `main` owns what is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn new(main: &Main, log: Log) -> Handlers {
        Handlers {
            main,
            log,
            modules: RefCell::new(main.conf.modules.iter().map(|_| None).collect()),
        }
    }

    /// Those of the configuration that the request runs under; there are none in a process that serves no requests.
    pub fn of<'a>(request: Request) -> Option<&'a Handlers> {
        Main::of(request)?.process.kept()
    }

    /// The module of this number. `None`: it cannot be loaded, which has been logged.
    pub fn module(&self, index: usize) -> Option<Rc<Handler>> {
        if let Some(Some(known)) = self.modules.borrow().get(index) {
            return Some(known.clone());
        }
        // SAFETY: what `new` was given outlives this.
        let main = unsafe { &*self.main };
        match load(ProcessKind::Worker, main, index, self.log) {
            Ok(handler) => {
                let handler = Rc::new(handler);
                *self.modules.borrow_mut().get_mut(index)? = Some(handler.clone());
                Some(handler)
            }
            Err((_, error)) => {
                let name = &main.conf.modules.get(index)?.name;
                self.log
                    .write(Level::Error, format_args!("[wasm] {name}: {error}"));
                None
            }
        }
    }
}

/// Loads a module and links it.
fn load(kind: ProcessKind, main: &Main, index: usize, log: Log) -> Result<Handler, Refusal> {
    let conf = &main.conf;
    let module = &conf.modules[index];
    let refused = |error: String| (None, error);
    let engine = conf.engine().map_err(refused)?;
    let linked = Linked::new(engine, module).map_err(refused)?;
    let name: Rc<str> = module.name.as_str().into();
    let metrics = main.module_metrics(kind, index);
    let state = main.module(index);
    let rate = main.log_rate(kind, index, log);
    let caller = Rc::new(Caller {
        rate: rate.clone(),
        slots: state.slots.clone(),
    });
    let calling = Rc::new(Calling {
        name: name.clone(),
        space: module.space().into(),
        log,
        rate: rate.clone(),
        caller,
        budget: state.calls.clone(),
        metrics: metrics.clone(),
        shared: main.process.shared(),
    });
    let maker = Maker::new(linked, calling, module.isolation == Isolation::Request);
    Ok(Handler {
        name,
        instances: Instances::new(maker, module.limits.instances, module.limits.queue),
        turn: state.turn.clone(),
        rate,
        metrics,
    })
}

/// Starts a plugin as a worker does, and throws it away.
pub fn check(main: &Main, module: usize, log: Log) -> Result<(), Refusal> {
    let handler = load(ProcessKind::Check, main, module, log)?;
    let maker = handler.instances.source();
    let started = maker.linked.started(maker.services());
    started.map(drop).map_err(|error| (None, error.to_string()))
}
