//! Redis servers as URLs.

use http::uri::Uri;
use percent_encoding::percent_decode_str;

/// Redis' own, where a URL has none.
const PORT: u16 = 6379;

/// `redis://user:password@host:port/database`, or `rediss://…` for TLS.
pub struct RedisUrl {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    /// Empty where there is none.
    pub user: Vec<u8>,
    pub password: Vec<u8>,
    /// `0` where there is none.
    pub database: String,
}

impl RedisUrl {
    /// `None`: it is none.
    pub fn parse(address: &str) -> Option<RedisUrl> {
        let uri: Uri = address.parse().ok()?;
        let scheme = uri.scheme_str()?;
        if !matches!(scheme, "redis" | "rediss") {
            return None;
        }
        let userinfo = uri.authority()?.as_str().rsplit_once('@');
        let (user, password) = userinfo
            .and_then(|(userinfo, _)| userinfo.split_once(':'))
            .unwrap_or_default();
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        Some(RedisUrl {
            scheme: scheme.to_owned(),
            host: uri.host()?.to_owned(),
            port: uri.port_u16().unwrap_or(PORT),
            user: decoded(user),
            password: decoded(password),
            database: match uri.path().trim_start_matches('/') {
                "" => "0".to_owned(),
                number => number.to_owned(),
            },
        })
    }

    /// The server as [`Service`](crate::client::redis::service::Service) has it, without the database.
    pub fn server(&self) -> String {
        let RedisUrl {
            scheme, host, port, ..
        } = self;
        format!("{scheme}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_defaults() {
        let url = RedisUrl::parse("redis://h").unwrap();
        assert_eq!(url.server(), "redis://h:6379");
        assert_eq!(
            (url.user, url.password, url.database),
            (vec![], vec![], "0".into())
        );
        let url = RedisUrl::parse("rediss://:p%40ss@[::1]:1/3").unwrap();
        assert_eq!(url.server(), "rediss://[::1]:1");
        assert_eq!(
            (url.user.len(), url.password.as_slice()),
            (0, b"p@ss".as_slice())
        );
        assert_eq!(url.database, "3");
        for none in ["", "h:1", "http://h", "redis://"] {
            assert!(RedisUrl::parse(none).is_none(), "{none}");
        }
    }
}
