//! `allow=` and `deny=` of `wasm_module`: what is checked once all of the configuration is known.

use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

use proxy_wasm_host::{Capability, VmConfig};

use crate::client::redis;
use crate::conf::{MainConf, ModuleConf};
use crate::filter::proxy_wasm::instance::Process;
use crate::net::origin::{Caller, Origin};
use crate::net::target::{is_target, is_upstream_block};
use crate::nginx::log::Log;
use crate::nginx::log_rate::LogRate;

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

/// Reads the lists of upstreams again, as it is known now which names there are: those of `upstream`
/// blocks may have the sign in them that stands between two names. An error comes with the number of
/// its module.
pub fn name_upstreams(conf: &mut MainConf, log: Log) -> Result<(), (usize, String)> {
    let Some(first) = conf.modules.first() else {
        return Ok(());
    };
    let Some(origin) = Origin::of_root(conf, log, no_caller(first, log)) else {
        return Ok(());
    };
    for (index, module) in conf.modules.iter_mut().enumerate() {
        let is_block = |capability, name: &[u8]| {
            is_upstream_block(&origin, name, capability == Capability::GrpcCall)
        };
        let capabilities = module.rules.capabilities_with(is_block);
        module.vm.capabilities = capabilities.map_err(|error| (index, error))?;
    }
    Ok(())
}

/// On whose behalf names are looked up: no call is made.
fn no_caller(module: &ModuleConf, log: Log) -> Rc<Caller> {
    Rc::new(Caller {
        rate: LogRate::new(Process::Check, None, module.name.as_str().into(), log),
        slots: module.slots.clone(),
    })
}

/// Refuses a list with an upstream that no call could ever go to.
pub fn check_upstreams(conf: &MainConf, module: &ModuleConf, log: Log) -> Result<(), String> {
    let Some(origin) = Origin::of_root(conf, log, no_caller(module, log)) else {
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
                Capability::Redis => redis::service::is_target(&origin, name),
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
