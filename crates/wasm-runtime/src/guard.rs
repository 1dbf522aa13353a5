//! Holds the limits of one instance.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Error, Result, Store, StoreContextMut, Trap, UpdateDeadline};

use crate::engine::Engine;
use crate::limits::{Limits, Size};
use crate::ticker::{Clock, cpu_time};
use crate::trap::trap_reason;

/// Holds the limits of one instance; it stands in the data of the instance's store.
#[derive(Clone)]
pub struct Guard {
    limits: Limits,
    clock: Arc<Clock>,
    /// Processor time of the thread at the first look at it in the call that is running, since it has last waited.
    since: Option<Duration>,
    /// Processor time that the call that is running has used until it has last waited.
    used: Duration,
    /// How long a call may take, waiting and all, and when the one that is running has.
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// Processor time that the calls of the start have taken, while there are such calls.
    starting: Option<Duration>,
    /// The same when there are none.
    started: Duration,
    /// The end of the call that is running is to be looked at.
    notes_end: bool,
    /// Bytes of all memories, and how many of them are being asked for just now.
    memory: usize,
    growing: usize,
    /// Bytes that the memories may still grow by, where that has a bound of its own.
    growth: Option<usize>,
    /// Elements of all tables.
    table: usize,
    /// What the call that is running asked for beyond a limit.
    refused: Option<Refused>,
}

/// What was asked for beyond a limit.
#[derive(Clone, Copy)]
enum Refused {
    /// Bytes of memory.
    Memory(usize),
    /// Elements of the tables.
    Table(usize),
}

/// A guest has used up its time: the name and the value of the limit.
#[derive(Debug, thiserror::Error)]
#[error("over {0}={time}", time = Time(*.1))]
pub struct OutOfTime(&'static str, Duration);

impl OutOfTime {
    pub(crate) fn cpu_time(limit: Duration) -> OutOfTime {
        OutOfTime("cpu_time", limit)
    }

    /// It is the time of [`Guard::set_timeout`].
    pub fn is_timeout(&self) -> bool {
        self.0 == TIMEOUT
    }
}

/// The name of a time that is over.
const TIMEOUT: &str = "timeout";

/// Memories have grown by all of what [`Guard::set_growth`] allows.
#[derive(Debug, thiserror::Error)]
#[error("oom")]
pub struct OutOfMemory;

/// Around each piece of a call that waits in between.
pub struct Entrance(Arc<Clock>);

impl Entrance {
    /// Runs a piece of the call.
    #[inline]
    pub fn run<R>(&self, piece: impl FnOnce() -> R) -> R {
        let outer = self.0.enter();
        let result = piece();
        self.0.leave(outer);
        result
    }
}

/// A time as nginx writes it.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Guard {
    pub fn new(engine: &Engine, limits: Limits) -> Guard {
        Guard::with_clock(engine.clock().clone(), limits)
    }

    pub(crate) fn with_clock(clock: Arc<Clock>, limits: Limits) -> Guard {
        Guard {
            limits,
            clock,
            since: None,
            used: Duration::ZERO,
            timeout: None,
            deadline: None,
            starting: None,
            started: Duration::ZERO,
            notes_end: false,
            memory: 0,
            growing: 0,
            growth: None,
            table: 0,
            refused: None,
        }
    }

    /// Has a store's instance held to its limits. `guard` finds this in the store's data.
    pub fn attach<T: 'static>(store: &mut Store<T>, guard: fn(&mut T) -> &mut Guard) {
        store.limiter(move |data| guard(data));
        store.epoch_deadline_callback(move |mut store: StoreContextMut<'_, T>| {
            guard(store.data_mut()).tick()
        });
    }

    /// Makes a call into a store's guest, with its time limit.
    #[inline]
    pub fn call<T: 'static, R>(
        store: &mut Store<T>,
        guard: fn(&mut T) -> &mut Guard,
        call: impl FnOnce(&mut Store<T>) -> R,
    ) -> R {
        Guard::begin(store, guard);
        let outer = guard(store.data_mut()).clock.enter();
        let result = call(store);
        guard(store.data_mut()).clock.leave(outer);
        result
    }

    /// Begins a call that may wait: each piece of it is to be run by the result. Where it waits, [`Guard::pause`] and
    /// [`Guard::resume`] are to be called.
    pub fn enter<T: 'static>(store: &mut Store<T>, guard: fn(&mut T) -> &mut Guard) -> Entrance {
        Guard::begin(store, guard);
        Entrance(guard(store.data_mut()).clock.clone())
    }

    #[inline]
    fn begin<T: 'static>(store: &mut Store<T>, guard: fn(&mut T) -> &mut Guard) {
        // The next tick is the first that is looked at.
        store.set_epoch_deadline(1);
        let this = guard(store.data_mut());
        this.since = None;
        this.used = Duration::ZERO;
        this.refused = None;
        this.deadline = match this.starting {
            None => this.timeout.map(|timeout| Instant::now() + timeout),
            Some(_) => None,
        };
    }

    /// The call that is running waits: what the thread does meanwhile does not count.
    pub fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            self.used += cpu_time().saturating_sub(since);
        }
    }

    /// It goes on.
    pub fn resume(&mut self) {
        self.since = Some(cpu_time());
    }

    /// The time that each call may take, waiting and all, but not those of the start; `None`: any.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// What is left of it; `None`: no end.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Bytes that all memories together may grow by from now on; `None`: only [`Limits::memory`] counts. To ask for more ends
    /// the call with [`OutOfMemory`].
    pub fn set_growth(&mut self, growth: Option<usize>) {
        self.growth = growth;
    }

    /// Bytes that all memories have.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Bytes that all memories have, where they have got them otherwise than by growing: from a snapshot.
    pub fn set_memory(&mut self, bytes: usize) {
        self.memory = bytes;
    }

    /// Has a call that has ended to be followed by [`Guard::ended`]?
    #[inline]
    pub fn notes_end(&self) -> bool {
        self.notes_end
    }

    /// The call that is running is to be followed by [`Guard::ended`], for the caller's own sake.
    pub fn note_end(&mut self) {
        self.notes_end = true;
    }

    /// The calls from now on are of the instance's start, or are not.
    pub fn set_starting(&mut self, starting: bool) {
        if let Some(used) = self.starting.take() {
            self.started = used;
        }
        self.starting = starting.then_some(self.started);
        self.notes_end = starting;
    }

    /// A call has ended. One of the start that no tick has seen took next to no time.
    #[cold]
    pub fn ended(&mut self) {
        self.notes_end = self.starting.is_some();
        let Some(used) = &mut self.starting else {
            return;
        };
        *used += self.used;
        if let Some(since) = self.since {
            *used += cpu_time().saturating_sub(since);
        }
    }

    /// Which limit the last call failed for, or may have: a guest that is not given what it asks for
    /// often gives up.
    fn limit(&self, error: &Error) -> Option<String> {
        if let Some(Trap::StackOverflow) = error.downcast_ref() {
            return Some(format!("stack={}", Size(self.limits.stack)));
        }
        Some(match self.refused? {
            Refused::Memory(bytes) => format!(
                "asked for {} of memory, memory={}",
                Size(bytes),
                Size(self.limits.memory)
            ),
            Refused::Table(elements) => format!(
                "asked for {elements} table elements, table={}",
                self.limits.table
            ),
        })
    }

    /// Why the last call failed, as one line: the trap, the guest's frames, and the limit if it was one.
    pub fn reason(&self, error: &Error) -> String {
        let line = trap_reason(error);
        match self.limit(error) {
            Some(limit) => format!("{line} ({limit})"),
            None => line,
        }
    }

    /// The guest has run into the next tick.
    fn tick(&mut self) -> Result<UpdateDeadline> {
        self.check().map(|()| UpdateDeadline::Continue(1))
    }

    /// Looks at the clock, for a host function that takes long. The error is to be returned from it, and ends the call as
    /// a tick would.
    pub fn check(&mut self) -> Result<()> {
        // What counts is time on the processor: the machine may have others to serve.
        let now = cpu_time();
        let since = *self.since.get_or_insert(now);
        let (used, name, limit) = match self.starting {
            Some(used) => (used, "start_time", self.limits.start_time),
            None => (Duration::ZERO, "cpu_time", self.limits.cpu_time),
        };
        if now.saturating_sub(since) + self.used + used >= limit {
            return Err(OutOfTime(name, limit).into());
        }
        match (self.deadline, self.timeout) {
            (Some(deadline), Some(timeout)) if Instant::now() >= deadline => {
                Err(OutOfTime(TIMEOUT, timeout).into())
            }
            _ => Ok(()),
        }
    }
}

impl wasmtime::ResourceLimiter for Guard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let by = desired.saturating_sub(current);
        let all = self.memory.saturating_add(by);
        if all > self.limits.memory {
            self.refused = Some(Refused::Memory(all));
            return Ok(false);
        }
        // It fails in any case.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if let Some(left) = &mut self.growth {
            *left = left.checked_sub(by).ok_or(OutOfMemory)?;
        }
        self.memory = all;
        self.growing = by;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        let by = std::mem::take(&mut self.growing);
        self.memory = self.memory.saturating_sub(by);
        self.growth = self.growth.map(|left| left.saturating_add(by));
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let all = self.table.saturating_add(desired.saturating_sub(current));
        let allowed = all <= self.limits.table;
        match allowed {
            true => self.table = all,
            false => self.refused = Some(Refused::Table(all)),
        }
        Ok(allowed)
    }
}
