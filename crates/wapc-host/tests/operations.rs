//! What a guest can call in its host.

use wapc_host::{Capabilities, LogLevel, PluginConfig};

use crate::common::{Host, guest_with};

/// A guest that calls the host: the operation is `binding|namespace|operation`, each of one length byte and its text; the
/// message is the payload. It answers with 1 and the response, or 0 and the error.
fn caller() -> String {
    let items = r#"
        (global $at (mut i32) (i32.const 0))
        ;; The address of the next text; its length is in front of it.
        (func $next (result i32)
            (local $address i32)
            (local.set $address (i32.add (global.get $at) (i32.const 1)))
            (global.set $at (i32.add (local.get $address) (i32.load8_u (global.get $at))))
            (local.get $address))
        (func $len (param $address i32) (result i32)
            (i32.load8_u (i32.sub (local.get $address) (i32.const 1))))"#;
    let body = r#"
        (local $binding i32) (local $namespace i32) (local $name i32)
        (call $guest_request (i32.const 1024) (i32.const 4096))
        (global.set $at (i32.const 1024))
        (local.set $binding (call $next))
        (local.set $namespace (call $next))
        (local.set $name (call $next))
        (if (call $host_call
                (local.get $binding) (call $len (local.get $binding))
                (local.get $namespace) (call $len (local.get $namespace))
                (local.get $name) (call $len (local.get $name))
                (i32.const 4096) (local.get $message))
            (then
                (if (call $host_error_len) (then (unreachable)))
                (i32.store8 (i32.const 8191) (i32.const 49))
                (call $host_response (i32.const 8192))
                (call $guest_response (i32.const 8191) (i32.add (call $host_response_len) (i32.const 1))))
            (else
                (if (call $host_response_len) (then (unreachable)))
                (i32.store8 (i32.const 8191) (i32.const 48))
                (call $host_error (i32.const 8192))
                (call $guest_response (i32.const 8191) (i32.add (call $host_error_len) (i32.const 1)))))
        (i32.const 1)"#;
    guest_with(items, body)
}

/// The response of a host call, or its error.
fn ask(host: &mut Host, names: [&str; 3], payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut operation = Vec::new();
    for name in names {
        operation.push(name.len() as u8);
        operation.extend_from_slice(name.as_bytes());
    }
    let answer = host.plugin.call(&operation, payload.to_vec()).unwrap();
    match answer.split_first() {
        Some((b'1', response)) => Ok(response.to_vec()),
        Some((b'0', error)) => Err(String::from_utf8(error.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn start() -> Host {
    Host::start(&caller())
}

fn error(word: &str) -> Result<Vec<u8>, String> {
    Err(word.to_owned())
}

#[test]
fn shared_data() {
    let host = &mut start();
    let get = ["key", "shared_data", "get"];
    let with_cas = ["key", "shared_data", "get_with_cas"];
    let swap = ["key", "shared_data", "compare_and_swap"];
    assert_eq!(ask(host, get, b""), error("not_found"));
    assert_eq!(ask(host, with_cas, b""), error("not_found"));
    assert_eq!(
        ask(host, ["key", "shared_data", "set"], b"value"),
        Ok(vec![])
    );
    assert_eq!(ask(host, get, b""), Ok(b"value".to_vec()));
    assert_eq!(
        ask(host, with_cas, b""),
        Ok(b"\x01\0\0\0\0\0\0\0value".to_vec())
    );
    assert_eq!(ask(host, swap, b"\x01\0\0\0\0\0\0\0other"), Ok(vec![]));
    assert_eq!(
        ask(host, swap, b"\x01\0\0\0\0\0\0\0third"),
        error("cas_mismatch")
    );
    assert_eq!(ask(host, get, b""), Ok(b"other".to_vec()));
    // 0 is no number of a value, nor is one that does not fit.
    assert_eq!(
        ask(host, swap, b"\0\0\0\0\0\0\0\0third"),
        error("cas_mismatch")
    );
    assert_eq!(
        ask(host, swap, b"\x02\0\0\0\x01\0\0\0third"),
        error("cas_mismatch")
    );
    assert_eq!(ask(host, swap, b"\x02\0\0\0\0\0\0"), error("bad_argument"));
    assert_eq!(
        ask(host, ["key", "shared_data", "set"], b"too much"),
        error("no_room")
    );
    assert_eq!(ask(host, ["key", "shared_data", "set"], b""), Ok(vec![]));
    assert_eq!(ask(host, get, b""), Ok(vec![]), "an empty value is one");
}

#[test]
fn queues_counters_and_variables() {
    let host = &mut start();
    assert_eq!(
        ask(host, ["jobs", "queue", "enqueue"], b"\0one"),
        Ok(vec![])
    );
    assert_eq!(
        ask(host, ["other", "queue", "enqueue"], b"x"),
        error("not_found")
    );
    assert_eq!(host.mock.queued(), [b"\0one"]);

    let increment = ["hits", "counter", "increment"];
    assert_eq!(
        ask(host, increment, &3_u32.to_le_bytes()),
        Ok(3_u64.to_le_bytes().to_vec())
    );
    let large = 1_u64 << 40;
    let sum = large + 3;
    assert_eq!(
        ask(host, increment, &large.to_le_bytes()),
        Ok(sum.to_le_bytes().to_vec())
    );
    assert_eq!(ask(host, increment, b""), error("bad_argument"));
    assert_eq!(ask(host, increment, b"12345"), error("bad_argument"));

    assert_eq!(
        ask(host, ["uri", "variable", "get"], b""),
        error("not_found")
    );
    host.mock.set(b"uri", b"/hello");
    assert_eq!(
        ask(host, ["uri", "variable", "get"], b""),
        Ok(b"/hello".to_vec())
    );
    assert_eq!(ask(host, ["uri", "variable", "set"], b"/other"), Ok(vec![]));
    assert_eq!(host.mock.get(b"uri"), Some(b"/other".to_vec()));
}

#[test]
fn log_lines() {
    let host = &mut start();
    for (name, level) in [
        ("trace", LogLevel::Trace),
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warn", LogLevel::Warn),
        ("error", LogLevel::Error),
    ] {
        assert_eq!(ask(host, ["", "log", name], name.as_bytes()), Ok(vec![]));
        assert_eq!(host.mock.take_logs(), [(level, name.to_owned())]);
    }
    assert_eq!(ask(host, ["", "log", "loud"], b"x"), error("bad_argument"));
    host.mock.be_quiet();
    assert_eq!(ask(host, ["", "log", "info"], b"x"), Ok(vec![]));
}

#[test]
fn unknown_operations() {
    let host = &mut start();
    for names in [
        ["", "", ""],
        ["", "shared_data", ""],
        ["", "shared_data", "delete"],
        ["", "get", "shared_data"],
        ["", "Shared_data", "get"],
    ] {
        assert_eq!(ask(host, names, b""), error("unknown_operation"));
    }
}

#[test]
fn what_is_denied_is_told_and_logged_once() {
    let mut rules = guest_host::CapabilityRules::default();
    rules.deny(b"all").unwrap();
    let capabilities: Capabilities = rules.capabilities().unwrap();
    let config = PluginConfig {
        capabilities,
        ..PluginConfig::default()
    };
    let host = &mut Host::with(&caller(), config);
    for [namespace, operation, family] in [
        ["shared_data", "get", "shared_data"],
        ["queue", "enqueue", "shared_queue"],
        ["counter", "increment", "metrics"],
        ["variable", "set", "properties_write"],
    ] {
        for _ in 0..2 {
            assert_eq!(
                ask(host, ["jobs", namespace, operation], b"1234"),
                error("denied")
            );
        }
        let line = format!("{namespace}.{operation} is denied; allow={family} permits it");
        assert_eq!(host.mock.lines(), [line]);
    }
    for operation in ["get_with_cas", "set", "compare_and_swap"] {
        assert_eq!(
            ask(host, ["a", "shared_data", operation], b"12345678"),
            error("denied")
        );
    }
    assert!(host.mock.lines().is_empty() && host.mock.queued().is_empty());
    // Reading a variable and logging are free.
    host.mock.set(b"uri", b"/");
    assert_eq!(
        ask(host, ["uri", "variable", "get"], b""),
        Ok(b"/".to_vec())
    );
    assert_eq!(ask(host, ["", "log", "info"], b"x"), Ok(vec![]));
}
