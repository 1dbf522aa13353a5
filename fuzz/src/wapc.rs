//! A waPC guest that calls every import with arguments of the input's, in calls and in between.

use std::rc::Rc;

use guest_host::CapabilityRules;
use wapc_host::{CallError, Engine, Plugin, PluginConfig, Program, Snapshot};

use crate::run::one_line;
use crate::wapc_common::{Mock, guest_with};

const END: u32 = 2 << 16;
const RECORD: usize = 36;
/// No call has more of them.
const MAX_RECORDS: usize = 40;
/// Where the guest has them.
const MESSAGE: usize = 4096;

/// What arguments are taken from.
const NUMBERS: [u32; 16] = [
    0,
    1,
    3,
    8,
    9,
    11,
    17,
    1024,
    MESSAGE as u32,
    END - 17,
    END - 1,
    END,
    END + 1,
    1 << 31,
    u32::MAX - 3,
    u32::MAX,
];

/// Names of operations stand at the start of its memory, where small numbers point to.
const TEXTS: &str = r#"(data (i32.const 0) "shared_dataget\00\00\00queuevariablesetloginfocounterincrementenqueue")"#;

/// Runs the records of its message: the number of a function, then up to eight arguments.
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
        function("guest_request", 2, false),
        function("guest_response", 2, false),
        function("guest_error", 2, false),
        function("host_call", 8, true),
        function("host_response_len", 0, true),
        function("host_response", 1, false),
        function("host_error_len", 0, true),
        function("host_error", 1, false),
        function("console_log", 2, false),
        function("abort", 4, false),
        function("proc_exit", 1, false),
        function("fd_write", 4, true),
        function("environ_sizes_get", 2, true),
        "(drop (memory.grow (i32.const 1)))".to_owned(),
    ];
    let mut choice = String::new();
    for (number, call) in functions.iter().enumerate() {
        choice.push_str(&format!(
            "(if (i32.eq (i32.load (local.get $at)) (i32.const {number})) (then {call}))"
        ));
    }
    let items = format!(
        r#"{TEXTS}
        (func $records (param $at i32) (param $end i32)
            (loop $next
                (if (i32.lt_u (local.get $at) (local.get $end)) (then
                    {choice}
                    (local.set $at (i32.add (local.get $at) (i32.const {RECORD})))
                    (br $next)))))"#
    );
    let body = format!(
        "(call $guest_request (i32.const 1024) (i32.const {MESSAGE}))
        (call $records (i32.const {MESSAGE}) (i32.add (i32.const {MESSAGE}) (local.get $message)))
        (local.get $operation)"
    );
    guest_with(&items, &body).into_bytes()
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
    let config = PluginConfig {
        capabilities: rules.capabilities().expect("capabilities"),
        ..PluginConfig::default()
    };
    let plugin = Plugin::start(&engine, &program, Mock::default(), Rc::new(config));
    let mut plugin = plugin.expect("a plugin");
    plugin.snapshot(&engine).expect("a snapshot")
}

/// A byte for the number of records and the operation's length, then the records: the function, a byte for each argument.
fn read(input: &mut &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut byte = || {
        let (first, rest) = input.split_first()?;
        *input = rest;
        Some(*first)
    };
    let head = byte()?;
    let count = usize::from(head >> 2).min(MAX_RECORDS);
    let mut message = Vec::with_capacity(count * RECORD);
    for _ in 0..count {
        let Some(function) = byte() else { break };
        message.extend_from_slice(&u32::from(function % 14).to_le_bytes());
        for _ in 0..8 {
            let choice = byte().unwrap_or(0);
            let number = match NUMBERS.get(usize::from(choice)) {
                Some(number) => *number,
                None => u32::from(choice) << 3,
            };
            message.extend_from_slice(&number.to_le_bytes());
        }
    }
    Some((usize::from(head & 3), message))
}

/// The answer of a plugin that was made or taken back just now.
fn probe(plugin: &mut Plugin<Mock>) -> Result<Vec<u8>, CallError> {
    let mut message = Vec::new();
    for number in [1, 0, 4096 + RECORD as u32, 0, 0, 0, 0, 0, 0] {
        message.extend_from_slice(&u32::to_le_bytes(number));
    }
    plugin.call(b"x", message).map(<[u8]>::to_vec)
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
        let mut plugin = snapshot.plugin(mock.clone()).expect("a plugin");
        let clean = probe(&mut snapshot.plugin(Mock::default()).expect("another"));
        while let Some((operation, message)) = read(&mut input) {
            let before = plugin.poisoned();
            match plugin.call(&b"get"[..operation], message) {
                Ok(response) => {
                    let len = response.len();
                    assert!(len <= plugin.memory_bytes());
                    assert_eq!(plugin.take_response().len(), len);
                }
                Err(error) => {
                    one_line(&error.to_string());
                    assert_eq!(before, error == CallError::Poisoned);
                    assert_eq!(
                        plugin.poisoned(),
                        matches!(error, CallError::Trap(_) | CallError::Poisoned)
                    );
                }
            }
            assert!(plugin.memory_bytes() <= 256 << 20);
        }
        let poisoned = plugin.poisoned();
        assert_eq!(snapshot.rewind(&mut plugin, Mock::default()), !poisoned);
        if !poisoned {
            assert_eq!(probe(&mut plugin), clean);
        }
    });
}
