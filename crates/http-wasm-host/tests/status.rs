//! The response's status.

use crate::common::{Host, next};

const GET: &str = "(call $short (call $get_status_code))";

fn set(status: u32) -> String {
    format!("(call $set_status_code (i32.const {status}))")
}

#[test]
fn before_the_next_handler_the_status_is_what_the_guest_has_set() {
    let request = [GET, &set(202), GET].concat();
    let mut host = Host::start(&next("", &request, ""));
    host.mock.0.status.set(404);
    assert_eq!(host.request(), ["#200", "#202"]);
    assert_eq!(host.vm.take_answer().status, Some(202));
    assert_eq!(host.mock.0.status.get(), 404);
}

#[test]
fn after_it_the_status_is_the_response_s_with_the_feature() {
    let asks = "(drop (call $enable_features (i32.const 2)))";
    let response = [GET, &set(503), GET].concat();
    let mut host = Host::start(&next("", asks, &response));
    host.mock.0.status.set(404);
    host.request();
    assert_eq!(host.response(), ["#404", "#503"]);
    for call in [GET.to_owned(), set(200)] {
        let mut host = Host::start(&next("", "", &call));
        host.request();
        assert_eq!(
            host.response_trap(),
            "misuse: the status is used after the next handler, without the feature buffer_response"
        );
    }
}

#[test]
fn a_status_has_three_digits_and_ends_the_request() {
    for status in [0, 99, 101, 199, 1000, u32::MAX] {
        let trap = Host::start(&next("", &set(status), "")).request_trap();
        assert_eq!(trap, format!("misuse: the status {status} cannot be sent"));
    }
    for status in [200, 999] {
        Host::start(&next("", &set(status), "")).request();
    }
}
