//! Guests' names of metrics as names and labels of Prometheus.
//!
//! Guests name metrics for Envoy, which takes any bytes. Its exposition replaces what Prometheus does
//! not allow, and takes tags out of names by regular expressions. Istio's form of tags is known here:
//! `reporter=.=source;.;response_code=.=200;.;istio_requests_total`.

use std::fmt::Write;

/// Between a tag's key and its value, and behind its value, as in Istio's stats filter.
const EQUALS: &[u8] = b"=.=";
const ENDS: &[u8] = b";.;";

/// Labels that the exposition itself gives to samples.
const OWN_LABELS: [&str; 3] = ["module", "metric", "le"];

/// A name taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// `[a-zA-Z_][a-zA-Z0-9_]*`
    pub family: String,
    /// As [`push_label`] writes them, a comma before each.
    pub labels: String,
}

/// Takes a guest's name apart, whatever it is.
pub fn parse(raw: &[u8]) -> Name {
    let mut rest: Vec<u8> = Vec::with_capacity(raw.len());
    let mut labels = String::new();
    let mut keys: Vec<String> = Vec::new();
    let mut left = raw;
    while let Some(tag) = first_tag(left) {
        rest.extend(tag.before);
        left = tag.after;
        let key = label_name(tag.key);
        // Prometheus takes an empty label for one that is not there.
        if !tag.value.is_empty() && !keys.contains(&key) {
            push_label(&mut labels, &key, &String::from_utf8_lossy(tag.value));
            keys.push(key);
        }
    }
    rest.extend(left);
    // Nothing but tags: they are its name.
    if rest.iter().all(|&byte| byte == b'.') {
        return Name {
            family: sanitized(raw),
            labels: String::new(),
        };
    }
    Name {
        family: sanitized(&rest),
        labels,
    }
}

/// A tag, and what is around it.
struct Tag<'a> {
    before: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
    after: &'a [u8],
}

fn first_tag(text: &[u8]) -> Option<Tag<'_>> {
    let mut from = 0;
    loop {
        let equals = from + find(&text[from..], EQUALS)?;
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let key = text[..equals]
            .iter()
            .rev()
            .take_while(|b| is_key(b))
            .count();
        let (before, key) = text[..equals].split_at(equals - key);
        let value = &text[equals + EQUALS.len()..];
        if key.is_empty() {
            from = equals + EQUALS.len();
            continue;
        }
        let end = find(value, ENDS)?;
        return Some(Tag {
            before,
            key,
            value: &value[..end],
            after: &value[end + ENDS.len()..],
        });
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// A name of a metric or a label. Prometheus allows colons in metrics' names, for recording rules
/// only; Envoy replaces them, too.
fn sanitized(raw: &[u8]) -> String {
    let mut name = String::with_capacity(raw.len() + 1);
    if raw.first().is_none_or(u8::is_ascii_digit) {
        name.push('_');
    }
    name.extend(raw.iter().map(|&byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => byte as char,
        _ => '_',
    }));
    name
}

/// A label's name that is neither Prometheus's own (`__…`) nor one of the exposition's.
fn label_name(key: &[u8]) -> String {
    let name = sanitized(key);
    match name.starts_with("__") || OWN_LABELS.contains(&name.as_str()) {
        true => format!("exported_{name}"),
        false => name,
    }
}

/// Appends `,name="value"`.
pub fn push_label(labels: &mut String, name: &str, value: &str) {
    labels.push(',');
    labels.push_str(name);
    labels.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            c => labels.push(c),
        }
    }
    labels.push('"');
}

/// A name as text, another one for each name: control characters and bytes that are not UTF-8 as
/// `\xNN`, and a backslash doubled.
pub fn shown(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    let escape = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    };
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}
