//! The subscriptions of a worker.

use std::fmt::Arguments;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use crate::client::redis::service::Service;
use crate::conf::subscription::{Receiver, SubscriptionConf};
use crate::handler::subscribe::deliver::deliver;
use crate::handler::subscribe::line::MessageLine;
use crate::handler::subscribe::listen::listen;
use crate::handler::subscribe::resolve::service;
use crate::metrics::module::ModuleMetrics;
use crate::net::executor::{Task, spawn};
use crate::net::origin::Origin;
use crate::net::timer::cancelable;
use crate::nginx::log::{Level, Log, printable};
use crate::shm::lease::{Lease, Leases};
use crate::shm::wakers::Wakers;
use crate::worker::process::{Main, ProcessKind};

/// A subscription in this worker.
pub struct Subscriber {
    /// The module's name, and its number.
    pub name: String,
    pub module: usize,
    pub receiver: Receiver,
    pub line: MessageLine,
    /// For the connection, and for what guests call; without a request.
    pub origin: Origin,
    service: Service,
    channels: Vec<Vec<u8>>,
    /// What one worker of all has, with `once=yes`; and its number.
    once: Option<(Rc<Leases>, Rc<Wakers>, u64)>,
    pub metrics: Option<Rc<ModuleMetrics>>,
    /// The cycle's.
    pub log: Log,
}

impl Subscriber {
    fn new(main: &Main, conf: &SubscriptionConf, log: Log) -> Option<Subscriber> {
        let (module, receiver) = conf.receiver.clone()?;
        let origin = main.origin(log, main.caller(ProcessKind::Worker, module, log))?;
        let limits = &main.conf.modules[module].limits;
        let once = match conf.once {
            true => Some((main.process.leases()?, main.process.wakers()?, number(conf))),
            false => None,
        };
        Some(Subscriber {
            name: conf.module.clone(),
            module,
            receiver,
            line: MessageLine::new(limits.queue, main.module(module).calls.clone()),
            service: service(&origin, conf)?,
            origin,
            channels: conf.channels.clone(),
            once,
            metrics: main.module_metrics(ProcessKind::Worker, module),
            log,
        })
    }

    pub fn is_once(&self) -> bool {
        self.once.is_some()
    }

    /// `None`: another process has it.
    pub fn take_lease(&self) -> Option<Lease> {
        let (leases, wakers, number) = self.once.as_ref()?;
        leases.take(*number, wakers)
    }

    /// What a connection is made for.
    pub fn wanted(&self) -> (&Origin, &Service, &[Vec<u8>]) {
        (&self.origin, &self.service, &self.channels)
    }

    /// A message has come.
    pub fn take(&self, payload: Vec<u8>) {
        if !self.line.push(payload) {
            self.count("dropped");
            if let Some(dropped) = self.line.dropped() {
                self.tell_dropped(dropped);
            }
        }
    }

    /// A message has come that is larger than `wasm_call_buffer_size`.
    pub fn too_large(&self) {
        self.count("dropped");
        let most = self.origin.conf.buffer_size;
        self.tell(
            Level::Error,
            format_args!("a message larger than {most} bytes is dropped"),
        );
    }

    /// Messages were dropped.
    pub fn tell_dropped(&self, dropped: u64) {
        self.note(
            Level::Error,
            format_args!("{dropped} messages dropped: as many wait as queue= says, or as the module's calls may hold"),
        );
    }

    pub fn count(&self, outcome: &str) {
        if let Some(metrics) = &self.metrics {
            metrics.message_ended(outcome);
        }
    }

    /// Writes a line about a message to the log, as far as there may be one of the module.
    pub fn tell(&self, level: Level, line: Arguments<'_>) {
        if self.log.enabled(level) && self.origin.caller.rate.allows_line() {
            self.note(level, line);
        }
    }

    /// Writes a line about the subscription to the log, of which there are few.
    pub fn note(&self, level: Level, line: Arguments<'_>) {
        let line = line.to_string();
        let (name, server) = (&self.name, &self.service.target);
        let line = printable(line.as_bytes());
        let line = format_args!("[wasm] {name}: subscription to {server}: {line}");
        self.log.write(level, line);
    }
}

/// The same in all workers, and after a reload: what is subscribed to, and for whom.
fn number(conf: &SubscriptionConf) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&conf.server, &conf.user, &conf.channels).hash(&mut hasher);
    (&conf.module, &conf.function).hash(&mut hasher);
    hasher.finish()
}

/// All of a worker, which end with this.
pub struct Subscribers {
    _tasks: Vec<Task>,
}

impl Subscribers {
    /// Subscribes, once nginx's event loop runs.
    ///
    /// # Safety
    /// `main` owns what is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn start(main: &'static Main, log: Log) -> Subscribers {
        let mut tasks = Vec::new();
        for conf in &main.conf.subscriptions {
            let Some(subscriber) = Subscriber::new(main, conf, log) else {
                let name = &conf.module;
                let line = format_args!("[wasm] {name}: a subscription cannot be begun");
                log.write(Level::Crit, line);
                continue;
            };
            let subscriber = Rc::new(subscriber);
            tasks.push(spawn(cancelable(listen(subscriber.clone()))));
            tasks.push(spawn(deliver(main, subscriber)));
        }
        Subscribers { _tasks: tasks }
    }
}
