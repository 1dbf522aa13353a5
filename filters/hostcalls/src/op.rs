//! Operations, parsed from the configuration's arrays.

use serde_json::Value;

use crate::arguments::Arguments;
use crate::bytes::{Bytes, Number, Pairs};
use crate::calls::{self, CallOp};
use crate::shared::{self, SharedOp};

/// Names as in the configuration, in the order of their numbers.
pub const MAPS: [&str; 8] = [
    "request",
    "request_trailers",
    "response",
    "response_trailers",
    "grpc_initial_metadata",
    "grpc_trailing_metadata",
    "call_response",
    "call_response_trailers",
];
pub const BUFFERS: [&str; 9] = [
    "request",
    "response",
    "downstream",
    "upstream",
    "call_response",
    "grpc",
    "vm_configuration",
    "plugin_configuration",
    "foreign_arguments",
];
pub const STREAMS: [&str; 4] = ["request", "response", "downstream", "upstream"];
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];
/// The others are Envoy's, by number: they mean one thing behind headers, and another behind bodies.
const ACTIONS: [&str; 5] = ["continue", "pause", "2", "3", "4"];

/// A property's path: as shown in log lines, and as the host call takes it.
pub struct Path {
    pub shown: String,
    pub joined: Vec<u8>,
}

pub enum Context {
    Own,
    Root,
    Id(Number),
}

pub enum Op {
    AddHeader(u32, Bytes, Bytes),
    SetHeader(u32, Bytes, Bytes),
    RemoveHeader(u32, Bytes),
    SetHeaders(u32, Pairs),
    LogHeader(u32, Bytes),
    LogHeaders(u32),
    LogHeadersSize(u32),
    CopyHeader(u32, Bytes, u32, Bytes),
    PropertyToHeader(Path, u32, Bytes),
    BodyToHeader(u32, u32, Bytes),
    LocalResponse(u32, Pairs, Bytes, i32),
    SetBody(u32, u32, u32, Bytes),
    RepeatBody(u32, Bytes, u32),
    LogBody(u32, u32, u32),
    LogBodyLength(u32, u32, u32),
    LogBodyStatus(u32),
    GetProperty(Path),
    GetPropertyU64(Path),
    GetPropertyMap(Path),
    SetProperty(Path, Bytes),
    Action(u32),
    Continue(u32),
    Close(u32),
    /// Bytes for the response's body, and is that its end (0 or 1)?
    Inject(Bytes, u32),
    Log(u32, Bytes),
    LogLevel,
    LogContext,
    LogConfiguration,
    VmConfiguration,
    Env(String),
    Time,
    Stdout(String),
    Stderr(String),
    Status(String),
    SetTick(u32),
    EffectiveContext(Context),
    Done,
    Abort,
    Panic(String),
    Spin,
    Allocate(u32),
    ReturnFalse,
    IfPath(Bytes, Vec<Op>),
    IfHeader(u32, Bytes, Option<Bytes>, Vec<Op>),
    IfEndOfStream(Vec<Op>),
    /// Equal; else the second list.
    If(Bytes, Bytes, Vec<Op>, Vec<Op>),
    IfFailed(Vec<Op>, Vec<Op>),
    Let(String, Bytes),
    LetRoot(String, Bytes),
    Repeat(u32, Vec<Op>),
    Break,
    Call(CallOp),
    Shared(SharedOp),
}

/// Parses a list of operations. `at` says where it stands, for the error.
pub fn parse_all(at: &str, value: &Value) -> Result<Vec<Op>, String> {
    let Value::Array(list) = value else {
        return Err(format!("{at}: must be an array of operations"));
    };
    list.iter()
        .enumerate()
        .map(|(index, op)| parse(&format!("{at}[{index}]"), op))
        .collect()
}

fn parse(at: &str, value: &Value) -> Result<Op, String> {
    let list = value.as_array().map(Vec::as_slice);
    let Some([Value::String(name), arguments @ ..]) = list else {
        return Err(format!(
            "{at}: an operation is an array that begins with its name"
        ));
    };
    let mut a = Arguments {
        at: format!("{at} {name}"),
        rest: arguments,
    };
    let op = match name.as_str() {
        "add_header" => Op::AddHeader(a.map()?, a.bytes()?, a.bytes()?),
        "set_header" => Op::SetHeader(a.map()?, a.bytes()?, a.bytes()?),
        "remove_header" => Op::RemoveHeader(a.map()?, a.bytes()?),
        "set_headers" => Op::SetHeaders(a.map()?, a.pairs()?),
        "log_header" => Op::LogHeader(a.map()?, a.bytes()?),
        "log_headers" => Op::LogHeaders(a.map()?),
        "log_headers_size" => Op::LogHeadersSize(a.map()?),
        "copy_header" => Op::CopyHeader(a.map()?, a.bytes()?, a.map()?, a.bytes()?),
        "property_to_header" => Op::PropertyToHeader(a.path()?, a.map()?, a.bytes()?),
        "body_to_header" => Op::BodyToHeader(a.buffer()?, a.map()?, a.bytes()?),
        "local_response" => Op::LocalResponse(
            a.number()?,
            a.pairs()?,
            a.bytes()?,
            if a.rest.is_empty() {
                -1
            } else {
                a.number()? as i32
            },
        ),
        "set_body" => Op::SetBody(a.buffer()?, a.number()?, a.number()?, a.bytes()?),
        "repeat_body" => Op::RepeatBody(a.buffer()?, a.bytes()?, a.number()?),
        "log_body" => Op::LogBody(a.buffer()?, a.number()?, a.number()?),
        "log_body_length" => Op::LogBodyLength(a.buffer()?, a.number()?, a.number()?),
        "log_body_status" => Op::LogBodyStatus(a.buffer()?),
        "get_property" => Op::GetProperty(a.path()?),
        "get_property_u64" => Op::GetPropertyU64(a.path()?),
        "get_property_map" => Op::GetPropertyMap(a.path()?),
        "set_property" => Op::SetProperty(a.path()?, a.bytes()?),
        "action" => Op::Action(a.named("an action", &ACTIONS)?),
        "continue" => Op::Continue(a.named("a stream", &STREAMS)?),
        "close" => Op::Close(a.named("a stream", &STREAMS)?),
        "inject" => Op::Inject(a.bytes()?, a.number()?),
        "log" => Op::Log(a.named("a log level", &LEVELS)?, a.bytes()?),
        "log_level" => Op::LogLevel,
        "log_context" => Op::LogContext,
        "log_configuration" => Op::LogConfiguration,
        "vm_configuration" => Op::VmConfiguration,
        "env" => Op::Env(a.text()?),
        "time" => Op::Time,
        "stdout" => Op::Stdout(a.text()?),
        "stderr" => Op::Stderr(a.text()?),
        "status" => Op::Status(a.import()?),
        "set_tick" => Op::SetTick(a.number()?),
        "effective_context" => Op::EffectiveContext(a.context()?),
        "done" => Op::Done,
        "abort" => Op::Abort,
        "panic" => Op::Panic(a.text()?),
        "spin" => Op::Spin,
        "allocate" => Op::Allocate(a.number()?),
        "return_false" => Op::ReturnFalse,
        "if_path" => Op::IfPath(a.bytes()?, a.ops()?),
        "if_header" => Op::IfHeader(a.map()?, a.bytes()?, a.optional_bytes()?, a.ops()?),
        "if_end_of_stream" => Op::IfEndOfStream(a.ops()?),
        "if" => Op::If(a.bytes()?, a.bytes()?, a.ops()?, a.else_ops()?),
        "if_failed" => Op::IfFailed(a.ops()?, a.else_ops()?),
        "let" => Op::Let(a.text()?, a.bytes()?),
        "let_root" => Op::LetRoot(a.text()?, a.bytes()?),
        "repeat" => Op::Repeat(a.number()?, a.ops()?),
        "break" => Op::Break,
        name => {
            if let Some(call) = calls::parse(name, &mut a)? {
                Op::Call(call)
            } else if let Some(shared) = shared::parse(name, &mut a)? {
                Op::Shared(shared)
            } else {
                return Err(format!("{at}: unknown operation \"{name}\""));
            }
        }
    };
    a.end()?;
    Ok(op)
}
