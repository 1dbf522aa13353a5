//! VMs that are taken back to the snapshot that they started from, and used again.

use crate::common::guest::http_call;
use crate::common::{Guest, MockProxy, MockStream, plugin_config, vm_config};
use proxy_wasm_host::CallId;
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{Engine, GrpcEvent, Program, Snapshot, Vm};

/// Notes the character of a number.
const SAY: &str = "(func $digit (param $n i32)
    (i32.store8 #64 (i32.add (local.get $n) (i32.const 48)))
    (drop (call $proxy_log #2 (i32.const 64) (i32.const 1))))";

struct Original {
    vm: Vm<MockProxy>,
    snapshot: Snapshot<MockProxy>,
}

impl Original {
    fn new(guest: &Guest) -> Original {
        let engine = Engine::new().unwrap();
        let program = Program::compile_for_snapshots(&engine, guest.wat().as_bytes()).unwrap();
        let mut vm = Vm::start(&engine, &program, MockProxy::default(), vm_config()).unwrap();
        vm.create_root(plugin_config()).unwrap();
        let snapshot = vm.snapshot(&engine).unwrap();
        Original { vm, snapshot }
    }

    fn start(&self) -> (Vm<MockProxy>, MockProxy) {
        let proxy = MockProxy::default();
        (self.snapshot.start(proxy.clone()).unwrap(), proxy)
    }

    /// Takes a VM back; `None`: it cannot be.
    fn again(&self, vm: &mut Vm<MockProxy>) -> Option<MockProxy> {
        let proxy = MockProxy::default();
        self.snapshot.rewind(vm, proxy.clone()).then_some(proxy)
    }
}

/// A request, whose context stays.
fn request(vm: &mut Vm<MockProxy>) -> u32 {
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    vm.on_request_headers(id, 0, true).unwrap();
    id.get()
}

#[test]
fn globals_and_memory_are_as_after_configuration() {
    // One byte in each page of four pages' stride, of 8 MiB.
    let far = "(loop $write
        (i32.store8 offset=3 (local.get $at) (i32.add #1 (i32.load8_u offset=3 (local.get $at))))
        (if (i32.ne #1 (i32.load8_u offset=3 (local.get $at))) (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.const 16384)))
        (br_if $write (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))";
    let guest = Guest::new()
        .memory(r#"(memory (export "memory") 128)"#)
        .with(SAY)
        .with("(global $count (mut i32) (i32.const 1)) (global $wide (mut i64) (i64.const 1)) (global $float (mut f64) (f64.const 0))")
        .with("(global $vector (mut v128) (v128.const i64x2 0 0))")
        .with("(data (i32.const 2000) \"\\03\")")
        .callback("on_configure", 2, true, "(global.set $count #5) (i32.store8 (i32.const 2002) #7) #1")
        .callback(
            "on_request_headers",
            3,
            true,
            &format!(
                "(local $at i32)
                 (call $digit (global.get $count)) (global.set $count #9)
                 (call $digit (i32.wrap_i64 (global.get $wide))) (global.set $wide (i64.const 9))
                 (call $digit (i32.trunc_f64_s (global.get $float))) (global.set $float (f64.const 9))
                 (call $digit (i32x4.extract_lane 1 (global.get $vector))) (global.set $vector (i32x4.splat #9))
                 (call $digit (i32.load8_u (i32.const 2000))) (i32.store8 (i32.const 2000) #9)
                 (call $digit (i32.load8_u (i32.const 2002))) (i32.store8 (i32.const 2002) #9)
                 {far} #0"
            ),
        );
    let original = Original::new(&guest);
    let expected = ["5", "1", "0", "0", "3", "7"];
    let (mut first, proxy) = original.start();
    request(&mut first);
    assert_eq!(proxy.take_logs(), expected);
    let (mut second, _) = original.start();
    for _ in 0..20 {
        for vm in [&mut first, &mut second] {
            let proxy = original.again(vm).unwrap();
            request(vm);
            assert_eq!(proxy.take_logs(), expected);
        }
    }
}

#[test]
fn what_the_host_keeps_for_a_guest_starts_anew() {
    let declare =
        r"(call $note (call $proxy_call_foreign_function {declare_property} {\x0a\x02ab} @))";
    let guest = Guest::new().request_headers(&format!(
        "{declare} {} (call $say_number_at #24)
         (call $note (call $proxy_grpc_call {{up}} {{p.S}} {{M}} {{}} {{hi}} #0 #24)) (call $say_number_at #24)
         (call $note (call $proxy_get_status #24 @)) (call $say_number_at #24) (call $say_number_at #20)
         (call $note (call $proxy_set_tick_period_milliseconds #7))",
        http_call("up"),
    ))
    // It waits for `proxy_done`, which does not come.
    .callback("on_done", 1, true, "#0")
    .callback("on_grpc_close", 3, false, "");
    let original = Original::new(&guest);
    let use_it = |vm: &mut Vm<MockProxy>, proxy: &MockProxy| {
        let id = request(vm);
        assert_eq!(id, 2);
        assert_eq!(
            proxy.take_logs(),
            ["=0", "=0", "4", "=0", "5", "=0", "0", "0", "=0"]
        );
        assert_eq!(proxy.take_ticks(), [(ContextId::new(1), 7)]);
        assert!(vm.has_calls());
        let close = GrpcEvent::Close {
            status: 5,
            message: b"gone".to_vec(),
        };
        vm.on_grpc(CallId::new(5), close).unwrap();
        vm.finish(ContextId::new(id), true).unwrap();
        let other = vm
            .create_stream(ContextId::new(1), MockStream::default())
            .unwrap();
        assert_eq!((other, vm.context_count()), (ContextId::new(3), 2));
    };
    let (mut vm, proxy) = original.start();
    use_it(&mut vm, &proxy);
    for _ in 0..3 {
        let proxy = original.again(&mut vm).unwrap();
        assert_eq!(vm.context_count(), 0);
        assert!(!vm.has_calls());
        use_it(&mut vm, &proxy);
    }
}

#[test]
fn streams_of_its_contexts_are_let_go() {
    let original = Original::new(&Guest::new().request_headers(""));
    let (mut vm, proxy) = original.start();
    let stream = MockStream::default();
    let holders = stream.holders();
    vm.create_stream(ContextId::new(1), stream.clone()).unwrap();
    assert!(stream.holders() > holders);
    let users = proxy.holders();
    original.again(&mut vm).unwrap();
    assert_eq!(stream.holders(), holders);
    assert_eq!(proxy.holders(), users - 1);
}

#[test]
fn what_has_grown_is_zero_and_out_of_reach() {
    // The number of pages to grow by; then, if it is not 0, all that is new is looked at, and written.
    let guest = Guest::new()
        .memory(r#"(memory (export "memory") 1)"#)
        .with(SAY)
        .callback("on_configure", 2, true, "(drop (memory.grow #1)) #1")
        .callback(
            "on_request_headers",
            3,
            true,
            "(local $at i32) (call $digit (memory.size)) (call $digit (memory.grow (local.get $1)))
             (local.set $at (i32.const 131072))
             (loop $next
                (if (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))
                    (then
                        (if (i32.load8_u (local.get $at)) (then unreachable))
                        (i32.store8 (local.get $at) (i32.const 0xA7))
                        (local.set $at (i32.add (local.get $at) (i32.const 61)))
                        (br $next))))
             #0",
        )
        .callback(
            "on_response_headers",
            3,
            true,
            "(i32.store8 (i32.mul (local.get $1) (i32.const 65536)) #1) #0",
        );
    let original = Original::new(&guest);
    let (mut vm, mut proxy) = original.start();
    let mut grow = |vm: &mut Vm<MockProxy>, pages: usize, grown: bool| {
        let id = vm
            .create_stream(ContextId::new(1), MockStream::default())
            .unwrap();
        vm.on_request_headers(id, pages, true).unwrap();
        assert_eq!(proxy.take_logs(), ["2", if grown { "2" } else { "/" }]);
        assert_eq!(vm.memory_bytes(), if grown { 2 + pages } else { 2 } << 16);
        proxy = original.again(vm).unwrap();
        assert_eq!(vm.memory_bytes(), 2 << 16);
    };
    for pages in [1, 5, 0, 3, 200, 0, 1, 5, 40, 2] {
        grow(&mut vm, pages, true);
    }
    // More than there can be.
    grow(&mut vm, 60_000, false);
    grow(&mut vm, 5, true);
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    vm.on_response_headers(id, 1, true).unwrap();
    let error = vm.on_response_headers(id, 2, true).unwrap_err();
    assert!(
        error.to_string().contains("out of bounds memory access"),
        "{error}"
    );
}

#[test]
fn one_that_has_trapped_cannot_be_taken_back() {
    let original = Original::new(&Guest::new().request_headers("unreachable"));
    let (mut vm, _) = original.start();
    assert!(original.again(&mut vm).is_some());
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    assert!(vm.on_request_headers(id, 0, true).is_err());
    assert!(vm.poisoned());
    assert!(original.again(&mut vm).is_none());
}

#[test]
fn one_that_has_dropped_data_cannot_be_taken_back() {
    // Once the data has been dropped, `memory.init` traps.
    let guest = Guest::new()
        .with("(data $passive \"x\")")
        .request_headers("(memory.init $passive (i32.const 2000) #0 #1) (data.drop $passive)");
    let original = Original::new(&guest);
    for _ in 0..3 {
        let (mut vm, _) = original.start();
        request(&mut vm);
        assert!(original.again(&mut vm).is_none());
    }
}

#[test]
fn only_its_own_snapshot_takes_one_back() {
    let guest = Guest::new().request_headers("");
    let (mut one, other) = (Original::new(&guest), Original::new(&guest));
    let (mut vm, _) = one.start();
    assert!(other.again(&mut vm).is_none());
    assert!(one.again(&mut vm).is_some());
    let proxy = MockProxy::default();
    assert!(!one.snapshot.rewind(&mut one.vm, proxy));
}
