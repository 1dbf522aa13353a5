//! POST a name, and get a greeting.

use extism_pdk::{FnResult, Json, ToBytes, plugin_fn};
use serde::Serialize;

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Greeting {
    message: String,
}

#[plugin_fn]
pub fn hello(name: String) -> FnResult<Greeting> {
    Ok(Greeting {
        message: format!("🦀 Hello {name}"),
    })
}
