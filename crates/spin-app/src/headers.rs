//! The header lines that Spin adds to a request.

use crate::routes::Match;

/// What is asked of a request for them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// `http` or `https`.
    pub scheme: &'r str,
    /// The `Host` line with its port; `None`: there is none.
    pub host: Option<&'r str>,
    /// The target: path and query as they came.
    pub target: &'r str,
    /// Address and port: `127.0.0.1:1234`, `[::1]:1234`.
    pub client: &'r str,
}

/// The lines, names in lower case. They replace lines of these names that the client has sent.
pub fn request_headers(found: &Match<'_, '_>, request: Request<'_>) -> Vec<(String, String)> {
    let Request {
        scheme,
        host,
        target,
        client,
    } = request;
    let host = host.unwrap_or("localhost");
    let raw = found.raw_route;
    let lines = [
        ("spin-path-info", found.path_info.clone()),
        ("spin-full-url", format!("{scheme}://{host}{target}")),
        ("spin-matched-route", found.route.to_owned()),
        ("spin-base-path", "/".to_owned()),
        ("spin-raw-component-route", raw.to_owned()),
        (
            "spin-component-route",
            raw.strip_suffix("/...").unwrap_or(raw).to_owned(),
        ),
        ("spin-client-addr", client.to_owned()),
    ];
    let lines = lines.map(|(name, value)| (name.to_owned(), value));
    let parameters = found.parameters.iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        (format!("spin-path-match-{name}"), (*value).to_owned())
    });
    lines.into_iter().chain(parameters).collect()
}
