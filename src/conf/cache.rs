//! `wasm_cache directory;` `wasm_cache off;`

use std::ffi::{CStr, c_void};

use ngx::ffi::{NGX_HTTP_PROXY_TEMP_PATH, ngx_command_t, ngx_conf_t};

use crate::conf::main::MainConf;
use crate::conf::policy::CacheChoice;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::log::{Level, Log};

pub unsafe extern "C" fn wasm_cache(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.cache == CacheChoice::Said {
        return Err(Mistake::Duplicate);
    }
    let [directory] = cf.arguments() else {
        return Err("wasm_cache needs a directory, or off".into());
    };
    if !conf.modules.is_empty() {
        return Err("wasm_cache must stand before the first wasm_module".into());
    }
    let directory = directory.as_bytes();
    if directory.is_empty() {
        return Err("empty wasm_cache".into());
    }
    if directory != b"off" {
        open(cf, conf, directory).map_err(|error| format!("wasm_cache: {error}"))?;
    }
    conf.cache = CacheChoice::Said;
    Ok(())
}

fn open(cf: Cf<'_>, conf: &MainConf, directory: &[u8]) -> Result<(), Mistake> {
    // nginx takes one slash off.
    let directory = match directory.strip_suffix(b"/") {
        Some([]) | None => directory,
        Some(stripped) => stripped,
    };
    let path = cf.run_time_path(directory)?;
    Ok(conf.engine()?.use_cache(&path)?)
}

/// What nginx's configure was told of its own temporary files.
const BESIDE: &CStr = NGX_HTTP_PROXY_TEMP_PATH;
const NAME: &[u8] = b"wasm_cache";

/// At the first module: takes the default directory if nothing else is said. nginx serves without it as well, so it is no
/// mistake if that cannot be had: whoever tests the configuration may write less than who starts nginx.
pub fn open_default(cf: Cf<'_>, conf: &mut MainConf) {
    if conf.cache != CacheChoice::Unset {
        return;
    }
    conf.cache = CacheChoice::Default;
    if let Err(error) = open(cf, conf, &beside(BESIDE.to_bytes())) {
        let line = format_args!("[wasm] compiled code is not kept: {error}");
        cf.log().write(Level::Notice, line);
    }
}

/// The default directory, beside another one; relative to nginx's prefix if that is.
fn beside(other: &[u8]) -> Vec<u8> {
    let other = other.strip_suffix(b"/").unwrap_or(other);
    let parent = other.iter().rposition(|&byte| byte == b'/');
    let parent = parent.map_or(0, |slash| slash + 1);
    [&other[..parent], NAME].concat()
}

/// Logs what there is to tell of a module that was compiled; what is wrong with the cache at this level.
pub fn tell(log: Log, level: Level, conf: &MainConf, module: &str) {
    let Ok(engine) = conf.engine() else {
        return;
    };
    for warning in engine.take_cache_warnings() {
        log.write(
            level,
            format_args!("[wasm] {module}: wasm_cache: {warning}"),
        );
    }
    for note in engine.take_notes() {
        let line = format_args!("[wasm] {module}: {note}");
        log.write(Level::Notice, line);
    }
}
