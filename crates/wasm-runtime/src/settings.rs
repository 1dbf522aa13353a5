//! What Wasmtime is set to.

use wasmtime::{Config, WasmBacktraceDetails};

/// The same in every process, or an artifact of one would not load in another.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        // What LLVM, Go and AssemblyScript emit. Their defaults grow with time; Wasmtime's own
        // are the standard's version 3, of which the rest of this list is what no SDK needs.
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        // Trap handling walks frame pointers; registering with the system's unwinder is slow
        // and would only serve a native debugger.
        .native_unwind_info(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Threads would not survive nginx's fork.
        .parallel_compilation(false)
        // A guest that runs for too long is ended.
        .epoch_interruption(true)
        // An instance starts with its data mapped from the artifact, and copies a page when the
        // guest writes to it.
        .memory_init_cow(true);
    config
}

/// The same for the process that compiles, in which there may be threads. It takes no part in what artifacts must have in common.
pub(crate) fn parallel() -> Config {
    let mut config = config();
    config.parallel_compilation(true);
    config
}
