//! What the host functions of one VM see.

use std::rc::Rc;
use std::time::Instant;

use guest_host::{Denials, Output};
use wasm_runtime::Guard;
use wasm_runtime::wasmtime::{Memory, TypedFunc};

use crate::abi::{AbiVersion, Status};
use crate::config::{PluginConfig, VmConfig};
use crate::context::{Context, ContextKind};
use crate::contexts::Contexts;
use crate::declared::Declared;
use crate::ids::{CallId, ContextId};
use crate::joined::Stop;
use crate::pending::{CallKind, Calls, Incoming};
use crate::traits::Proxy;

pub(crate) struct State<P: Proxy> {
    pub proxy: P,
    pub abi: AbiVersion,
    pub config: Rc<VmConfig>,
    pub contexts: Contexts<P::Stream>,
    /// The context that host functions act on; `None` outside of callbacks and in entry points.
    current: Option<ContextId>,
    /// Several callbacks run at once, and this ends that behind the one that is running.
    pub joined: Option<Stop>,
    /// The guest has asked for the end of this context's stream; noted while a context is created.
    pub ends_stream: Option<ContextId>,
    /// `proxy_on_vm_start` is running, where 0.1.0's `get_configuration` is the VM's.
    pub in_vm_start: bool,
    /// Contexts whose `proxy_done` came in this callback.
    pub finishing: Vec<ContextId>,
    pub calls: Calls,
    /// What has come in for the callback that is running.
    pub incoming: Option<Incoming>,
    /// Code and message of the last gRPC call or stream that ended.
    pub grpc_status: (u32, Vec<u8>),
    /// Properties that the guest has declared.
    pub declared: Declared,
    /// The guest's exported memory, looked up at first use.
    pub memory: Option<Memory>,
    pub allocator: Allocator,
    pub scratch: Vec<u8>,
    /// Lines that the guest writes and has not ended.
    pub output: Output,
    pub denials: Denials,
    /// Holds the instance to its limits.
    pub guard: Guard,
    /// Zero of the guest's monotonic clock.
    pub started: Instant,
}

/// The guest's exported allocator.
pub(crate) enum Allocator {
    /// It is looked up at first use.
    Unknown,
    Known(TypedFunc<u32, u32>),
    /// One that calls a host function that allocates would never end.
    Running,
}

/// The context that host functions act on.
#[derive(Clone, Copy)]
pub(crate) struct Current<'a, S> {
    pub id: ContextId,
    /// Its root context, which may be itself.
    pub root: ContextId,
    pub plugin: &'a Rc<PluginConfig>,
    pub stream: Option<&'a S>,
}

impl<P: Proxy> State<P> {
    pub fn new(proxy: P, abi: AbiVersion, config: Rc<VmConfig>, guard: Guard) -> State<P> {
        State {
            proxy,
            abi,
            config,
            contexts: Contexts::new(),
            current: None,
            joined: None,
            ends_stream: None,
            in_vm_start: false,
            finishing: Vec::new(),
            calls: Calls::default(),
            incoming: None,
            grpc_status: (0, Vec::new()),
            declared: Declared::default(),
            memory: None,
            allocator: Allocator::Unknown,
            scratch: Vec::new(),
            output: Output::default(),
            denials: Denials::default(),
            guard,
            started: Instant::now(),
        }
    }

    /// Where a store's guard is.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// The stream of the current context.
    pub fn stream(&self) -> Option<&P::Stream> {
        self.contexts.get(self.current?)?.stream.as_ref()
    }

    pub fn add_context(&mut self, context: Context<P::Stream>) -> ContextId {
        self.contexts.insert(context)
    }

    /// A callback of this context begins; `false`: there is none of that id.
    #[inline]
    pub fn begin(&mut self, id: ContextId) -> bool {
        self.current = self.contexts.get(id).map(|_| id);
        self.current.is_some()
    }

    /// The callback has returned.
    #[inline]
    pub fn end(&mut self) {
        self.current = None;
    }

    /// The context that host functions act on: that of the callback, or what the guest has set
    /// with `proxy_set_effective_context`. `None` outside of callbacks and in entry points.
    pub fn current(&self) -> Option<Current<'_, P::Stream>> {
        let id = self.current?;
        let context = self.contexts.get(id)?;
        Some(Current {
            id,
            root: context.root.unwrap_or(id),
            plugin: &context.plugin,
            stream: context.stream.as_ref(),
        })
    }

    /// Is this a context of this kind that has not begun to end?
    #[inline]
    pub fn is_live(&self, id: ContextId, kind: ContextKind) -> bool {
        let context = self.contexts.get(id);
        context.is_some_and(|context| context.is_live(kind))
    }

    /// Has a context wait for `proxy_done`, without its stream, whose calls are its root context's then;
    /// `false` when too many wait.
    pub fn await_done(&mut self, id: ContextId, log: bool) -> bool {
        let waits = self.contexts.await_done(id, log);
        if waits {
            self.leave_calls(id);
        }
        waits
    }

    /// The stream of a context is about to go. Its calls go on as its root context's where the proxy says
    /// so; those of a root context are cancelled when that is removed.
    fn leave_calls(&mut self, id: ContextId) {
        for call in self.calls.of_context(id) {
            match self.calls.get_mut(call) {
                Some(entry) if entry.root == id => {}
                Some(entry) if self.proxy.detach_call(call) => entry.context = entry.root,
                _ => self.cancel_call(call),
            }
        }
    }

    /// Makes another context the current one, until the callback returns.
    pub fn set_effective(&mut self, id: ContextId) -> Result<(), Status> {
        self.contexts.get(id).ok_or(Status::BadArgument)?;
        if self.current.is_some() {
            self.current = Some(id);
        }
        Ok(())
    }

    /// Starts a call of the current context.
    pub fn start_call(
        &mut self,
        kind: CallKind,
        start: impl FnOnce(&P, Option<&P::Stream>, CallId) -> Result<(), Status>,
    ) -> Result<CallId, Status> {
        let current = self.current().ok_or(Status::BadArgument)?;
        let (context, root) = (current.id, current.root);
        let id = self.calls.insert(kind, context, root)?;
        let started = start(&self.proxy, self.stream(), id);
        if started.is_err() {
            self.calls.remove(id);
        }
        started.map(|()| id)
    }

    /// Forgets a call; the proxy ends it, unless the other side has.
    pub fn cancel_call(&mut self, id: CallId) {
        if let Some(call) = self.calls.remove(id)
            && !call.over
        {
            self.proxy.cancel_call(id);
        }
    }

    /// Takes a context away, with its calls. Those of a stream go on as its root context's where
    /// the proxy says so.
    pub fn remove_context(&mut self, id: ContextId) {
        if self.calls.len() > 0 {
            self.leave_calls(id);
            for call in self.calls.of_context(id) {
                self.cancel_call(call);
            }
        }
        if let Some(context) = self.contexts.remove(id)
            && context.root.is_none()
        {
            self.declared.forget(id);
        }
    }

    /// `proxy_done` of the current context.
    pub fn done(&mut self) -> Result<(), Status> {
        let id = self.current().ok_or(Status::NotFound)?.id;
        if !self.contexts.done(id) {
            return Err(Status::NotFound);
        }
        self.finishing.push(id);
        Ok(())
    }
}
