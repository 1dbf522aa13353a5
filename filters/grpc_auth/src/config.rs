//! The configuration: a JSON object.

use std::time::Duration;

use serde_json::Value;

#[derive(Default)]
pub struct Config {
    pub upstream: String,
    pub service: String,
    pub method: String,
    pub timeout: Duration,
}

impl Config {
    /// Parses the plugin configuration; an error is one line that says which
    /// key is wrong and what it should be.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let mut config = Config {
            timeout: Duration::from_secs(1),
            ..Config::default()
        };
        let object = value.as_object().ok_or("must be a JSON object")?;
        for (key, value) in object {
            match (key.as_str(), value) {
                ("upstream", Value::String(text)) => config.upstream = text.clone(),
                ("service", Value::String(text)) => config.service = text.clone(),
                ("method", Value::String(text)) => config.method = text.clone(),
                ("timeout_ms", Value::Number(number)) => match number.as_u64() {
                    Some(ms @ 1..=600_000) => config.timeout = Duration::from_millis(ms),
                    _ => return Err("\"timeout_ms\" must be from 1 to 600000".into()),
                },
                ("upstream" | "service" | "method", _) => {
                    return Err(format!("\"{key}\" must be a string"));
                }
                ("timeout_ms", _) => return Err("\"timeout_ms\" must be a number".into()),
                _ => {
                    let known = "\"upstream\", \"service\", \"method\" and \"timeout_ms\"";
                    return Err(format!("unknown key \"{key}\"; known are {known}"));
                }
            }
        }
        let required = [
            ("upstream", &config.upstream),
            ("service", &config.service),
            ("method", &config.method),
        ];
        match required.iter().find(|(_, value)| value.is_empty()) {
            Some((key, _)) => Err(format!("\"{key}\" is missing")),
            None => Ok(config),
        }
    }
}
