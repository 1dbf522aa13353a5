//! What a subscription names, looked up when all of the configuration has been read.

use crate::client::redis::service::Service;
use crate::conf::guest::Guest;
use crate::conf::handler::export;
use crate::conf::main::MainConf;
use crate::conf::subscription::{Receiver, SubscriptionConf};
use crate::net::origin::Origin;
use crate::nginx::conf::Cf;
use crate::worker::process::{Main, ProcessKind};

/// Finds the modules and servers of all subscriptions. `None`: there is a mistake in one, which has been logged. In the
/// postconfiguration step.
pub fn resolve(cf: Cf<'_>, main: &mut Main) -> Option<()> {
    for index in 0..main.conf.subscriptions.len() {
        let found = receiver(&main.conf, &main.conf.subscriptions[index]);
        let found = found.and_then(|(module, receiver)| {
            let caller = main.caller(ProcessKind::Check, module, cf.log());
            match main.origin(cf.log(), caller) {
                Some(origin) => check_server(&origin, &main.conf.subscriptions[index])?,
                None => return Err("the http block has no settings for calls".to_owned()),
            }
            Ok((module, receiver))
        });
        let subscription = &mut main.conf.subscriptions[index];
        match found {
            Ok(found) => subscription.receiver = Some(found),
            Err(error) => {
                cf.error_at(&subscription.place, format_args!("{error}"));
                return None;
            }
        }
    }
    Some(())
}

fn receiver(conf: &MainConf, subscription: &SubscriptionConf) -> Result<(usize, Receiver), String> {
    let name = &subscription.module;
    let mut modules = conf.modules.iter();
    let module = modules.position(|module| &module.name == name);
    let module = module.ok_or_else(|| format!("unknown wasm module \"{name}\""))?;
    let function = subscription.function.as_deref();
    let guest = &conf.modules[module].guest;
    let receiver = match guest {
        Guest::Component(..) if function.is_some() => {
            return Err(format!(
                "wasm module \"{name}\" is a component: function= is for plugins alone"
            ));
        }
        Guest::Component(program, _) if !program.takes_messages() => {
            return Err(format!(
                "wasm module \"{name}\" is a component that takes no messages: it exports neither spin:redis/inbound-redis@3.0.0 \
                 nor fermyon:spin/inbound-redis"
            ));
        }
        Guest::Component(..) => Receiver::Component,
        Guest::Extism(program, _) => Receiver::Export(export(name, program, function)?),
        Guest::Wapc(_) => Receiver::Operation(function.map(<[u8]>::to_vec).ok_or_else(|| {
            format!("wasm module \"{name}\" is a waPC guest: name its operation by function=")
        })?),
        Guest::ProxyWasm(_) | Guest::HttpWasm(_) => {
            return Err(format!(
                "wasm module \"{name}\" is {}: messages are for components and plugins",
                guest.kind()
            ));
        }
    };
    Ok((module, receiver))
}

fn check_server(origin: &Origin, subscription: &SubscriptionConf) -> Result<(), String> {
    match service(origin, subscription) {
        Some(_) => Ok(()),
        None => Err(format!(
            "there is no upstream \"{}\"; it must be the name of an upstream block, host:port, 1.2.3.4:port, [v6]:port or unix:/path",
            String::from_utf8_lossy(&subscription.server)
        )),
    }
}

/// The server of a subscription.
pub fn service(origin: &Origin, subscription: &SubscriptionConf) -> Option<Service> {
    let login = (
        subscription.user.as_slice(),
        subscription.password.as_slice(),
    );
    Service::new(origin, &subscription.server, login, Default::default())
}
