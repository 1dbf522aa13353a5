//! The bodies of request and response.

use http_wasm_host::BodyKind::{Request, Response};

use crate::common::{Host, next, texts};

/// Reads so many bytes, and tells them, and whether that was the end.
fn read(kind: u32, limit: u32) -> String {
    format!(
        "(call $list (call $read_body (i32.const {kind}) (i32.const 4096) (i32.const {limit})))"
    )
}

fn write(kind: u32, text: &str) -> String {
    format!("(call $write_body (i32.const {kind}) {text})")
}

const ENABLE: &str = r#"(func (export "_start") (drop (call $enable_features (i32.const 3))))"#;

#[test]
fn the_end_is_told_by_a_buffer_that_is_not_full() {
    let reads = [read(0, 4), read(0, 4), read(0, 4)].concat();
    let mut host = Host::start(&next(ENABLE, &reads, ""));
    host.mock.body(Request, b"12345678");
    assert_eq!(host.request(), ["#0", "1234", "#0", "5678", "#1", ""]);
    host.mock.body(Request, b"12345");
    assert_eq!(host.request(), ["#0", "1234", "#1", "5", "#1", ""]);
    host.mock.body(Request, b"");
    assert_eq!(host.request(), ["#1", "", "#1", "", "#1", ""]);
}

#[test]
fn what_is_read_of_a_request_is_gone_without_the_feature() {
    let mut host = Host::start(&next("", &read(0, 3), ""));
    host.mock.body(Request, b"12345");
    host.request();
    assert_eq!(host.vm.eaten(), 3);
    let mut host = Host::start(&next(ENABLE, &read(0, 3), ""));
    host.mock.body(Request, b"12345");
    host.request();
    assert_eq!(host.vm.eaten(), 0);
}

#[test]
fn a_body_is_written_anew_and_then_added_to() {
    let (data, text) = texts(&["one ", "two"]);
    let writes = [write(0, &text[0]), write(0, &text[1]), read(0, 9)].concat();
    let mut host = Host::start(&next(&(data + ENABLE), &writes, ""));
    host.mock.body(Request, b"old");
    // What has come is there to be read.
    assert_eq!(host.request(), ["#1", "old"]);
    assert_eq!(host.vm.take_body(Request), Some(b"one two".to_vec()));
    assert_eq!(host.vm.take_body(Request), None);
}

#[test]
fn a_body_can_be_written_empty() {
    let mut host = Host::start(&next("", &write(0, "(i32.const 0) (i32.const 0)"), ""));
    host.request();
    assert_eq!(host.vm.take_body(Request), Some(Vec::new()));
}

#[test]
fn before_the_next_handler_the_response_has_what_the_guest_has_written() {
    let (data, text) = texts(&["before", "|"]);
    let writes = [
        write(1, &text[0]),
        write(1, &text[1]),
        read(1, 4),
        read(1, 4),
    ]
    .concat();
    let mut host = Host::start(&next(&data, &writes, ""));
    host.mock.body(Response, b"of no response yet");
    assert_eq!(host.request(), ["#0", "befo", "#1", "re|"]);
    assert_eq!(host.vm.take_answer().body, b"before|");
    assert_eq!(host.vm.take_body(Response), None);
}

#[test]
fn the_response_is_read_and_replaced_with_the_feature() {
    let (data, text) = texts(&["new"]);
    let response = [read(1, 100), write(1, &text[0])].concat();
    let mut host = Host::start(&next(&(data + ENABLE), &read(1, 1), &response));
    host.mock.body(Response, b"old");
    assert_eq!(host.request(), ["#1", ""]);
    assert_eq!(host.response(), ["#1", "old"]);
    assert_eq!(host.vm.take_body(Response), Some(b"new".to_vec()));
}

#[test]
fn the_response_is_not_touched_without_the_feature() {
    let (data, text) = texts(&["new"]);
    for call in [read(1, 100), write(1, &text[0])] {
        let mut host = Host::start(&next(&data, "", &call));
        host.request();
        assert_eq!(
            host.response_trap(),
            "misuse: the response's body is used after the next handler, without the feature buffer_response"
        );
    }
}

#[test]
fn after_the_next_handler_the_request_s_body_is_at_its_end() {
    let mut host = Host::start(&next(ENABLE, "", &read(0, 10)));
    host.mock.body(Request, b"12345");
    host.request();
    assert_eq!(host.response(), ["#1", ""]);
    let mut host = Host::start(&next("", "", &read(0, 10)));
    host.request();
    let trap = host.response_trap();
    assert!(
        trap.ends_with("without the feature buffer_request"),
        "{trap}"
    );
    let mut host = Host::start(&next(ENABLE, "", &write(0, "(i32.const 0) (i32.const 1)")));
    host.request();
    assert_eq!(
        host.response_trap(),
        "misuse: the request's body is changed after the next handler"
    );
}

#[test]
fn a_body_is_read_into_a_buffer_and_has_a_kind() {
    for (call, wanted) in [
        (read(0, 0), "misuse: a body is read with a limit of 0 bytes"),
        (read(1, 0), "misuse: a body is read with a limit of 0 bytes"),
        (read(2, 1), "misuse: there is no kind 2 of bodies"),
        (
            write(3, "(i32.const 0) (i32.const 1)"),
            "misuse: there is no kind 3 of bodies",
        ),
    ] {
        assert_eq!(Host::start(&next("", &call, "")).request_trap(), wanted);
    }
}

#[test]
fn bodies_over_the_proxy_s_limit_are_not_written() {
    let (data, text) = texts(&["12345"]);
    for kind in [0, 1] {
        let writes = [write(kind, &text[0]), write(kind, &text[0])].concat();
        let mut host = Host::start(&next(&data, &writes, ""));
        host.mock.0.most.set(5);
        host.request();
        let written = match kind {
            0 => host.vm.take_body(Request).unwrap(),
            _ => host.vm.take_answer().body,
        };
        assert_eq!(written, b"12345");
    }
}
