//! Runs operations.

use std::fmt::Display;
use std::io::Write;

use crate::abi::{self, OK, Status};
use crate::op::{Context, Op, STREAMS};
use crate::text::Escaped;
use crate::{calls, http, other, shared, variables, wasi};

const INFO: u32 = 2;

/// The callback that runs the operations.
pub struct Callback {
    pub context: u32,
    pub root: u32,
    pub end_of_stream: bool,
}

/// What the operations want the callback to return.
#[derive(Default)]
pub struct Outcome {
    pub action: u32,
    pub refuse: bool,
    /// Leave the innermost `repeat`, or all operations where there is none.
    pub broken: bool,
}

pub fn info(line: impl Display) {
    abi::log(INFO, line.to_string().as_bytes());
}

/// Runs all of them; a call that does not succeed is logged as
/// `<operation> <arguments>: status N`, and the next one runs.
pub fn run(ops: &[Op], callback: &Callback, outcome: &mut Outcome) {
    for op in ops {
        one(op, callback, outcome);
        if outcome.broken {
            break;
        }
    }
}

fn one(op: &Op, callback: &Callback, outcome: &mut Outcome) {
    match op {
        Op::Action(action) => outcome.action = *action,
        Op::Continue(stream) => check(
            abi::continue_stream(*stream),
            format_args!("continue {}", name(&STREAMS, *stream)),
        ),
        Op::Close(stream) => check(
            abi::close_stream(*stream),
            format_args!("close {}", name(&STREAMS, *stream)),
        ),
        Op::Inject(body, end) => check(
            abi::inject(&body.of(callback), *end),
            format_args!("inject {end}"),
        ),
        Op::Log(level, message) => {
            check(
                abi::log(*level, &message.of(callback)),
                format_args!("log {level}"),
            );
        }
        Op::LogLevel => match abi::get_log_level() {
            Ok(level) => info(format_args!("log_level {level}")),
            Err(status) => info(format_args!("log_level: status {status}")),
        },
        Op::LogContext => info(format_args!(
            "context {} root {}",
            callback.context, callback.root
        )),
        Op::LogConfiguration => configuration("configuration", 7),
        Op::VmConfiguration => configuration("vm_configuration", 6),
        Op::Env(variable) => match std::env::var_os(variable) {
            Some(value) => info(format_args!(
                "env {variable} = {}",
                Escaped(value.as_encoded_bytes())
            )),
            None => info(format_args!("env {variable}: unset")),
        },
        Op::Time => info(wasi::clocks_and_random()),
        Op::Stdout(line) => write(std::io::stdout(), line),
        Op::Stderr(line) => write(std::io::stderr(), line),
        Op::Status(import) => {
            if let Some(status) = other::status(import) {
                variables::set_status(status);
                info(format_args!("status {import} = {status}"));
            }
        }
        Op::SetTick(period) => check(
            abi::set_tick_period(*period),
            format_args!("set_tick {period}"),
        ),
        Op::EffectiveContext(context) => {
            let id = match context {
                Context::Own => callback.context,
                Context::Root => callback.root,
                Context::Id(id) => id.id(callback),
            };
            check(
                abi::set_effective_context(id),
                format_args!("effective_context {id}"),
            );
        }
        Op::Done => check(abi::done(), format_args!("done")),
        Op::Abort => core::arch::wasm32::unreachable(),
        Op::Panic(message) => panic!("{message}"),
        Op::Spin => loop {
            std::hint::spin_loop();
        },
        Op::Allocate(mebibytes) => {
            let len = (*mebibytes as usize) << 20;
            // Written to, so that the pages are really used.
            std::hint::black_box(vec![1u8; len]);
            info(format_args!("allocate {mebibytes} MiB ok"));
        }
        Op::ReturnFalse => outcome.refuse = true,
        Op::IfPath(prefix, ops) => {
            if abi::get_map_value(0, b":path")
                .is_ok_and(|path| path.starts_with(&prefix.of(callback)))
            {
                run(ops, callback, outcome);
            }
        }
        Op::IfHeader(map, key, value, ops) => {
            let wanted = value.as_ref().map(|value| value.of(callback));
            if abi::get_map_value(*map, &key.of(callback)).ok() == wanted {
                run(ops, callback, outcome);
            }
        }
        Op::IfEndOfStream(ops) => {
            if callback.end_of_stream {
                run(ops, callback, outcome);
            }
        }
        Op::If(left, right, then, otherwise) => {
            let equal = left.of(callback) == right.of(callback);
            run(if equal { then } else { otherwise }, callback, outcome);
        }
        Op::IfFailed(then, otherwise) => {
            let failed = variables::get(callback, "headers") == b"0";
            run(if failed { then } else { otherwise }, callback, outcome);
        }
        Op::Let(variable, value) => {
            variables::set(callback.context, variable, value.of(callback));
        }
        Op::LetRoot(variable, value) => {
            variables::set(callback.root, variable, value.of(callback));
        }
        Op::Repeat(times, ops) => {
            for _ in 0..*times {
                run(ops, callback, outcome);
                if std::mem::take(&mut outcome.broken) {
                    break;
                }
            }
        }
        Op::Break => outcome.broken = true,
        Op::Call(op) => calls::run(op, callback),
        Op::Shared(op) => shared::run(op, callback),
        _ => http::run(op, callback),
    }
}

pub fn configuration(shown: &str, buffer: u32) {
    match abi::get_buffer(buffer, 0, u32::MAX) {
        Ok(text) => info(format_args!(
            "{shown} {} bytes: {}",
            text.len(),
            Escaped(&text)
        )),
        Err(status) => info(format_args!("{shown}: status {status}")),
    }
}

/// Writes the line and its end at once: `eprintln` would write them separately.
fn write(mut to: impl Write, line: &str) {
    let result = to
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| to.flush());
    if let Err(error) = result {
        info(format_args!("write: {error}"));
    }
}

/// Notes what a host call has returned, and logs it unless that is Ok.
pub fn check(status: Status, what: impl Display) {
    variables::set_status(status);
    if status != OK {
        info(format_args!("{what}: status {status}"));
    }
}

/// Puts what a host call has returned into a variable: `status N` on failure.
pub fn store(
    callback: &Callback,
    variable: &str,
    result: Result<Vec<u8>, Status>,
    what: impl Display,
) {
    let status = result.as_ref().err().copied().unwrap_or(OK);
    let value = result.unwrap_or_else(|status| format!("status {status}").into_bytes());
    variables::set(callback.context, variable, value);
    check(status, what);
}

/// The name of a number, or the number itself where it has none.
pub fn name(names: &[&str], number: u32) -> String {
    names
        .get(number as usize)
        .map_or_else(|| number.to_string(), ToString::to_string)
}
