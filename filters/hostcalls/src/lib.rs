//! Runs the host calls that its configuration lists, in the callbacks that it
//! names, and logs what they return: the tests' hands inside a guest.
//!
//! It implements the ABI without the SDK, so that a status that the SDK
//! panics on can be seen. Where a host mixes up contexts (an unknown or a
//! repeated id, a call into a guest that is running) it panics, as SDKs do.

mod abi;
mod arguments;
mod bytes;
mod calls;
mod config;
mod contexts;
mod http;
mod incoming;
mod op;
mod other;
mod pairs;
mod run;
mod shared;
mod text;
mod variables;
mod wasi;

use std::fmt::Display;
use std::mem::MaybeUninit;

use config::{Callbacks, Config};
use contexts::{Entry, Kind};
use op::Op;
use run::{Callback, Outcome, info};

const ERROR: u32 = 4;
const CRITICAL: u32 = 5;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    // SAFETY: called once, by the host, before anything else.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|panic| {
        abi::log(CRITICAL, panic.to_string().as_bytes());
    }));
}

/// Memory for the host to write to: given back in `abi::returned`.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let memory = Box::<[MaybeUninit<u8>]>::new_uninit_slice(size);
    Box::into_raw(memory).cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    let line = format_args!("on_context_create id={id} parent={parent}");
    if parent == 0 {
        let config = early_config().unwrap_or_default();
        let entry = contexts::create_root(id, config);
        entry.trace_or_defer(line);
        entry.run(|callbacks| &callbacks.root_create);
    } else {
        let entry = contexts::create_stream(id, parent);
        entry.trace(line);
        entry.run(|callbacks| &callbacks.context_create);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_vm_start(id: u32, size: usize) -> bool {
    let entry = contexts::enter("on_vm_start", id, Kind::Root);
    entry.trace_or_defer(format_args!("on_vm_start id={id} size={size}"));
    match early_config() {
        Ok(config) => {
            let entry = entry.with_config(config);
            !entry.run(|callbacks| &callbacks.vm_start).refuse
        }
        Err(problem) => refuse(&problem),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(id: u32, size: usize) -> bool {
    let entry = contexts::enter("on_configure", id, Kind::Root);
    let text = abi::get_buffer(PLUGIN_CONFIGURATION, 0, u32::MAX).unwrap_or_default();
    let config = match Config::parse(&text) {
        Ok(config) => config,
        Err(problem) => return refuse(&problem),
    };
    let Some(config) = config else {
        run::configuration("configuration", PLUGIN_CONFIGURATION);
        return true;
    };
    let fail = config.fail_configure;
    let entry = entry.with_config(config);
    entry.log_deferred();
    entry.trace(format_args!("on_configure id={id} size={size}"));
    let outcome = entry.run(|callbacks| &callbacks.configure);
    if fail {
        return refuse("\"fail_configure\" is set");
    }
    !outcome.refuse
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(id: u32) {
    let entry = contexts::enter("on_tick", id, Kind::Root);
    entry.trace(format_args!("on_tick id={id}"));
    entry.run(|callbacks| &callbacks.tick);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(id: u32, count: usize, end: u32) -> u32 {
    headers("on_request_headers", id, count, end, |c| &c.request_headers)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(id: u32, count: usize, end: u32) -> u32 {
    headers("on_response_headers", id, count, end, |c| {
        &c.response_headers
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(id: u32, size: usize, end: u32) -> u32 {
    let chunk: Select = |callbacks| &callbacks.request_body;
    let last: Select = |callbacks| &callbacks.request_body_end;
    body("on_request_body", id, size, end, chunk, last)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(id: u32, size: usize, end: u32) -> u32 {
    let chunk: Select = |callbacks| &callbacks.response_body;
    let last: Select = |callbacks| &callbacks.response_body_end;
    body("on_response_body", id, size, end, chunk, last)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(id: u32, count: usize) -> u32 {
    let select: Select = |callbacks| &callbacks.request_trailers;
    trailers("on_request_trailers", id, count, select)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(id: u32, count: usize) -> u32 {
    let select: Select = |callbacks| &callbacks.response_trailers;
    trailers("on_response_trailers", id, count, select)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_done(id: u32) -> bool {
    let entry = contexts::enter("on_done", id, Kind::Any);
    entry.trace(format_args!("on_done id={id}"));
    let outcome = entry.run(if entry.is_root() {
        |callbacks| &callbacks.root_done
    } else {
        |callbacks| &callbacks.done
    });
    !outcome.refuse
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(id: u32) {
    let entry = contexts::enter("on_log", id, Kind::Stream);
    entry.trace(format_args!("on_log id={id}"));
    entry.run(|callbacks| &callbacks.log);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(id: u32) {
    let entry = contexts::enter("on_delete", id, Kind::Any);
    entry.trace(format_args!("on_delete id={id}"));
    entry.run(if entry.is_root() {
        |callbacks| &callbacks.root_delete
    } else {
        |callbacks| &callbacks.delete
    });
    contexts::delete(id);
    variables::delete(id);
}

type Select = fn(&Callbacks) -> &Vec<Op>;

fn headers(name: &str, id: u32, count: usize, end: u32, select: Select) -> u32 {
    let mut entry = contexts::enter(name, id, Kind::Stream);
    entry.end_of_stream = end != 0;
    entry.trace(format_args!(
        "{name} id={id} count={count} eos={}",
        flag(end)
    ));
    entry.run(select).action
}

fn body(name: &str, id: u32, size: usize, end: u32, chunk: Select, last: Select) -> u32 {
    let mut entry = contexts::enter(name, id, Kind::Stream);
    entry.end_of_stream = end != 0;
    entry.trace(format_args!("{name} id={id} size={size} eos={}", flag(end)));
    let mut outcome = entry.run(chunk);
    if end != 0 {
        entry.run_into(last, &mut outcome);
    }
    outcome.action
}

fn trailers(name: &str, id: u32, count: usize, select: Select) -> u32 {
    let mut entry = contexts::enter(name, id, Kind::Stream);
    entry.end_of_stream = true;
    entry.trace(format_args!("{name} id={id} count={count}"));
    entry.run(select).action
}

/// `true`, `false`, or the number where a host passes something else.
fn flag(end: u32) -> String {
    match end {
        0 => "false".into(),
        1 => "true".into(),
        other => other.to_string(),
    }
}

fn refuse(problem: &str) -> bool {
    let line = format!("invalid configuration: {problem}");
    abi::log(ERROR, line.as_bytes());
    false
}

/// What holds before `on_configure`: the VM configuration where that is one of
/// ours, else the plugin configuration where the host shows it by then.
fn early_config() -> Result<Config, String> {
    for buffer in [VM_CONFIGURATION, PLUGIN_CONFIGURATION] {
        let text = abi::get_buffer(buffer, 0, u32::MAX).unwrap_or_default();
        if let Some(config) = Config::parse(&text)? {
            return Ok(config);
        }
    }
    Ok(Config::default())
}

impl Entry {
    fn trace(&self, line: impl Display) {
        if self.config.trace {
            info(line);
        }
    }

    fn run(&self, select: Select) -> Outcome {
        let mut outcome = Outcome::default();
        self.run_into(select, &mut outcome);
        outcome
    }

    fn run_into(&self, select: Select, outcome: &mut Outcome) {
        self.run_ops(select(&self.config.callbacks), outcome);
    }

    fn run_ops(&self, ops: &[Op], outcome: &mut Outcome) {
        let callback = Callback {
            context: self.id,
            root: self.root,
            end_of_stream: self.end_of_stream,
        };
        run::run(ops, &callback, outcome);
    }
}
