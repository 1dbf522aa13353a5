//! Operations, parsed from the configuration's arrays.

use serde_json::Value;

use crate::other;
use crate::pairs::Pair;

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
const ACTIONS: [&str; 2] = ["continue", "pause"];

/// A property's path: as shown in log lines, and as the host call takes it.
pub struct Path {
    pub shown: String,
    pub joined: Vec<u8>,
}

pub enum Context {
    Own,
    Root,
    Id(u32),
}

pub enum Op {
    AddHeader(u32, Vec<u8>, Vec<u8>),
    SetHeader(u32, Vec<u8>, Vec<u8>),
    RemoveHeader(u32, Vec<u8>),
    SetHeaders(u32, Vec<Pair>),
    LogHeader(u32, Vec<u8>),
    LogHeaders(u32),
    LogHeadersSize(u32),
    CopyHeader(u32, Vec<u8>, u32, Vec<u8>),
    PropertyToHeader(Path, u32, Vec<u8>),
    BodyToHeader(u32, u32, Vec<u8>),
    LocalResponse(u32, Vec<Pair>, Vec<u8>, i32),
    SetBody(u32, u32, u32, Vec<u8>),
    RepeatBody(u32, Vec<u8>, u32),
    LogBody(u32, u32, u32),
    LogBodyLength(u32, u32, u32),
    LogBodyStatus(u32),
    GetProperty(Path),
    GetPropertyU64(Path),
    GetPropertyMap(Path),
    SetProperty(Path, Vec<u8>),
    Action(u32),
    Continue(u32),
    Close(u32),
    Log(u32, Vec<u8>),
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
    IfPath(Vec<u8>, Vec<Op>),
    IfHeader(u32, Vec<u8>, Option<Vec<u8>>, Vec<Op>),
    IfEndOfStream(Vec<Op>),
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
        _ => return Err(format!("{at}: unknown operation \"{name}\"")),
    };
    if a.rest.is_empty() {
        Ok(op)
    } else {
        Err(format!("{}: too many arguments", a.at))
    }
}

struct Arguments<'a> {
    at: String,
    rest: &'a [Value],
}

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Result<&'a Value, String> {
        let Some((first, rest)) = self.rest.split_first() else {
            return Err(format!("{}: an argument is missing", self.at));
        };
        self.rest = rest;
        Ok(first)
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, String> {
        let at = &self.at;
        Err(format!("{at}: {expected} expected"))
    }

    /// A number from -(2^31) to 2^32 - 1; negative ones wrap, so -1 is the
    /// largest that the host can be given.
    fn number(&mut self) -> Result<u32, String> {
        let number = self.next()?.as_i64();
        match number {
            Some(number) if (-(1 << 31)..1 << 32).contains(&number) => Ok(number as u32),
            _ => self.wrong("a 32-bit number"),
        }
    }

    /// One of `names`, as its index; or a number, known or not.
    fn named(&mut self, what: &str, names: &[&str]) -> Result<u32, String> {
        let Some(Value::String(name)) = self.rest.first() else {
            return self.number();
        };
        self.rest = &self.rest[1..];
        match names.iter().position(|known| known == name) {
            Some(index) => Ok(index as u32),
            None => self.wrong(&format!("{what} ({}) or a number", names.join(", "))),
        }
    }

    fn map(&mut self) -> Result<u32, String> {
        self.named("a header map", &MAPS)
    }

    fn buffer(&mut self) -> Result<u32, String> {
        self.named("a buffer", &BUFFERS)
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Value::String(text) => Ok(text.clone()),
            _ => self.wrong("a string"),
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let value = self.next()?;
        bytes(value).map_or_else(|| self.wrong("a string or {\"hex\":\"…\"}"), Ok)
    }

    fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.rest.first() {
            Some(Value::Null) => self.next().map(|_| None),
            _ => self.bytes().map(Some),
        }
    }

    fn pairs(&mut self) -> Result<Vec<Pair>, String> {
        let value = self.next()?;
        let pairs = value.as_array().and_then(|list| {
            list.iter()
                .map(|pair| match pair.as_array()?.as_slice() {
                    [key, value] => Some((bytes(key)?, bytes(value)?)),
                    _ => None,
                })
                .collect()
        });
        pairs.map_or_else(|| self.wrong("an array of [key, value]"), Ok)
    }

    fn path(&mut self) -> Result<Path, String> {
        let segments: Option<Vec<&str>> = match self.next()? {
            Value::String(path) => Some(path.split('.').collect()),
            Value::Array(list) => list.iter().map(Value::as_str).collect(),
            _ => None,
        };
        match segments {
            Some(segments) => Ok(Path {
                shown: segments.join("."),
                joined: segments.join("\0").into_bytes(),
            }),
            None => self.wrong("a path (\"a.b\" or [\"a\",\"b\"])"),
        }
    }

    fn context(&mut self) -> Result<Context, String> {
        match self.rest.first().and_then(Value::as_str) {
            Some("own") => self.next().map(|_| Context::Own),
            Some("root") => self.next().map(|_| Context::Root),
            Some(_) => self.wrong("a context (own, root) or its number"),
            None => self.number().map(Context::Id),
        }
    }

    fn import(&mut self) -> Result<String, String> {
        let name = self.text()?;
        let known = name.strip_prefix("proxy_").unwrap_or(&name);
        if other::NAMES.contains(&known) {
            Ok(name)
        } else {
            self.wrong(&format!("one of {}", other::NAMES.join(", ")))
        }
    }

    fn ops(&mut self) -> Result<Vec<Op>, String> {
        let value = self.next()?;
        parse_all(&self.at, value)
    }
}

/// A string's bytes, or those that `{"hex":"00ff"}` spells.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(object) if object.len() == 1 => {
            let hex = object.get("hex")?.as_str()?.as_bytes();
            let (digits, []) = hex.as_chunks::<2>() else {
                return None;
            };
            digits
                .iter()
                .map(|pair| {
                    let digit = |at: usize| (pair[at] as char).to_digit(16);
                    Some((digit(0)? * 16 + digit(1)?) as u8)
                })
                .collect()
        }
        _ => None,
    }
}
