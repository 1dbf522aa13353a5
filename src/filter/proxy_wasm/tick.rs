//! Ticks: nginx timers that call root contexts.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use proxy_wasm_host::ContextId;

use crate::filter::proxy_wasm::instance::Instance;
use crate::net::executor::{Task, spawn};
use crate::net::timer::cancelable;
use crate::nginx::event::Timer;
use crate::nginx::log::Log;

/// The tick of one root context.
pub struct Tick {
    pub root: ContextId,
    timer: Timer,
    period: Duration,
    log: Log,
    /// A tick that waits for the module's turn.
    waiting: RefCell<Option<Task>>,
}

impl Tick {
    /// `period` in milliseconds. A worker that is shutting down does not wait for ticks.
    pub fn start(instance: Weak<Instance>, root: ContextId, period: u32, log: Log) -> Tick {
        let timer = Timer::new(move || {
            if let Some(instance) = instance.upgrade() {
                match instance.turn.is_free() {
                    true => tick(&instance, root, false),
                    false => wait(&instance, root),
                }
            }
        });
        let tick = Tick {
            root,
            timer,
            period: Duration::from_millis(period.into()),
            log,
            waiting: RefCell::default(),
        };
        tick.start_again();
        tick
    }

    /// The period begins anew.
    fn start_again(&self) {
        self.timer.start(self.period, self.log);
    }
}

/// Has the tick made when the module's turn comes; the worker may exit before.
fn wait(instance: &Instance, root: ContextId) {
    let (this, turn) = (instance.this.clone(), instance.turn.clone());
    let task = spawn(cancelable(async move {
        turn.wait().await;
        if let Some(instance) = this.upgrade() {
            tick(&instance, root, true);
        }
    }));
    let ticks = instance.timers.borrow();
    if let Some(known) = ticks.iter().find(|tick| tick.root == root) {
        known.waiting.replace(Some(task));
    }
}

/// Makes a tick, if the root context still has a timer. `waited`: see
/// [`Turn::run`](crate::net::turn::Turn::run).
fn tick(instance: &Instance, root: ContextId, waited: bool) {
    // Before the call, in which the guest may set another period.
    let ticks = instance.timers.borrow();
    let Some(tick) = ticks.iter().find(|tick| tick.root == root) else {
        return;
    };
    tick.start_again();
    drop(ticks);
    let run = || instance.call_logged(|vm| vm.on_tick(root));
    instance.turn.run(waited, run);
}
