//! What clients see of guests that fail.

use component_host::Failure;
use http::StatusCode;

use crate::common::{Host, LABS, empty, request};

#[test]
fn before_the_head_there_is_no_response() {
    for lab in LABS {
        let host = Host::lab(lab);
        let came = host.get("/trap-early");
        let failure = came.head.unwrap_err();
        assert!(matches!(failure, Failure::Trapped(_)), "{lab}: {failure}");
        assert!(
            failure.to_string().contains("unreachable"),
            "{lab}: {failure}"
        );
        assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(came.outcome, Err(failure), "{lab}");

        let failure = host.get("/exit-early").head.unwrap_err();
        assert!(matches!(failure, Failure::Exited(_)), "{lab}: {failure}");

        let came = host.get("/error");
        let failure = came.head.unwrap_err();
        assert_eq!(failure.status(), StatusCode::GATEWAY_TIMEOUT, "{lab}");
        assert_eq!(came.outcome, Ok(()), "{lab}");
    }
    let came = Host::lab("component_lab").get("/never");
    assert_eq!(came.head.unwrap_err(), Failure::NoResponse);
}

#[test]
fn after_the_head_the_body_breaks() {
    for lab in LABS {
        let host = Host::lab(lab);
        for path in ["/trap-late", "/exit-late", "/unfinished"] {
            let came = host.get(path);
            assert_eq!(came.status(), 200, "{lab}");
            assert!(came.error.is_some(), "{lab}{path}: {came:?}");
            assert_eq!(came.outcome.is_err(), path != "/unfinished", "{lab}{path}");
        }
    }
    // A guest that returns and leaves its body open.
    for reuse in [1, 2] {
        let host = Host::with_lab("component_lab", |settings| settings.reuse = reuse);
        let came = host.get("/forgotten");
        assert!(came.error.is_some(), "{came:?}");
    }
}

#[test]
fn a_length_holds_or_the_body_breaks() {
    for lab in LABS {
        let host = Host::lab(lab);
        let came = host.get("/length?5,5");
        assert_eq!(came.whole(), "xxxxx", "{lab}");
        for (lengths, most) in [("10,5", 10), ("10,0", 10), ("3,10", 3), ("0,4", 0)] {
            let came = host.get(&format!("/length?{lengths}"));
            assert!(came.error.is_some(), "{lab} {lengths}: {came:?}");
            assert!(came.body.len() <= most, "{lab} {lengths}: {came:?}");
        }
        let came = host.get("/head-length");
        assert!(came.error.is_some(), "{lab}: {came:?}");
    }
}

#[test]
fn a_failed_instance_is_not_used_again() {
    for lab in LABS {
        let host = Host::with_lab(lab, |settings| settings.reuse = 10);
        for path in ["/trap-early", "/trap-late", "/exit-late"] {
            let (_, instance) = host.send_to(None, request("GET", path, empty()));
            assert!(instance.is_none(), "{lab}{path}");
        }
        let (_, instance) = host.send_to(None, request("GET", "/error", empty()));
        assert!(instance.is_some(), "{lab}");
    }
}
