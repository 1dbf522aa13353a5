//! The nginx module `ngx_http_wasm_module`: runs guests of WebAssembly in every worker.
//!
//! This file is the module's table, and knows all rooms; what each is for stands in its `mod.rs`.

mod client;
mod commands;
mod conf;
mod filter;
mod handler;
mod handover;
mod lua;
mod message;
mod metrics;
mod net;
mod nginx;
mod shm;
mod worker;

use std::ffi::{CStr, c_void};
use std::time::Duration;

use conf::guest::Kind;
use conf::{cache, merge};
use filter::chain::chains::Chains;
use filter::guests::WorkerGuests;
use filter::{chain, http_wasm, proxy_wasm};
use handler::handlers::{self, Handlers};
use handler::service::services::Services;
use handler::subscribe;
use handler::subscribe::subscribers::Subscribers;
use nginx::conf::{Answer, Cf, Mistake, read_directive, step};
use nginx::guard::guard;
use nginx::log::Log;
use nginx::{ERROR, OK, pool};
use ngx::ffi::{
    NGX_HTTP_MODULE, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_command_t, ngx_conf_t,
    ngx_cycle_t, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_process, ngx_test_config,
};
use worker::check::{self, Refusal};
use worker::process::{self, Main};

static MODULE_CTX: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(create_main_conf),
    init_main_conf: Some(init_main_conf),
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(merge::create_loc_conf),
    merge_loc_conf: Some(merge::merge_loc_conf),
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

unsafe extern "C" fn create_main_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    let mut main = Main::default();
    // SAFETY: nginx passes the configuration; its modules are known by then.
    main.conf.lua.present = unsafe { Cf::new(cf) }.is_some_and(|cf| cf.has_module(LUA));
    // SAFETY: the pool is that of the configuration, which lives as long as its users.
    unsafe { pool::boxed((*cf).pool, main).cast() }
}

/// The module whose code may load guests.
const LUA: &CStr = c"ngx_http_lua_module";

/// All of the `http` block has been read, and nobody has acted on it: Lua's code does when the modules' last step comes, some
/// before this module's.
unsafe extern "C" fn init_main_conf(cf: *mut ngx_conf_t, conf: *mut c_void) -> Answer {
    let ready = |cf: Cf<'_>, main: &mut Main| {
        main.conf.add_default_zones(cf).ok_or(Mistake::Said)?;
        let prepared = main.process.prepare(&main.conf);
        prepared.map_err(|error| {
            Mistake::from(format!("eventfd() or memfd_create() failed: {error}"))
        })?;
        if main.conf.lua.present {
            cache::open_default(cf, &mut main.conf);
        }
        Ok(())
    };
    // SAFETY: nginx passes what `create_main_conf` has made.
    unsafe { read_directive(cf, conf, ready) }
}

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes the configuration.
    unsafe { step(cf, chain::entry::add_variables) }
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes the configuration.
    unsafe { step(cf, configured) }
}

/// All of the configuration has been read.
fn configured(cf: Cf<'_>) -> Option<()> {
    merge::resolve_top(cf)?;
    // SAFETY: it is what `create_main_conf` made, and nobody else uses it now.
    let main = unsafe { cf.main::<Main>()? };
    check::check(cf, main, try_module)?;
    subscribe::resolve::resolve(cf, main)?;
    main.conf.find_proxies(cf);
    chain::entry::install(cf, main)
}

/// Starts a module as a worker does, and throws it away.
fn try_module(main: &Main, index: usize, log: Log) -> Result<(), Refusal> {
    match main.conf.modules[index].guest.kind() {
        Kind::ProxyWasm => proxy_wasm::instance::check(main, index, log),
        Kind::HttpWasm => http_wasm::modules::check(main, index, log),
        Kind::Extism | Kind::Wapc => handlers::check(main, index, log),
        // All that can be known without a request is known when it has been compiled.
        Kind::Component => Ok(()),
    }
}

/// The configuration has been taken, and its zones are there.
unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(ERROR, || {
        // SAFETY: nginx passes the cycle.
        let main = unsafe { Main::of_cycle(cycle) };
        if let Some(zone) = main.and_then(|main| main.conf.zones.metrics.as_ref()) {
            metrics::host::compiled(zone);
        }
        // SAFETY: nginx's own, of this thread.
        if unsafe { ngx_test_config } != 0 {
            return OK;
        }
        let start = main.map_or(Duration::ZERO, |main| main.conf.start_times());
        // SAFETY: nginx passes the cycle, which it has taken.
        unsafe { handover::taken(cycle, start) };
        if main.is_some_and(|main| !main.conf.modules.is_empty()) {
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
        // SAFETY: nginx's own, of this thread.
        let kind = unsafe { ngx_process } as u32;
        if !matches!(kind, NGX_PROCESS_SINGLE | NGX_PROCESS_WORKER) {
            return OK;
        }
        // SAFETY: nginx passes the cycle, which lives as long as the process.
        unsafe {
            if let Some(main) = Main::of_cycle(cycle)
                && !main.conf.modules.is_empty()
                && let Some(log) = process::serve(main, (*cycle).log)
                && let Some(chains) = main.process.kept::<Chains>()
            {
                chains.set_guests(WorkerGuests::start(main, log));
                main.process.keep(Handlers::new(main, log));
                main.process.keep(Services::new(main, log));
                main.process.keep(Subscribers::start(main, log));
            }
            handover::process_starts(Log::new((*cycle).log));
        }
        OK
    })
}

unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    guard((), || {
        // SAFETY: nginx passes the cycle that the process has run under.
        if let Some(main) = unsafe { Main::of_cycle(cycle) }
            && main.process.serves()
        {
            let chains = main.process.kept::<Chains>();
            if let Some(guests) = chains.and_then(Chains::guests) {
                guests.shutdown();
            }
            lua::plugins::shutdown();
            process::leave(main);
        }
        net::executor::shutdown();
        net::pool::shutdown();
    });
}

/// What nginx's build generates for a dynamic module: the modules in this library, their names,
/// and their place among the others.
#[cfg(feature = "export-modules")]
#[allow(non_upper_case_globals)]
mod exports {
    use std::ffi::{c_char, c_uint};
    use std::ptr;

    use crate::lua::abi::{Table as Functions, ngx_http_wasm_ffi_table};
    use crate::{ngx_http_wasm_module, ngx_module_t};

    /// What Lua's FFI finds; auto/ffi.c has the same.
    #[unsafe(no_mangle)]
    pub extern "C" fn ngx_http_wasm_ffi(version: c_uint) -> *const Functions {
        ngx_http_wasm_ffi_table(version)
    }

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
