//! Few words for many causes: the values of labels.

/// How a trap's line begins, and the reason that it is counted under. The first three are the limits of
/// time's (`wasm_runtime`), the next lines are Wasmtime's (`wasmtime::Trap`), those behind them the
/// host functions' that end a guest.
const TRAPS: [(&str, &str); 22] = [
    ("over cpu_time=", "cpu_limit"),
    ("over start_time=", "cpu_limit"),
    ("over timeout=", "timeout"),
    ("wasm trap: wasm `unreachable` instruction", "unreachable"),
    (
        "wasm trap: out of bounds memory access",
        "memory_out_of_bounds",
    ),
    ("memory fault at wasm address", "memory_out_of_bounds"),
    ("wasm trap: call stack exhausted", "stack_overflow"),
    ("wasm trap: undefined element", "table_out_of_bounds"),
    ("wasm trap: uninitialized element", "indirect_call_to_null"),
    ("wasm trap: indirect call type mismatch", "bad_signature"),
    ("wasm trap: integer overflow", "integer_overflow"),
    ("wasm trap: integer divide by zero", "division_by_zero"),
    ("wasm trap: invalid conversion to integer", "bad_conversion"),
    ("wasm trap: unaligned atomic", "unaligned_atomic"),
    ("wasm trap: null reference", "null_reference"),
    ("wasm trap: interrupt", "interrupted"),
    ("wasm trap: all fuel consumed", "out_of_fuel"),
    ("abort:", "abort"),
    ("proc_exit(", "exit"),
    ("forcing trap when growing memory", "memory_limit"),
    ("oom", "memory_limit"),
    ("refused: ", "refused"),
];

/// What stands before a trap of the guest's allocator, which a host function has called.
const IN_ALLOCATOR: &str = "in the guest's allocator: ";

/// How a trap's line ends when the guest has asked for more than it may have, and gave up.
const REFUSALS: [(&str, &str); 2] = [
    (" of memory, memory=", "memory_limit"),
    (" table elements, table=", "table_limit"),
];

/// What a trap is counted under.
pub fn trap(line: &str) -> &'static str {
    let line = line.strip_prefix(IN_ALLOCATOR).unwrap_or(line);
    if let Some((_, refusal)) = line.rsplit_once(" (asked for ")
        && let Some((_, reason)) = REFUSALS.iter().find(|(text, _)| refusal.contains(text))
    {
        return reason;
    }
    let known = TRAPS.iter().find(|(start, _)| line.starts_with(start));
    known.map_or("other", |(_, reason)| reason)
}

/// How the line about a failed call begins (property `call.error`; see [`crate::net`]), and the
/// outcome that the call is counted under.
const CALLS: [(&str, &str); 13] = [
    ("timed out", "timeout"),
    ("connect()", "connect"),
    ("connection ", "reset"),
    ("TLS with ", "tls"),
    ("no live upstreams", "no_live_upstream"),
    ("no resolver defined", "dns"),
    ("malformed response", "malformed"),
    ("malformed reply", "malformed"),
    ("reply larger", "too_large"),
    ("response header too large", "too_large"),
    ("response body larger", "too_large"),
    ("the module's calls hold", "too_large"),
    ("the request has ended", "cancelled"),
];

/// What the end of a call is counted under, HTTP or Redis; it has failed for this reason, if it has.
pub fn call(error: Option<&str>) -> &'static str {
    error.map_or("ok", failed_call)
}

fn failed_call(line: &str) -> &'static str {
    match CALLS.iter().find(|(start, _)| line.starts_with(start)) {
        Some((_, outcome)) => outcome,
        // Such a line begins with the name.
        None if line.contains("could not be resolved") => "dns",
        None => "failed",
    }
}

/// What the end of a gRPC call is counted under: the name of its status.
pub fn grpc_call(status: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "ok",
        "cancelled",
        "unknown",
        "invalid_argument",
        "deadline_exceeded",
        "not_found",
        "already_exists",
        "permission_denied",
        "resource_exhausted",
        "failed_precondition",
        "aborted",
        "out_of_range",
        "unimplemented",
        "internal",
        "unavailable",
        "data_loss",
        "unauthenticated",
    ];
    NAMES.get(status as usize).copied().unwrap_or("unknown")
}
