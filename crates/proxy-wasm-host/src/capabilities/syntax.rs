//! How capabilities are written: `metrics,http_call(auth|10.0.0.1:8080)`.

use super::{Capabilities, Capability};

/// What a configuration allows and denies, until all of it is read.
#[derive(Debug, Default)]
pub struct CapabilityRules {
    allow: Rules,
    deny: Rules,
}

#[derive(Debug, Default)]
struct Rules {
    all: bool,
    /// With the lists of upstreams, each as it was written.
    named: Vec<(Capability, Option<Vec<Vec<u8>>>)>,
}

impl CapabilityRules {
    /// Reads families with commas between them, or `all`; `http_call`, `grpc_call` and `redis`
    /// may have upstreams, with `|` between them, in parentheses. What several say is added up.
    pub fn allow(&mut self, value: &[u8]) -> Result<(), String> {
        read(&mut self.allow, value, true)
    }

    /// The same without upstreams: a list of those that are denied could be passed by another name
    /// of the same server.
    pub fn deny(&mut self, value: &[u8]) -> Result<(), String> {
        read(&mut self.deny, value, false)
    }

    /// What a guest may use then. A name counts for more than `all`, and what is neither allowed
    /// nor denied is as by default.
    pub fn capabilities(&self) -> Result<Capabilities, String> {
        self.capabilities_with(|_, _| false)
    }

    /// The same where names of upstreams may have `|` in them: what `is_name` says to be the name of an
    /// upstream is not taken apart there, the longest one first.
    pub fn capabilities_with(
        &self,
        is_name: impl Fn(Capability, &[u8]) -> bool,
    ) -> Result<Capabilities, String> {
        if self.allow.all && self.deny.all {
            return Err("allow=all and deny=all contradict each other".into());
        }
        let mut capabilities = Capabilities::default();
        for capability in Capability::ALL {
            let allow = self.allow.named.iter().find(|(c, _)| *c == capability);
            let deny = self.deny.named.iter().any(|(c, _)| *c == capability);
            match (allow, deny) {
                (Some(_), true) => {
                    let name = capability.name();
                    return Err(format!("{name} is in allow= and in deny="));
                }
                (Some((_, lists)), false) => {
                    capabilities.allow(capability);
                    let is_name = |name: &[u8]| is_name(capability, name);
                    let upstreams = match lists {
                        Some(lists) => Some(names(capability, lists, is_name)?.into()),
                        None => None,
                    };
                    match capability {
                        Capability::HttpCall => capabilities.http_upstreams = upstreams,
                        Capability::GrpcCall => capabilities.grpc_upstreams = upstreams,
                        Capability::Redis => capabilities.redis_upstreams = upstreams,
                        _ => {}
                    }
                }
                (None, true) => capabilities.deny(capability),
                (None, false) if self.allow.all => capabilities.allow(capability),
                (None, false) if self.deny.all => capabilities.deny(capability),
                (None, false) => {}
            }
        }
        Ok(capabilities)
    }
}

fn read(rules: &mut Rules, value: &[u8], lists: bool) -> Result<(), String> {
    for item in items(value) {
        if item == b"all" {
            rules.all = true;
            continue;
        }
        let (name, list) = match item.iter().position(|&b| b == b'(') {
            Some(at) => (&item[..at], Some(&item[at + 1..])),
            None => (item, None),
        };
        let known = Capability::ALL.iter().find(|c| c.name().as_bytes() == name);
        let capability = *known.ok_or_else(|| unknown(name))?;
        let upstreams = match list {
            None => None,
            Some(_) if !lists => {
                return Err(format!(
                    "deny= takes no upstreams: those that {} may have are listed in allow=",
                    capability.name()
                ));
            }
            Some(list) => Some(vec![checked_list(capability, list)?]),
        };
        let earlier = rules.named.iter_mut().find(|(c, _)| *c == capability);
        match (earlier, upstreams) {
            (None, upstreams) => rules.named.push((capability, upstreams)),
            (Some((_, Some(list))), Some(more)) => list.extend(more),
            (Some((_, None)), None) => {}
            (Some(_), _) => {
                return Err(format!(
                    "{} is there with and without a list of upstreams",
                    capability.name()
                ));
            }
        }
    }
    Ok(())
}

/// Parts at commas that are not within parentheses.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut inside = false;
    value.split(move |&byte| {
        match byte {
            b'(' => inside = true,
            b')' => inside = false,
            _ => {}
        }
        byte == b',' && !inside
    })
}

/// The names in parentheses, as far as it is known now that they are some.
fn checked_list(capability: Capability, list: &[u8]) -> Result<Vec<u8>, String> {
    let name = capability.name();
    if !matches!(
        capability,
        Capability::HttpCall | Capability::GrpcCall | Capability::Redis
    ) {
        return Err(format!(
            "{name} has no upstreams; http_call, grpc_call and redis have"
        ));
    }
    let list = list
        .strip_suffix(b")")
        .filter(|list| !list.contains(&b'(') && !list.contains(&b')'));
    let list =
        list.ok_or_else(|| format!("the upstreams of {name} must be written {name}(one|another)"))?;
    match list.is_empty() || list.starts_with(b"|") || list.ends_with(b"|") {
        true => Err(nameless(capability)),
        false => Ok(list.to_vec()),
    }
}

/// The names in lists with `|` between them.
fn names(
    capability: Capability,
    lists: &[Vec<u8>],
    is_name: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>, String> {
    let mut names = Vec::new();
    for list in lists {
        let ends: Vec<usize> = list
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'|')
            .map(|(at, _)| at)
            .chain([list.len()])
            .collect();
        let (mut start, mut first) = (0, 0);
        while first < ends.len() {
            let mut longer = (first + 1..ends.len()).rev();
            let last = longer
                .find(|last| is_name(&list[start..ends[*last]]))
                .unwrap_or(first);
            let name = &list[start..ends[last]];
            if name.is_empty() {
                return Err(nameless(capability));
            }
            names.push(name.to_vec());
            (start, first) = (ends[last] + 1, last + 1);
        }
    }
    Ok(names)
}

fn nameless(capability: Capability) -> String {
    let name = capability.name();
    format!("an upstream of {name} has no name; deny={name} allows none")
}

fn unknown(name: &[u8]) -> String {
    let known: Vec<_> = Capability::ALL.iter().map(|c| c.name()).collect();
    format!(
        "unknown capability \"{}\"; known are {} and all",
        name.escape_ascii(),
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Result<Capabilities, String> {
        let mut rules = CapabilityRules::default();
        for value in allow {
            rules.allow(value.as_bytes())?;
        }
        for value in deny {
            rules.deny(value.as_bytes())?;
        }
        rules.capabilities()
    }

    fn names(allow: &[&str], deny: &[&str]) -> String {
        let capabilities = rules(allow, deny).unwrap();
        let all = Capability::ALL.iter().filter(|c| capabilities.allows(**c));
        all.map(|c| c.name()).collect::<Vec<_>>().join(" ")
    }

    const DEFAULT: &str = "http_call grpc_call redis upstream_hosts shared_data shared_queue metrics properties_write clock random";

    #[test]
    fn a_name_counts_for_more_than_all_and_the_rest_is_as_by_default() {
        assert_eq!(names(&[], &[]), DEFAULT);
        assert_eq!(
            names(&["env"], &[]),
            "http_call grpc_call redis upstream_hosts shared_data shared_queue metrics properties_write env clock random"
        );
        assert_eq!(names(&["all"], &[]), names(&["env"], &[]));
        assert_eq!(names(&[], &["all"]), "");
        assert_eq!(names(&["metrics,clock"], &["all"]), "metrics clock");
        assert_eq!(names(&["metrics", "clock"], &["all"]), "metrics clock");
        assert_eq!(
            names(&["all"], &["env,clock"]),
            "http_call grpc_call redis upstream_hosts shared_data shared_queue metrics properties_write random"
        );
        assert_eq!(
            names(&[], &["http_call,grpc_call", "shared_queue"]),
            "redis upstream_hosts shared_data metrics properties_write clock random"
        );
        assert_eq!(names(&[], &["env"]), DEFAULT);
    }

    #[test]
    fn upstreams_are_added_up() {
        let some = rules(
            &["http_call(auth|[::1]:80,a),clock", "http_call(unix:/a b)"],
            &["all"],
        )
        .unwrap();
        let upstreams = some.upstreams(Capability::HttpCall).unwrap();
        assert_eq!(upstreams, [&b"auth"[..], b"[::1]:80,a", b"unix:/a b"]);
        assert_eq!(some.upstreams(Capability::GrpcCall), None);
        assert!(!some.allows(Capability::GrpcCall) && some.allows(Capability::Clock));
        // Without a deny=, a list still limits what is allowed by default.
        let some = rules(&["grpc_call(auth)"], &[]).unwrap();
        assert_eq!(some.upstreams(Capability::GrpcCall).unwrap(), [b"auth"]);
        assert_eq!(some.upstreams(Capability::HttpCall), None);
        assert!(some.allows(Capability::HttpCall));
    }

    #[test]
    fn names_with_the_sign_in_them_are_those_that_the_proxy_knows() {
        let mut rules = CapabilityRules::default();
        rules
            .allow(b"http_call(outbound|9090||svc|auth|outbound|80)")
            .unwrap();
        rules.allow(b"http_call(a),http_call(b)").unwrap();
        let known = [&b"outbound|9090||svc"[..], b"outbound|9090", b"a|b"];
        let some = rules
            .capabilities_with(|capability, name| {
                capability == Capability::HttpCall && known.contains(&name)
            })
            .unwrap();
        assert_eq!(
            some.upstreams(Capability::HttpCall).unwrap(),
            [
                &b"outbound|9090||svc"[..],
                b"auth",
                b"outbound",
                b"80",
                b"a",
                b"b"
            ]
        );
        assert_eq!(
            rules.capabilities().unwrap_err(),
            "an upstream of http_call has no name; deny=http_call allows none"
        );
    }

    #[test]
    fn errors() {
        let error = |allow: &[&str], deny: &[&str]| rules(allow, deny).unwrap_err();
        let known = "known are http_call, grpc_call, redis, upstream_hosts, shared_data, shared_queue, metrics, properties_write, env, clock, random and all";
        assert_eq!(
            error(&["clocks"], &[]),
            format!("unknown capability \"clocks\"; {known}")
        );
        assert_eq!(
            error(&[""], &[]),
            format!("unknown capability \"\"; {known}")
        );
        assert_eq!(
            error(&[], &["metrics,"]),
            format!("unknown capability \"\"; {known}")
        );
        assert_eq!(
            error(&["http_call (a)"], &[]),
            format!("unknown capability \"http_call \"; {known}")
        );
        assert_eq!(
            error(&["all"], &["all"]),
            "allow=all and deny=all contradict each other"
        );
        assert_eq!(
            error(&["clock"], &["all,clock"]),
            "clock is in allow= and in deny="
        );
        assert_eq!(
            error(&["http_call(a)"], &["http_call"]),
            "http_call is in allow= and in deny="
        );
        assert_eq!(
            error(&["http_call,http_call(a)"], &[]),
            "http_call is there with and without a list of upstreams"
        );
        assert_eq!(
            error(&["metrics(a)"], &[]),
            "metrics has no upstreams; http_call, grpc_call and redis have"
        );
        let written = "the upstreams of http_call must be written http_call(one|another)";
        for list in [
            "http_call(a",
            "http_call(a)b",
            "http_call(a))",
            "http_call((a)",
            "http_call(",
            "http_call(a)(b)",
        ] {
            assert_eq!(error(&[list], &[]), written, "{list}");
        }
        for list in [
            "http_call()",
            "http_call(a|)",
            "http_call(|a)",
            "http_call(a||b)",
        ] {
            assert_eq!(
                error(&[list], &[]),
                "an upstream of http_call has no name; deny=http_call allows none",
                "{list}"
            );
        }
        assert_eq!(
            error(&[], &["http_call(a)"]),
            "deny= takes no upstreams: those that http_call may have are listed in allow="
        );
    }
}
