//! What a filter has chosen of its request's upstream.

use std::cell::RefCell;

use proxy_wasm_host::Status;

/// Longest address that a guest may give, in bytes: that of a Unix socket is.
const MAX_ADDRESS: usize = 256;

/// The address of a server, if some filter has chosen one.
#[derive(Default)]
pub struct Chosen(RefCell<Option<Box<[u8]>>>);

impl Chosen {
    /// The last word counts; an empty one takes the choice back.
    pub fn set(&self, address: &[u8]) -> Result<(), Status> {
        if address.len() > MAX_ADDRESS || address.iter().any(u8::is_ascii_control) {
            return Err(Status::BadArgument);
        }
        self.0
            .replace((!address.is_empty()).then(|| address.into()));
        Ok(())
    }

    pub fn get(&self) -> Option<Box<[u8]>> {
        self.0.borrow().clone()
    }
}
