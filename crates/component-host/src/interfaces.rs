//! The names of interfaces, and which of them there are.

use std::fmt;

use crate::spin;

/// `namespace:package/interface@1.2.3-rc`
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub interface: &'a str,
    pub version: Option<&'a str>,
}

impl<'a> Name<'a> {
    pub fn parse(name: &'a str) -> Name<'a> {
        match name.split_once('@') {
            Some((interface, version)) => Name {
                interface,
                version: Some(version),
            },
            None => Name {
                interface: name,
                version: None,
            },
        }
    }

    /// Would one of these be taken for the other? Versions count up to their first number that is not 0; a release candidate is
    /// like itself alone.
    pub fn fits(&self, other: &Name<'_>) -> bool {
        self.interface == other.interface
            && (self.version == other.version
                || match (self.version.map(track), other.version.map(track)) {
                    (Some(Some(one)), Some(Some(other))) => one == other,
                    _ => false,
                })
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.interface)?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

/// What versions of one line have in common: `1` of 1.2.3, `0.2` of 0.2.6. `None`: the version is like itself alone.
fn track(version: &str) -> Option<(&str, Option<&str>)> {
    if version.contains('-') {
        return None;
    }
    let mut numbers = version.split('.');
    let (major, minor, patch) = (numbers.next()?, numbers.next()?, numbers.next()?);
    match (major, minor, patch) {
        ("0", "0", _) => None,
        ("0", minor, _) => Some(("0", Some(minor))),
        (major, ..) => Some((major, None)),
    }
}

/// Exports that handle requests.
pub(crate) const HANDLER_P2: &str = "wasi:http/incoming-handler@0.2.12";
pub(crate) const HANDLER_P3: &str = "wasi:http/handler@0.3.0";

/// Exports that take messages of a Redis channel; the older one, up to Spin 3, has no version.
pub(crate) const MESSAGES_ASYNC: &str = "spin:redis/inbound-redis@3.0.0";
pub(crate) const MESSAGES_BLOCKING: &str = "fermyon:spin/inbound-redis";

/// What guests can import.
pub(crate) const OFFERED: &[&str] = &[
    "wasi:cli/environment@0.2.12",
    "wasi:cli/environment@0.3.0",
    "wasi:cli/exit@0.2.12",
    "wasi:cli/exit@0.3.0",
    "wasi:cli/stderr@0.2.12",
    "wasi:cli/stderr@0.3.0",
    "wasi:cli/stdin@0.2.12",
    "wasi:cli/stdin@0.3.0",
    "wasi:cli/stdout@0.2.12",
    "wasi:cli/stdout@0.3.0",
    "wasi:cli/terminal-input@0.2.12",
    "wasi:cli/terminal-input@0.3.0",
    "wasi:cli/terminal-output@0.2.12",
    "wasi:cli/terminal-output@0.3.0",
    "wasi:cli/terminal-stderr@0.2.12",
    "wasi:cli/terminal-stderr@0.3.0",
    "wasi:cli/terminal-stdin@0.2.12",
    "wasi:cli/terminal-stdin@0.3.0",
    "wasi:cli/terminal-stdout@0.2.12",
    "wasi:cli/terminal-stdout@0.3.0",
    "wasi:cli/types@0.3.0",
    "wasi:clocks/monotonic-clock@0.2.12",
    "wasi:clocks/monotonic-clock@0.3.0",
    "wasi:clocks/system-clock@0.3.0",
    "wasi:clocks/types@0.3.0",
    "wasi:clocks/wall-clock@0.2.12",
    "wasi:filesystem/preopens@0.2.12",
    "wasi:filesystem/preopens@0.3.0",
    "wasi:filesystem/types@0.2.12",
    "wasi:filesystem/types@0.3.0",
    "wasi:http/client@0.3.0",
    "wasi:http/outgoing-handler@0.2.12",
    "wasi:http/types@0.2.12",
    "wasi:http/types@0.3.0",
    "wasi:io/error@0.2.12",
    "wasi:io/poll@0.2.12",
    "wasi:io/streams@0.2.12",
    "wasi:random/insecure-seed@0.2.12",
    "wasi:random/insecure-seed@0.3.0",
    "wasi:random/insecure@0.2.12",
    "wasi:random/insecure@0.3.0",
    "wasi:random/random@0.2.12",
    "wasi:random/random@0.3.0",
];

/// Packages whose interfaces guests can import, whatever the version; their functions answer that there is nothing.
pub(crate) const DENIED: &[&str] = &[
    "wasi:sockets/",
    "wasi:config/",
    "wasi:keyvalue/",
    "fermyon:spin/",
    "spin:",
];

/// All of them.
fn offered() -> impl Iterator<Item = Name<'static>> {
    let all = OFFERED.iter().chain(spin::OFFERED);
    all.map(|offered| Name::parse(offered))
}

/// Is this import there?
pub(crate) fn is_offered(name: &Name<'_>) -> bool {
    offered().any(|offered| offered.fits(name))
}

pub(crate) fn is_denied(name: &Name<'_>) -> bool {
    let denied = |package: &&str| name.interface.starts_with(*package);
    // Of wasi:http, release candidates of 0.3 that Python's SDK imports beside 0.3 itself.
    DENIED.iter().any(denied) || is_candidate(name)
}

/// A release candidate of an interface that is offered in a released version.
fn is_candidate(name: &Name<'_>) -> bool {
    name.version.is_some_and(|version| version.contains("-rc"))
        && (name.interface.starts_with("wasi:"))
}

/// Which versions of an import there are.
pub(crate) fn versions(name: &Name<'_>) -> Vec<&'static str> {
    offered()
        .filter(|offered| offered.interface == name.interface)
        .filter_map(|offered| offered.version)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_as_semver_has_it() {
        let fits = |one: &str, other: &str| Name::parse(one).fits(&Name::parse(other));
        assert!(fits("a:b/c@0.2.0", "a:b/c@0.2.12"));
        assert!(fits("a:b/c@1.0.0", "a:b/c@1.4.0"));
        assert!(fits("a:b/c", "a:b/c"));
        assert!(fits(
            "a:b/c@0.3.0-rc-2026-03-15",
            "a:b/c@0.3.0-rc-2026-03-15"
        ));
        assert!(!fits("a:b/c@0.3.0-rc-2026-03-15", "a:b/c@0.3.0"));
        assert!(!fits("a:b/c@0.2.0", "a:b/c@0.3.0"));
        assert!(!fits("a:b/c@1.0.0", "a:b/c@2.0.0"));
        assert!(!fits("a:b/c@0.0.1", "a:b/c@0.0.2"));
        assert!(!fits("a:b/c@0.2.0", "a:b/d@0.2.0"));
        assert!(!fits("a:b/c", "a:b/c@0.2.0"));
    }
}
