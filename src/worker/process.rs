//! What a process keeps for a configuration, beside what the directives say.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use ngx::ffi::{ngx_cycle_t, ngx_log_t};
use ngx::http::HttpModuleConfExt;
use proxy_wasm_host::Ticker;

use crate::client::budget::Budget;
use crate::client::grpc::channel::Channels;
use crate::client::redis::Client;
use crate::conf::main::{MainConf, ModuleConf};
use crate::metrics::host::Host;
use crate::metrics::module::ModuleMetrics;
use crate::net::origin::{Caller, Origin};
use crate::net::slots::{ModuleSlots, Slots};
use crate::net::turn::Turn;
use crate::nginx::guard::module;
use crate::nginx::log::{Level, Log};
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;
use crate::nginx::variable;
use crate::shm::lease::Leases;
use crate::shm::wakers::Wakers;
use crate::shm::{Shared, notify};

/// The module's main configuration, as nginx keeps it: what the directives say, and what a process keeps for it.
/// Rooms below this one know the first half alone, so it stands at the beginning.
#[repr(C)]
#[derive(Default)]
pub struct Main {
    pub conf: MainConf,
    pub process: Process,
}

impl Main {
    /// That of the configuration which the request runs under.
    pub fn of<'a>(request: Request) -> Option<&'a Main> {
        // SAFETY: `create_main_conf` put it there; it lives as long as the cycle, and the cycle as long as its
        // requests.
        unsafe { request.main_conf::<Main>(module()).as_ref() }
    }

    /// That of a cycle; there is none without `http`.
    ///
    /// # Safety
    /// nginx is making this cycle, or runs under it, and `'a` ends before it.
    pub unsafe fn of_cycle<'a>(cycle: *const ngx_cycle_t) -> Option<&'a Main> {
        // SAFETY: `create_main_conf` made it, and it lives as long as the cycle.
        unsafe {
            Some(
                (*cycle)
                    .http_main_conf_unchecked::<Main>(module())?
                    .as_ref(),
            )
        }
    }

    /// One of its own for a module that no directive names, with what processes share by this one. `shared`: what its
    /// instances share.
    pub fn beside(
        &self,
        kind: ProcessKind,
        module: ModuleConf,
        shared: Option<Rc<Shared>>,
    ) -> Main {
        let process = Process {
            channels: self.process.channels.clone(),
            redis: self.process.redis.clone(),
            shared: RefCell::new(shared),
            ..Process::default()
        };
        let state = ModuleState::new(&module, self.process.slots(&self.conf));
        let _ = process.modules.set(vec![state]);
        if kind == ProcessKind::Worker {
            let _ = process.metrics.set(self.metrics().cloned());
        }
        Main {
            conf: self.conf.beside(module),
            process,
        }
    }

    /// What this process keeps for a module.
    pub fn module(&self, index: usize) -> &ModuleState {
        &self.process.modules(&self.conf)[index]
    }

    /// This process's part in the metrics; `None` when they cannot be kept.
    pub fn metrics(&self) -> Option<&Rc<Host>> {
        let open = || {
            let zone = self.conf.zones.metrics.as_ref()?;
            Host::open(zone, self.conf.shows_metrics).map(Rc::new)
        };
        self.process.metrics.get_or_init(open).as_ref()
    }

    /// What an instance of a module counts: in a check on memory that is thrown away. `None`: the zone has no room for
    /// the module.
    pub fn module_metrics(&self, kind: ProcessKind, index: usize) -> Option<Rc<ModuleMetrics>> {
        let host = match kind {
            ProcessKind::Worker => self.metrics()?.clone(),
            ProcessKind::Check => Rc::new(Host::private(self.conf.zones.metrics.as_ref()?)?),
        };
        let name = &self.conf.modules[index].name;
        ModuleMetrics::new(host, name).map(Rc::new)
    }

    /// How many lines the guests of a module may write here. The log is the cycle's.
    pub fn log_rate(&self, kind: ProcessKind, index: usize, log: Log) -> Rc<LogRate> {
        let conf = &self.conf.modules[index];
        let has_events = kind == ProcessKind::Worker;
        let new = || {
            LogRate::new(
                has_events,
                conf.limits.log_rate,
                conf.name.as_str().into(),
                log,
            )
        };
        match kind {
            ProcessKind::Worker => self.module(index).log_rate.get_or_init(new).clone(),
            ProcessKind::Check => new(),
        }
    }

    /// The module whose guests call.
    pub fn caller(&self, kind: ProcessKind, index: usize, log: Log) -> Rc<Caller> {
        Rc::new(Caller {
            rate: self.log_rate(kind, index, log),
            slots: self.module(index).slots.clone(),
        })
    }

    /// For calls of root contexts, and others that belong to no request. `log` must live as long as the calls.
    pub fn origin(&self, log: Log, caller: Rc<Caller>) -> Option<Origin> {
        Some(Origin::of_root(self.conf.top()?, log, caller))
    }
}

/// What kind of process a guest runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessKind {
    /// One that reads the configuration: the instance is thrown away, there is no event loop and
    /// no shared memory yet.
    Check,
    /// One that serves requests.
    Worker,
}

/// What a process keeps for a configuration. The master makes the first of it; workers go on with that.
#[derive(Default)]
pub struct Process {
    /// What this process counts for the host's own metrics.
    metrics: OnceCell<Option<Rc<Host>>>,
    /// Wakes workers of other processes; made before nginx forks them.
    wakers: OnceCell<Rc<Wakers>>,
    /// What one worker of all does; there where something is done so.
    leases: OnceCell<Rc<Leases>>,
    /// What instances share: with nobody in the dry run, with other processes in a worker.
    shared: RefCell<Option<Rc<Shared>>>,
    /// By the modules' numbers.
    modules: OnceCell<Vec<ModuleState>>,
    /// The connections of all modules' calls.
    slots: OnceCell<Slots>,
    /// The HTTP/2 connections that gRPC calls share.
    pub channels: Channels,
    /// The connections that Redis calls share.
    pub redis: Client,
    /// Ends guests that run for too long, in a process that serves requests.
    ticker: OnceCell<Ticker>,
    serves: Cell<bool>,
    /// See [`variable::of_requests`].
    request_variables: OnceCell<Vec<usize>>,
    /// What the rooms above keep, one of each type.
    rooms: [OnceCell<Box<dyn Any>>; 8],
}

/// What a process keeps for a module, whatever kind of guest it has.
pub struct ModuleState {
    /// What its guests take of a turn of nginx's event loop.
    pub turn: Rc<Turn>,
    /// The connections of its guests' calls.
    pub slots: Rc<ModuleSlots>,
    /// What the calls of its guests hold.
    pub calls: Budget,
    /// What its guests write to the log.
    log_rate: OnceCell<Rc<LogRate>>,
}

impl ModuleState {
    fn new(conf: &ModuleConf, slots: &Slots) -> ModuleState {
        ModuleState {
            turn: Turn::new(conf.limits.turn_time),
            slots: slots.module(),
            calls: Budget::default(),
            log_rate: OnceCell::new(),
        }
    }
}

impl Process {
    fn modules(&self, conf: &MainConf) -> &[ModuleState] {
        self.modules.get_or_init(|| {
            let slots = self.slots(conf);
            let modules = conf.modules.iter();
            modules
                .map(|module| ModuleState::new(module, slots))
                .collect()
        })
    }

    fn slots(&self, conf: &MainConf) -> &Slots {
        let new = || Slots::new(conf.call_connections);
        self.slots.get_or_init(new)
    }

    /// Makes what has to be there before nginx forks workers. An error is that of the system's `eventfd()` or
    /// `memfd_create()`.
    pub fn prepare(&self, conf: &MainConf) -> std::io::Result<()> {
        if !conf.may_have_guests() {
            return Ok(());
        }
        if conf.subscriptions.iter().any(|one| one.once) {
            let _ = self.leases.set(Leases::get()?);
        }
        // Once for each configuration.
        let _ = self.wakers.set(Wakers::get()?);
        Ok(())
    }

    /// What the instances of this process share. `None`: there are no modules.
    pub fn shared(&self) -> Option<Rc<Shared>> {
        self.shared.borrow().clone()
    }

    /// Keeps what instances started from now on share.
    pub fn set_shared(&self, shared: Option<Rc<Shared>>) {
        self.shared.replace(shared);
    }

    /// What one worker of all does, and how others are woken for it.
    pub fn leases(&self) -> Option<Rc<Leases>> {
        self.leases.get().cloned()
    }

    pub fn wakers(&self) -> Option<Rc<Wakers>> {
        self.wakers.get().cloned()
    }

    /// Does this process serve requests under this configuration?
    pub fn serves(&self) -> bool {
        self.serves.get()
    }

    /// Has nginx find out anew what its variables are that follow from the request's line and
    /// headers, after these have changed.
    pub fn forget_request_variables(&self, request: Request) {
        let all = self
            .request_variables
            .get_or_init(|| variable::of_requests(request));
        variable::forget(request, all);
    }

    /// Keeps something of a room above this one, one thing of each type, as long as the configuration.
    pub fn keep<T: Any>(&self, state: T) {
        if let Some(free) = self.rooms.iter().find(|room| room.get().is_none()) {
            let _ = free.set(Box::new(state));
        }
    }

    /// What a room above has kept.
    #[inline]
    pub fn kept<T: Any>(&self) -> Option<&T> {
        let mut rooms = self.rooms.iter().map_while(OnceCell::get);
        rooms.find_map(|room| room.downcast_ref())
    }
}

/// Begins to serve requests: with the engine that the configuration was checked with, and with what the
/// instances of this process share with those of others. `None`, which has been logged: there are no guests. Later calls do
/// nothing.
///
/// # Safety
/// The process serves requests; `log` is the cycle's, and `main` lives as long as the process.
pub unsafe fn serve(main: &Main, log: *mut ngx_log_t) -> Option<Log> {
    // SAFETY: the caller passes the cycle's log, which lives as long as its configuration.
    let log = unsafe { Log::new(log) };
    if main.process.serves() {
        return Some(log);
    }
    // With all that the check has loaded and linked, in memory that the master shares with its workers.
    let ticker = main.conf.engine().and_then(|engine| {
        let ticker = engine.start_ticker(main.conf.shortest_time());
        ticker.map_err(|error| error.to_string())
    });
    let ticker = match ticker {
        Ok(ticker) => ticker,
        Err(error) => {
            log.write(Level::Crit, format_args!("[wasm] no engine: {error}"));
            return None;
        }
    };
    // SAFETY: what they share belongs to `main`, which lives as long as the process.
    if !unsafe { share(main, log) } {
        log.write(
            Level::Crit,
            format_args!("[wasm] the modules' shared memory is not there"),
        );
        return None;
    }
    // A process starts once for each configuration.
    let _ = main.process.ticker.set(ticker);
    main.process.serves.set(true);
    Some(log)
}

/// The process exits: what was not written to the log is summed up, and queues are left to others.
pub fn leave(main: &Main) {
    sum_up(main);
    if let Some(shared) = main.process.shared() {
        shared.queues.leave();
    }
}

/// Tells of lines that modules have not been allowed to write.
pub fn sum_up(main: &Main) {
    for module in main.process.modules.get().into_iter().flatten() {
        if let Some(log_rate) = module.log_rate.get() {
            log_rate.sum_up();
        }
    }
}

/// Opens what the instances of this process share with those of others. `false` when it is not
/// there.
///
/// # Safety
/// The process serves requests, and `main` lives as long as it does.
unsafe fn share(main: &Main, log: Log) -> bool {
    let Some(wakers) = main.process.wakers.get() else {
        return false;
    };
    let Some(shared) = main.conf.zones.open(wakers.clone()) else {
        return false;
    };
    let shared = Rc::new(shared);
    // SAFETY: the process has an event loop, and what it listens to is kept in `main`.
    unsafe { notify::listen(&shared.queues, wakers, log) };
    main.process.set_shared(Some(shared));
    true
}
