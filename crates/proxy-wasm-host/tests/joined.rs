//! Callbacks that are made by one entry into the guest: create and request headers; done, log and delete.

use crate::common::{Guest, Host, MockProxy, MockStream, plugin_config, vm_config};
use proxy_wasm_host::{Action, CallError, ContextId, Engine, MapType, Program, Vm};

/// The callbacks that are made together, with their parameters and their answers.
const JOINED: [(&str, usize, &str); 5] = [
    ("on_context_create", 2, ""),
    ("on_request_headers", 3, "#0"),
    ("on_done", 1, "#1"),
    ("on_log", 1, ""),
    ("on_delete", 1, ""),
];

const ROOT: u32 = 1;
/// Another stream than the one that is looked at.
const OTHER: u32 = 2;

/// Says its callbacks' names, as far as they are of contexts above `quiet`; `more` is what one does besides.
fn guest(quiet: u32, more: &[(&str, &str)]) -> Guest {
    let mut guest = Guest::new();
    for (name, params, answer) in JOINED {
        let more = more.iter().filter(|(known, _)| *known == name);
        let more: String = more.map(|(_, body)| *body).collect();
        let body = format!("(drop (call $proxy_log #2 {{{name}}})) {more}");
        let body = format!("(if (i32.gt_u (local.get $0) #{quiet}) (then {body})) {answer}");
        guest = guest.callback(name, params, !answer.is_empty(), &body);
    }
    guest
}

impl Host {
    fn announce(&mut self, stream: &MockStream) -> ContextId {
        let announced = self.vm.announce_stream(self.root, stream.clone());
        announced.expect("a stream context")
    }
}

/// What a request of it comes to: what the guest says, what the proxy and the stream are asked for, and the errors.
fn request(guest: &Guest, timed: bool) -> (Vec<String>, Vec<String>) {
    let mut host = Host::start(&guest.wat());
    let stream = MockStream::default().map(MapType::RequestHeaders, &[("k", "v")]);
    // Another one, for what is done to that.
    let other = host.stream(&stream.clone().named("other"));
    assert_eq!(other.get(), OTHER);
    host.logs();
    host.proxy.take_events();
    host.proxy.set_timed(timed);
    assert_eq!(host.vm.joins_creation(), !timed);
    let id = host.announce(&stream);
    let mut log = Vec::new();
    let action = host.vm.on_request_headers(id, 1, true);
    log.extend(host.logs());
    log.push(format!("{action:?}"));
    let finished = host.vm.finish(id, true);
    log.extend(host.logs());
    log.push(format!("{finished:?}"));
    let mut events = host.proxy.take_events();
    events.retain(|event| !event.starts_with("timed"));
    events.extend(stream.take_events());
    (log, events)
}

#[test]
fn all_is_as_if_they_were_made_one_by_one() {
    let set_root = "(drop (call $proxy_set_effective_context #1))";
    let set_other = "(drop (call $proxy_set_effective_context #2))";
    let get = "(call $note (call $proxy_get_header_map_value #0 {k} @))";
    let respond = "(drop (call $proxy_send_local_response #200 #0 #0 #0 #0 #0 #0 #-1))";
    let close = "(drop (call $proxy_close_stream #0))";
    let done = "(call $note (call $proxy_done))";
    let trap = "unreachable";
    for (name, ..) in JOINED {
        for body in [get, set_root, set_other, respond, close, done, trap] {
            // Each callback says whether it has the stream.
            let mut more: Vec<_> = JOINED.iter().map(|(name, ..)| (*name, get)).collect();
            more.push((name, body));
            let guest = guest(OTHER, &more);
            assert_eq!(
                request(&guest, false),
                request(&guest, true),
                "{name}: {body}"
            );
        }
        let both = [(name, set_other), (name, close), (name, done)];
        assert_eq!(
            request(&guest(OTHER, &both), false),
            request(&guest(OTHER, &both), true)
        );
    }
}

#[test]
fn a_trap_is_told_of_the_callback_that_it_is_in() {
    for (place, (name, ..)) in JOINED.into_iter().enumerate() {
        let (log, _) = request(&guest(OTHER, &[(name, "unreachable")]), false);
        let said = |name: &str| log.iter().any(|line| line == name);
        let trapped = log.iter().find(|line| line.contains("trapped"));
        assert!(trapped.is_none());
        let error = log.iter().find(|line| line.contains("Trap")).unwrap();
        let callback = format!("callback: \"proxy_{name}\"");
        assert!(error.contains(&callback), "{error}");
        // The guest's frames alone.
        let frames = error.rsplit(" in ").next().unwrap();
        assert_eq!(frames, format!("proxy_{name}_\" }})"), "{error}");
        for (later, ..) in &JOINED[place + 1..] {
            assert!(!said(later), "{later} behind a trap in {name}: {log:?}");
        }
        for (earlier, ..) in &JOINED[..=place] {
            assert!(said(earlier), "{earlier} before a trap in {name}: {log:?}");
        }
    }
}

#[test]
fn a_context_that_is_not_done_waits() {
    let waits = |name: &str| format!("(drop (call $proxy_log #2 {{{name}}}))");
    let mut guest = Guest::new()
        .request_headers("")
        .callback("on_context_create", 2, false, "")
        .callback("on_done", 1, true, &format!("{} #0", waits("done")))
        .callback(
            "on_tick",
            1,
            false,
            "(drop (call $proxy_set_effective_context #2)) (drop (call $proxy_done))",
        );
    for name in ["on_log", "on_delete"] {
        guest = guest.callback(name, 1, false, &waits(name));
    }
    let mut host = Host::start(&guest.wat());
    let id = host.announce(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    host.vm.finish(id, true).unwrap();
    assert_eq!(host.logs(), ["done"]);
    assert_eq!(host.vm.context_count(), 1);
    // Nothing happens twice.
    host.vm.finish(id, true).unwrap();
    assert_eq!(host.logs(), [""; 0]);
    host.vm.on_tick(host.root).unwrap();
    assert_eq!(host.logs(), ["on_log", "on_delete"]);
    assert_eq!(host.vm.context_count(), 0);
    host.vm.on_tick(host.root).unwrap();
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn whichever_callback_comes_first_the_context_is_created_before_it() {
    type First = fn(&mut Vm<MockProxy>, ContextId);
    let first: [(&str, First); 4] = [
        ("on_response_headers", |vm, id| {
            assert_eq!(vm.on_response_headers(id, 0, true), Ok(Action::Continue));
        }),
        ("on_request_body", |vm, id| {
            assert_eq!(vm.on_request_body(id, 0, true), Ok(Action::Continue));
        }),
        ("on_response_trailers", |vm, id| {
            assert_eq!(vm.on_response_trailers(id, 0), Ok(Action::Continue));
        }),
        ("on_done", |_, _| {}),
    ];
    for (name, call) in first {
        let mut host = Host::start(&guest(ROOT, &[]).wat());
        let id = host.announce(&MockStream::default());
        assert_eq!(host.logs(), [""; 0], "{name}");
        call(&mut host.vm, id);
        host.vm.on_request_headers(id, 0, true).unwrap();
        host.vm.finish(id, false).unwrap();
        let all = [
            "on_context_create",
            "on_request_headers",
            "on_done",
            "on_delete",
        ];
        assert_eq!(host.logs(), all, "{name}");
    }
}

#[test]
fn of_a_stream_that_ends_when_it_is_created_the_headers_are_not_told() {
    let respond = "(drop (call $proxy_send_local_response #200 #0 #0 #0 #0 #0 #0 #-1))";
    let (log, events) = request(&guest(OTHER, &[("on_context_create", respond)]), false);
    assert_eq!(log[..2], ["on_context_create", "Err(EndedAtCreation)"]);
    assert_eq!(events.len(), 1);
    // Another one's end is not this one's.
    let other = format!("(drop (call $proxy_set_effective_context #2)) {respond}");
    let (log, _) = request(&guest(OTHER, &[("on_context_create", &other)]), false);
    assert_eq!(log[..2], ["on_context_create", "on_request_headers"]);
}

#[test]
fn guests_that_lack_one_of_the_callbacks() {
    for (missing, ..) in JOINED {
        let mut guest = Guest::new();
        for (name, params, answer) in JOINED {
            if name != missing {
                let body = format!("(drop (call $proxy_log #2 {{{name}}})) {answer}");
                guest = guest.callback(name, params, !answer.is_empty(), &body);
            }
        }
        let mut host = Host::start(&guest.wat());
        host.logs();
        let id = host.announce(&MockStream::default());
        host.vm.on_request_headers(id, 0, true).unwrap();
        host.vm.finish(id, true).unwrap();
        let names = JOINED.iter().map(|(name, ..)| *name);
        let rest: Vec<_> = names.filter(|name| *name != missing).collect();
        assert_eq!(host.logs(), rest);
    }
}

/// 0.1.0's header callback has no end of stream.
#[test]
fn guests_of_the_first_version() {
    let guest = Guest::new()
        .abi("0_1_0")
        .callback(
            "on_context_create",
            2,
            false,
            "(drop (call $proxy_log #2 {create}))",
        )
        .callback(
            "on_request_headers",
            2,
            true,
            "(drop (call $proxy_log #2 {headers})) #1",
        );
    let mut host = Host::start(&guest.wat());
    assert_eq!(host.logs(), ["create"]);
    assert!(!host.vm.joins_creation());
    let id = host.announce(&MockStream::default());
    assert_eq!(host.vm.on_request_headers(id, 0, true), Ok(Action::Pause));
    assert_eq!(host.logs(), ["create", "headers"]);
}

#[test]
fn vms_of_snapshots_have_them_too() {
    let engine = Engine::new().unwrap();
    let wat = guest(
        ROOT,
        &[(
            "on_log",
            "(if (i32.eq (i32.load #512) #1) (then unreachable)) (i32.store #512 #1)",
        )],
    )
    .wat();
    let program = Program::compile_for_snapshots(&engine, wat.as_bytes()).unwrap();
    let mut vm = Vm::start(&engine, &program, MockProxy::default(), vm_config()).unwrap();
    let root = vm.create_root(plugin_config()).unwrap();
    let snapshot = vm.snapshot(&engine).unwrap();
    let proxy = MockProxy::default();
    let mut vm = snapshot.start(proxy.clone()).unwrap();
    let request = |vm: &mut Vm<MockProxy>, proxy: &MockProxy| {
        assert!(vm.joins_creation());
        let id = vm.announce_stream(root, MockStream::default()).unwrap();
        assert_eq!(vm.on_request_headers(id, 0, true), Ok(Action::Continue));
        let finished = vm.finish(id, true);
        (proxy.take_logs().len(), finished)
    };
    assert_eq!(request(&mut vm, &proxy), (5, Ok(())));
    // One that was announced goes with the rest.
    vm.announce_stream(root, MockStream::default()).unwrap();
    let proxy = MockProxy::default();
    assert!(snapshot.rewind(&mut vm, proxy.clone()));
    assert_eq!(request(&mut vm, &proxy), (5, Ok(())));
    let (said, finished) = request(&mut vm, &proxy);
    let trap = finished.unwrap_err();
    assert_eq!(said, 4);
    assert!(
        matches!(
            trap,
            CallError::Trap {
                callback: "proxy_on_log",
                ..
            }
        ),
        "{trap}"
    );
}
