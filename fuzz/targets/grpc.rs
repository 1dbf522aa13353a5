//! gRPC messages in a body: however the body is cut, the same messages come out of it.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use messages::{Broken, Messages};

// The module itself links only within nginx.
#[path = "../../src/client/grpc/messages.rs"]
mod messages;

const LIMIT: usize = 4096;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| {
    let Some((&size, body)) = data.split_first() else {
        return;
    };
    let whole = cut(body, body.len().max(1));
    assert_eq!(whole, cut(body, usize::from(size).max(1)));

    let (messages, end) = whole;
    assert!(messages.iter().all(|message| message.len() <= LIMIT));
    let len: usize = messages.iter().map(|message| message.len() + 5).sum();
    match end {
        Ok(partial) => assert_eq!(partial, len < body.len()),
        Err(Broken::Compressed) => assert_ne!(body[len], 0),
        Err(Broken::TooLarge(size)) => assert!(size > LIMIT),
    }
});

/// The messages of a body that comes in pieces of this size; whether a part of one is left.
fn cut(body: &[u8], size: usize) -> (VecDeque<Vec<u8>>, Result<bool, Broken>) {
    let (mut parser, mut out) = (Messages::default(), VecDeque::new());
    for piece in body.chunks(size) {
        if let Err(broken) = parser.push(piece, LIMIT, &mut out) {
            return (out, Err(broken));
        }
    }
    (out, Ok(parser.is_partial()))
}
