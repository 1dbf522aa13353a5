//! Named values of contexts. A stream context reads those of its root context
//! too, where it has none of that name itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::abi::Status;
use crate::run::Callback;

thread_local! {
    static VARIABLES: RefCell<BTreeMap<u32, BTreeMap<String, Vec<u8>>>> = RefCell::default();
    static STATUS: Cell<Status> = const { Cell::new(0) };
}

/// Empty where there is none.
pub fn get(callback: &Callback, name: &str) -> Vec<u8> {
    match name {
        "status" => return STATUS.get().to_string().into_bytes(),
        "context" => return callback.context.to_string().into_bytes(),
        "root" => return callback.root.to_string().into_bytes(),
        _ => {}
    }
    VARIABLES.with_borrow(|all| {
        [callback.context, callback.root]
            .iter()
            .find_map(|context| all.get(context)?.get(name))
            .cloned()
            .unwrap_or_default()
    })
}

pub fn set(context: u32, name: &str, value: impl Into<Vec<u8>>) {
    VARIABLES.with_borrow_mut(|all| {
        all.entry(context)
            .or_default()
            .insert(name.to_owned(), value.into());
    });
}

pub fn set_status(status: Status) {
    STATUS.set(status);
}

pub fn delete(context: u32) {
    VARIABLES.with_borrow_mut(|all| all.remove(&context));
}
