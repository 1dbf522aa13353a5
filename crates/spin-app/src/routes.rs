//! Which component a request is for.
//!
//! As Spin's router (the crate `routefinder` 0.5): an exact segment goes before a parameter, and that before the rest of a path, at the
//! first segment in which two routes differ so; among equals, the one that stands first. Slashes at the ends of routes and paths do not
//! count for that. Unlike there, a dot at the start of a segment is part of it (`/a/.b` is not `/a.b`, and `/.b` goes before `/...`).

use std::cmp::Ordering;

/// A route as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// As it was written.
    raw: String,
    /// Behind the base path, without its last slash. That of `/` is empty.
    based: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Slash,
    /// Beside a parameter.
    Dot,
    Exact(String),
    Parameter(String),
    /// All that is left; it is the last.
    Rest,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("a parameter needs a name behind its colon")]
    NoName,
    #[error("the parameter \":{}\" has a name that cannot be part of a header's", .0.escape_debug())]
    Name(String),
    #[error("a * is not at the end: \"/...\" takes the rest of the path")]
    RestInside,
    #[error("the * takes the rest of the path, and has no name")]
    NamedRest,
}

/// A route that matches a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<'r, 'p> {
    /// The number that the router was given with it.
    pub number: usize,
    /// The route, behind the base path: `/base/users/:id/...`.
    pub route: &'r str,
    /// The route as the manifest has it.
    pub raw_route: &'r str,
    /// What parameters stand for, in their order. Each name is there once.
    pub parameters: Vec<(&'r str, &'p str)>,
    /// What `/...` stands for, with the slash before it: empty, or `/`, or `/a/b`, or `/a/b/`. Empty without `/...`.
    pub path_info: String,
}

/// What parameters and the rest stand for.
#[derive(Default)]
struct Found<'r, 'p> {
    parameters: Vec<(&'r str, &'p str)>,
    rest: Option<&'p str>,
}

/// The routes of an application.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// With the numbers that they were given with.
    routes: Vec<(usize, Route)>,
}

/// A route that is there twice: the later one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Numbers that the router was given with them.
    pub replaced: usize,
    pub used: usize,
}

impl Route {
    /// Reads a route; `base` is the path of the application, `/` if it is that of the server.
    pub fn parse(base: &str, raw: &str) -> Result<Route, RouteError> {
        let slash = if raw.starts_with('/') { "" } else { "/" };
        let based = format!("{}{slash}{}", without_slash(base), without_slash(raw));
        // `/*` is an older way to write it.
        let (start, is_rest) = match based.strip_suffix("/...").or(based.strip_suffix("/*")) {
            Some(start) => (start, true),
            None => (&*based, false),
        };
        let mut segments = parse_segments(start)?;
        if is_rest {
            if !segments.is_empty() {
                segments.push(Segment::Slash);
            }
            segments.push(Segment::Rest);
        }
        Ok(Route {
            raw: raw.to_owned(),
            based,
            segments,
        })
    }

    /// What parameters and the rest stand for, if it matches.
    fn matches<'r, 'p>(&'r self, path: &'p str) -> Option<Found<'r, 'p>> {
        let mut left = path.trim_matches('/');
        let mut found = Found::default();
        let mut segments = self.segments.iter().peekable();
        while let Some(segment) = segments.next() {
            match segment {
                Segment::Exact(text) => left = left.strip_prefix(text.as_str())?,
                Segment::Dot => left = left.strip_prefix('.')?,
                Segment::Slash => match segments.peek() {
                    // The rest of a path that ends before it is empty.
                    Some(Segment::Rest) if left.is_empty() => {}
                    _ => left = left.strip_prefix('/')?,
                },
                Segment::Rest => {
                    found.rest = Some(left);
                    return Some(found);
                }
                Segment::Parameter(_) if left.is_empty() => return None,
                Segment::Parameter(name) => {
                    let dotted = matches!(segments.peek(), Some(Segment::Dot));
                    let end = left.find(|c| c == '/' || dotted && c == '.');
                    let (value, after) = left.split_at(end.unwrap_or(left.len()));
                    found.parameters.retain(|(other, _)| other != name);
                    found.parameters.push((name, value));
                    left = after;
                }
            }
        }
        left.is_empty().then_some(found)
    }

    /// Does it go before another one that matches the same path?
    fn precedes(&self, other: &Route) -> bool {
        let pairs = self.segments.iter().zip(&other.segments);
        pairs
            .map(|(one, two)| one.class().cmp(&two.class()))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
            .then_with(|| other.dots().cmp(&self.dots()))
            .then_with(|| self.segments.len().cmp(&other.segments.len()))
            .is_lt()
    }

    fn dots(&self) -> usize {
        let segments = self.segments.iter();
        segments
            .filter(|segment| matches!(segment, Segment::Dot))
            .count()
    }
}

impl Segment {
    /// The smaller, the more exact.
    fn class(&self) -> u8 {
        match self {
            Segment::Exact(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Rest => 2,
            Segment::Slash | Segment::Dot => 3,
        }
    }
}

/// The segments of a route without its `/...`. Slashes beside each other are one.
fn parse_segments(route: &str) -> Result<Vec<Segment>, RouteError> {
    let mut segments = Vec::new();
    for between in route.split('/').filter(|between| !between.is_empty()) {
        if !segments.is_empty() {
            segments.push(Segment::Slash);
        }
        let mut own = Vec::new();
        for (number, text) in between.split('.').enumerate() {
            if number > 0 {
                push_dot(&mut own);
            }
            own.extend(parse_section(text)?);
        }
        segments.append(&mut own);
    }
    Ok(segments)
}

/// A dot belongs to the text before it.
fn push_dot(segments: &mut Vec<Segment>) {
    match segments.last_mut() {
        Some(Segment::Exact(text)) => text.push('.'),
        Some(_) => segments.push(Segment::Dot),
        None => segments.push(Segment::Exact(".".into())),
    }
}

fn parse_section(text: &str) -> Result<Option<Segment>, RouteError> {
    match text.split_at_checked(1) {
        None if text.is_empty() => Ok(None),
        Some(("*", "")) => Err(RouteError::RestInside),
        Some(("*", _)) => Err(RouteError::NamedRest),
        Some((":", "")) => Err(RouteError::NoName),
        Some((":", name)) if !is_header_name(name) => Err(RouteError::Name(name.to_owned())),
        Some((":", name)) => Ok(Some(Segment::Parameter(name.to_owned()))),
        _ => Ok(Some(Segment::Exact(text.to_owned()))),
    }
}

/// Can it be part of a header's name? (RFC 9110's tokens)
fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    name.bytes().all(token)
}

/// Without one slash at its end.
fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

impl Router {
    /// A router for these routes, each with a number that says whose it is, and those that are there twice, as they were written.
    pub fn new(routes: impl IntoIterator<Item = (usize, Route)>) -> (Router, Vec<Duplicate>) {
        let mut kept: Vec<(usize, Route)> = Vec::new();
        let mut duplicates = Vec::new();
        for (used, route) in routes {
            match kept.iter_mut().find(|(_, other)| other.raw == route.raw) {
                Some((number, _)) => {
                    let replaced = std::mem::replace(number, used);
                    duplicates.push(Duplicate { replaced, used });
                }
                None => kept.push((used, route)),
            }
        }
        (Router { routes: kept }, duplicates)
    }

    /// The route for a path, which is as it came: with its escapes, without its query.
    pub fn find<'r, 'p>(&'r self, path: &'p str) -> Option<Match<'r, 'p>> {
        let mut best: Option<(usize, &Route, Found<'r, 'p>)> = None;
        for (number, route) in &self.routes {
            let better = best
                .as_ref()
                .is_none_or(|(_, best, _)| route.precedes(best));
            if better && let Some(found) = route.matches(path) {
                best = Some((*number, route, found));
            }
        }
        let (number, route, found) = best?;
        let path_info = found
            .rest
            .map_or(String::new(), |rest| path_info(rest, path));
        Some(Match {
            number,
            route: &route.based,
            raw_route: &route.raw,
            parameters: found.parameters,
            path_info,
        })
    }
}

/// Slashes at the end were taken off to match.
fn path_info(rest: &str, path: &str) -> String {
    let first = if rest.is_empty() { "" } else { "/" };
    let last = if path.ends_with('/') { "/" } else { "" };
    format!("{first}{rest}{last}")
}
