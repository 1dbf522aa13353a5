//! Callbacks of what comes in from outside of a stream: answers to calls,
//! queues and foreign functions. Their arguments become variables.

use crate::abi;
use crate::calls::{self, Live};
use crate::config::Callbacks;
use crate::contexts::{self, Entry, Kind};
use crate::op::Op;
use crate::run::{self, Callback};
use crate::variables;

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_http_call_response(
    id: u32,
    call: u32,
    headers: u32,
    body: u32,
    trailers: u32,
) {
    let arguments = [("headers", headers), ("body", body), ("trailers", trailers)];
    let answer = Answer::new("on_http_call_response", id, call, &arguments);
    calls::ended(call);
    if let Some(answer) = answer {
        answer.entry.count("responses");
        answer.run("http_call_response", |c| &c.http_call_response);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_grpc_receive_initial_metadata(id: u32, call: u32, count: u32) {
    let name = "on_grpc_receive_initial_metadata";
    if let Some(answer) = Answer::new(name, id, call, &[("count", count)]) {
        answer.run("grpc_initial_metadata", |c| &c.grpc_initial_metadata);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_grpc_receive(id: u32, call: u32, size: u32) {
    if let Some(answer) = Answer::new("on_grpc_receive", id, call, &[("size", size)]) {
        answer.entry.count("messages");
        answer.run("grpc_receive", |c| &c.grpc_receive);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_grpc_receive_trailing_metadata(id: u32, call: u32, count: u32) {
    let name = "on_grpc_receive_trailing_metadata";
    if let Some(answer) = Answer::new(name, id, call, &[("count", count)]) {
        answer.run("grpc_trailing_metadata", |c| &c.grpc_trailing_metadata);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_grpc_close(id: u32, call: u32, code: u32) {
    let answer = Answer::new("on_grpc_close", id, call, &[("code", code)]);
    calls::ended(call);
    if let Some(answer) = answer {
        answer.run("grpc_close", |c| &c.grpc_close);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_queue_ready(id: u32, queue: u32) {
    let entry = contexts::enter("on_queue_ready", id, Kind::Root);
    entry.trace(format_args!("on_queue_ready id={id} queue={queue}"));
    entry.set("queue", queue);
    entry.run(|callbacks| &callbacks.queue_ready);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_foreign_function(id: u32, function: u32, size: u32) {
    let entry = contexts::enter("on_foreign_function", id, Kind::Any);
    entry.trace(format_args!(
        "on_foreign_function id={id} function={function} size={size}"
    ));
    entry.set("function", function);
    entry.set("size", size);
    entry.run(|callbacks| &callbacks.foreign_function);
}

/// Something that came of a call, for the context that made it.
struct Answer {
    entry: Entry,
    label: String,
}

impl Answer {
    /// The host names the root context; like an SDK, this goes over to the one
    /// that made the call. `None` where that is gone.
    fn new(callback: &str, id: u32, call: u32, arguments: &[(&str, u32)]) -> Option<Self> {
        let entry = contexts::enter(callback, id, Kind::Any);
        let Live { caller, label } = calls::live(callback, call);
        let shown: String = arguments
            .iter()
            .map(|(name, number)| format!(" {name}={number}"))
            .collect();
        entry.trace(format_args!("{callback} id={id} call={label}{shown}"));
        let entry = entry.go_to(caller)?;
        for (name, number) in arguments {
            entry.set(name, *number);
        }
        variables::set(entry.id, "call", label.as_str());
        Some(Answer { entry, label })
    }

    /// Runs the operations for any call, then those for calls of this label.
    fn run(&self, callback: &str, select: fn(&Callbacks) -> &Vec<Op>) {
        let mut outcome = self.entry.run(select);
        let key = format!("{callback}:{}", self.label);
        if let Some(ops) = self.entry.config.callbacks.labelled.get(&key) {
            self.entry.run_ops(ops, &mut outcome);
        }
    }
}

impl Entry {
    /// The same entry for another context of the same VM, if there is one.
    fn go_to(self, context: u32) -> Option<Self> {
        if context == self.id {
            return Some(self);
        }
        let entry = self.switch(context)?;
        let status = abi::set_effective_context(context);
        run::check(status, format_args!("effective_context {context}"));
        Some(entry)
    }

    fn set(&self, name: &str, number: u32) {
        variables::set(self.id, name, number.to_string());
    }

    /// One more of them in this context.
    fn count(&self, name: &str) {
        let callback = Callback {
            context: self.id,
            root: self.id,
            end_of_stream: false,
        };
        let before = String::from_utf8(variables::get(&callback, name));
        let before = before.ok().and_then(|number| number.parse().ok());
        self.set(name, before.unwrap_or(0) + 1);
    }
}
