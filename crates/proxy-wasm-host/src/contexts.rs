//! The contexts of one VM.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::config::PluginConfig;
use crate::context::{Context, ContextKind, Phase};
use crate::ids::ContextId;

/// The root contexts of a VM at some time.
pub(crate) struct Roots {
    contexts: Vec<(ContextId, Rc<PluginConfig>)>,
    last: ContextId,
}

/// Contexts by id. An id is not used again while its context is there.
pub(crate) struct Contexts<S> {
    /// The newest contexts, each at its id modulo [`RECENT`]: most streams end before so many others have come, and are found here
    /// without hashing. Made with the first context.
    recent: Vec<Recent<S>>,
    /// Those that had to make room there.
    table: HashMap<ContextId, Context<S>, BuildHasherDefault<IdHasher>>,
    last: ContextId,
    /// The ids have begun anew, and the next one may be taken.
    wrapped: bool,
    streams: usize,
    /// Contexts that wait for `proxy_done`.
    awaiting: usize,
}

/// A power of two.
const RECENT: usize = 16;

type Recent<S> = Option<(ContextId, Context<S>)>;

fn place(id: ContextId) -> usize {
    id.get() as usize % RECENT
}

/// Most contexts of one VM that wait for `proxy_done`.
pub(crate) const MAX_AWAITING: usize = 10_000;

impl<S> Contexts<S> {
    pub fn new() -> Contexts<S> {
        Contexts {
            recent: Vec::new(),
            table: HashMap::default(),
            last: ContextId::new(0),
            wrapped: false,
            streams: 0,
            awaiting: 0,
        }
    }

    /// Has a context wait for `proxy_done`, without its stream; `false` when too many do.
    pub fn await_done(&mut self, id: ContextId, log: bool) -> bool {
        if self.awaiting >= MAX_AWAITING {
            return false;
        }
        if let Some(context) = self.get_mut(id) {
            context.stream = None;
            context.phase = Phase::AwaitsDone { log };
            self.awaiting += 1;
        }
        true
    }

    /// `proxy_done` of a context; `false` when it does not wait for it.
    pub fn done(&mut self, id: ContextId) -> bool {
        let Some(context) = self.get_mut(id) else {
            return false;
        };
        let Phase::AwaitsDone { log } = context.phase else {
            return false;
        };
        context.phase = Phase::Finishing { log };
        self.awaiting -= 1;
        true
    }

    /// Leaves root contexts alone: these.
    pub fn reset(&mut self, roots: &Roots) {
        self.recent.iter_mut().for_each(|context| *context = None);
        self.table.clear();
        (self.streams, self.awaiting, self.last) = (0, 0, roots.last);
        self.wrapped = roots.contexts.iter().any(|(id, _)| *id > roots.last);
        for (id, plugin) in &roots.contexts {
            self.put(*id, Context::root(plugin.clone()));
        }
    }

    #[inline]
    pub fn insert(&mut self, context: Context<S>) -> ContextId {
        self.streams += usize::from(context.kind == ContextKind::Stream);
        let id = self.next_id();
        self.put(id, context);
        id
    }

    #[inline]
    fn next_id(&mut self) -> ContextId {
        loop {
            let id = self.last.get().wrapping_add(1).max(1);
            self.wrapped |= id < self.last.get();
            self.last = ContextId::new(id);
            if !self.wrapped || self.get(self.last).is_none() {
                return self.last;
            }
        }
    }

    #[inline]
    fn put(&mut self, id: ContextId, context: Context<S>) {
        if self.recent.is_empty() {
            self.recent.resize_with(RECENT, || None);
        }
        let recent = &mut self.recent[place(id)];
        if let Some((id, old)) = recent.take() {
            self.table.insert(id, old);
        }
        *recent = Some((id, context));
    }

    #[inline]
    pub fn get(&self, id: ContextId) -> Option<&Context<S>> {
        match self.recent.get(place(id)) {
            Some(Some((recent, context))) if *recent == id => Some(context),
            _ => self.table.get(&id),
        }
    }

    fn get_mut(&mut self, id: ContextId) -> Option<&mut Context<S>> {
        match self.recent.get_mut(place(id)) {
            Some(Some((recent, context))) if *recent == id => Some(context),
            _ => self.table.get_mut(&id),
        }
    }

    pub fn remove(&mut self, id: ContextId) -> Option<Context<S>> {
        let recent = self.recent.get_mut(place(id));
        let recent = recent.and_then(|recent| recent.take_if(|(recent, _)| *recent == id));
        let context = match recent {
            Some((_, context)) => context,
            None => self.table.remove(&id)?,
        };
        if context.kind == ContextKind::Stream {
            self.streams -= 1;
        }
        if matches!(context.phase, Phase::AwaitsDone { .. }) {
            self.awaiting -= 1;
        }
        Some(context)
    }

    fn iter(&self) -> impl Iterator<Item = (&ContextId, &Context<S>)> {
        let recent = self.recent.iter().flatten();
        recent.map(|(id, context)| (id, context)).chain(&self.table)
    }

    /// Number of stream contexts, including those that wait for `proxy_done`.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// The root contexts that are there, and the last id.
    pub fn roots(&self) -> Roots {
        Roots {
            contexts: self
                .iter()
                .filter(|(_, context)| context.is_live(ContextKind::Root))
                .map(|(id, context)| (*id, context.plugin.clone()))
                .collect(),
            last: self.last,
        }
    }

    /// Ids of one kind, oldest first unless ids have wrapped.
    pub fn ids(&self, kind: ContextKind) -> Vec<ContextId> {
        let mut ids: Vec<_> = self
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

    #[test]
    fn old_ones_make_room_for_new_ones_and_are_found() {
        let mut contexts = Contexts::new();
        let ids: Vec<_> = (0..100)
            .map(|_| contexts.insert(context(ContextKind::Stream)))
            .collect();
        assert_eq!(contexts.ids(ContextKind::Stream), ids);
        assert!(ids.iter().all(|id| contexts.get(*id).is_some()));
        for id in &ids[20..] {
            assert!(contexts.remove(*id).is_some());
            assert!(contexts.get(*id).is_none());
        }
        assert_eq!(contexts.ids(ContextKind::Stream), ids[..20]);
        assert_eq!(contexts.streams(), 20);
        // Their places are free, and those that had to go are still there.
        let more = contexts.insert(context(ContextKind::Root));
        assert_eq!(contexts.ids(ContextKind::Root), [more]);
        assert!(ids[..20].iter().all(|id| contexts.remove(*id).is_some()));
        assert_eq!(contexts.streams(), 0);
        let roots = contexts.roots();
        contexts.insert(context(ContextKind::Stream));
        contexts.reset(&roots);
        assert_eq!(contexts.ids(ContextKind::Stream), []);
        assert_eq!(contexts.ids(ContextKind::Root), [more]);
    }

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
