//! Bodies, streamed both ways.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use component_host::Body;
use http_body_util::BodyExt;

use crate::common::{Executor, Host, LABS, empty, pieces, request};

#[test]
fn large_bodies_pass() {
    for lab in LABS {
        let host = Host::lab(lab);
        let piece = Bytes::from(vec![b'x'; 100_000]);
        let (body, _) = pieces(piece, 50);
        let came = host.send(request("POST", "/echo", body));
        assert_eq!(came.whole().len(), 5_000_000, "{lab}");
    }
}

#[test]
fn a_body_that_is_handed_on_passes() {
    let host = Host::lab("component_lab_p3");
    let (body, _) = pieces(Bytes::from_static(b"piece "), 1000);
    let came = host.send(request("POST", "/through", body));
    assert_eq!(came.whole(), "piece ".repeat(1000));
}

/// A client that does not read stops the guest, and so what the guest reads.
#[test]
fn a_slow_client_stops_the_guest() {
    for lab in LABS {
        let host = Host::lab(lab);
        let (body, taken) = pieces(Bytes::from(vec![b'x'; 16 << 10]), 10_000);
        let (call, answer) = host
            .handler
            .handle(request("POST", "/echo", body), Rc::new(host.mock.clone()));
        let executor = Executor::default();
        let answer = executor.spawn(answer);
        let ended = executor.spawn(call);
        while executor.turn() {}
        let response = answer
            .take()
            .unwrap_or_else(|| panic!("{lab}: no head"))
            .unwrap();
        assert!(!ended.is_done(), "{lab}");
        let buffered = taken.get();
        assert!(
            buffered < 40,
            "{lab}: {buffered} pieces of 16 KiB were read"
        );

        // What is read makes room.
        let body = Rc::new(Cell::new(Some(response.into_body())));
        let reader = body.clone();
        let first = executor.spawn(async move {
            let mut body = reader.take().unwrap();
            let frame = body.frame().await.unwrap().unwrap();
            reader.set(Some(body));
            frame.into_data().unwrap().len()
        });
        assert!(executor.run_until(|| first.is_done()), "{lab}");
        while executor.turn() {}
        assert!(taken.get() > buffered || taken.get() < 40, "{lab}");

        // A client that goes away ends it.
        drop(body.take());
        assert!(executor.run_until(|| ended.is_done()), "{lab}");
        assert!(taken.get() < 80, "{lab}: {}", taken.get());
    }
}

#[test]
fn whoever_writes_for_ever_is_told_that_the_client_is_gone() {
    for lab in LABS {
        let host = Host::lab(lab);
        let (call, answer) = host.handler.handle(
            request("GET", "/flood", empty()),
            Rc::new(host.mock.clone()),
        );
        let executor = Executor::default();
        let answer = executor.spawn(answer);
        let ended = executor.spawn(call);
        assert!(executor.run_until(|| answer.is_done()), "{lab}");
        drop(answer.take().unwrap().unwrap());
        assert!(executor.run_until(|| ended.is_done()), "{lab}");
        assert_eq!(ended.take().unwrap().outcome, Ok(()), "{lab}");
        let lines: Vec<_> = host
            .mock
            .lines()
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        assert_eq!(lines, ["the client is gone"], "{lab}");
    }
}

#[test]
fn a_request_whose_body_breaks_is_told() {
    for lab in LABS {
        let host = Host::lab(lab);
        let body = crate::common::broken("begun");
        let came = host.send(request("POST", "/echo", body));
        assert_eq!(came.text(), "begun", "{lab}");
        assert!(came.error.is_some(), "{lab}: {came:?}");
        let lines = host.mock.lines();
        assert!(!lines.is_empty(), "{lab}");
    }
}

#[test]
fn dropping_a_call_ends_the_guest() {
    for lab in LABS {
        let host = Host::lab(lab);
        let (call, answer) = host.handler.handle(
            request("GET", "/flood", empty()),
            Rc::new(host.mock.clone()),
        );
        let executor = Executor::default();
        let answer = executor.spawn(answer);
        let call = Rc::new(Cell::new(Some(Box::pin(call))));
        let held = call.clone();
        executor.spawn(std::future::poll_fn(move |cx| {
            let Some(mut call) = held.take() else {
                return std::task::Poll::Ready(());
            };
            let poll = call.as_mut().poll(cx);
            held.set(Some(call));
            poll.map(drop)
        }));
        assert!(executor.run_until(|| answer.is_done()), "{lab}");
        let response = answer.take().unwrap().unwrap();
        drop(call.take());
        let (_, _, error) = crate::common::run(crate::common::read(response.into_body()));
        assert!(error.is_some(), "{lab}");
    }
    // One that has not begun.
    let host = Host::lab("component_lab");
    let (call, answer) = host.handler.handle(
        request("GET", "/count", empty()),
        Rc::new(host.mock.clone()),
    );
    drop(call);
    let failure = crate::common::run(answer).err();
    assert_eq!(failure, Some(component_host::Failure::Dropped));
}

/// A body is its own type, whoever makes it.
#[test]
fn bodies_are_boxed_once() {
    fn body(_: impl Into<Body>) {}
    body(empty());
}
