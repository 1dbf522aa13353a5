//! The modules of a kind in a worker: their instances, which are started again when they have failed.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use ngx::ffi::ngx_exiting;

use crate::nginx::log::Log;
use crate::worker::attempts::Attempts;
use crate::worker::process::Main;

/// Waits for a callback into an instance, and has to know when there will be none.
pub trait Waiter {
    fn instance_failed(&self);
}

/// What is started for a module in a worker. Clone = refcount.
pub trait Restartable: Clone + 'static {
    /// Starts one; the error is for the log. `log` is the cycle's, as `main` is.
    fn start(main: &Main, module: usize, log: Log) -> Result<Self, String>;

    /// May it still be called? A call that runs may.
    fn is_alive(&self) -> bool;

    /// Has `waiter` told when the instance fails.
    fn watch(&self, waiter: Weak<dyn Waiter>);

    /// The worker exits.
    fn shutdown(&self);
}

/// By the modules' numbers; those of other kinds never start here.
pub struct Modules<I: Restartable>(Vec<Rc<Module<I>>>);

impl<I: Restartable> Modules<I> {
    /// None of them is started yet.
    ///
    /// # Safety
    /// `main` outlives this; `log` is the cycle's.
    pub unsafe fn new(main: &Main, log: Log) -> Modules<I> {
        let all = 0..main.conf.modules.len();
        Modules(all.map(|index| Module::new(main, index, log)).collect())
    }

    /// The module's instance: the one that runs, or a new one when that has trapped. `None`: the log says why;
    /// `log` is the request's.
    pub fn instance(&self, index: usize, log: Log) -> Option<I> {
        let module = self.0.get(index)?;
        if let Some(instance) = module.running() {
            return Some(instance);
        }
        if module.attempts.waits() {
            module.attempts.tell(log);
            return None;
        }
        module.start(log)
    }

    /// The worker exits.
    pub fn shutdown(&self) {
        for module in &self.0 {
            module.attempts.end();
            if let Some(instance) = module.instance.take() {
                instance.shutdown();
            }
        }
    }
}

struct Module<I> {
    index: usize,
    main: *const Main,
    /// The cycle's.
    log: Log,
    instance: RefCell<Option<I>>,
    attempts: Attempts,
}

impl<I: Restartable> Module<I> {
    fn new(main: &Main, index: usize, log: Log) -> Rc<Module<I>> {
        Rc::new_cyclic(|module: &Weak<Module<I>>| {
            let module = module.clone();
            let again = move || {
                // SAFETY: nginx's own, of this thread. What is still to be done there needs no background.
                if unsafe { ngx_exiting } == 0
                    && let Some(module) = module.upgrade()
                    && module.running().is_none()
                {
                    module.start(module.log);
                }
            };
            Module {
                index,
                main,
                log,
                instance: RefCell::new(None),
                attempts: Attempts::new(&main.conf.modules[index].name, log, again),
            }
        })
    }

    fn main(&self) -> &Main {
        // SAFETY: what `Modules::new` was given outlives the modules.
        unsafe { &*self.main }
    }

    /// The instance that runs.
    fn running(&self) -> Option<I> {
        let instance = self.instance.borrow();
        instance.as_ref().filter(|vm| vm.is_alive()).cloned()
    }

    fn start(self: &Rc<Self>, log: Log) -> Option<I> {
        // One that has trapped is let go first.
        let before = self.instance.take();
        drop(before);
        match I::start(self.main(), self.index, self.log) {
            Ok(instance) => {
                let module: Rc<dyn Waiter> = self.clone();
                instance.watch(Rc::downgrade(&module));
                self.instance.replace(Some(instance.clone()));
                self.attempts.succeeded(log);
                Some(instance)
            }
            Err(error) => {
                self.attempts.failed(error, log);
                None
            }
        }
    }
}

impl<I: Restartable> Waiter for Module<I> {
    /// The next request starts another one, or the timer does, for what goes on without requests.
    fn instance_failed(&self) {
        self.attempts.restart();
    }
}
