//! Foreign functions, and the callback of the same name.

use std::io::Write;

use crate::common::guest::bytes;
use crate::common::{Guest, Host, MockStream, run, run_guest, statuses};
use flate2::{Compression, write::ZlibEncoder};
use proxy_wasm_host::ContextId;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const SERIALIZATION_FAILURE: u32 = 3;
const INVALID_MEMORY: u32 = 6;
const INTERNAL_FAILURE: u32 = 10;

/// Calls a function and says its result.
fn call(name: &str, arguments: &str) -> String {
    format!(
        "(i32.store #16 #0) (i32.store #20 #0)
         (call $note (call $proxy_call_foreign_function {{{name}}} {arguments} @)) (call $say)"
    )
}

/// A protobuf message of fields with bytes.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, value) in fields {
        message.extend([number << 3 | 2, value.len() as u8]);
        message.extend_from_slice(value);
    }
    message
}

#[test]
fn unknown_functions() {
    let body = ["nonsense", "", "expr_create", "Compress", "compres"].map(|name| call(name, "{x}"));
    let (statuses, said) = run(&body.concat(), &MockStream::default());
    assert_eq!(statuses, [NOT_FOUND; 5]);
    assert_eq!(said, [""; 5]);
}

#[test]
fn data_for_a_response() {
    let stream = MockStream::default();
    let mut end = message(&[(1, b"some")]);
    end.extend([2 << 3, 1]);
    let name = "inject_encoded_data_to_filter_chain";
    let body = [
        call(name, &bytes(&message(&[(1, b"some")]))),
        call(&format!("{name}_on_header"), &bytes(&end)),
        call(name, &bytes(&[1 << 3 | 2, 9])),
    ];
    let (statuses, _) = run(&body.concat(), &stream);
    assert_eq!(statuses, [OK, OK, BAD_ARGUMENT]);
    assert_eq!(
        stream.take_events(),
        ["inject some end=false", "inject some end=true"]
    );
}

#[test]
fn arguments_have_a_limit() {
    let body = [(16 << 20) + 1, 16 << 20].map(|len| {
        format!(
            "(i32.store #16 #0) (i32.store #20 #0)
             (call $note (call $proxy_call_foreign_function {{mock.fail}} #0 (i32.const {len}) @))"
        )
    });
    let guest = Guest::new()
        .memory(r#"(memory (export "memory") 300)"#)
        .request_headers(&body.concat());
    let (statuses, _) = run_guest(guest, &MockStream::default());
    assert_eq!(statuses, [BAD_ARGUMENT, SERIALIZATION_FAILURE]);
}

#[test]
fn names_of_declared_properties_have_a_limit() {
    let declare = |name: &[u8]| {
        let len = [name.len() as u8 & 127 | 128, (name.len() >> 7) as u8];
        let message = [&[1 << 3 | 2][..], &len, name].concat();
        call("declare_property", &bytes(&message))
    };
    let body = declare(&[b'x'; 1025]) + &declare(&[b'x'; 1024]);
    let (statuses, _) = run(&body, &MockStream::default());
    assert_eq!(statuses, [BAD_ARGUMENT, OK]);
}

#[test]
fn the_proxy_s_own_functions() {
    let guest = Guest::new().request_headers(
        &[
            call("mock.reverse", "{abc}"),
            call("mock.reverse", "{}"),
            call("mock.fail", "{abc}"),
        ]
        .concat(),
    );
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default().named("s"));
    host.vm.on_request_headers(id, 0, true).unwrap();
    let (statuses, said) = statuses(host.logs());
    assert_eq!(statuses, [OK, OK, SERIALIZATION_FAILURE]);
    assert_eq!(said, ["cba", "", ""]);
    assert_eq!(host.proxy.take_events(), ["reverse of s"; 2]);
}

#[test]
fn results_that_are_not_wanted() {
    let (statuses, said) = run(
        "(i32.store #16 #77) (i32.store #20 #77)
         (call $note (call $proxy_call_foreign_function {mock.reverse} {abc} #0 #0))
         (call $say_number_at #16) (call $say_number_at #20)
         (call $note (call $proxy_call_foreign_function {mock.reverse} {abc} #0 #20))
         (call $say_number_at #16) (call $say_number_at #20)
         (call $say_number (i64.extend_i32_u (global.get $heap)))
         (call $note (call $proxy_call_foreign_function {mock.reverse} {abc} #16 #0))
         (call $say_number_at #16)",
        &MockStream::default(),
    );
    assert_eq!(statuses, [OK, OK, OK]);
    assert_eq!(said, ["77", "77", "77", "3", "32768", "32768"]);
}

#[test]
fn bad_addresses() {
    let guest = Guest::new().request_headers(
        "(call $note (call $proxy_call_foreign_function #65535 #2 {abc} @))
         (call $note (call $proxy_call_foreign_function {mock.reverse} #65536 #1 @))
         (call $note (call $proxy_call_foreign_function {mock.reverse} {abc} #65533 #16))
         (call $note (call $proxy_call_foreign_function {mock.reverse} {abc} #16 #-1))",
    );
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    assert_eq!(statuses(host.logs()).0, [INVALID_MEMORY; 4]);
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn what_is_compressed_is_uncompressed() {
    // As zlib's own `compress` makes it.
    let hello = bytes(b"\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15");
    let text = "abc".repeat(5000);
    let round = |text: &str| {
        format!(
            "(call $note (call $proxy_call_foreign_function {{compress}} {{{text}}} @))
             (call $say_number_at #20)
             (call $note (call $proxy_call_foreign_function {{uncompress}}
                (i32.load #16) (i32.load #20) @))
             (call $say)"
        )
    };
    let (statuses, said) = run(
        &[
            call("uncompress", &hello),
            round("hello"),
            round(""),
            round(&text),
        ]
        .concat(),
        &MockStream::default(),
    );
    assert_eq!(statuses, [OK; 7]);
    assert_eq!(said[..3], ["hello", "13", "hello"]);
    assert_eq!(said[3..5], ["8", ""]);
    assert!(said[5].parse::<u32>().unwrap() < 100, "{}", said[5]);
    assert_eq!(said[6], text);
}

#[test]
fn broken_compressed_data() {
    let good = b"\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15";
    let mut bodies = Vec::new();
    for end in 0..good.len() {
        bodies.push(call("uncompress", &bytes(&good[..end])));
    }
    let mut wrong = *good;
    wrong[12] = 0;
    bodies.push(call("uncompress", &bytes(&wrong)));
    bodies.push(call("uncompress", "{no zlib at all}"));
    let count = bodies.len();
    let trailing = [&good[..], b"more"].concat();
    bodies.push(call("uncompress", &bytes(&trailing)));
    let (statuses, said) = run(&bodies.concat(), &MockStream::default());
    assert_eq!(statuses[..count], vec![SERIALIZATION_FAILURE; count]);
    assert_eq!(statuses[count..], [OK]);
    assert_eq!(said[count], "hello");
}

/// That many zeros, compressed.
fn bomb(size: usize) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(&vec![0; size]).unwrap();
    zlib.finish().unwrap()
}

#[test]
fn a_bomb_is_not_uncompressed() {
    const LIMIT: usize = 16 << 20;
    for (size, status, length) in [
        (LIMIT, OK, "16777216"),
        (LIMIT + 1, SERIALIZATION_FAILURE, "0"),
        (LIMIT + (8 << 20), SERIALIZATION_FAILURE, "0"),
    ] {
        let guest = Guest::new()
            .memory(r#"(memory (export "memory") 1 300)"#)
            .request_headers(&format!(
                "(call $note (call $proxy_call_foreign_function {{uncompress}} {} @))
                 (call $say_number_at #20)",
                bytes(&bomb(size))
            ));
        let (statuses, said) = run_guest(guest, &MockStream::default());
        assert_eq!(statuses, [status], "{size}");
        assert_eq!(said, [length], "{size}");
    }
    // A guest without room for the result.
    let body = call("uncompress", &bytes(&bomb(2 << 20)));
    let (statuses, _) = run(&body, &MockStream::default());
    assert_eq!(statuses, [INTERNAL_FAILURE]);
}

#[test]
fn clear_route_cache_is_the_stream_s() {
    let clear = call("clear_route_cache", "{}");
    let guest = Guest::new()
        .callback("on_configure", 2, true, &format!("{clear} #1"))
        .request_headers(&clear);
    let mut host = Host::start(&guest.wat());
    assert_eq!(statuses(host.logs()).0, [OK], "not an error without one");
    let stream = MockStream::default();
    let id = host.stream(&stream);
    host.vm.on_request_headers(id, 0, true).unwrap();
    assert_eq!(statuses(host.logs()).0, [OK]);
    assert_eq!(stream.take_events(), ["clear"]);
}

#[test]
fn set_envoy_filter_state() {
    let good = bytes(&message(&[(1, b"my.key"), (2, b"value")]));
    let wrong = bytes(&message(&[(1, b"my.key"), (2, b"\xff")]));
    let nameless = bytes(&message(&[(2, b"value")]));
    let stream = MockStream::default();
    let (statuses, said) = run(
        &[
            call("set_envoy_filter_state", &good),
            call("set_envoy_filter_state", &wrong),
            call("set_envoy_filter_state", "{\\x0a\\x05ab}"),
            call("set_envoy_filter_state", &nameless),
            "(call $note (call $proxy_get_property {filter_state\\0my.key} @)) (call $say)".into(),
        ]
        .concat(),
        &stream,
    );
    assert_eq!(statuses, [OK, BAD_ARGUMENT, BAD_ARGUMENT, NOT_FOUND, OK]);
    assert_eq!(said[4], "value");
    let value = stream.get_property("filter_state\0my.key");
    assert_eq!(value.as_deref(), Some(&b"value"[..]));

    // There is none outside of streams.
    let call = call("set_envoy_filter_state", &good);
    let guest = Guest::new().callback("on_configure", 2, true, &format!("{call} #1"));
    let host = Host::start(&guest.wat());
    assert_eq!(crate::common::statuses(host.logs()).0, [NOT_FOUND]);
}

#[test]
fn declared_properties() {
    let once = [message(&[(1, b"once"), (4, b"schema")]), vec![2 << 3, 1]].concat();
    let often = [message(&[(1, b"often")]), vec![3 << 3, 1, 5 << 3, 2]].concat();
    let get =
        |path: &str| format!("(call $note (call $proxy_get_property {{{path}}} @)) (call $say)");
    let set = |name: &str, value: &str| {
        format!("(call $note (call $proxy_set_property {{{name}}} {{{value}}}))")
    };
    let guest = Guest::new()
        .callback(
            "on_configure",
            2,
            true,
            &format!(
                "{} {} {} {} #1",
                call("declare_property", &bytes(&once)),
                call("declare_property", &bytes(&often)),
                // Twice, and no message.
                call("declare_property", &bytes(&message(&[(1, b"often")]))),
                call("declare_property", "{\\x0a\\x05ab}"),
            ),
        )
        .request_headers(
            &[
                set("once", "1"),
                set("once", "2"),
                get("once"),
                set("often", "1"),
                set("often", "2"),
                get("often"),
                get(r"filter_state\0wasm.often"),
                set("other", "3"),
                get("other"),
            ]
            .concat(),
        )
        .callback("on_request_body", 3, true, &format!("{} #0", get("often")));
    let mut host = Host::start(&guest.wat());
    assert_eq!(
        statuses(host.logs()).0,
        [OK, OK, BAD_ARGUMENT, BAD_ARGUMENT]
    );
    let stream = MockStream::default();
    let id = host.stream(&stream);
    host.vm.on_request_headers(id, 0, true).unwrap();
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [OK, BAD_ARGUMENT, OK, OK, OK, OK, OK, OK, OK]);
    assert_eq!(said, ["1", "2", "2", "3"]);
    // What is not declared is the stream's own property.
    assert!(stream.get_property("other").is_some());
    assert!(stream.get_property("often").is_none());

    // Another request has its own values; another filter of the same one sees them.
    let fresh = host.stream(&MockStream::default());
    host.vm.on_request_body(fresh, 0, true).unwrap();
    assert_eq!(statuses(host.logs()).0, [NOT_FOUND]);
    let mut second = Host::start(
        &Guest::new()
            .request_headers(&[get("often"), set("once", "9")].concat())
            .wat(),
    );
    let id = second.stream(&stream);
    second.vm.on_request_headers(id, 0, true).unwrap();
    assert_eq!(second.logs(), ["=0", "2", "=0"]);
}

#[test]
fn declarations_go_with_their_root_context() {
    let declare = call("declare_property", &bytes(&message(&[(1, b"name")])));
    let guest = Guest::new().callback("on_configure", 2, true, &format!("{declare} #1"));
    let mut host = Host::start(&guest.wat());
    // Each root context has its own.
    let other = host.vm.create_root(crate::common::plugin_config()).unwrap();
    assert_eq!(statuses(host.logs()).0, [OK, OK]);
    let root = host.root;
    host.vm.finish(root, false).unwrap();
    host.vm.finish(other, false).unwrap();
    host.vm.create_root(crate::common::plugin_config()).unwrap();
    assert_eq!(statuses(host.logs()).0, [OK]);
}

#[test]
fn the_guest_is_called_with_arguments() {
    let guest = Guest::new()
        .callback(
            "on_foreign_function",
            3,
            false,
            "(call $say_number (i64.extend_i32_u (local.get $0)))
             (call $say_number (i64.extend_i32_u (local.get $1)))
             (call $say_number (i64.extend_i32_u (local.get $2)))
             (call $note (call $proxy_get_buffer_bytes #8 #1 #100 @)) (call $say)
             (call $note (call $proxy_set_buffer_bytes #8 #0 #1 {x}))",
        )
        .request_headers("(call $note (call $proxy_get_buffer_status #8 #16 #20))");
    let mut host = Host::start(&guest.wat());
    let stream = host.stream(&MockStream::default());
    host.vm
        .on_foreign_function(host.root, 7, b"arguments")
        .unwrap();
    assert_eq!(host.logs(), ["1", "7", "9", "=0", "rguments", "=2"]);
    host.vm.on_foreign_function(stream, 8, b"").unwrap();
    assert_eq!(host.logs(), ["2", "8", "0", "=0", "", "=2"]);
    host.vm.on_request_headers(stream, 0, true).unwrap();
    assert_eq!(host.logs(), ["=1"], "they are gone");
    assert!(
        host.vm
            .on_foreign_function(ContextId::new(99), 7, b"")
            .is_err()
    );
}
