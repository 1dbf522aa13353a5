//! The same as `component_messages` with Spin's SDK 5, whose components wait in each call: `push`, `say`, `fail` and `trap`.

use anyhow::{Result, anyhow};
use spin_sdk::redis::{Connection, RedisParameter};
use spin_sdk::redis_component;

#[redis_component]
fn take(message: Vec<u8>) -> Result<()> {
    let message = String::from_utf8(message)?;
    let (what, rest) = message.split_once(' ').unwrap_or((&message, ""));
    match what {
        "push" => {
            let (list, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let server = Connection::open(&std::env::var("REDIS")?)?;
            let arguments = [list, text].map(|word| RedisParameter::Binary(word.into()));
            server.execute("RPUSH", &arguments)?;
        }
        "say" => println!("{rest}"),
        "fail" => return Err(anyhow!("{rest}")),
        "trap" => panic!("as the message says"),
        _ => return Err(anyhow!("no such thing: {what}")),
    }
    Ok(())
}
