//! The components of a worker.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use component_host::{
    Answer, Body, Call, Directory, Handler, Instance, Platform, Pool, Runtime, Settings,
};
use spin_app::AllowedHosts;

use crate::conf::guest::Guest;
use crate::conf::main::{MainConf, ModuleConf};
use crate::conf::policy::Isolation;
use crate::conf::service::ServiceOptions;
use crate::handler::service::places::Places;
use crate::handler::service::stores::Stores;
use crate::metrics::module::ModuleMetrics;
use crate::net::executor::{Task, spawn};
use crate::net::origin::Caller;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, Log, printable};
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;
use crate::worker::process::{Main, ProcessKind};

/// Instances that are kept for other requests.
const MAX_IDLE: usize = 64;

/// A component that answers requests.
pub struct Service {
    pub name: Rc<str>,
    pub requests: Entry,
    pub messages: Entry,
    pub places: Rc<Places>,
    pub turn: Rc<Turn>,
    /// How many lines the log has of it.
    pub rate: Rc<LogRate>,
    pub metrics: Option<Rc<ModuleMetrics>>,
    /// On whose behalf calls are made.
    pub caller: Rc<Caller>,
    /// Whom it may call beside the upstreams of nginx's configuration.
    pub hosts: AllowedHosts,
    pub stores: Stores,
    /// The values of the variables that it may ask for.
    pub variables: Rc<BTreeMap<String, String>>,
    /// The Spin application that it belongs to, and where the others of it are.
    application: Option<(Rc<str>, &'static Main)>,
    /// What guests still do behind their responses.
    lingering: RefCell<Vec<Task>>,
}

/// What a component handles, if it does.
pub struct Entry {
    handler: Option<Handler>,
    /// Instances that can handle another one.
    idle: RefCell<Vec<Instance>>,
}

impl Entry {
    fn new(handler: Option<Handler>) -> Entry {
        Entry {
            handler,
            idle: RefCell::default(),
        }
    }

    /// Keeps an instance for another request, or another message.
    pub fn keep(&self, instance: Instance) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push(instance);
        }
    }

    fn idle(&self) -> Option<Instance> {
        self.idle.borrow_mut().pop()
    }
}

impl Service {
    /// Begins to handle a request. `None`: the component handles none.
    pub fn call(
        &self,
        request: http::Request<Body>,
        platform: Rc<dyn Platform>,
    ) -> Option<(Call, Answer)> {
        if let Some(instance) = self.requests.idle() {
            return Some(instance.handle(request, platform));
        }
        let handler = self.requests.handler.as_ref()?;
        Some(handler.handle(request, platform))
    }

    /// The same for a message.
    pub fn take_message(&self, message: Vec<u8>, platform: Rc<dyn Platform>) -> Option<Call> {
        if let Some(instance) = self.messages.idle() {
            return Some(instance.take_message(message, platform));
        }
        let handler = self.messages.handler.as_ref()?;
        Some(handler.take_message(message, platform))
    }

    /// Writes a line to a log, as far as there may be one.
    pub fn report(&self, log: Log, what: &str) {
        if log.enabled(Level::Error) && self.rate.allows_line() {
            let what = printable(what.as_bytes());
            log.write(Level::Error, format_args!("[wasm] {}: {what}", self.name));
        }
    }

    /// Does it belong to a Spin application?
    pub fn is_of_application(&self) -> bool {
        self.application.is_some()
    }

    /// Another component of its application, by its name in the manifest.
    pub fn sibling(&self, name: &str) -> Option<Rc<Service>> {
        let (application, main) = self.application.as_ref()?;
        let name = format!("{application}/{name}");
        let mut modules = main.conf.modules.iter();
        let module = modules.position(|module| module.name == name)?;
        main.process.kept::<Services>()?.module(module)
    }

    /// Does something that no request waits for.
    pub fn linger(&self, work: impl Future<Output = ()> + 'static) {
        let task = spawn(work);
        let mut lingering = self.lingering.borrow_mut();
        lingering.retain(|task| !task.is_finished());
        lingering.push(task);
    }
}

/// Those of a worker, by the modules' numbers; made for their first requests.
pub struct Services {
    main: *const Main,
    log: Log,
    runtime: OnceCell<Option<Runtime>>,
    modules: RefCell<Vec<Option<Rc<Service>>>>,
}

impl Services {
    /// # Safety
    /// `main` owns what is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn new(main: &Main, log: Log) -> Services {
        Services {
            main,
            log,
            runtime: OnceCell::new(),
            modules: RefCell::new(main.conf.modules.iter().map(|_| None).collect()),
        }
    }

    /// Those of the configuration that the request runs under; there are none in a process that serves no requests.
    pub fn of<'a>(request: Request) -> Option<&'a Services> {
        Main::of(request)?.process.kept()
    }

    /// The component of this number. `None`: it cannot be loaded, which has been logged.
    pub fn module(&self, index: usize) -> Option<Rc<Service>> {
        if let Some(Some(known)) = self.modules.borrow().get(index) {
            return Some(known.clone());
        }
        // SAFETY: what `new` was given outlives this.
        let main: &'static Main = unsafe { &*self.main };
        let module = main.conf.modules.get(index)?;
        let runtime = self.runtime(&main.conf)?;
        match load(runtime, main, index, module, self.log) {
            Ok(service) => {
                let service = Rc::new(service);
                *self.modules.borrow_mut().get_mut(index)? = Some(service.clone());
                Some(service)
            }
            Err(error) => {
                let line = format_args!("[wasm] {}: {error}", module.name);
                self.log.write(Level::Error, line);
                None
            }
        }
    }

    fn runtime(&self, conf: &MainConf) -> Option<&Runtime> {
        let made = self.runtime.get_or_init(|| {
            let engine = conf.engine();
            let runtime = engine.and_then(|engine| {
                let runtime = Runtime::new(engine, &pool(conf));
                runtime.map_err(|error| error.to_string())
            });
            match runtime {
                Ok(runtime) => Some(runtime),
                Err(error) => {
                    let line = format_args!("[wasm] no engine for components: {error}");
                    self.log.write(Level::Crit, line);
                    None
                }
            }
        });
        made.as_ref()
    }
}

/// Room for as many instances as all components may have, as large as the largest of them.
fn pool(conf: &MainConf) -> Pool {
    let modules = conf.modules.iter();
    let components = modules.filter(|module| matches!(module.guest, Guest::Component(..)));
    let none = Pool {
        instances: 0,
        table: 0,
        stack: 0,
    };
    components.fold(none, |pool, module| {
        let limits = &module.vm.limits;
        Pool {
            instances: pool.instances.saturating_add(module.limits.instances),
            table: pool.table.max(limits.table),
            stack: pool.stack.max(limits.stack),
        }
    })
}

fn load(
    runtime: &Runtime,
    main: &'static Main,
    index: usize,
    module: &ModuleConf,
    log: Log,
) -> Result<Service, String> {
    let Guest::Component(program, options) = &module.guest else {
        return Err(format!("is {}", module.guest.kind()));
    };
    let settings = settings(module, options);
    let requests = program
        .version()
        .map(|_| runtime.handler(program, settings.clone()));
    let messages = program
        .takes_messages()
        .then(|| runtime.receiver(program, settings));
    let requests = requests.transpose().map_err(|error| error.to_string())?;
    let messages = messages.transpose().map_err(|error| error.to_string())?;
    let state = main.module(index);
    let rate = main.log_rate(ProcessKind::Worker, index, log);
    Ok(Service {
        name: module.name.as_str().into(),
        requests: Entry::new(requests),
        messages: Entry::new(messages),
        places: Places::new(module.limits.instances, module.limits.queue),
        turn: state.turn.clone(),
        rate: rate.clone(),
        metrics: main.module_metrics(ProcessKind::Worker, index),
        caller: Rc::new(Caller {
            rate,
            slots: state.slots.clone(),
        }),
        hosts: options.hosts.clone(),
        stores: Stores::new(main, index, module, options, log),
        variables: options.variables.clone(),
        application: options.application.clone().map(|name| (name, main)),
        lingering: RefCell::default(),
    })
}

fn settings(module: &ModuleConf, options: &ServiceOptions) -> Settings {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let env = module.vm.env.iter();
    let directories = options.dirs.iter().map(|dir| Directory {
        path: dir.path.clone(),
        name: dir.name.clone(),
        writable: dir.writable,
    });
    Settings {
        limits: module.vm.limits,
        env: env.map(|(name, value)| (text(name), text(value))).collect(),
        directories: directories.collect(),
        reuse: match module.isolation {
            Isolation::Request => 1,
            Isolation::Worker => options.reuse.unwrap_or(u32::MAX),
        },
        ..Settings::default()
    }
}
