//! `wasm_module name file [sha256=hex] [vm_id=NAME] [vm_config=text|@file] [env=NAME | env=NAME=value] …;`

use std::ffi::{OsStr, c_char, c_void};
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use ngx::ffi::{ngx_command_t, ngx_conf_t};
use proxy_wasm_host::{Program, VmConfig, sha256};

use super::{
    CONF_ERROR, CONF_OK, MainConf, ModuleConf, arguments, full_name, read_file, text_or_file,
};
use crate::nginx::log::{Place, conf_error};

pub unsafe extern "C" fn wasm_module(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    crate::guard(CONF_ERROR, || {
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

    let mut checksum = None;
    let mut vm_id: Option<&[u8]> = None;
    let mut vm_config: Option<Arc<[u8]>> = None;
    let mut env: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for option in options {
        let option = option.as_bytes();
        if let Some(hex) = option.strip_prefix(b"sha256=") {
            once(checksum.replace(hex), "sha256", name)?;
        } else if let Some(text) = option.strip_prefix(b"vm_config=") {
            // SAFETY: by the contract.
            let text = unsafe { text_or_file(cf, text) }
                .map_err(|error| format!("vm_config of wasm module \"{name}\": {error}"))?;
            once(vm_config.replace(text), "vm_config", name)?;
        } else if let Some(id) = option.strip_prefix(b"vm_id=") {
            if id.is_empty() {
                return Err(format!("empty vm_id of wasm module \"{name}\""));
            }
            once(vm_id.replace(id), "vm_id", name)?;
        } else if let Some(variable) = option.strip_prefix(b"env=") {
            add_env(&mut env, variable)?;
        } else {
            return Err(format!(
                "unknown parameter \"{}\" of wasm module \"{name}\"",
                String::from_utf8_lossy(option)
            ));
        }
    }

    // SAFETY: by the contract.
    let (path, bytes) = unsafe {
        let path = full_name(cf, file.as_bytes())?;
        let bytes = read_file(cf, file.as_bytes())
            .map_err(|error| format!("wasm module \"{name}\": {error}"))?;
        (path, bytes)
    };
    let at = |error: String| format!("wasm module \"{name}\" (\"{}\"): {error}", path.display());
    if let Some(expected) = checksum {
        check_sum(expected, &bytes).map_err(at)?;
    }
    let program = conf
        .engine()
        .and_then(|engine| Program::compile(engine, &bytes).map_err(|error| error.to_string()))
        .map_err(at)?;
    conf.modules.push(ModuleConf {
        name: name.to_owned(),
        program,
        vm: VmConfig {
            vm_id: vm_id.unwrap_or_default().to_vec(),
            configuration: vm_config.unwrap_or_default(),
            env,
        },
        // SAFETY: by the contract.
        place: unsafe { Place::current(cf) },
    });
    Ok(())
}

fn once<T>(earlier: Option<T>, option: &str, name: &str) -> Result<(), String> {
    match earlier {
        None => Ok(()),
        Some(_) => Err(format!("duplicate {option} of wasm module \"{name}\"")),
    }
}

/// `NAME=value`, or `NAME` with the value that nginx itself has; one that it has not is left out.
fn add_env(env: &mut Vec<(Vec<u8>, Vec<u8>)>, variable: &[u8]) -> Result<(), String> {
    let (name, value) = match variable.iter().position(|&b| b == b'=') {
        Some(at) => (&variable[..at], Some(variable[at + 1..].to_vec())),
        None => {
            let value = std::env::var_os(OsStr::from_bytes(variable));
            (variable, value.map(OsStringExt::into_vec))
        }
    };
    if name.is_empty() {
        return Err("env= needs the name of a variable".into());
    }
    env.retain(|(earlier, _)| earlier != name);
    if let Some(value) = value {
        env.push((name.to_vec(), value));
    }
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
