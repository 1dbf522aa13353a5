//! The instances of a guest with its configuration: one has one request at a time, so there are as many as there are requests
//! at once, up to `instances=`. Requests for which there is none wait in line.

use crate::filter::http_wasm::maker::{Instance, Maker};
use crate::net::line::Line;
use crate::worker::attempts::Attempts;
use crate::worker::stock::Stock;

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
    queue: usize,
    stock: Stock<Instance>,
    line: Line,
}

impl Instances {
    pub fn new(maker: Maker, attempts: Attempts, most: u32, queue: u32) -> Instances {
        Instances {
            maker,
            attempts,
            queue: queue as usize,
            stock: Stock::new(most),
            line: Line::default(),
        }
    }

    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// Is there one without waiting?
    pub fn is_free(&self) -> bool {
        self.line.is_empty() && (self.stock.has_room() || self.stock.has_idle())
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
        match self.stock.take() {
            Some(instance) => Some(Ok(instance)),
            None => self.make(),
        }
    }

    fn make(&self) -> Option<Result<Instance, NoInstance>> {
        if !self.stock.has_room() {
            return None;
        }
        if self.attempts.waits() {
            // Those that there are serve one after the other.
            return self.stock.is_empty().then_some(Err(NoInstance::NotStarted));
        }
        let log = self.maker.log();
        Some(match self.maker.make() {
            Ok(instance) => {
                self.stock.made();
                self.attempts.succeeded(log);
                Ok(instance)
            }
            Err(error) => {
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
            true => self.stock.put_back(instance),
            false => {
                drop(instance);
                self.stock.lost();
            }
        }
        self.line.wake();
    }
}
