//! The messages within the body of a gRPC response. Fuzzed by itself: it needs nothing else.

use std::collections::VecDeque;

/// Cuts messages out of a body.
#[derive(Default)]
pub struct Messages {
    head: Vec<u8>,
    message: Option<(usize, Vec<u8>)>,
}

/// Why a body is not to be read further.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nobody has offered to take compressed messages.
    Compressed,
    /// The length of a message that is too large.
    TooLarge(usize),
}

impl Messages {
    /// Takes what came, and adds the messages that are complete with it to `out`. `limit`: bytes
    /// of a message.
    pub fn push(
        &mut self,
        mut data: &[u8],
        limit: usize,
        out: &mut VecDeque<Vec<u8>>,
    ) -> Result<(), Broken> {
        loop {
            let (len, message) = match &mut self.message {
                Some(message) => message,
                None => {
                    let (taken, rest) = data.split_at(data.len().min(5 - self.head.len()));
                    self.head.extend_from_slice(taken);
                    data = rest;
                    let Ok(head) = <[u8; 5]>::try_from(&self.head[..]) else {
                        return Ok(());
                    };
                    self.head.clear();
                    let [flags, len @ ..] = head;
                    let len = u32::from_be_bytes(len) as usize;
                    // As Envoy does, which lets an empty message pass.
                    if flags != 0 && len > 0 {
                        return Err(Broken::Compressed);
                    }
                    if len > limit {
                        return Err(Broken::TooLarge(len));
                    }
                    self.message.insert((len, Vec::new()))
                }
            };
            let (taken, rest) = data.split_at(data.len().min(*len - message.len()));
            message.extend_from_slice(taken);
            data = rest;
            if message.len() < *len {
                return Ok(());
            }
            out.push_back(std::mem::take(message));
            self.message = None;
        }
    }

    /// Is there the beginning of a message?
    pub fn is_partial(&self) -> bool {
        !self.head.is_empty() || self.message.is_some()
    }
}
