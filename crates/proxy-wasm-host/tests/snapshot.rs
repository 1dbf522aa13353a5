//! VMs that start with the state of another one.

use crate::common::{Guest, MockProxy, MockStream, plugin_config, vm_config};
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{Engine, LoadError, Program, Snapshot, StartError, Vm, VmConfig};

/// Notes the character of a number.
const SAY: &str = "(func $digit (param $n i32)
    (i32.store8 #64 (i32.add (local.get $n) (i32.const 48)))
    (drop (call $proxy_log #2 (i32.const 64) (i32.const 1))))";

struct Original {
    engine: Engine,
    vm: Vm<MockProxy>,
    snapshot: Snapshot<MockProxy>,
}

impl Original {
    fn new(guest: &Guest) -> Original {
        Original::with(guest, vm_config())
    }

    fn with(guest: &Guest, config: VmConfig) -> Original {
        let engine = Engine::new().unwrap();
        let program = Program::compile_for_snapshots(&engine, guest.wat().as_bytes()).unwrap();
        let mut vm = Vm::start(&engine, &program, MockProxy::default(), config).unwrap();
        vm.create_root(plugin_config()).unwrap();
        let snapshot = vm.snapshot(&engine).unwrap();
        Original {
            engine,
            vm,
            snapshot,
        }
    }

    /// What a request to a VM of its own logs.
    fn request(&self) -> Vec<String> {
        let proxy = MockProxy::default();
        let mut vm = self.snapshot.start(proxy.clone()).unwrap();
        request(&mut vm);
        proxy.take_logs()
    }
}

fn request(vm: &mut Vm<MockProxy>) {
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    vm.on_request_headers(id, 0, true).unwrap();
    vm.finish(id, true).unwrap();
}

#[test]
fn globals_memory_and_data_are_as_after_configuration() {
    let guest = Guest::new()
        .with(SAY)
        .with("(global $count (mut i32) (i32.const 1))")
        .with("(data (i32.const 2000) \"\\03\")")
        .with("(func $section (i32.store8 (i32.const 2001) (i32.add #1 (i32.load8_u (i32.const 2000))))) (start $section)")
        .callback(
            "on_configure",
            2,
            true,
            "(global.set $count #5) (i32.store8 (i32.const 2002) #7) #1",
        )
        .request_headers(
            "(call $digit (global.get $count)) (global.set $count (i32.add (global.get $count) #1))
             (call $digit (global.get $count))
             (call $digit (i32.load8_u (i32.const 2000))) (call $digit (i32.load8_u (i32.const 2001)))
             (call $digit (i32.load8_u (i32.const 2002))) (i32.store8 (i32.const 2002) #9)",
        );
    let mut original = Original::new(&guest);
    let expected = ["5", "6", "3", "4", "7"];
    for _ in 0..3 {
        assert_eq!(original.request(), expected);
    }
    // The original goes on by itself, and its snapshot stays.
    request(&mut original.vm);
    request(&mut original.vm);
    assert_eq!(original.request(), expected);
}

#[test]
fn nothing_that_one_writes_is_there_for_the_next() {
    // Looks for a byte that is nowhere in the snapshot, then writes it all over its memory.
    let search = "(loop $search
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0xA7)) (then unreachable))
        (local.set $at (i32.add (local.get $at) #1))
        (br_if $search (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))";
    let write = "(loop $write
        (i32.store8 (local.get $at) (i32.const 0xA7))
        (local.set $at (i32.add (local.get $at) (i32.const 97)))
        (br_if $write (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))";
    let guest = Guest::new()
        .memory(r#"(memory (export "memory") 2)"#)
        .with(SAY)
        // The snapshot's memory is larger than what the module starts with.
        .callback("on_configure", 2, true, "(drop (memory.grow #2)) #1")
        .callback(
            "on_request_headers",
            3,
            true,
            &format!(
                "(local $at i32) (call $digit (memory.size)) {search}
                 (drop (memory.grow #3)) {search} (local.set $at #0) {write} #0"
            ),
        );
    let original = Original::new(&guest);
    // One after the other, and side by side.
    for _ in 0..3 {
        assert_eq!(original.request(), ["4"]);
    }
    let mut vms: Vec<_> = (0..5)
        .map(|_| original.snapshot.start(MockProxy::default()).unwrap())
        .collect();
    vms.iter_mut().for_each(request);
    drop(vms);
    for _ in 0..8 {
        assert_eq!(original.request(), ["4"]);
    }
}

#[test]
fn what_has_grown_is_out_of_reach_for_the_next() {
    let guest = |body| {
        Guest::new()
            .memory(r#"(memory (export "memory") 1)"#)
            .with("(global $turn (mut i32) (i32.const 0))")
            .request_headers(body)
    };
    let grows = Original::new(&guest(
        "(if (i32.eqz (global.get $turn)) (then (drop (i32.load (i32.const 65536)))))",
    ));
    let mut first = grows.snapshot.start(MockProxy::default()).unwrap();
    let id = first
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    let error = first.on_request_headers(id, 0, true).unwrap_err();
    assert!(
        error.to_string().contains("out of bounds memory access"),
        "{error}"
    );

    let grows = Original::new(&guest(
        "(if (i32.eq (memory.size) #1) (then (drop (memory.grow #4)))) (i32.store (i32.const 200000) #1)",
    ));
    for _ in 0..3 {
        grows.request();
    }
}

#[test]
fn limits_hold_in_each() {
    let mut config = vm_config();
    config.limits.memory = 3 << 16;
    config.limits.cpu_time = std::time::Duration::from_millis(20);
    let guest = Guest::new()
        .memory(r#"(memory (export "memory") 1)"#)
        .with(SAY)
        .request_headers("(loop $on (br_if $on (i32.ne (memory.grow #1) (i32.const -1)))) (call $digit (memory.size)) (loop $spin (br $spin))");
    let original = Original::with(&guest, config);
    let _ticker = original
        .engine
        .start_ticker(std::time::Duration::from_millis(20))
        .unwrap();
    let proxy = MockProxy::default();
    let mut vm = original.snapshot.start(proxy.clone()).unwrap();
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    let error = vm.on_request_headers(id, 0, true).unwrap_err();
    assert_eq!(proxy.take_logs(), ["3"]);
    assert!(error.to_string().contains("over cpu_time=20ms"), "{error}");
}

#[test]
fn data_outside_of_the_memory() {
    let engine = Engine::new().unwrap();
    let guest = Guest::new().with("(data (i32.const 99999999) \"x\")");
    let program = Program::compile_for_snapshots(&engine, guest.wat().as_bytes()).unwrap();
    match Vm::start(&engine, &program, MockProxy::default(), vm_config()) {
        Err(StartError::Instantiate(reason)) => {
            assert_eq!(reason, "wasm trap: out of bounds memory access");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn modules_with_state_that_a_snapshot_has_not() {
    let refused = |fields: &str| {
        let engine = Engine::new().unwrap();
        let wat = Guest::new().with(fields).wat();
        match Program::compile_for_snapshots(&engine, wat.as_bytes()) {
            Err(LoadError::Runtime(error)) => error.to_string(),
            other => panic!("{:?}", other.err()),
        }
    };
    let because =
        |what: &str| format!("cannot have an instance for each request: the module has {what}");
    let table = "(table $t 1 funcref)";
    for (instruction, body) in [
        ("table.set", "(table.set $t #0 (ref.null func))"),
        ("table.grow", "(drop (table.grow $t (ref.null func) #1))"),
        ("table.fill", "(table.fill $t #0 (ref.null func) #1)"),
        ("table.copy", "(table.copy $t $t #0 #0 #1)"),
    ] {
        assert_eq!(
            refused(&format!("{table} (func {body})")),
            because(&format!("the instruction {instruction}"))
        );
    }
    assert_eq!(
        refused("(global $g (mut funcref) (ref.null func))"),
        because("a mutable global that holds a reference")
    );
    assert_eq!(
        refused("(data (i32.add (i32.const 1) (i32.const 2)) \"x\")"),
        because("data at a computed address")
    );
}
