//! An Extism plugin: greets, counts vowels, calls out, uses what the host offers, and fails in every way.

use extism_pdk::{
    Error, FnResult, FromBytes, HttpRequest, Json, Memory, ToBytes, WithReturnCode, config, error,
    host_fn, http, info, plugin_fn, var,
};
use serde::Serialize;

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Greeting {
    message: String,
}

/// `{"message":"🦀 Hello John Doe"}`
#[plugin_fn]
pub fn hello(name: String) -> FnResult<Greeting> {
    let message = format!("🦀 Hello {name}");
    Ok(Greeting { message })
}

#[derive(Serialize)]
struct Vowels {
    count: usize,
    /// Of all calls of this instance.
    total: usize,
    vowels: String,
}

#[plugin_fn]
pub fn count_vowels(text: String) -> FnResult<Json<Vowels>> {
    let vowels = config::get("vowels")?.unwrap_or_else(|| "aeiouAEIOU".into());
    let count = text.chars().filter(|c| vowels.contains(*c)).count();
    let before: Option<String> = var::get("total")?;
    let total = count + before.map_or(Ok(0), |total| total.parse())?;
    var::set("total", total.to_string())?;
    info!("{count} vowels");
    Ok(Json(Vowels {
        count,
        total,
        vowels,
    }))
}

/// Fetches the URL that is its input, with a header of its own.
#[plugin_fn]
pub fn fetch(url: String) -> FnResult<Vec<u8>> {
    let request = HttpRequest::new(url).with_header("X-Plugin", "extism_pdk_test");
    let response = http::request::<()>(&request, None)?;
    let mut answer = format!("{}: ", response.status_code()).into_bytes();
    answer.extend(response.body());
    Ok(answer)
}

#[plugin_fn]
pub fn echo(input: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(input)
}

#[derive(FromBytes, ToBytes)]
#[encoding(Json)]
#[derive(serde::Deserialize, Serialize)]
struct Pair {
    key: String,
    value: String,
}

#[host_fn]
extern "ExtismHost" {
    fn shared_data_get(key: String) -> Vec<u8>;
    fn shared_data_set(key: String, value: String) -> String;
    fn counter_increment(name: String, by: u64) -> u64;
    fn variable_get(name: String) -> String;
}

/// Sets shared data, counts, and answers what was there before, the count, and a variable.
#[plugin_fn]
pub fn share(pair: Pair) -> FnResult<String> {
    let before = unsafe { shared_data_get(pair.key.clone()) }?;
    let status = unsafe { shared_data_set(pair.key, pair.value) }?;
    let count = unsafe { counter_increment("shares".into(), 2) }?;
    let uri = unsafe { variable_get("uri".into()) }?;
    let before = String::from_utf8_lossy(&before);
    Ok(format!("{before}|{status}|{count}|{uri}"))
}

#[plugin_fn]
pub fn fail(message: String) -> FnResult<String> {
    error!("about to fail");
    Err(Error::msg(message).into())
}

#[plugin_fn]
pub fn fail_with_code(message: String) -> FnResult<String> {
    Err(WithReturnCode::new(Error::msg(message), 7))
}

#[plugin_fn]
pub fn panic(_: ()) -> FnResult<()> {
    panic!("on purpose")
}

/// Takes as much memory as its input says, in bytes.
#[plugin_fn]
pub fn take(bytes: String) -> FnResult<u64> {
    let memory = Memory::from_bytes(vec![1; bytes.parse()?])?;
    Ok(memory.len() as u64)
}
