//! Counts the vowels of its input. The total of all calls is kept in the variable "total"; the configuration
//! "vowels" says which letters count.

use extism_pdk::{FnResult, Json, ToBytes, config, plugin_fn, var};
use serde::Serialize;

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Count {
    count: u64,
    total: u64,
    vowels: String,
}

#[plugin_fn]
pub fn count_vowels(text: String) -> FnResult<Count> {
    let vowels = config::get("vowels")?.unwrap_or_else(|| "aeiouAEIOU".into());
    let count = text.chars().filter(|c| vowels.contains(*c)).count() as u64;
    let total = var::get("total")?.unwrap_or(0u64) + count;
    var::set("total", total)?;
    Ok(Count {
        count,
        total,
        vowels,
    })
}
