//! What calls leave of the process's memory. Nothing else is in this program, for all of it is measured.

mod common;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::guest::function;
use common::{Host, Task, guest, manifest};
use extism_host::PluginConfig;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kilobytes of memory that this process has in use.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_thousand_calls_leave_memory_flat() {
    let _alone = alone();
    let body = "(local $i i32) (local $a i64)
        (local.set $a (call $alloc (i64.const 1000)))
        (call $var_set (call $text (i32.const 16) (i32.const 3)) (call $text (i32.const 16) (i32.const 3)))
        (drop (call $var_get (call $text (i32.const 16) (i32.const 3))))
        (drop (call $config_get (call $text (i32.const 16) (i32.const 3))))
        (call $log_info (call $text (i32.const 16) (i32.const 3)))
        (drop (call $alloc (i64.const 100)))
        (call $output_set (local.get $a) (i64.const 1000))";
    let mut host = Host::new(&guest(&function("f", body)));
    let function = host.linked.program().function("f").unwrap();
    let mut calls = |count: usize| {
        for call in 0..count {
            let input = [b'x'; 300];
            let mut outcome = host.plugin.call_now(function, &input[..call % 300]);
            assert_eq!((outcome.code(), outcome.output().len()), (0, 1000));
        }
    };
    calls(10_000);
    let before = resident();
    calls(100_000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 2048, "{grown} kB");
}

#[test]
fn large_calls_give_their_memory_back() {
    let _alone = alone();
    let mut host = Host::new(&guest(&function(
        "f",
        "(call $output_set (call $alloc (i64.const 50000000)) (i64.const 50000000))",
    )));
    let input = vec![b'x'; 50_000_000];
    host.output("f", b"");
    let before = resident();
    for _ in 0..5 {
        assert_eq!(host.output("f", &input).len(), 50_000_000);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 20_000, "{grown} kB");
}

#[test]
fn calls_that_wait_take_little() {
    const PLUGINS: usize = 500;
    let _alone = alone();
    let mut manifest = manifest(&guest(&function(
        "f",
        "(drop (call $http_request (call $input_offset) (i64.const 0)))",
    )));
    manifest.allow_host("a.test").unwrap();
    let host = Host::of(&manifest, PluginConfig::default());
    let function = host.linked.program().function("f").unwrap();
    let mut plugins: Vec<_> = (0..PLUGINS)
        .map(|_| {
            let mut plugin = host.linked.plugin(host.mock.clone());
            plugin.start_now().unwrap();
            plugin
        })
        .collect();
    let before = resident();
    let mut tasks: Vec<_> = plugins
        .iter_mut()
        .map(|plugin| {
            Task::new(async move {
                plugin
                    .call(function, &br#"{"url":"http://a.test"}"#[..])
                    .await
                    .code()
            })
        })
        .collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    let each = resident().saturating_sub(before) / PLUGINS as u64;
    println!("{each} kB each");
    assert!(each < 64, "{each} kB each");
}
