//! `wasm_cache directory;`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::main::MainConf;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::log::Level;

pub unsafe extern "C" fn wasm_cache(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.has_cache {
        return Err(Mistake::Duplicate);
    }
    let [directory] = cf.arguments() else {
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
    let path = cf.run_time_path(directory)?;
    conf.engine()?
        .use_cache(&path)
        .map_err(|error| format!("wasm_cache: {error}"))?;
    conf.has_cache = true;
    Ok(())
}

/// Logs what the cache has to tell of a module that was compiled.
pub fn tell(cf: Cf<'_>, conf: &MainConf, module: &str) {
    let Ok(engine) = conf.engine() else {
        return;
    };
    for warning in engine.take_cache_warnings() {
        cf.log().write(
            Level::Warn,
            format_args!("[wasm] {module}: wasm_cache: {warning}"),
        );
    }
}
