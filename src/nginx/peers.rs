//! The servers of an upstream, as nginx's own balancers keep them (`ngx_http_upstream_round_robin.h`).

use std::net::SocketAddr;

use ngx::ffi::{
    ngx_http_upstream_main_conf_t, ngx_http_upstream_module, ngx_http_upstream_rr_peer_t,
    ngx_http_upstream_rr_peers_t, ngx_http_upstream_srv_conf_t, ngx_time,
};

use crate::nginx::conf::Cf;

/// One server, as long as its list is locked.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    peer: &'a ngx_http_upstream_rr_peer_t,
    /// Its upstream has no other.
    single: bool,
    pub backup: bool,
}

impl<'a> Server<'a> {
    /// `1.2.3.4:port`, `[v6]:port` or `unix:/path`.
    pub fn address(&self) -> &'a [u8] {
        self.peer.name.as_bytes()
    }

    /// Does nginx hold it to be able to serve? The marks are those of `down` and `max_fails`.
    pub fn is_healthy(&self) -> bool {
        let failed = self.peer.max_fails != 0
            && self.peer.fails >= self.peer.max_fails
            && ngx_time() - self.peer.checked <= self.peer.fail_timeout;
        self.peer.down == 0 && (self.single || !failed)
    }

    /// Has it as many connections as `max_conns` lets it have?
    pub fn is_full(&self) -> bool {
        self.peer.max_conns != 0 && self.peer.conns >= self.peer.max_conns
    }

    /// Connections that are in use: of this process, or of all where the upstream has a `zone`.
    pub fn connections(&self) -> usize {
        self.peer.conns
    }

    /// 0: any number.
    pub fn max_connections(&self) -> usize {
        self.peer.max_conns
    }

    /// 1 for a server that a location names itself, where nginx has 0.
    pub fn weight(&self) -> isize {
        self.peer.weight.max(1)
    }

    /// Failures that count towards `max_fails`.
    pub fn fails(&self) -> usize {
        self.peer.fails
    }
}

/// Says which address is meant, in whatever way it is written.
pub fn same_address(one: &[u8], other: &[u8]) -> bool {
    let parse = |text| std::str::from_utf8(text).ok()?.parse::<SocketAddr>().ok();
    // Of other addresses there is one way only.
    one == other
        || (one.first() == Some(&b'[') && parse(one).is_some_and(|a| parse(other) == Some(a)))
}

/// A list of servers.
#[derive(Clone, Copy)]
pub struct List(*mut ngx_http_upstream_rr_peers_t);

/// Both lists of an upstream, that of its backup servers last.
///
/// # Safety
/// [`are_nginxs`] holds for the block, which outlives the result.
pub unsafe fn lists(block: *const ngx_http_upstream_srv_conf_t) -> impl Iterator<Item = List> {
    // SAFETY: a block of nginx's balancers has a first list, and lists stay as long as their configuration.
    unsafe {
        let first: *mut ngx_http_upstream_rr_peers_t = (*block).peer.data.cast();
        let lists = [first, (*first).next];
        lists.into_iter().filter(|list| !list.is_null()).map(List)
    }
}

impl List {
    /// Are there no other servers than one, so that nginx has no choice?
    ///
    /// # Safety
    /// The list is still there, and the first one of its upstream.
    pub unsafe fn is_single(self) -> bool {
        // SAFETY: the list stays as long as its configuration, which the caller's request has.
        unsafe { (*self.0).single() != 0 && (*self.0).next.is_null() }
    }

    /// Visits the servers, and keeps others from changing them meanwhile.
    ///
    /// # Safety
    /// The list is still there, and not locked by this process. No server is used afterwards.
    pub unsafe fn visit(self, backup: bool, mut visit: impl FnMut(Server<'_>)) {
        // SAFETY: the list stays as long as its configuration; while it is locked, each server leads to the next.
        unsafe {
            self.lock(false);
            let single = (*self.0).single() != 0;
            let mut next = (*self.0).peer;
            while let Some(peer) = next.as_ref() {
                visit(Server {
                    peer,
                    single,
                    backup,
                });
                next = peer.next;
            }
            self.unlock();
        }
    }

    /// The server of this address, and the place where nginx has it.
    ///
    /// # Safety
    /// The list is locked by this process for as long as the result is used.
    pub unsafe fn find<'a>(
        self,
        address: &[u8],
    ) -> Option<(Server<'a>, *mut ngx_http_upstream_rr_peer_t)> {
        // SAFETY: as in `visit`.
        unsafe {
            let single = (*self.0).single() != 0;
            let mut next = (*self.0).peer;
            while let Some(peer) = next.as_ref() {
                if same_address(peer.name.as_bytes(), address) {
                    let server = Server {
                        peer,
                        single,
                        backup: false,
                    };
                    return Some((server, next));
                }
                next = peer.next;
            }
            None
        }
    }

    /// As nginx locks it, which is to say, where workers share it.
    ///
    /// # Safety
    /// The list is still there, and not locked by this process.
    pub unsafe fn lock(self, to_write: bool) {
        #[cfg(ngx_feature = "http_upstream_zone")]
        // SAFETY: the list stays as long as its configuration; with a pool, its lock is in the zone that workers share.
        unsafe {
            if !(*self.0).shpool.is_null() {
                let lock = &raw mut (*self.0).rwlock;
                match to_write {
                    true => ngx::ffi::ngx_rwlock_wlock(lock),
                    false => ngx::ffi::ngx_rwlock_rlock(lock),
                }
            }
        }
        #[cfg(not(ngx_feature = "http_upstream_zone"))]
        let _ = to_write;
    }

    /// # Safety
    /// This process has locked the list.
    pub unsafe fn unlock(self) {
        #[cfg(ngx_feature = "http_upstream_zone")]
        // SAFETY: the lock is the one that this process has taken in `lock`.
        unsafe {
            if !(*self.0).shpool.is_null() {
                ngx::ffi::ngx_rwlock_unlock(&raw mut (*self.0).rwlock);
            }
        }
    }

    /// A list of one server, still to be told, in the place of this one. It is this process's own, and nginx
    /// takes it for one that never changes.
    ///
    /// # Safety
    /// The list is still there.
    pub unsafe fn of_one(self) -> ngx_http_upstream_rr_peers_t {
        // SAFETY: the list stays as long as its configuration; what is copied stays as it is, but for what is set anew here.
        let mut list = unsafe { *self.0 };
        #[cfg(ngx_feature = "http_upstream_zone")]
        {
            list.rwlock = 0;
            list.zone_next = std::ptr::null_mut();
        }
        #[cfg(all(ngx_feature = "http_upstream_zone", nginx1_27_3))]
        {
            list.config = std::ptr::null_mut();
            list.resolve = std::ptr::null_mut();
        }
        list.number = 1;
        list.tries = 1;
        list.set_single(1);
        list.next = std::ptr::null_mut();
        list.peer = std::ptr::null_mut();
        list
    }
}

/// Every upstream of the configuration.
/// There from the postconfiguration step on.
pub fn upstreams(cf: Cf<'_>) -> &[*mut ngx_http_upstream_srv_conf_t] {
    let cf = cf.as_ptr();
    // SAFETY: nginx's upstream module is always there and has a main configuration, whose array
    // holds pointers to the blocks; it lives as long as the cycle.
    unsafe {
        let module = &raw const ngx_http_upstream_module;
        let main: Option<std::ptr::NonNull<ngx_http_upstream_main_conf_t>> =
            ngx::http::HttpModuleConfExt::http_main_conf_unchecked(&*cf, &*module);
        main.map_or(&[], |main| main.as_ref().upstreams.as_slice())
    }
}

/// Do nginx's balancers keep the servers of this upstream? Other modules may have what they like in the
/// place. nginx has the upstream's name in its list, as long as that is not in a `zone`.
///
/// # Safety
/// It is one of [`upstreams`].
pub unsafe fn are_nginxs(block: *const ngx_http_upstream_srv_conf_t) -> bool {
    // SAFETY: the block is one of the configuration; what other modules have there is as large as this at least, or the pool's block is.
    unsafe {
        let list: *const ngx_http_upstream_rr_peers_t = (*block).peer.data.cast();
        !list.is_null() && list.is_aligned() && std::ptr::eq((*list).name, &raw const (*block).host)
    }
}
