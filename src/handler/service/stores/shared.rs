//! A store in the zone of `wasm_shared_data`: all workers of this nginx have it in common.

use std::future::ready;
use std::rc::Rc;

use component_host::{KeyValue, KeyValueError, LocalFuture};
use proxy_wasm_host::Status;

use crate::nginx::log::Log;
use crate::shm::Shared;

/// Attempts to change a value that others change meanwhile; each that fails is one that somebody else has made.
const ATTEMPTS: usize = 1000;

/// No number of compare-and-swap that a value has: a key that is not there may be set with it, and one that has come meanwhile
/// may not.
const ABSENT: u32 = u32::MAX;

type Outcome<T> = Result<T, KeyValueError>;

/// A store in the shared data.
#[derive(Clone)]
pub struct SharedStore {
    shared: Rc<Shared>,
    /// What its keys stand under.
    space: Rc<[u8]>,
    /// The cycle's.
    log: Log,
}

impl SharedStore {
    pub fn new(shared: Rc<Shared>, space: Rc<[u8]>, log: Log) -> SharedStore {
        SharedStore { shared, space, log }
    }

    /// The value with its number.
    fn read(&self, key: &str) -> Outcome<Option<(Vec<u8>, u32)>> {
        let mut value = Vec::new();
        let data = &self.shared.data;
        match data.get(&self.space, key.as_bytes(), &mut value) {
            Ok(cas) => Ok(Some((value, cas))),
            Err(Status::NotFound) => Ok(None),
            Err(_) => Err(gone()),
        }
    }

    /// `false`: the key has another number.
    fn write(&self, key: &str, value: &[u8], cas: u32) -> Outcome<bool> {
        let data = &self.shared.data;
        match data.set(&self.space, key.as_bytes(), value, cas, self.log) {
            Ok(()) => Ok(true),
            Err(Status::CasMismatch) => Ok(false),
            Err(_) => Err(KeyValueError::Full),
        }
    }

    fn add(&self, key: &str, by: i64) -> Outcome<i64> {
        for _ in 0..ATTEMPTS {
            let (before, cas) = match self.read(key)? {
                Some((value, cas)) => (number(&value)?, cas),
                None => (0, ABSENT),
            };
            let sum = before.checked_add(by).ok_or_else(overflow)?;
            if self.write(key, sum.to_string().as_bytes(), cas)? {
                return Ok(sum);
            }
        }
        Err(KeyValueError::Other(
            "too many others change this value".into(),
        ))
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Outcome<bool> {
        let found = self.read(key)?;
        if found.as_ref().map(|(value, _)| value.as_slice()) != old {
            return Ok(false);
        }
        self.write(key, new, found.map_or(ABSENT, |(_, cas)| cas))
    }
}

impl KeyValue for SharedStore {
    fn get(&self, key: &str) -> LocalFuture<Outcome<Option<Vec<u8>>>> {
        let found = self.read(key).map(|found| found.map(|(value, _)| value));
        Box::pin(ready(found))
    }

    fn set(&self, key: &str, value: Vec<u8>) -> LocalFuture<Outcome<()>> {
        Box::pin(ready(self.write(key, &value, 0).map(|_| ())))
    }

    fn delete(&self, key: &str) -> LocalFuture<Outcome<()>> {
        let deleted = self.shared.data.delete(&self.space, key.as_bytes());
        Box::pin(ready(deleted.map_err(|_| gone())))
    }

    fn exists(&self, key: &str) -> LocalFuture<Outcome<bool>> {
        Box::pin(ready(self.read(key).map(|found| found.is_some())))
    }

    fn keys(&self) -> LocalFuture<Outcome<Vec<String>>> {
        let keys = self.shared.data.keys(&self.space).map_err(|_| gone());
        let texts = |keys: Vec<Vec<u8>>| {
            let keys = keys.into_iter();
            // All are texts that guests have given.
            keys.filter_map(|key| String::from_utf8(key).ok()).collect()
        };
        Box::pin(ready(keys.map(texts)))
    }

    fn increment(&self, key: &str, by: i64) -> LocalFuture<Outcome<i64>> {
        Box::pin(ready(self.add(key, by)))
    }

    fn swap(&self, key: &str, old: Option<Vec<u8>>, new: Vec<u8>) -> LocalFuture<Outcome<bool>> {
        Box::pin(ready(self.replace(key, old.as_deref(), &new)))
    }
}

/// A number in decimal digits.
fn number(value: &[u8]) -> Outcome<i64> {
    let text = std::str::from_utf8(value).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| KeyValueError::Other("the value is no number".into()))
}

fn overflow() -> KeyValueError {
    KeyValueError::Other("the sum is too large".into())
}

fn gone() -> KeyValueError {
    KeyValueError::Other("the shared data cannot be used".into())
}
