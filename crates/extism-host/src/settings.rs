//! What holds for all instances of a plugin.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use glob::Pattern;
use guest_host::Capabilities;
use wasm_runtime::Limits;

use crate::kernel::PAGE;
use crate::manifest::Manifest;

/// How a process runs a plugin's instances: what its manifest does not say.
#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    pub limits: Limits,
    pub capabilities: Capabilities,
    /// The only environment variables that the guest sees by WASI: name, value; neither has a NUL.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// `http_headers` tells a guest the header of the last response.
    pub response_headers: bool,
    /// Vars are the embedder's ([`Services::var`](crate::Services::var)) instead of each instance's own.
    pub shared_vars: bool,
}

/// The same, with the manifest's part, as host functions need it.
#[derive(Debug)]
pub struct Settings {
    pub capabilities: Capabilities,
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub response_headers: bool,
    pub shared_vars: bool,
    /// There are several modules.
    pub several: bool,
    pub config: Arc<BTreeMap<String, String>>,
    pub allowed_hosts: Arc<[Pattern]>,
    /// Most bytes of a response's body.
    pub max_response: u64,
    /// Bytes of all vars, with their keys.
    pub max_vars: u64,
}

/// What a manifest says beside its modules, as a program keeps it.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub config: Arc<BTreeMap<String, String>>,
    pub allowed_hosts: Arc<[Pattern]>,
    pub max_response: u64,
    pub max_vars: u64,
    /// Bytes.
    pub max_growth: Option<usize>,
    pub timeout: Option<Duration>,
}

impl Rules {
    pub fn new(manifest: &Manifest) -> Rules {
        Rules {
            config: Arc::new(manifest.config.clone()),
            allowed_hosts: manifest.allowed_hosts.as_slice().into(),
            max_response: manifest.max_http_response_bytes,
            max_vars: manifest.max_var_bytes,
            max_growth: manifest
                .max_pages
                .map(|pages| pages as usize * PAGE as usize),
            timeout: manifest.timeout,
        }
    }
}

impl Settings {
    pub fn new(config: &PluginConfig, rules: &Rules, modules: usize) -> Settings {
        Settings {
            capabilities: config.capabilities.clone(),
            env: config.env.clone(),
            response_headers: config.response_headers,
            shared_vars: config.shared_vars,
            several: modules > 1,
            config: rules.config.clone(),
            allowed_hosts: rules.allowed_hosts.clone(),
            max_response: rules.max_response,
            max_vars: rules.max_vars,
        }
    }
}
