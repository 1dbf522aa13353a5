//! The process that Lua's code runs in.

use std::rc::Rc;

use ngx::ffi::{NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_cycle, ngx_process};

use crate::nginx::log::Log;
use crate::shm::Shared;
use crate::worker::process::{Main, ProcessKind, serve};

/// Where Lua's code is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a process that serves requests, or is about to.
    Worker,
    /// In one that reads the configuration, or serves none: guests are tried, and thrown away.
    Elsewhere,
}

impl Place {
    /// `init`: in `init_by_lua`, where one process may be both.
    pub fn new(init: bool) -> Place {
        // SAFETY: nginx's own, of this thread.
        let kind = unsafe { ngx_process } as u32;
        match !init && matches!(kind, NGX_PROCESS_SINGLE | NGX_PROCESS_WORKER) {
            true => Place::Worker,
            false => Place::Elsewhere,
        }
    }

    pub fn kind(self) -> ProcessKind {
        match self {
            Place::Worker => ProcessKind::Worker,
            Place::Elsewhere => ProcessKind::Check,
        }
    }

    /// What the instances here share; in a worker, it begins to serve. `None`: there is no memory for it, or the log says
    /// why there are no guests.
    pub fn shared(self, main: &Main) -> Option<Rc<Shared>> {
        match self {
            Place::Worker => {
                // SAFETY: the process serves requests under this cycle.
                unsafe { serve(main, (*ngx_cycle).log)? };
                main.process.shared()
            }
            Place::Elsewhere => main.conf.zones.private().map(Rc::new),
        }
    }
}

/// That of the cycle which the process runs under, or is making; `None`: it has no `http` block.
pub fn main<'a>() -> Option<&'a Main> {
    // SAFETY: Lua's module sets the cycle that its code belongs to; the result is not kept beyond that.
    unsafe { Main::of_cycle(ngx_cycle.cast_const()) }
}

/// The log for what belongs to no request.
pub fn log() -> Log {
    Log::of_cycle()
}
