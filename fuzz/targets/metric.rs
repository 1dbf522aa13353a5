//! Any bytes as a metric's name: a valid family and labels, and a line of their own as text.
#![no_main]
#![allow(dead_code, reason = "what the page needs besides")]

use libfuzzer_sys::fuzz_target;

// The module itself links only within nginx.
#[path = "../../src/metrics/names.rs"]
mod names;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| {
    let name = names::parse(data);
    assert!(is_name(&name.family), "{}", name.family);

    let mut keys = Vec::new();
    let mut rest = name.labels.as_str();
    while !rest.is_empty() {
        let (key, value) = rest[1..].split_once("=\"").expect("a value");
        assert!(
            rest.starts_with(',') && is_name(key) && !key.starts_with("__"),
            "{rest}"
        );
        assert!(
            !["module", "metric", "le"].contains(&key) && !keys.contains(&key),
            "{key}"
        );
        keys.push(key);
        rest = &value[value_len(value) + 1..];
    }

    let shown = names::shown(data);
    assert!(!shown.contains(char::is_control));
    assert_eq!(shown == String::from_utf8_lossy(data), !escapes(data));
});

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// Bytes up to the quote that ends a label's value.
fn value_len(value: &str) -> usize {
    let mut escaped = false;
    let end = value.find(|c| {
        assert_ne!(c, '\n');
        assert!(!escaped || matches!(c, '\\' | '"' | 'n'));
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.expect("a quote at the end")
}

/// Is there anything that is not shown as it is?
fn escapes(data: &[u8]) -> bool {
    match std::str::from_utf8(data) {
        Ok(text) => text.contains(|c: char| c == '\\' || c.is_control()),
        Err(_) => true,
    }
}
