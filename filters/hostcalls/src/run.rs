//! Runs operations.

use std::fmt::Display;
use std::io::Write;

use crate::abi::{self, OK, Status};
use crate::op::{BUFFERS, Context, MAPS, Op, Path, STREAMS};
use crate::pairs;
use crate::text::Escaped;
use crate::{other, wasi};

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
}

pub fn info(line: impl Display) {
    abi::log(INFO, line.to_string().as_bytes());
}

/// Runs all of them; a call that does not succeed is logged as
/// `<operation> <arguments>: status N`, and the next one runs.
pub fn run(ops: &[Op], callback: &Callback, outcome: &mut Outcome) {
    for op in ops {
        one(op, callback, outcome);
    }
}

fn one(op: &Op, callback: &Callback, outcome: &mut Outcome) {
    match op {
        Op::AddHeader(map, key, value) => check(
            abi::add_map_value(*map, key, value),
            format_args!("add_header {} {}", name(&MAPS, *map), Escaped(key)),
        ),
        Op::SetHeader(map, key, value) => set_header(*map, key, value),
        Op::RemoveHeader(map, key) => check(
            abi::remove_map_value(*map, key),
            format_args!("remove_header {} {}", name(&MAPS, *map), Escaped(key)),
        ),
        Op::SetHeaders(map, pairs) => check(
            abi::set_map(*map, &pairs::serialize(pairs)),
            format_args!("set_headers {}", name(&MAPS, *map)),
        ),
        Op::LogHeader(map, key) => {
            let (map_name, key_shown) = (name(&MAPS, *map), Escaped(key));
            match abi::get_map_value(*map, key) {
                Ok(value) => info(format_args!("{map_name} {key_shown}={}", Escaped(&value))),
                Err(status) => info(format_args!("{map_name} {key_shown}: status {status}")),
            }
        }
        Op::LogHeaders(map) => {
            let shown = name(&MAPS, *map);
            log_pairs(&shown, abi::get_map(*map), &shown);
        }
        Op::LogHeadersSize(map) => {
            let map_name = name(&MAPS, *map);
            match abi::get_map_size(*map) {
                Ok(size) => info(format_args!("{map_name} size {size}")),
                Err(status) => info(format_args!("{map_name} size: status {status}")),
            }
        }
        Op::CopyHeader(from, key, to, new_key) => match abi::get_map_value(*from, key) {
            Ok(value) => set_header(*to, new_key, &value),
            Err(status) => info(format_args!(
                "copy_header {} {}: status {status}",
                name(&MAPS, *from),
                Escaped(key)
            )),
        },
        Op::PropertyToHeader(path, map, key) => match abi::get_property(&path.joined) {
            Ok(value) => set_header(*map, key, &value),
            Err(status) => info(format_args!("property {}: status {status}", path.shown)),
        },
        Op::BodyToHeader(buffer, map, key) => match abi::get_buffer(*buffer, 0, u32::MAX) {
            Ok(value) => set_header(*map, key, &value),
            Err(status) => info(format_args!(
                "body {}: status {status}",
                name(&BUFFERS, *buffer)
            )),
        },
        Op::LocalResponse(code, headers, body, grpc_status) => {
            let headers = if headers.is_empty() {
                Vec::new()
            } else {
                pairs::serialize(headers)
            };
            check(
                abi::send_local_response(*code, &headers, body, *grpc_status),
                format_args!("local_response {code}"),
            );
        }
        Op::SetBody(buffer, start, len, data) => check(
            abi::set_buffer(*buffer, *start, *len, data),
            format_args!("set_body {} {start} {len}", name(&BUFFERS, *buffer)),
        ),
        Op::RepeatBody(buffer, data, times) => check(
            abi::set_buffer(*buffer, 0, u32::MAX, &data.repeat(*times as usize)),
            format_args!("repeat_body {}", name(&BUFFERS, *buffer)),
        ),
        Op::LogBody(buffer, start, len) => {
            let shown = name(&BUFFERS, *buffer);
            match abi::get_buffer(*buffer, *start, *len) {
                Ok(data) => info(format_args!(
                    "body {shown} {start} {len} = {}",
                    Escaped(&data)
                )),
                Err(status) => info(format_args!("body {shown} {start} {len}: status {status}")),
            }
        }
        Op::LogBodyLength(buffer, start, len) => {
            let shown = name(&BUFFERS, *buffer);
            match abi::get_buffer(*buffer, *start, *len) {
                Ok(data) => info(format_args!(
                    "body {shown} {start} {len}: {} bytes",
                    data.len()
                )),
                Err(status) => info(format_args!("body {shown} {start} {len}: status {status}")),
            }
        }
        Op::LogBodyStatus(buffer) => {
            let shown = name(&BUFFERS, *buffer);
            match abi::get_buffer_status(*buffer) {
                Ok((len, flags)) => {
                    info(format_args!(
                        "body_status {shown}: {len} bytes, flags {flags}"
                    ));
                }
                Err(status) => info(format_args!("body_status {shown}: status {status}")),
            }
        }
        Op::GetProperty(path) => property(path, |value| Escaped(value).to_string()),
        Op::GetPropertyU64(path) => property(path, |value| match value.try_into() {
            Ok(bytes) => u64::from_le_bytes(bytes).to_string(),
            Err(_) => format!("{} bytes, not 8", value.len()),
        }),
        Op::GetPropertyMap(path) => {
            let shown = format!("property {}", path.shown);
            log_pairs(&shown, abi::get_property(&path.joined), &shown);
        }
        Op::SetProperty(path, value) => check(
            abi::set_property(&path.joined, value),
            format_args!("set_property {}", path.shown),
        ),
        Op::Action(action) => outcome.action = *action,
        Op::Continue(stream) => check(
            abi::continue_stream(*stream),
            format_args!("continue {}", name(&STREAMS, *stream)),
        ),
        Op::Close(stream) => check(
            abi::close_stream(*stream),
            format_args!("close {}", name(&STREAMS, *stream)),
        ),
        Op::Log(level, message) => {
            check(abi::log(*level, message), format_args!("log {level}"));
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
                Context::Id(id) => *id,
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
            if abi::get_map_value(0, b":path").is_ok_and(|path| path.starts_with(prefix)) {
                run(ops, callback, outcome);
            }
        }
        Op::IfHeader(map, key, value, ops) => {
            if abi::get_map_value(*map, key).ok() == *value {
                run(ops, callback, outcome);
            }
        }
        Op::IfEndOfStream(ops) => {
            if callback.end_of_stream {
                run(ops, callback, outcome);
            }
        }
    }
}

fn set_header(map: u32, key: &[u8], value: &[u8]) {
    check(
        abi::replace_map_value(map, key, value),
        format_args!("set_header {} {}", name(&MAPS, map), Escaped(key)),
    );
}

fn property(path: &Path, show: impl FnOnce(&[u8]) -> String) {
    match abi::get_property(&path.joined) {
        Ok(value) => info(format_args!("property {} = {}", path.shown, show(&value))),
        Err(status) => info(format_args!("property {}: status {status}", path.shown)),
    }
}

fn log_pairs(shown: &str, serialized: Result<Vec<u8>, Status>, prefix: &str) {
    match serialized.map(|bytes| pairs::deserialize(&bytes)) {
        Ok(Some(pairs)) => {
            info(format_args!("{shown} has {} pairs", pairs.len()));
            for (key, value) in pairs {
                info(format_args!(
                    "{prefix} {}={}",
                    Escaped(&key),
                    Escaped(&value)
                ));
            }
        }
        Ok(None) => info(format_args!("{shown}: malformed map")),
        Err(status) => info(format_args!("{shown}: status {status}")),
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

fn check(status: Status, what: impl Display) {
    if status != OK {
        info(format_args!("{what}: status {status}"));
    }
}

/// The name of a number, or the number itself where it has none.
fn name(names: &[&str], number: u32) -> String {
    names
        .get(number as usize)
        .map_or_else(|| number.to_string(), ToString::to_string)
}
