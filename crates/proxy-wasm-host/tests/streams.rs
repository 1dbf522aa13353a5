//! What resumes, ends or answers a stream.

use crate::common::{Guest, Host, MockStream, run, run_guest, statuses};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;

#[test]
fn continue_and_close() {
    let stream = MockStream::default();
    let (statuses, _) = run(
        "(call $note (call $proxy_continue_stream #0))
         (call $note (call $proxy_continue_stream #1))
         (call $note (call $proxy_continue_stream #3))
         (call $note (call $proxy_close_stream #0))
         (call $note (call $proxy_close_stream #2))
         (call $note (call $proxy_continue_stream #4))
         (call $note (call $proxy_continue_stream #-1))
         (call $note (call $proxy_close_stream #4))",
        &stream,
    );
    let bad = BAD_ARGUMENT;
    assert_eq!(statuses, [OK, OK, OK, OK, OK, bad, bad, bad]);
    assert_eq!(
        stream.take_events(),
        [
            "continue Request",
            "continue Response",
            "continue Upstream",
            "close Request",
            "close Downstream"
        ]
    );
}

#[test]
fn data_for_a_response() {
    let stream = MockStream::default();
    let (statuses, _) = run(
        "(call $note (call $proxy_inject_encoded_data_to_filter_chain {some} #0))
         (call $note (call $proxy_inject_encoded_data_to_filter_chain {} #1))
         (call $note (call $proxy_inject_encoded_data_to_filter_chain #65535 #2 #0))",
        &stream,
    );
    assert_eq!(statuses, [OK, OK, INVALID_MEMORY]);
    assert_eq!(
        stream.take_events(),
        ["inject some end=false", "inject  end=true"]
    );
}

#[test]
fn the_first_version_s_names() {
    let stream = MockStream::default();
    let guest = Guest::new().abi("0_1_0").request_headers(
        "(call $note (call $proxy_continue_request))
         (call $note (call $proxy_continue_response))
         (call $note (call $proxy_clear_route_cache))",
    );
    let (statuses, _) = run_guest(guest, &stream);
    assert_eq!(statuses, [OK; 3]);
    assert_eq!(
        stream.take_events(),
        ["continue Request", "continue Response", "clear"]
    );
}

#[test]
fn a_local_response_with_everything() {
    let stream = MockStream::default();
    let (statuses, _) = run(
        r"(call $note (call $proxy_send_local_response #418 {a teapot} {body\0\n}
              {\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0a\0b\0c\0\0} #7))
          (call $note (call $proxy_send_local_response #200 #0 #0 #0 #0 #0 #0 #-1))
          (call $note (call $proxy_send_local_response #0 #0 #0 #0 #0 {\0\0\0\0} #0))",
        &stream,
    );
    assert_eq!(statuses, [OK; 3]);
    assert_eq!(
        stream.take_events(),
        [
            r"respond 418 details=a teapot headers=[a=b,c=] body=body\x00\n grpc=Some(7)",
            "respond 200 details= headers=[] body= grpc=None",
            "respond 0 details= headers=[] body= grpc=Some(0)",
        ]
    );
}

#[test]
fn a_broken_local_response_is_none() {
    let stream = MockStream::default();
    let (statuses, _) = run(
        r"(call $note (call $proxy_send_local_response #200 #65536 #1 {b} #0 #0 #-1))
          (call $note (call $proxy_send_local_response #200 #0 #0 #1 #-1 #0 #0 #-1))
          (call $note (call $proxy_send_local_response #200 #0 #0 #0 #0 #-1 #4 #-1))
          (call $note (call $proxy_send_local_response #200 #0 #0 #0 #0 {\x01\0\0\0} #-1))",
        &stream,
    );
    assert_eq!(
        statuses,
        [INVALID_MEMORY, INVALID_MEMORY, INVALID_MEMORY, BAD_ARGUMENT]
    );
    assert!(stream.take_events().is_empty());
}

#[test]
fn a_root_context_has_no_stream() {
    let guest = Guest::new().callback(
        "on_configure",
        2,
        true,
        "(call $note (call $proxy_continue_stream #0))
         (call $note (call $proxy_close_stream #0))
         (call $note (call $proxy_continue_request))
         (call $note (call $proxy_continue_response))
         (call $note (call $proxy_clear_route_cache))
         (call $note (call $proxy_send_local_response #200 #0 #0 #0 #0 #0 #0 #-1))
         (call $note (call $proxy_get_header_map_value #0 {a} @))
         (call $note (call $proxy_get_header_map_pairs #0 @))
         #1",
    );
    let (statuses, _) = statuses(Host::start(&guest.wat()).logs());
    // A map that is not there has no pairs.
    assert_eq!(statuses[..6], [BAD_ARGUMENT; 6]);
    assert_eq!(statuses[6..], [NOT_FOUND, OK]);
}
