//! What a filter makes of a body that Lua's code shows it, piece by piece.

use proxy_wasm_host::Status;

use crate::message::body::Body;

/// What has come out of a filter since Lua's code has last taken it.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// Bytes that have gone in and come out, in all.
    taken: u64,
    made: u64,
    /// The last piece has gone in.
    ended: bool,
    /// It is another than what went in.
    changed: bool,
}

impl Output {
    /// A piece goes in; `end`: it is the last one.
    pub fn take_in(&mut self, piece: &[u8], end: bool) {
        self.taken += piece.len() as u64;
        self.ended |= end;
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Has more come out than went in, or less?
    pub fn has_other_length(&self) -> bool {
        self.taken != self.made
    }

    /// What has come out, of a piece that goes in now, or of one that was held back before.
    pub fn add(&mut self, body: Body, piece: Option<&[u8]>) -> Result<(), Status> {
        let from = self.bytes.len();
        body.read(0, usize::MAX, &mut |part| {
            self.bytes.extend_from_slice(part)
        })?;
        self.made += (self.bytes.len() - from) as u64;
        self.changed |= Some(&self.bytes[from..]) != piece;
        Ok(())
    }

    /// A piece goes in that is held back.
    pub fn hold(&mut self) {
        self.changed = true;
    }

    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// All of it; the next piece begins anew.
    pub fn take(&mut self) -> Vec<u8> {
        self.changed = false;
        std::mem::take(&mut self.bytes)
    }

    /// Lua's code has it already.
    pub fn drop_bytes(&mut self) {
        self.bytes.clear();
    }
}
