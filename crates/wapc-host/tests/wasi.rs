//! WASI, as far as it depends on the host of this kind.

use wapc_host::{LogLevel, PluginConfig};

use crate::common::{Host, guest_with};

#[test]
fn output_becomes_lines_and_ends_with_the_call() {
    let items =
        r#"(data (i32.const 0) "\10\00\00\00\07\00\00\00") (data (i32.const 16) "one\ntwo")"#;
    let body = "(drop (call $fd_write (i32.add (local.get $operation) (i32.const 1))
            (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.const 0)";
    let mut host = Host::start(&guest_with(items, body));
    for (operation, level) in [("", LogLevel::Info), ("2", LogLevel::Error)] {
        host.call(operation, b"").unwrap_err();
        let lines = [(level, "one".to_owned()), (level, "two".to_owned())];
        assert_eq!(host.mock.take_logs(), lines);
    }
    host.mock.be_quiet();
    host.call("", b"").unwrap_err();
}

#[test]
fn the_environment_is_the_configured_one() {
    let body = "(drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (call $guest_response (i32.const 0) (i32.const 8)) (i32.const 1)";
    let config = PluginConfig {
        env: vec![(b"NAME".to_vec(), b"value".to_vec())],
        ..PluginConfig::default()
    };
    let mut host = Host::with(&guest_with("", body), config);
    assert_eq!(host.call("", b"").unwrap(), [1, 0, 0, 0, 11, 0, 0, 0]);
}

#[test]
fn what_is_denied_answers_notcapable() {
    let mut rules = guest_host::CapabilityRules::default();
    rules.deny(b"random").unwrap();
    let config = PluginConfig {
        capabilities: rules.capabilities().unwrap(),
        ..PluginConfig::default()
    };
    let body = "(i32.store (i32.const 0) (call $random_get (i32.const 16) (i32.const 8)))
        (call $guest_response (i32.const 0) (i32.const 4)) (i32.const 1)";
    let mut host = Host::with(&guest_with("", body), config);
    assert_eq!(host.call("", b"").unwrap(), 76_u32.to_le_bytes());
    assert_eq!(
        host.mock.lines(),
        ["random_get is denied; allow=random permits it"]
    );
}
