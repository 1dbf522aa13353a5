//! A request for nginx's balancers, which know no other way of being asked for a server.
//!
//! It is a copy of the request that the call belongs to, so that `hash $variable` and `ip_hash`
//! see what they would see there, or an empty one. Nothing but a balancer ever gets it.
//!
//! The copy may outlive the original: a balancer is asked for servers only while that is there, and told
//! of what has become of one later. So what balancers keep a pointer to, the client's connection with its
//! addresses, is copied, too.
use std::ffi::c_void;
use std::{mem, ptr};

use ngx::ffi::{
    NGX_HTTP_GET, NGX_HTTP_MODULE, NGX_HTTP_VERSION_11, ngx_connection_t, ngx_current_msec,
    ngx_cycle, ngx_event_t, ngx_http_connection_t, ngx_http_core_main_conf_t, ngx_http_max_module,
    ngx_http_request_t, ngx_http_upstream_conf_t, ngx_http_upstream_srv_conf_t,
    ngx_http_upstream_t, ngx_http_variable_value_t, ngx_pool_t, ngx_time, sockaddr, socklen_t,
};

use crate::net::origin::Origin;
use crate::nginx::{core_module, pool};

/// Makes the request and its `upstream`; `None` when memory is out.
///
/// # Safety
/// The origin is still valid, and the block belongs to its configuration. The result is used only
/// as long as the pool.
pub unsafe fn request(
    pool: *mut ngx_pool_t,
    origin: &Origin,
    block: *mut ngx_http_upstream_srv_conf_t,
) -> Option<*mut ngx_http_request_t> {
    // SAFETY: the origin is still valid, and the block belongs to its configuration. The result is used only as
    // long as the pool; all zeroes is valid for nginx's structures. What a copy shares with the original is only
    // read: where a variable may write, the copy has its own.
    unsafe {
        let request = zeroed::<ngx_http_request_t>(pool)?;
        let original = origin.request().map(|request| request.as_ptr());
        match original {
            Some(original) => {
                ptr::copy_nonoverlapping(original, request, 1);
                (*request).connection = copied_connection(pool, (*original).connection)?;
            }
            None => {
                (*request).signature = NGX_HTTP_MODULE;
                (*request).main_conf = origin.confs.main_conf;
                (*request).srv_conf = origin.confs.srv_conf;
                (*request).loc_conf = origin.confs.loc_conf;
                (*request).connection = connection(pool)?;
                (*request).http_connection = zeroed::<ngx_http_connection_t>(pool)?;
                (*request).headers_in.content_length_n = -1;
                (*request).headers_out.content_length_n = -1;
                (*request).method = NGX_HTTP_GET as usize;
                (*request).http_version = NGX_HTTP_VERSION_11 as usize;
                (*request).start_sec = ngx_time();
                (*request).start_msec = ngx_current_msec;
            }
        }
        (*request).pool = pool;
        if original.is_none_or(|original| (*original).main == original) {
            (*request).main = request;
        }
        (*request).postponed = ptr::null_mut();
        (*request).post_subrequest = ptr::null_mut();
        (*request).posted_requests = ptr::null_mut();
        (*request).cleanup = ptr::null_mut();
        (*request).upstream_states = ptr::null_mut();
        (*request).captures = ptr::null_mut();
        (*request).ncaptures = 0;

        let contexts = original.map_or(ptr::null_mut(), |original| (*original).ctx);
        (*request).ctx = copied::<*mut c_void>(pool, contexts, ngx_http_max_module)?;
        let variables = original.map_or(ptr::null_mut(), |original| (*original).variables);
        let count = variables_count(&*request);
        (*request).variables = copied::<ngx_http_variable_value_t>(pool, variables, count)?;

        let upstream = zeroed::<ngx_http_upstream_t>(pool)?;
        let conf = zeroed::<ngx_http_upstream_conf_t>(pool)?;
        (*conf).upstream = block;
        (*upstream).conf = conf;
        (*upstream).upstream = block;
        (*upstream).headers_in.content_length_n = -1;
        // The client's log may be gone when the call ends.
        (*upstream).peer.log = (*ngx_cycle).log;
        (*request).upstream = upstream;
        Some(request)
    }
}

/// The client's connection, with its addresses; the rest is shared with the original.
///
/// # Safety
/// As for [`request`]; `original` is open.
unsafe fn copied_connection(
    pool: *mut ngx_pool_t,
    original: *const ngx_connection_t,
) -> Option<*mut ngx_connection_t> {
    // SAFETY: the origin is still valid, and the block belongs to its configuration. The result is used only as
    // long as the pool; `original` is open; nginx's lengths are those of what they stand beside.
    unsafe {
        let connection = copied::<ngx_connection_t>(pool, original, 1)?;
        let address = |from: *mut sockaddr, len: socklen_t| match from.is_null() {
            true => Some(from),
            false => Some(copied::<u8>(pool, from.cast(), len as usize)?.cast()),
        };
        let c = &mut *connection;
        c.pool = pool;
        c.log = (*ngx_cycle).log;
        c.sockaddr = address(c.sockaddr, c.socklen)?;
        c.local_sockaddr = address(c.local_sockaddr, c.local_socklen)?;
        c.addr_text = pool::copy(pool, c.addr_text.as_bytes())?;
        Some(connection)
    }
}

/// The client of a request that has none: a Unix socket without a name.
///
/// # Safety
/// As for [`request`].
unsafe fn connection(pool: *mut ngx_pool_t) -> Option<*mut ngx_connection_t> {
    // SAFETY: the origin is still valid, and the block belongs to its configuration. The result is used only as
    // long as the pool.
    unsafe {
        let connection = zeroed::<ngx_connection_t>(pool)?;
        let address = zeroed::<libc::sockaddr_un>(pool)?;
        (*address).sun_family = libc::AF_UNIX as libc::sa_family_t;
        (*connection).fd = -1;
        (*connection).pool = pool;
        (*connection).log = (*ngx_cycle).log;
        (*connection).read = zeroed::<ngx_event_t>(pool)?;
        (*connection).write = zeroed::<ngx_event_t>(pool)?;
        for event in [(*connection).read, (*connection).write] {
            (*event).data = connection.cast();
            (*event).log = (*ngx_cycle).log;
        }
        (*connection).sockaddr = address.cast::<sockaddr>();
        (*connection).socklen = mem::size_of::<libc::sockaddr_un>() as socklen_t;
        (*connection).local_sockaddr = (*connection).sockaddr;
        (*connection).local_socklen = (*connection).socklen;
        Some(connection)
    }
}

/// How many variables a request has room for.
///
/// # Safety
/// As for [`request`].
unsafe fn variables_count(request: &ngx_http_request_t) -> usize {
    // SAFETY: nginx's core module has a main configuration.
    unsafe {
        let index = core_module().ctx_index;
        let core: *const ngx_http_core_main_conf_t =
            (*request.main_conf.add(index)).cast_const().cast();
        (*core).variables.nelts
    }
}

/// # Safety
/// `pool` is valid, and all zeroes a valid `T`.
unsafe fn zeroed<T>(pool: *mut ngx_pool_t) -> Option<*mut T> {
    // SAFETY: `pool` is valid, and all zeroes a valid `T`.
    let new = unsafe { pool::zeroed::<T>(pool) };
    (!new.is_null()).then_some(new)
}

/// A copy of an array, or zeroes where there is none.
///
/// # Safety
/// As for [`zeroed`]; `from` is null or has `count` elements.
unsafe fn copied<T: Copy>(pool: *mut ngx_pool_t, from: *const T, count: usize) -> Option<*mut T> {
    // SAFETY: `pool` is valid, and all zeroes a valid `T`; `from` is null or has `count` elements; the new array
    // is as long.
    unsafe {
        let to: *mut T = ngx::ffi::ngx_pcalloc(pool, count.max(1) * mem::size_of::<T>()).cast();
        if to.is_null() {
            return None;
        }
        if !from.is_null() {
            ptr::copy_nonoverlapping(from, to, count);
        }
        Some(to)
    }
}
