//! Property paths: segments joined by NUL, one NUL at the end allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_host::fuzzing::{MAX_SEGMENTS, property_path};

fuzz::mutator!();

fuzz_target!(|data: &[u8]| {
    let path = data.strip_suffix(b"\0").unwrap_or(data);
    let count = path.split(|byte| *byte == 0).count();
    match property_path(data) {
        Ok(segments) => {
            assert!(!path.is_empty() && segments.len() == count && count <= MAX_SEGMENTS);
            assert_eq!(segments.join(&0), path);
        }
        Err(_) => assert!(path.is_empty() || count > MAX_SEGMENTS),
    }
});
