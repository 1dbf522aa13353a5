//! The configuration: which operations to run in which callback.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::op::{self, Op};

/// Operations of each callback; see the README for when each runs.
macro_rules! callbacks {
    ($($name:ident),* $(,)?) => {
        #[derive(Default)]
        pub struct Callbacks {
            $(pub $name: Vec<Op>,)*
            /// `callback:label`: those for calls of this label only.
            pub labelled: BTreeMap<String, Vec<Op>>,
        }

        impl Callbacks {
            fn get_mut(&mut self, name: &str) -> Option<&mut Vec<Op>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }

        const CALLBACKS: &[&str] = &[$(stringify!($name)),*];
    };
}

callbacks!(
    root_create,
    vm_start,
    configure,
    context_create,
    request_headers,
    request_body,
    request_body_end,
    request_trailers,
    response_headers,
    response_body,
    response_body_end,
    response_trailers,
    done,
    log,
    delete,
    root_done,
    root_delete,
    tick,
    http_call_response,
    grpc_initial_metadata,
    grpc_receive,
    grpc_trailing_metadata,
    grpc_close,
    queue_ready,
    foreign_function,
);

/// Callbacks of calls, which can be told apart by the label of the call.
const OF_CALLS: &[&str] = &[
    "http_call_response",
    "grpc_initial_metadata",
    "grpc_receive",
    "grpc_trailing_metadata",
    "grpc_close",
];

#[derive(Default)]
pub struct Config {
    /// Log every callback with its arguments.
    pub trace: bool,
    /// Return false from `on_configure`.
    pub fail_configure: bool,
    pub callbacks: Callbacks,
}

impl Config {
    /// Parses a configuration; `None` for a text that is not meant to be one,
    /// as it does not begin with a brace. An error is one line.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, String> {
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Ok(None);
        }
        let value = serde_json::from_slice(text).map_err(|e| format!("not valid JSON: {e}"))?;
        let Value::Object(object) = value else {
            return Err("must be a JSON object".into());
        };
        let mut config = Config::default();
        for (key, value) in &object {
            match (key.as_str(), value) {
                ("trace", &Value::Bool(on)) => config.trace = on,
                ("fail_configure", &Value::Bool(on)) => config.fail_configure = on,
                ("trace" | "fail_configure", _) => {
                    return Err(format!("{key}: must be true or false"));
                }
                _ => match config.callbacks.get_mut(key) {
                    Some(ops) => *ops = op::parse_all(key, value)?,
                    None if of_call(key) => {
                        let ops = op::parse_all(key, value)?;
                        config.callbacks.labelled.insert(key.clone(), ops);
                    }
                    None => {
                        let known = CALLBACKS.join(", ");
                        return Err(format!(
                            "unknown key \"{key}\"; known are trace, fail_configure, {known}"
                        ));
                    }
                },
            }
        }
        Ok(Some(config))
    }
}

fn of_call(key: &str) -> bool {
    key.split_once(':')
        .is_some_and(|(callback, _)| OF_CALLS.contains(&callback))
}
