//! The serialized header map, little endian: u32 count, then count × (u32 key length, u32 value
//! length), then `key\0value\0` ….
//!
//! Source: `proxy-wasm/spec`, "Serialized maps".

use crate::abi::Status;

/// Largest map that a guest may pass, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Most pairs that a guest may pass.
pub(crate) const MAX_PAIRS: usize = 1024;

/// Counts the bytes of a map, pair by pair.
#[derive(Default)]
pub(crate) struct Size {
    pairs: usize,
    data: usize,
}

impl Size {
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.saturating_add(1);
        self.data = self
            .data
            .saturating_add(key.len())
            .saturating_add(value.len())
            .saturating_add(2);
    }

    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Bytes of the whole map; `None` past what a guest's address space takes.
    pub fn bytes(&self) -> Option<u32> {
        let bytes = self
            .pairs
            .checked_mul(8)?
            .checked_add(4)?
            .checked_add(self.data)?;
        u32::try_from(bytes).ok()
    }
}

/// Writes a map of a known number of pairs into its place.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    /// Where the next pair's lengths go.
    lengths: usize,
    /// End of the lengths, start of the data.
    data: usize,
    /// Where the next pair's bytes go.
    next: usize,
    fits: bool,
}

impl<'a> Writer<'a> {
    /// `out` has the size that [`Size`] told for the same pairs.
    pub fn new(out: &'a mut [u8], pairs: usize) -> Writer<'a> {
        let data = pairs.saturating_mul(8).saturating_add(4);
        let mut writer = Writer {
            out,
            lengths: 0,
            data,
            next: data,
            fits: true,
        };
        let count = u32::try_from(pairs).unwrap_or(u32::MAX);
        writer.fits = put(writer.out, &mut writer.lengths, &count.to_le_bytes());
        writer
    }

    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let (Ok(key_len), Ok(value_len)) = (u32::try_from(key.len()), u32::try_from(value.len()))
        else {
            self.fits = false;
            return;
        };
        self.fits &= self.lengths.saturating_add(8) <= self.data
            && put(self.out, &mut self.lengths, &key_len.to_le_bytes())
            && put(self.out, &mut self.lengths, &value_len.to_le_bytes())
            && put(self.out, &mut self.next, key)
            && put(self.out, &mut self.next, &[0])
            && put(self.out, &mut self.next, value)
            && put(self.out, &mut self.next, &[0]);
    }

    /// Did the pairs fill the place exactly?
    pub fn complete(&self) -> bool {
        self.fits && self.lengths == self.data && self.next == self.out.len()
    }
}

/// Serializes the pairs that `visit` passes on; it is called twice and must pass on the same
/// pairs. A map larger than a guest's address space comes out empty.
pub fn serialize_map(visit: impl Fn(&mut dyn FnMut(&[u8], &[u8]))) -> Vec<u8> {
    let mut size = Size::default();
    visit(&mut |key, value| size.add(key, value));
    let Some(bytes) = size.bytes() else {
        return vec![0; 4];
    };
    let mut out = vec![0; bytes as usize];
    let mut writer = Writer::new(&mut out, size.pairs());
    visit(&mut |key, value| writer.add(key, value));
    out
}

/// Writes at `at` and moves it on; false when it does not fit.
fn put(out: &mut [u8], at: &mut usize, bytes: &[u8]) -> bool {
    let Some(end) = at.checked_add(bytes.len()) else {
        return false;
    };
    let Some(place) = out.get_mut(*at..end) else {
        return false;
    };
    place.copy_from_slice(bytes);
    *at = end;
    true
}

/// Name and value.
pub(crate) type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads a guest's map. No bytes at all are an empty map; anything broken or past the limits is
/// `BadArgument`.
pub(crate) fn parse(map: &[u8]) -> Result<Vec<Pair<'_>>, Status> {
    if map.is_empty() {
        return Ok(Vec::new());
    }
    if map.len() > MAX_BYTES {
        return Err(Status::BadArgument);
    }
    pairs(map).ok_or(Status::BadArgument)
}

fn pairs(map: &[u8]) -> Option<Vec<Pair<'_>>> {
    let mut lengths = map;
    let count = usize::try_from(take_u32(&mut lengths)?).ok()?;
    if count > MAX_PAIRS {
        return None;
    }
    let (mut lengths, mut data) = lengths.split_at_checked(count * 8)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let key_len = take_u32(&mut lengths)?;
        let value_len = take_u32(&mut lengths)?;
        let key = take_terminated(&mut data, key_len)?;
        let value = take_terminated(&mut data, value_len)?;
        pairs.push((key, value));
    }
    Some(pairs)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

fn take_terminated<'a>(bytes: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    let (terminator, rest) = rest.split_first()?;
    if *terminator != 0 {
        return None;
    }
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialize(pairs: &[Pair<'_>]) -> Vec<u8> {
        let mut size = Size::default();
        for (key, value) in pairs {
            size.add(key, value);
        }
        let mut out = vec![0xaa; size.bytes().unwrap() as usize];
        let mut writer = Writer::new(&mut out, size.pairs());
        for (key, value) in pairs {
            writer.add(key, value);
        }
        assert!(writer.complete());
        out
    }

    #[test]
    fn layout_is_the_specification_s() {
        assert_eq!(
            serialize(&[(b"a", b"xy"), (b"", b"")]),
            b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0a\0xy\0\0\0"
        );
        assert_eq!(serialize(&[]), b"\0\0\0\0");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let maps: [&[Pair<'_>]; 4] = [
            &[],
            &[(b"", b"")],
            &[(b"k", b"v"), (b"k", b"w"), (b"K", b"")],
            &[(b"a\0b", b"\xff\0\xfe"), (b"long", &[7; 5000])],
        ];
        for pairs in maps {
            assert_eq!(parse(&serialize(pairs)).unwrap(), pairs);
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let map = serialize(&[(b"key", b"value"), (b"k", b"")]);
        for end in 1..map.len() {
            assert_eq!(parse(&map[..end]), Err(Status::BadArgument), "at {end}");
        }
        assert_eq!(parse(&[]), Ok(vec![]));
    }

    #[test]
    fn lengths_are_checked_one_by_one() {
        let good = serialize(&[(b"key", b"value")]);
        // Every one of the three numbers, too large in several ways.
        for at in [0, 4, 8] {
            for number in [1025_u32, 0x7fff_ffff, 0x8000_0000, u32::MAX - 3, u32::MAX] {
                let mut map = good.clone();
                map[at..at + 4].copy_from_slice(&number.to_le_bytes());
                assert_eq!(parse(&map), Err(Status::BadArgument), "{number} at {at}");
            }
        }
        // A terminator that is none.
        for at in [good.len() - 1, 15] {
            let mut map = good.clone();
            assert_eq!(map[at], 0);
            map[at] = b'x';
            assert_eq!(parse(&map), Err(Status::BadArgument));
        }
    }

    #[test]
    fn limits() {
        let pairs = vec![(&b"k"[..], &b"v"[..]); MAX_PAIRS];
        assert_eq!(parse(&serialize(&pairs)).unwrap().len(), MAX_PAIRS);
        let pairs = vec![(&b"k"[..], &b"v"[..]); MAX_PAIRS + 1];
        assert_eq!(parse(&serialize(&pairs)), Err(Status::BadArgument));

        let value = vec![b'x'; MAX_BYTES - 4 - 8 - 3];
        assert!(parse(&serialize(&[(b"k", &value)])).is_ok());
        let value = vec![b'x'; MAX_BYTES - 4 - 8 - 2];
        assert_eq!(
            parse(&serialize(&[(b"k", &value)])),
            Err(Status::BadArgument)
        );
    }

    #[test]
    fn a_writer_notices_pairs_that_changed() {
        let mut out = [0; 4 + 8 + 4];
        let mut writer = Writer::new(&mut out, 1);
        assert!(!writer.complete());
        writer.add(b"k", b"v");
        assert!(writer.complete());
        writer.add(b"k", b"v");
        assert!(!writer.complete());

        let mut out = [0; 4 + 8 + 4];
        let mut writer = Writer::new(&mut out, 1);
        writer.add(b"kk", b"v");
        assert!(!writer.complete());
        assert!(!Writer::new(&mut [], 0).complete());
        assert!(Writer::new(&mut [0; 4], 0).complete());
    }

    #[test]
    fn sizes_past_32_bits_are_none() {
        let mut size = Size::default();
        size.add(b"k", b"v");
        assert_eq!(size.bytes(), Some(16));
        size.data = u32::MAX as usize;
        assert_eq!(size.bytes(), None);
        size.data = usize::MAX;
        assert_eq!(size.bytes(), None);
    }
}
