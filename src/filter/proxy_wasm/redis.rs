//! Redis calls of an instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use proxy_wasm_host::{
    CallId, ContextId, RedisCall as GuestCall, RedisReply, RedisService as GuestService, Status,
};

use crate::client::budget::Budget;
use crate::client::redis::command::Command;
use crate::client::redis::failure::Failure;
use crate::client::redis::service::{Service, split};
use crate::client::redis::{Call, Client};
use crate::filter::proxy_wasm::proxy::Link;
use crate::metrics::module::ModuleMetrics;
use crate::net::executor::Task;
use crate::net::origin::Origin;
use crate::net::timer::spawn_call;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, Log, printable};
use crate::nginx::log_rate::LogRate;

/// Services that an instance may have told of.
const MAX_SERVICES: usize = 256;

/// What an instance's guest has said of Redis services (`proxy_redis_init`).
#[derive(Default)]
pub struct Services {
    own: RefCell<Vec<Entry>>,
    /// What the module's ordinary instance has said, for an instance of one request.
    base: Option<Rc<Services>>,
}

struct Entry {
    root: ContextId,
    /// As the guest has named it, parameters included.
    name: Vec<u8>,
    service: Rc<Service>,
}

impl Services {
    /// For an instance of one request; this is another such instance's, or the ordinary one's.
    pub fn of_request(self: &Rc<Services>) -> Rc<Services> {
        let base = self.base.as_ref().unwrap_or(self).clone();
        Rc::new(Services {
            own: RefCell::default(),
            base: Some(base),
        })
    }

    /// `Err(InternalFailure)`: there are too many.
    fn set(&self, root: ContextId, name: &[u8], service: Service) -> Result<(), Status> {
        let mut own = self.own.borrow_mut();
        // The last one counts for calls that name the upstream alone.
        own.retain(|entry| entry.root != root || entry.name != name);
        if own.len() >= MAX_SERVICES {
            return Err(Status::InternalFailure);
        }
        own.push(Entry {
            root,
            name: name.to_vec(),
            service: Rc::new(service),
        });
        Ok(())
    }

    /// The service that the root context, or else another one of the instance, has told of last: by the whole name where that has
    /// parameters, else by the upstream.
    fn get(&self, root: ContextId, name: &[u8]) -> Option<Rc<Service>> {
        let (upstream, parameters) = split(name);
        let by_name = |entry: &Entry| !parameters.is_empty() && entry.name == name;
        let by_upstream = |entry: &Entry| split(&entry.name).0 == upstream;
        self.find(|entry| entry.root == root && by_name(entry))
            .or_else(|| self.find(|entry| entry.root == root && by_upstream(entry)))
            .or_else(|| self.find(by_name))
            .or_else(|| self.find(by_upstream))
    }

    fn find(&self, is: impl Fn(&Entry) -> bool) -> Option<Rc<Service>> {
        let own = self.own.borrow();
        match own.iter().rev().find(|entry| is(entry)) {
            Some(entry) => Some(entry.service.clone()),
            None => self.base.as_ref()?.find_dyn(&is),
        }
    }

    /// The same for the base, which has none itself.
    fn find_dyn(&self, is: &dyn Fn(&Entry) -> bool) -> Option<Rc<Service>> {
        let own = self.own.borrow();
        let found = own.iter().rev().find(|entry| is(entry));
        found.map(|entry| entry.service.clone())
    }
}

/// The Redis calls of one instance. Dropping this cancels them: nothing more is told.
pub struct RedisCalls {
    client: Client,
    budget: Budget,
    services: Rc<Services>,
    turn: Rc<Turn>,
    ending: Rc<Ending>,
}

/// What is needed when a call ends.
struct Ending {
    module: Rc<str>,
    link: Link,
    log_rate: Rc<LogRate>,
    metrics: Option<Rc<ModuleMetrics>>,
    live: RefCell<HashMap<CallId, Task>>,
}

impl RedisCalls {
    pub fn new(
        client: Client,
        (budget, turn): (Budget, Rc<Turn>),
        services: Rc<Services>,
        module: Rc<str>,
        link: Link,
        log_rate: Rc<LogRate>,
        metrics: Option<Rc<ModuleMetrics>>,
    ) -> RedisCalls {
        RedisCalls {
            client,
            budget,
            services,
            turn,
            ending: Rc::new(Ending {
                module,
                link,
                log_rate,
                metrics,
                live: RefCell::default(),
            }),
        }
    }

    /// Notes a service; for errors see [`Service::new`].
    pub fn init(
        &self,
        origin: &Origin,
        root: ContextId,
        asked: &GuestService<'_>,
    ) -> Result<(), Status> {
        let login = (asked.username, asked.password);
        let service = Service::new(origin, asked.name, login, asked.timeout);
        let service = service.ok_or(Status::BadArgument)?;
        self.services.set(root, asked.name, service)
    }

    /// Starts a call. `Err(BadArgument)`: the service is unknown, or the query is no command that may be sent.
    /// `Err(InternalFailure)`: the module's calls hold too much.
    pub fn call(&self, origin: &Origin, id: CallId, asked: &GuestCall<'_>) -> Result<(), Status> {
        let service = self.services.get(asked.root, asked.service);
        let service = service.ok_or(Status::BadArgument)?;
        let command = Command::parse(asked.query).ok_or(Status::BadArgument)?;
        let call = Call::new(origin, &service, command, &self.budget);
        let call = call.ok_or(Status::InternalFailure)?;
        let log = call.log();
        let upstream = split(asked.service).0.to_vec();
        let (client, ending) = (self.client.clone(), Rc::downgrade(&self.ending));
        let (turn, waits) = (self.turn.clone(), self.turn.clone());
        let answered = async move {
            let result = client.call(call).await;
            waits.wait().await;
            if let Some(ending) = ending.upgrade() {
                ending.end(id, result, &upstream, log);
            }
        };
        let task = spawn_call(origin.keeps_worker(), async move {
            turn.meter(answered).await;
        });
        let earlier = self.ending.live.borrow_mut().insert(id, task);
        drop(earlier);
        Ok(())
    }

    /// Ends a call of which nothing is to be told.
    pub fn cancel(&self, id: CallId) {
        let live = self.ending.live.borrow_mut().remove(&id);
        drop(live);
    }

    /// Ends all calls: the guest cannot be told anything any more.
    pub fn clear(&self) {
        let live = self.ending.live.take();
        drop(live);
    }
}

impl Drop for RedisCalls {
    fn drop(&mut self) {
        // A delivery that is going on holds the rest a little longer.
        self.clear();
    }
}

impl Ending {
    fn end(&self, id: CallId, result: Result<Vec<u8>, Failure>, upstream: &[u8], log: Log) {
        let live = self.live.borrow_mut().remove(&id);
        if live.is_none() {
            return;
        }
        let error = result.as_ref().err().map(Failure::to_string);
        if let Some(metrics) = &self.metrics {
            metrics.redis_call_ended(error.as_deref());
        }
        if let Some(error) = error
            && log.enabled(Level::Error)
            && self.log_rate.allows_line()
        {
            log.write(
                Level::Error,
                format_args!(
                    "[wasm] {}: Redis call to \"{}\" failed: {}",
                    self.module,
                    printable(upstream),
                    printable(error.as_bytes())
                ),
            );
        }
        if let Some(instance) = self.link.instance() {
            let reply = result.map_or(RedisReply::Failed, RedisReply::Reply);
            instance.call_logged(|vm| vm.on_redis_call_response(id, reply));
        }
    }
}
