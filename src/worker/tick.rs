//! Ticks: nginx timers that call root contexts.

use std::cell::UnsafeCell;
use std::rc::{Rc, Weak};

use ngx::ffi::{ngx_add_timer, ngx_del_timer, ngx_event_t};
use proxy_wasm_host::ContextId;

use super::instance::{Instance, SharedVm};
use crate::nginx::log::Log;

/// The tick of one root context.
pub(super) struct Timer {
    event: UnsafeCell<ngx_event_t>,
    instance: Weak<Instance>,
    pub root: ContextId,
    period: u32,
}

impl Timer {
    pub fn start(vm: &SharedVm, root: ContextId, period: u32, log: Log) -> Box<Timer> {
        let timer = Box::new(Timer {
            // SAFETY: a zeroed event is valid, and not in nginx's tree of timers.
            event: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            instance: Rc::downgrade(&vm.0),
            root,
            period,
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
    crate::guard((), || {
        // SAFETY: a timer takes its event out of the tree before it goes.
        let (instance, root) = unsafe {
            let timer: *const Timer = (*event).data.cast_const().cast();
            ngx_add_timer(event, (*timer).period as usize);
            ((*timer).instance.upgrade(), (*timer).root)
        };
        if let Some(instance) = instance {
            SharedVm(instance).call_logged(|vm| vm.on_tick(root));
        }
    });
}
