//! Operations on what the host keeps for several contexts and VMs: shared
//! data, queues and metrics; and on foreign functions.

use crate::abi::shared;
use crate::arguments::Arguments;
use crate::bytes::{Bytes, Number};
use crate::run::{Callback, check, store};
use crate::text::Escaped;
use crate::variables;

const METRICS: [&str; 3] = ["counter", "gauge", "histogram"];

/// The last string of those that read something is the variable for it.
pub enum SharedOp {
    GetData(Bytes, String),
    SetData(Bytes, Bytes, Number),
    RegisterQueue(Bytes, String),
    ResolveQueue(Bytes, Bytes, String),
    Enqueue(Number, Bytes),
    Dequeue(Number, String),
    DefineMetric(u32, Bytes, String),
    IncrementMetric(Number, Number),
    RecordMetric(Number, Number),
    GetMetric(Number, String),
    CallForeignFunction(Bytes, Bytes, String),
}

/// `None` where there is no such operation here.
pub fn parse(name: &str, a: &mut Arguments<'_>) -> Result<Option<SharedOp>, String> {
    Ok(Some(match name {
        "get_shared_data" => SharedOp::GetData(a.bytes()?, a.text()?),
        "set_shared_data" => SharedOp::SetData(a.bytes()?, a.bytes()?, a.computed()?),
        "register_queue" => SharedOp::RegisterQueue(a.bytes()?, a.text()?),
        "resolve_queue" => SharedOp::ResolveQueue(a.bytes()?, a.bytes()?, a.text()?),
        "enqueue" => SharedOp::Enqueue(a.computed()?, a.bytes()?),
        "dequeue" => SharedOp::Dequeue(a.computed()?, a.text()?),
        "define_metric" => {
            SharedOp::DefineMetric(a.named("a metric's type", &METRICS)?, a.bytes()?, a.text()?)
        }
        "increment_metric" => SharedOp::IncrementMetric(a.computed()?, a.computed()?),
        "record_metric" => SharedOp::RecordMetric(a.computed()?, a.computed()?),
        "get_metric" => SharedOp::GetMetric(a.computed()?, a.text()?),
        "call_foreign_function" => SharedOp::CallForeignFunction(a.bytes()?, a.bytes()?, a.text()?),
        _ => return Ok(None),
    }))
}

pub fn run(op: &SharedOp, callback: &Callback) {
    let number = |number: u32| number.to_string().into_bytes();
    match op {
        SharedOp::GetData(key, variable) => {
            let key = key.of(callback);
            let result = shared::get_shared_data(&key).map(|(value, cas)| {
                variables::set(
                    callback.context,
                    &format!("{variable}.cas"),
                    cas.to_string(),
                );
                value
            });
            let what = format_args!("get_shared_data {}", Escaped(&key));
            store(callback, variable, result, what);
        }
        SharedOp::SetData(key, value, cas) => {
            let (key, cas) = (key.of(callback), cas.or_zero(callback) as u32);
            let status = shared::set_shared_data(&key, &value.of(callback), cas);
            check(status, format_args!("set_shared_data {}", Escaped(&key)));
        }
        SharedOp::RegisterQueue(name, variable) => {
            let name = name.of(callback);
            let id = shared::register_queue(&name).map(number);
            let what = format_args!("register_queue {}", Escaped(&name));
            store(callback, variable, id, what);
        }
        SharedOp::ResolveQueue(vm, name, variable) => {
            let name = name.of(callback);
            let id = shared::resolve_queue(&vm.of(callback), &name).map(number);
            let what = format_args!("resolve_queue {}", Escaped(&name));
            store(callback, variable, id, what);
        }
        SharedOp::Enqueue(queue, message) => {
            let id = queue.id(callback);
            let status = shared::enqueue(id, &message.of(callback));
            check(status, format_args!("enqueue {id}"));
        }
        SharedOp::Dequeue(queue, variable) => {
            let id = queue.id(callback);
            let what = format_args!("dequeue {id}");
            store(callback, variable, shared::dequeue(id), what);
        }
        SharedOp::DefineMetric(kind, name, variable) => {
            let name = name.of(callback);
            let id = shared::define_metric(*kind, &name).map(number);
            let what = format_args!("define_metric {}", Escaped(&name));
            store(callback, variable, id, what);
        }
        SharedOp::IncrementMetric(metric, offset) => {
            let id = metric.id(callback);
            let status = shared::increment_metric(id, offset.or_zero(callback));
            check(status, format_args!("increment_metric {id}"));
        }
        SharedOp::RecordMetric(metric, value) => {
            let id = metric.id(callback);
            let status = shared::record_metric(id, value.or_zero(callback) as u64);
            check(status, format_args!("record_metric {id}"));
        }
        SharedOp::GetMetric(metric, variable) => {
            let id = metric.id(callback);
            let value = shared::get_metric(id).map(|value| value.to_string().into_bytes());
            store(callback, variable, value, format_args!("get_metric {id}"));
        }
        SharedOp::CallForeignFunction(name, arguments, variable) => {
            let name = name.of(callback);
            let result = shared::call_foreign_function(&name, &arguments.of(callback));
            let what = format_args!("call_foreign_function {}", Escaped(&name));
            store(callback, variable, result, what);
        }
    }
}
