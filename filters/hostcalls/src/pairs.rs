//! The serialized form of header maps: a count, the lengths of each key and
//! value, then each of them with a zero byte behind (all u32, little endian).

pub type Pair = (Vec<u8>, Vec<u8>);

pub fn serialize(pairs: &[Pair]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (key, value) in pairs {
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (key, value) in pairs {
        bytes.extend_from_slice(key);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

/// The pairs; `None` where the bytes are not exactly one serialized map: a
/// host's mistake, which the tests should see. No bytes at all are no pairs.
pub fn deserialize(bytes: &[u8]) -> Option<Vec<Pair>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (count, mut lengths) = number(bytes)?;
    let mut data = lengths.get(count.checked_mul(8)?..)?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (key, value);
        (key, lengths) = number(lengths)?;
        (value, lengths) = number(lengths)?;
        let mut take = |len: usize| {
            let taken = data.get(..len)?.to_vec();
            (*data.get(len)? == 0).then_some(())?;
            data = data.get(len + 1..)?;
            Some(taken)
        };
        pairs.push((take(key)?, take(value)?));
    }
    data.is_empty().then_some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}
