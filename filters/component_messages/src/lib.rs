//! Takes messages of Redis channels with Spin's SDK 7, and does as they say:
//!
//! | message | what it does |
//! |---|---|
//! | `push LIST TEXT` | puts the text behind the list, on the Redis server whose address is in the environment as `REDIS` |
//! | `say TEXT` | writes it to standard output |
//! | `fail TEXT` | answers an error |
//! | `trap` | panics |
//! | `spin` | computes for ever |

use std::error::Error;

use spin_sdk::redis::{Connection, RedisParameter};
use spin_sdk::redis_subscriber;

#[redis_subscriber]
async fn take(message: Vec<u8>) -> Result<(), Box<dyn Error>> {
    let message = String::from_utf8(message)?;
    let (what, rest) = message.split_once(' ').unwrap_or((&message, ""));
    match what {
        "push" => {
            let (list, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let server = Connection::open(std::env::var("REDIS")?).await?;
            let arguments = [list, text].map(|word| RedisParameter::Binary(word.into()));
            server.execute("RPUSH", arguments.to_vec()).await?;
        }
        "say" => println!("{rest}"),
        "fail" => return Err(rest.into()),
        "trap" => panic!("as the message says"),
        "spin" => loop {
            std::hint::black_box(what);
        },
        _ => return Err(format!("no such thing: {what}").into()),
    }
    Ok(())
}
