//! `redis` of Spin: commands to a server, whose address the guest gives.

use std::fmt;
use std::rc::Rc;

use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource};

use crate::platform::LocalFuture;
use crate::spin::define::{Calls, Handle, method, open, resource};
use crate::state::State;
use crate::stores::{Redis, RedisError, Reply};

pub(crate) const BLOCKING: &str = "fermyon:spin/redis@2.0.0";
pub(crate) const ASYNC: &str = "spin:redis/redis@3.0.0";

type Server = dyn Redis;
type Connection = Resource<Handle<dyn Redis>>;
type Outcome<T> = LocalFuture<std::result::Result<T, Error>>;

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Error {
    #[component(name = "invalid-address")]
    InvalidAddress,
    #[component(name = "too-many-connections")]
    TooManyConnections,
    #[component(name = "type-error")]
    Type,
    #[component(name = "other")]
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::InvalidAddress => "invalid-address",
            Error::TooManyConnections => "too-many-connections",
            Error::Type => "type-error",
            Error::Other(text) => text,
        })
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Error {
        match error {
            RedisError::InvalidAddress => Error::InvalidAddress,
            RedisError::TooManyConnections => Error::TooManyConnections,
            RedisError::Type => Error::Type,
            RedisError::Other(text) => Error::Other(text),
        }
    }
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Parameter {
    #[component(name = "int64")]
    Int64(i64),
    #[component(name = "binary")]
    Binary(Vec<u8>),
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Value {
    #[component(name = "nil")]
    Nil,
    #[component(name = "status")]
    Status(String),
    #[component(name = "int64")]
    Int64(i64),
    #[component(name = "binary")]
    Binary(Vec<u8>),
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    for (interface, calls) in [(BLOCKING, Calls::Blocking), (ASYNC, Calls::Async)] {
        let mut linker = linker.instance(interface)?;
        resource::<dyn Redis>(&mut linker, "connection")?;
        open(
            &mut linker,
            calls,
            "[static]connection.open",
            |state, address| -> std::result::Result<Rc<dyn Redis>, Error> {
                state.platform().open_redis(address).map_err(Error::from)
            },
        )?;
        values(&mut linker, calls)?;
        sets(&mut linker, calls)?;
        others(&mut linker, calls)?;
    }
    Ok(())
}

fn values(linker: &mut LinkerInstance<'_, State>, calls: Calls) -> Result<()> {
    let get = |redis: &Server, (_, key): (Connection, String)| -> Outcome<Option<Vec<u8>>> {
        send(redis, "GET", [key.into_bytes()], |reply| match reply {
            Reply::Nil => Some(None),
            Reply::Bulk(value) => Some(Some(value)),
            Reply::Status(text) => Some(Some(text.into_bytes())),
            _ => None,
        })
    };
    method(linker, calls, "[method]connection.get", get)?;
    let set = |redis: &Server, (_, key, value): (Connection, String, Vec<u8>)| -> Outcome<()> {
        send(redis, "SET", [key.into_bytes(), value], |_| Some(()))
    };
    method(linker, calls, "[method]connection.set", set)?;
    let incr = |redis: &Server, (_, key): (Connection, String)| -> Outcome<i64> {
        send(redis, "INCR", [key.into_bytes()], integer)
    };
    method(linker, calls, "[method]connection.incr", incr)?;
    let del = |redis: &Server, (_, keys): (Connection, Vec<String>)| -> Outcome<u32> {
        send(redis, "DEL", texts(keys), count)
    };
    method(linker, calls, "[method]connection.del", del)
}

fn sets(linker: &mut LinkerInstance<'_, State>, calls: Calls) -> Result<()> {
    let add = |redis: &Server,
               (_, key, values): (Connection, String, Vec<String>)|
     -> Outcome<u32> { send(redis, "SADD", of_key(key, values), count) };
    method(linker, calls, "[method]connection.sadd", add)?;
    let members = |redis: &Server, (_, key): (Connection, String)| -> Outcome<Vec<String>> {
        send(redis, "SMEMBERS", [key.into_bytes()], strings)
    };
    method(linker, calls, "[method]connection.smembers", members)?;
    let remove = |redis: &Server,
                  (_, key, values): (Connection, String, Vec<String>)|
     -> Outcome<u32> { send(redis, "SREM", of_key(key, values), count) };
    method(linker, calls, "[method]connection.srem", remove)
}

fn others(linker: &mut LinkerInstance<'_, State>, calls: Calls) -> Result<()> {
    let publish =
        |redis: &Server, (_, channel, payload): (Connection, String, Vec<u8>)| -> Outcome<()> {
            send(redis, "PUBLISH", [channel.into_bytes(), payload], |_| {
                Some(())
            })
        };
    method(linker, calls, "[method]connection.publish", publish)?;
    let execute = |redis: &Server,
                   (_, command, arguments): (Connection, String, Vec<Parameter>)|
     -> Outcome<Vec<Value>> {
        let arguments = arguments.into_iter().map(|argument| match argument {
            Parameter::Int64(number) => number.to_string().into_bytes(),
            Parameter::Binary(bytes) => bytes,
        });
        send(redis, &command, arguments, |reply| {
            let mut values = Vec::new();
            flatten(reply, &mut values);
            Some(values)
        })
    };
    method(linker, calls, "[method]connection.execute", execute)
}

/// Sends a command. `convert` makes the function's result of the reply; `None`: it is of another type.
fn send<T: 'static>(
    redis: &Server,
    name: &str,
    arguments: impl IntoIterator<Item = Vec<u8>>,
    convert: fn(Reply) -> Option<T>,
) -> Outcome<T> {
    let mut parts = vec![name.as_bytes().to_vec()];
    parts.extend(arguments);
    let reply = redis.command(parts);
    Box::pin(async move { convert(reply.await?).ok_or(Error::Type) })
}

fn texts(texts: Vec<String>) -> Vec<Vec<u8>> {
    texts.into_iter().map(String::into_bytes).collect()
}

fn of_key(key: String, values: Vec<String>) -> Vec<Vec<u8>> {
    let mut all = vec![key.into_bytes()];
    all.extend(values.into_iter().map(String::into_bytes));
    all
}

fn integer(reply: Reply) -> Option<i64> {
    match reply {
        Reply::Integer(number) => Some(number),
        _ => None,
    }
}

fn count(reply: Reply) -> Option<u32> {
    u32::try_from(integer(reply)?).ok()
}

fn strings(reply: Reply) -> Option<Vec<String>> {
    let Reply::Array(members) = reply else {
        return None;
    };
    let members = members.into_iter().map(|member| match member {
        Reply::Bulk(bytes) => String::from_utf8(bytes).ok(),
        Reply::Status(text) => Some(text),
        _ => None,
    });
    members.collect()
}

/// Arrays of any depth are one list, as in Spin.
fn flatten(reply: Reply, values: &mut Vec<Value>) {
    match reply {
        Reply::Nil => values.push(Value::Nil),
        Reply::Status(text) => values.push(Value::Status(text)),
        Reply::Integer(number) => values.push(Value::Int64(number)),
        Reply::Bulk(bytes) => values.push(Value::Binary(bytes)),
        Reply::Array(replies) => {
            for reply in replies {
                flatten(reply, values);
            }
        }
    }
}
