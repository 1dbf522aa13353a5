//! Header maps.

use crate::common::stream::pairs;
use crate::common::{Guest, MockStream, run, run_guest};
use proxy_wasm_host::MapType;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;

fn stream() -> MockStream {
    MockStream::default().map(
        MapType::RequestHeaders,
        &[
            (":path", "/a?b"),
            ("Cookie", "one"),
            ("cookie", "two"),
            ("empty", ""),
        ],
    )
}

#[test]
fn the_first_value_whatever_the_case() {
    let (statuses, said) = run(
        "(call $note (call $proxy_get_header_map_value #0 {cookie} @)) (call $say)
         (call $note (call $proxy_get_header_map_value #0 {:path} @)) (call $say)",
        &stream(),
    );
    assert_eq!(statuses, [OK, OK]);
    assert_eq!(said, ["one", "/a?b"]);
}

#[test]
fn an_empty_value_is_found_without_an_allocation() {
    // The guest's allocator would trap at size 0.
    let (statuses, said) = run(
        "(i64.store #16 (i64.const -1))
         (call $note (call $proxy_get_header_map_value #0 {empty} @))
         (call $say_number (i64.load #16))",
        &stream(),
    );
    assert_eq!(statuses, [OK]);
    assert_eq!(said, ["0"]);
}

#[test]
fn a_missing_value_is_not_found_and_for_the_first_version_empty() {
    let body = "(i64.store #16 (i64.const 7))
         (call $note (call $proxy_get_header_map_value #0 {nope} @))
         (call $say_number (i64.load #16))";
    for version in ["0_2_0", "0_2_1"] {
        let guest = Guest::new().abi(version).request_headers(body);
        let (statuses, said) = run_guest(guest, &stream());
        assert_eq!((statuses, said), (vec![NOT_FOUND], vec!["7".to_owned()]));
    }
    let guest = Guest::new().abi("0_1_0").request_headers(body);
    let (statuses, said) = run_guest(guest, &stream());
    assert_eq!((statuses, said), (vec![OK], vec!["0".to_owned()]));
}

#[test]
fn add_replace_remove() {
    let stream = stream();
    let (statuses, _) = run(
        r"(call $note (call $proxy_add_header_map_value #0 {x-new} {1\0\xff}))
          (call $note (call $proxy_add_header_map_value #0 {x-empty} #0 #0))
          (call $note (call $proxy_replace_header_map_value #0 {:path} {/new}))
          (call $note (call $proxy_replace_header_map_value #0 {x-more} {2}))
          (call $note (call $proxy_remove_header_map_value #0 {COOKIE}))
          (call $note (call $proxy_remove_header_map_value #0 {nope}))",
        &stream,
    );
    assert_eq!(statuses, [OK; 6]);
    let mut expected = pairs(&[
        ("empty", ""),
        ("x-new", "?"),
        ("x-empty", ""),
        (":path", "/new"),
        ("x-more", "2"),
    ]);
    expected[1].1 = b"1\0\xff".to_vec();
    assert_eq!(stream.get_map(MapType::RequestHeaders), expected);
}

#[test]
fn size_and_pairs_are_the_serialized_map() {
    let (statuses, said) = run(
        "(call $note (call $proxy_get_header_map_size #0 #16))
         (call $say_number_at #16)
         (call $note (call $proxy_get_header_map_pairs #0 @))
         (call $say_number_at #20)
         (call $say)",
        &stream(),
    );
    assert_eq!(statuses, [OK, OK]);
    let map = "\x04\0\0\0\
        \x05\0\0\0\x04\0\0\0\x06\0\0\0\x03\0\0\0\x06\0\0\0\x03\0\0\0\x05\0\0\0\0\0\0\0\
        :path\0/a?b\0Cookie\0one\0cookie\0two\0empty\0\0";
    let size = map.len().to_string();
    assert_eq!(said, [&size, &size, map]);
}

#[test]
fn an_empty_map_is_ok() {
    let stream = MockStream::default().map(MapType::ResponseTrailers, &[]);
    let (statuses, said) = run(
        "(call $note (call $proxy_get_header_map_pairs #3 @)) (call $say)
         (call $note (call $proxy_get_header_map_size #3 #16)) (call $say_number_at #16)",
        &stream,
    );
    assert_eq!(statuses, [OK, OK]);
    assert_eq!(said, ["\0\0\0\0", "4"]);
}

#[test]
fn any_number_of_headers_reaches_the_guest() {
    let names: Vec<_> = (0..5000).map(|i| format!("header-{i}")).collect();
    let value = "v".repeat(50);
    let list: Vec<_> = names.iter().map(|n| (n.as_str(), value.as_str())).collect();
    let stream = MockStream::default().map(MapType::RequestHeaders, &list);
    // The memory grows by several pages inside of the call.
    let (statuses, said) = run(
        "(call $note (call $proxy_get_header_map_pairs #0 @)) (call $say)",
        &stream,
    );
    assert_eq!(statuses, [OK]);
    assert!(said[0].starts_with("\u{88}\u{13}\0\0") || said[0].starts_with(r"\x88\x13\x00\x00"));
    let end = format!(r"header-4999\x00{value}\x00");
    assert!(
        said[0].ends_with(&end),
        "{}",
        &said[0][said[0].len() - 80..]
    );
}

#[test]
fn set_pairs_replaces_the_map() {
    let stream = stream();
    let (statuses, _) = run(
        r"(call $note (call $proxy_set_header_map_pairs #0
              {\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0}))",
        &stream,
    );
    assert_eq!(statuses, [OK]);
    let map = stream.get_map(MapType::RequestHeaders);
    assert_eq!(map, pairs(&[("a", "bc"), ("d", "")]));

    let (statuses, _) = run(
        "(call $note (call $proxy_set_header_map_pairs #0 #0 #0))",
        &stream,
    );
    assert_eq!(statuses, [OK]);
    assert_eq!(stream.get_map(MapType::RequestHeaders), []);
}

#[test]
fn broken_maps_change_nothing() {
    let stream = stream();
    let before = stream.get_map(MapType::RequestHeaders);
    let (statuses, _) = run(
        r"(call $note (call $proxy_set_header_map_pairs #0 {\x01\0\0}))
          (call $note (call $proxy_set_header_map_pairs #0 {\x01\0\0\0}))
          (call $note (call $proxy_set_header_map_pairs #0
              {\x01\0\0\0\x01\0\0\0\xff\xff\xff\xffa\0b\0}))
          (call $note (call $proxy_set_header_map_pairs #0 {\xff\xff\xff\xff}))
          (call $note (call $proxy_set_header_map_pairs #0 #0 #65537))
          (call $note (call $proxy_set_header_map_pairs #0 #-1 #4))",
        &stream,
    );
    let bad = BAD_ARGUMENT;
    assert_eq!(
        statuses,
        [bad, bad, bad, bad, INVALID_MEMORY, INVALID_MEMORY]
    );
    assert_eq!(stream.get_map(MapType::RequestHeaders), before);
}

#[test]
fn unknown_maps_and_those_not_available_now() {
    // 1 exists but has no map now; 8 does not exist.
    for map in ["#1", "#8", "#-1"] {
        let body = "(call $note (call $proxy_get_header_map_value MAP {a} @))
             (call $note (call $proxy_get_header_map_pairs MAP @))
             (call $note (call $proxy_get_header_map_size MAP #16))
             (call $note (call $proxy_add_header_map_value MAP {a} {b}))
             (call $note (call $proxy_replace_header_map_value MAP {a} {b}))
             (call $note (call $proxy_remove_header_map_value MAP {a}))
             (call $note (call $proxy_set_header_map_pairs MAP #0 #0))"
            .replace("MAP", map);
        let (statuses, _) = run(&body, &stream());
        let mut expected = [BAD_ARGUMENT; 7];
        if map == "#1" {
            expected[..3].copy_from_slice(&[NOT_FOUND, OK, OK]);
        }
        assert_eq!(statuses, expected, "map {map}");
    }
}

#[test]
fn maps_of_calls_have_no_pairs_outside_of_their_callbacks() {
    for map in ["#4", "#5", "#6", "#7"] {
        let body = "(call $note (call $proxy_get_header_map_pairs MAP @))
             (call $say_number_at (i32.load #16))
             (call $note (call $proxy_get_header_map_size MAP #16))
             (call $note (call $proxy_get_header_map_value MAP {a} @))
             (call $note (call $proxy_add_header_map_value MAP {a} {b}))
             (call $note (call $proxy_set_header_map_pairs MAP #0 #0))"
            .replace("MAP", map);
        // Not even where the stream has such a map.
        let stream = stream().map(MapType::CallHeaders, &[("a", "b")]);
        let (statuses, said) = run(&body, &stream);
        assert_eq!(
            statuses,
            [OK, OK, NOT_FOUND, BAD_ARGUMENT, BAD_ARGUMENT],
            "map {map}"
        );
        assert_eq!(said, ["0"]);
    }
}

#[test]
fn bad_addresses() {
    let stream = stream();
    let before = stream.get_map(MapType::RequestHeaders);
    let (statuses, _) = run(
        "(call $note (call $proxy_get_header_map_value #0 #-1 #1 @))
         (call $note (call $proxy_get_header_map_value #0 #0 #-1 @))
         (call $note (call $proxy_get_header_map_value #0 {cookie} #65533 #16))
         (call $note (call $proxy_get_header_map_value #0 {cookie} #16 #-4))
         (call $note (call $proxy_get_header_map_pairs #0 #65533 #16))
         (call $note (call $proxy_get_header_map_pairs #0 #16 #65533))
         (call $note (call $proxy_get_header_map_size #0 #65533))
         (call $note (call $proxy_add_header_map_value #0 {a} #65536 #1))
         (call $note (call $proxy_add_header_map_value #0 #-1 #2 {b}))
         (call $note (call $proxy_replace_header_map_value #0 {cookie} #1 #-1))
         (call $note (call $proxy_replace_header_map_value #0 #65530 #7 {b}))
         (call $note (call $proxy_remove_header_map_value #0 #65536 #1))",
        &stream,
    );
    assert_eq!(statuses, [INVALID_MEMORY; 12]);
    assert_eq!(stream.get_map(MapType::RequestHeaders), before);
}

#[test]
fn a_bad_result_address_allocates_nothing() {
    let (statuses, said) = run(
        "(call $note (call $proxy_get_header_map_value #0 {cookie} #65533 #16))
         (call $note (call $proxy_get_header_map_pairs #0 #16 #65533))
         (call $say_number (i64.extend_i32_u (global.get $heap)))",
        &stream(),
    );
    assert_eq!(statuses, [INVALID_MEMORY; 2]);
    assert_eq!(said, ["32768"]);
}

#[test]
fn a_map_that_changes_while_it_is_written_is_an_internal_failure() {
    let body = "(call $note (i32.sub (call $proxy_get_header_map_pairs #0 @) #10))";
    let (statuses, _) = run(body, &stream().fickle());
    assert_eq!(statuses, [0]);
}
