//! A reload without a gap: the old workers serve until the new ones do.
//!
//! nginx's master tells the old workers to quit a tenth of a second after it has forked the new ones. But a new
//! worker serves nothing before its guests are configured, which may take seconds. So an old worker puts what the
//! master has told it aside, and goes on as before, until all workers of the newest configuration are in
//! their event loops. What it needs to know is in a page of memory that the master shares with all workers.
//!
//! Only the master's word is put aside, which comes by the channel. A signal ends a worker at once, and so does
//! the master when no newer configuration is there: it stops then.

use std::cell::{Cell, OnceCell};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ngx::ffi::{
    NGX_PROCESS_WORKER, ngx_add_timer, ngx_channel, ngx_core_conf_t, ngx_core_module, ngx_cycle,
    ngx_cycle_t, ngx_event_handler_pt, ngx_event_t, ngx_process, ngx_quit, ngx_worker,
};

use crate::nginx::log::{Level, Log};

/// nginx's own bound, `NGX_MAX_PROCESSES`.
const MAX_WORKERS: usize = 1024;

/// Between two looks at what the new workers do, in milliseconds.
const INTERVAL: usize = 10;

/// All zeroes is its first state.
#[repr(C)]
struct Shared {
    /// The number of the newest configuration that the master has taken.
    newest: AtomicU64,
    /// How many workers that has.
    workers: AtomicU32,
    /// How long old workers wait for them, in seconds.
    patience: AtomicU32,
    /// By the worker's number: the configuration that it serves.
    serves: [AtomicU64; MAX_WORKERS],
}

/// Made by the first configuration; this library is never unmapped, and neither is this.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
/// The configuration of this process.
static OWN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What nginx does with the master's words.
    static NGINX: Cell<ngx_event_handler_pt> = const { Cell::new(None) };
    static TIMER: OnceCell<*mut ngx_event_t> = const { OnceCell::new() };
    /// Until when this worker waits, since it was told to quit.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

impl Shared {
    fn get() -> Option<&'static Shared> {
        // SAFETY: null, or a mapping that stays.
        unsafe { SHARED.load(Ordering::Acquire).as_ref() }
    }

    fn get_or_map() -> Option<&'static Shared> {
        if let Some(shared) = Shared::get() {
            return Some(shared);
        }
        // SAFETY: a new mapping of zeroes, which is a valid `Shared`, on a page's boundary.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapping != libc::MAP_FAILED {
            SHARED.store(mapping.cast(), Ordering::Release);
        }
        Shared::get()
    }

    /// Are there newer workers, and do not all of them serve yet?
    fn must_wait(&self) -> bool {
        let newest = self.newest.load(Ordering::Acquire);
        let workers = self.workers.load(Ordering::Relaxed) as usize;
        let mut serves = self.serves.iter().take(workers);
        newest > OWN.load(Ordering::Relaxed)
            && !serves.all(|number| number.load(Ordering::Acquire) >= newest)
    }
}

/// The master has taken a configuration, and forks workers next. `start`: how long their guests may
/// take to start.
///
/// # Safety
/// `cycle` is the new one.
pub unsafe fn taken(cycle: *const ngx_cycle_t, start: Duration) {
    // Without it, old workers quit when nginx says so.
    let Some(shared) = Shared::get_or_map() else {
        return;
    };
    // SAFETY: nginx has just read the configuration of this cycle, and every cycle has one of the core module.
    let workers = unsafe {
        let core: *const ngx_core_conf_t = (*(*cycle).conf_ctx.add(ngx_core_module.index)).cast();
        (*core).worker_processes
    };
    // A loaded machine takes longer than the processor time says.
    let patience = start.saturating_mul(2).as_secs().max(60);
    let number = OWN.load(Ordering::Relaxed) + 1;
    OWN.store(number, Ordering::Relaxed);
    shared
        .workers
        .store(workers.try_into().unwrap_or(0), Ordering::Relaxed);
    shared
        .patience
        .store(patience.try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
    shared.newest.store(number, Ordering::Release);
}

/// A process starts; in its event loop, it will say that it serves.
///
/// # Safety
/// nginx's timers are set up, and `log` is the cycle's.
pub unsafe fn process_starts(log: Log) {
    // SAFETY: nginx's own, of this thread.
    if unsafe { ngx_process } as u32 != NGX_PROCESS_WORKER || Shared::get().is_none() {
        return;
    }
    // SAFETY: nginx sets its timers up before it calls a module for the process; the event stays where it is for as long as the process lives. Its timer does
    // not keep a worker that exits.
    unsafe {
        let event: *mut ngx_event_t = Box::leak(Box::new(std::mem::zeroed()));
        (*event).data = event.cast();
        (*event).log = log.as_ptr();
        (*event).handler = Some(on_first_turn);
        (*event).set_cancelable(1);
        TIMER.with(|timer| timer.set(event)).ok();
        ngx_add_timer(event, 0);
    }
}

/// The first turn of the event loop: from here on, this worker takes requests.
unsafe extern "C" fn on_first_turn(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        let Some(shared) = Shared::get() else { return };
        // SAFETY: nginx's own, of this thread; the event is the one of `process_starts`.
        unsafe {
            if let Some(serves) = shared.serves.get(ngx_worker) {
                serves.fetch_max(OWN.load(Ordering::Relaxed), Ordering::AcqRel);
            }
            (*event).handler = Some(on_timer);
            watch_channel();
            // It may have been said in this very turn.
            if quits() {
                put_aside(shared);
            }
        }
    });
}

/// Puts a handler before nginx's own for the channel from the master.
///
/// # Safety
/// This is a worker whose event loop runs.
unsafe fn watch_channel() {
    // SAFETY: a worker has its connections for as long as its event loop runs, and nginx adds that of the channel before its first turn.
    unsafe {
        let cycle = &*ngx_cycle.cast_const();
        for index in 0..cycle.connection_n {
            let connection = &*cycle.connections.add(index);
            let Some(read) = connection.read.as_mut() else {
                continue;
            };
            if connection.fd == ngx_channel && read.channel() != 0 {
                NGINX.set(read.handler.replace(on_channel));
                return;
            }
        }
    }
}

unsafe extern "C" fn on_channel(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        let before = quits();
        if let Some(handler) = NGINX.get() {
            // SAFETY: nginx calls this for the event whose handler that was.
            unsafe { handler(event) };
        }
        if let Some(shared) = Shared::get()
            && !before
            && quits()
        {
            put_aside(shared);
        }
    });
}

/// Has this worker been told to quit?
fn quits() -> bool {
    // SAFETY: nginx's own; a signal handler may write it.
    unsafe { (&raw const ngx_quit).read_volatile() != 0 }
}

fn set_quit(quit: bool) {
    // SAFETY: a number of nginx's own, which a signal handler may write too; nginx looks at it at the end of this turn.
    unsafe { (&raw mut ngx_quit).write_volatile(quit.into()) };
}

/// The master has told this worker to quit.
fn put_aside(shared: &Shared) {
    let Some(event) = TIMER.with(|timer| timer.get().copied()) else {
        return;
    };
    if !shared.must_wait() {
        return;
    }
    set_quit(false);
    if DEADLINE.get().is_some() {
        return;
    }
    let patience = shared.patience.load(Ordering::Relaxed);
    DEADLINE.set(Instant::now().checked_add(Duration::from_secs(patience.into())));
    // SAFETY: the event is that of `process_starts`, and its timer has expired.
    unsafe {
        Log::new((*event).log).write(
            Level::Notice,
            format_args!("[wasm] serving until the new workers are ready"),
        );
        ngx_add_timer(event, INTERVAL);
    }
}

/// Looks whether the new workers are ready.
unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        let waits = Shared::get().is_some_and(Shared::must_wait);
        let late = DEADLINE.get().is_none_or(|at| Instant::now() >= at);
        // SAFETY: the event is that of `process_starts`, and its timer has expired.
        unsafe {
            match (waits, late) {
                (true, false) => ngx_add_timer(event, INTERVAL),
                (true, true) => {
                    Log::new((*event).log).write(
                        Level::Warn,
                        format_args!("[wasm] the new workers are not ready; this one quits"),
                    );
                    set_quit(true);
                }
                (false, _) => set_quit(true),
            }
        }
    });
}
