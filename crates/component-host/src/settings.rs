//! What is set for a component where it is used.

use std::path::PathBuf;

use wasm_runtime::Limits;

/// What is set for a component where it is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `memory` and `table`: of an instance. `cpu_time`: between two waits of the guest, counted where it computes for more than
    /// some milliseconds; the instance's start is of its first request. `stack` is the pool's.
    pub limits: Limits,
    /// The guest's environment.
    pub env: Vec<(String, String)>,
    /// Directories that it can open.
    pub directories: Vec<Directory>,
    /// Most resources, streams, futures and tasks that it can have at a time.
    pub resources: usize,
    /// Most outgoing requests that it can have at a time, from their start to the end of their responses' bodies.
    pub requests: usize,
    /// How many requests an instance serves, one after the other.
    pub reuse: u32,
}

/// A directory that guests can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub path: PathBuf,
    /// What guests call it.
    pub name: String,
    pub writable: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: Limits::default(),
            env: Vec::new(),
            directories: Vec::new(),
            resources: 10_000,
            requests: 128,
            reuse: 1,
        }
    }
}
