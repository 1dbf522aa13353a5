//! Operations that make HTTP and gRPC calls.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::abi::Status;
use crate::abi::calls::{self, Method};
use crate::arguments::Arguments;
use crate::bytes::{Bytes, Number, Pairs, serialized};
use crate::run::{Callback, check, store};
use crate::variables;

pub enum CallOp {
    Http {
        label: String,
        upstream: Bytes,
        headers: Pairs,
        body: Bytes,
        trailers: Pairs,
        timeout: u32,
    },
    Grpc(String, GrpcTo, Bytes, u32),
    Stream(String, GrpcTo),
    Send(Target, Bytes, bool),
    Close(Target),
    Cancel(Target),
    GetStatus(String),
}

pub struct GrpcTo {
    upstream: Bytes,
    service: Bytes,
    method: Bytes,
    metadata: Pairs,
}

/// A call: its label, or what gives its number.
pub enum Target {
    Label(String),
    Id(Number),
}

thread_local! {
    /// The calls that may still be answered.
    static LIVE: RefCell<BTreeMap<u32, Live>> = RefCell::default();
}

/// A call that has been made.
#[derive(Clone)]
pub struct Live {
    /// The context that made it.
    pub caller: u32,
    pub label: String,
}

/// `None` where there is no such operation here.
pub fn parse(name: &str, a: &mut Arguments<'_>) -> Result<Option<CallOp>, String> {
    Ok(Some(match name {
        "http_call" => CallOp::Http {
            label: a.text()?,
            upstream: a.bytes()?,
            headers: a.pairs()?,
            body: a.bytes()?,
            trailers: a.pairs()?,
            timeout: a.number()?,
        },
        "grpc_call" => CallOp::Grpc(a.text()?, to(a)?, a.bytes()?, a.number()?),
        "grpc_stream" => CallOp::Stream(a.text()?, to(a)?),
        "grpc_send" => CallOp::Send(target(a)?, a.bytes()?, a.flag()?),
        "grpc_close" => CallOp::Close(target(a)?),
        "grpc_cancel" => CallOp::Cancel(target(a)?),
        "get_status" => CallOp::GetStatus(a.text()?),
        _ => return Ok(None),
    }))
}

fn to(a: &mut Arguments<'_>) -> Result<GrpcTo, String> {
    Ok(GrpcTo {
        upstream: a.bytes()?,
        service: a.bytes()?,
        method: a.bytes()?,
        metadata: a.pairs()?,
    })
}

fn target(a: &mut Arguments<'_>) -> Result<Target, String> {
    match a.rest.first() {
        Some(serde_json::Value::String(_)) => a.text().map(Target::Label),
        _ => a.computed().map(Target::Id),
    }
}

pub fn run(op: &CallOp, callback: &Callback) {
    match op {
        CallOp::Http {
            label,
            upstream,
            headers,
            body,
            trailers,
            timeout,
        } => {
            let result = calls::http_call(
                &upstream.of(callback),
                &serialized(headers, callback),
                &body.of(callback),
                &serialized(trailers, callback),
                *timeout,
            );
            started("http_call", label, result, callback);
        }
        CallOp::Grpc(label, to, message, timeout) => {
            let result = calls::grpc_call(&to.of(callback), &message.of(callback), *timeout);
            started("grpc_call", label, result, callback);
        }
        CallOp::Stream(label, to) => {
            let result = calls::grpc_stream(&to.of(callback));
            started("grpc_stream", label, result, callback);
        }
        CallOp::Send(target, message, end) => {
            let status = calls::grpc_send(target.id(callback), &message.of(callback), *end);
            check(status, format_args!("grpc_send {}", target.shown(callback)));
        }
        CallOp::Close(target) => {
            let status = calls::grpc_close(target.id(callback));
            check(
                status,
                format_args!("grpc_close {}", target.shown(callback)),
            );
        }
        CallOp::Cancel(target) => {
            let shown = target.shown(callback);
            let id = target.id(callback);
            let status = calls::grpc_cancel(id);
            if status == crate::abi::OK {
                ended(id);
            }
            check(status, format_args!("grpc_cancel {shown}"));
        }
        CallOp::GetStatus(variable) => {
            let result = calls::get_status().map(|(code, message)| {
                variables::set(
                    callback.context,
                    &format!("{variable}.code"),
                    code.to_string(),
                );
                message
            });
            store(callback, variable, result, format_args!("get_status"));
        }
    }
}

/// Notes a call that has been made. A number that is in use is a host's mistake.
fn started(what: &str, label: &str, result: Result<u32, Status>, callback: &Callback) {
    if let Ok(id) = result {
        let call = Live {
            caller: callback.context,
            label: label.to_owned(),
        };
        if let Some(other) = LIVE.with_borrow_mut(|live| live.insert(id, call)) {
            panic!("{what}: id {id} is in use by call {}", other.label);
        }
    }
    let id = result.map(|id| id.to_string().into_bytes());
    store(
        callback,
        &format!("call.{label}"),
        id,
        format_args!("{what} {label}"),
    );
}

/// A call that something has come of; panics where nobody waits for it.
pub fn live(callback: &str, id: u32) -> Live {
    let call = LIVE.with_borrow(|live| live.get(&id).cloned());
    call.unwrap_or_else(|| panic!("{callback}: no call {id}"))
}

/// Nothing more may come of it.
pub fn ended(id: u32) {
    LIVE.with_borrow_mut(|live| live.remove(&id));
}

impl GrpcTo {
    fn of(&self, callback: &Callback) -> Method {
        Method {
            upstream: self.upstream.of(callback),
            service: self.service.of(callback),
            method: self.method.of(callback),
            metadata: serialized(&self.metadata, callback),
        }
    }
}

impl Target {
    fn id(&self, callback: &Callback) -> u32 {
        match self {
            Target::Label(label) => {
                Number::Computed(Bytes::Variable(format!("call.{label}"))).id(callback)
            }
            Target::Id(number) => number.id(callback),
        }
    }

    fn shown(&self, callback: &Callback) -> String {
        match self {
            Target::Label(label) => label.clone(),
            Target::Id(number) => number.id(callback).to_string(),
        }
    }
}
