//! `allow=` and `deny=` of `wasm_module`: what is checked once all of the configuration is known.

use std::os::unix::ffi::OsStringExt;

use proxy_wasm_host::{Capability, VmConfig};

use super::{MainConf, ModuleConf};
use crate::net::{Origin, is_target, redis};
use crate::nginx::log::Log;

/// With the family `env`, a guest sees nginx's environment beside what `env=` names.
pub fn add_environment(vm: &mut VmConfig) {
    if !vm.capabilities.allows(Capability::Env) {
        return;
    }
    let mut all: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .filter(|(name, _)| vm.env.iter().all(|(named, _)| named != name))
        .collect();
    vm.env.append(&mut all);
}

/// Refuses a list with an upstream that no call could ever go to.
pub fn check_upstreams(conf: &MainConf, module: &ModuleConf, log: Log) -> Result<(), String> {
    let Some(origin) = Origin::of_root(conf, log) else {
        return Ok(());
    };
    for capability in [
        Capability::HttpCall,
        Capability::GrpcCall,
        Capability::Redis,
    ] {
        let listed = module.vm.capabilities.upstreams(capability);
        for name in listed.unwrap_or_default() {
            let is_target = match capability {
                Capability::Redis => redis::is_target(&origin, name),
                _ => is_target(&origin, name, capability == Capability::GrpcCall),
            };
            if !is_target {
                return Err(format!(
                    "allow={}(…): there is no upstream \"{}\"; it must be the name of an upstream block, \
                     host:port, 1.2.3.4:port, [v6]:port or unix:/path",
                    capability.name(),
                    String::from_utf8_lossy(name)
                ));
            }
        }
    }
    Ok(())
}
