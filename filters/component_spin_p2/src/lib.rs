//! The same as `component_spin` with Spin's SDK 5, whose components are of wasi:http 0.2 and wait in each call.

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_component, key_value, variables};

#[http_component]
fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let arguments: Vec<&str> = request.query().split(',').collect();
    let text = match request.path() {
        "/variable" => told(variables::get(arguments[0])),
        path => match path.strip_prefix("/key-value/") {
            Some(what) => told(key_value(what, &arguments)),
            None => "no such path".to_owned(),
        },
    };
    Ok(spin_sdk::http::Response::new(200, text))
}

fn told<E: std::fmt::Debug>(result: Result<String, E>) -> String {
    result.unwrap_or_else(|error| format!("error: {error:?}"))
}

fn key_value(what: &str, arguments: &[&str]) -> Result<String, key_value::Error> {
    let store = key_value::Store::open(arguments[0])?;
    let (key, value) = (
        arguments.get(1).unwrap_or(&""),
        arguments.get(2).unwrap_or(&""),
    );
    Ok(match what {
        "get" => match store.get(key)? {
            Some(value) => String::from_utf8_lossy(&value).into_owned(),
            None => "none".to_owned(),
        },
        "set" => format!("{:?}", store.set(key, value.as_bytes())?),
        "delete" => format!("{:?}", store.delete(key)?),
        "exists" => store.exists(key)?.to_string(),
        "keys" => {
            let mut keys = store.get_keys()?;
            keys.sort();
            keys.join(" ")
        }
        _ => "no such path".to_owned(),
    })
}
