//! A mock proxy, and guests written as the bodies of their callbacks.
#![allow(dead_code, reason = "fuzz targets and the example use some of it")]

pub mod guest;
pub mod imports;
pub mod proxy;
pub mod stream;

use proxy_wasm_host::{Action, ContextId, Engine, PluginConfig, Program, StartError, Vm, VmConfig};

pub use guest::Guest;
pub use proxy::MockProxy;
pub use stream::MockStream;

/// A VM with a root context, and what it talks to.
pub struct Host {
    pub vm: Vm<MockProxy>,
    pub proxy: MockProxy,
    pub root: ContextId,
}

pub fn compile(engine: &Engine, wat: &str) -> Program {
    match Program::compile(engine, wat.as_bytes()) {
        Ok(program) => program,
        Err(error) => panic!("{error}\n{wat}"),
    }
}

pub fn vm_config() -> VmConfig {
    VmConfig {
        vm_id: b"the vm".to_vec(),
        configuration: b"vm configuration\n"[..].into(),
        env: vec![
            (b"NAME".to_vec(), b"value".to_vec()),
            (b"EMPTY".to_vec(), b"".to_vec()),
        ],
        ..VmConfig::default()
    }
}

pub fn plugin_config() -> PluginConfig {
    PluginConfig {
        name: b"the plugin".to_vec(),
        root_id: b"the root".to_vec(),
        configuration: b"plugin\0configuration\n"[..].into(),
    }
}

pub fn try_start(wat: &str, proxy: &MockProxy) -> Result<Vm<MockProxy>, StartError> {
    let engine = Engine::new().expect("an engine");
    let program = Program::compile(&engine, wat.as_bytes())?;
    Vm::start(&engine, &program, proxy.clone(), vm_config())
}

impl Host {
    pub fn start(wat: &str) -> Host {
        let proxy = MockProxy::default();
        let mut vm = match try_start(wat, &proxy) {
            Ok(vm) => vm,
            Err(error) => panic!("{error}\n{wat}"),
        };
        let root = match vm.create_root(plugin_config()) {
            Ok(root) => root,
            Err(error) => panic!("{error}\n{wat}"),
        };
        Host { vm, proxy, root }
    }

    pub fn stream(&mut self, stream: &MockStream) -> ContextId {
        self.vm
            .create_stream(self.root, stream.clone())
            .expect("a stream context")
    }

    /// What the guest has logged since the last time.
    pub fn logs(&self) -> Vec<String> {
        self.proxy.take_logs()
    }
}

/// Runs `body` as `proxy_on_request_headers` with this stream; returns the statuses it has noted
/// and the lines it has logged.
pub fn run(body: &str, stream: &MockStream) -> (Vec<u32>, Vec<String>) {
    run_guest(Guest::new().request_headers(body), stream)
}

/// The same for a guest with more in it.
pub fn run_guest(guest: Guest, stream: &MockStream) -> (Vec<u32>, Vec<String>) {
    let mut host = Host::start(&guest.wat());
    let id = host.stream(stream);
    host.logs();
    match host.vm.on_request_headers(id, 0, false) {
        Ok(action) => assert_eq!(action, Action::Continue),
        Err(error) => panic!("{error}"),
    }
    statuses(host.logs())
}

/// Parts the noted statuses from the other lines.
pub fn statuses(logs: Vec<String>) -> (Vec<u32>, Vec<String>) {
    let (noted, lines): (Vec<_>, Vec<_>) = logs.into_iter().partition(|line| line.starts_with('='));
    let statuses = noted
        .iter()
        .map(|line| u32::from(line.as_bytes()[1] - b'0'))
        .collect();
    (statuses, lines)
}
