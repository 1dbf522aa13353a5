//! Which format a client wants.

/// The exposition formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of Content-Type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A client's preference for a format: how specific the best match is, and its q-value in thousandths.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    specific: u8,
    q: u16,
}

/// Chooses by the values of Accept (RFC 9110, section 12.5.1). OpenMetrics is for those who prefer it, or name
/// it and like the text as much; what accepts neither gets the text.
pub fn choose<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Format {
    let (mut text, mut open) = (Match::default(), Match::default());
    for range in values.into_iter().flat_map(split_ranges) {
        let Some(Range { kind, version, q }) = parse(range) else {
            continue;
        };
        let specific = match kind.as_slice() {
            b"*/*" => 1,
            b"text/*" | b"application/*" => 2,
            _ => 3,
        };
        let found = Match { specific, q };
        if matches!(kind.as_slice(), b"*/*" | b"text/*")
            || kind == b"text/plain" && matches!(version, None | Some(b"0.0.4"))
        {
            text = best(text, found);
        }
        if matches!(kind.as_slice(), b"*/*" | b"application/*")
            || kind == b"application/openmetrics-text" && matches!(version, None | Some(b"1.0.0"))
        {
            open = best(open, found);
        }
    }
    match open.q > text.q || open.q > 0 && open.q == text.q && open.specific == 3 {
        true => Format::OpenMetrics,
        false => Format::Text,
    }
}

/// The more specific range decides, among equals the one with the greater q.
fn best(known: Match, found: Match) -> Match {
    known.max(found)
}

/// The parts between commas that are not in a quoted string.
fn split_ranges(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    value.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

/// A media range.
struct Range<'a> {
    /// In lower case.
    kind: Vec<u8>,
    version: Option<&'a [u8]>,
    /// The q-value in thousandths.
    q: u16,
}

/// `None`: it is none, or has an invalid q-value.
fn parse(range: &[u8]) -> Option<Range<'_>> {
    let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let kind = parts.next().filter(|kind| !kind.is_empty())?;
    let (mut version, mut q) = (None, 1000);
    for part in parts {
        let Some(at) = part.iter().position(|&byte| byte == b'=') else {
            continue;
        };
        let (name, value) = (part[..at].trim_ascii(), part[at + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"q") {
            q = thousandths(value)?;
        } else if name.eq_ignore_ascii_case(b"version") {
            let unquoted = value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""));
            version = Some(unquoted.unwrap_or(value));
        }
    }
    Some(Range {
        kind: kind.to_ascii_lowercase(),
        version,
        q,
    })
}

/// `0.5` as 500; `None` when it is no number from 0 to 1.
fn thousandths(value: &[u8]) -> Option<u16> {
    let q: f32 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (0.0..=1.0)
        .contains(&q)
        .then_some((q * 1000.0).round() as u16)
}
