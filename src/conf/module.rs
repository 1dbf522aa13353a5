//! `wasm_module name file [parameter=value] …;`

use std::cell::OnceCell;
use std::ffi::{c_char, c_void};
use std::fmt::Write;

use ngx::ffi::{ngx_command_t, ngx_conf_t};
use proxy_wasm_host::{Program, sha256};

use crate::client::budget::Budget;
use crate::conf::limits::check_stack;
use crate::conf::parameters::Parameters;
use crate::conf::policy::{HeaderStop, Isolation};
use crate::conf::{
    CONF_ERROR, CONF_OK, MainConf, ModuleConf, arguments, cache, full_name, read_file,
};
use crate::net::turn::Turn;
use crate::nginx::log::{Place, conf_error};

pub unsafe extern "C" fn wasm_module(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    crate::nginx::guard::guard(CONF_ERROR, || {
        // SAFETY: nginx passes the configuration and what `create_main_conf` made.
        unsafe {
            match read(cf, &mut *conf.cast::<MainConf>()) {
                Ok(()) => CONF_OK,
                Err(message) => {
                    conf_error(cf, format_args!("{message}"));
                    CONF_ERROR
                }
            }
        }
    })
}

/// # Safety
/// `cf` is the configuration that nginx passed to the directive's handler.
unsafe fn read(cf: *mut ngx_conf_t, conf: &mut MainConf) -> Result<(), String> {
    // SAFETY: by the contract.
    let arguments = unsafe { arguments(cf) };
    let [name, file, options @ ..] = arguments else {
        return Err("wasm_module needs a name and a file".into());
    };
    let name = name
        .to_str()
        .map_err(|_| "the name of a wasm module must be UTF-8")?;
    if name.is_empty() || name == "off" {
        return Err(format!("invalid wasm module name \"{name}\""));
    }
    if conf.modules.iter().any(|module| module.name == name) {
        return Err(format!("duplicate wasm module \"{name}\""));
    }

    let mut parameters = Parameters::default();
    for parameter in options {
        // SAFETY: by the contract.
        unsafe { parameters.take(cf, parameter) }
            .map_err(|error| format!("wasm module \"{name}\": {error}"))?;
    }
    check_stack(parameters.vm.limits.stack)
        .map_err(|error| format!("wasm module \"{name}\": {error}"))?;

    parameters
        .finish()
        .map_err(|error| format!("wasm module \"{name}\": {error}"))?;

    // SAFETY: by the contract.
    let (path, bytes) = unsafe {
        let path = full_name(cf, file.as_bytes())?;
        let bytes = read_file(cf, file.as_bytes())
            .map_err(|error| format!("wasm module \"{name}\": {error}"))?;
        (path, bytes)
    };
    let at = |error: String| format!("wasm module \"{name}\" (\"{}\"): {error}", path.display());
    if let Some(expected) = &parameters.sha256 {
        check_sum(expected, &bytes).map_err(at)?;
    }
    let program = conf
        .engine()
        .and_then(|engine| {
            let program = match parameters.isolation {
                Isolation::Worker => Program::compile(engine, &bytes),
                Isolation::Request => Program::compile_for_snapshots(engine, &bytes),
            };
            program.map_err(|error| error.to_string())
        })
        .map_err(at);
    // SAFETY: by the contract.
    unsafe { cache::tell(cf, conf, name) };
    let program = program?;
    let header_stop = parameters.header_stop;
    let header_stop = header_stop.unwrap_or_else(|| HeaderStop::of(program.abi()));
    conf.modules.push(ModuleConf {
        name: name.to_owned(),
        program,
        vm: parameters.vm,
        turn: Turn::new(parameters.limits.turn_time),
        slots: conf.call_slots.module(),
        rules: parameters.rules,
        limits: parameters.limits,
        calls: Budget::default(),
        log_rate: OnceCell::new(),
        on_failure: parameters.on_failure,
        isolation: parameters.isolation,
        header_stop,
        // SAFETY: by the contract.
        place: unsafe { Place::current(cf) },
    });
    Ok(())
}

fn check_sum(expected: &[u8], bytes: &[u8]) -> Result<(), String> {
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
