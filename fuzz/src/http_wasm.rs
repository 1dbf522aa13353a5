//! An http-wasm guest that calls every import with arguments of the input's, before the next handler and behind it.

use std::rc::Rc;

use http_wasm_host::{
    BodyKind, CallError, Engine, HeaderKind, Next, Program, Snapshot, Vm, VmConfig,
};

use crate::http_wasm_common::{Mock, guest_with};
use crate::records::{Records, byte, call, rules};
use crate::run::one_line;

const END: u32 = 4 << 16;
/// Where the guest has them: it reads them as a body, of the request and then of the response.
const SCRIPT: usize = 4096;

/// What arguments are taken from.
const NUMBERS: [u32; 16] = [
    0,
    1,
    2,
    3,
    4,
    5,
    9,
    100,
    200,
    SCRIPT as u32,
    END - 2,
    END - 1,
    END,
    1 << 31,
    u32::MAX - 1,
    u32::MAX,
];

/// Names and values stand at the start of its memory, where small numbers point to.
const TEXTS: &str = r#"(data (i32.const 0) "hostPOST/a?bx-name\0d\0avalue:path content-length")"#;

/// A record has the number of a function, then up to five arguments.
fn records() -> Records {
    let functions = vec![
        call("enable_features", 1, true),
        call("get_config", 2, true),
        call("log_enabled", 1, true),
        call("log", 3, false),
        call("get_method", 2, true),
        call("set_method", 2, false),
        call("get_uri", 2, true),
        call("set_uri", 2, false),
        call("get_protocol_version", 2, true),
        call("get_source_addr", 2, true),
        call("get_header_names", 3, true),
        call("get_header_values", 5, true),
        call("set_header_value", 5, false),
        call("add_header_value", 5, false),
        call("remove_header", 3, false),
        call("read_body", 3, true),
        call("write_body", 3, false),
        call("get_status_code", 0, true),
        call("set_status_code", 1, false),
        call("abort", 4, false),
        call("proc_exit", 1, false),
        call("fd_write", 4, true),
        "(drop (memory.grow (i32.const 1)))".to_owned(),
        "(return (i64.const 0))".to_owned(),
    ];
    Records::new(functions, 5, NUMBERS)
}

/// Runs the records of a body.
fn guest(records: &Records) -> Vec<u8> {
    let interpreter = records.interpreter();
    let items = format!(
        r#"{TEXTS}
        (func $records (param $at i32) (param $end i32) (result i64)
            {interpreter}
            (i64.const 1))
        (func $script (param $kind i32) (result i64)
            (call $records (i32.const {SCRIPT}) (i32.add (i32.const {SCRIPT})
                (i32.wrap_i64 (call $read_body (local.get $kind) (i32.const {SCRIPT}) (i32.const 8192))))))
        (func (export "_start") (drop (call $enable_features (i32.const 3))))"#
    );
    let wat = guest_with(
        &items,
        "(call $script (i32.const 0))",
        "(drop (call $script (i32.const 1)))",
    );
    wat.replace(r#"(export "memory") 2"#, r#"(export "memory") 4"#)
        .into_bytes()
}

thread_local! {
    static RECORDS: Records = records();
    static SNAPSHOTS: [Snapshot<Mock>; 2] = [snapshot(false), snapshot(true)];
}

fn snapshot(restricted: bool) -> Snapshot<Mock> {
    let engine = Engine::new().expect("an engine");
    let program = RECORDS.with(|records| Program::compile_for_snapshots(&engine, &guest(records)));
    let program = program.expect("a program");
    let config = VmConfig {
        configuration: (*b"configuration").into(),
        capabilities: rules(restricted).capabilities().expect("capabilities"),
        ..VmConfig::default()
    };
    let vm = Vm::start(&engine, &program, Mock::default(), Rc::new(config));
    let mut vm = vm.expect("an instance");
    vm.snapshot(&engine).expect("a snapshot")
}

/// A byte for the number of records, then the records.
fn read(input: &mut &[u8]) -> Option<Vec<u8>> {
    let count = usize::from(byte(input)?);
    Some(RECORDS.with(|records| records.read(input, count)))
}

fn failed(vm: &Vm<Mock>, error: &CallError) {
    one_line(&error.to_string());
    assert!(vm.poisoned());
}

/// One request and its response.
fn exchange(vm: &mut Vm<Mock>, mock: &Mock, request: &[u8], response: &[u8]) {
    mock.body(BodyKind::Request, request);
    mock.body(BodyKind::Response, response);
    match vm.handle_request(mock.clone()) {
        Ok(next) => {
            assert!(vm.eaten() <= request.len());
            let answer = vm.take_answer();
            assert!(
                answer
                    .status
                    .is_none_or(|status| (200..=999).contains(&status))
            );
            assert!(answer.body.len() <= mock.0.most.get());
            if let Some(body) = vm.take_body(BodyKind::Request) {
                assert!(body.len() <= mock.0.most.get());
            }
            if next == Next::Handler {
                let before = mock.headers(HeaderKind::Request);
                let seen = vm.handle_response(false);
                assert_eq!(
                    before,
                    mock.headers(HeaderKind::Request),
                    "changed too late"
                );
                match seen {
                    Ok(()) => drop(vm.take_body(BodyKind::Response)),
                    Err(error) => failed(vm, &error),
                }
            }
        }
        Err(error) => failed(vm, &error),
    }
    vm.end();
    assert!(vm.memory_bytes() <= 256 << 20);
}

/// What an instance that was made or taken back just now tells.
fn probe(vm: &mut Vm<Mock>) -> (Result<Next, CallError>, u32, usize) {
    let result = vm.handle_request(Mock::default());
    let told = (vm.features().bits(), vm.memory_bytes());
    vm.end();
    (result, told.0, told.1)
}

pub fn run(mut input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let restricted = usize::from(first & 1);
    input = rest;
    SNAPSHOTS.with(|snapshots| {
        let snapshot = &snapshots[restricted];
        let mock = Mock::default();
        mock.add(HeaderKind::Request, "Host", "a.example");
        mock.add(HeaderKind::Response, "x-name", "value");
        let mut vm = snapshot.vm(mock.clone()).expect("an instance");
        let clean = probe(&mut snapshot.vm(Mock::default()).expect("another"));
        while let Some(request) = read(&mut input) {
            let response = read(&mut input).unwrap_or_default();
            let before = vm.poisoned();
            exchange(&mut vm, &mock, &request, &response);
            mock.told();
            if before {
                break;
            }
        }
        let poisoned = vm.poisoned();
        assert_eq!(snapshot.rewind(&mut vm, Mock::default()), !poisoned);
        if !poisoned {
            assert_eq!(probe(&mut vm), clean);
        }
    });
}
