//! What a guest has said of the response before the next handler was called.

use std::mem;

/// A response of the guest's own, or what stands before that of the next handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `None`: it has set none, which is 200 in a response of its own.
    pub status: Option<u32>,
    /// Names as the guest has written them, in its order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Has the guest said nothing?
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.headers.is_empty() && self.body.is_empty()
    }

    /// All of it, for good.
    pub(crate) fn take(&mut self) -> Answer {
        mem::take(self)
    }

    pub(crate) fn names(&self, mut visit: impl FnMut(&[u8])) {
        for (name, _) in &self.headers {
            visit(&name.to_ascii_lowercase());
        }
    }

    pub(crate) fn values(&self, name: &[u8], mut visit: impl FnMut(&[u8])) {
        for (known, value) in &self.headers {
            if known.eq_ignore_ascii_case(name) {
                visit(value);
            }
        }
    }

    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        let mut first = true;
        self.headers.retain_mut(|(known, old)| {
            if !known.eq_ignore_ascii_case(name) {
                return true;
            }
            let keeps = mem::take(&mut first);
            if keeps {
                *old = value.to_vec();
            }
            keeps
        });
        if first {
            self.add(name, value);
        }
    }

    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.headers.push((name.to_vec(), value.to_vec()));
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}
