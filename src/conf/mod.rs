//! The module's configuration: nginx's directives as plain values.

pub mod buffers;
pub mod cache;
pub mod call;
pub mod capabilities;
pub mod chain;
pub mod filter;
pub mod limits;
pub mod merge;
pub mod module;
pub mod parameters;
pub mod policy;
pub mod properties;
pub mod request_buffering;
pub mod zones;

use std::cell::{OnceCell, RefCell};
use std::ffi::c_char;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ngx::ffi::{ngx_conf_full_name, ngx_conf_t, ngx_str_t, ngx_uint_t};
use proxy_wasm_host::{CapabilityRules, Engine, Limits, Program, VmConfig};

use crate::client::budget::Budget;
use crate::client::grpc::channel::Channels;
use crate::client::redis;
use crate::conf::buffers::BufferSize;
use crate::conf::call::{CallConf, CallDirectives};
use crate::conf::chain::{Chain, Phase};
use crate::conf::limits::InstanceLimits;
use crate::conf::policy::{HeaderStop, Isolation, OnFailure};
use crate::conf::properties::Properties;
use crate::conf::request_buffering::Proxy;
use crate::conf::zones::Zones;
use crate::filter::chain::upstream::balancer::Balancers;
use crate::metrics::host::Host;
use crate::net::origin::Top;
use crate::net::slots::{ModuleSlots, Slots};
use crate::net::tls;
use crate::net::turn::Turn;
use crate::nginx::log::Place;
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;
use crate::nginx::{OK, pool, variable};
use crate::shm::Shared;
use crate::shm::wakers::Wakers;
use crate::worker::Worker;

/// The `http` block's configuration.
#[derive(Default)]
pub struct MainConf {
    pub modules: Vec<ModuleConf>,
    pub filters: Vec<FilterConf>,
    pub zones: Zones,
    /// Some location shows metrics.
    pub shows_metrics: bool,
    /// Compiled code is kept in a directory.
    has_cache: bool,
    /// What this process counts for the host's own metrics.
    metrics: OnceCell<Option<Rc<Host>>>,
    /// Compiles, and runs the check of the configuration, then the guests of the workers that are forked.
    engine: OnceCell<Engine>,
    /// Wakes workers of other processes; made before nginx forks them.
    wakers: OnceCell<Rc<Wakers>>,
    /// What instances share: with nobody in the dry run, with other processes in a worker.
    shared: RefCell<Option<Rc<Shared>>>,
    /// Made in each worker process.
    worker: OnceCell<Worker>,
    /// The `http` block's own level.
    top: Option<Top>,
    /// The connections that guests' calls may have in the worker.
    call_slots: Slots,
    /// Numbers of the modules that have an upstream in each location.
    upstream_modules: Vec<usize>,
    /// The HTTP/2 connections of the worker.
    channels: Channels,
    /// The Redis connections of the worker.
    redis: redis::Client,
    /// See [`variable::of_requests`].
    request_variables: OnceCell<Vec<usize>>,
    /// TLS of outbound calls.
    tls: tls::Contexts,
    /// nginx's modules that proxy.
    proxies: Vec<Proxy>,
    /// The upstreams whose servers filters choose.
    balancers: Balancers,
}

/// A `wasm_module` directive.
pub struct ModuleConf {
    pub name: String,
    pub program: Program,
    pub vm: VmConfig,
    /// `allow=` and `deny=`.
    rules: CapabilityRules,
    pub limits: InstanceLimits,
    /// What this process's guests take of a turn of nginx's event loop.
    pub turn: Rc<Turn>,
    /// The connections of this process's guests' calls.
    pub slots: Rc<ModuleSlots>,
    /// What the calls of this process's guests hold.
    pub calls: Budget,
    /// What this process's guests write to the log.
    pub log_rate: OnceCell<Rc<LogRate>>,
    pub on_failure: OnFailure,
    pub isolation: Isolation,
    pub header_stop: HeaderStop,
    pub place: Place,
}

/// A distinct module with its configuration and root id of the `wasm_filter` directives.
pub struct FilterConf {
    /// Index in [`MainConf::modules`].
    pub module: usize,
    pub configuration: Arc<[u8]>,
    /// The guest's `plugin_root_id`.
    pub root_id: Vec<u8>,
    pub place: Place,
}

/// A location's configuration.
#[derive(Default)]
pub struct LocConf {
    /// The level's own directives, in order; `None` to inherit.
    pub uses: Option<Vec<FilterUse>>,
    phase: Option<Phase>,
    /// In milliseconds.
    pause_timeout: Option<usize>,
    buffer_size: Option<BufferSize>,
    properties: Properties,
    request_buffering: Option<bool>,
    chain: Option<Rc<Chain>>,
    if_has_filters: bool,
    /// The level's own `wasm_call_…` directives.
    pub call_directives: CallDirectives,
    call: Option<Rc<CallConf>>,
}

/// A `wasm_filter` directive.
pub struct FilterUse {
    module: String,
    configuration: Arc<[u8]>,
    root_id: Vec<u8>,
    pub place: Place,
}

impl MainConf {
    /// The configuration that the request runs under.
    pub fn of<'a>(request: Request) -> Option<&'a MainConf> {
        // SAFETY: `create_main_conf` put it there; it lives as long as the cycle, and the cycle
        // as long as its requests.
        unsafe {
            request
                .main_conf::<MainConf>(crate::nginx::guard::module())
                .as_ref()
        }
    }

    /// Has nginx find out anew what its variables are that follow from the request's line and
    /// headers, after these have changed.
    pub fn forget_request_variables(&self, request: Request) {
        let all = self
            .request_variables
            .get_or_init(|| variable::of_requests(request));
        variable::forget(request, all);
    }

    /// This process's runtime; there is none in a process that serves no requests.
    pub fn worker(&self) -> Option<&Worker> {
        self.worker.get()
    }

    /// Keeps the runtime of this process.
    pub fn set_worker(&self, worker: Worker) {
        // A process starts once for each configuration.
        let _ = self.worker.set(worker);
    }

    /// This process's part in the metrics; `None` when they cannot be kept.
    pub fn metrics(&self) -> Option<&Rc<Host>> {
        let open = || Host::open(self.zones.metrics.as_ref()?, self.shows_metrics).map(Rc::new);
        self.metrics.get_or_init(open).as_ref()
    }

    /// What calls of root contexts need; there from the postconfiguration step on.
    pub fn top(&self) -> Option<&Top> {
        self.top.as_ref()
    }

    /// What the instances of this process share. `None`: there are no modules.
    pub fn shared(&self) -> Option<Rc<Shared>> {
        self.shared.borrow().clone()
    }

    /// Keeps what instances started from now on share.
    pub fn set_shared(&self, shared: Option<Rc<Shared>>) {
        self.shared.replace(shared);
    }

    /// How this process wakes others; `None` when there are no modules.
    pub fn wakers(&self) -> Option<&Rc<Wakers>> {
        self.wakers.get()
    }

    /// Numbers, among the HTTP modules, of those whose configuration of a location begins with
    /// nginx's `ngx_http_upstream_conf_t`.
    pub fn upstream_modules(&self) -> &[usize] {
        &self.upstream_modules
    }

    /// The HTTP/2 connections that gRPC calls share.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// The connections that Redis calls share.
    pub fn redis(&self) -> &redis::Client {
        &self.redis
    }

    /// The engine; it is the workers' as well.
    pub fn engine(&self) -> Result<&Engine, String> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Engine::new().map_err(|error| error.to_string())?;
        Ok(self.engine.get_or_init(|| engine))
    }

    /// The module of a filter, by its number.
    pub fn module_of(&self, filter: usize) -> &ModuleConf {
        &self.modules[self.filters[filter].module]
    }

    /// Finds nginx's modules that proxy.
    ///
    /// # Safety
    /// `cf` is the configuration in the postconfiguration step.
    pub unsafe fn find_proxies(&mut self, cf: *mut ngx_conf_t) {
        // SAFETY: by the contract.
        self.proxies = unsafe { Proxy::find_all(cf) };
    }

    /// Has filters choose servers of upstreams, if one can.
    ///
    /// # Safety
    /// `cf` is the configuration in the postconfiguration step.
    pub unsafe fn install_balancers(&mut self, cf: *mut ngx_conf_t) {
        let mut modules = self.modules.iter();
        if modules.any(|m| m.program.uses_upstream_hosts(&m.vm.capabilities)) {
            // SAFETY: by the contract.
            self.balancers = unsafe { Balancers::install(cf) };
        }
    }

    /// The upstreams whose servers filters choose; empty where no filter can.
    pub fn balancers(&self) -> &Balancers {
        &self.balancers
    }

    /// The module that proxies this request.
    pub fn proxy_of(&self, request: Request) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.handles(request))
    }

    /// Can any guest make outbound calls?
    fn calls_out(&self) -> bool {
        let mut modules = self.modules.iter();
        modules.any(|module| module.program.calls_out(&module.vm.capabilities))
    }

    /// What the instances of a worker may take to start, one after the other.
    pub fn start_times(&self) -> Duration {
        let times = self.modules.iter();
        let times = times.map(|module| module.vm.limits.start_time);
        times.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The shortest `cpu_time=` or `start_time=` of the modules.
    pub fn shortest_time(&self) -> Duration {
        let limits = self.modules.iter().map(|module| &module.vm.limits);
        let times = limits.map(|limits| limits.cpu_time.min(limits.start_time));
        times.min().unwrap_or(Limits::default().cpu_time)
    }
}

impl LocConf {
    pub fn of<'a>(request: Request) -> &'a LocConf {
        // SAFETY: `create_loc_conf` put one into every location; it lives as long as the cycle.
        unsafe { &*request.loc_conf::<LocConf>(crate::nginx::guard::module()) }
    }

    /// The filters; `None` when there are none.
    pub fn chain(&self) -> Option<&Rc<Chain>> {
        self.chain.as_ref()
    }

    /// What holds for outbound calls; there from the merge step on.
    pub fn call(&self) -> Option<&Rc<CallConf>> {
        self.call.as_ref()
    }

    pub fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Rewrite)
    }

    /// The longest pause of a filter, in milliseconds.
    pub fn pause_timeout(&self) -> usize {
        self.pause_timeout.unwrap_or(60_000)
    }

    /// What `wasm_property` sets.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// How much filters may hold back and write.
    pub fn buffer_size(&self) -> BufferSize {
        self.buffer_size.unwrap_or_default()
    }

    /// Do filters see a request body only when all of it is there? `None`: as nginx's own directives
    /// say for what it proxies.
    pub fn request_buffering(&self) -> Option<bool> {
        self.request_buffering
    }

    /// Has an `if` in this location filters of its own? Which filters a request gets is known
    /// only behind the rewrite directives then.
    pub fn if_has_filters(&self) -> bool {
        self.if_has_filters
    }
}

/// What a directive's handler returns to nginx: null, or (void *) -1 for an error that it has
/// logged.
pub const CONF_OK: *mut c_char = std::ptr::null_mut();
pub const CONF_ERROR: *mut c_char = usize::MAX as *mut c_char;

/// The directive's parameters, without its name.
///
/// # Safety
/// `cf` is the configuration that nginx passed to the directive's handler.
unsafe fn arguments<'a>(cf: *mut ngx_conf_t) -> &'a [ngx_str_t] {
    // SAFETY: `args` holds the strings of the directive, its name first.
    unsafe { (*(*cf).args).as_slice().get(1..).unwrap_or_default() }
}

/// A path relative to the directory of nginx's configuration, as for nginx's other directives.
///
/// # Safety
/// As for [`arguments`].
unsafe fn full_name(cf: *mut ngx_conf_t, name: &[u8]) -> Result<PathBuf, String> {
    // SAFETY: by the contract.
    unsafe { absolute(cf, name, 1) }
}

/// A path relative to nginx's prefix, as for nginx's other directories of what it writes.
///
/// # Safety
/// As for [`arguments`].
unsafe fn run_time_path(cf: *mut ngx_conf_t, name: &[u8]) -> Result<PathBuf, String> {
    // SAFETY: by the contract.
    unsafe { absolute(cf, name, 0) }
}

/// # Safety
/// As for [`arguments`].
unsafe fn absolute(
    cf: *mut ngx_conf_t,
    name: &[u8],
    of_configuration: ngx_uint_t,
) -> Result<PathBuf, String> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: nginx wants the name with a NUL behind it, and may replace it by a new one.
    unsafe {
        let with_nul = [name, b"\0"].concat();
        let mut full = pool::copy((*cf).pool, &with_nul).ok_or("out of memory")?;
        full.len -= 1;
        if ngx_conf_full_name((*cf).cycle, &mut full, of_configuration) != OK {
            return Err("out of memory".into());
        }
        Ok(Path::new(std::ffi::OsStr::from_bytes(full.as_bytes())).to_owned())
    }
}

/// Reads a file that a directive names.
///
/// # Safety
/// As for [`arguments`].
unsafe fn read_file(cf: *mut ngx_conf_t, name: &[u8]) -> Result<Vec<u8>, String> {
    // SAFETY: by the contract.
    let path = unsafe { full_name(cf, name)? };
    std::fs::read(&path).map_err(|error| format!("cannot read \"{}\": {error}", path.display()))
}

/// A text, or the bytes of a file as `@path`.
///
/// # Safety
/// As for [`arguments`].
unsafe fn text_or_file(cf: *mut ngx_conf_t, text: &[u8]) -> Result<Arc<[u8]>, String> {
    match text {
        // SAFETY: by the contract.
        [b'@', path @ ..] => unsafe { read_file(cf, path) }.map(Arc::from),
        _ => Ok(Arc::from(text)),
    }
}
