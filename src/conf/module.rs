//! `wasm_module name file [parameter=value] …;`

use std::ffi::c_void;
use std::fmt::Write;
use std::path::Path;

use extism_host::Manifest;
use ngx::ffi::{ngx_command_t, ngx_conf_t};
use proxy_wasm_host::{Engine, Program, sha256};

use crate::conf::cache;
use crate::conf::guest::{Guest, Kind, is_manifest};
use crate::conf::limits::check_stack;
use crate::conf::main::{MainConf, ModuleConf};
use crate::conf::parameters::Parameters;
use crate::conf::policy::{HeaderStop, Isolation};
use crate::nginx::conf::{Answer, Cf, Mistake, Place, read_directive};
use crate::nginx::log::Level;

pub unsafe extern "C" fn wasm_module(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    let [name, file, options @ ..] = cf.arguments() else {
        return Err("wasm_module needs a name and a file".into());
    };
    let name = name
        .to_str()
        .map_err(|_| "the name of a wasm module must be UTF-8")?;
    if name.is_empty() || name == "off" {
        return Err(format!("invalid wasm module name \"{name}\"").into());
    }
    if conf.modules.iter().any(|module| module.name == name) {
        return Err(format!("duplicate wasm module \"{name}\"").into());
    }

    let mut parameters = Parameters::default();
    for parameter in options {
        parameters
            .take(parameter.as_bytes(), |text| cf.text_or_file(text))
            .map_err(|error| format!("wasm module \"{name}\": {error}"))?;
    }
    check_stack(parameters.vm.limits.stack)
        .map_err(|error| format!("wasm module \"{name}\": {error}"))?;

    parameters
        .finish()
        .map_err(|error| format!("wasm module \"{name}\": {error}"))?;

    let path = cf.full_name(file.as_bytes())?;
    let bytes = cf
        .read_file(file.as_bytes())
        .map_err(|error| format!("wasm module \"{name}\": {error}"))?;
    let at = |error: String| format!("wasm module \"{name}\" (\"{}\"): {error}", path.display());
    if let Some(expected) = &parameters.sha256 {
        check_sum(expected, &bytes).map_err(at)?;
    }
    let kind = parameters.kind.unwrap_or_else(|| Kind::of(&bytes));
    parameters.check(kind).map_err(at)?;
    cache::open_default(cf, conf);
    let guest = conf
        .engine()
        .and_then(|engine| match kind {
            Kind::ProxyWasm => filter(engine, &bytes, &parameters),
            Kind::Extism => plugin(engine, bytes, &path, &parameters),
            Kind::Wapc => wapc(engine, &bytes, &parameters),
            Kind::HttpWasm => middleware(engine, &bytes, &parameters),
            Kind::Component => component(engine, &bytes, &parameters),
        })
        .map_err(at);
    cache::tell(cf.log(), Level::Warn, conf, name);
    let module = module_conf(name, guest?, parameters, cf.place());
    conf.modules.push(module);
    Ok(())
}

/// A compiled guest with its parameters.
pub fn module_conf(name: &str, guest: Guest, parameters: Parameters, place: Place) -> ModuleConf {
    let abi = guest.filter().map(Program::abi);
    let header_stop = parameters.header_stop;
    // One that is no Proxy-Wasm filter and holds a header back does so to see the body.
    let of_kind = || abi.map_or(HeaderStop::Iteration, HeaderStop::of);
    let header_stop = header_stop.unwrap_or_else(of_kind);
    let isolation = parameters.isolation_of(guest.kind());
    ModuleConf {
        name: name.to_owned(),
        guest,
        vm: parameters.vm,
        rules: parameters.rules,
        limits: parameters.limits,
        on_failure: parameters.on_failure,
        isolation,
        header_stop,
        place,
    }
}

/// A Proxy-Wasm filter.
pub fn filter(engine: &Engine, bytes: &[u8], parameters: &Parameters) -> Result<Guest, String> {
    let program = match parameters.isolation.unwrap_or_default() {
        Isolation::Worker => Program::compile(engine, bytes),
        Isolation::Request => Program::compile_for_snapshots(engine, bytes),
    };
    program
        .map(Guest::ProxyWasm)
        .map_err(|error| error.to_string())
}

/// A plugin of Extism's: a module, or a manifest with the paths of modules, which begin where it is.
fn plugin(
    engine: &Engine,
    bytes: Vec<u8>,
    path: &Path,
    parameters: &Parameters,
) -> Result<Guest, String> {
    let mut manifest = match is_manifest(&bytes) {
        true => Manifest::parse(&bytes).map_err(|error| error.to_string())?,
        false => Manifest::of_module(bytes),
    };
    let own = &parameters.plugin;
    manifest.config.extend(own.config.iter().cloned());
    for host in &own.allowed_hosts {
        let allowed = manifest.allow_host(host);
        allowed.map_err(|error| error.to_string())?;
    }
    let snapshots = parameters.isolation == Some(Isolation::Request);
    let read = |named: &Path| std::fs::read(path.with_file_name("").join(named));
    let program = extism_host::Program::compile(engine, &manifest, snapshots, read);
    program
        .map(|program| Guest::Extism(program, own.options))
        .map_err(|error| error.to_string())
}

fn wapc(engine: &Engine, bytes: &[u8], parameters: &Parameters) -> Result<Guest, String> {
    let program = match parameters.isolation.unwrap_or_default() {
        Isolation::Worker => wapc_host::Program::compile(engine, bytes),
        Isolation::Request => wapc_host::Program::compile_for_snapshots(engine, bytes),
    };
    program.map(Guest::Wapc).map_err(|error| error.to_string())
}

fn middleware(engine: &Engine, bytes: &[u8], parameters: &Parameters) -> Result<Guest, String> {
    let program = match parameters.isolation_of(Kind::HttpWasm) {
        Isolation::Worker => http_wasm_host::Program::compile(engine, bytes),
        Isolation::Request => http_wasm_host::Program::compile_for_snapshots(engine, bytes),
    };
    program
        .map(Guest::HttpWasm)
        .map_err(|error| error.to_string())
}

/// A component that is the whole service.
fn component(engine: &Engine, bytes: &[u8], parameters: &Parameters) -> Result<Guest, String> {
    let options = parameters.service.options()?;
    if options.reuse.is_some() && parameters.isolation != Some(Isolation::Worker) {
        return Err("reuse= needs isolation=worker".into());
    }
    let program = component_host::Program::compile(engine, bytes);
    program
        .map(|program| Guest::Component(program, options))
        .map_err(|error| error.to_string())
}

/// An error says that the bytes are not those of this hash, in hexadecimal digits.
pub fn check_sum(expected: &[u8], bytes: &[u8]) -> Result<(), String> {
    if expected.len() != 64 || !expected.iter().all(u8::is_ascii_hexdigit) {
        return Err("sha256= needs 64 hexadecimal digits".into());
    }
    let mut actual = String::with_capacity(64);
    for byte in sha256(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(actual, "{byte:02x}");
    }
    match actual.as_bytes().eq_ignore_ascii_case(expected) {
        true => Ok(()),
        false => Err(format!("sha256 mismatch: the file has {actual}")),
    }
}
