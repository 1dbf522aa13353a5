//! What the host functions of one VM see.

use std::rc::Rc;
use std::time::Instant;

use wasm_runtime::wasmtime::{Memory, TypedFunc};

use crate::abi::{AbiVersion, Status};
use crate::context::{Context, Contexts, Phase};
use crate::traits::Proxy;
use crate::vm::{ContextId, PluginConfig, VmConfig};

pub(crate) struct State<P: Proxy> {
    pub proxy: P,
    pub abi: AbiVersion,
    pub config: VmConfig,
    pub contexts: Contexts<P::Stream>,
    /// The context that host functions act on: that of the callback, or what the guest has set
    /// with `proxy_set_effective_context`. `None` outside of callbacks and in entry points.
    pub current: Option<Current<P::Stream>>,
    /// `proxy_on_vm_start` is running, where 0.1.0's `get_configuration` is the VM's.
    pub in_vm_start: bool,
    /// Contexts whose `proxy_done` came in this callback.
    pub finishing: Vec<ContextId>,
    /// The guest's exported memory, looked up at first use.
    pub memory: Option<Memory>,
    pub allocator: Allocator,
    pub scratch: Vec<u8>,
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

/// A copy of what a context's host functions need, so that none of them looks it up.
pub(crate) struct Current<S> {
    pub id: ContextId,
    /// Its root context, which may be itself.
    pub root: ContextId,
    pub plugin: Rc<PluginConfig>,
    pub stream: Option<S>,
}

impl<S: Clone> Current<S> {
    pub fn new(id: ContextId, context: &Context<S>) -> Current<S> {
        Current {
            id,
            root: context.root.unwrap_or(id),
            plugin: context.plugin.clone(),
            stream: context.stream.clone(),
        }
    }
}

impl<P: Proxy> State<P> {
    pub fn new(proxy: P, abi: AbiVersion, config: VmConfig) -> State<P> {
        State {
            proxy,
            abi,
            config,
            contexts: Contexts::new(),
            current: None,
            in_vm_start: false,
            finishing: Vec::new(),
            memory: None,
            allocator: Allocator::Unknown,
            scratch: Vec::new(),
            started: Instant::now(),
        }
    }

    /// The stream of the current context.
    pub fn stream(&self) -> Option<&P::Stream> {
        self.current.as_ref()?.stream.as_ref()
    }

    /// Makes another context the current one, until the callback returns.
    pub fn set_effective(&mut self, id: ContextId) -> Result<(), Status> {
        let context = self.contexts.get(id).ok_or(Status::BadArgument)?;
        self.current = Some(Current::new(id, context));
        Ok(())
    }

    /// `proxy_done` of the current context.
    pub fn done(&mut self) -> Result<(), Status> {
        let id = self.current.as_ref().ok_or(Status::NotFound)?.id;
        let context = self.contexts.get_mut(id).ok_or(Status::NotFound)?;
        let Phase::AwaitsDone { log } = context.phase else {
            return Err(Status::NotFound);
        };
        context.phase = Phase::Finishing { log };
        self.finishing.push(id);
        Ok(())
    }
}
