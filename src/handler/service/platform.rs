//! What nginx offers to a component that answers a request.

use std::rc::{Rc, Weak};
use std::time::Duration;

use component_host::{
    Body, BodyError, KeyValue, KeyValueError, LocalFuture, Output, Platform, Redis, RedisError,
    Timeouts, VariableError,
};
use guest_host::LogLevel;
use http::uri::Uri;
use http::{Request as HttpRequest, Response};
use http_body_util::BodyExt;

use crate::client::http1::stream;
use crate::handler::service::chain;
use crate::handler::service::error::{body_error, call_error};
use crate::handler::service::local::Local;
use crate::handler::service::outgoing;
use crate::handler::service::services::Service;
use crate::handler::services::Exchange;
use crate::net::origin::{Origin, Owner};
use crate::net::settings::Settings;
use crate::net::timer::sleep;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::worker::guest_log;

/// What nginx offers to the guest of one request, or one message.
pub struct NginxPlatform {
    service: Rc<Service>,
    origin: Origin,
    /// How many components of the application wait for this one.
    depth: u8,
}

impl NginxPlatform {
    /// `origin`: on whose behalf calls are made.
    pub fn new(service: Rc<Service>, origin: Origin) -> NginxPlatform {
        NginxPlatform::chained(service, origin, 0)
    }

    /// For a component that so many others wait for.
    pub fn chained(service: Rc<Service>, origin: Origin, depth: u8) -> NginxPlatform {
        NginxPlatform {
            service,
            origin,
            depth,
        }
    }

    /// `settings`: what holds for calls in the request's location; `owner` says whether the request is still there.
    pub fn of_request(
        service: Rc<Service>,
        request: Request,
        settings: Rc<Settings>,
        owner: &Rc<Exchange>,
    ) -> NginxPlatform {
        let owner: Rc<dyn Owner> = owner.clone();
        let owner: Weak<dyn Owner> = Rc::downgrade(&owner);
        let origin = Origin::of_request(request, settings, owner, service.caller.clone());
        NginxPlatform::new(service, origin)
    }
}

impl Platform for NginxPlatform {
    fn send(
        &self,
        request: HttpRequest<Body>,
        timeouts: Timeouts,
    ) -> LocalFuture<Result<Response<Body>, BodyError>> {
        let (service, origin) = (self.service.clone(), self.origin.clone());
        let timeouts = stream::Timeouts {
            connect: timeouts.connect,
            first_byte: timeouts.first_byte,
            between_bytes: timeouts.between_bytes,
        };
        let authority = request.uri().authority().map(ToString::to_string);
        let depth = self.depth;
        Box::pin(async move {
            let sibling = match service.is_of_application() {
                true => chain::component(request.uri()).map(str::to_owned),
                false => None,
            };
            if let Some(name) = sibling
                && is_allowed(&service, request.uri())
            {
                return chain::send(&service, &origin, depth, &name, request).await;
            }
            let is_allowed = |uri: &Uri| is_allowed(&service, uri);
            let response = outgoing::send(&origin, is_allowed, request, timeouts).await;
            match response {
                Ok(response) => {
                    Ok(response.map(|body| Body::new(Local::new(body).map_err(body_error))))
                }
                Err(error) => {
                    let (name, to) = (&service.name, authority.unwrap_or_default());
                    let line = format_args!("[wasm] {name}: request to {to}: {error}");
                    origin.write_line(Level::Error, line);
                    Err(call_error(error))
                }
            }
        })
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<()> {
        Box::pin(sleep(duration))
    }

    fn print(&self, output: Output, line: &[u8]) {
        let level = match output {
            Output::Stdout => LogLevel::Info,
            Output::Stderr => LogLevel::Error,
        };
        let (service, log) = (&self.service, self.origin.log());
        guest_log::write(log, &service.rate, &service.name, level, line);
    }

    fn open_store(&self, name: &str) -> Result<Rc<dyn KeyValue>, KeyValueError> {
        self.service.stores.open(&self.origin, name)
    }

    fn variable(&self, name: &str) -> Result<String, VariableError> {
        if let Some(value) = self.service.variables.get(name) {
            return Ok(value.clone());
        }
        Err(match spin_app::check_variable(name) {
            Ok(()) => VariableError::Undefined(format!("no variable \"{name}\"")),
            Err(wrong) => VariableError::InvalidName(format!("\"{name}\" {wrong}")),
        })
    }

    fn variables(&self) -> Vec<(String, String)> {
        let all = self.service.variables.iter();
        all.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn open_redis(&self, address: &str) -> Result<Rc<dyn Redis>, RedisError> {
        let (stores, hosts) = (&self.service.stores, &self.service.hosts);
        stores.redis(&self.origin, hosts, address)
    }
}

fn is_allowed(service: &Service, uri: &Uri) -> bool {
    match (uri.scheme_str(), uri.host()) {
        (Some(scheme), Some(host)) => service.hosts.allows(scheme, host, uri.port_u16()),
        _ => false,
    }
}
