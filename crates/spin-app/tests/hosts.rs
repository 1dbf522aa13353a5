use spin_app::AllowedHosts;

fn hosts(entries: &[&str]) -> AllowedHosts {
    AllowedHosts::parse(entries).unwrap()
}

/// A URL's scheme, host and port, as whoever parses it hands them over.
fn allows(hosts: &AllowedHosts, url: &str) -> bool {
    let (scheme, authority) = url.split_once("://").unwrap();
    match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => {
            hosts.allows(scheme, host, Some(port.parse().unwrap()))
        }
        _ => hosts.allows(scheme, authority, None),
    }
}

#[test]
fn what_entries_allow() {
    for (entry, allowed, refused) in [
        (
            "http://example.com",
            &[
                "http://example.com",
                "http://example.com:80",
                "HTTP://EXAMPLE.com",
            ][..],
            &[
                "https://example.com",
                "http://example.com:81",
                "http://a.example.com",
                "http://example.com.",
                "http://xample.com",
            ][..],
        ),
        (
            "http://example.com/",
            &["http://example.com"],
            &["https://example.com"],
        ),
        (
            "https://example.com:443/",
            &["https://example.com"],
            &["https://example.com:444"],
        ),
        ("HTTP://Example.COM", &["http://example.com"], &[]),
        (" https://example.com ", &["https://example.com"], &[]),
        (
            "http://example.com:8080",
            &["http://example.com:8080"],
            &["http://example.com"],
        ),
        (
            "*://example.com:8080",
            &[
                "http://example.com:8080",
                "redis://example.com:8080",
                "x-y://example.com:8080",
            ],
            &["http://example.com"],
        ),
        (
            "*://example.com:443",
            &["https://example.com"],
            &["http://example.com"],
        ),
        (
            "http://example.com:*",
            &["http://example.com", "http://example.com:1"],
            &["https://example.com:80"],
        ),
        (
            "http://example.com:8000..8002",
            &["http://example.com:8000", "http://example.com:8001"],
            &[
                "http://example.com:8002",
                "http://example.com:7999",
                "http://example.com",
            ],
        ),
        (
            "http://example.com:8002..8000",
            &[],
            &["http://example.com:8001"],
        ),
        (
            "http://*",
            &["http://a", "http://1.2.3.4", "http://[::1]"],
            &["https://a", "http://a:81"],
        ),
        (
            "*://*:*",
            &["http://a", "https://b:1", "x://c", "redis://[::1]:9"],
            &[],
        ),
        (
            "https://*.example.com",
            &[
                "https://a.example.com",
                "https://a.b.example.com",
                "https://A.EXAMPLE.COM:443",
            ],
            &[
                "https://example.com",
                "https://aexample.com",
                "http://a.example.com",
                "https://a.example.com.evil",
                "https://a.example.com:444",
            ],
        ),
        (
            "http://*.example.com:8383",
            &["http://a.example.com:8383"],
            &["http://a.example.com"],
        ),
        (
            "http://192.168.1.1",
            &["http://192.168.1.1"],
            &["http://192.168.1.2"],
        ),
        (
            "http://[::1]",
            &["http://[::1]", "http://[0:0::1]"],
            &["http://[::2]", "https://[::1]"],
        ),
        (
            "http://[::1]:8001",
            &["http://[::1]:8001"],
            &["http://[::1]"],
        ),
        (
            "*://127.0.0.1/24:63551",
            &["tcp://127.0.0.1:63551", "tcp://127.0.0.255:63551"],
            &[
                "tcp://127.0.1.0:63551",
                "tcp://localhost:63551",
                "tcp://127.0.0.1:1",
            ],
        ),
        (
            "http://10.0.0.0/8",
            &["http://10.9.9.9"],
            &["http://11.0.0.0", "https://10.0.0.1"],
        ),
        (
            "*://0.0.0.0/0:1",
            &["x://255.255.255.255:1"],
            &["x://[::]:1"],
        ),
        ("*://1.2.3.4/32:1", &["x://1.2.3.4:1"], &["x://1.2.3.5:1"]),
        (
            "*://fd00::/8:80",
            &["http://[fd12::1]", "http://[fdff::]:80"],
            &["http://[fe00::1]", "http://10.0.0.1"],
        ),
        ("*://::/0:80", &["http://[1::]"], &["http://1.1.1.1"]),
        (
            "redis://cache",
            &["redis://cache", "redis://cache:6379"],
            &["redis://cache:6380"],
        ),
        (
            "postgres://db",
            &["postgres://db:5432"],
            &["postgres://db:1"],
        ),
        ("mysql://db", &["mysql://db:3306"], &[]),
        ("mqtt://broker", &["mqtt://broker:1883"], &[]),
        // The application itself is no host.
        ("http://self", &[], &["http://self"]),
        (
            "http://app.spin.internal",
            &["http://app.spin.internal"],
            &["http://other.spin.internal"],
        ),
    ] {
        let hosts = hosts(&[entry]);
        for url in allowed {
            assert!(allows(&hosts, url), "{entry} allows {url}");
        }
        for url in refused {
            assert!(!allows(&hosts, url), "{entry} does not allow {url}");
        }
    }
}

#[test]
fn what_is_no_entry() {
    for (entry, reason) in [
        (
            "example.com",
            "has no scheme: write http://…, https://… or *://…",
        ),
        (
            "example.com:80",
            "has no scheme: write http://…, https://… or *://…",
        ),
        (
            "localhost",
            "has no scheme: write http://…, https://… or *://…",
        ),
        ("", "has no scheme: write http://…, https://… or *://…"),
        ("*", "allows everything: write *://*:* if that is meant"),
        (
            "insecure:allow-all",
            "allows everything: write *://*:* if that is meant",
        ),
        ("http://example.com/a", "has a path"),
        ("http://example.com:80/a", "has a path"),
        ("http://*.example.com/a", "has a path"),
        ("http://[::1]/a", "has a path"),
        ("http://1.2.3.4/33", "has a path"),
        ("http://1.2.3.4/+8", "has a path"),
        ("http://", "has no host"),
        ("http:///", "has no host"),
        ("http://:80", "has no host"),
        ("://a", "has a scheme that is not of letters"),
        ("h2c://a", "has a scheme that is not of letters"),
        ("http+unix://a:1", "has a scheme that is not of letters"),
        (
            "{http,https}://a",
            "has a list in braces, which Spin does not know yet",
        ),
        (
            "http://{a,b}",
            "has a list in braces, which Spin does not know yet",
        ),
        (
            "http://a:{1,2}",
            "has a list in braces, which Spin does not know yet",
        ),
        (
            "http://a.*",
            "has a * that is not all of the host, nor all of its first label",
        ),
        (
            "http://a*.example.com",
            "has a * that is not all of the host, nor all of its first label",
        ),
        (
            "http://*.*.example.com",
            "has a * that is not all of the host, nor all of its first label",
        ),
        (
            "http://*.",
            "has a * that is not all of the host, nor all of its first label",
        ),
        (
            "http://[1.2.3.4]",
            "has an address in brackets that is none",
        ),
        ("http://[::1", "has an address in brackets that is none"),
        (
            "*://example.com",
            "has no port, and its scheme has none of its own",
        ),
        (
            "ftp://example.com",
            "has no port, and its scheme has none of its own",
        ),
        (
            "*://127.0.0.0/24",
            "has no port, and its scheme has none of its own",
        ),
        (
            "http://a:b",
            "has a port that is neither a number, nor a range like 8000..8010, nor *",
        ),
        (
            "http://a:65536",
            "has a port that is neither a number, nor a range like 8000..8010, nor *",
        ),
        (
            "http://a:1..",
            "has a port that is neither a number, nor a range like 8000..8010, nor *",
        ),
        (
            "http://a:-1",
            "has a port that is neither a number, nor a range like 8000..8010, nor *",
        ),
    ] {
        let error = AllowedHosts::parse(["http://fine", entry]).unwrap_err();
        assert_eq!(error.to_string(), format!("\"{entry}\" {reason}"));
        assert_eq!(error.entry, entry);
    }
}

#[test]
fn lists() {
    let none = AllowedHosts::default();
    assert!(none.is_empty() && !none.allows("http", "a", None) && !none.allows_any_of(&["http"]));
    let mut some = hosts(&["https://*.example.com", "http://b:1"]);
    assert!(allows(&some, "https://a.example.com") && allows(&some, "http://b:1"));
    assert!(!allows(&some, "redis://c"));
    some.add("redis://c").unwrap();
    assert!(allows(&some, "redis://c"));
    assert_eq!(
        some.to_string(),
        "https://*.example.com http://b:1 redis://c"
    );
    assert!(some.allows_any_of(&["x", "redis"]) && !some.allows_any_of(&["mysql"]));
}

#[test]
fn the_application_itself() {
    for (entry, allowed) in [
        ("http://self", true),
        ("*://self:80", true),
        ("http://self.alt", true),
        ("http://*", true),
        ("redis://self", false),
        ("redis://*", false),
        ("http://selfish", false),
        ("http://localhost", false),
    ] {
        assert_eq!(
            hosts(&[entry]).allows_self(&["http", "https"]),
            allowed,
            "{entry}"
        );
    }
}
