//! Plugins that start with the state of another one.

use std::rc::Rc;

use wapc_host::{CallError, Engine, Plugin, PluginConfig, Program, Snapshot, StartError};

use crate::common::{Mock, guest_with};

/// Counts its calls in a global and in memory, behind what `wapc_init` has counted; grows when it is told to.
const ITEMS: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (func $up
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1))))
    (func (export "wapc_init") (call $up) (call $up)
        (call $console_log (i32.const 0) (i32.const 0)))"#;
const BODY: &str = r#"
    (call $up)
    (if (i32.eq (local.get $operation) (i32.const 1)) (then (unreachable)))
    (if (i32.eq (local.get $operation) (i32.const 2)) (then (drop (memory.grow (i32.const 3)))))
    (i32.store8 (i32.const 0) (global.get $count))
    (i32.store8 (i32.const 1) (i32.load8_u (i32.const 100)))
    (i32.store8 (i32.const 2) (memory.size))
    (call $guest_response (i32.const 0) (i32.const 3))
    (i32.const 1)"#;

struct Original {
    engine: Engine,
    plugin: Plugin<Mock>,
    mock: Mock,
    snapshot: Snapshot<Mock>,
}

fn original(items: &str) -> Original {
    let engine = Engine::new().unwrap();
    let wat = guest_with(items, BODY);
    let program = Program::compile_for_snapshots(&engine, wat.as_bytes()).unwrap();
    let mock = Mock::default();
    let config = Rc::new(PluginConfig::default());
    let mut plugin = Plugin::start(&engine, &program, mock.clone(), config).unwrap();
    let snapshot = plugin.snapshot(&engine).unwrap();
    Original {
        engine,
        plugin,
        mock,
        snapshot,
    }
}

#[test]
fn plugins_start_from_the_state_after_start_up() {
    let mut original = original(ITEMS);
    assert_eq!(original.mock.lines(), [""]);
    assert_eq!(original.plugin.call(b"", vec![]).unwrap(), [3, 3, 2]);
    for _ in 0..2 {
        let mock = Mock::default();
        let mut plugin = original.snapshot.plugin(mock.clone()).unwrap();
        assert_eq!(plugin.call(b"", vec![]).unwrap(), [3, 3, 2]);
        assert_eq!(plugin.call(b"", vec![]).unwrap(), [4, 4, 2]);
        assert!(mock.lines().is_empty(), "nothing of the guest's has run");
    }
    assert_eq!(original.plugin.call(b"", vec![]).unwrap(), [4, 4, 2]);
}

#[test]
fn plugins_are_taken_back() {
    let original = original(ITEMS);
    let mut plugin = original.snapshot.plugin(Mock::default()).unwrap();
    for _ in 0..600 {
        assert_eq!(plugin.call(b"op", vec![]).unwrap(), [3, 3, 5]);
        assert_eq!(plugin.call(b"", vec![1; 100]).unwrap(), [4, 4, 5]);
        assert!(original.snapshot.rewind(&mut plugin, Mock::default()));
        assert_eq!(plugin.memory_bytes(), 2 << 16);
        assert_eq!(plugin.take_response(), b"", "nothing is left of the calls");
    }
}

#[test]
fn those_that_trapped_are_not() {
    let mut original = original(ITEMS);
    let mut plugin = original.snapshot.plugin(Mock::default()).unwrap();
    assert!(matches!(plugin.call(b"x", vec![]), Err(CallError::Trap(_))));
    assert!(!original.snapshot.rewind(&mut plugin, Mock::default()));

    assert!(matches!(
        original.plugin.call(b"x", vec![]),
        Err(CallError::Trap(_))
    ));
    let again = original.plugin.snapshot(&original.engine);
    assert_eq!(again.err(), Some(StartError::Poisoned));
}

#[test]
fn nor_are_those_of_another_snapshot() {
    let (one, mut other) = (original(ITEMS), original(ITEMS));
    let mut plugin = one.snapshot.plugin(Mock::default()).unwrap();
    assert!(!other.snapshot.rewind(&mut plugin, Mock::default()));
    assert!(
        !other.snapshot.rewind(&mut other.plugin, Mock::default()),
        "the original"
    );
}

#[test]
fn the_services_are_those_of_the_call() {
    let original = original(&format!("{ITEMS} (data (i32.const 200) \"hello\")"));
    let first = Mock::default();
    let mut plugin = original.snapshot.plugin(first.clone()).unwrap();
    let second = Mock::default();
    assert!(original.snapshot.rewind(&mut plugin, second.clone()));
    second.set(b"who", b"second");
    assert_eq!(plugin.services().get(b"who"), Some(b"second".to_vec()));
    assert_eq!(first.get(b"who"), None);
}
