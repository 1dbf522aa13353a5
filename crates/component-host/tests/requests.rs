//! What guests see of requests, and what clients see of responses.

use crate::common::{Host, LABS, empty, request};

#[test]
fn a_guest_sees_the_request() {
    for lab in LABS {
        let host = Host::lab(lab);
        let mut request = request("PATCH", "/request?a=b&c", empty());
        let headers = request.headers_mut();
        headers.append("x-mine", "1".parse().unwrap());
        headers.append("x-mine", "2".parse().unwrap());
        headers.append("connection", "close".parse().unwrap());
        headers.append("te", "trailers".parse().unwrap());
        let text = host.send(request).whole();
        let (line, fields) = text.split_once('\n').unwrap();
        let mut fields: Vec<_> = fields.lines().collect();
        fields.sort_unstable();
        assert_eq!(fields, ["te: trailers", "x-mine: 1", "x-mine: 2"], "{lab}");
        for part in ["Patch", "Http", "example.com", "/request?a=b&c"] {
            assert!(line.contains(part), "{lab}: {line}");
        }
    }
}

#[test]
fn methods_and_schemes_are_told() {
    for lab in LABS {
        let host = Host::lab(lab);
        let mut request = request("PURGE", "/request", empty());
        *request.uri_mut() = "https://example.com:8443/request".parse().unwrap();
        let text = host.send(request).whole();
        for part in ["PURGE", "Https", "example.com:8443"] {
            assert!(text.contains(part), "{lab}: {text}");
        }
    }
}

#[test]
fn fields_are_checked() {
    for lab in LABS {
        let text = Host::lab(lab).get("/fields").whole();
        let came = |name: &str| {
            let prefix = format!("{name}: ");
            let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
            line.unwrap_or_else(|| panic!("{lab}: no {name} in {text}"))
        };
        for forbidden in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "transfer-encoding",
            "upgrade",
            "host",
            "http2-settings",
        ] {
            assert!(came(forbidden).contains("Forbidden"), "{lab}: {text}");
        }
        for wrong in ["content-length", "a b", "x-line"] {
            assert!(came(wrong).contains("InvalidSyntax"), "{lab}: {text}");
        }
        assert_eq!(came("te"), "taken", "{lab}");
        assert_eq!(came("x-mine"), "taken", "{lab}");
        assert_eq!(came("twice"), "false", "{lab}");
    }
}

#[test]
fn statuses_are_those_of_final_responses() {
    for lab in LABS {
        let host = Host::lab(lab);
        for (status, taken) in [
            (200, true),
            (404, true),
            (599, true),
            (999, true),
            (99, false),
            (100, false),
            (101, false),
            (103, false),
            (1000, false),
        ] {
            let came = host.get(&format!("/status?{status}"));
            assert_eq!(came.whole(), taken.to_string(), "{lab}: {status}");
            let expected = if taken { status } else { 200 };
            assert_eq!(came.status().as_u16(), expected, "{lab}");
        }
    }
}

#[test]
fn trailers_come_and_go() {
    for lab in LABS {
        let host = Host::lab(lab);
        let came = host.get("/trailers");
        assert_eq!(came.whole(), "body", "{lab}");
        assert_eq!(came.trailers.unwrap()["x-checksum"], "abc", "{lab}");

        let body = crate::common::with_trailers("echoed", &[("x-sum", "1")]);
        let came = host.send(request("POST", "/echo", body));
        assert_eq!(came.whole(), "echoed", "{lab}");
        assert_eq!(came.trailers.unwrap()["x-sum"], "1", "{lab}");
    }
}

#[test]
fn a_response_may_have_no_body() {
    for lab in LABS {
        let host = Host::lab(lab);
        assert_eq!(host.get("/no-body").whole(), "", "{lab}");
        // The length is that of what another method would get.
        let came = host.send(request("HEAD", "/head-length", empty()));
        assert_eq!(came.whole(), "", "{lab}");
        assert_eq!(came.head.unwrap().headers()["content-length"], "5", "{lab}");
    }
}

#[test]
fn an_instance_serves_one_request_or_several() {
    for lab in LABS {
        let host = Host::lab(lab);
        for _ in 0..3 {
            let (came, instance) = host.send_to(None, request("GET", "/count", empty()));
            assert_eq!(came.whole(), "1", "{lab}");
            assert!(instance.is_none(), "{lab}");
        }
        let host = Host::with_lab(lab, |settings| settings.reuse = 3);
        let mut instance = None;
        for count in 1..=3 {
            let came;
            (came, instance) = host.send_to(instance, request("GET", "/count", empty()));
            assert_eq!(came.whole(), count.to_string(), "{lab}");
            assert_eq!(instance.is_some(), count < 3, "{lab}");
        }
    }
}
