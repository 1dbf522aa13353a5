//! What is kept for components outside of their instances: key-value stores, and Redis servers that they name.

pub mod redis;
pub mod shared;

use std::rc::Rc;
use std::time::Duration;

use component_host::{KeyValue, KeyValueError, Redis, RedisError};
use spin_app::AllowedHosts;

use crate::client::budget::Budget;
use crate::client::redis::Client;
use crate::client::redis::service::Service;
use crate::client::redis::url::RedisUrl;
use crate::conf::main::ModuleConf;
use crate::conf::service::ServiceOptions;
use crate::conf::stores::KeyValueStore;
use crate::handler::service::stores::redis::{RedisStore, Server};
use crate::handler::service::stores::shared::SharedStore;
use crate::net::origin::Origin;
use crate::nginx::log::Log;
use crate::shm::Shared;
use crate::worker::process::Main;

/// The store that is there without a directive, in the zone of `wasm_shared_data`; Spin's name of it.
const DEFAULT: &str = "default";

/// What a component of a worker can open.
pub struct Stores {
    /// Those of `wasm_key_value`.
    servers: Rc<[KeyValueStore]>,
    /// The names that it may open; `None`: all.
    allowed: Option<Rc<[String]>>,
    shared: Option<Rc<Shared>>,
    /// What the keys of its own stores stand under in the shared data.
    space: Box<[u8]>,
    client: Client,
    budget: Budget,
    /// The cycle's.
    log: Log,
}

impl Stores {
    pub fn new(
        main: &Main,
        index: usize,
        module: &ModuleConf,
        options: &ServiceOptions,
        log: Log,
    ) -> Stores {
        Stores {
            servers: main.conf.key_values.as_slice().into(),
            allowed: options.stores.clone(),
            shared: main.process.shared(),
            space: [b"key-value:", module.space(), b":"].concat().into(),
            client: main.process.redis.clone(),
            budget: main.module(index).calls.clone(),
            log,
        }
    }

    /// The store of this name. Calls to a server are made under the settings of the request's location.
    pub fn open(&self, origin: &Origin, name: &str) -> Result<Rc<dyn KeyValue>, KeyValueError> {
        let allowed = self.allowed.as_ref();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|one| one == name)) {
            return Err(KeyValueError::Denied);
        }
        if let Some(store) = self.servers.iter().find(|store| store.name == name) {
            let login = (store.user.as_slice(), store.password.as_slice());
            let service = Service::new(origin, &store.server, login, Duration::ZERO);
            let service = service.ok_or_else(|| {
                let server = String::from_utf8_lossy(&store.server);
                KeyValueError::Other(format!("no such upstream: {server}"))
            })?;
            return Ok(Rc::new(RedisStore(self.server(origin, service))));
        }
        match (&self.shared, name) {
            (Some(shared), DEFAULT) => {
                let space = [&self.space, name.as_bytes()].concat();
                let store = SharedStore::new(shared.clone(), space.into(), self.log);
                Ok(Rc::new(store))
            }
            _ => Err(KeyValueError::NoSuchStore),
        }
    }

    /// The server of `redis://user:password@host:port/database`, if it may be called.
    pub fn redis(
        &self,
        origin: &Origin,
        hosts: &AllowedHosts,
        address: &str,
    ) -> Result<Rc<dyn Redis>, RedisError> {
        let service = service(origin, hosts, address).ok_or(RedisError::InvalidAddress)?;
        Ok(Rc::new(self.server(origin, service)))
    }

    fn server(&self, origin: &Origin, service: Service) -> Server {
        Server::new(self.client.clone(), origin, service, self.budget.clone())
    }
}

fn service(origin: &Origin, hosts: &AllowedHosts, address: &str) -> Option<Service> {
    let url = RedisUrl::parse(address)?;
    if !hosts.allows(&url.scheme, &url.host, Some(url.port)) {
        return None;
    }
    let server = format!("{}?db={}", url.server(), url.database);
    let login = (&*url.user, &*url.password);
    Service::new(origin, server.as_bytes(), login, Duration::ZERO)
}
