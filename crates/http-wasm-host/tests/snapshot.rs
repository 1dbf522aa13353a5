//! Instances with the state of another one.

use std::rc::Rc;

use http_wasm_host::{Engine, Features, Program, Snapshot, StartError, Vm, VmConfig};

use crate::common::{Mock, next};

const COUNT: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (func (export "_start")
        (drop (call $enable_features (i32.const 2)))
        (call $short (i32.const 0))
        (global.set $count (i32.const 10))
        (i32.store (i32.const 5000) (i32.const 20)))"#;
const REQUEST: &str = "
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.const 5000) (i32.add (i32.load (i32.const 5000)) (i32.const 1)))
    (call $short (global.get $count)) (call $short (i32.load (i32.const 5000)))";

fn snapshot(wat: &str) -> (Snapshot<Mock>, Mock) {
    let engine = Engine::new().unwrap();
    let program = Program::compile_for_snapshots(&engine, wat.as_bytes()).unwrap();
    let mock = Mock::default();
    let mut vm = Vm::start(
        &engine,
        &program,
        mock.clone(),
        Rc::new(VmConfig::default()),
    )
    .unwrap();
    let snapshot = vm.snapshot(&engine).unwrap();
    mock.told();
    (snapshot, mock)
}

fn ask(vm: &mut Vm<Mock>, mock: &Mock) -> Vec<String> {
    vm.handle_request(mock.clone()).unwrap();
    mock.told()
}

#[test]
fn instances_begin_as_the_first_was_after_its_start() {
    let (snapshot, mock) = snapshot(&next(COUNT, REQUEST, ""));
    for _ in 0..2 {
        let mut vm = snapshot.vm(mock.clone()).unwrap();
        assert_eq!(vm.features(), Features::BUFFER_RESPONSE);
        assert_eq!(ask(&mut vm, &mock), ["#11", "#21"]);
        assert_eq!(ask(&mut vm, &mock), ["#12", "#22"]);
    }
}

#[test]
fn instances_are_taken_back_to_it() {
    let (snapshot, mock) = snapshot(&next(COUNT, REQUEST, "(call $short (i32.const 1))"));
    let mut vm = snapshot.vm(mock.clone()).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut vm, &mock), ["#11", "#21"]);
        vm.handle_response(false).unwrap();
        mock.told();
        assert!(snapshot.rewind(&mut vm, mock.clone()));
        assert_eq!(vm.features(), Features::BUFFER_RESPONSE);
    }
    // A request that has not come to its end goes, too.
    ask(&mut vm, &mock);
    assert!(snapshot.rewind(&mut vm, mock.clone()));
    assert!(vm.handle_response(false).is_err());
}

#[test]
fn an_instance_that_has_trapped_is_not() {
    let (snapshot, mock) = snapshot(&next("", "(unreachable)", ""));
    let mut vm = snapshot.vm(mock.clone()).unwrap();
    vm.handle_request(mock.clone()).unwrap_err();
    assert!(!snapshot.rewind(&mut vm, mock));
}

#[test]
fn no_snapshot_is_taken_of_one_that_has_trapped() {
    let engine = Engine::new().unwrap();
    let wat = next("", "(unreachable)", "");
    let program = Program::compile_for_snapshots(&engine, wat.as_bytes()).unwrap();
    let mock = Mock::default();
    let mut vm = Vm::start(
        &engine,
        &program,
        mock.clone(),
        Rc::new(VmConfig::default()),
    )
    .unwrap();
    vm.handle_request(mock).unwrap_err();
    assert_eq!(vm.snapshot(&engine).err(), Some(StartError::Poisoned));
}
