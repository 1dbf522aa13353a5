//! The modules of a kind in a worker: their instances, which are started again when they have failed.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ngx::ffi::ngx_exiting;

use crate::nginx::event::Timer;
use crate::nginx::log::{Level, Log};
use crate::worker::process::Main;

/// When an instance that has trapped is started again though no request asks for it, and when one
/// that did not start is tried again; after each further failure in twice the time.
const RETRY: Duration = Duration::from_secs(1);

/// The longest time between two attempts is so many times as long.
const LONGEST: u32 = 64;

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
        if module.waits() {
            let name = &module.main().conf.modules.get(index)?.name;
            log.write(
                Level::Info,
                format_args!("[wasm] {name}: did not start a moment ago"),
            );
            return None;
        }
        module.start(log)
    }

    /// The worker exits.
    pub fn shutdown(&self) {
        for module in &self.0 {
            module.timer.cancel();
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
    /// Attempts to start it that have failed since one did not.
    failures: Cell<u32>,
    /// When it is started without a request. It does not keep a worker that is shutting down.
    timer: Timer,
}

impl<I: Restartable> Module<I> {
    fn new(main: &Main, index: usize, log: Log) -> Rc<Module<I>> {
        Rc::new_cyclic(|module: &Weak<Module<I>>| {
            let module = module.clone();
            Module {
                index,
                main,
                log,
                instance: RefCell::new(None),
                failures: Cell::new(0),
                timer: Timer::new(move || {
                    // SAFETY: nginx's own, of this thread. What is still to be done there needs no background.
                    if unsafe { ngx_exiting } == 0
                        && let Some(module) = module.upgrade()
                        && module.running().is_none()
                    {
                        module.start(module.log);
                    }
                }),
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

    /// Did it fail to start a moment ago, so that it is left alone until the timer ends?
    fn waits(&self) -> bool {
        self.failures.get() > 0 && self.timer.is_set()
    }

    fn start(self: &Rc<Self>, log: Log) -> Option<I> {
        let name = &self.main().conf.modules.get(self.index)?.name;
        // One that has trapped is let go first.
        let before = self.instance.take();
        drop(before);
        match I::start(self.main(), self.index, self.log) {
            Ok(instance) => {
                let failures = self.started(&instance);
                if failures > 0 {
                    log.write(
                        Level::Notice,
                        format_args!(
                            "[wasm] {name}: started, after {failures} attempts that failed"
                        ),
                    );
                }
                Some(instance)
            }
            Err(error) => {
                let after = self.did_not_start().as_secs();
                log.write(
                    Level::Error,
                    format_args!("[wasm] {name}: {error}; tried again in {after} s"),
                );
                None
            }
        }
    }

    /// It runs. After how many attempts that failed?
    fn started(self: &Rc<Self>, instance: &I) -> u32 {
        self.timer.cancel();
        let module: Rc<dyn Waiter> = self.clone();
        instance.watch(Rc::downgrade(&module));
        self.instance.replace(Some(instance.clone()));
        self.failures.replace(0)
    }

    /// It did not start; after how long it is tried again.
    fn did_not_start(&self) -> Duration {
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let times = 1u32.checked_shl(failures).unwrap_or(LONGEST).min(LONGEST);
        let after = RETRY * times;
        self.timer.start(after, self.log);
        after
    }
}

impl<I: Restartable> Waiter for Module<I> {
    /// The next request starts another one, or the timer does, for what goes on without requests.
    fn instance_failed(&self) {
        self.timer.start(RETRY, self.log);
    }
}
