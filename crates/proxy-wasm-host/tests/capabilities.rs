//! `allow=` and `deny=`: what a guest gets of functions it may not use, and what still works.

use crate::common::guest::{REQUEST, map};
use crate::common::{Guest, Host, MockProxy, MockStream, plugin_config, statuses, vm_config};
use proxy_wasm_host::{CapabilityRules, Engine, LogLevel, Program, Vm};

const OK: u32 = 0;
const DENIED: u32 = 10;
const NOT_CAPABLE: u32 = 76;

fn host(guest: &Guest, allow: &str, deny: &str) -> Host {
    let mut rules = CapabilityRules::default();
    for (value, allows) in [(allow, true), (deny, false)] {
        let read = match (value, allows) {
            ("", _) => Ok(()),
            (value, true) => rules.allow(value.as_bytes()),
            (value, false) => rules.deny(value.as_bytes()),
        };
        read.unwrap();
    }
    let mut config = vm_config();
    config.capabilities = rules.capabilities().unwrap();
    let engine = Engine::new().unwrap();
    let program = Program::compile(&engine, guest.wat().as_bytes()).unwrap();
    let proxy = MockProxy::default();
    let mut vm = Vm::start(&engine, &program, proxy.clone(), config).unwrap();
    let root = vm.create_root(plugin_config()).unwrap();
    Host { vm, proxy, root }
}

/// What one request made: the statuses of its calls, the lines at level error, and what the proxy
/// was asked for.
struct Outcome {
    statuses: Vec<u32>,
    errors: Vec<String>,
    events: Vec<String>,
    /// Properties that have a value now.
    written: Vec<&'static str>,
}

fn run(calls: &[&str], allow: &str, deny: &str) -> Outcome {
    let body: String = calls
        .iter()
        .map(|call| format!("(call $note (call ${call}))"))
        .collect();
    let mut host = host(&Guest::new().request_headers(&body), allow, deny);
    let stream = MockStream::default().with_hosts(&[("a:1", "{}")]);
    let id = host.stream(&stream);
    host.proxy.take_entries();
    host.vm.on_request_headers(id, 0, true).unwrap();
    let written = ["writable", "filter_state.a"].into_iter();
    let written = written.filter(|path| stream.get_property(path).is_some());
    let entries = host.proxy.take_entries();
    let (errors, notes): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|e| e.1 == LogLevel::Error);
    Outcome {
        statuses: statuses(notes.into_iter().map(|e| e.2).collect()).0,
        errors: errors.into_iter().map(|e| e.2).collect(),
        events: host.proxy.take_events(),
        written: written.collect(),
    }
}

/// Of each family its functions, with arguments that are all right, and what the first one is called in the log.
fn families() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let http = format!(
        "proxy_http_call {{auth}} {} {{}} {{}} #0 #24",
        map(&REQUEST)
    );
    let set_state = r"proxy_call_foreign_function {set_envoy_filter_state} {\x0a\x01a\x12\x01b} @";
    let declare = r"proxy_call_foreign_function {declare_property} {\x0a\x01a} @";
    let of = |calls: &[&str]| {
        calls
            .iter()
            .map(|call| (*call).to_owned())
            .collect::<Vec<_>>()
    };
    vec![
        ("http_call", "proxy_http_call", vec![http]),
        (
            "grpc_call",
            "proxy_grpc_call",
            of(&[
                "proxy_grpc_call {auth} {s} {m} {} {x} #0 #24",
                "proxy_grpc_stream {auth} {s} {m} {} #28",
                "proxy_grpc_send (i32.load #28) {x} #0",
                "proxy_grpc_close (i32.load #28)",
                "proxy_grpc_cancel (i32.load #24)",
                "proxy_get_status #32 @",
            ]),
        ),
        (
            "redis",
            "proxy_redis_init",
            of(&[
                "proxy_redis_init {cache} {} {} #0",
                "proxy_redis_call {cache} {q} #24",
            ]),
        ),
        (
            "upstream_hosts",
            "proxy_get_upstream_hosts",
            of(&[
                "proxy_get_upstream_hosts @",
                "proxy_set_upstream_override_host {a:1}",
            ]),
        ),
        (
            "shared_data",
            "proxy_set_shared_data",
            of(&[
                "proxy_set_shared_data {a} {x} #0",
                "proxy_get_shared_data {a} @ #24",
            ]),
        ),
        (
            "shared_queue",
            "proxy_register_shared_queue",
            of(&[
                "proxy_register_shared_queue {q} #24",
                "proxy_resolve_shared_queue {} {q} #24",
                "proxy_enqueue_shared_queue #1 {x}",
                "proxy_dequeue_shared_queue #1 @",
            ]),
        ),
        (
            "metrics",
            "proxy_define_metric",
            of(&[
                "proxy_define_metric #0 {m} #24",
                "proxy_increment_metric #1 (i64.const 1)",
                "proxy_record_metric #1 (i64.const 1)",
                "proxy_get_metric #1 #32",
            ]),
        ),
        (
            "properties_write",
            "proxy_set_property",
            of(&["proxy_set_property {writable} {x}", set_state, declare]),
        ),
        (
            "clock",
            "proxy_get_current_time_nanoseconds",
            of(&["proxy_get_current_time_nanoseconds #24"]),
        ),
    ]
}

#[test]
fn a_denied_family_answers_a_status_does_nothing_and_is_logged_once() {
    for (family, first, calls) in families() {
        let twice: Vec<&str> = calls.iter().chain(&calls).map(String::as_str).collect();
        let denied = run(&twice, "", family);
        assert_eq!(denied.statuses, vec![DENIED; twice.len()], "{family}");
        assert_eq!(
            denied.errors,
            [format!("{first} is denied; allow={family} permits it")]
        );
        assert!(denied.events.is_empty(), "{family}: {:?}", denied.events);
        assert!(denied.written.is_empty(), "{family}: {:?}", denied.written);
    }
}

#[test]
fn allowed_families_work_beside_denied_ones() {
    for (family, _, calls) in families() {
        let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
        for (allow, deny) in [("", ""), (family, "all")] {
            let allowed = run(&calls, allow, deny);
            assert_eq!(allowed.statuses, vec![OK; calls.len()], "{family}");
            assert!(allowed.errors.is_empty(), "{:?}", allowed.errors);
            let writes = if family == "properties_write" { 2 } else { 0 };
            assert_eq!(allowed.written.len(), writes, "{family}");
        }
    }
}

#[test]
fn every_family_has_its_own_line() {
    let all: Vec<String> = families()
        .into_iter()
        .flat_map(|(_, _, calls)| calls)
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let denied = run(&all, "", "all");
    assert_eq!(denied.statuses, vec![DENIED; all.len()]);
    let lines: Vec<_> = families()
        .iter()
        .map(|(family, first, _)| format!("{first} is denied; allow={family} permits it"))
        .collect();
    assert_eq!(denied.errors, lines);
}

/// WASI's numbers are larger than what `$note` can show.
fn wasi(calls: &[&str], deny: &str) -> (Vec<u32>, Vec<String>) {
    let body: String = calls
        .iter()
        .map(|call| format!("(call $say_number (i64.extend_i32_u (call ${call})))"))
        .collect();
    let body =
        format!("(i64.store #2048 (i64.const 77)) {body} (call $say_number (i64.load #2048))");
    let mut host = host(&Guest::new().request_headers(&body), "", deny);
    let id = host.stream(&MockStream::default());
    host.logs();
    host.vm.on_request_headers(id, 0, true).unwrap();
    let (errors, said): (Vec<_>, Vec<_>) = host
        .proxy
        .take_entries()
        .into_iter()
        .partition(|e| e.1 == LogLevel::Error);
    (
        said.iter()
            .map(|e| {
                e.2.parse::<u64>()
                    .map_or(u32::MAX, |n| n.min(1 << 31) as u32)
            })
            .collect(),
        errors.into_iter().map(|e| e.2).collect(),
    )
}

#[test]
fn wasi_answers_notcapable() {
    let clocks = [
        "clock_time_get #0 (i64.const 0) #2048",
        "clock_time_get #1 (i64.const 0) #2048",
        "clock_res_get #0 #2048",
        "clock_time_get #9 (i64.const 0) #-1",
        "proxy_get_current_time_nanoseconds #2048",
    ];
    let (numbers, errors) = wasi(&clocks, "clock");
    assert_eq!(
        numbers,
        [
            NOT_CAPABLE,
            NOT_CAPABLE,
            NOT_CAPABLE,
            NOT_CAPABLE,
            DENIED,
            77
        ]
    );
    assert_eq!(errors, ["clock_time_get is denied; allow=clock permits it"]);

    let random = [
        "random_get #2048 #8",
        "random_get #2048 #0",
        "poll_oneoff #0 #0 #1 #64",
    ];
    let (numbers, errors) = wasi(&random, "random");
    assert_eq!(numbers, [NOT_CAPABLE, NOT_CAPABLE, OK, 77]);
    assert_eq!(errors, ["random_get is denied; allow=random permits it"]);

    let (numbers, errors) = wasi(&["random_get #2048 #8", "clock_res_get #0 #2048"], "env");
    assert_eq!(numbers, [OK, OK, 1]);
    assert!(errors.is_empty());
}

#[test]
fn entry_points_are_denied_too() {
    let start = "(func (export \"_initialize\") (drop (call $random_get #2048 #8)) (drop (call $proxy_define_metric #0 {m} #24)))";
    let host = host(&Guest::new().with(start), "", "all");
    assert_eq!(
        host.logs(),
        [
            "random_get is denied; allow=random permits it",
            "proxy_define_metric is denied; allow=metrics permits it"
        ]
    );
}

fn http(upstream: &str) -> String {
    format!(
        "proxy_http_call {upstream} {} {{}} {{}} #0 #24",
        map(&REQUEST)
    )
}

#[test]
fn calls_go_to_listed_upstreams_only() {
    let (auth, evil, other) = (http("{Auth}"), http("{evil}"), http(r"{10.0.0.1:8080\0}"));
    let listed = "http_call(auth|10.0.0.1:8080)";
    let some = run(
        &[&auth, &evil, &other, &http("{10.0.0.1:8080}")],
        listed,
        "all",
    );
    assert_eq!(some.statuses, [OK, DENIED, DENIED, OK]);
    assert_eq!(some.events.len(), 2, "{:?}", some.events);
    assert_eq!(
        some.errors,
        ["proxy_http_call to \"evil\" is denied; allow=http_call(…) does not list that upstream"]
    );

    // A serialized GrpcService counts as the upstream that it names.
    let service = r"{\x0a\x06\x0a\x04evil}";
    let packed = r"{\x0a\x06\x0a\x04auth}";
    let call = |to: &str| format!("proxy_grpc_call {to} {{s}} {{m}} {{}} {{x}} #0 #24");
    let stream = |to: &str| format!("proxy_grpc_stream {to} {{s}} {{m}} {{}} #24");
    let (a, b, c, d) = (
        call("{auth}"),
        call(packed),
        call(service),
        stream("{evil}"),
    );
    let some = run(
        &[&a, &b, &c, &d, &stream(packed), &evil],
        "grpc_call(auth)",
        "",
    );
    assert_eq!(
        some.statuses,
        [OK, OK, DENIED, DENIED, OK, OK],
        "http_call has no list"
    );
    assert_eq!(
        some.errors,
        ["proxy_grpc_call to \"evil\" is denied; allow=grpc_call(…) does not list that upstream"]
    );
}

#[test]
fn redis_calls_go_to_listed_upstreams_whatever_their_parameters() {
    let some = run(
        &[
            "proxy_redis_init {Cache?db=1} {} {} #0",
            "proxy_redis_call {cache?db=1} {q} #24",
            "proxy_redis_call {cache} {q} #24",
            "proxy_redis_init {evil?cache} {} {} #0",
            "proxy_redis_call {evil} {q} #24",
        ],
        "redis(cache)",
        "all",
    );
    assert_eq!(some.statuses, [OK, OK, OK, DENIED, DENIED]);
    assert_eq!(some.events.len(), 3, "{:?}", some.events);
    assert_eq!(
        some.errors,
        ["proxy_redis_init to \"evil\" is denied; allow=redis(…) does not list that upstream"]
    );
}

#[test]
fn a_long_name_is_cut_in_the_line() {
    let some = run(&[&http("#0 #5000")], "http_call(auth)", "");
    assert_eq!(some.statuses, [DENIED]);
    assert!(some.errors[0].len() < 1200, "{}", some.errors[0].len());
}

#[test]
fn addresses_of_hosts_are_for_who_may_call_them() {
    let ask = |name: &str| format!("proxy_call_foreign_function {{resolve}} {name} @");
    let (api, evil) = (ask("{api.test}"), ask("{secret.evil.test}"));
    // The mock has no such function.
    const MISSING: u32 = 1;
    for (allow, deny, statuses, line) in [
        ("", "", [MISSING, MISSING], ""),
        ("", "http_call", [MISSING, MISSING], ""),
        ("http_call", "all", [MISSING, MISSING], ""),
        (
            "grpc_call(api.test:1)",
            "all",
            [MISSING, DENIED],
            "resolve of \"secret.evil.test\" is denied; neither allow=http_call(…) nor allow=grpc_call(…) lists that host",
        ),
        (
            "",
            "http_call,grpc_call",
            [DENIED, DENIED],
            "resolve of \"api.test\" is denied; allow=http_call or allow=grpc_call permits it",
        ),
    ] {
        let asked = run(&[&api, &evil, &evil], allow, deny);
        assert_eq!(asked.statuses[..2], statuses, "{allow} {deny}");
        assert_eq!(asked.errors.concat(), line);
    }
}
