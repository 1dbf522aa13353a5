//! The configuration: a JSON object.

use std::time::Duration;

use serde_json::Value;

#[derive(Default)]
pub struct Config {
    pub upstream: String,
    pub authority: String,
    pub path: String,
    pub timeout: Duration,
}

impl Config {
    /// Parses the plugin configuration; an error is one line that says which
    /// key is wrong and what it should be.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let mut config = Config {
            path: "/".into(),
            timeout: Duration::from_secs(1),
            ..Config::default()
        };
        let object = value.as_object().ok_or("must be a JSON object")?;
        for (key, value) in object {
            match (key.as_str(), value) {
                ("upstream", Value::String(text)) => config.upstream = text.clone(),
                ("authority", Value::String(text)) => config.authority = text.clone(),
                ("path", Value::String(text)) => config.path = text.clone(),
                ("timeout_ms", Value::Number(number)) => match number.as_u64() {
                    Some(ms @ 1..=600_000) => config.timeout = Duration::from_millis(ms),
                    _ => return Err("\"timeout_ms\" must be from 1 to 600000".into()),
                },
                ("upstream" | "authority" | "path", _) => {
                    return Err(format!("\"{key}\" must be a string"));
                }
                ("timeout_ms", _) => return Err("\"timeout_ms\" must be a number".into()),
                _ => {
                    let known = "\"upstream\", \"authority\", \"path\" and \"timeout_ms\"";
                    return Err(format!("unknown key \"{key}\"; known are {known}"));
                }
            }
        }
        if config.upstream.is_empty() {
            return Err("\"upstream\" is missing".into());
        }
        if config.authority.is_empty() {
            config.authority.clone_from(&config.upstream);
        }
        Ok(config)
    }
}
