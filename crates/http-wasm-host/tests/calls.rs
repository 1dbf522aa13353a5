//! The two calls of a request.

use http_wasm_host::{Answer, CallError, Next};

use crate::common::{Host, guest_with, next, texts};

#[test]
fn the_context_comes_back_with_the_response() {
    let request = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i64.or (i64.shl (i64.extend_i32_u (global.get $count)) (i64.const 32)) (i64.const 1))";
    let response = "(call $short (local.get $context)) (call $short (local.get $failed))";
    let wat = guest_with(
        "(global $count (mut i32) (i32.const 41))",
        request,
        response,
    );
    let mut host = Host::start(&wat);
    for context in [42, 43] {
        assert_eq!(host.try_request(), Ok(Next::Handler));
        assert_eq!(host.response(), [format!("#{context}"), "#0".into()]);
    }
    host.try_request().unwrap();
    host.vm.handle_response(true).unwrap();
    assert_eq!(host.mock.told(), ["#44", "#1"]);
}

#[test]
fn any_number_but_0_is_next() {
    for (answer, wanted) in [
        ("1", Next::Handler),
        ("0xffffffff", Next::Handler),
        ("0x100000000", Next::Stop),
        ("0", Next::Stop),
    ] {
        let mut host = Host::start(&guest_with("", &format!("(i64.const {answer})"), ""));
        assert_eq!(host.try_request(), Ok(wanted), "{answer}");
    }
}

#[test]
fn a_guest_that_stops_has_answered() {
    let (data, text) = texts(&["name", "value"]);
    let request = format!(
        "(call $set_status_code (i32.const 401))
        (call $set_header_value (i32.const 1) {} {})
        (call $write_body (i32.const 1) {}) (i64.const 0)",
        text[0], text[1], text[1]
    );
    let mut host = Host::start(&guest_with(&data, &request, ""));
    assert_eq!(host.try_request(), Ok(Next::Stop));
    let wanted = Answer {
        status: Some(401),
        headers: vec![(b"name".to_vec(), b"value".to_vec())],
        body: b"value".to_vec(),
    };
    assert_eq!(host.vm.take_answer(), wanted);
    host.vm.end();
    assert_eq!(host.vm.handle_response(false), Err(CallError::NoRequest));
}

#[test]
fn a_request_begins_with_nothing_of_the_one_before() {
    let (data, text) = texts(&["value"]);
    let request = format!(
        "(if (i32.eqz (global.get $seen)) (then
            (global.set $seen (i32.const 1))
            (call $set_status_code (i32.const 401))
            (call $write_body (i32.const 0) {text})
            (call $write_body (i32.const 1) {text})
            (drop (call $read_body (i32.const 0) (i32.const 0) (i32.const 1)))))
        (call $short (call $get_status_code))
        (call $list (call $read_body (i32.const 0) (i32.const 4096) (i32.const 9)))",
        text = text[0]
    );
    let seen = "(global $seen (mut i32) (i32.const 0))";
    let mut host = Host::start(&next(&(data + seen), &request, ""));
    host.mock.body(http_wasm_host::BodyKind::Request, b"12");
    assert_eq!(host.request(), ["#401", "#1", "2"]);
    assert_eq!(host.request(), ["#200", "#1", "12"]);
    assert!(host.vm.take_answer().is_empty());
    assert_eq!(host.vm.take_body(http_wasm_host::BodyKind::Request), None);
}

#[test]
fn nothing_is_asked_of_a_request_in_the_start() {
    for call in [
        "(drop (call $get_method (i32.const 0) (i32.const 9)))",
        "(call $set_method (i32.const 0) (i32.const 1))",
        "(drop (call $get_uri (i32.const 0) (i32.const 9)))",
        "(call $set_uri (i32.const 0) (i32.const 0))",
        "(drop (call $get_protocol_version (i32.const 0) (i32.const 9)))",
        "(drop (call $get_source_addr (i32.const 0) (i32.const 9)))",
        "(drop (call $get_header_names (i32.const 0) (i32.const 0) (i32.const 9)))",
        "(drop (call $get_header_values (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 9)))",
        "(call $set_header_value (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))",
        "(call $add_header_value (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))",
        "(call $remove_header (i32.const 0) (i32.const 0) (i32.const 1))",
        "(drop (call $read_body (i32.const 0) (i32.const 0) (i32.const 9)))",
        "(call $write_body (i32.const 1) (i32.const 0) (i32.const 0))",
        "(drop (call $get_status_code))",
        "(call $set_status_code (i32.const 200))",
    ] {
        let wat = next(&format!(r#"(func (export "_start") {call})"#), "", "");
        let mock = crate::common::Mock::default();
        let error = crate::common::try_start(&wat, &mock, Default::default());
        let error = error.err().expect(call).to_string();
        assert!(
            error.starts_with("_start trapped: misuse: no request is being served"),
            "{error}"
        );
    }
}

#[test]
fn nothing_is_called_after_a_trap() {
    let mut host = Host::start(&next("", "", "(unreachable)"));
    host.request();
    let trap = host.response_trap();
    assert!(trap.starts_with("wasm trap: wasm `unreachable`"), "{trap}");
    assert_eq!(host.try_request(), Err(CallError::Poisoned));
    assert_eq!(host.vm.handle_response(false), Err(CallError::Poisoned));
}
