//! The configuration: a JSON object.

use serde_json::Value;

#[derive(Default)]
pub struct Config {
    pub queue: String,
    /// Where the collected lines go; `None` for a filter that only writes.
    pub post: Option<Post>,
}

pub struct Post {
    pub upstream: String,
    pub authority: String,
    pub path: String,
}

impl Config {
    /// Parses the plugin configuration, all of whose keys are optional; an
    /// error is one line that says which key is wrong and what it should be.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut config = Config {
            queue: "log".into(),
            post: None,
        };
        if text.is_empty() {
            return Ok(config);
        }
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let object = value.as_object().ok_or("must be a JSON object")?;
        let (mut upstream, mut authority, mut path) = (None, None, None);
        for (key, value) in object {
            let Value::String(text) = value else {
                return Err(format!("\"{key}\" must be a string"));
            };
            let text = text.clone();
            match key.as_str() {
                "queue" => config.queue = text,
                "upstream" => upstream = Some(text),
                "authority" => authority = Some(text),
                "path" => path = Some(text),
                _ => {
                    let known = "\"queue\", \"upstream\", \"authority\" and \"path\"";
                    return Err(format!("unknown key \"{key}\"; known are {known}"));
                }
            }
        }
        config.post = upstream.map(|upstream| Post {
            authority: authority.unwrap_or_else(|| upstream.clone()),
            path: path.unwrap_or_else(|| "/".into()),
            upstream,
        });
        Ok(config)
    }
}
