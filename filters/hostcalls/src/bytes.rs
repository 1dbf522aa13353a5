//! Bytes and numbers that are known when an operation runs.

use crate::abi::{self, Status};
use crate::op::Path;
use crate::pairs::{self, Pair};
use crate::run::Callback;
use crate::variables;

/// What stands for a number where there is none: no host gives it out.
pub const NO_ID: u32 = 0x7fff_fff0;

pub enum Bytes {
    Plain(Vec<u8>),
    Variable(String),
    Join(Vec<Bytes>),
    Add(Vec<Number>),
    ToHex(Box<Bytes>),
    /// Eight bytes, little endian, as a decimal number.
    ToNumber(Box<Bytes>),
    Header(u32, Box<Bytes>),
    /// How many pairs a map has.
    Count(u32),
    Body(u32, u32, u32),
    BodySize(u32),
    Property(Path),
}

pub enum Number {
    /// Signed or not, as the host call takes it.
    Literal(u64),
    Computed(Bytes),
}

pub type Pairs = Vec<(Bytes, Bytes)>;

impl Bytes {
    /// The bytes now; where a host call gives none, `status N`.
    pub fn of(&self, callback: &Callback) -> Vec<u8> {
        self.read(callback)
            .unwrap_or_else(|status| format!("status {status}").into_bytes())
    }

    fn read(&self, callback: &Callback) -> Result<Vec<u8>, Status> {
        Ok(match self {
            Bytes::Plain(bytes) => bytes.clone(),
            Bytes::Variable(name) => variables::get(callback, name),
            Bytes::Join(parts) => parts.iter().flat_map(|part| part.of(callback)).collect(),
            Bytes::Add(numbers) => {
                let add = |sum: i64, number: &Number| sum.wrapping_add(number.or_zero(callback));
                numbers.iter().fold(0, add).to_string().into_bytes()
            }
            Bytes::ToHex(bytes) => {
                let digits = |byte: u8| format!("{byte:02x}").into_bytes();
                bytes.of(callback).into_iter().flat_map(digits).collect()
            }
            Bytes::ToNumber(bytes) => match bytes.of(callback).try_into() {
                Ok(eight) => u64::from_le_bytes(eight).to_string().into_bytes(),
                Err(other) => other,
            },
            Bytes::Header(map, key) => abi::get_map_value(*map, &key.of(callback))?,
            Bytes::Count(map) => match pairs::deserialize(&abi::get_map(*map)?) {
                Some(pairs) => pairs.len().to_string().into_bytes(),
                None => b"malformed map".to_vec(),
            },
            Bytes::Body(buffer, start, len) => abi::get_buffer(*buffer, *start, *len)?,
            Bytes::BodySize(buffer) => {
                let (len, _) = abi::get_buffer_status(*buffer)?;
                len.to_string().into_bytes()
            }
            Bytes::Property(path) => abi::get_property(&path.joined)?,
        })
    }
}

impl Number {
    /// The number now, as 64 bits; `None` where the bytes are none.
    fn of(&self, callback: &Callback) -> Option<u64> {
        match self {
            Number::Literal(bits) => Some(*bits),
            Number::Computed(bytes) => {
                let text = String::from_utf8(bytes.of(callback)).ok()?;
                let signed = text.parse::<i64>().map(|number| number as u64);
                signed.or_else(|_| text.parse()).ok()
            }
        }
    }

    pub fn or_zero(&self, callback: &Callback) -> i64 {
        self.of(callback).unwrap_or_default() as i64
    }

    /// An identifier, `NO_ID` where there is none.
    pub fn id(&self, callback: &Callback) -> u32 {
        self.of(callback).map_or(NO_ID, |bits| bits as u32)
    }
}

pub fn pairs_of(pairs: &Pairs, callback: &Callback) -> Vec<Pair> {
    pairs
        .iter()
        .map(|(key, value)| (key.of(callback), value.of(callback)))
        .collect()
}

/// No pairs at all are no bytes, as SDKs write it.
pub fn serialized(pairs: &Pairs, callback: &Callback) -> Vec<u8> {
    if pairs.is_empty() {
        Vec::new()
    } else {
        pairs::serialize(&pairs_of(pairs, callback))
    }
}

/// The bytes that hexadecimal digits spell.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let (digits, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    digits
        .iter()
        .map(|pair| {
            let digit = |at: usize| (pair[at] as char).to_digit(16);
            Some((digit(0)? * 16 + digit(1)?) as u8)
        })
        .collect()
}
