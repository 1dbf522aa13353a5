//! The configuration: a JSON object.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Number, Value};

/// The statuses that a response can be answered with. 1xx are no final
/// responses (RFC 9110, section 15.2).
const STATUSES: RangeInclusive<u32> = 200..=599;

#[derive(Default)]
pub struct Config {
    /// The response's body; default empty. Sent as it is.
    pub body: String,
    /// The response's status, 200 to 599.
    pub http_status: u32,
    /// The share of requests that are answered, 0 to 100; default 100.
    pub percentage: f64,
}

/// What is wrong. The texts are part of the filter's behaviour: those of the
/// Go and AssemblyScript versions are the same.
#[derive(Debug)]
pub enum Problem {
    NotJson,
    NotAnObject,
    UnknownKey(String),
    Body,
    StatusMissing,
    Status,
    Percentage,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotJson => f.write_str("not valid JSON"),
            Problem::NotAnObject => f.write_str("must be a JSON object"),
            Problem::UnknownKey(key) => write!(
                f,
                "unknown key \"{key}\"; known are \"body\", \"http_status\" and \"percentage\""
            ),
            Problem::Body => f.write_str("\"body\" must be a string"),
            Problem::StatusMissing => f.write_str("\"http_status\" is missing"),
            Problem::Status => f.write_str("\"http_status\" must be an integer from 200 to 599"),
            Problem::Percentage => f.write_str("\"percentage\" must be a number from 0 to 100"),
        }
    }
}

impl Config {
    /// Parses the plugin configuration. Of several problems, the first in the
    /// order of [`Problem`]'s variants is told; of several unknown keys, the
    /// first in byte order.
    pub fn parse(text: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(text).map_err(|_| Problem::NotJson)?;
        let Value::Object(object) = value else {
            return Err(Problem::NotAnObject);
        };
        // serde_json's map is sorted by key.
        if let Some(key) = object
            .keys()
            .find(|key| !matches!(key.as_str(), "body" | "http_status" | "percentage"))
        {
            return Err(Problem::UnknownKey(key.clone()));
        }
        let body = match object.get("body") {
            None => String::new(),
            Some(Value::String(body)) => body.clone(),
            Some(_) => return Err(Problem::Body),
        };
        let http_status = match object.get("http_status") {
            None => return Err(Problem::StatusMissing),
            Some(Value::Number(number)) => status(number).ok_or(Problem::Status)?,
            Some(_) => return Err(Problem::Status),
        };
        let percentage = match object.get("percentage") {
            None => 100.0,
            Some(Value::Number(number)) => percentage(number).ok_or(Problem::Percentage)?,
            Some(_) => return Err(Problem::Percentage),
        };
        Ok(Config {
            body,
            http_status,
            percentage,
        })
    }
}

fn status(number: &Number) -> Option<u32> {
    let status = number.as_str().parse().ok()?;
    STATUSES.contains(&status).then_some(status)
}

fn percentage(number: &Number) -> Option<f64> {
    let percentage: f64 = number.as_str().parse().ok()?;
    (0.0..=100.0).contains(&percentage).then_some(percentage)
}
