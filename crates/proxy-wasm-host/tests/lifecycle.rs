//! Contexts: their ids, the order of their callbacks, their ends.

use crate::common::{Guest, Host, MockStream, plugin_config, statuses};
use proxy_wasm_host::{Action, CallError, ContextId, MapType};

/// Every callback logs its name and arguments, and continues.
fn chatty() -> Guest {
    let mut guest = Guest::new().with(
        "(func $arguments (param $a i32) (param $b i32) (param $c i32)
            (call $say_number (i64.add
                (i64.mul (i64.extend_i32_u (local.get $a)) (i64.const 10000))
                (i64.extend_i32_u (i32.add (i32.mul (local.get $b) #100) (local.get $c))))))",
    );
    for (name, params, result) in [
        ("on_context_create", 2, ""),
        ("on_vm_start", 2, "#1"),
        ("on_configure", 2, "#1"),
        ("on_tick", 1, ""),
        ("on_request_headers", 3, "#0"),
        ("on_request_body", 3, "#0"),
        ("on_request_trailers", 2, "#0"),
        ("on_response_headers", 3, "#0"),
        ("on_response_body", 3, "#0"),
        ("on_response_trailers", 2, "#0"),
        ("on_done", 1, "#1"),
        ("on_log", 1, ""),
        ("on_delete", 1, ""),
    ] {
        let mut arguments: Vec<_> = (0..params).map(|i| format!("(local.get ${i})")).collect();
        arguments.resize(3, "#0".to_owned());
        let body = format!(
            "(drop (call $proxy_log #2 {{{name}}})) (call $arguments {}) {result}",
            arguments.concat()
        );
        guest = guest.callback(name, params, !result.is_empty(), &body);
    }
    guest
}

/// `on_x 10203`: context 1, second argument 2, third 3.
fn calls(host: &Host) -> Vec<String> {
    let logs = host.logs();
    logs.chunks(2).map(|call| call.join(" ")).collect()
}

#[test]
fn the_life_of_a_request() {
    let mut host = Host::start(&chatty().wat());
    assert_eq!(
        calls(&host),
        [
            "on_context_create 10000",
            // 17 and 21 bytes of configuration.
            "on_vm_start 11700",
            "on_configure 12100",
        ]
    );
    let id = host.stream(&MockStream::default());
    let vm = &mut host.vm;
    let go = Ok(Action::Continue);
    assert_eq!(vm.on_request_headers(id, 5, false), go);
    assert_eq!(vm.on_request_body(id, 7, false), go);
    assert_eq!(vm.on_request_body(id, 9, true), go);
    assert_eq!(vm.on_request_trailers(id, 2), go);
    assert_eq!(vm.on_response_headers(id, 6, true), go);
    assert_eq!(vm.on_response_body(id, 0, true), go);
    assert_eq!(vm.on_response_trailers(id, 3), go);
    assert_eq!(vm.context_count(), 1);
    vm.finish(id, true).unwrap();
    assert_eq!(vm.context_count(), 0);
    vm.on_tick(host.root).unwrap();
    vm.shutdown();
    assert_eq!(
        calls(&host),
        [
            "on_context_create 20100",
            "on_request_headers 20500",
            "on_request_body 20700",
            "on_request_body 20901",
            "on_request_trailers 20200",
            "on_response_headers 20601",
            "on_response_body 20001",
            "on_response_trailers 20300",
            "on_done 20000",
            "on_log 20000",
            "on_delete 20000",
            "on_tick 10000",
            // No log of a root context.
            "on_done 10000",
            "on_delete 10000",
        ]
    );
    host.vm.shutdown();
    assert_eq!(host.logs(), [""; 0], "all is over");
}

#[test]
fn without_a_log() {
    let mut host = Host::start(&chatty().wat());
    let id = host.stream(&MockStream::default());
    calls(&host);
    host.vm.finish(id, false).unwrap();
    assert_eq!(calls(&host), ["on_done 20000", "on_delete 20000"]);
    // Twice is once, and an unknown id is none.
    host.vm.finish(id, true).unwrap();
    host.vm.finish(ContextId::new(77), true).unwrap();
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn a_root_context_is_never_logged() {
    let mut host = Host::start(&chatty().wat());
    calls(&host);
    let root = host.root;
    host.vm.finish(root, true).unwrap();
    assert_eq!(calls(&host), ["on_done 10000", "on_delete 10000"]);
    assert_eq!(
        host.vm.create_stream(root, MockStream::default()),
        Err(CallError::UnknownContext)
    );
}

#[test]
fn shutdown_ends_streams_first() {
    let mut host = Host::start(&chatty().wat());
    let stream = MockStream::default();
    host.stream(&stream);
    host.stream(&stream);
    calls(&host);
    host.vm.shutdown();
    assert_eq!(
        calls(&host),
        [
            "on_done 20000",
            "on_delete 20000",
            "on_done 30000",
            "on_delete 30000",
            "on_done 10000",
            "on_delete 10000"
        ]
    );
    assert_eq!(stream.handles(), 1);
}

#[test]
fn root_contexts_with_their_own_streams_and_configurations() {
    let guest = Guest::new()
        .request_headers("(drop (call $proxy_get_buffer_bytes #7 #0 #9 @)) (call $say)");
    let mut host = Host::start(&guest.wat());
    let mut config = plugin_config();
    config.configuration = b"other"[..].into();
    let other = host.vm.create_root(config).unwrap();
    assert_ne!(other, host.root);
    let first = host.stream(&MockStream::default());
    let second = host.vm.create_stream(other, MockStream::default()).unwrap();
    host.vm.on_request_headers(second, 0, true).unwrap();
    host.vm.on_request_headers(first, 0, true).unwrap();
    assert_eq!(host.logs(), ["other", "plugin\0co"]);
    // A stream is no root.
    assert_eq!(
        host.vm.create_stream(first, MockStream::default()),
        Err(CallError::UnknownContext)
    );
}

#[test]
fn ids_are_fresh_and_streams_are_let_go() {
    let mut host = Host::start(&Guest::new().request_headers("").wat());
    let stream = MockStream::default();
    let mut last = host.root;
    for _ in 0..100 {
        let id = host.stream(&stream);
        assert!(id > last);
        last = id;
        host.vm.on_request_headers(id, 0, true).unwrap();
        assert_eq!(stream.handles(), 2, "the context's own");
        host.vm.finish(id, true).unwrap();
        assert_eq!(stream.handles(), 1);
    }
}

#[test]
fn callbacks_for_unknown_contexts() {
    let mut host = Host::start(&chatty().wat());
    let id = host.stream(&MockStream::default());
    host.vm.finish(id, true).unwrap();
    host.logs();
    let unknown = Err(CallError::UnknownContext);
    for id in [0, id.get(), host.root.get(), 999, u32::MAX] {
        let vm = &mut host.vm;
        assert_eq!(vm.on_request_headers(ContextId::new(id), 0, true), unknown);
        assert_eq!(vm.on_request_body(ContextId::new(id), 0, true), unknown);
        assert_eq!(vm.on_request_trailers(ContextId::new(id), 0), unknown);
        assert_eq!(vm.on_response_headers(ContextId::new(id), 0, true), unknown);
        assert_eq!(vm.on_response_body(ContextId::new(id), 0, true), unknown);
        assert_eq!(vm.on_response_trailers(ContextId::new(id), 0), unknown);
    }
    assert_eq!(
        host.vm.on_tick(ContextId::new(0)),
        Err(CallError::UnknownContext)
    );
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn answers_mean_what_they_do_in_envoy() {
    use Action::{Continue, Drop, Pause, PauseAll, PauseUnseen};
    for (answer, headers, body, trailers) in [
        ("#0", Continue, Continue, Continue),
        ("#1", Pause, Pause, Pause),
        ("#2", Continue, PauseUnseen, Pause),
        ("#3", PauseAll, Drop, Pause),
        ("#4", PauseAll, Drop, Pause),
        ("#-1", PauseAll, Drop, Pause),
    ] {
        let mut guest = Guest::new();
        for (name, params) in [
            ("on_request_headers", 3),
            ("on_request_body", 3),
            ("on_request_trailers", 2),
            ("on_response_headers", 3),
            ("on_response_body", 3),
            ("on_response_trailers", 2),
        ] {
            guest = guest.callback(name, params, true, answer);
        }
        let mut host = Host::start(&guest.wat());
        let id = host.stream(&MockStream::default());
        let vm = &mut host.vm;
        assert_eq!(vm.on_request_headers(id, 0, true), Ok(headers));
        assert_eq!(vm.on_request_body(id, 0, true), Ok(body));
        assert_eq!(vm.on_request_trailers(id, 0), Ok(trailers));
        assert_eq!(vm.on_response_headers(id, 0, true), Ok(headers));
        assert_eq!(vm.on_response_body(id, 0, true), Ok(body));
        assert_eq!(vm.on_response_trailers(id, 0), Ok(trailers));
    }
}

#[test]
fn header_callbacks_without_an_end_of_stream() {
    for version in ["0_1_0", "0_2_1"] {
        let say = "(call $say_number (i64.extend_i32_u (local.get $1)))";
        let guest = Guest::new()
            .abi(version)
            .callback("on_request_headers", 2, true, &format!("{say} #1"))
            .callback("on_response_headers", 2, true, &format!("{say} #0"));
        let mut host = Host::start(&guest.wat());
        let id = host.stream(&MockStream::default());
        assert_eq!(host.vm.on_request_headers(id, 4, true), Ok(Action::Pause));
        assert_eq!(
            host.vm.on_response_headers(id, 5, true),
            Ok(Action::Continue)
        );
        assert_eq!(host.logs(), ["4", "5"]);
    }
}

/// A guest whose streams are done when a later stream says so, in `on_request_headers`.
fn deferring() -> Guest {
    Guest::new()
        .with("(global $waiting (mut i32) (i32.const 0))")
        .callback(
            "on_done",
            1,
            true,
            "(drop (call $proxy_log #2 {done}))
             (call $note (call $proxy_done))
             (if (i32.eqz (global.get $waiting)) (then
                (global.set $waiting (local.get $0)) (return #0)))
             #1",
        )
        .callback(
            "on_log",
            1,
            false,
            "(drop (call $proxy_log #2 {log}))
             (call $note (call $proxy_get_header_map_value #0 {a} @))",
        )
        .callback(
            "on_delete",
            1,
            false,
            "(drop (call $proxy_log #2 {delete}))",
        )
        .request_headers(
            "(call $note (call $proxy_done))
             (call $note (call $proxy_set_effective_context (global.get $waiting)))
             (call $note (call $proxy_get_header_map_value #0 {a} @))
             (call $note (call $proxy_done))
             (call $note (call $proxy_done))
             (drop (call $proxy_log #2 {end}))",
        )
}

#[test]
fn done_can_wait() {
    let mut host = Host::start(&deferring().wat());
    let stream = || MockStream::default().map(MapType::RequestHeaders, &[("a", "b")]);
    let first = stream();
    let id = host.stream(&first);
    host.vm.finish(id, true).unwrap();
    let noted = statuses(host.logs());
    // proxy_done is too early inside of on_done.
    assert_eq!(noted, (vec![1], vec!["done".to_owned()]));
    assert_eq!(host.vm.context_count(), 1, "it waits");
    assert_eq!(first.handles(), 1, "without its stream");
    assert_eq!(
        host.vm.on_request_headers(id, 0, true),
        Err(CallError::UnknownContext)
    );
    host.vm.finish(id, true).unwrap();
    assert_eq!(host.logs(), [""; 0], "waiting already");

    let second = host.stream(&stream());
    host.vm.on_request_headers(second, 0, true).unwrap();
    let (noted, said) = statuses(host.logs());
    // The second stream does not wait; the first does, has no headers any more, and is done once.
    // Its on_log runs when the guest has returned.
    assert_eq!(noted, [1, 0, 1, 0, 1, 1]);
    assert_eq!(said, ["end", "log", "delete"]);
    assert_eq!(host.vm.context_count(), 1);
}

#[test]
fn a_deferred_end_without_a_log() {
    let mut host = Host::start(&deferring().wat());
    let id = host.stream(&MockStream::default());
    host.vm.finish(id, false).unwrap();
    let second = host.stream(&MockStream::default());
    host.vm.on_request_headers(second, 0, true).unwrap();
    let (_, said) = statuses(host.logs());
    assert_eq!(said, ["done", "end", "delete"]);
}

#[test]
fn the_effective_context_is_another_s_until_the_callback_returns() {
    let read = "(drop (call $proxy_get_header_map_value #0 {who} @)) (call $say)";
    let guest = Guest::new()
        .with("(global $other (mut i32) (i32.const 0))")
        .callback(
            "on_request_body",
            3,
            true,
            "(global.set $other (local.get $0)) #0",
        )
        .request_headers(&format!(
            "{read}
             (call $note (call $proxy_set_effective_context #99))
             {read}
             (call $note (call $proxy_set_effective_context #0))
             (call $note (call $proxy_set_effective_context (global.get $other)))
             {read}
             (call $note (call $proxy_set_effective_context #1))
             (call $note (call $proxy_get_header_map_value #0 {{who}} @))
             (call $note (call $proxy_set_effective_context (global.get $other)))"
        ));
    let mut host = Host::start(&guest.wat());
    let named = |name| MockStream::default().map(MapType::RequestHeaders, &[("who", name)]);
    let other = host.stream(&named("other"));
    host.vm.on_request_body(other, 0, true).unwrap();
    let id = host.stream(&named("own"));
    for _ in 0..2 {
        host.vm.on_request_headers(id, 0, true).unwrap();
        let (noted, said) = statuses(host.logs());
        assert_eq!(noted, [2, 2, 0, 0, 1, 0]);
        assert_eq!(said, ["own", "own", "other"]);
    }
}

#[test]
fn a_trap_poisons() {
    let guest = chatty().wat().replace(
        "(export \"proxy_on_request_body\") (param $0 i32)(param $1 i32)(param $2 i32) (result i32)",
        "(export \"proxy_on_request_body\") (param $0 i32)(param $1 i32)(param $2 i32) (result i32)
         unreachable",
    );
    let mut host = Host::start(&guest);
    let stream = MockStream::default();
    let id = host.stream(&stream);
    let other = host.stream(&stream);
    host.logs();
    let error = host.vm.on_request_body(id, 1, true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "proxy_on_request_body trapped: wasm trap: wasm `unreachable` instruction executed \
         in proxy_on_request_body_"
    );
    let vm = &mut host.vm;
    assert!(vm.poisoned());
    assert_eq!(vm.on_request_headers(id, 0, true), Err(CallError::Poisoned));
    assert_eq!(vm.on_response_trailers(other, 0), Err(CallError::Poisoned));
    assert_eq!(vm.on_tick(host.root), Err(CallError::Poisoned));
    assert_eq!(
        vm.create_stream(host.root, stream.clone()),
        Err(CallError::Poisoned)
    );
    vm.finish(id, true).unwrap();
    assert_eq!(vm.context_count(), 1);
    vm.shutdown();
    assert_eq!(vm.context_count(), 0);
    assert_eq!(stream.handles(), 1);
    assert_eq!(host.logs(), [""; 0], "nothing was called");
}

#[test]
fn traps_at_the_end_remove_the_context_all_the_same() {
    for (name, result) in [("on_done", true), ("on_log", false), ("on_delete", false)] {
        let guest = Guest::new().callback(name, 1, result, "unreachable");
        let mut host = Host::start(&guest.wat());
        let stream = MockStream::default();
        let id = host.stream(&stream);
        let error = host.vm.finish(id, true).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("proxy_{name} trapped: ")),
            "{error}"
        );
        assert!(host.vm.poisoned());
        assert_eq!(host.vm.context_count(), 0);
        assert_eq!(stream.handles(), 1);
    }
}

#[test]
fn a_trap_in_create_removes_the_context() {
    let guest = Guest::new().callback(
        "on_context_create",
        2,
        false,
        "(if (local.get $1) (then unreachable))",
    );
    let mut host = Host::start(&guest.wat());
    let stream = MockStream::default();
    let error = host
        .vm
        .create_stream(host.root, stream.clone())
        .unwrap_err();
    assert!(matches!(
        error,
        CallError::Trap {
            callback: "proxy_on_context_create",
            ..
        }
    ));
    assert_eq!(host.vm.context_count(), 0);
    assert_eq!(stream.handles(), 1);
}

#[test]
fn a_trap_after_proxy_done_is_logged() {
    let guest = deferring().wat().replace(
        "(export \"proxy_on_delete\") (param $0 i32)",
        "(export \"proxy_on_delete\") (param $0 i32) unreachable",
    );
    let mut host = Host::start(&guest);
    let id = host.stream(&MockStream::default());
    host.vm.finish(id, false).unwrap();
    let second = host.stream(&MockStream::default());
    // The callback itself has succeeded.
    assert_eq!(
        host.vm.on_request_headers(second, 0, true),
        Ok(Action::Continue)
    );
    assert!(host.vm.poisoned());
    let last = host.logs().pop().unwrap();
    assert!(last.starts_with("proxy_on_delete trapped: "), "{last}");
}
