//! What a call costs: of an instance that stays, and of one that is taken back to a snapshot each time; and what a kernel
//! function costs the guest.
//!
//!     cargo run --release -p extism-host --example extism_call

use std::hint::black_box;
use std::time::{Duration, Instant};

#[path = "../tests/common/mod.rs"]
mod common;

use common::guest::function;
use common::{Host, Mock, guest, manifest};
use extism_host::PluginConfig;

/// Nanoseconds of one, at the best of many batches: others may use the machine, too.
fn time(batches: u32, batch: u32, mut run: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..batches {
        let started = Instant::now();
        for _ in 0..batch {
            run();
        }
        best = best.min(started.elapsed());
    }
    best.as_nanos() as f64 / f64::from(batch)
}

fn main() {
    let echo = "(call $output_set (call $input_offset) (call $input_length))";
    let copy = "(local $i i64) (local $to i64) (local.set $to (call $alloc (i64.const 1048576)))
        (loop $on (call $store_u64 (i64.add (local.get $to) (local.get $i)) (call $input_load_u64 (local.get $i)))
          (local.set $i (i64.add (local.get $i) (i64.const 8)))
          (br_if $on (i64.lt_u (local.get $i) (call $input_length))))
        (call $output_set (local.get $to) (i64.const 1048576))";
    let alloc = "(local $i i32) (loop $on (call $free (call $alloc (i64.const 64)))
        (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $on (i32.lt_u (local.get $i) (i32.const 1000))))";
    let fields = function("empty", "")
        + &function("echo", echo)
        + &function("copy", copy)
        + &function("alloc", alloc);
    let manifest = manifest(&guest(&fields));

    let mut host = Host::of(&manifest, PluginConfig::default());
    let program = host.linked.program().clone();
    let find = |name| program.function(name).unwrap();
    let (empty, echo, copy, alloc) = (find("empty"), find("echo"), find("copy"), find("alloc"));
    let plugin = &mut host.plugin;
    let empty_call = time(2000, 100, || {
        black_box(plugin.call_now(empty, &b""[..]).code());
    });
    println!("empty call: {empty_call:.0} ns");
    let input = [b'x'; 100];
    let echo_call = time(2000, 100, || {
        black_box(plugin.call_now(echo, &input[..]).output());
    });
    println!("100 bytes in and out: {echo_call:.0} ns");

    let large = vec![b'x'; 1 << 20];
    let copied = time(500, 1, || {
        black_box(plugin.call_now(copy, &large[..]).output());
    });
    println!("1 MiB in and out, by 393216 calls of the kernel: {copied:.0} ns");
    let allocated = time(500, 1, || {
        black_box(plugin.call_now(alloc, &b""[..]).code());
    });
    println!("alloc and free: {:.0} ns", allocated / 1000.0);

    let mut waits = manifest.clone();
    let fields = "(drop (call $http_request (i64.const 0) (i64.const 0)))";
    let fields = function("empty", "") + &function("never", fields);
    waits.clone_from(&common::manifest(&guest(&fields)));
    let mut host = Host::of(&waits, PluginConfig::default());
    let empty = host.linked.program().function("empty").unwrap();
    let fiber = time(2000, 100, || {
        black_box(host.plugin.call_now(empty, &b""[..]).code());
    });
    println!("empty call of a guest that can wait: {fiber:.0} ns");

    let mut host = Host::with(&manifest, PluginConfig::default(), true);
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(Mock::default()).unwrap();
    let empty = host.linked.program().function("empty").unwrap();
    let mock = Mock::default();
    let isolated = time(2000, 100, || {
        black_box(plugin.call_now(empty, &b""[..]).code());
        assert!(snapshot.rewind(&mut plugin, mock.clone()));
    });
    println!("empty call, and back to the snapshot: {isolated:.0} ns");
}
