//! `wasm_cache directory;`

use std::ffi::{c_char, c_void};

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::zones::IS_DUPLICATE;
use crate::conf::{CONF_ERROR, CONF_OK, MainConf, arguments, run_time_path};
use crate::nginx::log::{Level, Log, conf_error};

pub unsafe extern "C" fn wasm_cache(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    crate::nginx::guard::guard(CONF_ERROR, || {
        // SAFETY: nginx passes the configuration and what `create_main_conf` made.
        unsafe {
            let conf = &mut *conf.cast::<MainConf>();
            if conf.has_cache {
                return IS_DUPLICATE;
            }
            match read(cf, conf) {
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
    let [directory] = (unsafe { arguments(cf) }) else {
        return Err("wasm_cache needs a directory".into());
    };
    if !conf.modules.is_empty() {
        return Err("wasm_cache must stand before the first wasm_module".into());
    }
    let directory = directory.as_bytes();
    if directory.is_empty() {
        return Err("empty wasm_cache".into());
    }
    // nginx takes one slash off.
    let directory = match directory.strip_suffix(b"/") {
        Some([]) | None => directory,
        Some(stripped) => stripped,
    };
    // SAFETY: by the contract.
    let path = unsafe { run_time_path(cf, directory)? };
    conf.engine()?
        .use_cache(&path)
        .map_err(|error| format!("wasm_cache: {error}"))?;
    conf.has_cache = true;
    Ok(())
}

/// Logs what the cache has to tell of a module that was compiled.
///
/// # Safety
/// `cf` is the configuration that nginx passed to a directive's handler.
pub unsafe fn tell(cf: *mut ngx_conf_t, conf: &MainConf, module: &str) {
    let Ok(engine) = conf.engine() else {
        return;
    };
    for warning in engine.take_cache_warnings() {
        // SAFETY: by the contract.
        let log = unsafe { Log::new((*cf).log) };
        log.write(
            Level::Warn,
            format_args!("[wasm] {module}: wasm_cache: {warning}"),
        );
    }
}
