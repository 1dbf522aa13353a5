//! What the embedder offers under `extism:host/user`.

use crate::common::guest::{USER, function, texts};
use crate::common::{Host, compile, guest, manifest};
use extism_host::{Capabilities, LogLevel, PluginConfig};
use guest_host::CapabilityRules;

/// A plugin whose functions are these, with the arguments that their input has at fixed places: 4 bytes each.
fn plugin() -> String {
    let argument = |i: usize| format!("(call $part (i64.const {}))", i * 4);
    let part = "(func $part (param $at i64) (result i64) (local $block i64) (local $i i64)
        (local.set $block (call $alloc (i64.const 4)))
        (loop $on
          (call $store_u8 (i64.add (local.get $block) (local.get $i))
            (call $input_load_u8 (i64.add (local.get $at) (local.get $i))))
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br_if $on (i64.lt_u (local.get $i) (i64.const 4))))
        (local.get $block))";
    let mut fields = part.to_owned();
    for (name, params, _) in USER {
        let arguments: String = (0..params.split_whitespace().count())
            .map(argument)
            .collect();
        fields += &function(name, &format!("(call $answer (call ${name} {arguments}))"));
    }
    guest(&fields)
}

fn host() -> Host {
    Host::new(&plugin())
}

#[test]
fn shared_data_is_set_and_got() {
    let mut host = host();
    assert_eq!(host.output("shared_data_get", b"key1"), b"");
    assert_eq!(host.output("shared_data_set", b"key1val1"), b"");
    assert_eq!(host.output("shared_data_get", b"key1"), b"val1");
    let with_cas = [&1u64.to_le_bytes()[..], b"val1"].concat();
    assert_eq!(host.output("shared_data_get_with_cas", b"key1"), with_cas);
    assert_eq!(host.output("shared_data_get_with_cas", b"key2"), b"");
}

#[test]
fn compare_and_swap() {
    let mut host = host();
    host.output("shared_data_set", b"key1val1");
    for (cas, answer) in [
        (9u32, "cas_mismatch"),
        (0, "cas_mismatch"),
        (1, ""),
        (1, "cas_mismatch"),
        (2, ""),
    ] {
        let input = [b"key1val2", &cas.to_le_bytes()[..]].concat();
        assert_eq!(
            host.output("shared_data_compare_and_swap", &input),
            answer.as_bytes(),
            "{cas}"
        );
    }
    assert_eq!(host.output("shared_data_get", b"key1"), b"val2");
}

#[test]
fn queues_counters_and_variables() {
    let mut host = host();
    assert_eq!(host.output("enqueue", b"que1msg1"), b"not_found");
    host.mock
        .0
        .borrow_mut()
        .queues
        .insert(b"que1".to_vec(), Vec::new());
    assert_eq!(host.output("enqueue", b"que1msg1"), b"");
    assert_eq!(host.mock.0.borrow().queues[&b"que1"[..]], [b"msg1"]);
    let by = [b"cnt1", &7u32.to_le_bytes()[..]].concat();
    assert_eq!(host.output("counter_increment", &by), 7u64.to_le_bytes());
    assert_eq!(host.output("counter_increment", &by), 14u64.to_le_bytes());
    assert_eq!(host.output("variable_get", b"uri1"), b"");
    assert_eq!(host.output("variable_set", b"uri1/new"), b"bad_argument");
    host.mock
        .0
        .borrow_mut()
        .variables
        .insert(b"uri1".to_vec(), b"/old".to_vec());
    assert_eq!(host.output("variable_get", b"uri1"), b"/old");
    assert_eq!(host.output("variable_set", b"uri1/new"), b"");
    assert_eq!(host.output("variable_get", b"uri1"), b"/new");
}

#[test]
fn lines_of_a_level_by_its_name() {
    let mut host = host();
    host.mock.log_from(LogLevel::Info);
    assert_eq!(host.output("log", b"infotext"), b"");
    assert_eq!(host.output("log", b"warntext"), b"");
    assert_eq!(host.output("log", b"loudtext"), b"bad_argument");
    assert_eq!(
        host.mock.lines(),
        [
            (LogLevel::Info, "text".into()),
            (LogLevel::Warn, "text".into())
        ]
    );
}

#[test]
fn what_is_denied_does_nothing_and_is_logged_once() {
    let mut rules = CapabilityRules::default();
    rules
        .deny(b"shared_data,shared_queue,metrics,properties_write")
        .unwrap();
    let capabilities: Capabilities = rules.capabilities().unwrap();
    let config = PluginConfig {
        capabilities,
        ..PluginConfig::default()
    };
    let mut host = Host::of(&manifest(&plugin()), config);
    host.mock.log_from(LogLevel::Error);
    host.mock
        .0
        .borrow_mut()
        .queues
        .insert(b"que1".to_vec(), Vec::new());
    host.mock
        .0
        .borrow_mut()
        .variables
        .insert(b"uri1".to_vec(), b"/old".to_vec());
    for _ in 0..2 {
        assert_eq!(host.output("shared_data_set", b"key1val1"), b"denied");
        assert_eq!(host.output("shared_data_get", b"key1"), b"");
        assert_eq!(host.output("enqueue", b"que1msg1"), b"denied");
        assert_eq!(host.output("counter_increment", b"cnt1\x01\0\0\0"), b"");
        assert_eq!(host.output("variable_set", b"uri1/new"), b"denied");
    }
    assert_eq!(
        host.output("variable_get", b"uri1"),
        b"/old",
        "reading is free"
    );
    let lines: Vec<_> = host
        .mock
        .lines()
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    assert_eq!(
        lines,
        [
            "shared_data_set is denied; allow=shared_data permits it",
            "enqueue is denied; allow=shared_queue permits it",
            "counter_increment is denied; allow=metrics permits it",
            "variable_set is denied; allow=properties_write permits it",
        ]
    );
    assert!(host.mock.0.borrow().counters.is_empty());
}

#[test]
fn arguments_stay_the_guests() {
    let (data, [key, value]) = texts(["key", "value"]);
    let body = format!(
        "(local $a i64) (local $b i64) (local.set $a (call $text {key})) (local.set $b (call $text {value}))
         (call $note (call $shared_data_set (local.get $a) (local.get $b)))
         (call $note (call $length (local.get $a))) (call $note (call $length (local.get $b))) (call $notes)"
    );
    let mut host = Host::new(&guest(&(data + &function("f", &body))));
    assert_eq!(host.numbers("f", b""), [0, 3, 5]);
}

#[test]
fn arguments_that_are_none_end_the_call() {
    let mut host = Host::new(&guest(&function(
        "f",
        "(drop (call $variable_get (i64.const 99999)))",
    )));
    let (code, reason) = host.failure("f");
    assert_eq!(code, -1);
    assert!(
        reason.starts_with("there is no block at offset 99999 for variable_get"),
        "{reason}"
    );
}

#[test]
fn functions_that_nobody_has_are_named() {
    let error = |import: &str| {
        let wat = format!("(module {import} (func (export \"f\")))");
        compile(&manifest(&wat)).err().unwrap().to_string()
    };
    assert_eq!(
        error(
            r#"(import "extism:host/user" "teleport" (func (param i64) (result i64))) (import "my" "f" (func))"#
        ),
        "imports extism:host/user.teleport, my.f, which this host does not provide"
    );
    assert_eq!(
        error(r#"(import "extism:host/user" "variable_get" (func (param i32) (result i64)))"#),
        "imports extism:host/user.variable_get as (i32) -> i64, but this host provides it as (i64) -> i64"
    );
    assert_eq!(
        error(r#"(import "extism:host/env" "alloc" (func (param i64)))"#),
        "imports extism:host/env.alloc as (i64) -> (), but this host provides it as (i64) -> i64"
    );
    assert_eq!(
        error(r#"(import "extism:host/env" "load_u8" (func (param i64)))"#),
        "imports extism:host/env.load_u8 as (i64) -> (), but this host provides it as (i64) -> i32"
    );
    assert_eq!(
        error(r#"(import "extism:host/env" "memory" (memory 1))"#),
        "imports extism:host/env.memory, which this host does not provide"
    );
}
