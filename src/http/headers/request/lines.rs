//! The lines of a request's list, and the fields that nginx has for known ones.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::offset_of;

use ngx::ffi::{ngx_http_headers_in_t, ngx_list_t, ngx_str_t, ngx_table_elt_t};
use proxy_wasm_host::Status;

use crate::nginx::request::Request;
use crate::nginx::{pool, table};

/// Where the lines of a request are once a filter has changed them: memory that nothing else has lines
/// in.
pub struct Own(Cell<*const c_void>);

impl Default for Own {
    fn default() -> Own {
        Own(Cell::new(std::ptr::null()))
    }
}

pub(super) const NO_MEMORY: Status = Status::InternalFailure;

pub(super) fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_in.headers }
}

pub(super) fn is_named(line: &ngx_table_elt_t, name: &[u8]) -> bool {
    line.key.as_bytes().eq_ignore_ascii_case(name)
}

/// Leaves one line of this name; `new` is how the name is written if there was none.
pub(super) fn set(
    request: Request,
    own: &Own,
    name: &[u8],
    new: &[u8],
    value: &[u8],
) -> Result<(), Status> {
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
pub(super) fn append(request: Request, own: &Own, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the list is the live request's, and its one part has room for one more; a subrequest
    // that shares the lines counts its own.
    unsafe {
        let list = list(request);
        let part = &raw mut (*list).part;
        if own.0.get().is_null() {
            move_to_own(request, own)?;
        }
        let alone = (*part).elts.cast_const() == own.0.get() && (*part).next.is_null();
        if alone && (*part).nelts < (*list).nalloc {
            let line = table::make(request.pool(), name, value).ok_or(NO_MEMORY)?;
            let place = (*part).elts.cast::<ngx_table_elt_t>().add((*part).nelts);
            place.write(line);
            (*part).nelts += 1;
            let headers = &raw mut (*request.as_ptr()).headers_in;
            point(request, headers, place, None);
            forget_user(headers);
            return Ok(());
        }
    }
    let mut lines = Lines::of(request);
    lines.push(request, name, value)?;
    lines.store(request, own)
}

/// Moves the lines as they are to memory that nobody else has lines in, with room for more.
fn move_to_own(request: Request, own: &Own) -> Result<(), Status> {
    let list = list(request);
    // SAFETY: the list, the pool and the fields are the live request's; a part has `nelts` lines.
    unsafe {
        let old = (*list).part;
        if !old.next.is_null() || old.nelts == 0 || cfg!(not(nginx1_23_0)) {
            return Lines::of(request).store(request, own);
        }
        let from: *mut ngx_table_elt_t = old.elts.cast();
        let lines = std::slice::from_raw_parts(from, old.nelts);
        if !table::rebuild(list, request.pool(), lines) {
            return Err(NO_MEMORY);
        }
        let to: *mut ngx_table_elt_t = (*list).part.elts.cast();
        own.0.set(to.cast());
        let follow = |place: *mut *mut ngx_table_elt_t| {
            let offset = (*place).addr().wrapping_sub(from.addr());
            if offset < size_of_val(lines) {
                *place = to.byte_add(offset);
            }
        };
        let headers = &raw mut (*request.as_ptr()).headers_in;
        for (_, offset) in KNOWN {
            follow(field(headers, *offset));
        }
        #[cfg(nginx1_23_0)]
        for line in table::iter(list) {
            follow(&raw mut (*line).next);
        }
    }
    Ok(())
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
pub(super) struct Lines(pub Vec<ngx_table_elt_t>);

impl Lines {
    pub fn of(request: Request) -> Lines {
        // SAFETY: the list is the live request's; lines are plain data.
        Lines(unsafe { table::iter(list(request)).map(|line| *line).collect() })
    }

    fn find(&mut self, name: &[u8]) -> Option<&mut ngx_table_elt_t> {
        self.0.iter_mut().find(|line| is_named(line, name))
    }

    /// Drops the lines of this name but the first `keep`; were there any?
    pub fn remove_from(&mut self, name: &[u8], keep: usize) -> bool {
        let before = self.0.len();
        let mut seen = 0;
        self.0.retain(|line| {
            let named = is_named(line, name);
            seen += usize::from(named);
            !named || seen <= keep
        });
        self.0.len() != before
    }

    pub fn push(&mut self, request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
        // SAFETY: the pool is the live request's.
        let line = unsafe { table::make(request.pool(), name, value) };
        self.0.push(line.ok_or(NO_MEMORY)?);
        Ok(())
    }

    /// Makes these the request's lines, and points nginx's fields for known headers at them.
    pub fn store(self, request: Request, own: &Own) -> Result<(), Status> {
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
            // Where the last line of each name is, so that many of one name are not gone through for each.
            let mut ends = [std::ptr::null_mut(); KNOWN.len()];
            for line in table::iter(list(request)) {
                point(request, headers, line, Some(&mut ends));
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

/// Points the field for this line's name at it, or the end of the field's list, which `ends` knows.
///
/// # Safety
/// `headers` and `line` are the live request's.
#[cfg_attr(nginx1_23_0, allow(unused_variables))]
unsafe fn point(
    request: Request,
    headers: *mut ngx_http_headers_in_t,
    line: *mut ngx_table_elt_t,
    ends: Option<&mut [*mut ngx_table_elt_t; KNOWN.len()]>,
) {
    // SAFETY: by the contract; the offsets are those of such fields.
    unsafe {
        let name = table::key(line);
        #[cfg(not(nginx1_23_0))]
        if let Some(array) = array(headers, name) {
            push_pointer(request, array, line);
            return;
        }
        let named = |(known, _): &(&[u8], usize)| name.eq_ignore_ascii_case(known);
        let Some(index) = KNOWN.iter().position(named) else {
            return;
        };
        let offset = &KNOWN[index].1;
        #[cfg_attr(not(nginx1_23_0), allow(unused_mut))]
        let mut place = field(headers, *offset);
        #[cfg(nginx1_23_0)]
        {
            (*line).next = std::ptr::null_mut();
            if let Some(ends) = ends {
                let end = std::mem::replace(&mut ends[index], line);
                if !end.is_null() {
                    place = &raw mut (*end).next;
                }
            }
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
