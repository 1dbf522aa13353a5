//! The dry run: every module is started, and every filter configured, before nginx takes the
//! configuration.

use std::rc::Rc;

use ngx::ffi::ngx_conf_t;

use crate::conf::{MainConf, capabilities};
use crate::filter::proxy_wasm::instance::{Process, start};
use crate::nginx::log::{Level, Log, conf_error_at};

/// Starts each module with its filters in an instance that is thrown away. `false` when one
/// refuses or fails, which has been logged with the place of its directive.
///
/// # Safety
/// `cf` is the configuration in the postconfiguration step.
pub unsafe fn check(cf: *mut ngx_conf_t, conf: &mut MainConf) -> bool {
    // SAFETY: by the contract.
    let log = unsafe { Log::new((*cf).log) };
    if let Err((module, error)) = capabilities::name_upstreams(conf, log) {
        let module = &conf.modules[module];
        let error = format_args!("wasm module \"{}\": {error}", module.name);
        // SAFETY: by the contract.
        unsafe { conf_error_at(cf, &module.place, error) };
        return false;
    }
    let shared = conf.zones.private();
    if shared.is_none() && !conf.modules.is_empty() {
        log.write(
            Level::Emerg,
            format_args!("not enough memory to try the wasm modules"),
        );
        return false;
    }
    conf.set_shared(shared.map(Rc::new));
    // SAFETY: by the contract.
    let passed = unsafe { check_modules(cf, conf, log) };
    conf.set_shared(None);
    passed
}

/// # Safety
/// As for [`check`].
unsafe fn check_modules(cf: *mut ngx_conf_t, conf: &MainConf, log: Log) -> bool {
    let Some(first) = conf.modules.first() else {
        return true;
    };
    let engine = conf.engine().and_then(|engine| {
        let ticker = engine.start_ticker(conf.shortest_time());
        Ok((engine, ticker.map_err(|error| error.to_string())?))
    });
    // The thread runs as long as guests do here: it has ended before nginx forks.
    let (engine, _ticker) = match engine {
        Ok(engine) => engine,
        Err(error) => {
            // SAFETY: by the contract.
            unsafe { conf_error_at(cf, &first.place, format_args!("{error}")) };
            return false;
        }
    };
    for (index, module) in conf.modules.iter().enumerate() {
        if let Err(error) = capabilities::check_upstreams(conf, module, log) {
            let name = &module.name;
            // SAFETY: by the contract.
            unsafe {
                conf_error_at(
                    cf,
                    &module.place,
                    format_args!("wasm module \"{name}\": {error}"),
                );
            }
            return false;
        }
        if let Err((filter, error)) = start(Process::Check, engine, conf, index, log) {
            let place = match filter {
                Some(filter) => &conf.filters[filter].place,
                None => &module.place,
            };
            // SAFETY: by the contract.
            unsafe {
                conf_error_at(
                    cf,
                    place,
                    format_args!("wasm module \"{}\" {error}", module.name),
                );
            }
            return false;
        }
    }
    true
}
