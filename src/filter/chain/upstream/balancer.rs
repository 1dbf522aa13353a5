//! A balancer in front of nginx's own: it takes the server that a filter has chosen.
//!
//! nginx asks an upstream's balancer to begin with a request (`peer.init`), which sets what is asked for a
//! server, and told what became of it (`ngx_peer_connection_t`). Here, the upstream's balancer begins twice: once
//! as ever, and once with a copy of the upstream's configuration whose list has one place. The server that was
//! chosen is put there when one is asked for. So balancing methods, counts of connections, `max_fails`, and
//! above all kept connections, which are the business of other balancers around the list, are all as ever. When
//! that server has failed, or may not be used, the balancer that began as ever goes on, without it.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;

use ngx::ffi::{
    ngx_event_free_peer_pt, ngx_event_get_peer_pt, ngx_event_notify_peer_pt, ngx_http_request_t,
    ngx_http_upstream_init_peer_pt, ngx_http_upstream_rr_peers_t, ngx_http_upstream_srv_conf_t,
    ngx_int_t, ngx_peer_connection_t, ngx_str_t, ngx_uint_t,
};

use crate::filter::chain::chains::Chains;
use crate::filter::chain::context;
use crate::nginx::conf::Cf;
use crate::nginx::log::{Level, Log};
use crate::nginx::peers::List;
use crate::nginx::request::Request;
use crate::nginx::{DONE, ERROR, OK, peers, pool};

/// The upstreams whose servers filters may choose from: by address of their configuration, how nginx's own
/// balancer begins.
#[derive(Default)]
pub struct Balancers(HashMap<usize, ngx_http_upstream_init_peer_pt>);

impl Balancers {
    /// Puts this balancer in front of those of all upstreams.
    /// In the postconfiguration step.
    pub fn install(cf: Cf<'_>) -> Balancers {
        // SAFETY: in this step all upstreams are there, with the balancers that they have chosen.
        unsafe {
            let blocks = peers::upstreams(cf).iter().copied();
            let known = blocks.filter(|&block| !block.is_null() && peers::are_nginxs(block));
            Balancers(
                known
                    .map(|block| {
                        let own = (*block).peer.init.replace(init);
                        (block.addr(), own)
                    })
                    .collect(),
            )
        }
    }

    /// Does nginx keep the servers of this upstream in its own way?
    pub fn know(&self, block: *const ngx_http_upstream_srv_conf_t) -> bool {
        self.0.contains_key(&block.addr())
    }
}

/// A balancer that has begun with a request.
struct Begun {
    get: ngx_event_get_peer_pt,
    free: ngx_event_free_peer_pt,
    notify: ngx_event_notify_peer_pt,
    #[cfg(ngx_feature = "ssl")]
    set_session: ngx::ffi::ngx_event_set_peer_session_pt,
    #[cfg(ngx_feature = "ssl")]
    save_session: ngx::ffi::ngx_event_save_peer_session_pt,
    data: *mut c_void,
    tries: ngx_uint_t,
}

/// Which server is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The chosen one, and none was asked for before.
    First,
    /// The chosen one is in use.
    Chosen,
    /// One of the others; the chosen one has failed.
    Others,
    /// Any: the chosen one may not be used, or was passed over.
    Any,
}

/// What stands in front of a request's balancer; in the request's pool.
struct Choice {
    turn: Turn,
    /// The server's address.
    address: ngx_str_t,
    block: *mut ngx_http_upstream_srv_conf_t,
    any: Begun,
    chosen: Begun,
    /// The configuration that `chosen` has begun with, and its list.
    alone: ngx_http_upstream_srv_conf_t,
    list: ngx_http_upstream_rr_peers_t,
    /// Where the server stands that is in use.
    from: Option<List>,
}

impl Begun {
    /// What a balancer has set.
    fn take(peer: &mut ngx_peer_connection_t) -> Begun {
        Begun {
            get: peer.get,
            free: peer.free,
            notify: peer.notify,
            #[cfg(ngx_feature = "ssl")]
            set_session: peer.set_session,
            #[cfg(ngx_feature = "ssl")]
            save_session: peer.save_session,
            data: std::mem::replace(&mut peer.data, ptr::null_mut()),
            tries: peer.tries,
        }
    }

    /// # Safety
    /// The balancer has set all of `peer`, and the request is still there.
    unsafe fn get(&self, peer: *mut ngx_peer_connection_t) -> ngx_int_t {
        match self.get {
            // SAFETY: the function and its data are those that the balancer has set for this request.
            Some(get) => unsafe { get(peer, self.data) },
            None => ERROR,
        }
    }

    /// # Safety
    /// As for `get`, which has given a server.
    unsafe fn free(&self, peer: *mut ngx_peer_connection_t, state: ngx_uint_t) {
        if let Some(free) = self.free {
            // SAFETY: the function and its data are those that the balancer has set for this request.
            unsafe { free(peer, self.data, state) };
        }
    }
}

/// The upstream's balancer is to begin with a request.
unsafe extern "C" fn init(
    r: *mut ngx_http_request_t,
    block: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    crate::nginx::guard::guard(ERROR, || {
        // SAFETY: nginx passes a request with an upstream, and one of the blocks of `install`.
        unsafe {
            let Some(request) = Request::new(r) else {
                return ERROR;
            };
            let own = Chains::of(request).and_then(|chains| chains.balancers.0.get(&block.addr()));
            let Some(own) = own.copied().flatten() else {
                return ERROR;
            };
            if own(r, block) != OK {
                return ERROR;
            }
            match chosen(request) {
                Some(address) => choose(request, block, own, &address),
                None => OK,
            }
        }
    })
}

/// The server that a filter of this request has chosen.
fn chosen(request: Request) -> Option<Box<[u8]>> {
    let context = context::store::find(request)?;
    // The request may be a copy, made for a call of a guest's (`net/upstream/request_copy.rs`).
    let is_own = context.request() == Some(request);
    is_own.then(|| context.route.chosen.get()).flatten()
}

/// Puts a server that was chosen in front of the balancer, which has begun.
///
/// # Safety
/// As for [`init`], `own` being that of the block.
unsafe fn choose(
    request: Request,
    block: *mut ngx_http_upstream_srv_conf_t,
    own: unsafe extern "C" fn(
        *mut ngx_http_request_t,
        *mut ngx_http_upstream_srv_conf_t,
    ) -> ngx_int_t,
    address: &[u8],
) -> ngx_int_t {
    // SAFETY: nginx has begun the request's upstream; the choice is in the request's pool, with all that it has.
    unsafe {
        let Some(first) = peers::lists(block).next() else {
            return OK;
        };
        if first.is_single() {
            return OK;
        }
        let choice: *mut Choice = pool::zeroed(request.pool());
        let address = pool::copy(request.pool(), address);
        let (Some(address), false) = (address, choice.is_null()) else {
            return ERROR;
        };
        let upstream = (*request.as_ptr()).upstream;
        let any = Begun::take(&mut (*upstream).peer);
        choice.write(Choice {
            turn: Turn::First,
            address,
            block,
            alone: *block,
            list: first.of_one(),
            from: None,
            chosen: none(),
            any,
        });
        (*choice).alone.peer.data = (&raw mut (*choice).list).cast();
        if own(request.as_ptr(), &raw mut (*choice).alone) != OK {
            return ERROR;
        }
        let peer = &mut (*upstream).peer;
        (*choice).chosen = Begun::take(peer);
        let any = &(*choice).any;
        peer.get = Some(get);
        peer.free = Some(free);
        peer.notify = any.notify.and(Some(notify));
        #[cfg(ngx_feature = "ssl")]
        {
            peer.set_session = any.set_session.and(Some(tls::set_session));
            peer.save_session = any.save_session.and(Some(tls::save_session));
        }
        peer.tries = any.tries;
        peer.data = choice.cast();
        OK
    }
}

/// None has begun yet.
fn none() -> Begun {
    Begun {
        get: None,
        free: None,
        notify: None,
        #[cfg(ngx_feature = "ssl")]
        set_session: None,
        #[cfg(ngx_feature = "ssl")]
        save_session: None,
        data: ptr::null_mut(),
        tries: 0,
    }
}

/// A server is asked for.
unsafe extern "C" fn get(peer: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    crate::nginx::guard::guard(ERROR, || {
        // SAFETY: nginx passes what `choose` has set.
        unsafe {
            let choice: *mut Choice = data.cast();
            if (*choice).turn == Turn::First {
                if let Some(result) = get_chosen(choice, peer) {
                    return result;
                }
                (*choice).turn = Turn::Any;
            }
            let result = (*choice).any.get(peer);
            if (*choice).turn == Turn::Others && is_chosen(choice, result, peer) {
                // It comes no second time: a balancer knows whom it has given for a request.
                (*choice).turn = Turn::Any;
                pass_over(choice, peer);
                return (*choice).any.get(peer);
            }
            result
        }
    })
}

/// The server is not used any more.
unsafe extern "C" fn free(peer: *mut ngx_peer_connection_t, data: *mut c_void, state: ngx_uint_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: nginx passes what `choose` has set, after `get` has given a server.
        unsafe {
            let choice: *mut Choice = data.cast();
            match ((*choice).turn, (*choice).from) {
                (Turn::Chosen, Some(list)) => {
                    (*choice).turn = Turn::Others;
                    // nginx keeps no marks on a server that is alone.
                    (*choice).list.set_single(0);
                    // The copy's lock is nobody's.
                    list.lock(false);
                    (*choice).chosen.free(peer, state);
                    list.unlock();
                }
                _ => (*choice).any.free(peer, state),
            }
        }
    });
}

/// Asks for the chosen server; `None` when it may not be used.
///
/// # Safety
/// As for [`get`].
unsafe fn get_chosen(choice: *mut Choice, peer: *mut ngx_peer_connection_t) -> Option<ngx_int_t> {
    // SAFETY: the request is there, and with it the choice in its pool; the lists are locked one at a time. nginx reads the copy of the list by its
    // own pointer, so nothing here holds a reference to the choice meanwhile.
    unsafe {
        let address = (*choice).address;
        let mut why = "is none of its servers";
        for list in peers::lists((*choice).block) {
            list.lock(true);
            let found = list.find(address.as_bytes());
            let result = match found {
                Some((server, _)) if !server.is_healthy() => {
                    why = "is down or has failed";
                    None
                }
                Some((server, _)) if server.is_full() => {
                    why = "has max_conns connections";
                    None
                }
                Some((_, place)) => {
                    // As nginx notes it: one try, and then it has to wait again.
                    let now = ngx::ffi::ngx_time();
                    if now - (*place).checked > (*place).fail_timeout {
                        (*place).checked = now;
                    }
                    (*choice).list.peer = place;
                    let result = (*choice).chosen.get(peer);
                    (result == OK || result == DONE).then_some(result)
                }
                None => None,
            };
            list.unlock();
            if result.is_some() {
                (*choice).turn = Turn::Chosen;
                (*choice).from = Some(list);
                return result;
            }
            if found.is_some() {
                break;
            }
        }
        Log::new((*peer).log).write(
            Level::Info,
            format_args!(
                "[wasm] upstream \"{}\" chooses: {address}, which a filter has chosen, {why}",
                (*(*choice).block).host,
            ),
        );
        None
    }
}

/// Has the balancer given the chosen server?
///
/// # Safety
/// As for [`get`]; `result` is the balancer's.
unsafe fn is_chosen(
    choice: *const Choice,
    result: ngx_int_t,
    peer: *mut ngx_peer_connection_t,
) -> bool {
    // SAFETY: the choice is in the live request's pool; where a server was given, the name is that server's.
    unsafe {
        let address = (*choice).address;
        (result == OK || result == DONE)
            && (*peer)
                .name
                .as_ref()
                .is_some_and(|name| peers::same_address(name.as_bytes(), address.as_bytes()))
    }
}

/// Gives a server back that was not used.
///
/// # Safety
/// As for [`get`]; the balancer has just given a server.
unsafe fn pass_over(choice: *mut Choice, peer: *mut ngx_peer_connection_t) {
    // SAFETY: the choice is in the live request's pool; a kept connection that nobody takes is closed.
    unsafe {
        let connection = ptr::replace(&raw mut (*peer).connection, ptr::null_mut());
        if !connection.is_null() {
            crate::net::close::close(connection);
            (*peer).set_cached(0);
        }
        let tries = (*peer).tries;
        (*choice).any.free(peer, 0);
        (*peer).tries = tries;
    }
}

impl Choice {
    /// The balancer whose server is in use.
    fn in_use(&self) -> &Begun {
        match self.turn {
            Turn::Chosen => &self.chosen,
            _ => &self.any,
        }
    }
}

unsafe extern "C" fn notify(peer: *mut ngx_peer_connection_t, data: *mut c_void, kind: ngx_uint_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: nginx passes what `choose` has set.
        unsafe {
            let begun = (*data.cast::<Choice>()).in_use();
            if let Some(notify) = begun.notify {
                notify(peer, begun.data, kind);
            }
        }
    });
}

#[cfg(ngx_feature = "ssl")]
mod tls {
    use super::*;

    pub unsafe extern "C" fn set_session(
        peer: *mut ngx_peer_connection_t,
        data: *mut c_void,
    ) -> ngx_int_t {
        crate::nginx::guard::guard(ERROR, || {
            // SAFETY: nginx passes what `choose` has set.
            unsafe {
                let begun = (*data.cast::<Choice>()).in_use();
                begun.set_session.map_or(OK, |set| set(peer, begun.data))
            }
        })
    }

    pub unsafe extern "C" fn save_session(peer: *mut ngx_peer_connection_t, data: *mut c_void) {
        crate::nginx::guard::guard((), || {
            // SAFETY: nginx passes what `choose` has set.
            unsafe {
                let begun = (*data.cast::<Choice>()).in_use();
                if let Some(save) = begun.save_session {
                    save(peer, begun.data);
                }
            }
        });
    }
}
