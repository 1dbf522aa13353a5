//! The instances of a guest with its configuration: one has one request at a time, so there are as many as there are requests
//! at once, up to `instances=`. Requests for which there is none wait in line.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::filter::http_wasm::maker::{Instance, Maker};
use crate::net::line::Line;
use crate::worker::attempts::Attempts;

/// So many instances that nobody uses are kept in any case, and as many as are in use: what comes at once may come at once
/// again.
const IDLE: usize = 64;

/// Why a request gets no instance.
#[derive(Clone, Copy, Debug)]
pub enum NoInstance {
    /// All are in use, and as many requests wait as may.
    Full,
    /// One did not start just now, or a moment ago.
    NotStarted,
}

pub struct Instances {
    maker: Maker,
    attempts: Attempts,
    most: usize,
    queue: usize,
    /// Those that nobody uses, the last used last.
    idle: RefCell<VecDeque<Instance>>,
    /// Those that there are, idle or not.
    live: Cell<usize>,
    line: Line,
}

impl Instances {
    pub fn new(maker: Maker, attempts: Attempts, most: u32, queue: u32) -> Instances {
        Instances {
            maker,
            attempts,
            most: most as usize,
            queue: queue as usize,
            idle: RefCell::default(),
            live: Cell::new(0),
            line: Line::default(),
        }
    }

    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// Is there one without waiting?
    pub fn is_free(&self) -> bool {
        let room = self.live.get() < self.most;
        self.line.is_empty() && (room || !self.idle.borrow().is_empty())
    }

    /// An instance, if there is one without waiting. `None`: all are in use, or others wait.
    #[inline]
    pub fn take(&self) -> Option<Result<Instance, NoInstance>> {
        match self.line.is_empty() {
            true => self.take_or_make(),
            false => None,
        }
    }

    #[inline]
    fn take_or_make(&self) -> Option<Result<Instance, NoInstance>> {
        let idle = self.idle.borrow_mut().pop_back();
        match idle {
            Some(instance) => Some(Ok(instance)),
            None => self.make(),
        }
    }

    fn make(&self) -> Option<Result<Instance, NoInstance>> {
        match self.live.get() {
            live if live >= self.most => return None,
            0 if self.attempts.waits() => return Some(Err(NoInstance::NotStarted)),
            // Those that there are serve one after the other.
            _ if self.attempts.waits() => return None,
            live => self.live.set(live + 1),
        }
        let log = self.maker.log();
        Some(match self.maker.make() {
            Ok(instance) => {
                self.attempts.succeeded(log);
                Ok(instance)
            }
            Err(error) => {
                self.live.set(self.live.get().saturating_sub(1));
                self.attempts.failed(error, log);
                Err(NoInstance::NotStarted)
            }
        })
    }

    /// An instance, when there is one.
    pub async fn wait(&self) -> Result<Instance, NoInstance> {
        match self.line.len() < self.queue {
            true => self.line.wait(|| self.take_or_make()).await,
            false => Err(NoInstance::Full),
        }
    }

    /// A request is through with it: it serves others, unless it has trapped.
    pub fn give_back(&self, mut instance: Instance) {
        match self.maker.renew(&mut instance) {
            true => self.idle.borrow_mut().push_back(instance),
            false => {
                drop(instance);
                self.live.set(self.live.get().saturating_sub(1));
            }
        }
        self.drop_idle();
        self.line.wake();
    }

    /// Drops those that nobody uses and that are too many, the one first that was used longest ago.
    fn drop_idle(&self) {
        loop {
            let mut idle = self.idle.borrow_mut();
            let (all, count) = (self.live.get(), idle.len());
            if count <= IDLE.max(all.saturating_sub(count)) {
                return;
            }
            self.live.set(all.saturating_sub(1));
            let oldest = idle.pop_front();
            drop(idle);
            drop(oldest);
        }
    }
}
