//! The request header map: `r->headers_in` and the request line.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::offset_of;

use ngx::ffi::{
    NGX_HTTP_CONNECT, NGX_HTTP_COPY, NGX_HTTP_DELETE, NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_LOCK,
    NGX_HTTP_MKCOL, NGX_HTTP_MOVE, NGX_HTTP_OPTIONS, NGX_HTTP_PATCH, NGX_HTTP_POST,
    NGX_HTTP_PROPFIND, NGX_HTTP_PROPPATCH, NGX_HTTP_PUT, NGX_HTTP_TRACE, NGX_HTTP_UNKNOWN,
    NGX_HTTP_UNLOCK, ngx_http_headers_in_t, ngx_list_t, ngx_str_t, ngx_table_elt_t,
};
use proxy_wasm_host::Status;

use super::{Visit, check_line, check_value, visit_lower};
use crate::nginx::request::Request;
use crate::nginx::{pool, table, uri};

const PSEUDO: [&[u8]; 4] = [b":authority", b":path", b":method", b":scheme"];

/// Visits the pseudo-headers, then all lines but `host`.
pub fn visit(request: Request, visit: Visit<'_>) {
    for name in PSEUDO {
        pseudo(request, name, &mut |value| visit(name, value));
    }
    // SAFETY: the list belongs to the live request; visiting does not change it.
    unsafe {
        for line in table::iter(list(request)) {
            let key = table::key(line);
            if !key.eq_ignore_ascii_case(b"host") {
                visit_lower(key, table::value(line), visit);
            }
        }
    }
}

/// Passes the first value of `name` on; `false` when there is none.
pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    if name.first() == Some(&b':') {
        return pseudo(request, &name.to_ascii_lowercase(), found);
    }
    // SAFETY: as in `visit`.
    let line =
        unsafe { table::iter(list(request)).find(|l| table::key(*l).eq_ignore_ascii_case(name)) };
    match line {
        Some(line) => {
            // SAFETY: found in the list just now.
            found(unsafe { table::value(line) });
            true
        }
        None => false,
    }
}

fn pseudo(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    // SAFETY: the request and its strings are live.
    unsafe {
        let r = request.as_ptr();
        match name {
            // The client's own Host line, with its port and case, not the name of the server.
            b":authority" => match (*r).headers_in.host.as_ref() {
                Some(host) => found(host.value.as_bytes()),
                None if (*r).headers_in.server.len > 0 => found((*r).headers_in.server.as_bytes()),
                None => return false,
            },
            b":path" => found(&uri::target(request)),
            b":method" => found((*r).method_name.as_bytes()),
            b":scheme" => found(if request.is_tls() { b"https" } else { b"http" }),
            _ => return false,
        }
    }
    true
}

/// Where the lines of a request are once a filter has changed them: memory that nothing else has lines
/// in.
pub struct Own(Cell<*const c_void>);

impl Default for Own {
    fn default() -> Own {
        Own(Cell::new(std::ptr::null()))
    }
}

/// Appends a line; a pseudo-header and `host` are set.
pub fn add(request: Request, own: &Own, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if is_request_line(name) {
        return set_request_line(request, own, name, value);
    }
    check_line(name, value)?;
    append(request, own, name, value)
}

/// Leaves one line of this name, with this value.
pub fn replace(request: Request, own: &Own, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if is_request_line(name) {
        return set_request_line(request, own, name, value);
    }
    check_line(name, value)?;
    set(request, own, name, name, value)
}

/// Drops all lines of this name. Pseudo-headers cannot be missing, and stay.
pub fn remove(request: Request, own: &Own, name: &[u8]) -> Result<(), Status> {
    if name.first() == Some(&b':') {
        return Ok(());
    }
    let mut lines = Lines::of(request);
    match lines.remove_from(name, 0) {
        true => lines.store(request, own),
        false => Ok(()),
    }
}

/// Replaces the whole map; pseudo-headers that are not among the pairs keep their values.
pub fn set_pairs(request: Request, own: &Own, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
    for (name, value) in pairs {
        match is_request_line(name) {
            true => check_request_line(name, value)?,
            false => check_line(name, value)?,
        }
    }
    // A target that cannot be parsed is found out only by setting it: that goes first, so that a
    // refused map changes nothing.
    let (target, others): (Vec<_>, Vec<_>) = pairs
        .iter()
        .filter(|(name, _)| is_request_line(name))
        .partition(|(name, _)| name.eq_ignore_ascii_case(b":path"));
    for (name, value) in target {
        set_request_line(request, own, name, value)?;
    }
    let mut lines = Lines::of(request);
    lines.0.retain(|line| is_named(line, b"host"));
    for (name, value) in pairs.iter().filter(|(name, _)| !is_request_line(name)) {
        lines.push(request, name, value)?;
    }
    lines.store(request, own)?;
    for (name, value) in others {
        set_request_line(request, own, name, value)?;
    }
    Ok(())
}

/// Sets the body's length, after a filter has changed the body or the `content-length` line, so
/// that what is proxied is framed right.
pub fn set_body_length(request: Request, own: &Own, length: u64) -> Result<(), Status> {
    let text = length.to_string();
    replace(request, own, b"content-length", text.as_bytes())?;
    // SAFETY: the request is live; the body is complete, so no chunk is left to decode.
    unsafe {
        (*request.as_ptr()).headers_in.content_length_n = length as _;
        (*request.as_ptr()).headers_in.set_chunked(0);
    }
    remove(request, own, b"transfer-encoding")
}

fn is_request_line(name: &[u8]) -> bool {
    name.first() == Some(&b':') || is_host(name)
}

fn is_host(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"host")
}

/// Is it a pseudo-header, with a value that it can have?
fn check_request_line(name: &[u8], value: &[u8]) -> Result<(), Status> {
    check_value(value)?;
    let valid = match name.to_ascii_lowercase().as_slice() {
        b":authority" | b"host" | b":scheme" => true,
        b":path" => uri::is_target(value),
        b":method" => is_method(value),
        _ => false,
    };
    match valid {
        true => Ok(()),
        false => Err(Status::BadArgument),
    }
}

fn is_method(value: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_uppercase() || b"-_".contains(b);
    !value.is_empty() && value.iter().all(allowed)
}

fn set_request_line(request: Request, own: &Own, name: &[u8], value: &[u8]) -> Result<(), Status> {
    check_request_line(name, value)?;
    match name.to_ascii_lowercase().as_slice() {
        b":authority" | b"host" => set_authority(request, own, value),
        b":path" => match uri::set_target(request, value) {
            true => Ok(()),
            false => Err(Status::BadArgument),
        },
        b":method" => set_method(request, value),
        // Whether the client's connection uses TLS is a fact; the upstream's scheme is
        // `proxy_pass`'s.
        b":scheme" => Ok(()),
        _ => Err(Status::BadArgument),
    }
}

/// Sets the Host line and `$host` (which has neither port nor upper case); the server block that
/// was chosen by the old one stays.
fn set_authority(request: Request, own: &Own, value: &[u8]) -> Result<(), Status> {
    set(request, own, b"host", b"Host", value)?;
    let end = match value.iter().rposition(|&b| b == b':') {
        Some(colon) if !value[colon..].contains(&b']') => colon,
        _ => value.len(),
    };
    // SAFETY: as above.
    unsafe {
        (*request.as_ptr()).headers_in.server =
            pool::copy(request.pool(), &value[..end].to_ascii_lowercase()).ok_or(NO_MEMORY)?;
    }
    Ok(())
}

fn set_method(request: Request, value: &[u8]) -> Result<(), Status> {
    let method = match value {
        b"GET" => NGX_HTTP_GET,
        b"HEAD" => NGX_HTTP_HEAD,
        b"POST" => NGX_HTTP_POST,
        b"PUT" => NGX_HTTP_PUT,
        b"DELETE" => NGX_HTTP_DELETE,
        b"MKCOL" => NGX_HTTP_MKCOL,
        b"COPY" => NGX_HTTP_COPY,
        b"MOVE" => NGX_HTTP_MOVE,
        b"OPTIONS" => NGX_HTTP_OPTIONS,
        b"PROPFIND" => NGX_HTTP_PROPFIND,
        b"PROPPATCH" => NGX_HTTP_PROPPATCH,
        b"LOCK" => NGX_HTTP_LOCK,
        b"UNLOCK" => NGX_HTTP_UNLOCK,
        b"PATCH" => NGX_HTTP_PATCH,
        b"TRACE" => NGX_HTTP_TRACE,
        b"CONNECT" => NGX_HTTP_CONNECT,
        _ => NGX_HTTP_UNKNOWN,
    } as usize;
    // SAFETY: the request is live.
    unsafe {
        let r = request.as_ptr();
        (*r).method_name = pool::copy(request.pool(), value).ok_or(NO_MEMORY)?;
        // Whether the client gets a body is settled by what it sent: `method` keeps HEAD or not
        // HEAD, while `method_name` is what an upstream gets.
        let head = NGX_HTTP_HEAD as usize;
        if ((*r).method == head) == (method == head) {
            (*r).method = method;
        }
    }
    Ok(())
}

const NO_MEMORY: Status = Status::InternalFailure;

fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_in.headers }
}

fn is_named(line: &ngx_table_elt_t, name: &[u8]) -> bool {
    line.key.as_bytes().eq_ignore_ascii_case(name)
}

/// Leaves one line of this name; `new` is how the name is written if there was none.
fn set(request: Request, own: &Own, name: &[u8], new: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the list is the live request's.
    let any = unsafe { table::iter(list(request)).any(|line| is_named(&*line, name)) };
    if !any {
        return append(request, own, new, value);
    }
    let mut lines = Lines::of(request);
    lines.remove_from(name, 1);
    if let Some(line) = lines.find(name) {
        // SAFETY: the pool is the live request's.
        line.value = unsafe { pool::copy(request.pool(), value) }.ok_or(NO_MEMORY)?;
    }
    lines.store(request, own)
}

/// Adds a line behind the others: where they are, if nobody else has lines there.
fn append(request: Request, own: &Own, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the list is the live request's, and its one part has room for one more; a subrequest
    // that shares the lines counts its own.
    unsafe {
        let list = list(request);
        let part = &raw mut (*list).part;
        let alone = (*part).elts.cast_const() == own.0.get() && (*part).next.is_null();
        if alone && (*part).nelts < (*list).nalloc {
            let line = table::make(request.pool(), name, value).ok_or(NO_MEMORY)?;
            let place = (*part).elts.cast::<ngx_table_elt_t>().add((*part).nelts);
            place.write(line);
            (*part).nelts += 1;
            let headers = &raw mut (*request.as_ptr()).headers_in;
            point(request, headers, place);
            forget_user(headers);
            return Ok(());
        }
    }
    let mut lines = Lines::of(request);
    lines.push(request, name, value)?;
    lines.store(request, own)
}

/// Has nginx decode the Authorization line again when it is asked for.
///
/// # Safety
/// `headers` is the live request's.
unsafe fn forget_user(headers: *mut ngx_http_headers_in_t) {
    // SAFETY: by the contract.
    unsafe {
        (*headers).user = ngx_str_t::empty();
        (*headers).passwd = ngx_str_t::empty();
    }
}

/// The lines, to be changed and stored as a new list. A list that is changed, other than by adding to
/// it, is always a new one: nginx passes over no switched-off line when it proxies, and a subrequest shares its parent's lines.
struct Lines(Vec<ngx_table_elt_t>);

impl Lines {
    fn of(request: Request) -> Lines {
        // SAFETY: the list is the live request's; lines are plain data.
        Lines(unsafe { table::iter(list(request)).map(|line| *line).collect() })
    }

    fn find(&mut self, name: &[u8]) -> Option<&mut ngx_table_elt_t> {
        self.0.iter_mut().find(|line| is_named(line, name))
    }

    /// Drops the lines of this name but the first `keep`; were there any?
    fn remove_from(&mut self, name: &[u8], keep: usize) -> bool {
        let before = self.0.len();
        let mut seen = 0;
        self.0.retain(|line| {
            let named = is_named(line, name);
            seen += usize::from(named);
            !named || seen <= keep
        });
        self.0.len() != before
    }

    fn push(&mut self, request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
        // SAFETY: the pool is the live request's.
        let line = unsafe { table::make(request.pool(), name, value) };
        self.0.push(line.ok_or(NO_MEMORY)?);
        Ok(())
    }

    /// Makes these the request's lines, and points nginx's fields for known headers at them.
    fn store(self, request: Request, own: &Own) -> Result<(), Status> {
        // SAFETY: the list and the pool are the live request's; the fields are renewed below.
        unsafe {
            if !table::rebuild(list(request), request.pool(), &self.0) {
                return Err(NO_MEMORY);
            }
            own.0.set((*list(request)).part.elts);
            let headers = &raw mut (*request.as_ptr()).headers_in;
            for (_, offset) in KNOWN {
                *field(headers, *offset) = std::ptr::null_mut();
            }
            #[cfg(not(nginx1_23_0))]
            forget_arrays(headers);
            for line in table::iter(list(request)) {
                point(request, headers, line);
            }
            forget_user(headers);
        }
        Ok(())
    }
}

/// The field of nginx's structure at `offset`.
///
/// # Safety
/// `offset` is that of a pointer to a header line.
unsafe fn field(headers: *mut ngx_http_headers_in_t, offset: usize) -> *mut *mut ngx_table_elt_t {
    // SAFETY: by the contract.
    unsafe { headers.byte_add(offset).cast() }
}

/// Points the field for this line's name at it, or at the end of the field's list.
///
/// # Safety
/// `headers` and `line` are the live request's.
#[cfg_attr(nginx1_23_0, allow(unused_variables))]
unsafe fn point(request: Request, headers: *mut ngx_http_headers_in_t, line: *mut ngx_table_elt_t) {
    // SAFETY: by the contract; the offsets are those of such fields.
    unsafe {
        let name = table::key(line);
        #[cfg(not(nginx1_23_0))]
        if let Some(array) = array(headers, name) {
            push_pointer(request, array, line);
            return;
        }
        let Some((_, offset)) = KNOWN
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
        else {
            return;
        };
        #[cfg_attr(not(nginx1_23_0), allow(unused_mut))]
        let mut place = field(headers, *offset);
        #[cfg(nginx1_23_0)]
        {
            (*line).next = std::ptr::null_mut();
            while !(*place).is_null() {
                place = &raw mut (**place).next;
            }
            *place = line;
        }
        #[cfg(not(nginx1_23_0))]
        if (*place).is_null() {
            *place = line;
        }
    }
}

/// Before 1.23, repeated lines of these two were kept in arrays.
#[cfg(not(nginx1_23_0))]
fn array(headers: *mut ngx_http_headers_in_t, name: &[u8]) -> Option<*mut ngx::ffi::ngx_array_t> {
    // SAFETY: `headers` is the live request's.
    unsafe {
        match name.to_ascii_lowercase().as_slice() {
            b"cookie" => Some(&raw mut (*headers).cookies),
            b"x-forwarded-for" => Some(&raw mut (*headers).x_forwarded_for),
            _ => None,
        }
    }
}

#[cfg(not(nginx1_23_0))]
fn forget_arrays(headers: *mut ngx_http_headers_in_t) {
    for name in [&b"cookie"[..], b"x-forwarded-for"] {
        if let Some(array) = array(headers, name) {
            // SAFETY: all zeroes is an array that was not yet made. Its old memory may be shared
            // with another request of the same connection, so it is not written to.
            unsafe { std::ptr::write_bytes(array, 0, 1) };
        }
    }
}

#[cfg(not(nginx1_23_0))]
fn push_pointer(request: Request, array: *mut ngx::ffi::ngx_array_t, line: *mut ngx_table_elt_t) {
    use ngx::ffi::{ngx_array_create, ngx_array_push};
    // SAFETY: the array is the live request's, made here when it is still all zeroes.
    unsafe {
        if (*array).elts.is_null() {
            let size = size_of::<*mut ngx_table_elt_t>();
            match ngx_array_create(request.pool(), 2, size).as_ref() {
                Some(new) => *array = *new,
                None => return,
            }
        }
        let place: *mut *mut ngx_table_elt_t = ngx_array_push(array).cast();
        if !place.is_null() {
            *place = line;
        }
    }
}

macro_rules! known {
    ($($(#[$meta:meta])* $name:literal => $field:ident,)+) => {
        /// Lines that nginx keeps a pointer to, as the table `ngx_http_headers_in` has them.
        const KNOWN: &[(&[u8], usize)] = &[
            $($(#[$meta])* ($name, offset_of!(ngx_http_headers_in_t, $field)),)+
        ];
    };
}

known! {
    b"host" => host,
    b"connection" => connection,
    b"if-modified-since" => if_modified_since,
    b"if-unmodified-since" => if_unmodified_since,
    b"if-match" => if_match,
    b"if-none-match" => if_none_match,
    b"user-agent" => user_agent,
    b"referer" => referer,
    b"content-length" => content_length,
    b"content-range" => content_range,
    b"content-type" => content_type,
    b"range" => range,
    b"if-range" => if_range,
    b"transfer-encoding" => transfer_encoding,
    b"te" => te,
    b"expect" => expect,
    b"upgrade" => upgrade,
    #[cfg(ngx_feature = "http_gzip")]
    b"accept-encoding" => accept_encoding,
    #[cfg(ngx_feature = "http_gzip")]
    b"via" => via,
    b"authorization" => authorization,
    b"keep-alive" => keep_alive,
    #[cfg(all(nginx1_23_0, ngx_feature = "http_x_forwarded_for"))]
    b"x-forwarded-for" => x_forwarded_for,
    #[cfg(ngx_feature = "http_realip")]
    b"x-real-ip" => x_real_ip,
    #[cfg(ngx_feature = "http_dav")]
    b"depth" => depth,
    #[cfg(ngx_feature = "http_dav")]
    b"destination" => destination,
    #[cfg(ngx_feature = "http_dav")]
    b"overwrite" => overwrite,
    #[cfg(ngx_feature = "http_dav")]
    b"date" => date,
    #[cfg(nginx1_23_0)]
    b"cookie" => cookie,
}
