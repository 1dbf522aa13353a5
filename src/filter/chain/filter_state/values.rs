//! Values by their names.

use std::cell::{Cell, RefCell};

use crate::nginx::pool::LINE;
use crate::nginx::request::Request;

/// The values of one request or subrequest.
pub struct FilterState {
    pub owner: Request,
    values: RefCell<Vec<(Vec<u8>, Vec<u8>)>>,
    /// Bytes of them, and of their names.
    size: Cell<usize>,
}

impl FilterState {
    /// None yet.
    pub fn new(owner: Request) -> FilterState {
        FilterState {
            owner,
            values: RefCell::default(),
            size: Cell::new(0),
        }
    }

    /// `false`: there would be more than `limit` bytes of values then.
    pub fn set(&self, name: Vec<u8>, value: &[u8], limit: usize) -> bool {
        let mut values = self.values.borrow_mut();
        let known = values.iter().position(|(known, _)| *known == name);
        let kept = match known {
            Some(index) => self.size.get() - values[index].1.len(),
            None => self.size.get() + name.len() + LINE,
        };
        let size = kept.saturating_add(value.len());
        if size > limit {
            return false;
        }
        self.size.set(size);
        match known {
            Some(index) => values[index].1 = value.to_vec(),
            None => values.push((name, value.to_vec())),
        }
        true
    }

    pub fn get(&self, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let values = self.values.borrow();
        let (_, value) = values.iter().find(|(name, _)| wanted(name))?;
        Some(value.clone())
    }
}
