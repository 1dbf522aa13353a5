//! An http-wasm guest that calls every import with arguments of the input's, before the next handler and behind it.

use std::rc::Rc;

use guest_host::CapabilityRules;
use http_wasm_host::{
    BodyKind, CallError, Engine, HeaderKind, Next, Program, Snapshot, Vm, VmConfig,
};

use crate::http_wasm_common::{Mock, guest_with};
use crate::run::one_line;

const END: u32 = 4 << 16;
const RECORD: usize = 24;
/// No call has more of them.
const MAX_RECORDS: usize = 40;
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

/// Runs the records of a body: the number of a function, then up to five arguments.
fn guest() -> Vec<u8> {
    let argument = |n: usize| format!("(i32.load offset={} (local.get $at))", 4 + 4 * n);
    let function = |name: &str, arguments: usize, result: bool| {
        let arguments: String = (0..arguments).map(argument).collect();
        match result {
            true => format!("(drop (call ${name} {arguments}))"),
            false => format!("(call ${name} {arguments})"),
        }
    };
    let functions = [
        function("enable_features", 1, true),
        function("get_config", 2, true),
        function("log_enabled", 1, true),
        function("log", 3, false),
        function("get_method", 2, true),
        function("set_method", 2, false),
        function("get_uri", 2, true),
        function("set_uri", 2, false),
        function("get_protocol_version", 2, true),
        function("get_source_addr", 2, true),
        function("get_header_names", 3, true),
        function("get_header_values", 5, true),
        function("set_header_value", 5, false),
        function("add_header_value", 5, false),
        function("remove_header", 3, false),
        function("read_body", 3, true),
        function("write_body", 3, false),
        function("get_status_code", 0, true),
        function("set_status_code", 1, false),
        function("abort", 4, false),
        function("proc_exit", 1, false),
        function("fd_write", 4, true),
        "(drop (memory.grow (i32.const 1)))".to_owned(),
        "(return (i64.const 0))".to_owned(),
    ];
    let mut choice = String::new();
    for (number, call) in functions.iter().enumerate() {
        choice.push_str(&format!(
            "(if (i32.eq (i32.load (local.get $at)) (i32.const {number})) (then {call}))"
        ));
    }
    let items = format!(
        r#"{TEXTS}
        (func $records (param $at i32) (param $end i32) (result i64)
            (loop $next
                (if (i32.lt_u (local.get $at) (local.get $end)) (then
                    {choice}
                    (local.set $at (i32.add (local.get $at) (i32.const {RECORD})))
                    (br $next))))
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
    static SNAPSHOTS: [Snapshot<Mock>; 2] = [snapshot(false), snapshot(true)];
}

fn snapshot(restricted: bool) -> Snapshot<Mock> {
    let engine = Engine::new().expect("an engine");
    let program = Program::compile_for_snapshots(&engine, &guest()).expect("a program");
    let mut rules = CapabilityRules::default();
    if restricted {
        rules.deny(b"all").expect("a rule");
    }
    let config = VmConfig {
        configuration: (*b"configuration").into(),
        capabilities: rules.capabilities().expect("capabilities"),
        ..VmConfig::default()
    };
    let vm = Vm::start(&engine, &program, Mock::default(), Rc::new(config));
    let mut vm = vm.expect("an instance");
    vm.snapshot(&engine).expect("a snapshot")
}

/// A byte for the number of records, then the records: the function, a byte for each argument.
fn read(input: &mut &[u8]) -> Option<Vec<u8>> {
    let mut byte = || {
        let (first, rest) = input.split_first()?;
        *input = rest;
        Some(*first)
    };
    let count = usize::from(byte()?).min(MAX_RECORDS);
    let mut script = Vec::with_capacity(count * RECORD);
    for _ in 0..count {
        let Some(function) = byte() else { break };
        script.extend_from_slice(&u32::from(function % 24).to_le_bytes());
        for _ in 0..5 {
            let choice = byte().unwrap_or(0);
            let number = match NUMBERS.get(usize::from(choice)) {
                Some(number) => *number,
                None => u32::from(choice) << 3,
            };
            script.extend_from_slice(&number.to_le_bytes());
        }
    }
    Some(script)
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
