//! Upstreams in `allow=` and `deny=` of `wasm_module`: what is checked once all of the configuration is known.

use proxy_wasm_host::Capability;

use crate::client::redis;
use crate::net::origin::Origin;
use crate::net::target::{is_target, is_upstream_block};
use crate::nginx::log::Log;
use crate::worker::process::{Main, ProcessKind};

/// Reads the lists of upstreams again, as it is known now which names there are: those of `upstream`
/// blocks may have the sign in them that stands between two names. An error comes with the number of
/// its module.
pub fn name_upstreams(main: &mut Main, log: Log) -> Result<(), (usize, String)> {
    if main.conf.modules.is_empty() {
        return Ok(());
    }
    let Some(origin) = lookup(main, 0, log) else {
        return Ok(());
    };
    for (index, module) in main.conf.modules.iter_mut().enumerate() {
        let is_block = |capability, name: &[u8]| {
            is_upstream_block(&origin, name, capability == Capability::GrpcCall)
        };
        let capabilities = module.rules.capabilities_with(is_block);
        module.vm.capabilities = capabilities.map_err(|error| (index, error))?;
    }
    Ok(())
}

/// On whose behalf names are looked up: no call is made.
fn lookup(main: &Main, module: usize, log: Log) -> Option<Origin> {
    main.origin(log, main.caller(ProcessKind::Check, module, log))
}

/// Refuses a list with an upstream that no call could ever go to.
pub fn check_upstreams(main: &Main, index: usize, log: Log) -> Result<(), String> {
    let Some(origin) = lookup(main, index, log) else {
        return Ok(());
    };
    for capability in [
        Capability::HttpCall,
        Capability::GrpcCall,
        Capability::Redis,
    ] {
        let listed = main.conf.modules[index]
            .vm
            .capabilities
            .upstreams(capability);
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
