//! The configuration: a JSON object.

use serde_json::{Map, Value};

#[derive(Default)]
pub struct Rules {
    pub request: Changes,
    pub response: Changes,
}

/// Applied in the order of the fields.
#[derive(Default)]
pub struct Changes {
    pub remove: Vec<String>,
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
}

impl Rules {
    /// Parses the plugin configuration; an error is one line that says which
    /// key is wrong and what it should be.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let mut rules = Rules::default();
        for (key, value) in object("the configuration", &value)? {
            let changes = match key.as_str() {
                "request" => &mut rules.request,
                "response" => &mut rules.response,
                _ => return Err(unknown(key, "\"request\" and \"response\"")),
            };
            *changes = Changes::parse(key, value)?;
        }
        Ok(rules)
    }
}

impl Changes {
    fn parse(at: &str, value: &Value) -> Result<Self, String> {
        let mut changes = Changes::default();
        for (key, value) in object(at, value)? {
            let at = format!("{at}.{key}");
            match key.as_str() {
                "remove" => changes.remove = strings(&at, value)?,
                "set" => changes.set = pairs(&at, value)?,
                "add" => changes.add = pairs(&at, value)?,
                _ => return Err(unknown(&at, "\"remove\", \"set\" and \"add\"")),
            }
        }
        Ok(changes)
    }
}

/// Name and value pairs in the byte order of the names; a name whose value is
/// an array stands once for each element.
fn pairs(at: &str, value: &Value) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (name, value) in object(at, value)? {
        let at = format!("{at}.{name}");
        match value {
            Value::Array(_) => {
                for value in strings(&at, value)? {
                    pairs.push((name.clone(), value));
                }
            }
            _ => pairs.push((name.clone(), string(&at, value)?)),
        }
    }
    Ok(pairs)
}

fn strings(at: &str, value: &Value) -> Result<Vec<String>, String> {
    let Value::Array(values) = value else {
        return Err(format!("\"{at}\" must be an array of strings"));
    };
    values.iter().map(|value| string(at, value)).collect()
}

fn string(at: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("\"{at}\" must be a string or an array of strings")),
    }
}

fn object<'a>(at: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("\"{at}\" must be an object"))
}

fn unknown(at: &str, known: &str) -> String {
    format!("unknown key \"{at}\"; known are {known}")
}
