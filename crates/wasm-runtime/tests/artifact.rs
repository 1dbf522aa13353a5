//! Compiling once, loading anywhere.

use std::process::Command;

use wasm_runtime::wasmtime::{Instance, Module, Store};
use wasm_runtime::{Engine, sha256};

/// A module with a data segment of a page of its own, whose `get` tells byte 0 and then changes it.
fn module(byte: u8) -> String {
    let page = format!("\\{byte:02x}") + &"x".repeat(65535);
    format!(
        r#"(module (memory (export "memory") 1) (data (i32.const 0) "{page}")
            (func (export "get") (result i32)
                i32.const 0
                i32.load8_u
                i32.const 0
                i32.const 99
                i32.store8))"#
    )
}

fn get(engine: &Engine, module: &Module) -> i32 {
    let mut store = Store::new(engine.wasmtime(), ());
    // No clock runs here.
    store.set_epoch_deadline(1);
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let get = instance
        .get_typed_func::<(), i32>(&mut store, "get")
        .unwrap();
    get.call(&mut store, ()).unwrap()
}

/// The memory files of compiled code that this process has open.
fn memory_files() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|link| link.to_string_lossy().contains("memfd:wasm-code"))
        .count()
}

/// In one test, as it counts what the process has.
#[test]
fn one_artifact_for_all_engines_and_it_goes_with_its_last_user() {
    let first = Engine::new().unwrap();
    let bytes = module(7);
    let artifact = first.compile(bytes.as_bytes()).unwrap();
    assert_eq!(artifact.sha256(), &sha256(bytes.as_bytes()));
    assert_eq!(memory_files(), 1);

    // The same bytes, also in another engine: nothing new.
    let second = Engine::new().unwrap();
    let again = second.compile(bytes.as_bytes()).unwrap();
    assert_eq!(memory_files(), 1);
    // Other bytes are.
    let other = second.compile(module(8).as_bytes()).unwrap();
    assert_eq!(memory_files(), 2);

    let in_first = first.load(&artifact).unwrap();
    let in_second = second.load(&again).unwrap();
    // Each instance starts with the module's data, whatever another has written.
    assert_eq!(get(&first, &in_first), 7);
    assert_eq!(get(&first, &in_first), 7);
    assert_eq!(get(&second, &in_second), 7);
    assert_eq!(get(&second, &second.load(&other).unwrap()), 8);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let executable = maps
        .lines()
        .filter(|line| line.contains("memfd:wasm-code") && line.contains("r-xp"));
    assert_eq!(executable.count(), 3, "code is mapped from the files");

    drop((artifact, again, other));
    drop((in_first, in_second));
    // The engines' own modules of dead artifacts go at their next load.
    let last = first.compile(module(9).as_bytes()).unwrap();
    first.load(&last).unwrap();
    second.load(&last).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let executable = maps
        .lines()
        .filter(|line| line.contains("memfd:wasm-code") && line.contains("r-xp"));
    assert_eq!(executable.count(), 2);
}

#[test]
fn no_thread_is_started() {
    // In a process of its own: the test harness has threads.
    const CHILD: &str = "WASM_RUNTIME_TEST_THREADS";
    if std::env::var_os(CHILD).is_some() {
        let before = threads();
        let engine = Engine::new().unwrap();
        let artifact = engine.compile(module(1).as_bytes()).unwrap();
        assert_eq!(get(&engine, &engine.load(&artifact).unwrap()), 1);
        assert_eq!(threads(), before);
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_thread_is_started", "--test-threads=1"])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
