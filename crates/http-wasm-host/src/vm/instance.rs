//! An instance of a program, and the calls into it.

use std::mem;
use std::rc::Rc;

use guest_host::exports::function;
use guest_host::wasi::Exit;
use wasm_runtime::wasmtime::{Error, Instance, Store, TypedFunc};
use wasm_runtime::{Engine, Guard, Rewind};

use crate::answer::Answer;
use crate::error::{CallError, LoadError, StartError};
use crate::exchange::{BodyKind, Proxy};
use crate::features::Features;
use crate::program::{HANDLE_REQUEST, HANDLE_RESPONSE, Program, START};
use crate::state::{Serving, Stage, State, VmConfig};

/// Where a guest sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next handler; its response comes back to the guest.
    Handler,
    /// Nowhere: the guest has answered ([`Vm::take_answer`]).
    Stop,
}

/// An instance of a program. Its memory and globals live on from request to request.
///
/// The guest runs only within these methods. After a trap nothing more is called in it, and it is to be dropped.
pub struct Vm<P: Proxy> {
    pub(super) store: Store<State<P>>,
    pub(super) instance: Instance,
    pub(super) program: Program,
    /// It was started from a snapshot, and can be taken back to it.
    pub(super) rewind: Option<Rewind>,
    handle_request: TypedFunc<(), u64>,
    handle_response: TypedFunc<(u32, u32), ()>,
    /// What the guest knows the request by.
    context: u32,
    poisoned: bool,
}

impl<P: Proxy> Vm<P> {
    /// Instantiates a program (which is loaded and linked at its first start in this engine) and runs what it exports of
    /// `_start` and `_initialize`, in this order. All of it together has [`Limits::start_time`].
    ///
    /// [`Limits::start_time`]: wasm_runtime::Limits::start_time
    pub fn start(
        engine: &Engine,
        program: &Program,
        proxy: P,
        config: Rc<VmConfig>,
    ) -> Result<Vm<P>, StartError> {
        let runtime = program.runtime(engine, &config.limits)?;
        let instance_pre = program.link(&runtime)?;
        let mut store = store(&runtime, proxy, config);
        store.data_mut().guard.set_starting(true);
        let instance = run(&mut store, |store| {
            let instance = instance_pre.instantiate(&mut *store)?;
            store.data_mut().memory = instance.get_memory(&mut *store, "memory");
            if let Some(initial) = program.initial() {
                initial.start(store, &instance)?;
            }
            Ok(instance)
        });
        let instance = instance.map_err(StartError::Instantiate)?;
        for name in START {
            if let Some(start) = function::<_, (), ()>(&instance, &mut store, name) {
                let started = run(&mut store, |store| exited_well(start.call(store, ())));
                started.map_err(|reason| StartError::Trap {
                    function: name,
                    reason,
                })?;
            }
        }
        store.data_mut().guard.set_starting(false);
        Vm::new(store, instance, program, None)
    }

    /// An instance that has started.
    pub(super) fn new(
        mut store: Store<State<P>>,
        instance: Instance,
        program: &Program,
        rewind: Option<Rewind>,
    ) -> Result<Vm<P>, StartError> {
        // Both were checked before the program was compiled.
        let handle_request = function(&instance, &mut store, HANDLE_REQUEST);
        let handle_response = function(&instance, &mut store, HANDLE_RESPONSE);
        Ok(Vm {
            handle_request: handle_request.ok_or(LoadError::NoHandler(HANDLE_REQUEST))?,
            handle_response: handle_response.ok_or(LoadError::NoHandler(HANDLE_RESPONSE))?,
            store,
            instance,
            program: program.clone(),
            rewind,
            context: 0,
            poisoned: false,
        })
    }

    /// Has the guest see a request. One that it had before is forgotten.
    pub fn handle_request(&mut self, exchange: P::Exchange) -> Result<Next, CallError> {
        if self.poisoned {
            return Err(CallError::Poisoned);
        }
        let state = self.store.data_mut();
        state.serving = Serving {
            exchange: Some(exchange),
            stage: Stage::Request,
            features: state.features,
            ..Serving::default()
        };
        let handle_request = &self.handle_request;
        let answer = run(&mut self.store, |store| handle_request.call(store, ()));
        match answer {
            Ok(answer) => {
                let serving = &mut self.store.data_mut().serving;
                serving.stage = Stage::Idle;
                serving.response_read = 0;
                self.context = (answer >> 32) as u32;
                Ok(match answer as u32 {
                    0 => Next::Stop,
                    _ => Next::Handler,
                })
            }
            Err(reason) => Err(self.trapped(HANDLE_REQUEST, reason)),
        }
    }

    /// Has it see the response to the request that it has passed on. `failed`: there is none.
    pub fn handle_response(&mut self, failed: bool) -> Result<(), CallError> {
        if self.poisoned {
            return Err(CallError::Poisoned);
        }
        let serving = &mut self.store.data_mut().serving;
        if serving.exchange.is_none() {
            return Err(CallError::NoRequest);
        }
        serving.stage = Stage::Response;
        let arguments = (self.context, u32::from(failed));
        let handle_response = &self.handle_response;
        let result = run(&mut self.store, |store| {
            handle_response.call(store, arguments)
        });
        self.store.data_mut().serving.stage = Stage::Idle;
        result.map_err(|reason| self.trapped(HANDLE_RESPONSE, reason))
    }

    #[cold]
    fn trapped(&mut self, function: &'static str, reason: String) -> CallError {
        self.poisoned = true;
        self.end();
        CallError::Trap { function, reason }
    }

    /// The request has ended, or the guest is through with it.
    pub fn end(&mut self) {
        self.store.data_mut().serving = Serving::default();
    }

    /// What the guest has said of the response before the next handler.
    pub fn take_answer(&mut self) -> Answer {
        self.store.data_mut().serving.answer.take()
    }

    /// What the guest has written in the place of a body, if it has.
    pub fn take_body(&mut self, kind: BodyKind) -> Option<Vec<u8>> {
        mem::take(self.store.data_mut().serving.written(kind))
    }

    /// Bytes of the request's body that the guest has read, and that are not there for the next handler.
    pub fn eaten(&self) -> usize {
        self.store.data().serving.eaten
    }

    /// The features that it asks for in all requests.
    pub fn features(&self) -> Features {
        self.store.data().features
    }

    /// Those that hold for the request.
    pub fn request_features(&self) -> Features {
        self.store.data().serving.features
    }

    /// Has a call trapped?
    pub fn poisoned(&self) -> bool {
        self.poisoned
    }

    pub fn proxy(&self) -> &P {
        &self.store.data().proxy
    }

    /// Bytes of the guest's memory.
    pub fn memory_bytes(&self) -> usize {
        let memory = self.store.data().memory;
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }
}

/// A store for an instance, with its limits.
pub(super) fn store<P: Proxy>(runtime: &Engine, proxy: P, config: Rc<VmConfig>) -> Store<State<P>> {
    let guard = Guard::new(runtime, config.limits);
    let state = State::new(proxy, config, guard);
    let mut store = Store::new(runtime.wasmtime(), state);
    Guard::attach(&mut store, State::guard);
    store
}

/// Makes a call into the guest, within its limits. The error says why it failed.
#[inline]
fn run<P: Proxy, R>(
    store: &mut Store<State<P>>,
    call: impl FnOnce(&mut Store<State<P>>) -> Result<R, Error>,
) -> Result<R, String> {
    let result = Guard::call(store, State::guard, call);
    if store.data().guard.notes_end() {
        store.data_mut().end_call();
    }
    result.map_err(|error| store.data().guard.reason(&error))
}

/// A program's start may end by `proc_exit(0)`.
fn exited_well(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.downcast_ref() == Some(&Exit(0)) => Ok(()),
        other => other,
    }
}
