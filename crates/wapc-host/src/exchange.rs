//! What goes between host and guest in one call.

use std::io;

use crate::error::CallError;

/// A message to a guest, which asks for it when it has made room.
pub trait Message {
    /// Bytes of it.
    fn size(&self) -> usize;

    /// Writes all of it to where there is room for just so many bytes.
    fn write(&self, to: &mut [u8]) -> io::Result<()>;
}

impl Message for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }

    fn write(&self, to: &mut [u8]) -> io::Result<()> {
        to.copy_from_slice(self);
        Ok(())
    }
}

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
        self.bytes.clear();
        self.trim();
    }

    /// Lets it go if it is large.
    pub fn trim(&mut self) {
        if self.bytes.capacity() > KEPT {
            *self = Content::default();
        }
    }

    pub fn take(&mut self) -> Vec<u8> {
        self.is_set = false;
        std::mem::take(&mut self.bytes)
    }
}

/// A call of an operation, and what came of it so far.
#[derive(Default)]
pub(crate) struct Exchange {
    pub operation: Vec<u8>,
    /// There while a call runs.
    message: Option<Box<dyn Message>>,
    pub response: Content,
    pub error: Content,
    /// Of the guest's last call of the host.
    pub host_response: Content,
    pub host_error: Content,
}

impl Exchange {
    /// A call begins, with nothing of the one before it. Answers the lengths of operation and message.
    pub fn begin(
        &mut self,
        operation: &[u8],
        message: impl Message + 'static,
    ) -> Result<(u32, u32), CallError> {
        self.end();
        self.response.clear();
        self.error.clear();
        let len = |bytes: usize| u32::try_from(bytes).map_err(|_| CallError::TooLarge);
        let lens = (len(operation.len())?, len(message.size())?);
        self.operation.extend_from_slice(operation);
        self.message = Some(Box::new(message));
        Ok(lens)
    }

    /// Bytes of the message; 0 in the start.
    pub fn message_size(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.size())
    }

    /// Writes the message to where there is room for so many bytes.
    pub fn write_message(&self, to: &mut [u8]) -> io::Result<()> {
        match &self.message {
            Some(message) => message.write(to),
            None => Ok(()),
        }
    }

    /// It is over: only the guest's answer stays.
    pub fn end(&mut self) {
        self.operation.clear();
        self.message = None;
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
