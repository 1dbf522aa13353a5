//! Idle connections to targets that are no `upstream` blocks, for which nginx keeps none.

use std::cell::RefCell;

use ngx::ffi::{
    ngx_add_timer, ngx_connection_t, ngx_del_timer, ngx_event_t, ngx_exiting,
    ngx_handle_read_event, ngx_terminate,
};

use crate::net::close::{close, has_news};
use crate::net::tls;
use crate::net::tls::Tls;
use crate::nginx::OK;

/// Idle connections of a worker.
const MAX: usize = 16;
/// Milliseconds for which one is kept, as by nginx's `keepalive_timeout` in an upstream.
const TIMEOUT: usize = 60_000;
/// Requests that one serves, as by nginx's `keepalive_requests` in an upstream.
const REQUESTS: usize = 1000;

struct Idle {
    target: String,
    raw: *mut ngx_connection_t,
}

thread_local! {
    // Oldest first. Emptied when the process exits, since nginx's structures go before this does.
    static POOL: RefCell<Vec<Idle>> = const { RefCell::new(Vec::new()) };
}

/// An idle connection to the target that serves the want; the newest one.
pub fn take(
    target: &str,
    context: Option<&tls::SslContext>,
    tls: Option<&Tls>,
) -> Option<*mut ngx_connection_t> {
    loop {
        let raw = POOL.with_borrow_mut(|pool| {
            // SAFETY: connections in the pool are open, and have pools of their own.
            let found = pool.iter().rposition(|idle| unsafe {
                idle.target == target && tls::serves(idle.raw, context, tls)
            })?;
            Some(pool.remove(found).raw)
        })?;
        // SAFETY: it is open, and nobody else has it now.
        unsafe {
            (*raw).set_idle(0);
            if (*(*raw).read).timer_set() != 0 {
                ngx_del_timer((*raw).read);
            }
            if !has_news(raw) {
                return Some(raw);
            }
            close(raw);
        }
    }
}

/// Keeps a connection, or closes it.
///
/// # Safety
/// `raw` is open, has a pool of its own, and nobody else uses it.
pub unsafe fn put(target: String, raw: *mut ngx_connection_t) {
    // SAFETY: `raw` is open, has a pool of its own, and nobody else uses it; a connection in the pool has a
    // handler that takes it out.
    unsafe {
        if ngx_exiting != 0 || ngx_terminate != 0 || (*raw).requests >= REQUESTS || has_news(raw) {
            return close(raw);
        }
        (*raw).set_idle(1);
        (*(*raw).read).handler = Some(on_event);
        (*(*raw).read).set_ready(0);
        (*(*raw).write).handler = Some(ignore);
        if ngx_handle_read_event((*raw).read, 0) != OK {
            return close(raw);
        }
        ngx_add_timer((*raw).read, TIMEOUT);
    }
    POOL.with_borrow_mut(|pool| pool.push(Idle { target, raw }));
    shrink(MAX);
}

/// Keeps the newest connections, so many at most.
pub fn shrink(most: usize) {
    loop {
        let oldest = POOL.with_borrow_mut(|pool| (pool.len() > most).then(|| pool.remove(0)));
        match oldest {
            // SAFETY: it is open, and nobody else has it now.
            Some(oldest) => unsafe { close(oldest.raw) },
            None => return,
        }
    }
}

/// Closes all of them: the process exits.
pub fn shutdown() {
    for idle in POOL.take() {
        // SAFETY: it is open, and nobody else has it now.
        unsafe { close(idle.raw) };
    }
}

/// The server has closed an idle connection, or sent something, or its time is over, or nginx
/// closes all idle ones because the worker is to exit.
unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: nginx passes the event of a connection that is in the pool.
        unsafe {
            let raw: *mut ngx_connection_t = (*event).data.cast();
            if (*raw).close() == 0 && (*event).timedout() == 0 && !has_news(raw) {
                (*event).set_ready(0);
                if ngx_handle_read_event(event, 0) == OK {
                    return;
                }
            }
            POOL.with_borrow_mut(|pool| pool.retain(|idle| idle.raw != raw));
            close(raw);
        }
    });
}

unsafe extern "C" fn ignore(_event: *mut ngx_event_t) {}
