//! Guests that take too much.

use std::rc::Rc;
use std::time::Duration;

use component_host::Failure;

use crate::common::{Executor, Host, LABS, empty, request};

fn short(lab: &str) -> Host {
    Host::with_lab(lab, |settings| {
        settings.limits.cpu_time = Duration::from_millis(100);
    })
}

#[test]
fn who_computes_for_ever_is_ended() {
    for lab in LABS {
        let host = short(lab);
        let came = host.get("/spin");
        let failure = came.head.unwrap_err();
        assert!(matches!(failure, Failure::OutOfTime(_)), "{lab}: {failure}");
        assert!(
            failure.to_string().contains("cpu_time=100ms"),
            "{lab}: {failure}"
        );

        let came = host.get("/spin-late");
        assert_eq!(came.text(), "begun", "{lab}");
        assert!(came.error.is_some(), "{lab}");
        assert!(matches!(came.outcome, Err(Failure::OutOfTime(_))), "{lab}");
    }
}

#[test]
fn others_have_their_turn_while_one_computes() {
    for lab in LABS {
        let host = Host::lab(lab);
        let executor = Executor::default();
        let (spins, _) = host
            .handler
            .handle(request("GET", "/spin", empty()), Rc::new(host.mock.clone()));
        let spins = executor.spawn(spins);
        let (call, answer) = host.handler.handle(
            request("GET", "/count", empty()),
            Rc::new(host.mock.clone()),
        );
        executor.spawn(call);
        let answer = executor.spawn(answer);
        assert!(executor.run_until(|| answer.is_done()), "{lab}");
        assert!(!spins.is_done(), "{lab}");
    }
}

#[test]
fn waiting_takes_no_processor_time() {
    for lab in LABS {
        let host = short(lab);
        assert_eq!(host.get("/sleep?300").whole(), "slept", "{lab}");
        let slept: Duration = host.mock.slept.borrow().iter().sum();
        assert!(slept >= Duration::from_millis(290), "{lab}: {slept:?}");
    }
}

#[test]
fn a_stream_may_go_on_for_longer_than_the_processor_time() {
    for lab in LABS {
        let host = short(lab);
        // 20 ms each, so 400 ms together.
        assert_eq!(host.get("/pieces?20").whole(), "x".repeat(20), "{lab}");
    }
}

#[test]
fn memory_ends_at_the_limit() {
    for lab in LABS {
        let host = Host::with_lab(lab, |settings| settings.limits.memory = 16 << 20);
        let text = host.get("/memory").whole();
        let taken: u32 = text.trim_end_matches(" MiB").parse().unwrap();
        assert!((8..16).contains(&taken), "{lab}: {text}");
        // One whose start needs more.
        let host = Host::with_lab(lab, |settings| settings.limits.memory = 64 << 10);
        let failure = host.get("/count").head.unwrap_err().to_string();
        assert!(failure.contains("memory=64k"), "{lab}: {failure}");
    }
}

#[test]
fn the_stack_ends() {
    for lab in LABS {
        let failure = Host::lab(lab).get("/recurse").head.unwrap_err().to_string();
        assert!(failure.contains("stack"), "{lab}: {failure}");
    }
}

#[test]
fn resources_end_at_the_limit() {
    for lab in LABS {
        let host = Host::with_lab(lab, |settings| settings.resources = 1000);
        let failure = host.get("/hold").head.unwrap_err();
        assert!(matches!(failure, Failure::Trapped(_)), "{lab}: {failure}");
        assert_eq!(host.get("/count").whole(), "1", "{lab}");
    }
    let host = Host::with_lab("component_lab_p3", |settings| settings.resources = 1000);
    let failure = host.get("/streams").head.unwrap_err();
    assert!(matches!(failure, Failure::Trapped(_)), "{failure}");
}

#[test]
fn there_are_as_many_instances_as_the_pool_has() {
    let host = Host::lab("component_lab");
    let executor = Executor::default();
    let all: Vec<_> = (0..30)
        .map(|_| {
            let platform = Rc::new(host.mock.clone());
            let (call, answer) = host
                .handler
                .handle(request("GET", "/flood", empty()), platform);
            (executor.spawn(call), executor.spawn(answer))
        })
        .collect();
    while executor.turn() {}
    let failed = all.iter().filter_map(|(call, _)| call.take());
    let failures: Vec<_> = failed.map(|ended| ended.outcome.unwrap_err()).collect();
    assert_eq!(failures.len(), 10);
    for failure in failures {
        assert!(matches!(failure, Failure::Busy(_)), "{failure}");
        assert_eq!(failure.status(), 503);
    }
    drop((all, executor));
    assert_eq!(host.get("/count").whole(), "1");
}
