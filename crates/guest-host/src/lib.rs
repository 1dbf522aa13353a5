//! What the hosts of all kinds of guests share. It knows no ABI of a guest and no proxy.
//!
//! A host of one kind is a crate over this one: it has a type for the data of its instances' stores, says by the
//! traits [`GuestData`] and [`wasi::Wasi`] where in it things are, and defines its ABI's functions beside these:
//!
//! - [`wasi::define`]: WASI preview 1, one implementation for all kinds.
//! - [`assemblyscript::define`]: what AssemblyScript's guests import of their own accord.
//! - [`memory`]: checked access to a guest's memory.
//! - [`Guest`]: an instance of a guest that is one module, with its start and its way back to it; [`Code`]: what it is made from.
//! - [`imports::check`] and [`exports`]: what a module may import, and the types of what it exports.
//! - [`Capabilities`]: what a guest may use, as a configuration says it.
//! - [`Services`]: what a proxy offers that is no ABI's own; [`operations`]: how guests of several kinds use it.
#![forbid(unsafe_code)]

pub mod assemblyscript;
mod capabilities;
pub mod clock;
pub mod exports;
mod guest;
pub mod imports;
mod interface;
mod level;
pub mod memory;
pub mod operations;
mod output;
mod services;
pub mod wasi;

pub use capabilities::{Capabilities, Capability, CapabilityRules, Denial, Denials};
pub use guest::{CallFailure, Code, Guest, GuestState, LoadError, Snapshot, StartError};
pub use interface::{InterfaceError, Name};
pub use level::LogLevel;
pub use memory::{GuestData, OutOfBounds};
pub use output::Output;
pub use services::{ServiceError, Services};
