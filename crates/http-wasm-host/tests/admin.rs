//! Features, the configuration, and the log.

use http_wasm_host::{Features, VmConfig};

use crate::common::{Host, guest_with, next, texts};

#[test]
fn features_of_the_start_hold_for_all_requests() {
    let start = r#"(func (export "_start")
        (call $short (call $enable_features (i32.const 2)))
        (call $short (call $enable_features (i32.const 0xfff4))))"#;
    let mut host = Host::start(&next(start, "", ""));
    assert_eq!(host.mock.told(), ["#2", "#6"]);
    assert_eq!(host.vm.features().bits(), 6);
    for _ in 0..2 {
        host.request();
        assert_eq!(host.vm.request_features(), host.vm.features());
    }
}

#[test]
fn features_of_a_request_hold_for_it_alone() {
    let request = "(if (i32.eqz (global.get $asked)) (then
            (global.set $asked (i32.const 1))
            (call $short (call $enable_features (i32.const 3)))))
        (call $short (call $enable_features (i32.const 0)))";
    let asked = "(global $asked (mut i32) (i32.const 0))";
    let mut host = Host::start(&next(asked, request, ""));
    assert_eq!(host.request(), ["#3", "#3"]);
    assert!(host.vm.request_features().has(Features::BUFFER_RESPONSE));
    assert_eq!(host.vm.features(), Features::default());
    host.response();
    assert_eq!(host.request(), ["#0"]);
}

#[test]
fn a_response_that_is_there_does_not_wait_any_more() {
    let response = "(call $short (call $enable_features (i32.const 7)))
        (call $short (call $get_status_code))";
    let mut host = Host::start(&next("", "", response));
    host.request();
    let trap = host.response_trap();
    assert!(
        trap.contains("without the feature buffer_response"),
        "{trap}"
    );
    assert_eq!(host.mock.told(), ["#5"]);
}

#[test]
fn the_configuration_is_there_at_any_time_if_it_fits() {
    let get = "(call $short (call $get_config (i32.const 4096) (i32.const 4)))
        (call $text (i32.const 4096) (i32.const 4))
        (call $short (call $get_config (i32.const 4096) (i32.const 5)))
        (call $text (i32.const 4096) (i32.const 5))";
    let start = format!(r#"(func (export "_start") {get})"#);
    let config = VmConfig {
        configuration: (*b"hello").into(),
        ..VmConfig::default()
    };
    let mut host = Host::with(&next(&start, get, get), config);
    let wanted = ["#5", "....", "#5", "hello"];
    assert_eq!(host.mock.told(), wanted);
    let again = ["#5", "hell", "#5", "hello"];
    assert_eq!(host.request(), again);
    assert_eq!(host.response(), again);
}

#[test]
fn no_configuration_is_empty_wherever_the_guest_wants_it() {
    let get = "(call $short (call $get_config (i32.const -1) (i32.const 0)))";
    let mut host = Host::start(&next("", get, ""));
    assert_eq!(host.request(), ["#0"]);
}

#[test]
fn a_line_is_written_at_its_level() {
    let (data, text) = texts(&["hello"]);
    let line = |level| format!("(call $log (i32.const {level}) {})", text[0]);
    let lines: String = [-1, 0, 1, 2, 3, 4, -2].map(line).concat();
    let mut host = Host::start(&next(&data, &lines, ""));
    // Debug is off here, and above error nothing is written.
    assert_eq!(host.request(), ["hello", "hello", "hello"]);
}

#[test]
fn the_guest_is_told_which_levels_are_written() {
    let ask = |level| format!("(call $short (call $log_enabled (i32.const {level})))");
    let asked: String = [-1, 0, 1, 2, 3, 100, -100].map(ask).concat();
    let mut host = Host::start(&next("", &asked, ""));
    assert_eq!(host.request(), ["#0", "#1", "#1", "#1", "#0", "#0", "#0"]);
}

#[test]
fn what_it_prints_goes_to_the_log_of_the_request() {
    let (data, text) = texts(&["one\\ntwo"]);
    assert_eq!(text[0], "(i32.const 1024) (i32.const 8)");
    let print = "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 7))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))";
    let mut host = Host::start(&guest_with(&data, &format!("{print} (i64.const 1)"), ""));
    assert_eq!(host.request(), ["one", "two"]);
}
