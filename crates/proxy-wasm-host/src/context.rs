//! The contexts of one VM.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::config::PluginConfig;
use crate::ids::ContextId;

/// A root (plugin) context or a stream context.
pub(crate) struct Context<S> {
    /// Configuration of the root context, or of the stream's root context.
    pub plugin: Rc<PluginConfig>,
    /// Of a stream: its root context.
    pub root: Option<ContextId>,
    /// `None` in root contexts and once the stream is gone.
    pub stream: Option<S>,
    pub kind: ContextKind,
    pub phase: Phase,
}

impl<S> Context<S> {
    /// Is it of this kind, and has it not begun to end?
    pub fn is_live(&self, kind: ContextKind) -> bool {
        self.kind == kind && self.phase == Phase::Live
    }

    /// A new root context.
    pub fn root(plugin: Rc<PluginConfig>) -> Context<S> {
        Context {
            plugin,
            root: None,
            stream: None,
            kind: ContextKind::Root,
            phase: Phase::Live,
        }
    }
}

/// The root contexts of a VM at some time.
pub(crate) struct Roots {
    contexts: Vec<(ContextId, Rc<PluginConfig>)>,
    last: ContextId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextKind {
    Root,
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Live,
    /// `proxy_on_done` returned false: waits for `proxy_done`, then `log` tells whether
    /// `proxy_on_log` is due.
    AwaitsDone {
        log: bool,
    },
    /// The guest called `proxy_done`: the rest follows when it has returned.
    Finishing {
        log: bool,
    },
}

/// Contexts by id. An id is not used again while its context is there.
pub(crate) struct Contexts<S> {
    table: HashMap<ContextId, Context<S>, BuildHasherDefault<IdHasher>>,
    last: ContextId,
    streams: usize,
    /// Contexts that wait for `proxy_done`.
    awaiting: usize,
}

/// Most contexts of one VM that wait for `proxy_done`.
pub(crate) const MAX_AWAITING: usize = 10_000;

impl<S> Contexts<S> {
    pub fn new() -> Contexts<S> {
        Contexts {
            table: HashMap::default(),
            last: ContextId::new(0),
            streams: 0,
            awaiting: 0,
        }
    }

    /// Has a context wait for `proxy_done`, without its stream; `false` when too many do.
    pub fn await_done(&mut self, id: ContextId, log: bool) -> bool {
        if self.awaiting >= MAX_AWAITING {
            return false;
        }
        if let Some(context) = self.table.get_mut(&id) {
            context.stream = None;
            context.phase = Phase::AwaitsDone { log };
            self.awaiting += 1;
        }
        true
    }

    /// `proxy_done` of a context; `false` when it does not wait for it.
    pub fn done(&mut self, id: ContextId) -> bool {
        let Some(context) = self.table.get_mut(&id) else {
            return false;
        };
        let Phase::AwaitsDone { log } = context.phase else {
            return false;
        };
        context.phase = Phase::Finishing { log };
        self.awaiting -= 1;
        true
    }

    /// Root contexts alone.
    pub fn of_roots(roots: &Roots) -> Contexts<S> {
        let mut contexts = Contexts::new();
        contexts.last = roots.last;
        contexts.table.reserve(roots.contexts.len() + 1);
        for (id, plugin) in &roots.contexts {
            contexts.table.insert(*id, Context::root(plugin.clone()));
        }
        contexts
    }

    pub fn insert(&mut self, context: Context<S>) -> ContextId {
        if context.kind == ContextKind::Stream {
            self.streams += 1;
        }
        loop {
            self.last = ContextId::new(self.last.get().wrapping_add(1).max(1));
            if let Entry::Vacant(place) = self.table.entry(self.last) {
                place.insert(context);
                return self.last;
            }
        }
    }

    pub fn get(&self, id: ContextId) -> Option<&Context<S>> {
        self.table.get(&id)
    }

    pub fn remove(&mut self, id: ContextId) -> Option<Context<S>> {
        let context = self.table.remove(&id)?;
        if context.kind == ContextKind::Stream {
            self.streams -= 1;
        }
        if matches!(context.phase, Phase::AwaitsDone { .. }) {
            self.awaiting -= 1;
        }
        Some(context)
    }

    /// Number of stream contexts, including those that wait for `proxy_done`.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// The root contexts that are there, and the last id.
    pub fn roots(&self) -> Roots {
        let roots = self.table.iter();
        Roots {
            contexts: roots
                .filter(|(_, context)| context.is_live(ContextKind::Root))
                .map(|(id, context)| (*id, context.plugin.clone()))
                .collect(),
            last: self.last,
        }
    }

    /// Ids of one kind, oldest first unless ids have wrapped.
    pub fn ids(&self, kind: ContextKind) -> Vec<ContextId> {
        let mut ids: Vec<_> = self
            .table
            .iter()
            .filter(|(_, context)| context.kind == kind)
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    #[cfg(test)]
    pub fn set_last(&mut self, last: ContextId) {
        self.last = last;
    }
}

/// Ids are counted up by this crate, no guest chooses them: one multiplication spreads them well
/// enough.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(kind: ContextKind) -> Context<()> {
        Context {
            plugin: Rc::default(),
            root: None,
            stream: None,
            kind,
            phase: Phase::Live,
        }
    }

    #[test]
    fn ids_wrap_past_zero_and_past_live_ones() {
        let mut contexts = Contexts::new();
        assert_eq!(
            contexts.insert(context(ContextKind::Root)),
            ContextId::new(1)
        );
        assert_eq!(
            contexts.insert(context(ContextKind::Stream)),
            ContextId::new(2)
        );
        contexts.set_last(ContextId::new(u32::MAX - 1));
        assert_eq!(
            contexts.insert(context(ContextKind::Stream)),
            ContextId::new(u32::MAX)
        );
        assert_eq!(
            contexts.insert(context(ContextKind::Stream)),
            ContextId::new(3)
        );
        assert_eq!(contexts.streams(), 3);
        assert_eq!(contexts.ids(ContextKind::Root), [ContextId::new(1)]);
    }

    #[test]
    fn so_many_may_wait_for_proxy_done() {
        let mut contexts = Contexts::new();
        let add = |contexts: &mut Contexts<()>| {
            let id = contexts.insert(context(ContextKind::Stream));
            (id, contexts.await_done(id, true))
        };
        let ids: Vec<_> = (0..MAX_AWAITING).map(|_| add(&mut contexts)).collect();
        assert!(ids.iter().all(|(_, waits)| *waits));
        assert!(!add(&mut contexts).1);
        // One is done, one goes without.
        assert!(contexts.done(ids[0].0));
        assert!(!contexts.done(ids[0].0));
        assert!(contexts.remove(ids[0].0).is_some());
        assert!(contexts.remove(ids[1].0).is_some());
        assert!(add(&mut contexts).1);
        assert!(add(&mut contexts).1);
        assert!(!add(&mut contexts).1);
    }

    #[test]
    fn a_removed_id_is_unknown_and_comes_back_only_after_a_wrap() {
        let mut contexts = Contexts::new();
        let first = contexts.insert(context(ContextKind::Stream));
        assert!(contexts.remove(first).is_some());
        assert!(contexts.remove(first).is_none());
        assert!(contexts.get(first).is_none());
        assert_eq!(contexts.streams(), 0);
        assert_ne!(contexts.insert(context(ContextKind::Stream)), first);
    }
}
