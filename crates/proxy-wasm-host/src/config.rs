//! What a VM and its root contexts are started with.

use std::sync::Arc;

use guest_host::Capabilities;
use wasm_runtime::Limits;

/// What a VM is started with.
#[derive(Clone, Debug, Default)]
pub struct VmConfig {
    /// The property `plugin_vm_id`.
    pub vm_id: Vec<u8>,
    /// What the guest reads in `proxy_on_vm_start`, byte for byte.
    pub configuration: Arc<[u8]>,
    /// The only environment variables that the guest sees: name, value; neither has a NUL.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub limits: Limits,
    pub capabilities: Capabilities,
}

/// What a root context is configured with.
#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    /// The property `plugin_name`.
    pub name: Vec<u8>,
    /// The property `plugin_root_id`; empty by default, as guests expect.
    pub root_id: Vec<u8>,
    /// What the guest reads in `proxy_on_configure`, byte for byte.
    pub configuration: Arc<[u8]>,
}
