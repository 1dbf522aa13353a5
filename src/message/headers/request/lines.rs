//! The lines of a request's list.

use std::cell::Cell;
use std::ffi::c_void;

use ngx::ffi::{ngx_http_headers_in_t, ngx_list_t, ngx_str_t, ngx_table_elt_t};
use proxy_wasm_host::Status;

#[cfg(not(nginx1_23_0))]
use crate::message::headers::request::fields::forget_arrays;
use crate::message::headers::request::fields::{KNOWN, field, point};
use crate::nginx::request::Request;
use crate::nginx::{pool, table};

/// Where the lines of a request are once a filter has changed them: memory that nothing else has lines
/// in.
pub struct OwnLines {
    lines: Cell<*const c_void>,
    /// Has the client asked for another protocol (Upgrade)? Known from the first change on.
    upgrade: Cell<Option<bool>>,
}

impl Default for OwnLines {
    fn default() -> OwnLines {
        OwnLines {
            lines: Cell::new(std::ptr::null()),
            upgrade: Cell::new(None),
        }
    }
}

impl OwnLines {
    /// Has a filter changed the lines of a client that has not asked for another protocol? An upstream that
    /// changes to one has been asked by the filter then.
    pub fn has_made_upgrade(&self) -> bool {
        self.upgrade.get() == Some(false)
    }

    /// The lines are about to be changed.
    ///
    /// # Safety
    /// `headers` is the live request's.
    unsafe fn note_upgrade(&self, headers: *const ngx_http_headers_in_t) {
        if self.upgrade.get().is_none() {
            // SAFETY: `headers` is the live request's.
            self.upgrade
                .set(Some(unsafe { !(*headers).upgrade.is_null() }));
        }
    }

    /// nginx makes a tunnel for a client that has asked for one.
    ///
    /// # Safety
    /// As for `note_upgrade`.
    unsafe fn keep_upgrade(&self, headers: *mut ngx_http_headers_in_t) {
        if self.has_made_upgrade() {
            // SAFETY: `headers` is the live request's.
            unsafe { (*headers).upgrade = std::ptr::null_mut() };
        }
    }
}

pub const NO_MEMORY: Status = Status::InternalFailure;

pub fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_in.headers }
}

pub fn is_named(line: &ngx_table_elt_t, name: &[u8]) -> bool {
    line.key.as_bytes().eq_ignore_ascii_case(name)
}

/// Leaves one line of this name; `new` is how the name is written if there was none.
pub fn set(
    request: Request,
    own: &OwnLines,
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
pub fn append(request: Request, own: &OwnLines, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the list is the live request's, and its one part has room for one more; a subrequest
    // that shares the lines counts its own.
    unsafe {
        let list = list(request);
        let part = &raw mut (*list).part;
        let headers = &raw mut (*request.as_ptr()).headers_in;
        own.note_upgrade(headers);
        if own.lines.get().is_null() {
            move_to_own(request, own)?;
        }
        let alone = (*part).elts.cast_const() == own.lines.get() && (*part).next.is_null();
        if alone && (*part).nelts < (*list).nalloc {
            let line = table::make(request.pool(), name, value).ok_or(NO_MEMORY)?;
            let place = (*part).elts.cast::<ngx_table_elt_t>().add((*part).nelts);
            place.write(line);
            (*part).nelts += 1;
            point(request, headers, place, None);
            own.keep_upgrade(headers);
            forget_user(headers);
            return Ok(());
        }
    }
    let mut lines = Lines::of(request);
    lines.push(request, name, value)?;
    lines.store(request, own)
}

/// Moves the lines as they are to memory that nobody else has lines in, with room for more.
fn move_to_own(request: Request, own: &OwnLines) -> Result<(), Status> {
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
        own.lines.set(to.cast());
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
    // SAFETY: `headers` is the live request's.
    unsafe {
        (*headers).user = ngx_str_t::empty();
        (*headers).passwd = ngx_str_t::empty();
    }
}

/// The lines, to be changed and stored as a new list. A list that is changed, other than by adding to
/// it, is always a new one: nginx passes over no switched-off line when it proxies, and a subrequest shares its parent's lines.
pub struct Lines(pub Vec<ngx_table_elt_t>);

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
    pub fn store(self, request: Request, own: &OwnLines) -> Result<(), Status> {
        // SAFETY: the list and the pool are the live request's; the fields are renewed below.
        unsafe {
            if !table::rebuild(list(request), request.pool(), &self.0) {
                return Err(NO_MEMORY);
            }
            own.lines.set((*list(request)).part.elts);
            let headers = &raw mut (*request.as_ptr()).headers_in;
            own.note_upgrade(headers);
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
            own.keep_upgrade(headers);
            forget_user(headers);
        }
        Ok(())
    }
}
