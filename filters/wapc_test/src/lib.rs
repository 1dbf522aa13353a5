//! What a host of waPC has to do, an operation for each thing.

use std::sync::atomic::{AtomicU64, Ordering};

use wapc_guest::{CallResult, console_log, host_call, register_function};

#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("echo", echo);
    register_function("fail", fail);
    register_function("count", count);
    register_function("host_call", call_host);
    register_function("log", log);
    register_function("json", json);
    register_function("panic", panics);
    register_function("loop", loops);
}

fn echo(message: &[u8]) -> CallResult {
    Ok(message.to_vec())
}

/// An error with the message as its text.
fn fail(message: &[u8]) -> CallResult {
    Err(String::from_utf8_lossy(message).into())
}

/// How often this instance was asked.
fn count(_: &[u8]) -> CallResult {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(calls.to_string().into_bytes())
}

/// "binding/namespace/operation/message": what the host answers.
fn call_host(message: &[u8]) -> CallResult {
    let text = std::str::from_utf8(message)?;
    let mut parts = text.splitn(4, '/');
    let mut next = || parts.next().unwrap_or_default();
    let (binding, namespace, operation) = (next(), next(), next());
    host_call(binding, namespace, operation, next().as_bytes())
}

fn log(message: &[u8]) -> CallResult {
    console_log(&String::from_utf8_lossy(message));
    Ok(Vec::new())
}

/// A response as JSON, with the length of the message in a header.
fn json(message: &[u8]) -> CallResult {
    let length = message.len();
    let response =
        format!(r#"{{"status": 201, "headers": {{"x-length": "{length}"}}, "body": "made"}}"#);
    Ok(response.into_bytes())
}

fn panics(_: &[u8]) -> CallResult {
    panic!("on purpose");
}

fn loops(_: &[u8]) -> CallResult {
    loop {
        core::hint::spin_loop();
    }
}
