//! The `http` block's configuration.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use extism_host::PluginConfig;
use proxy_wasm_host::{CapabilityRules, Engine, Limits, VmConfig};

use crate::conf::guest::{Guest, PluginOptions};
use crate::conf::limits::InstanceLimits;
use crate::conf::lua::LuaConf;
use crate::conf::policy::{CacheChoice, HeaderStop, Isolation, OnFailure};
use crate::conf::request_buffering::Proxy;
use crate::conf::stores::KeyValueStore;
use crate::conf::subscription::SubscriptionConf;
use crate::conf::zones::Zones;
use crate::net::origin::Top;
use crate::net::tls;
use crate::nginx::conf::{Cf, Place};
use crate::nginx::guard::module;
use crate::nginx::request::Request;

/// The `http` block's configuration.
#[derive(Default)]
pub struct MainConf {
    pub modules: Vec<ModuleConf>,
    pub filters: Vec<FilterConf>,
    pub zones: Zones,
    /// Key-value stores of components that are kept outside of nginx.
    pub key_values: Vec<KeyValueStore>,
    /// Whose messages guests get.
    pub subscriptions: Vec<SubscriptionConf>,
    /// Some location shows metrics.
    pub shows_metrics: bool,
    pub cache: CacheChoice,
    /// Most connections of guests' calls in a worker; `None`: half of `worker_connections`.
    pub call_connections: Option<usize>,
    /// Compiles what `wasm_module` names. The check of the configuration and the workers go on with it.
    engine: OnceCell<Engine>,
    /// The `http` block's own level.
    pub top: Option<Top>,
    /// Numbers, among the HTTP modules, of those whose configuration of a location begins with
    /// nginx's `ngx_http_upstream_conf_t`.
    pub upstream_modules: Vec<usize>,
    /// TLS of outbound calls.
    pub tls: tls::SslContexts,
    /// nginx's modules that proxy.
    proxies: Vec<Proxy>,
    pub lua: LuaConf,
}

/// The interfaces by which components make requests, or may reach a Redis server.
const OUTGOING: [&str; 7] = [
    "wasi:http/outgoing-handler@",
    "wasi:http/client@",
    "spin:redis/",
    "fermyon:spin/redis@",
    "spin:key-value/",
    "fermyon:spin/key-value@",
    "wasi:keyvalue/",
];

/// A `wasm_module` directive, or a plugin that Lua's code has loaded.
#[derive(Clone)]
pub struct ModuleConf {
    pub name: String,
    pub guest: Guest,
    pub vm: VmConfig,
    /// `allow=` and `deny=`.
    pub rules: CapabilityRules,
    pub limits: InstanceLimits,
    pub on_failure: OnFailure,
    pub isolation: Isolation,
    pub header_stop: HeaderStop,
    pub place: Place,
}

impl ModuleConf {
    /// The space of its keys and queues: its `vm_id`, or its name.
    pub fn space(&self) -> &[u8] {
        match self.vm.vm_id.as_slice() {
            [] => self.name.as_bytes(),
            vm_id => vm_id,
        }
    }

    /// How a process runs its instances, if it is a plugin of Extism's. Which upstreams it may call is known when all of the
    /// configuration is.
    pub fn plugin_config(&self, options: PluginOptions) -> PluginConfig {
        PluginConfig {
            limits: self.vm.limits,
            capabilities: self.vm.capabilities.clone(),
            env: self.vm.env.clone(),
            response_headers: options.response_headers,
            shared_vars: options.shared_vars,
        }
    }

    /// The same for a waPC guest.
    pub fn wapc_config(&self) -> wapc_host::PluginConfig {
        wapc_host::PluginConfig {
            limits: self.vm.limits,
            capabilities: self.vm.capabilities.clone(),
            env: self.vm.env.clone(),
        }
    }

    /// The same for an http-wasm guest, with what a `wasm_filter` gives it.
    pub fn http_wasm_config(&self, configuration: Arc<[u8]>) -> http_wasm_host::VmConfig {
        http_wasm_host::VmConfig {
            configuration,
            limits: self.vm.limits,
            capabilities: self.vm.capabilities.clone(),
            env: self.vm.env.clone(),
        }
    }

    /// Can its guests make outbound calls?
    pub fn calls_out(&self) -> bool {
        match &self.guest {
            Guest::ProxyWasm(program) => program.calls_out(&self.vm.capabilities),
            Guest::Extism(program, options) => program.calls_out(&self.plugin_config(*options)),
            Guest::Wapc(_) | Guest::HttpWasm(_) => false,
            Guest::Component(program, _) => {
                let mut imports = program.imports().iter();
                imports.any(|import| OUTGOING.iter().any(|name| import.starts_with(name)))
            }
        }
    }
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

impl MainConf {
    /// The configuration that the request runs under.
    pub fn of<'a>(request: Request) -> Option<&'a MainConf> {
        // SAFETY: what the module makes there begins with it; it lives as long as the cycle, and the cycle as long as
        // its requests.
        unsafe { request.main_conf::<MainConf>(module()).as_ref() }
    }

    /// What calls of root contexts need; there from the postconfiguration step on.
    pub fn top(&self) -> Option<&Top> {
        self.top.as_ref()
    }

    /// Can there be guests: of directives, or that Lua loads?
    pub fn may_have_guests(&self) -> bool {
        !self.modules.is_empty() || self.lua.present
    }

    /// One for a module alone that no directive names.
    pub fn beside(&self, module: ModuleConf) -> MainConf {
        MainConf {
            modules: vec![module],
            zones: Zones {
                metrics: self.zones.metrics.clone(),
                ..Zones::default()
            },
            engine: self.engine.clone(),
            top: self.top.clone(),
            ..MainConf::default()
        }
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

    /// Finds nginx's modules that proxy. In the postconfiguration step.
    pub fn find_proxies(&mut self, cf: Cf<'_>) {
        self.proxies = Proxy::find_all(cf);
    }

    /// The module that proxies this request.
    pub fn proxy_of(&self, request: Request) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.handles(request))
    }

    /// Can any guest make outbound calls, or does nginx make a connection for one? Those that Lua loads are not known yet.
    pub fn calls_out(&self) -> bool {
        let mut modules = self.modules.iter();
        let mut subscriptions = self.subscriptions.iter();
        self.lua.present
            || modules.any(ModuleConf::calls_out)
            || subscriptions.any(SubscriptionConf::may_be_tls)
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
        let times = times.chain(self.lua.shortest);
        times.min().unwrap_or(Limits::default().cpu_time)
    }
}
