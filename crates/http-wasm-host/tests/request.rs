//! The request's line, and where it comes from.

use crate::common::{Host, next, texts};

/// Asks for a value, with room and without.
fn get(function: &str, len: usize) -> Vec<String> {
    let call = |limit| {
        format!(
            "(i32.store8 (i32.const 4096) (i32.const 63))
            (call $short (call ${function} (i32.const 4096) (i32.const {limit})))
            (call $text (i32.const 4096) (i32.const {len}))"
        )
    };
    let calls = format!("{}{}", call(len), call(len - 1));
    let mut host = Host::start(&next("", &calls, &calls));
    let told = host.request();
    assert_eq!(told[2], format!("#{len}"), "the guest asks again");
    assert!(told[3].starts_with('?'), "nothing is written: {told:?}");
    assert_eq!(host.response(), told, "as before the next handler");
    told[..2].to_vec()
}

#[test]
fn the_method_is_as_it_was_sent() {
    assert_eq!(get("get_method", 3), ["#3", "GET"]);
}

#[test]
fn the_uri_has_its_escapes_and_its_query() {
    assert_eq!(get("get_uri", 10), ["#10", "/a%26b?c=d"]);
}

#[test]
fn the_version_is_that_of_the_client() {
    assert_eq!(get("get_protocol_version", 8), ["#8", "HTTP/2.0"]);
}

#[test]
fn the_client_has_an_address_and_a_port() {
    assert_eq!(get("get_source_addr", 14), ["#14", "127.0.0.1:1234"]);
}

#[test]
fn an_empty_uri_is_a_slash() {
    let uri = "(call $text (i32.const 4096) (call $get_uri (i32.const 4096) (i32.const 100)))";
    let mut host = Host::start(&next("", uri, ""));
    host.mock.0.uri.replace(Vec::new());
    assert_eq!(host.request(), ["/"]);
    let set = "(call $set_uri (i32.const -1) (i32.const 0))";
    let mut host = Host::start(&next("", set, ""));
    host.request();
    assert_eq!(*host.mock.0.uri.borrow(), b"/");
}

#[test]
fn the_guest_sets_the_method() {
    let (data, text) = texts(&["POST", "post"]);
    let set = |text: &str| format!("(call $set_method {text})");
    let mut host = Host::start(&next(&data, &set(&text[0]), ""));
    host.request();
    assert_eq!(*host.mock.0.method.borrow(), b"POST");
    let trap = Host::start(&next(&data, &set(&text[1]), "")).request_trap();
    assert_eq!(trap, "misuse: the method cannot be sent");
    let none = set("(i32.const 0) (i32.const 0)");
    let trap = Host::start(&next("", &none, "")).request_trap();
    assert_eq!(trap, "misuse: the method is empty");
}

#[test]
fn the_guest_sets_the_uri() {
    let (data, text) = texts(&["/disney?name=chip%26dale", "no/path"]);
    let set = |text: &str| format!("(call $set_uri {text})");
    let mut host = Host::start(&next(&data, &set(&text[0]), ""));
    host.request();
    assert_eq!(*host.mock.0.uri.borrow(), b"/disney?name=chip%26dale");
    let trap = Host::start(&next(&data, &set(&text[1]), "")).request_trap();
    assert!(trap.starts_with("misuse: the URI is not"), "{trap}");
}

#[test]
fn the_request_line_is_not_changed_after_the_next_handler() {
    let (data, text) = texts(&["POST", "/"]);
    for (call, what) in [
        (format!("(call $set_method {})", text[0]), "the method"),
        (format!("(call $set_uri {})", text[1]), "the URI"),
    ] {
        // With every feature, too.
        let all = "(drop (call $enable_features (i32.const 7)))";
        let mut host = Host::start(&next(&data, all, &call));
        host.request();
        let late = format!("misuse: {what} is changed after the next handler");
        assert_eq!(host.response_trap(), late);
    }
}
