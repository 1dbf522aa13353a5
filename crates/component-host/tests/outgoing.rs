//! Outgoing requests.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use component_host::{BodyError, Timeouts};
use http::Response;

use crate::common::{Host, LABS, full, read, request};

#[test]
fn a_response_is_passed_on() {
    for lab in LABS {
        let host = Host::lab(lab);
        host.mock.answer(|request, timeouts| async move {
            assert_eq!(request.uri(), "http://backend:81/a?b");
            assert_eq!(request.headers()["host"], "backend:81");
            let expected = Timeouts {
                connect: Some(Duration::from_secs(30)),
                first_byte: Some(Duration::from_secs(20)),
                between_bytes: None,
            };
            assert_eq!(timeouts, expected);
            let mut response = Response::new(full("from the backend"));
            *response.status_mut() = http::StatusCode::ACCEPTED;
            Ok(response)
        });
        let came = host.get("/proxy?http://backend:81/a?b");
        assert_eq!(came.whole(), "202: from the backend", "{lab}");
    }
}

#[test]
fn an_error_is_the_guests() {
    for lab in LABS {
        let host = Host::lab(lab);
        assert!(
            host.get("/proxy?http://backend/")
                .whole()
                .contains("HttpRequestDenied"),
            "{lab}"
        );
        host.mock
            .answer(|_, _| async { Err(BodyError::ConnectionRefused) });
        assert!(
            host.get("/proxy?http://backend/")
                .whole()
                .contains("ConnectionRefused"),
            "{lab}"
        );
        // Another scheme.
        assert!(
            host.get("/proxy?ftp://backend/")
                .whole()
                .contains("HttpProtocolError"),
            "{lab}"
        );
    }
}

#[test]
fn a_body_that_breaks_is_told() {
    for lab in LABS {
        let host = Host::lab(lab);
        host.mock
            .answer(|_, _| async { Ok(Response::new(crate::common::broken("begun"))) });
        let came = host.get("/proxy?http://backend/");
        assert!(came.text().ends_with("begun"), "{lab}: {came:?}");
        assert!(came.error.is_some(), "{lab}: {came:?}");
    }
}

/// The guest writes more than is buffered before it waits for the response.
#[test]
fn a_body_is_sent_while_nobody_waits() {
    for lab in LABS {
        let host = Host::lab(lab);
        host.mock.answer(|request, _| async move {
            assert_eq!(request.method(), "POST");
            let (body, _, error) = read(request.into_body()).await;
            assert_eq!(error, None);
            Ok(Response::new(full(&body.len().to_string())))
        });
        let body = "x".repeat(300_000);
        let came = host.send(request("POST", "/upload?http://backend/", full(&body)));
        assert_eq!(came.whole(), "200: 300000", "{lab}");
    }
}

#[test]
fn many_go_at_once_up_to_the_limit() {
    for lab in LABS {
        let host = Host::with_lab(lab, |settings| {
            settings.requests = 20;
            settings.resources = 200_000;
        });
        let most = Rc::new(Cell::new((0, 0)));
        let counted = most.clone();
        host.mock.answer(move |_, _| {
            let counted = counted.clone();
            async move {
                let (now, most) = counted.get();
                counted.set((now + 1, most.max(now + 1)));
                let mut turns = 10;
                std::future::poll_fn(move |cx| {
                    turns -= 1;
                    cx.waker().wake_by_ref();
                    match turns {
                        0 => std::task::Poll::Ready(()),
                        _ => std::task::Poll::Pending,
                    }
                })
                .await;
                let (now, most) = counted.get();
                counted.set((now - 1, most));
                Ok(Response::new(full("")))
            }
        });
        assert_eq!(host.get("/fan?15").whole(), "15 None", "{lab}");
        assert_eq!(most.get(), (0, 15), "{lab}");
        // A guest may have 20; those beyond get an error.
        let text = host.get("/fan?10000").whole();
        assert!(text.starts_with("20 Some("), "{lab}: {text}");
        assert!(text.contains("ConnectionLimitReached"), "{lab}: {text}");
        assert_eq!(most.get(), (0, 20), "{lab}");
    }
}

#[test]
fn a_response_that_is_not_wanted_is_given_up() {
    let host = Host::lab("component_lab");
    let dropped = Rc::new(Cell::new(0));
    struct Noted(Rc<Cell<u32>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let noted = dropped.clone();
    host.mock.answer(move |_, _| {
        let noted = Noted(noted.clone());
        async move {
            std::future::pending::<()>().await;
            drop(noted);
            Err(BodyError::ConnectionRefused)
        }
    });
    assert_eq!(host.get("/abandon?http://backend/").whole(), "done");
    assert_eq!(dropped.get(), 1);
}
