//! Ticks: nginx timers that call root contexts.

use std::cell::{RefCell, UnsafeCell};
use std::rc::{Rc, Weak};

use ngx::ffi::{ngx_add_timer, ngx_del_timer, ngx_event_t};
use proxy_wasm_host::ContextId;

use crate::filter::proxy_wasm::instance::{Instance, SharedVm};
use crate::net::executor::{Task, spawn};
use crate::net::timer::cancelable;
use crate::nginx::log::Log;

/// The tick of one root context.
pub struct Timer {
    event: UnsafeCell<ngx_event_t>,
    instance: Weak<Instance>,
    pub root: ContextId,
    period: u32,
    /// A tick that waits for the module's turn.
    waiting: RefCell<Option<Task>>,
}

impl Timer {
    pub fn start(vm: &SharedVm, root: ContextId, period: u32, log: Log) -> Box<Timer> {
        let timer = Box::new(Timer {
            // SAFETY: a zeroed event is valid, and not in nginx's tree of timers.
            event: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            instance: Rc::downgrade(&vm.0),
            root,
            period,
            waiting: RefCell::default(),
        });
        // SAFETY: the event is in a box, so it stays where it is until `drop` takes it out of
        // the tree. A cancelable timer does not keep a worker that is shutting down.
        unsafe {
            let event = timer.event.get();
            (*event).data = (&raw const *timer).cast_mut().cast();
            (*event).handler = Some(on_timer);
            (*event).log = log.as_ptr();
            (*event).set_cancelable(1);
            ngx_add_timer(event, period as usize);
        }
        timer
    }
}

impl Timer {
    /// The period begins anew.
    fn start_again(&self) {
        // SAFETY: as above.
        unsafe { ngx_add_timer(self.event.get(), self.period as usize) };
    }

    /// Has the tick made when the module's turn comes; the worker may exit before.
    fn wait(&self, vm: &SharedVm) {
        let (instance, root, turn) = (self.instance.clone(), self.root, vm.turn().clone());
        let task = spawn(cancelable(async move {
            turn.wait().await;
            if let Some(vm) = instance.upgrade().map(SharedVm) {
                tick(&vm, root, true);
            }
        }));
        self.waiting.replace(Some(task));
    }
}

/// Makes a tick, if the root context still has a timer. `waited`: see [`Turn::run`].
///
/// [`Turn::run`]: crate::net::turn::Turn::run
fn tick(vm: &SharedVm, root: ContextId, waited: bool) {
    // Before the call, in which the guest may set another period.
    let timers = vm.0.timers.borrow();
    let Some(timer) = timers.iter().find(|timer| timer.root == root) else {
        return;
    };
    timer.start_again();
    drop(timers);
    let run = || vm.call_logged(|vm| vm.on_tick(root));
    vm.turn().run(waited, run);
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            if (*self.event.get()).timer_set() != 0 {
                ngx_del_timer(self.event.get());
            }
        }
    }
}

unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: a timer takes its event out of the tree before it goes.
        let timer: &Timer = unsafe { &*(*event).data.cast_const().cast() };
        if let Some(vm) = timer.instance.upgrade().map(SharedVm) {
            match vm.turn().is_free() {
                true => tick(&vm, timer.root, false),
                false => timer.wait(&vm),
            }
        }
    });
}
