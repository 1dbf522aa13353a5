//! What a server keeps for components: key-value stores, variables, connections to Redis.

use crate::platform::LocalFuture;

/// Why a key-value store does not do as it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    /// There is no room for another store, or another key.
    #[error("the store is full")]
    Full,
    #[error("there is no such store")]
    NoSuchStore,
    #[error("the component may not use this store")]
    Denied,
    #[error("{0}")]
    Other(String),
}

/// A key-value store that is open.
pub trait KeyValue {
    fn get(&self, key: &str) -> LocalFuture<Result<Option<Vec<u8>>, KeyValueError>>;

    fn set(&self, key: &str, value: Vec<u8>) -> LocalFuture<Result<(), KeyValueError>>;

    /// No error if it is not there.
    fn delete(&self, key: &str) -> LocalFuture<Result<(), KeyValueError>>;

    fn exists(&self, key: &str) -> LocalFuture<Result<bool, KeyValueError>>;

    /// All keys, in any order.
    fn keys(&self) -> LocalFuture<Result<Vec<String>, KeyValueError>>;

    /// Adds to a number that is written in decimal digits, 0 if it is not there; gives the sum.
    fn increment(&self, key: &str, by: i64) -> LocalFuture<Result<i64, KeyValueError>>;

    /// Sets the value if the present one is still `old`. `false`: it is not.
    fn swap(
        &self,
        key: &str,
        old: Option<Vec<u8>>,
        new: Vec<u8>,
    ) -> LocalFuture<Result<bool, KeyValueError>>;
}

/// Why a variable has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    #[error("no name of a variable: {0}")]
    InvalidName(String),
    #[error("no variable {0}")]
    Undefined(String),
    #[error("{0}")]
    Other(String),
}

/// Why Redis does not do as it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// It is no address, or one that the component may not call.
    #[error("the address is not valid, or not allowed")]
    InvalidAddress,
    #[error("too many connections")]
    TooManyConnections,
    /// The reply is of another type than the function's.
    #[error("the value is of another type")]
    Type,
    #[error("{0}")]
    Other(String),
}

/// A reply of Redis, of RESP2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Nil,
    Status(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
}

/// A Redis server that commands can be sent to.
pub trait Redis {
    /// Sends a command, its name first. A reply that is an error is [`RedisError::Other`], or [`RedisError::Type`] where Redis
    /// says `WRONGTYPE`.
    fn command(&self, parts: Vec<Vec<u8>>) -> LocalFuture<Result<Reply, RedisError>>;
}
