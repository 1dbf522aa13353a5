//! Entry points, refusals, and host functions when there is no context yet.

use crate::common::{
    Guest, Host, MockProxy, MockStream, plugin_config, statuses, try_start, vm_config,
};
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{Action, CallError, Engine, LogLevel, Program, StartError, Vm};

/// A function that logs its name.
fn logs(export: &str, types: &str, result: &str) -> String {
    format!(
        "(func (export \"{export}\") {types} (drop (call $proxy_log #2 {{{export}}})) {result})"
    )
}

/// What the entry points of a guest log.
fn entries(fields: &[String]) -> Vec<String> {
    let guest = fields.iter().fold(Guest::new(), |guest, f| guest.with(f));
    let proxy = MockProxy::default();
    try_start(&guest.wat(), &proxy).unwrap();
    proxy.take_logs()
}

#[test]
fn entry_points_in_their_order() {
    let initialize = || logs("_initialize", "", "");
    let start = || logs("_start", "", "");
    let main = || logs("main", "(param i32 i32) (result i32)", "#7");
    let section =
        || "(func $section (drop (call $proxy_log #2 {section}))) (start $section)".to_owned();
    assert_eq!(entries(&[]), [""; 0]);
    assert_eq!(entries(&[initialize()]), ["_initialize"]);
    assert_eq!(entries(&[start()]), ["_start"]);
    assert_eq!(entries(&[initialize(), start()]), ["_initialize"]);
    assert_eq!(entries(&[initialize(), main()]), ["_initialize", "main"]);
    // `_start` has run it.
    assert_eq!(entries(&[start(), main()]), ["_start"]);
    assert_eq!(entries(&[main()]), ["main"]);
    assert_eq!(entries(&[section()]), ["section"]);
    assert_eq!(
        entries(&[section(), initialize(), start(), main()]),
        ["section", "_initialize", "main"]
    );
}

#[test]
fn main_of_any_type() {
    for (types, result) in [
        ("(param i32 i32) (result i32)", "#0"),
        ("(result i32)", "#1"),
        ("", ""),
    ] {
        assert_eq!(entries(&[logs("main", types, result)]), ["main"]);
    }
}

#[test]
fn host_functions_without_a_context_answer_with_a_status() {
    let body = r#"
        (drop (call $proxy_log #3 {early}))
        (call $note (call $proxy_get_header_map_value #0 {a} @))
        (call $note (call $proxy_get_header_map_pairs #0 @))
        (call $note (call $proxy_get_buffer_bytes #0 #0 #1 @))
        (call $note (call $proxy_get_buffer_bytes #7 #0 #1 @))
        (call $note (call $proxy_get_buffer_bytes #6 #0 #100 @)) (call $say)
        (call $note (call $proxy_get_configuration @)) (call $say)
        (call $note (call $proxy_get_property {plugin_name} @))
        (call $note (call $proxy_get_property {plugin_root_id} @))
        (call $note (call $proxy_get_property {plugin_vm_id} @)) (call $say)
        (call $note (call $proxy_send_local_response #200 #0 #0 #0 #0 #0 #0 #-1))
        (call $note (call $proxy_set_effective_context #1))
        (call $note (call $proxy_done))
        (call $note (call $proxy_set_tick_period_milliseconds #1))
        (call $note (call $proxy_get_current_time_nanoseconds #24))"#;
    // A map that is not there has no pairs.
    let expected = [1, 0, 1, 1, 0, 0, 1, 0, 0, 2, 2, 1, 2, 0];
    for guest in [
        Guest::new().with(&format!(r#"(func (export "_initialize") {body})"#)),
        Guest::new().with(&format!(r#"(func (export "_start") {body})"#)),
        Guest::new().with(&format!(r#"(func $start {body}) (start $start)"#)),
    ] {
        let proxy = MockProxy::default();
        let mut vm = try_start(&guest.wat(), &proxy).unwrap();
        let entries = proxy.take_entries();
        assert_eq!(entries[0], (false, LogLevel::Warn, "early".to_owned()));
        let (statuses, said) = statuses(entries.into_iter().map(|e| e.2).collect());
        assert_eq!(statuses, expected);
        let vm_configuration = "vm configuration\n";
        assert_eq!(
            said,
            ["early", vm_configuration, vm_configuration, "the vm"]
        );
        // And it runs on.
        let root = vm.create_root(plugin_config()).unwrap();
        vm.create_stream(root, MockStream::default()).unwrap();
    }
}

#[test]
fn a_guest_without_any_callback_runs() {
    let wat = r#"(module (memory (export "memory") 0)
        (func (export "proxy_abi_version_0_2_0")))"#;
    let mut host = Host::start(wat);
    let stream = MockStream::default();
    let id = host.stream(&stream);
    let vm = &mut host.vm;
    assert_eq!(vm.on_request_headers(id, 1, false), Ok(Action::Continue));
    assert_eq!(vm.on_request_body(id, 1, true), Ok(Action::Continue));
    assert_eq!(vm.on_request_trailers(id, 1), Ok(Action::Continue));
    assert_eq!(vm.on_response_headers(id, 1, false), Ok(Action::Continue));
    assert_eq!(vm.on_response_body(id, 1, true), Ok(Action::Continue));
    assert_eq!(vm.on_response_trailers(id, 1), Ok(Action::Continue));
    vm.on_tick(host.root).unwrap();
    vm.finish(id, true).unwrap();
    vm.shutdown();
    assert_eq!(vm.context_count(), 0);
    assert_eq!(stream.handles(), 1);
}

#[test]
fn refusals() {
    for (callback, told) in [
        (
            "on_vm_start",
            "refused to start (proxy_on_vm_start returned false)",
        ),
        (
            "on_configure",
            "refused its configuration (proxy_on_configure returned false)",
        ),
    ] {
        let guest = Guest::new().callback(
            callback,
            2,
            true,
            "(drop (call $proxy_log #4 {no, thanks})) #0",
        );
        let proxy = MockProxy::default();
        let mut vm = try_start(&guest.wat(), &proxy).unwrap();
        let error = vm.create_root(plugin_config()).unwrap_err();
        assert_eq!(error.to_string(), told);
        assert_eq!(proxy.take_logs(), ["no, thanks"]);
        assert!(!vm.poisoned());
        // The context is gone.
        assert_eq!(
            vm.create_stream(ContextId::new(1), MockStream::default()),
            Err(CallError::UnknownContext)
        );
    }
}

#[test]
fn any_answer_but_zero_is_yes() {
    let guest = Guest::new()
        .callback("on_vm_start", 2, true, "#256")
        .callback("on_configure", 2, true, "#-1");
    Host::start(&guest.wat());
}

#[test]
fn traps_at_start_are_told() {
    for (fields, told) in [
        (
            r#"(func $go (export "_initialize") unreachable)"#,
            "_initialize trapped: wasm trap: wasm `unreachable` instruction executed in go",
        ),
        (
            r#"(func $go (export "_start") (call $proc_exit #3))"#,
            "_start trapped: proc_exit(3) in go",
        ),
        (
            r#"(func $go (export "main") unreachable)"#,
            "main trapped: wasm trap: wasm `unreachable` instruction executed in go",
        ),
        (
            "(func $go unreachable) (start $go)",
            "cannot be instantiated: wasm trap: wasm `unreachable` instruction executed in go",
        ),
        (
            "(data (i32.const 65535) \"ab\")",
            "cannot be instantiated: wasm trap: out of bounds memory access",
        ),
    ] {
        let guest = Guest::new().with(fields);
        let error = try_start(&guest.wat(), &MockProxy::default())
            .err()
            .unwrap();
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn traps_of_the_root_callbacks_poison() {
    for (callback, params, result) in [
        ("on_context_create", 2, false),
        ("on_vm_start", 2, true),
        ("on_configure", 2, true),
    ] {
        let guest = Guest::new().callback(callback, params, result, "unreachable");
        let mut vm = try_start(&guest.wat(), &MockProxy::default()).unwrap();
        match vm.create_root(plugin_config()).unwrap_err() {
            StartError::Call(CallError::Trap { callback: told, .. }) => {
                assert_eq!(told, format!("proxy_{callback}"));
            }
            other => panic!("{other:?}"),
        }
        assert!(vm.poisoned());
        assert_eq!(
            vm.create_root(plugin_config()),
            Err(StartError::Call(CallError::Poisoned))
        );
    }
}

#[test]
fn one_program_in_many_vms_and_engines() {
    let wat = Guest::new()
        .with("(global $count (mut i32) (i32.const 0))")
        .request_headers(
            "(global.set $count (i32.add (global.get $count) #1))
             (call $say_number (i64.extend_i32_u (global.get $count)))",
        )
        .wat();
    let master = Engine::new().unwrap();
    let program = Program::compile(&master, wat.as_bytes()).unwrap();
    let worker = Engine::new().unwrap();
    for engine in [&master, &worker, &worker] {
        for _ in 0..2 {
            let proxy = MockProxy::default();
            let mut vm = Vm::start(engine, &program, proxy.clone(), vm_config()).unwrap();
            let root = vm.create_root(plugin_config()).unwrap();
            let id = vm.create_stream(root, MockStream::default()).unwrap();
            vm.on_request_headers(id, 0, true).unwrap();
            assert_eq!(proxy.take_logs(), ["1"], "every VM starts afresh");
        }
    }
}

#[test]
fn engines_and_programs_are_shared_between_threads_vms_are_not() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<Program>();
}
