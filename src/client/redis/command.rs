//! Commands: those of guests, checked, and those of the client itself.

use redis_protocol::redis_keyslot;
use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::encode::encode_borrowed;
use redis_protocol::resp2::types::{BorrowedFrame, RangeFrame};

use crate::client::redis::frame::Scanner;

/// Most parts of a command that a guest may send; Redis takes as many.
const MAX_PARTS: usize = 1024 * 1024;

/// Those that would change the connection for whoever else uses it, or be answered more than once
/// or never.
const REFUSED: [&[u8]; 24] = [
    b"ASKING",
    b"AUTH",
    b"CLIENT",
    b"DISCARD",
    b"EXEC",
    b"HELLO",
    b"MONITOR",
    b"MULTI",
    b"PSUBSCRIBE",
    b"PSYNC",
    b"PUNSUBSCRIBE",
    b"QUIT",
    b"READONLY",
    b"READWRITE",
    b"REPLCONF",
    b"RESET",
    b"SELECT",
    b"SSUBSCRIBE",
    b"SUBSCRIBE",
    b"SUNSUBSCRIBE",
    b"SYNC",
    b"UNSUBSCRIBE",
    b"UNWATCH",
    b"WATCH",
];

/// Those that wait for something to come: what is behind them on a connection would wait, too.
const WAITING: [&[u8]; 10] = [
    b"BLMOVE",
    b"BLMPOP",
    b"BLPOP",
    b"BRPOP",
    b"BRPOPLPUSH",
    b"BZMPOP",
    b"BZPOPMAX",
    b"BZPOPMIN",
    b"WAIT",
    b"WAITAOF",
];

/// Those whose first key stands behind a script and the number of keys.
const SCRIPTS: [&[u8]; 6] = [
    b"EVAL",
    b"EVALSHA",
    b"EVALSHA_RO",
    b"EVAL_RO",
    b"FCALL",
    b"FCALL_RO",
];

/// A command that a guest may send.
pub struct Command {
    pub bytes: Vec<u8>,
    /// The hash slot of its first key, if it has one.
    pub slot: Option<u16>,
    /// It needs a connection of its own.
    pub alone: bool,
}

impl Command {
    /// One array of strings, and nothing behind it. `None`: it is none, or one that is refused.
    pub fn parse(query: &[u8]) -> Option<Command> {
        // Nothing is allocated for lengths that promise too much.
        if Scanner::default().feed(query) != Ok((query.len(), true)) {
            return None;
        }
        let (frame, len) = decode_range(query).ok()??;
        let RangeFrame::Array(parts) = frame else {
            return None;
        };
        if len != query.len() || parts.len() > MAX_PARTS {
            return None;
        }
        let parts = parts.iter().map(|part| match part {
            RangeFrame::BulkString((start, end)) => query.get(*start..*end),
            _ => None,
        });
        let parts: Vec<&[u8]> = parts.collect::<Option<_>>()?;
        let name = *parts.first()?;
        let is_one = |list: &[&[u8]]| list.iter().any(|one| one.eq_ignore_ascii_case(name));
        if name.is_empty() || is_one(&REFUSED) {
            return None;
        }
        let key = match is_one(&SCRIPTS) {
            true => (parts.get(2) != Some(&b"0".as_slice())).then(|| parts.get(3)),
            false => Some(parts.get(1)),
        };
        let blocks = |part: &&[u8]| part.eq_ignore_ascii_case(b"BLOCK");
        let reads = is_one(&[b"XREAD", b"XREADGROUP"]);
        Some(Command {
            bytes: query.to_vec(),
            slot: key.flatten().map(|key| redis_keyslot(key)),
            alone: is_one(&WAITING) || reads && parts.iter().any(blocks),
        })
    }
}

/// The bytes of a command; `None` when it cannot be written.
pub fn encoded(parts: &[&[u8]]) -> Option<Vec<u8>> {
    let parts: Vec<_> = parts.iter().map(|p| BorrowedFrame::BulkString(p)).collect();
    let frame = BorrowedFrame::Array(&parts);
    let mut bytes = vec![0; frame.encode_len(false)];
    let len = encode_borrowed(&mut bytes, &frame, false).ok()?;
    bytes.truncate(len);
    Some(bytes)
}
