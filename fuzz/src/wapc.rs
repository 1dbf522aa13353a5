//! A waPC guest that calls every import with arguments of the input's, in calls and in between.

use std::rc::Rc;

use wapc_host::{CallError, Engine, Plugin, PluginConfig, Program, Snapshot};

use crate::records::{Records, byte, call, rules};
use crate::run::one_line;
use crate::wapc_common::{Mock, guest_with};

const END: u32 = 2 << 16;
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

/// A record has the number of a function, then up to eight arguments.
fn records() -> Records {
    let functions = vec![
        call("guest_request", 2, false),
        call("guest_response", 2, false),
        call("guest_error", 2, false),
        call("host_call", 8, true),
        call("host_response_len", 0, true),
        call("host_response", 1, false),
        call("host_error_len", 0, true),
        call("host_error", 1, false),
        call("console_log", 2, false),
        call("abort", 4, false),
        call("proc_exit", 1, false),
        call("fd_write", 4, true),
        call("environ_sizes_get", 2, true),
        "(drop (memory.grow (i32.const 1)))".to_owned(),
    ];
    Records::new(functions, 8, NUMBERS)
}

/// Runs the records of its message.
fn guest(records: &Records) -> Vec<u8> {
    let interpreter = records.interpreter();
    let items = format!("{TEXTS} (func $records (param $at i32) (param $end i32) {interpreter})");
    let body = format!(
        "(call $guest_request (i32.const 1024) (i32.const {MESSAGE}))
        (call $records (i32.const {MESSAGE}) (i32.add (i32.const {MESSAGE}) (local.get $message)))
        (local.get $operation)"
    );
    guest_with(&items, &body).into_bytes()
}

thread_local! {
    static RECORDS: Records = records();
    static SNAPSHOTS: [Snapshot<Mock>; 2] = [snapshot(false), snapshot(true)];
}

fn snapshot(restricted: bool) -> Snapshot<Mock> {
    let engine = Engine::new().expect("an engine");
    let program = RECORDS.with(|records| Program::compile_for_snapshots(&engine, &guest(records)));
    let program = program.expect("a program");
    let config = PluginConfig {
        capabilities: rules(restricted).capabilities().expect("capabilities"),
        ..PluginConfig::default()
    };
    let plugin = Plugin::start(&engine, &program, Mock::default(), Rc::new(config));
    let mut plugin = plugin.expect("a plugin");
    plugin.snapshot(&engine).expect("a snapshot")
}

/// A byte for the number of records and the operation's length, then the records.
fn read(input: &mut &[u8]) -> Option<(usize, Vec<u8>)> {
    let head = byte(input)?;
    let message = RECORDS.with(|records| records.read(input, usize::from(head >> 2)));
    Some((usize::from(head & 3), message))
}

/// The answer of a plugin that was made or taken back just now.
fn probe(plugin: &mut Plugin<Mock>) -> Result<Vec<u8>, CallError> {
    let mut message = Vec::new();
    for number in [1, 0, MESSAGE as u32 + 36, 0, 0, 0, 0, 0, 0] {
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
