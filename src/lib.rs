//! The nginx module `ngx_http_wasm_module`: runs Proxy-Wasm filters in every worker.
//!
//! `conf` turns directives into plain values, `http` takes requests through their filters,
//! `worker` owns the instances, `handover` has old workers serve until new ones do, and `nginx` wraps
//! nginx's structures.

mod client;
mod commands;
mod conf;
mod filter;
mod handover;
mod message;
mod metrics;
mod net;
mod nginx;
mod shm;
mod worker;

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ngx::ffi::{
    NGX_HTTP_MODULE, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_command_t, ngx_conf_t,
    ngx_cycle_t, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_process, ngx_test_config,
};
use ngx::http::HttpModuleConfExt;

use crate::conf::MainConf;
use crate::nginx::log::Log;
use crate::nginx::{ERROR, OK};
use crate::worker::Worker;

static MODULE_CTX: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(conf::merge::create_main_conf),
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(conf::merge::create_loc_conf),
    merge_loc_conf: Some(conf::merge::merge_loc_conf),
};

/// The module's entry in nginx's table of modules.
#[allow(non_upper_case_globals)]
#[unsafe(no_mangle)]
pub static mut ngx_http_wasm_module: ngx_module_t = ngx_module_t {
    ctx: &raw const MODULE_CTX as *mut c_void,
    commands: &raw mut commands::COMMANDS as *mut ngx_command_t,
    type_: NGX_HTTP_MODULE as usize,
    init_module: Some(init_module),
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    ..ngx_module_t::default()
};

/// The module's entry in nginx's table of modules, to read.
fn module() -> &'static ngx_module_t {
    let module = &raw const ngx_http_wasm_module;
    // SAFETY: nginx writes it when it loads the module, before it calls anything in it.
    unsafe { &*module }
}

/// Runs what nginx has called; a panic ends here, with `failed` as the result, and is reported on
/// standard error.
fn guard<R>(failed: R, call: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(failed)
}

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard(ERROR, || {
        // SAFETY: nginx passes the configuration.
        match unsafe { filter::chain::entry::add_variables(cf) } {
            Some(()) => OK,
            None => ERROR,
        }
    })
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard(ERROR, || {
        // SAFETY: nginx passes the configuration, which has what `create_main_conf` made.
        unsafe {
            let Some(mut main) = (*cf).http_main_conf_unchecked::<MainConf>(module()) else {
                return ERROR;
            };
            if !conf::merge::resolve_top(cf)
                || !conf::zones::add_defaults(cf, main.as_mut())
                || !worker::check::check(cf, main.as_mut())
            {
                return ERROR;
            }
            main.as_mut().find_proxies(cf);
            main.as_mut().install_balancers(cf);
            match filter::chain::entry::install(cf) {
                Some(()) => OK,
                None => ERROR,
            }
        }
    })
}

/// The configuration has been taken, and its zones are there.
unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(ERROR, || {
        // SAFETY: nginx passes the cycle; there is no main configuration without `http`.
        let main = unsafe { (*cycle).http_main_conf_unchecked::<MainConf>(module()) };
        // SAFETY: as above.
        if let Some(zone) = main.and_then(|main| unsafe { main.as_ref() }.zones.metrics.as_ref()) {
            metrics::host::compiled(zone);
        }
        // SAFETY: nginx's own, of this thread.
        let serves = unsafe { ngx_test_config } == 0;
        if serves {
            // SAFETY: as above.
            unsafe {
                let start = main.map_or(Duration::ZERO, |main| main.as_ref().start_times());
                handover::taken(cycle, start);
            }
        }
        // SAFETY: as above.
        if serves && main.is_some_and(|main| !unsafe { main.as_ref() }.modules.is_empty()) {
            return_memory();
        }
        OK
    })
}

/// Gives free memory back to the system before workers inherit it: compilers leave tens of megabytes, in pieces.
fn return_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's heap is in order between calls of its functions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A process starts: workers, and the one process of `master_process off`, serve requests.
unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(ERROR, || {
        // SAFETY: nginx passes the cycle; there is no main configuration without `http`.
        unsafe {
            if !matches!(ngx_process as u32, NGX_PROCESS_SINGLE | NGX_PROCESS_WORKER) {
                return OK;
            }
            if let Some(main) = (*cycle).http_main_conf_unchecked::<MainConf>(module()) {
                let main = main.as_ref();
                if !main.modules.is_empty()
                    && let Some(worker) = Worker::start(main, (*cycle).log)
                {
                    main.set_worker(worker);
                }
            }
            handover::process_starts(Log::new((*cycle).log));
        }
        OK
    })
}

unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    guard((), || {
        // SAFETY: as above.
        unsafe {
            if let Some(main) = (*cycle).http_main_conf_unchecked::<MainConf>(module())
                && let Some(worker) = main.as_ref().worker()
            {
                worker.shutdown();
            }
            net::shutdown();
        }
    });
}

/// What nginx's build generates for a dynamic module: the modules in this library, their names,
/// and their place among the others.
#[cfg(feature = "export-modules")]
#[allow(non_upper_case_globals)]
mod exports {
    use std::ffi::c_char;
    use std::ptr;

    use crate::{ngx_http_wasm_module, ngx_module_t};

    /// A table of pointers to immutable data, terminated by a null pointer.
    #[repr(transparent)]
    pub struct Table<T, const N: usize>([*const T; N]);
    // SAFETY: the pointers lead to statics that nginx alone writes, before it starts workers.
    unsafe impl<T, const N: usize> Sync for Table<T, N> {}

    #[unsafe(no_mangle)]
    pub static ngx_modules: Table<ngx_module_t, 2> =
        Table([&raw const ngx_http_wasm_module, ptr::null()]);

    #[unsafe(no_mangle)]
    pub static ngx_module_names: Table<c_char, 2> =
        Table([c"ngx_http_wasm_module".as_ptr(), ptr::null()]);

    /// Filters run in reverse of this order. Standing just before the not-modified filter puts
    /// the header filter and the body filter alike ahead of the range filters, so that a range is
    /// cut from what the guests made of the response.
    #[unsafe(no_mangle)]
    pub static ngx_module_order: Table<c_char, 3> = Table([
        c"ngx_http_wasm_module".as_ptr(),
        c"ngx_http_not_modified_filter_module".as_ptr(),
        ptr::null(),
    ]);
}
