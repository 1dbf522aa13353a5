//! The codec of header maps: what is read is what was written, and nothing else is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_host::fuzzing::{MAX_BYTES, MAX_PAIRS, parse_map};
use proxy_wasm_host::serialize_map;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| {
    if let Ok(pairs) = parse_map(data) {
        assert!(pairs.len() <= MAX_PAIRS && data.len() <= MAX_BYTES);
        let written = serialize(&pairs);
        // A map has one form only; what stands behind it is not read.
        assert!(data.is_empty() || data.starts_with(&written));
    }

    // The same bytes as the pairs of a map.
    let pairs: Vec<(&[u8], &[u8])> = data
        .chunks(9)
        .map(|chunk| chunk.split_at(chunk.len().min(usize::from(chunk[0] % 10))))
        .collect();
    let map = serialize(&pairs);
    if pairs.len() > MAX_PAIRS || map.len() > MAX_BYTES {
        assert!(parse_map(&map).is_err());
        return;
    }
    assert_eq!(parse_map(&map).as_ref(), Ok(&pairs));
    for cut in 1..map.len().min(64) {
        assert!(parse_map(&map[..map.len() - cut]).is_err());
    }
});

fn serialize(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    serialize_map(|visit| pairs.iter().for_each(|(key, value)| visit(key, value)))
}
