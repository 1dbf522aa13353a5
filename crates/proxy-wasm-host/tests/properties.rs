//! Properties.

use crate::common::{Guest, Host, MockStream, run, statuses};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const INVALID_MEMORY: u32 = 6;

#[test]
fn a_path_is_read_from_the_stream() {
    let stream = MockStream::default()
        .with_property("request.path", b"/a")
        .with_property("request.size", &7_u64.to_le_bytes())
        .with_property("empty", b"");
    let (statuses, said) = run(
        r"(call $note (call $proxy_get_property {request\0path} @)) (call $say)
          (call $note (call $proxy_get_property {request\0path\0} @)) (call $say)
          (call $note (call $proxy_get_property {request\0size} @)) (call $say)
          (call $note (call $proxy_get_property {empty} @)) (call $say)",
        &stream,
    );
    assert_eq!(statuses, [OK; 4]);
    assert_eq!(said, ["/a", "/a", "\u{7}\0\0\0\0\0\0\0", ""]);
}

#[test]
fn what_is_unknown_is_not_found() {
    let (statuses, _) = run(
        r"(call $note (call $proxy_get_property {request\0path} @))
          (call $note (call $proxy_get_property {nope} @))
          (call $note (call $proxy_get_property #0 #0 @))
          (call $note (call $proxy_get_property {\0} @))
          (call $note (call $proxy_get_property {plugin_name\0x} @))
          (call $note (call $proxy_set_property {read\0only} {x}))
          (call $note (call $proxy_set_property #0 #0 {x}))",
        &MockStream::default(),
    );
    assert_eq!(statuses, [NOT_FOUND; 7]);
}

#[test]
fn bad_addresses() {
    let stream = MockStream::default().with_property("a", b"b");
    let (statuses, said) = run(
        "(call $note (call $proxy_get_property #-1 #1 @))
         (call $note (call $proxy_get_property #1 #-1 @))
         (call $note (call $proxy_get_property {a} #65533 #16))
         (call $note (call $proxy_get_property {a} #16 #65533))
         (call $note (call $proxy_set_property #65536 #1 {x}))
         (call $note (call $proxy_set_property {a} #0 #65537))
         (call $say_number (i64.extend_i32_u (global.get $heap)))",
        &stream,
    );
    assert_eq!(statuses, [INVALID_MEMORY; 6]);
    assert_eq!(said, ["32768"], "nothing was allocated");
}

#[test]
fn a_property_is_set() {
    let (statuses, said) = run(
        r"(call $note (call $proxy_set_property {my\0own} {value\0}))
          (call $note (call $proxy_get_property {my\0own} @)) (call $say)",
        &MockStream::default(),
    );
    assert_eq!(statuses, [OK, OK]);
    assert_eq!(said, ["value\0"]);
}

const OWN: &str = "
    (call $note (call $proxy_get_property {plugin_name} @)) (call $say)
    (call $note (call $proxy_get_property {plugin_root_id} @)) (call $say)
    (call $note (call $proxy_get_property {plugin_vm_id} @)) (call $say)";

#[test]
fn the_plugin_s_own_properties_are_there_in_every_context() {
    let guest = Guest::new()
        .callback("on_context_create", 2, false, OWN)
        .callback("on_vm_start", 2, true, &format!("{OWN} #1"));
    let mut host = Host::start(&guest.wat());
    // Create and start of the root context, create of a stream's.
    host.stream(&MockStream::default());
    let (statuses, said) = statuses(host.logs());
    assert_eq!(statuses, [OK; 9]);
    assert_eq!(said, ["the plugin", "the root", "the vm"].repeat(3));
}

#[test]
fn the_root_id_is_ok_and_empty_by_default() {
    let guest = Guest::new().callback("on_context_create", 2, false, OWN);
    let proxy = crate::common::MockProxy::default();
    let engine = proxy_wasm_host::Engine::new().unwrap();
    let program = crate::common::compile(&engine, &guest.wat());
    let config = proxy_wasm_host::VmConfig::default();
    let mut vm = proxy_wasm_host::Vm::start(&engine, &program, proxy.clone(), config).unwrap();
    vm.create_root(proxy_wasm_host::PluginConfig::default())
        .unwrap();
    let (statuses, said) = statuses(proxy.take_logs());
    assert_eq!(statuses, [OK; 3]);
    assert_eq!(said, ["", "", ""]);
}

#[test]
fn outside_of_streams_the_proxy_is_asked() {
    let guest = Guest::new().callback(
        "on_configure",
        2,
        true,
        r"(call $note (call $proxy_get_property {node\0id} @)) (call $say)
          (call $note (call $proxy_get_property {request\0path} @))
          (call $note (call $proxy_set_property {my\0own} {x}))
          #1",
    );
    let (statuses, said) = statuses(Host::start(&guest.wat()).logs());
    assert_eq!(statuses, [OK, NOT_FOUND, NOT_FOUND]);
    assert_eq!(said, ["this worker"]);
}
