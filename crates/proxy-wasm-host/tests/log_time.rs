//! Log, clock and ticks.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Guest, Host, MockStream, run, statuses};
use proxy_wasm_host::LogLevel;

const OK: u32 = 0;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;

#[test]
fn every_level() {
    let guest = Guest::new().request_headers(
        r"(drop (call $proxy_log #0 {trace}))
          (drop (call $proxy_log #1 {debug}))
          (drop (call $proxy_log #2 {info}))
          (drop (call $proxy_log #3 {warn}))
          (drop (call $proxy_log #4 {error\n}))
          (drop (call $proxy_log #5 {critical}))
          (drop (call $proxy_log #2 #0 #0))",
    );
    let mut host = Host::start(&guest.wat());
    host.proxy.set_level(LogLevel::Trace);
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, false).unwrap();
    let entry = |level, text: &str| (true, level, text.to_owned());
    assert_eq!(
        host.proxy.take_entries(),
        [
            entry(LogLevel::Trace, "trace"),
            entry(LogLevel::Debug, "debug"),
            entry(LogLevel::Info, "info"),
            entry(LogLevel::Warn, "warn"),
            entry(LogLevel::Error, "error\n"),
            entry(LogLevel::Critical, "critical"),
            entry(LogLevel::Info, ""),
        ]
    );
}

#[test]
fn a_message_is_read_only_if_its_level_is_written() {
    let (statuses, _) = run(
        "(call $note (call $proxy_log #0 #-1 #-1))
         (call $note (call $proxy_log #2 #-1 #-1))
         (call $note (call $proxy_log #2 #65536 #1))
         (call $note (call $proxy_log #6 {x}))
         (call $note (call $proxy_log #-1 {x}))",
        &MockStream::default(),
    );
    assert_eq!(
        statuses,
        [
            OK,
            INVALID_MEMORY,
            INVALID_MEMORY,
            BAD_ARGUMENT,
            BAD_ARGUMENT
        ]
    );
}

#[test]
fn messages_of_a_root_context_have_no_stream() {
    let guest = Guest::new().callback(
        "on_configure",
        2,
        true,
        "(drop (call $proxy_log #2 {configured})) #1",
    );
    let host = Host::start(&guest.wat());
    let entry = (false, LogLevel::Info, "configured".to_owned());
    assert_eq!(host.proxy.take_entries(), [entry]);
}

#[test]
fn the_level_and_the_time_are_told() {
    let now = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos()
    };
    let before = now();
    let (statuses, said) = run(
        "(call $note (call $proxy_get_log_level #16)) (call $say_number_at #16)
         (call $note (call $proxy_get_current_time_nanoseconds #24))
         (call $say_number (i64.load #24))
         (call $note (call $proxy_get_log_level #65533))
         (call $note (call $proxy_get_current_time_nanoseconds #65529))",
        &MockStream::default(),
    );
    assert_eq!(statuses, [OK, OK, INVALID_MEMORY, INVALID_MEMORY]);
    assert_eq!(said[0], (LogLevel::Debug as u32).to_string());
    let time: u128 = said[1].parse().unwrap();
    assert!((before..=now()).contains(&time), "{time}");
}

#[test]
fn a_tick_period_is_the_root_context_s() {
    let set = "(call $note (call $proxy_set_tick_period_milliseconds #250))";
    let guest = Guest::new()
        .callback("on_configure", 2, true, &format!("{set} #1"))
        .callback("on_tick", 1, false, "(drop (call $proxy_log #2 {tick}))")
        .request_headers(set);
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, false).unwrap();
    assert_eq!(statuses(host.logs()).0, [OK, OK]);
    let root = host.root;
    assert_eq!(host.proxy.take_ticks(), [(root, 250), (root, 250)]);
    host.vm.on_tick(root).unwrap();
    assert_eq!(host.logs(), ["tick"]);
    assert!(host.vm.on_tick(id).is_err(), "a stream has no ticks");
}
