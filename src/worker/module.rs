//! A module in a worker: its instance, which is started again when it has failed.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ngx::ffi::{ngx_add_timer, ngx_del_timer, ngx_event_t, ngx_exiting};

use crate::conf::MainConf;
use crate::filter::proxy_wasm::instance::{SharedVm, Waiter};
use crate::nginx::log::Log;

/// When an instance that has trapped is started again though no request asks for it, and when one
/// that did not start is tried again; after each further failure in twice the time.
const RETRY: Duration = Duration::from_secs(1);

/// The longest time between two attempts is so many times as long.
const LONGEST: u32 = 64;

/// A module in a worker. It stays where it is: nginx's tree of timers points at its event.
pub struct Module {
    pub index: usize,
    conf: *const MainConf,
    instance: RefCell<Option<SharedVm>>,
    /// Attempts to start it that have failed since one did not.
    failures: Cell<u32>,
    /// When it is started without a request. It does not keep a worker that is shutting down.
    timer: UnsafeCell<ngx_event_t>,
}

impl Module {
    /// # Safety
    /// `conf` outlives the module; `log` is the cycle's.
    pub unsafe fn new(conf: &MainConf, index: usize, log: Log) -> Rc<Module> {
        // SAFETY: a zeroed event is valid, and not in nginx's tree of timers.
        let mut event: ngx_event_t = unsafe { std::mem::zeroed() };
        event.handler = Some(on_timer);
        event.log = log.as_ptr();
        event.set_cancelable(1);
        let module = Rc::new(Module {
            index,
            conf,
            instance: RefCell::new(None),
            failures: Cell::new(0),
            timer: UnsafeCell::new(event),
        });
        // SAFETY: the event is the module's own.
        unsafe { (*module.timer.get()).data = Rc::as_ptr(&module).cast_mut().cast() };
        module
    }

    /// The instance that runs.
    pub fn running(&self) -> Option<SharedVm> {
        let instance = self.instance.borrow();
        instance.as_ref().filter(|vm| vm.is_alive()).cloned()
    }

    /// Lets go an instance that has trapped.
    pub fn forget(&self) {
        let instance = self.instance.take();
        drop(instance);
    }

    /// Did it fail to start a moment ago, so that it is left alone until the timer ends?
    pub fn waits(&self) -> bool {
        self.failures.get() > 0 && self.timer_is_set()
    }

    /// It runs. After how many attempts that failed?
    pub fn started(self: &Rc<Self>, vm: &SharedVm) -> u32 {
        self.cancel();
        let module: Rc<dyn Waiter> = self.clone();
        vm.watch(Rc::downgrade(&module) as Weak<dyn Waiter>);
        self.instance.replace(Some(vm.clone()));
        self.failures.replace(0)
    }

    /// It did not start; after how long it is tried again.
    pub fn did_not_start(&self) -> Duration {
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let times = 1u32.checked_shl(failures).unwrap_or(LONGEST).min(LONGEST);
        let after = RETRY * times;
        self.start_in(after);
        after
    }

    /// The worker exits.
    pub fn end(&self) -> Option<SharedVm> {
        self.cancel();
        self.instance.take()
    }

    fn timer_is_set(&self) -> bool {
        // SAFETY: nginx's thread is the only one.
        unsafe { (*self.timer.get()).timer_set() != 0 }
    }

    fn start_in(&self, time: Duration) {
        // SAFETY: as above; `cancel` takes the event out of the tree before the module goes.
        unsafe { ngx_add_timer(self.timer.get(), time.as_millis() as usize) };
    }

    fn cancel(&self) {
        if self.timer_is_set() {
            // SAFETY: as above.
            unsafe { ngx_del_timer(self.timer.get()) };
        }
    }
}

impl Waiter for Module {
    /// The next request starts another one, or the timer does, for what goes on without requests.
    fn instance_failed(&self) {
        self.start_in(RETRY);
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        self.cancel();
    }
}

unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: a module takes its event out of the tree before it goes, and its configuration
        // outlives it; `ngx_exiting` is nginx's own, of this thread.
        unsafe {
            let module: *const Module = (*event).data.cast_const().cast();
            // What is still to be done there needs no background.
            if ngx_exiting == 0
                && let Some(worker) = (*(*module).conf).worker()
            {
                worker.restart((*module).index);
            }
        }
    });
}
