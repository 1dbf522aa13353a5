//! Headers and trailers.

use http_wasm_host::HeaderKind::{Request, Response, ResponseTrailers};

use crate::common::{Host, next, texts};

const NAMES: &str =
    "(call $list (call $get_header_names (i32.const 0) (i32.const 4096) (i32.const 100)))";

#[test]
fn names_are_in_lower_case_sorted_and_each_once() {
    let mut host = Host::start(&next("", NAMES, ""));
    for (name, value) in [
        ("b-Header", "1"),
        ("Host", "x"),
        ("a-header", "2"),
        ("B-header", ""),
    ] {
        host.mock.add(Request, name, value);
    }
    assert_eq!(host.request(), ["#3", "a-header.b-header.host."]);
    host.mock.0.headers[0].take();
    assert_eq!(host.request(), ["#0", ""]);
}

#[test]
fn names_without_room_are_counted_alone() {
    let names = "(call $number (call $get_header_names (i32.const 0) (i32.const -1) (i32.const 3)))
        (call $number (call $get_header_names (i32.const 0) (i32.const 4096) (i32.const 4)))";
    let mut host = Host::start(&next("", names, ""));
    host.mock.add(Request, "abc", "");
    let one = (1_i64 << 32) + 4;
    assert_eq!(host.request(), [format!("#{one}"), format!("#{one}")]);
}

fn values(kind: u32, name: &str) -> String {
    format!(
        "(call $list (call $get_header_values (i32.const {kind}) {name} (i32.const 4096) (i32.const 100)))"
    )
}

#[test]
fn values_are_those_of_all_headers_of_a_name() {
    let (data, name) = texts(&["MULTI", "none", "empty"]);
    let all: String = name.iter().map(|name| values(0, name)).collect();
    let mut host = Host::start(&next(&data, &all, ""));
    host.mock.add(Request, "Multi", "one");
    host.mock.add(Request, "multi", "two");
    host.mock.add(Request, "empty", "");
    assert_eq!(host.request(), ["#2", "one.two.", "#0", "", "#1", "."]);
}

#[test]
fn values_without_room_are_counted_alone() {
    let (data, name) = texts(&["a"]);
    let call = format!(
        "(call $number (call $get_header_values (i32.const 0) {} (i32.const -1) (i32.const 3)))",
        name[0]
    );
    let mut host = Host::start(&next(&data, &call, ""));
    host.mock.add(Request, "a", "123");
    assert_eq!(host.request(), [format!("#{}", (1_i64 << 32) + 4)]);
}

fn change(function: &str, kind: u32, name: &str, value: &str) -> String {
    format!("(call ${function} (i32.const {kind}) {name} {value})")
}

#[test]
fn a_header_is_set_in_the_place_of_all_of_its_name() {
    let (data, text) = texts(&["Name", "value"]);
    let set = change("set_header_value", 0, &text[0], &text[1]);
    let mut host = Host::start(&next(&data, &set, ""));
    host.mock.add(Request, "name", "1");
    host.mock.add(Request, "NAME", "2");
    host.request();
    assert_eq!(host.mock.headers(Request), ["Name: value"]);
}

#[test]
fn a_header_is_added_behind_others_of_its_name() {
    let (data, text) = texts(&["name", "value"]);
    let add = change("add_header_value", 0, &text[0], &text[1]);
    let mut host = Host::start(&next(&data, &add, ""));
    host.mock.add(Request, "name", "1");
    host.request();
    assert_eq!(host.mock.headers(Request), ["name: 1", "name: value"]);
}

#[test]
fn all_headers_of_a_name_are_removed() {
    let (data, text) = texts(&["name", "none"]);
    let remove: String = text
        .iter()
        .map(|name| change("remove_header", 0, name, ""))
        .collect();
    let mut host = Host::start(&next(&data, &remove, ""));
    host.mock.add(Request, "Name", "1");
    host.mock.add(Request, "other", "2");
    host.mock.add(Request, "name", "3");
    host.request();
    assert_eq!(host.mock.headers(Request), ["other: 2"]);
}

#[test]
fn headers_of_the_response_are_kept_before_the_next_handler() {
    let (data, text) = texts(&["Name", "value", "other"]);
    let request = [
        change("add_header_value", 1, &text[0], &text[1]),
        change("add_header_value", 1, &text[0], &text[2]),
        values(1, &text[0]),
        change("set_header_value", 1, &text[0], &text[1]),
        change("set_header_value", 1, &text[2], &text[1]),
        values(1, &text[0]),
        "(call $list (call $get_header_names (i32.const 1) (i32.const 4096) (i32.const 100)))"
            .into(),
        change("remove_header", 1, &text[2], ""),
    ]
    .concat();
    let mut host = Host::start(&next(&data, &request, ""));
    host.mock.add(Response, "name", "of no response yet");
    let told = ["#2", "value.other.", "#1", "value.", "#2", "name.other."];
    assert_eq!(host.request(), told);
    let answer = host.vm.take_answer();
    assert_eq!(answer.headers, [(b"Name".to_vec(), b"value".to_vec())]);
    assert_eq!(host.mock.headers(Response).len(), 1);
}

#[test]
fn headers_of_the_response_are_read_after_the_next_handler() {
    let (data, text) = texts(&["name"]);
    let names =
        "(call $list (call $get_header_names (i32.const 1) (i32.const 4096) (i32.const 100)))";
    let read = values(1, &text[0]) + names;
    let mut host = Host::start(&next(&data, "", &read));
    host.mock.add(Response, "name", "1");
    host.request();
    assert_eq!(host.response(), ["#1", "1.", "#1", "name."]);
}

#[test]
fn headers_of_the_response_are_changed_after_it_with_the_feature_alone() {
    let (data, text) = texts(&["name", "value"]);
    for kind in [1, 3] {
        for call in [
            change("set_header_value", kind, &text[0], &text[1]),
            change("add_header_value", kind, &text[0], &text[1]),
            change("remove_header", kind, &text[0], ""),
        ] {
            let mut host = Host::start(&next(&data, "", &call));
            host.request();
            let trap = host.response_trap();
            assert!(
                trap.ends_with("without the feature buffer_response"),
                "{trap}"
            );
            let asks = "(drop (call $enable_features (i32.const 2)))";
            let mut host = Host::start(&next(&data, asks, &call));
            host.request();
            host.response();
            let kind = if kind == 1 {
                Response
            } else {
                ResponseTrailers
            };
            let left = usize::from(!call.contains("remove"));
            assert_eq!(host.mock.headers(kind).len(), left);
        }
    }
}

#[test]
fn headers_of_the_request_are_not_changed_after_the_next_handler() {
    let (data, text) = texts(&["name", "value"]);
    for kind in [0, 2] {
        for call in [
            change("set_header_value", kind, &text[0], &text[1]),
            change("add_header_value", kind, &text[0], &text[1]),
            change("remove_header", kind, &text[0], ""),
        ] {
            let all = "(drop (call $enable_features (i32.const 7)))";
            let mut host = Host::start(&next(&data, all, &call));
            host.request();
            let trap = host.response_trap();
            assert!(
                trap.ends_with("is changed after the next handler"),
                "{trap}"
            );
        }
    }
}

#[test]
fn a_header_has_a_name_and_a_kind() {
    let (data, text) = texts(&["name"]);
    let none = "(i32.const 0) (i32.const 0)";
    for (call, wanted) in [
        (values(0, none), "misuse: a header's name is empty"),
        (
            change("set_header_value", 0, none, &text[0]),
            "misuse: a header's name is empty",
        ),
        (
            change("add_header_value", 0, none, &text[0]),
            "misuse: a header's name is empty",
        ),
        (
            change("remove_header", 0, none, ""),
            "misuse: a header's name is empty",
        ),
        (values(4, &text[0]), "misuse: there is no kind 4 of headers"),
        (
            change("remove_header", 5, &text[0], ""),
            "misuse: there is no kind 5 of headers",
        ),
        (
            "(drop (call $get_header_names (i32.const -1) (i32.const 0) (i32.const 0)))".into(),
            "misuse: there is no kind 4294967295 of headers",
        ),
    ] {
        assert_eq!(Host::start(&next(&data, &call, "")).request_trap(), wanted);
    }
}

#[test]
fn headers_over_the_proxy_s_limit_are_not_kept() {
    let (data, text) = texts(&["name", "value"]);
    let add = change("add_header_value", 1, &text[0], &text[1]);
    let mut host = Host::start(&next(&data, &add, ""));
    host.mock.0.most.set(8);
    host.request();
    assert!(host.vm.take_answer().is_empty());
}
