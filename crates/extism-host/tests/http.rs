//! Outbound requests, and guests that wait.

use std::task::Poll;
use std::time::Duration;

use crate::common::guest::{function, texts};
use crate::common::{Host, Task, guest, manifest};
use extism_host::{Failure, Limits, LogLevel, Manifest, PluginConfig};
use guest_host::CapabilityRules;

/// A plugin that sends its input as the request: `get` alone, `post` with a body.
fn plugin(fields: &str) -> Manifest {
    let (data, [body]) = texts(["the body"]);
    let get = "(call $answer (call $http_request (call $input_offset) (i64.const 0)))";
    let post =
        format!("(call $answer (call $http_request (call $input_offset) (call $text {body})))");
    let status = "(call $note32 (call $http_status_code)) (call $notes)";
    let headers = "(call $answer (call $http_headers))";
    let fields = [
        data,
        function("get", get),
        function("post", &post),
        function("status", status),
        function("headers", headers),
        "(global $count (mut i64) (i64.const 0))".into(),
        function(
            "count",
            "(global.set $count (i64.add (global.get $count) (i64.const 1))) (call $note (global.get $count)) (call $notes)",
        ),
        fields.into(),
    ];
    let mut manifest = manifest(&guest(&fields.concat()));
    manifest.allow_host("*.test").unwrap();
    manifest
}

const URL: &[u8] = br#"{"url":"http://a.test/path"}"#;

fn host() -> Host {
    Host::of(&plugin(""), PluginConfig::default())
}

#[test]
fn a_response_that_is_there_at_once() {
    let mut host = host();
    assert!(host.linked.program().waits());
    assert_eq!(host.numbers("status", b""), [0]);
    host.mock.respond_with(201, b"the response");
    let input = br#"{"url":"http://a.test:8080/path?q","method":"post","headers":{"X-A":"1"}}"#;
    assert_eq!(host.output("post", input), b"the response");
    assert_eq!(host.numbers("status", b""), [201]);
    let state = host.mock.0.borrow();
    let request = &state.requests[0];
    assert_eq!(request.request.method(), "POST");
    assert_eq!(request.request.uri(), "http://a.test:8080/path?q");
    assert_eq!(request.request.headers()["x-a"], "1");
    assert_eq!(request.request.body(), b"the body");
    assert_eq!((request.timeout, request.max_response), (None, 50 << 20));
}

#[test]
fn any_status_is_a_success_and_an_empty_body_is_zero() {
    let mut host = host();
    for status in [200, 404, 500] {
        host.mock.respond_with(status, b"");
        assert_eq!(host.output("get", URL), b"");
        assert_eq!(host.numbers("status", b""), [u64::from(status)]);
    }
}

#[test]
fn a_guest_waits_and_others_run_meanwhile() {
    let mut host = host();
    let mut other = host.linked.plugin(host.mock.clone());
    let get = host.linked.program().function("get").unwrap();
    let mut task = Task::new(async {
        let mut outcome = host.plugin.call(get, URL).await;
        (outcome.code(), outcome.output().to_vec())
    });
    assert!(task.poll().is_pending());
    assert_eq!(host.mock.requests(), 1);
    assert!(task.poll().is_pending(), "polled without a reason");
    assert_eq!(host.mock.requests(), 1);
    for count in 1u64..=3 {
        assert_eq!(
            crate::common::call(&mut other, "count", b"").output,
            count.to_le_bytes()
        );
    }
    let mut another = Task::new(async {
        let mut outcome = other.call(get, URL).await;
        outcome.output().to_vec()
    });
    assert!(another.poll().is_pending());
    assert_eq!(task.woken(), 0);
    host.mock.respond_with(200, b"late");
    assert!(task.woken() > 0 && another.woken() > 0);
    assert_eq!(task.poll(), Poll::Ready((0, b"late".to_vec())));
    assert!(another.poll().is_pending());
    host.mock.respond_with(200, b"later");
    assert_eq!(another.poll(), Poll::Ready(b"later".to_vec()));
    drop((task, another));
    assert_eq!(host.mock.pending(), 0);
    assert!(!host.plugin.poisoned());
}

#[test]
fn a_thousand_guests_wait() {
    let host = host();
    let get = host.linked.program().function("get").unwrap();
    let mut plugins: Vec<_> = (0..1000)
        .map(|_| host.linked.plugin(host.mock.clone()))
        .collect();
    let mut tasks: Vec<_> = plugins
        .iter_mut()
        .map(|plugin| {
            Task::new(async move {
                let mut outcome = plugin.call(get, URL).await;
                outcome.output().to_vec()
            })
        })
        .collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    for (number, task) in tasks.iter_mut().enumerate() {
        let body = number.to_string().into_bytes();
        host.mock.respond_with(200, &body);
        assert_eq!(task.poll(), Poll::Ready(body));
    }
}

#[test]
fn a_guest_waits_again_and_again() {
    let (data, _) = texts([""]);
    let body = "(local $i i32) (loop $on
        (drop (call $http_request (call $text (i32.const 200) (i32.const 28)) (i64.const 0)))
        (call $note32 (call $http_status_code))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $on (i32.lt_u (local.get $i) (i32.const 3)))) (call $notes)";
    let text: String = URL.iter().map(|b| format!("\\{b:02x}")).collect();
    let fields = format!(
        "{data} (data (i32.const 200) \"{text}\") {}",
        function("three", body)
    );
    let mut host = Host::of(&plugin(&fields), PluginConfig::default());
    let three = host.linked.program().function("three").unwrap();
    let mut task = Task::new(async {
        let mut outcome = host.plugin.call(three, &b""[..]).await;
        outcome.output().to_vec()
    });
    for status in [200, 201, 202] {
        assert!(task.poll().is_pending());
        host.mock.respond_with(status, b"x");
    }
    let Poll::Ready(output) = task.poll() else {
        panic!("still waits")
    };
    let numbers: Vec<_> = output.chunks(8).map(|n| u64::from(n[0])).collect();
    assert_eq!(numbers, [200, 201, 202]);
}

#[test]
fn a_call_that_is_dropped_ends_the_instance() {
    let mut host = host();
    let get = host.linked.program().function("get").unwrap();
    let mut task = Task::new(async { host.plugin.call(get, URL).await.code() });
    assert!(task.poll().is_pending());
    assert_eq!(host.mock.pending(), 1);
    drop(task);
    assert_eq!(host.mock.pending(), 0, "the request goes with the call");
    assert!(host.plugin.poisoned());
    let came = host.call("count", b"");
    assert_eq!((came.code, came.failure), (-1, Some(Failure::Poisoned)));
    host.renew();
    assert_eq!(host.numbers("count", b""), [1]);
}

#[test]
fn an_instance_that_waits_can_be_dropped_with_its_call() {
    let host = host();
    let get = host.linked.program().function("get").unwrap();
    let mut plugin = host.linked.plugin(host.mock.clone());
    let mut task = Task::new(async move { plugin.call(get, URL).await.code() });
    assert!(task.poll().is_pending());
    drop(task);
    assert_eq!(host.mock.pending(), 0);
}

#[test]
fn a_call_that_must_not_wait_fails() {
    let mut host = host();
    let came = host.call("get", URL);
    assert_eq!((came.code, came.failure), (-1, Some(Failure::Waits)));
    assert!(host.plugin.poisoned());
    assert_eq!(host.mock.pending(), 0);
}

#[test]
fn what_is_refused_ends_the_call() {
    for (input, reason) in [
        (
            &br#"{"url":"http://b.example/"}"#[..],
            "HTTP request to http://b.example/ is not allowed",
        ),
        (
            br#"{"url":"ftp://a.test/"}"#,
            "HTTP request: unknown scheme: ftp",
        ),
        (
            br#"{"url":"a.test"}"#,
            "HTTP request: Invalid URL: relative URL without a base",
        ),
        (
            br#"{"url":"http://a.test/","method":"foo"}"#,
            "HTTP request: unknown method FOO",
        ),
        (
            br#"{"url":"http://a.test/","headers":{"a":"\n"}}"#,
            "HTTP request: invalid header a",
        ),
        (
            br#"{"url":"http://a.test/","more":1}"#,
            "HTTP request is not JSON as it should be: unknown field `more`",
        ),
        (b"", "HTTP request is not JSON as it should be: EOF"),
    ] {
        let mut host = host();
        let (code, found) = host.failure_of("get", input);
        assert_eq!(code, -1);
        assert!(found.starts_with(reason), "{found}");
        assert!(host.plugin.poisoned());
        assert_eq!(host.mock.requests(), 0);
    }
    let mut manifest = plugin("");
    manifest.allowed_paths.clear();
    let no_hosts = Manifest::of_module(b"(module)".to_vec());
    assert_eq!(no_hosts.allowed_hosts().count(), 0, "by default");
    let mut host = host();
    host.mock.respond(Err("connection refused".into()));
    let (code, found) = host.failure_of("get", URL);
    assert_eq!(code, -1);
    assert!(
        found.starts_with("HTTP request: connection refused in "),
        "{found}"
    );
}

#[test]
fn a_denied_family_ends_the_call_and_is_logged() {
    let mut rules = CapabilityRules::default();
    rules.deny(b"http_call").unwrap();
    let config = PluginConfig {
        capabilities: rules.capabilities().unwrap(),
        ..PluginConfig::default()
    };
    let mut host = Host::of(&plugin(""), config.clone());
    assert!(!host.linked.program().calls_out(&config));
    assert!(host.linked.program().calls_out(&PluginConfig::default()));
    host.mock.log_from(LogLevel::Error);
    let (code, found) = host.failure_of("get", URL);
    assert_eq!(code, -1);
    assert!(found.starts_with("http_request is not allowed"), "{found}");
    let line = "http_request is denied; allow=http_call permits it";
    assert_eq!(host.mock.lines(), [(LogLevel::Error, line.into())]);
}

#[test]
fn blocks_that_are_none_end_the_call() {
    let fields = function(
        "bad",
        "(drop (call $http_request (i64.const 99999) (i64.const 0)))",
    ) + &function(
        "body",
        "(drop (call $http_request (call $input_offset) (i64.const 99999)))",
    ) + &function(
        "freed",
        "(call $note (call $http_request (call $input_offset) (i64.const 0))) (call $note (call $length (call $input_offset))) (call $notes)",
    );
    let mut host = Host::of(&plugin(&fields), PluginConfig::default());
    let (code, found) = host.failure("bad");
    assert_eq!(code, -1);
    assert!(
        found.starts_with("there is no block at offset 99999 for an HTTP request"),
        "{found}"
    );
    host.renew();
    let (_, found) = host.failure_of("body", URL);
    assert!(
        found.starts_with("there is no block at offset 99999 for the body of an HTTP request"),
        "{found}"
    );
    host.renew();
    host.mock.respond_with(204, b"");
    assert_eq!(host.numbers("freed", URL), [0, 0]);
}

#[test]
fn a_response_that_is_too_large_ends_the_call() {
    let mut manifest = plugin("");
    manifest.max_http_response_bytes = 10;
    let mut host = Host::of(&manifest, PluginConfig::default());
    host.mock.respond_with(200, &[b'x'; 10]);
    assert_eq!(host.output("get", URL), [b'x'; 10]);
    host.mock.respond_with(200, &[b'x'; 11]);
    let (code, found) = host.failure_of("get", URL);
    assert_eq!(code, -1);
    assert!(
        found.starts_with("HTTP response exceeds the configured maximum number of bytes: 10"),
        "{found}"
    );
}

#[test]
fn headers_are_told_where_that_is_on() {
    let respond = |host: &Host| {
        let response = http::Response::builder()
            .header("X-A", "1")
            .header("x-a", "2")
            .header("B", "ä");
        host.mock.respond(Ok(response.body(Vec::new()).unwrap()));
    };
    let mut host = host();
    respond(&host);
    host.output("get", URL);
    assert_eq!(host.output("headers", b""), b"");
    let config = PluginConfig {
        response_headers: true,
        ..PluginConfig::default()
    };
    let mut host = Host::of(&plugin(""), config);
    assert_eq!(host.output("headers", b""), b"{}");
    respond(&host);
    host.output("get", URL);
    assert_eq!(host.output("headers", b""), br#"{"x-a":"2"}"#);
}

#[test]
fn waiting_takes_no_processor_time() {
    let config = PluginConfig {
        limits: Limits {
            cpu_time: Duration::from_millis(50),
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let mut host = Host::of(&plugin(""), config);
    let get = host.linked.program().function("get").unwrap();
    let mut task = Task::new(async { host.plugin.call(get, URL).await.code() });
    assert!(task.poll().is_pending());
    // The thread has work of its own, and the guest's time does not pass.
    let started = std::time::Instant::now();
    let mut x = 0u64;
    while started.elapsed() < Duration::from_millis(200) {
        x = std::hint::black_box(x.wrapping_mul(3) + 1);
    }
    host.mock.respond_with(200, b"");
    assert_eq!(task.poll(), Poll::Ready(0));
}

#[test]
fn a_guest_that_waits_and_loops_is_ended() {
    let config = PluginConfig {
        limits: Limits {
            cpu_time: Duration::from_millis(50),
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let spin = function(
        "spin",
        "(drop (call $http_request (call $input_offset) (i64.const 0))) (call $spin)",
    );
    let mut host = Host::of(&plugin(&spin), config);
    host.mock.respond_with(200, b"");
    let (code, found) = host.failure_of("spin", URL);
    assert_eq!(code, 134);
    assert!(
        found.starts_with("timeout: over cpu_time=50ms in spin"),
        "{found}"
    );
}

#[test]
fn the_timeout_covers_waiting() {
    let mut manifest = plugin("");
    manifest.timeout = Some(Duration::from_millis(100));
    let mut host = Host::of(&manifest, PluginConfig::default());
    let get = host.linked.program().function("get").unwrap();
    let mut task = Task::new(async {
        let outcome = host.plugin.call(get, URL).await;
        (outcome.code(), outcome.failure().map(ToString::to_string))
    });
    assert!(task.poll().is_pending());
    let told = host.mock.0.borrow().requests[0].timeout.unwrap();
    assert!(told <= Duration::from_millis(100));
    std::thread::sleep(Duration::from_millis(120));
    // Told by the client, which has been told how long it may take.
    host.mock.respond(Err("timed out".into()));
    let Poll::Ready((code, Some(reason))) = task.poll() else {
        panic!("no failure")
    };
    assert_eq!(code, 134);
    assert!(
        reason.starts_with("timeout: over timeout=100ms"),
        "{reason}"
    );
}

#[test]
fn a_guest_that_waits_has_all_of_its_stack() {
    let deep = "(func $deep (param $n i32) (result i32)
        (if (result i32) (local.get $n)
          (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)))))
          (else (i32.wrap_i64 (call $http_request (call $input_offset) (i64.const 0))))))
        (func $endless (param $n i32) (result i32) (i32.add (i32.const 1) (call $endless (local.get $n))))"
        .to_owned()
        + &function("deep", "(drop (call $deep (i32.const 8000)))")
        + &function("endless", "(drop (call $endless (i32.const 0)))");
    let mut host = Host::of(&plugin(&deep), PluginConfig::default());
    host.mock.respond_with(200, b"x");
    host.output("deep", URL);
    let (code, found) = host.failure("endless");
    assert_eq!(code, 134);
    assert!(found.contains("stack=512k"), "{found}");
}

#[test]
fn a_start_can_wait() {
    let text: String = URL.iter().map(|b| format!("\\{b:02x}")).collect();
    let fields = format!(
        "(data (i32.const 200) \"{text}\") (global $len (mut i64) (i64.const 0))
         (func (export \"_initialize\")
           (global.set $len (call $length (call $http_request (call $text (i32.const 200) (i32.const 28)) (i64.const 0)))))
         {}",
        function("len", "(call $note (global.get $len)) (call $notes)")
    );
    let mut host = Host::of(&plugin(&fields), PluginConfig::default());
    let mut task = Task::new(async { host.plugin.start().await.is_ok() });
    assert!(task.poll().is_pending());
    host.mock.respond_with(200, b"four");
    assert_eq!(task.poll(), Poll::Ready(true));
    drop(task);
    assert_eq!(host.numbers("len", b""), [4]);
}
