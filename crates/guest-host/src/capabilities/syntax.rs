//! How capabilities are written: `metrics,http_call(auth|10.0.0.1:8080)`.

use super::allowed::Capabilities;
use super::family::Capability;

/// What a configuration allows and denies, until all of it is read.
#[derive(Clone, Debug, Default)]
pub struct CapabilityRules {
    allow: Rules,
    deny: Rules,
}

#[derive(Clone, Debug, Default)]
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
        for &capability in Capability::ALL {
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
                    capabilities.list(capability, upstreams);
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
    if !capability.has_upstreams() {
        return Err(no_upstreams(name));
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

fn no_upstreams(name: &str) -> String {
    let families = Capability::ALL.iter().filter(|c| c.has_upstreams());
    let have: Vec<_> = families.map(|c| c.name()).collect();
    match have.split_last() {
        Some((last, others)) => {
            let others = others.join(", ");
            format!("{name} has no upstreams; {others} and {last} have")
        }
        None => format!("{name} has no upstreams"),
    }
}

fn unknown(name: &[u8]) -> String {
    let known: Vec<_> = Capability::ALL.iter().map(|c| c.name()).collect();
    format!(
        "unknown capability \"{}\"; known are {} and all",
        name.escape_ascii(),
        known.join(", ")
    )
}
