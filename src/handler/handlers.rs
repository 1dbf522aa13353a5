//! The plugins of a worker.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::conf::policy::Isolation;
use crate::handler::instances::{Instances, Maker};
use crate::handler::linked::Linked;
use crate::handler::services::Calling;
use crate::metrics::module::ModuleMetrics;
use crate::net::turn::Turn;
use crate::nginx::log::Log;
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;
use crate::worker::attempts::Attempts;
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
    /// To start instances.
    pub attempts: Rc<Attempts>,
}

impl Handler {
    pub fn linked(&self) -> &Linked {
        &self.instances.maker().linked
    }
}

/// Those of a worker, by the modules' numbers; made for their first requests.
pub struct Handlers {
    main: *const Main,
    log: Log,
    modules: Vec<Module>,
}

/// One of them.
struct Module {
    handler: OnceCell<Rc<Handler>>,
    attempts: Rc<Attempts>,
}

impl Handlers {
    /// # Safety
    /// `main` owns what is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn new(main: &Main, log: Log) -> Handlers {
        let modules = main.conf.modules.iter().map(|module| Module {
            handler: OnceCell::new(),
            // The next request tries.
            attempts: Rc::new(Attempts::new(&module.name, log, || {})),
        });
        Handlers {
            main,
            log,
            modules: modules.collect(),
        }
    }

    /// Those of the configuration that the request runs under; there are none in a process that serves no requests.
    pub fn of<'a>(request: Request) -> Option<&'a Handlers> {
        Main::of(request)?.process.kept()
    }

    /// The module of this number. `None`: it cannot be loaded, which has been logged; `log` is the request's.
    pub fn module(&self, index: usize, log: Log) -> Option<Rc<Handler>> {
        let Module { handler, attempts } = self.modules.get(index)?;
        if let Some(known) = handler.get() {
            return Some(known.clone());
        }
        if attempts.waits() {
            attempts.tell(log);
            return None;
        }
        // SAFETY: what `new` was given outlives this.
        let main = unsafe { &*self.main };
        match load(ProcessKind::Worker, main, index, self.log, attempts.clone()) {
            Ok(loaded) => Some(handler.get_or_init(|| Rc::new(loaded)).clone()),
            Err((_, error)) => {
                attempts.failed(error, log);
                None
            }
        }
    }
}

/// Loads a module and links it.
fn load(
    kind: ProcessKind,
    main: &Main,
    index: usize,
    log: Log,
    attempts: Rc<Attempts>,
) -> Result<Handler, Refusal> {
    let conf = &main.conf;
    let module = &conf.modules[index];
    let refused = |error: String| (None, error);
    let engine = conf.engine().map_err(refused)?;
    let linked = Linked::new(engine, module).map_err(refused)?;
    let name: Rc<str> = module.name.as_str().into();
    let metrics = main.module_metrics(kind, index);
    let state = main.module(index);
    let rate = main.log_rate(kind, index, log);
    let caller = main.caller(kind, index, log);
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
    let maker = Maker {
        linked,
        calling,
        attempts: attempts.clone(),
        fresh: module.isolation == Isolation::Request,
    };
    Ok(Handler {
        name,
        instances: Instances::new(maker, module.limits.instances, module.limits.queue),
        turn: state.turn.clone(),
        rate,
        metrics,
        attempts,
    })
}

/// Starts a plugin as a worker does, and throws it away.
pub fn check(main: &Main, module: usize, log: Log) -> Result<(), Refusal> {
    let attempts = Attempts::new(&main.conf.modules[module].name, log, || {});
    let handler = load(ProcessKind::Check, main, module, log, Rc::new(attempts))?;
    let maker = handler.instances.maker();
    let plugin = maker.linked.plugin(maker.services());
    let started = plugin.and_then(|mut plugin| plugin.start_now());
    started.map_err(|error| (None, error.to_string()))
}
