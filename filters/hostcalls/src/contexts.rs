//! Which contexts there are, and each root context's configuration.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;

use crate::config::Config;
use crate::run::info;

struct Root {
    config: Rc<Config>,
    /// Lines of callbacks that ran before it was known whether they are
    /// wanted.
    deferred: Vec<String>,
}

#[derive(Default)]
struct Contexts {
    roots: BTreeMap<u32, Root>,
    /// Stream contexts, each with its root.
    streams: BTreeMap<u32, u32>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Root,
    Stream,
    Any,
}

/// One call of the host into the guest, till it is dropped.
pub struct Entry {
    pub id: u32,
    pub root: u32,
    pub end_of_stream: bool,
    pub config: Rc<Config>,
    _guard: Guard,
}

struct Guard;

impl Guard {
    fn new(callback: &str) -> Self {
        if ENTERED.replace(true) {
            panic!("{callback}: called while another callback runs");
        }
        Guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        ENTERED.set(false);
    }
}

/// Enters a callback of a context; panics where the host is wrong, which is
/// what a test should see.
pub fn enter(callback: &str, id: u32, kind: Kind) -> Entry {
    let guard = Guard::new(callback);
    CONTEXTS.with_borrow(|contexts| {
        let stream = contexts.streams.get(&id).filter(|_| kind != Kind::Root);
        let root = match stream {
            Some(root) => *root,
            None if kind != Kind::Stream => id,
            None => panic!("{callback}: no stream context {id}"),
        };
        let Some(config) = contexts
            .roots
            .get(&root)
            .map(|root| Rc::clone(&root.config))
        else {
            panic!("{callback}: no context {id}");
        };
        Entry {
            id,
            root,
            end_of_stream: false,
            config,
            _guard: guard,
        }
    })
}

pub fn create_root(id: u32, config: Config) -> Entry {
    free("on_context_create", id);
    CONTEXTS.with_borrow_mut(|contexts| {
        contexts.roots.insert(
            id,
            Root {
                config: Rc::new(config),
                deferred: Vec::new(),
            },
        );
    });
    enter("on_context_create", id, Kind::Root)
}

pub fn create_stream(id: u32, root: u32) -> Entry {
    free("on_context_create", id);
    CONTEXTS.with_borrow_mut(|contexts| {
        if !contexts.roots.contains_key(&root) {
            panic!("on_context_create: no root context {root}");
        }
        contexts.streams.insert(id, root);
    });
    enter("on_context_create", id, Kind::Stream)
}

fn free(callback: &str, id: u32) {
    CONTEXTS.with_borrow(|contexts| {
        if contexts.streams.contains_key(&id) || contexts.roots.contains_key(&id) {
            panic!("{callback}: context {id} exists already");
        }
    });
}

pub fn delete(id: u32) {
    CONTEXTS.with_borrow_mut(|contexts| {
        if contexts.streams.remove(&id).is_none() {
            contexts.roots.remove(&id);
        }
    });
}

impl Entry {
    pub fn is_root(&self) -> bool {
        self.id == self.root
    }

    /// The same entry, in another context; `None` if there is none of that id.
    pub fn switch(self, id: u32) -> Option<Self> {
        let (root, config) = CONTEXTS.with_borrow(|contexts| {
            let root = *contexts.streams.get(&id).unwrap_or(&id);
            Some((root, Rc::clone(&contexts.roots.get(&root)?.config)))
        })?;
        Some(Entry {
            id,
            root,
            config,
            ..self
        })
    }

    /// The same entry, with a new configuration for its root context.
    pub fn with_config(self, config: Config) -> Self {
        let config = Rc::new(config);
        self.with_root(|root| root.config = Rc::clone(&config));
        Entry { config, ..self }
    }

    /// Logs the line now or, where the configuration does not say so yet, when
    /// it does.
    pub fn trace_or_defer(&self, line: impl Display) {
        if self.config.trace {
            info(line);
        } else {
            self.with_root(|root| root.deferred.push(line.to_string()));
        }
    }

    pub fn log_deferred(&self) {
        let mut lines = Vec::new();
        self.with_root(|root| lines = std::mem::take(&mut root.deferred));
        if self.config.trace {
            lines.iter().for_each(info);
        }
    }

    fn with_root(&self, change: impl FnOnce(&mut Root)) {
        CONTEXTS.with_borrow_mut(|contexts| {
            if let Some(root) = contexts.roots.get_mut(&self.root) {
                change(root);
            }
        });
    }
}
