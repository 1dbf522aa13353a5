//! What an instance of its own costs a request: `cargo run --release --example isolation -- FILE.wasm CONFIGURATION`
//!
//! Prints the time of a request (a context, its header callbacks, its end) in an instance that requests share, in one that is
//! taken back to the snapshot each time, and in one that is made each time.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{MockProxy, MockStream, plugin_config, vm_config};
use proxy_wasm_host::{ContextId, Engine, MapType, Program, Vm};

const BATCHES: u32 = 200;
const BATCH: u32 = 100;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let file = arguments.next().expect("a module's file");
    let configuration = arguments.next().unwrap_or_default().into_encoded_bytes();
    let bytes = std::fs::read(file).expect("the module");

    let engine = Engine::new().expect("an engine");
    let program = Program::compile_for_snapshots(&engine, &bytes).expect("a program");
    let proxy = MockProxy::default();
    let mut vm = Vm::start(&engine, &program, proxy.clone(), vm_config()).expect("a VM");
    let mut plugin = plugin_config();
    plugin.configuration = configuration.into();
    vm.create_root(plugin).expect("a root context");
    let snapshot = vm.snapshot(&engine).expect("a snapshot");

    show("shared", || request(&mut vm));
    let mut own = snapshot.start(proxy.clone()).expect("a VM");
    show("taken back", || {
        request(&mut own);
        assert!(snapshot.rewind(&mut own, proxy.clone()));
    });
    show("made", || {
        request(&mut snapshot.start(proxy.clone()).expect("a VM"))
    });
}

fn request(vm: &mut Vm<MockProxy>) {
    let stream = MockStream::default()
        .map(MapType::RequestHeaders, &[(":path", "/"), ("x-a", "a")])
        .map(MapType::ResponseHeaders, &[(":status", "200")]);
    let id = vm
        .create_stream(ContextId::new(1), stream)
        .expect("a context");
    vm.on_request_headers(id, 0, true).expect("a callback");
    vm.on_response_headers(id, 0, true).expect("a callback");
    vm.finish(id, true).expect("an end");
}

/// The best time of many, of a request each.
fn show(what: &str, mut act: impl FnMut()) {
    let mut time = || {
        let started = Instant::now();
        (0..BATCH).for_each(|_| act());
        started.elapsed() / BATCH
    };
    let best = (0..BATCHES).map(|_| time()).min().unwrap_or(Duration::ZERO);
    println!("{what:10} {} ns", best.as_nanos());
}
