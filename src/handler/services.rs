//! What nginx offers to a plugin.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::{Rc, Weak};

use extism_host::{HttpRequest, HttpResult, LogLevel, ServiceError};
use proxy_wasm_host::{MetricType, Status};

use crate::client::budget::Budget;
use crate::conf::location::LocConf;
use crate::handler::http;
use crate::metrics::module::ModuleMetrics;
use crate::net::origin::{Caller, Origin, Owner};
use crate::nginx::log::Log;
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;
use crate::nginx::variable::{self, SetError};
use crate::shm::Shared;
use crate::worker::guest_log;

/// What precedes the names of vars in the shared data.
const VARS: &[u8] = b"extism.var.";

/// What the instances of a module share in a process.
pub struct Calling {
    pub name: Rc<str>,
    /// The space of the module's keys and queues: its `vm_id`, or its name.
    pub space: Rc<[u8]>,
    /// The cycle's.
    pub log: Log,
    pub rate: Rc<LogRate>,
    pub caller: Rc<Caller>,
    pub budget: Budget,
    /// `None`: the zone has no room for the module.
    pub metrics: Option<Rc<ModuleMetrics>>,
    pub shared: Option<Rc<Shared>>,
}

/// What a plugin is called for: a request that it answers, or a message.
pub struct Exchange {
    request: Cell<Option<Request>>,
    /// On whose behalf calls are made for a message.
    origin: Option<Origin>,
}

impl Exchange {
    pub fn new(request: Request) -> Rc<Exchange> {
        Rc::new(Exchange {
            request: Cell::new(Some(request)),
            origin: None,
        })
    }

    /// For a message: `origin` says on whose behalf calls are made.
    pub fn of_message(origin: Origin) -> Rc<Exchange> {
        Rc::new(Exchange {
            request: Cell::new(None),
            origin: Some(origin),
        })
    }

    /// The request ends.
    pub fn end(&self) {
        self.request.set(None);
    }
}

impl Owner for Exchange {
    fn request(&self) -> Option<Request> {
        self.request.get()
    }
}

/// What nginx offers to one instance.
pub struct PluginServices {
    calling: Rc<Calling>,
    /// Whose request is being answered; none in between.
    exchange: RefCell<Option<Rc<Exchange>>>,
}

impl PluginServices {
    pub fn new(calling: Rc<Calling>) -> PluginServices {
        PluginServices {
            calling,
            exchange: RefCell::default(),
        }
    }

    /// A call begins, for this request, or has ended.
    pub fn serve(&self, exchange: Option<Rc<Exchange>>) {
        self.exchange.replace(exchange);
    }

    fn request(&self) -> Option<Request> {
        let exchange = self.exchange.borrow();
        exchange.as_ref().and_then(|exchange| exchange.request())
    }

    /// On whose behalf the guest calls. The error says why it cannot.
    fn origin(&self) -> Result<Origin, &'static str> {
        let exchange = self.exchange.borrow();
        let exchange = exchange
            .as_ref()
            .ok_or("there is no request that it could be made for")?;
        let Some(request) = exchange.request() else {
            let origin = exchange.origin.clone();
            return origin.ok_or("there is no request that it could be made for");
        };
        let settings = LocConf::of(request).call();
        let settings = settings.ok_or("the location has no settings for calls")?;
        let owner: Rc<dyn Owner> = exchange.clone();
        let owner: Weak<dyn Owner> = Rc::downgrade(&owner);
        let caller = self.calling.caller.clone();
        Ok(Origin::of_request(request, settings.clone(), owner, caller))
    }

    fn request_log(&self) -> Log {
        self.request().map_or(self.calling.log, Request::log)
    }

    fn shared(&self) -> Result<&Shared, ServiceError> {
        let shared = self.calling.shared.as_deref();
        shared.ok_or(ServiceError::Unavailable)
    }
}

impl guest_host::Services for PluginServices {
    fn log_enabled(&self, level: LogLevel) -> bool {
        guest_log::is_enabled(self.request_log(), level)
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        guest_log::write(
            self.request_log(),
            &self.calling.rate,
            &self.calling.name,
            level,
            message,
        );
    }

    fn log_level(&self) -> LogLevel {
        guest_log::least_level(self.request_log())
    }

    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, ServiceError> {
        let found = self.shared()?.data.get(&self.calling.space, key, out);
        found.map_err(service_error)
    }

    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), ServiceError> {
        let (data, log) = (&self.shared()?.data, self.calling.log);
        let set = data.set(&self.calling.space, key, value, cas, log);
        set.map_err(service_error)
    }

    fn enqueue(&self, queue: &[u8], message: &[u8]) -> Result<(), ServiceError> {
        let queues = &self.shared()?.queues;
        let number = queues.resolve(&self.calling.space, queue);
        let number = number.map_err(service_error)?;
        let put = queues.enqueue(number, message, self.calling.log);
        put.map_err(service_error)
    }

    fn increment_counter(&self, name: &[u8], by: u64) -> Result<u64, ServiceError> {
        let metrics = self.calling.metrics.as_deref();
        let metrics = metrics.ok_or(ServiceError::Unavailable)?;
        let by = i64::try_from(by).map_err(|_| ServiceError::BadArgument)?;
        let id = metrics.define(MetricType::Counter, name);
        let id = id.map_err(service_error)?;
        metrics.increment(id, by).map_err(service_error)?;
        metrics.get(id).map_err(service_error)
    }

    fn variable(&self, name: &[u8], out: &mut Vec<u8>) -> Result<(), ServiceError> {
        let request = self.request().ok_or(ServiceError::Unavailable)?;
        match variable::get(request, name, &mut |value| out.extend_from_slice(value)) {
            true => Ok(()),
            false => Err(ServiceError::NotFound),
        }
    }

    fn set_variable(&self, name: &[u8], value: &[u8]) -> Result<(), ServiceError> {
        let request = self.request().ok_or(ServiceError::Unavailable)?;
        variable::set(request, name, value).map_err(|error| match error {
            SetError::Unknown => ServiceError::NotFound,
            SetError::ReadOnly => ServiceError::BadArgument,
            SetError::NoMemory => ServiceError::NoRoom,
        })
    }
}

impl extism_host::Services for PluginServices {
    fn http_request(&self, request: HttpRequest) -> impl Future<Output = HttpResult> + 'static {
        http::call(&self.calling, self.origin(), request)
    }

    fn var(&self, key: &str, out: &mut Vec<u8>) -> Result<bool, ServiceError> {
        let key = [VARS, key.as_bytes()].concat();
        match guest_host::Services::shared_data(self, &key, out) {
            // An empty one is as none, as for the vars of an instance.
            Ok(_) => Ok(!out.is_empty()),
            Err(ServiceError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn set_var(&self, key: &str, value: Option<&[u8]>) -> Result<(), ServiceError> {
        let key = [VARS, key.as_bytes()].concat();
        guest_host::Services::set_shared_data(self, &key, value.unwrap_or_default(), 0)
    }
}

fn service_error(status: Status) -> ServiceError {
    match status {
        Status::NotFound => ServiceError::NotFound,
        Status::CasMismatch => ServiceError::CasMismatch,
        Status::BadArgument => ServiceError::BadArgument,
        _ => ServiceError::NoRoom,
    }
}
