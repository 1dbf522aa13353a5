//! What goes between host and guest in one call.

use crate::error::CallError;

/// Largest capacity that a buffer keeps between calls, in bytes.
const KEPT: usize = 64 << 10;

/// Bytes that one side has set for the other, or has not.
#[derive(Debug, Default)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    is_set: bool,
}

impl Content {
    /// A copy of these bytes, in place of what was there.
    pub fn set(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.is_set = true;
    }

    /// The buffer, which is empty, for what is going to be set.
    pub fn fill(&mut self) -> &mut Vec<u8> {
        self.bytes.clear();
        self.is_set = true;
        &mut self.bytes
    }

    /// What is set; empty if nothing is.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn get(&self) -> Option<&[u8]> {
        self.is_set.then_some(&self.bytes)
    }

    pub fn clear(&mut self) {
        self.is_set = false;
        match self.bytes.capacity() > KEPT {
            true => self.bytes = Vec::new(),
            false => self.bytes.clear(),
        }
    }

    pub fn take(&mut self) -> Vec<u8> {
        self.is_set = false;
        std::mem::take(&mut self.bytes)
    }
}

/// A call of an operation, and what came of it so far.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub operation: Vec<u8>,
    pub message: Vec<u8>,
    pub response: Content,
    pub error: Content,
    /// Of the guest's last call of the host.
    pub host_response: Content,
    pub host_error: Content,
}

impl Exchange {
    /// A call begins, with nothing of the one before it. Answers the lengths of operation and message.
    pub fn begin(&mut self, operation: &[u8], message: Vec<u8>) -> Result<(u32, u32), CallError> {
        self.end();
        self.response.clear();
        self.error.clear();
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| CallError::TooLarge);
        let lens = (len(operation)?, len(&message)?);
        self.operation.extend_from_slice(operation);
        self.message = message;
        Ok(lens)
    }

    /// It is over: only the guest's answer stays.
    pub fn end(&mut self) {
        self.operation.clear();
        self.message = Vec::new();
        self.host_response.clear();
        self.host_error.clear();
    }

    /// What came of it. As in the Rust host, a response counts for more than an error where the guest says that it has
    /// succeeded, and success without a response is none.
    pub fn outcome(&self, answer: u32) -> Result<&[u8], CallError> {
        let failure = |otherwise| match self.error.get() {
            Some(text) => CallError::Guest(String::from_utf8_lossy(text).into_owned()),
            None => otherwise,
        };
        match answer {
            0 => Err(failure(CallError::NoMessage)),
            _ => self
                .response
                .get()
                .ok_or_else(|| failure(CallError::NoResponse)),
        }
    }
}
