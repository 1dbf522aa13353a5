//! A plugin made with the Rust PDK, as it comes out of the compiler.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::task::Poll;

use crate::common::{Host, Mock, Task, call};
use extism_host::{Failure, LogLevel, Manifest, PluginConfig};

/// The plugin; built by the first test that asks.
fn plugin() -> Manifest {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let script = root.join("scripts/filters");
        let built = Command::new(script).arg("extism_pdk_test").status();
        assert!(built.unwrap().success(), "scripts/filters extism_pdk_test");
        std::fs::read(root.join("target/filters/extism_pdk_test.wasm")).unwrap()
    });
    Manifest::of_module(bytes.clone())
}

fn host() -> Host {
    Host::of(&plugin(), PluginConfig::default())
}

#[test]
fn it_greets() {
    let mut host = host();
    for name in ["John Doe", "", "🦀", &"x".repeat(100_000)] {
        let expected = format!("{{\"message\":\"🦀 Hello {name}\"}}");
        assert_eq!(host.output("hello", name.as_bytes()), expected.as_bytes());
    }
}

#[test]
fn it_counts_with_config_vars_and_log() {
    let mut manifest = plugin();
    let mut host = Host::of(&manifest, PluginConfig::default());
    host.mock.log_from(LogLevel::Info);
    let vowels = "\"vowels\":\"aeiouAEIOU\"}";
    assert_eq!(
        String::from_utf8(host.output("count_vowels", b"Hello, World")).unwrap(),
        format!("{{\"count\":3,\"total\":3,{vowels}")
    );
    assert_eq!(
        String::from_utf8(host.output("count_vowels", b"aaa")).unwrap(),
        format!("{{\"count\":3,\"total\":6,{vowels}")
    );
    let line = |text: &str| (LogLevel::Info, text.to_owned());
    let lines = host.mock.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].1.contains("3 vowels"),
        "{:?} {:?}",
        lines[0],
        line("")
    );
    manifest.config.insert("vowels".into(), "x".into());
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert_eq!(
        host.output("count_vowels", b"xoxo"),
        b"{\"count\":2,\"total\":2,\"vowels\":\"x\"}"
    );
}

#[test]
fn it_fails_in_every_way() {
    let mut host = host();
    let came = host.call("fail", b"my message");
    assert_eq!(came.code, -1);
    assert_eq!(came.failure.unwrap().to_string(), "my message");
    let came = host.call("fail_with_code", b"my message");
    assert_eq!(came.code, 7);
    assert_eq!(came.failure.unwrap().to_string(), "my message");
    let came = host.call("hello", b"\xff");
    assert_eq!(came.code, -1);
    let message = came.failure.unwrap().to_string();
    assert!(message.starts_with("invalid utf-8 sequence"), "{message}");
    assert!(!host.plugin.poisoned());
    let came = host.call("panic", b"");
    assert!(host.plugin.poisoned());
    assert_eq!(came.code, 134, "{:?}", came.failure);
    assert!(matches!(came.failure, Some(Failure::Trap(_))));
}

#[test]
fn bytes_go_in_and_out() {
    let mut host = host();
    for size in [0, 1, 7, 8, 9, 1000, 1 << 20, 32 << 20] {
        let input: Vec<u8> = (0..size).map(|i| (i ^ (i >> 8)) as u8).collect();
        assert!(host.output("echo", &input) == input, "{size}");
    }
}

#[test]
fn it_shares_what_the_embedder_offers() {
    let mut host = host();
    host.mock
        .0
        .borrow_mut()
        .variables
        .insert(b"uri".to_vec(), b"/path".to_vec());
    let input = br#"{"key":"k","value":"v"}"#;
    assert_eq!(host.output("share", input), b"||2|/path");
    assert_eq!(host.output("share", input), b"v||4|/path");
}

#[test]
fn it_calls_out() {
    let mut manifest = plugin();
    manifest.allow_host("*.test").unwrap();
    let mut host = Host::of(&manifest, PluginConfig::default());
    let fetch = host.linked.program().function("fetch").unwrap();
    let mut task = Task::new(async {
        let mut outcome = host.plugin.call(fetch, &b"http://a.test/x"[..]).await;
        (outcome.code(), outcome.output().to_vec())
    });
    assert!(task.poll().is_pending());
    host.mock.respond_with(418, b"short and stout");
    assert_eq!(
        task.poll(),
        Poll::Ready((0, b"418: short and stout".to_vec()))
    );
    drop(task);
    let state = host.mock.0.borrow();
    assert_eq!(
        state.requests[0].request.headers()["x-plugin"],
        "extism_pdk_test"
    );
}

#[test]
fn it_starts_from_a_snapshot() {
    let mut host = Host::with(&plugin(), PluginConfig::default(), true);
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(Mock::default()).unwrap();
    for _ in 0..10 {
        let output = call(&mut plugin, "count_vowels", b"aaa").output;
        assert!(output.starts_with(b"{\"count\":3,\"total\":3,"));
        assert!(snapshot.rewind(&mut plugin, Mock::default()));
    }
}

#[test]
fn memory_that_is_not_there_is_told_by_the_pdk() {
    let mut manifest = plugin();
    manifest.max_pages = Some(100);
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert_eq!(host.output("take", b"1000000"), b"\x40\x42\x0f\0\0\0\0\0");
    let came = host.call("take", b"20000000");
    assert_eq!(came.code, -1);
    assert!(host.plugin.poisoned());
    assert!(
        matches!(came.failure, Some(Failure::OutOfMemory(_))),
        "{:?}",
        came.failure
    );
}
