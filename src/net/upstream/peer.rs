//! A server of an `upstream` block, chosen by nginx's balancers.

use std::time::{Duration, Instant};

use ngx::ffi::{
    NGX_PEER_FAILED, ngx_connection_t, ngx_create_pool, ngx_cycle, ngx_destroy_pool,
    ngx_http_upstream_t, ngx_pool_t,
};

use crate::net::address::Address;
use crate::net::error::Error;
use crate::net::origin::Origin;
use crate::net::target::Upstream;
use crate::net::upstream::request_copy;
use crate::nginx::OK;

const NGX_BUSY: isize = -3;
const NGX_DONE: isize = crate::nginx::DONE;

/// The choice of a server for one call: what `ngx_http_upstream_t.peer` is for nginx.
pub struct Peer {
    /// Holds the rest; destroyed at last.
    pool: *mut ngx_pool_t,
    upstream: *mut ngx_http_upstream_t,
    /// The block's name, for messages.
    name: String,
    /// Whose request the balancer has a copy of.
    origin: Origin,
    /// Is a server chosen, and not given back yet?
    chosen: bool,
    /// A server that is dropped from then on has been too slow.
    deadline: Option<Instant>,
}

/// A server that a balancer has chosen.
pub struct Choice {
    pub address: Address,
    /// An idle connection to it, out of nginx's keep-alive; now the caller's.
    pub idle: Option<*mut ngx_connection_t>,
}

impl Peer {
    /// Begins to choose; the block's balancer may look at the request that the call belongs to.
    pub fn new(
        origin: &Origin,
        upstream: &Upstream,
        deadline: Option<Instant>,
    ) -> Result<Peer, Error> {
        let no_memory = || Error::Internal {
            reason: "out of memory".into(),
        };
        // SAFETY: the block is part of the configuration that the call runs under, and so are the
        // origin's; all that the balancer gets lives in the pool.
        unsafe {
            let pool = ngx_create_pool(1024, (*ngx_cycle).log);
            if pool.is_null() {
                return Err(no_memory());
            }
            let mut peer = Peer {
                pool,
                upstream: std::ptr::null_mut(),
                name: upstream.name.clone(),
                origin: origin.clone(),
                chosen: false,
                deadline,
            };
            let request = request_copy::request(pool, origin, upstream.conf.as_ptr());
            let request = request.ok_or_else(no_memory)?;
            peer.upstream = (*request).upstream;
            let init = (*upstream.conf.as_ptr()).peer.init;
            if init.is_none_or(|init| init(request, upstream.conf.as_ptr()) != OK) {
                return Err(Error::Internal {
                    reason: format!("upstream \"{}\" could not be initialized", peer.name),
                });
            }
            (*peer.upstream).peer.start_time = ngx::ffi::ngx_current_msec;
            Ok(peer)
        }
    }

    /// The block's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Chooses a server, or the next one after [`free`](Peer::free).
    pub fn choose(&mut self) -> Result<Choice, Error> {
        // The copy shares headers and variables with it.
        if self.origin.is_orphaned() {
            return Err(Error::Internal {
                reason: "the request has ended".into(),
            });
        }
        // SAFETY: `new` has had the balancer set its functions; what they may look at is there, as was
        // just asked; address and name are valid until the server is given back.
        unsafe {
            let peer = &raw mut (*self.upstream).peer;
            let result = match (*peer).get {
                Some(get) => get(peer, (*peer).data),
                None => return Err(self.broken()),
            };
            if result != OK && result != NGX_DONE {
                return Err(match result {
                    NGX_BUSY => Error::NoLiveUpstream {
                        name: self.name.clone(),
                    },
                    _ => self.broken(),
                });
            }
            self.chosen = true;
            let idle = std::mem::replace(&mut (*peer).connection, std::ptr::null_mut());
            let idle = (result == NGX_DONE && !idle.is_null()).then_some(idle);
            let text = match (*peer).name.as_ref() {
                Some(name) => name.to_string(),
                None => self.name.clone(),
            };
            match Address::copy((*peer).sockaddr, (*peer).socklen, text) {
                Some(address) => Ok(Choice { address, idle }),
                None => {
                    if let Some(idle) = idle {
                        crate::net::close::close(idle);
                    }
                    Err(self.broken())
                }
            }
        }
    }

    fn broken(&self) -> Error {
        Error::Internal {
            reason: format!("the balancer of upstream \"{}\" failed", self.name),
        }
    }

    /// Gives the server back: it failed, or it did not. May another one be chosen?
    pub fn free(&mut self, failed: bool) -> bool {
        if !std::mem::replace(&mut self.chosen, false) {
            return false;
        }
        let state = if failed { NGX_PEER_FAILED as usize } else { 0 };
        // SAFETY: `choose` has chosen a server that was not given back yet.
        unsafe {
            let peer = &raw mut (*self.upstream).peer;
            if let Some(free) = (*peer).free {
                free(peer, (*peer).data, state);
            }
            (*peer).sockaddr = std::ptr::null_mut();
            (*peer).tries > 0
        }
    }

    /// Gives the server back together with a connection to it, for nginx's keep-alive. Answers
    /// the connection when that does not want it.
    ///
    /// # Safety
    /// `raw` is open, has a pool, and nobody else uses it.
    pub unsafe fn keep(mut self, raw: *mut ngx_connection_t) -> Option<*mut ngx_connection_t> {
        // SAFETY: `raw` is open, has a pool, and nobody else uses it.
        unsafe {
            (*self.upstream).set_keepalive(1);
            (*self.upstream).set_request_body_sent(1);
            (*self.upstream).peer.connection = raw;
            self.free(false);
            let left = (*self.upstream).peer.connection;
            (!left.is_null()).then_some(left)
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A timer of nginx's may be early by the part of a millisecond.
        let now = Instant::now() + Duration::from_millis(2);
        self.free(self.deadline.is_some_and(|deadline| deadline <= now));
        // SAFETY: the pool is this value's own.
        unsafe { ngx_destroy_pool(self.pool) };
    }
}
