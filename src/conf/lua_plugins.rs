//! `wasm_lua_defaults parameter=value …;` and `wasm_vm wasmtime | wasmedge;`; what a plugin of Lua's is compiled with.

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::guest::Kind;
use crate::conf::lua::{OF_ONE_PLUGIN, name, parse};
use crate::conf::main::{MainConf, ModuleConf};
use crate::conf::module;
use crate::nginx::conf::{Answer, Cf, Mistake, Place, read_directive};
use crate::nginx::log::Level;

pub unsafe extern "C" fn wasm_lua_defaults(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read_defaults) }
}

pub unsafe extern "C" fn wasm_vm(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: as above.
    unsafe { read_directive(cf, conf, read_vm) }
}

fn read_defaults(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.lua.defaults.is_some() {
        return Err(Mistake::Duplicate);
    }
    let defaults: Vec<_> = cf
        .arguments()
        .iter()
        .map(|a| a.as_bytes().to_vec())
        .collect();
    if let Some(own) = defaults.iter().find(|p| OF_ONE_PLUGIN.contains(&name(p))) {
        let name = String::from_utf8_lossy(name(own)).into_owned();
        return Err(format!("wasm_lua_defaults: {name}= is for one plugin alone").into());
    }
    let parameters = parse(&[], &defaults).map_err(|e| format!("wasm_lua_defaults: {e}"))?;
    let limits = &parameters.vm.limits;
    conf.lua.shortest = Some(limits.cpu_time.min(limits.start_time));
    conf.lua.defaults = Some(defaults);
    Ok(())
}

/// What api7's module wants to be told.
fn read_vm(cf: Cf<'_>, _conf: &mut MainConf) -> Result<(), Mistake> {
    let name = cf
        .arguments()
        .first()
        .map_or(&b""[..], |name| name.as_bytes());
    if !matches!(name, b"wasmtime" | b"wasmedge") {
        let name = String::from_utf8_lossy(name);
        return Err(format!(
            "invalid value \"{name}\" in \"wasm_vm\" directive, it must be \"wasmtime\" or \"wasmedge\""
        )
        .into());
    }
    let line = format_args!("[wasm] \"wasm_vm\" is not needed: guests run in Wasmtime in any case");
    cf.log().write(Level::Notice, line);
    Ok(())
}

impl MainConf {
    /// Compiles a plugin that Lua's code loads, with its parameters, `name=value`. The error is for the log.
    pub fn load(&self, name: &str, bytes: &[u8], own: &[Vec<u8>]) -> Result<ModuleConf, String> {
        if name.is_empty() {
            return Err("a plugin needs a name".into());
        }
        let defaults = self.lua.defaults.as_deref().unwrap_or_default();
        let parameters = parse(own, defaults)?;
        if let Some(expected) = &parameters.sha256 {
            module::check_sum(expected, bytes)?;
        }
        match Kind::of(bytes) {
            Kind::ProxyWasm => {}
            kind => return Err(format!("it is {kind}, not a Proxy-Wasm filter")),
        }
        let guest = module::filter(self.engine()?, bytes, &parameters)?;
        Ok(module::module_conf(
            name,
            guest,
            parameters,
            Place::default(),
        ))
    }
}
