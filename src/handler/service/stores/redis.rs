//! Redis for components: servers that they name, and key-value stores that are kept there.

use component_host::{KeyValue, KeyValueError, LocalFuture, Redis, RedisError, Reply};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

use crate::client::budget::Budget;
use crate::client::redis::command::{Command, encoded};
use crate::client::redis::failure::Failure;
use crate::client::redis::service::Service;
use crate::client::redis::{Call, Client};
use crate::net::origin::Origin;

/// Replaces a value that is still the same; `false` says which of the two: there was none.
const SWAP: &str = "local v = redis.call('GET', KEYS[1]) \
                    if (ARGV[1] == '1' and v == ARGV[2]) or (ARGV[1] == '0' and not v) then \
                    redis.call('SET', KEYS[1], ARGV[3]) return 1 end return 0";

/// Keys that are asked for at once.
const SCAN_COUNT: &[u8] = b"1000";

/// A Redis server. Clone = refcount.
#[derive(Clone)]
pub struct Server {
    client: Client,
    /// Without a request.
    origin: Origin,
    service: Service,
    budget: Budget,
}

impl Server {
    pub fn new(client: Client, origin: &Origin, service: Service, budget: Budget) -> Server {
        Server {
            client,
            origin: origin.detached(),
            service,
            budget,
        }
    }

    fn send(&self, parts: &[&[u8]]) -> LocalFuture<Result<Reply, RedisError>> {
        let call = self.call(parts);
        let client = self.client.clone();
        Box::pin(async move {
            match client.call(call?).await {
                Ok(bytes) => reply(&bytes),
                Err(Failure::TooMany) => Err(RedisError::TooManyConnections),
                Err(failure) => Err(RedisError::Other(failure.to_string())),
            }
        })
    }

    fn call(&self, parts: &[&[u8]]) -> Result<Call, RedisError> {
        let bytes = encoded(parts);
        let command = bytes.and_then(|bytes| Command::parse(&bytes));
        let command = command.ok_or_else(|| {
            let name = String::from_utf8_lossy(parts.first().copied().unwrap_or_default());
            RedisError::Other(format!("the command {name} cannot be sent"))
        })?;
        Call::new(&self.origin, &self.service, command, &self.budget)
            .ok_or_else(|| RedisError::Other(Failure::NoRoom.to_string()))
    }
}

impl Redis for Server {
    fn command(&self, parts: Vec<Vec<u8>>) -> LocalFuture<Result<Reply, RedisError>> {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        self.send(&parts)
    }
}

/// A reply of RESP2.
fn reply(bytes: &[u8]) -> Result<Reply, RedisError> {
    let malformed = || RedisError::Other("malformed reply".into());
    let (frame, _) = decode(bytes)
        .map_err(|_| malformed())?
        .ok_or_else(malformed)?;
    match frame {
        OwnedFrame::Error(text) if text.starts_with("WRONGTYPE") => Err(RedisError::Type),
        OwnedFrame::Error(text) => Err(RedisError::Other(text)),
        frame => Ok(value(frame)),
    }
}

fn value(frame: OwnedFrame) -> Reply {
    match frame {
        OwnedFrame::SimpleString(text) => {
            Reply::Status(String::from_utf8_lossy(&text).into_owned())
        }
        // Within an array; a client has no other way to be told.
        OwnedFrame::Error(text) => Reply::Status(text),
        OwnedFrame::Integer(number) => Reply::Integer(number),
        OwnedFrame::BulkString(bytes) => Reply::Bulk(bytes),
        OwnedFrame::Array(frames) => Reply::Array(frames.into_iter().map(value).collect()),
        OwnedFrame::Null => Reply::Nil,
    }
}

type Outcome<T> = Result<T, KeyValueError>;

/// A store on a Redis server. Keys are Redis' own, as in Spin.
pub struct RedisStore(pub Server);

impl RedisStore {
    fn send<T: 'static>(
        &self,
        parts: &[&[u8]],
        convert: impl FnOnce(Reply) -> Option<T> + 'static,
    ) -> LocalFuture<Outcome<T>> {
        let reply = self.0.send(parts);
        Box::pin(async move {
            let reply = reply.await.map_err(store_error)?;
            convert(reply).ok_or_else(|| store_error(RedisError::Type))
        })
    }
}

impl KeyValue for RedisStore {
    fn get(&self, key: &str) -> LocalFuture<Outcome<Option<Vec<u8>>>> {
        self.send(&[b"GET", key.as_bytes()], |reply| match reply {
            Reply::Nil => Some(None),
            Reply::Bulk(value) => Some(Some(value)),
            _ => None,
        })
    }

    fn set(&self, key: &str, value: Vec<u8>) -> LocalFuture<Outcome<()>> {
        self.send(&[b"SET", key.as_bytes(), &value], |_| Some(()))
    }

    fn delete(&self, key: &str) -> LocalFuture<Outcome<()>> {
        self.send(&[b"DEL", key.as_bytes()], |_| Some(()))
    }

    fn exists(&self, key: &str) -> LocalFuture<Outcome<bool>> {
        self.send(&[b"EXISTS", key.as_bytes()], |reply| {
            integer(reply).map(|count| count > 0)
        })
    }

    fn keys(&self) -> LocalFuture<Outcome<Vec<String>>> {
        let server = self.0.clone();
        Box::pin(async move { scan(&server).await.map_err(store_error) })
    }

    fn increment(&self, key: &str, by: i64) -> LocalFuture<Outcome<i64>> {
        let by = by.to_string();
        self.send(&[b"INCRBY", key.as_bytes(), by.as_bytes()], integer)
    }

    fn swap(&self, key: &str, old: Option<Vec<u8>>, new: Vec<u8>) -> LocalFuture<Outcome<bool>> {
        let is_there: &[u8] = match old {
            Some(_) => b"1",
            None => b"0",
        };
        let old = old.unwrap_or_default();
        let parts = [
            b"EVAL".as_slice(),
            SWAP.as_bytes(),
            b"1",
            key.as_bytes(),
            is_there,
            &old,
            &new,
        ];
        self.send(&parts, |reply| integer(reply).map(|done| done == 1))
    }
}

/// All keys. Redis may name one twice.
async fn scan(server: &Server) -> Result<Vec<String>, RedisError> {
    let mut keys = std::collections::BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = server
            .send(&[b"SCAN", &cursor, b"COUNT", SCAN_COUNT])
            .await?;
        let Reply::Array(mut parts) = reply else {
            return Err(RedisError::Type);
        };
        let (Some(Reply::Array(found)), Some(Reply::Bulk(next))) = (parts.pop(), parts.pop())
        else {
            return Err(RedisError::Type);
        };
        // A key that is no text is none that a component can ask for.
        keys.extend(found.into_iter().filter_map(|key| match key {
            Reply::Bulk(key) => String::from_utf8(key).ok(),
            _ => None,
        }));
        if next == b"0" {
            return Ok(keys.into_iter().collect());
        }
        cursor = next;
    }
}

fn integer(reply: Reply) -> Option<i64> {
    match reply {
        Reply::Integer(number) => Some(number),
        _ => None,
    }
}

fn store_error(error: RedisError) -> KeyValueError {
    KeyValueError::Other(error.to_string())
}
