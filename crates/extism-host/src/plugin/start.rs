//! The start of an instance.

use wasm_runtime::wasmtime::{Error, Extern, Func, Instance, Result, Store, Val};

use super::{Phase, Plugin};
use crate::error::StartError;
use crate::program::Part;
use crate::services::Services;
use crate::state::State;
use crate::wait::now;

/// What runs when an instance is made, as it is told of a trap.
const SECTION: &str = "the start section";

impl<S: Services> Plugin<S> {
    /// Makes the modules' instances and runs their start sections and initialization functions: `hs_init`, behind
    /// `_initialize`; else `__wasm_call_ctors`, else `_initialize`. They have [`Limits::start_time`] together, and no timeout.
    /// Nothing happens where that has been done.
    ///
    /// [`Limits::start_time`]: wasm_runtime::Limits::start_time
    pub async fn start(&mut self) -> Result<(), StartError> {
        match self.phase {
            Phase::New => {}
            Phase::Ready => return Ok(()),
            Phase::Poisoned => return Err(StartError::Poisoned),
        }
        self.phase = Phase::Poisoned;
        self.store.data_mut().guard.set_starting(true);
        let result = self.start_modules().await;
        let guard = &mut self.store.data_mut().guard;
        guard.set_starting(false);
        result?;
        guard.set_growth(self.linked.inner.program.inner.rules.max_growth);
        self.phase = Phase::Ready;
        Ok(())
    }

    /// The same for one that does not wait; if it does, it fails.
    pub fn start_now(&mut self) -> Result<(), StartError> {
        now(self.start()).unwrap_or(Err(StartError::Waits))
    }

    async fn start_modules(&mut self) -> Result<(), StartError> {
        let linked = self.linked.inner.clone();
        let instantiate = |reason| StartError::Instantiate(reason);
        let kernel = linked.start_kernel(&mut self.store);
        let kernel = kernel.map_err(|error| instantiate(self.reason(&error)))?;
        let program = linked.program.inner.clone();
        let last = program.modules.len().saturating_sub(1);
        for (index, (module, part)) in linked.modules.iter().zip(&program.modules).enumerate() {
            let imports = linked.imports(&mut self.store, &kernel, module, &self.instances);
            let imports = imports.map_err(|error| instantiate(self.reason(&error)))?;
            if index == last {
                // The main module's memory counts like growth, but is no part of what may grow later.
                let guard = &mut self.store.data_mut().guard;
                guard.set_growth(program.rules.max_growth);
            }
            let made = self
                .enter(async |store, waits| {
                    instantiate_module(store, &module.module, &imports, waits).await
                })
                .await;
            let instance = made.map_err(|error| instantiate(self.reason(&error)))?;
            self.instances.push(instance);
            self.run_initial(&instance, part).await?;
            if index == last {
                let guard = &mut self.store.data_mut().guard;
                guard.set_growth(program.rules.max_growth);
            }
            for name in &part.initializers {
                self.initialize(&instance, name).await?;
            }
        }
        Ok(())
    }

    /// What a module that was rewritten for snapshots would have done when its instance was made.
    async fn run_initial(&mut self, instance: &Instance, part: &Part) -> Result<(), StartError> {
        let Some(initial) = &part.initial else {
            return Ok(());
        };
        let start = initial.write(&mut self.store, instance);
        let start = start.map_err(|error| StartError::Instantiate(self.reason(&error)))?;
        let Some(start) = start else {
            return Ok(());
        };
        let result = self
            .enter(async |store, waits| match waits {
                true => start.call_async(store, ()).await,
                false => start.call(store, ()),
            })
            .await;
        result.map_err(|error| self.trap(SECTION, &error))
    }

    async fn initialize(
        &mut self,
        instance: &Instance,
        name: &'static str,
    ) -> Result<(), StartError> {
        let Some(function) = instance.get_func(&mut self.store, name) else {
            return Ok(());
        };
        let result = self
            .enter(async |store, waits| call_zeroes(store, &function, waits).await)
            .await;
        result.map_err(|error| self.trap(name, &error))
    }

    fn trap(&self, function: &'static str, error: &Error) -> StartError {
        StartError::Trap {
            function,
            reason: self.reason(error),
        }
    }
}

async fn instantiate_module<S: Services>(
    store: &mut Store<State<S>>,
    module: &wasm_runtime::wasmtime::Module,
    imports: &[Extern],
    waits: bool,
) -> Result<Instance> {
    match waits {
        true => Instance::new_async(store, module, imports).await,
        false => Instance::new(store, module, imports),
    }
}

/// Calls a function whose parameters are numbers of 32 bits, if any, with zeroes, whatever it returns.
async fn call_zeroes<S: Services>(
    store: &mut Store<State<S>>,
    function: &Func,
    waits: bool,
) -> Result<()> {
    let ty = function.ty(&*store);
    let parameters = vec![Val::I32(0); ty.params().len()];
    let mut results = vec![Val::I32(0); ty.results().len()];
    match waits {
        true => function.call_async(store, &parameters, &mut results).await,
        false => function.call(store, &parameters, &mut results),
    }
}
