//! On whose behalf a connection is made.

use std::ffi::c_void;
use std::fmt::Arguments;
use std::ptr::NonNull;
use std::rc::{Rc, Weak};
use std::time::Duration;

use ngx::ffi::{
    ngx_cycle, ngx_exiting, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_resolver_t,
};

use crate::net::settings::Settings;
use crate::net::slots::ModuleSlots;
use crate::nginx::conf::Cf;
use crate::nginx::core_module;
use crate::nginx::log::{Level, Log};
use crate::nginx::log_rate::LogRate;
use crate::nginx::request::Request;

/// The configurations of all modules, by their numbers.
type Confs = *mut *mut c_void;

/// The `http` block itself, for calls that belong to no request; valid as long as its
/// configuration.
#[derive(Clone)]
pub struct Top {
    confs: ngx_http_conf_ctx_t,
    conf: Rc<Settings>,
}

impl Top {
    /// In the postconfiguration step.
    pub fn new(cf: Cf<'_>, conf: Rc<Settings>) -> Top {
        Top {
            // SAFETY: the context in that step is the `http` block's.
            confs: unsafe { *(*cf.as_ptr()).ctx.cast_const().cast() },
            conf,
        }
    }
}

/// The module whose guests call, in this process.
pub struct Caller {
    /// How many lines they may write.
    pub rate: Rc<LogRate>,
    /// How many connections they may have.
    pub slots: Rc<ModuleSlots>,
}

/// Who knows whether a request is still there.
pub trait Owner {
    /// The request, until it ends.
    fn request(&self) -> Option<Request>;
}

/// The configuration that a call is made under, and the request that it belongs to, if any.
///
/// It may outlive the request, which is asked for anew each time, but not the configuration.
#[derive(Clone)]
pub struct Origin {
    pub conf: Rc<Settings>,
    /// Where lines go that belong to no request.
    fallback: Log,
    owner: Option<Weak<dyn Owner>>,
    /// Whose guest calls.
    pub caller: Rc<Caller>,
    pub confs: ngx_http_conf_ctx_t,
}

impl Origin {
    /// For a call of a context of the request, whose owner this is, under the settings of its location.
    pub fn of_request(
        request: Request,
        conf: Rc<Settings>,
        owner: Weak<dyn Owner>,
        caller: Rc<Caller>,
    ) -> Origin {
        let raw = request.as_ptr();
        Origin {
            conf,
            // SAFETY: the cycle's log lives as long as its configuration.
            fallback: unsafe { Log::new((*ngx_cycle).log) },
            owner: Some(owner),
            caller,
            // SAFETY: a live request has all three.
            confs: unsafe {
                ngx_http_conf_ctx_t {
                    main_conf: (*raw).main_conf,
                    srv_conf: (*raw).srv_conf,
                    loc_conf: (*raw).loc_conf,
                }
            },
        }
    }

    /// For a call of a root context. `log` must live as long as the call.
    pub fn of_root(top: &Top, log: Log, caller: Rc<Caller>) -> Origin {
        Origin {
            conf: top.conf.clone(),
            fallback: log,
            owner: None,
            caller,
            confs: top.confs,
        }
    }

    /// The same configuration without the request, which the call may outlive.
    pub fn detached(&self) -> Origin {
        Origin {
            owner: None,
            ..self.clone()
        }
    }

    /// The same for another module's guest, which this one's has asked for something.
    pub fn on_behalf_of(&self, caller: Rc<Caller>) -> Origin {
        Origin {
            caller,
            ..self.clone()
        }
    }

    /// Writes a line about a call, which its guest may cause as often as it likes: it counts as one of the guest's.
    pub fn write_line(&self, level: Level, line: Arguments<'_>) {
        let log = self.log();
        if log.enabled(level) && self.caller.rate.allows_line() {
            log.write(level, line);
        }
    }

    /// The request, as long as it is there.
    pub fn request(&self) -> Option<Request> {
        self.owner.as_ref()?.upgrade()?.request()
    }

    /// Was there a request that has ended?
    pub fn is_orphaned(&self) -> bool {
        self.owner.is_some() && self.request().is_none()
    }

    /// The request's log while it is there.
    pub fn log(&self) -> Log {
        self.request().map_or(self.fallback, Request::log)
    }

    /// Is the request ending because its client has left, or cannot be reached?
    pub fn client_has_left(&self) -> bool {
        self.request().is_some_and(|request| {
            let connection = request.connection();
            // SAFETY: its owner says that the request is there, and with it its connection.
            unsafe { (*connection).error() != 0 || (*connection).timedout() != 0 }
        })
    }

    /// Does a worker that is to exit wait for a call that is made now? Not for what root contexts begin
    /// only then: ticks with a call each would keep it for ever.
    pub fn keeps_worker(&self) -> bool {
        // SAFETY: nginx's own, of this thread.
        self.owner.is_some() || unsafe { ngx_exiting } == 0
    }

    /// All modules' main configurations.
    pub fn main_conf(&self) -> Option<Confs> {
        (!self.confs.main_conf.is_null()).then_some(self.confs.main_conf)
    }

    /// The location's resolver, which may have no servers, and its time limit.
    pub fn resolver(&self) -> Option<(NonNull<ngx_resolver_t>, Duration)> {
        // SAFETY: nginx's core module has a configuration in every location.
        unsafe {
            let index = core_module().ctx_index;
            let core: *const ngx_http_core_loc_conf_t =
                (*self.confs.loc_conf.add(index)).cast_const().cast();
            let timeout = match (*core).resolver_timeout {
                // nginx fills in its default only where a server merges it.
                usize::MAX => Duration::from_secs(30),
                timeout => Duration::from_millis(timeout as u64),
            };
            Some((NonNull::new((*core).resolver)?, timeout))
        }
    }
}
