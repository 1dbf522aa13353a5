//! What Spin's SDK 7 offers beside HTTP: key-value stores, variables, Redis. A path for each; the arguments stand in the query,
//! with commas between them. The first argument of `/key-value/…` is the store, that of `/redis/…` the address.

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, key_value, redis, variables};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let arguments: Vec<&str> = request.uri().query().unwrap_or("").split(',').collect();
    // What is behind the application's place and the route, where Spin says it.
    let info = request.headers().get("spin-path-info");
    let info = info.and_then(|info| info.to_str().ok()).map(str::to_owned);
    let path = info.as_deref().unwrap_or_else(|| request.uri().path());
    match path.trim_start_matches('/').split_once('/') {
        Some(("key-value", what)) => told(key_value(what, &arguments).await),
        Some(("redis", what)) => told(redis(what, &arguments).await),
        _ if path == "/variable" => told(variables::get(arguments[0]).await),
        _ if path == "/headers" => headers(&request),
        _ => "no such path".to_owned(),
    }
}

fn told<E: std::fmt::Debug>(result: Result<String, E>) -> String {
    result.unwrap_or_else(|error| format!("error: {error:?}"))
}

/// What Spin adds to a request.
fn headers(request: &Request) -> String {
    let added = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("spin-"));
    let mut lines: Vec<_> = added
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    lines.concat()
}

async fn key_value(what: &str, arguments: &[&str]) -> Result<String, key_value::Error> {
    let store = key_value::Store::open(arguments[0]).await?;
    let (key, value) = (
        arguments.get(1).unwrap_or(&""),
        arguments.get(2).unwrap_or(&""),
    );
    Ok(match what {
        "get" => match store.get(key).await? {
            Some(value) => String::from_utf8_lossy(&value).into_owned(),
            None => "none".to_owned(),
        },
        "set" => format!("{:?}", store.set(key, value).await?),
        "delete" => format!("{:?}", store.delete(key).await?),
        "exists" => store.exists(key).await?.to_string(),
        "keys" => {
            let mut keys = store.get_keys().await.collect().await?;
            keys.sort();
            keys.join(" ")
        }
        "count" => {
            let count = store.get(key).await?.unwrap_or_default();
            let count: u64 = String::from_utf8_lossy(&count).parse().unwrap_or(0);
            store.set(key, (count + 1).to_string()).await?;
            (count + 1).to_string()
        }
        _ => "no such path".to_owned(),
    })
}

async fn redis(what: &str, arguments: &[&str]) -> Result<String, redis::Error> {
    let server = redis::Connection::open(arguments[0]).await?;
    let (key, rest) = (
        arguments.get(1).unwrap_or(&""),
        arguments.get(2..).unwrap_or(&[]),
    );
    let words = || rest.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    Ok(match what {
        "get" => format!(
            "{:?}",
            server
                .get(key)
                .await?
                .map(|value| String::from_utf8_lossy(&value).into_owned())
        ),
        "set" => format!("{:?}", server.set(key, rest.concat()).await?),
        "incr" => server.incr(key).await?.to_string(),
        "del" => server.del([*key]).await?.to_string(),
        "sadd" => server.sadd(key, words()).await?.to_string(),
        "smembers" => {
            let mut members = server.smembers(key).await?;
            members.sort();
            members.join(" ")
        }
        "srem" => server.srem(key, words()).await?.to_string(),
        "publish" => format!("{:?}", server.publish(key, rest.concat()).await?),
        "execute" => {
            let words = rest
                .iter()
                .map(|word| redis::RedisParameter::Binary(word.as_bytes().to_vec()));
            format!(
                "{:?}",
                server.execute(key, words.collect::<Vec<_>>()).await?
            )
        }
        _ => "no such path".to_owned(),
    })
}
