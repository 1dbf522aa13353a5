//! Configuration, vars and log lines.

use crate::common::guest::{function, texts};
use crate::common::{Host, guest, manifest};
use extism_host::{LogLevel, PluginConfig};

/// Functions that answer what is at "key", and which sets it; a text "key" at 16, "value" at 19, "\xff" at 24.
fn plugin(fields: &str) -> String {
    let (data, _) = texts(["key", "value"]);
    guest(&format!("{data} (data (i32.const 24) \"\\ff\") {fields}"))
}

const KEY: &str = "(call $text (i32.const 16) (i32.const 3))";
const VALUE: &str = "(call $text (i32.const 19) (i32.const 5))";
const BAD: &str = "(call $text (i32.const 24) (i32.const 1))";

fn input_as_var() -> String {
    function("get", &format!("(call $answer (call $var_get {KEY}))"))
        + &function(
            "set",
            &format!("(call $var_set {KEY} (call $input_offset))"),
        )
        + &function(
            "other",
            "(call $var_set (call $input_offset) (call $input_offset))",
        )
}

#[test]
fn config_is_read_by_its_keys() {
    let mut manifest = manifest(&plugin(&function(
        "f",
        &format!(
            "(local $key i64) (local.set $key {KEY})
             (call $answer (call $config_get (local.get $key)))
             (call $note (call $length (local.get $key)))
             (if (call $input_load_u8 (i64.const 0)) (then (call $notes)))"
        ),
    )));
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert_eq!(host.output("f", b""), b"", "there is none");
    for (value, answered) in [("", ""), ("v", "v"), ("🦀 value", "🦀 value")] {
        manifest.config.insert("key".into(), value.into());
        let mut host = Host::of(&manifest, PluginConfig::default());
        assert_eq!(host.output("f", b""), answered.as_bytes());
        assert_ne!(host.numbers("f", b"x"), [3], "the key is freed");
    }
}

#[test]
fn keys_that_are_none() {
    let fields = [
        ("config", "(drop (call $config_get {}))"),
        ("get", "(drop (call $var_get {}))"),
        ("set", "(call $var_set {} (i64.const 0))"),
    ];
    let arguments = [
        ("null", "(i64.const 0)", None),
        (
            "wrong",
            "(i64.const 12345)",
            Some("there is no block at offset 12345 for "),
        ),
        (
            "inner",
            "(i64.add (i64.const 1) (call $input_offset))",
            Some("there is no block at offset 73 for "),
        ),
        ("binary", BAD, Some(" is not UTF-8")),
    ];
    for (name, body) in fields {
        for (argument, offset, failure) in arguments {
            let mut host = Host::new(&plugin(&function("f", &body.replace("{}", offset))));
            let (code, reason) = host.failure_of("f", b"input");
            match failure {
                None => assert_eq!((code, reason.as_str()), (0, ""), "{name} {argument}"),
                Some(failure) => {
                    assert_eq!(code, -1, "{name} {argument}");
                    assert!(reason.contains(failure), "{name} {argument}: {reason}");
                    assert!(host.plugin.poisoned());
                }
            }
        }
    }
}

#[test]
fn vars_live_on_in_their_instance() {
    let mut host = Host::new(&plugin(&input_as_var()));
    assert_eq!(host.output("get", b""), b"");
    host.output("set", b"one");
    host.output("set", b"another");
    assert_eq!(host.output("get", b""), b"another");
    host.output("other", b"x");
    assert_eq!(host.output("get", b""), b"another");
    let mut other = host.linked.plugin(host.mock.clone());
    assert_eq!(
        crate::common::call(&mut other, "get", b"").output,
        b"",
        "nobody else's"
    );
    host.output("set", b"");
    assert_eq!(host.output("get", b""), b"", "no value: removed");
    host.output("set", b"again");
    host.renew();
    assert_eq!(host.output("get", b""), b"", "and die with it");
}

#[test]
fn both_arguments_of_var_set_are_freed() {
    let body = format!(
        "(local $key i64) (local $value i64) (local.set $key {KEY}) (local.set $value {VALUE})
         (call $var_set (local.get $key) (local.get $value))
         (call $note (call $length (local.get $key))) (call $note (call $length (local.get $value))) (call $notes)"
    );
    let mut host = Host::new(&plugin(&function("f", &body)));
    assert_eq!(host.numbers("f", b""), [0, 0]);
}

#[test]
fn one_block_can_be_key_and_value() {
    let body = format!(
        "(local $a i64) (local.set $a {KEY}) (call $var_set (local.get $a) (local.get $a)) (call $answer (call $var_get {KEY}))"
    );
    let mut host = Host::new(&plugin(&function("f", &body)));
    assert_eq!(host.output("f", b""), b"key");
}

#[test]
fn vars_have_a_budget() {
    let mut manifest = manifest(&plugin(&input_as_var()));
    manifest.max_var_bytes = 3 + 48 + 10;
    let mut host = Host::of(&manifest, PluginConfig::default());
    host.output("set", &[b'x'; 10]);
    let (code, reason) = host.failure_of("other", b"y");
    assert_eq!(code, -1);
    assert!(reason.starts_with("Variable store is full"), "{reason}");
    assert!(host.plugin.poisoned());
    manifest.max_var_bytes = 0;
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert_eq!(host.output("get", b""), b"");
    let (code, reason) = host.failure_of("set", b"y");
    assert_eq!(code, -1);
    assert!(
        reason.starts_with("Vars are disabled by this host"),
        "{reason}"
    );
}

#[test]
fn shared_vars_are_the_embedders() {
    let config = PluginConfig {
        shared_vars: true,
        ..PluginConfig::default()
    };
    let mut host = Host::of(&manifest(&plugin(&input_as_var())), config);
    host.output("set", b"one");
    assert_eq!(host.mock.0.borrow().vars["key"], b"one");
    host.renew();
    assert_eq!(host.output("get", b""), b"one");
    host.output("set", b"");
    assert!(host.mock.0.borrow().vars.is_empty());
    assert_eq!(host.output("get", b""), b"");
}

#[test]
fn lines_are_logged_from_a_level_on() {
    let levels = ["trace", "debug", "info", "warn", "error"];
    let mut body = String::from("(local $a i64)");
    for level in levels {
        body += &format!(
            "(local.set $a {VALUE}) (call $log_{level} (local.get $a)) (call $note (call $length (local.get $a)))"
        );
    }
    body += "(call $note (i64.extend_i32_s (call $get_log_level))) (call $notes)";
    let mut host = Host::new(&plugin(&function("f", &body)));
    assert_eq!(
        host.numbers("f", b""),
        [0, 0, 0, 0, 0, i32::MAX as u64],
        "all are freed"
    );
    assert_eq!(host.mock.lines(), []);
    let all = [
        LogLevel::Trace,
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ];
    for (number, level) in all.into_iter().enumerate() {
        host.mock.0.borrow_mut().lines.clear();
        host.mock.log_from(level);
        assert_eq!(host.numbers("f", b""), [0, 0, 0, 0, 0, number as u64]);
        let expected: Vec<_> = all[number..]
            .iter()
            .map(|level| (*level, "value".into()))
            .collect();
        assert_eq!(host.mock.lines(), expected);
    }
}

#[test]
fn a_line_that_is_not_there_ends_the_call_if_it_were_logged() {
    let fields = function("wrong", "(call $log_info (i64.const 12345))")
        + &function("binary", &format!("(call $log_info {BAD})"))
        + &function("null", "(call $log_info (i64.const 0))");
    let mut host = Host::new(&plugin(&fields));
    assert_eq!(host.call("wrong", b"").code, 0);
    host.mock.log_from(LogLevel::Info);
    host.output("binary", b"");
    host.output("null", b"");
    assert_eq!(
        host.mock.lines(),
        [
            (LogLevel::Info, "\u{fffd}".into()),
            (LogLevel::Info, "".into())
        ]
    );
    let (code, reason) = host.failure("wrong");
    assert_eq!(code, -1);
    assert!(
        reason.starts_with("there is no block at offset 12345 for a log line"),
        "{reason}"
    );
}
