//! The request's target.

use ngx::ffi::{ngx_http_parse_complex_uri, ngx_http_parse_uri, ngx_http_request_t, ngx_str_t};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::nginx::request::Request;
use crate::nginx::{OK, pool};

/// The target as the client or a filter sent it: path and query, undecoded. After a rewrite or
/// an internal redirect it is rebuilt from nginx's normalised URI.
pub fn target<'a>(request: Request) -> std::borrow::Cow<'a, [u8]> {
    // SAFETY: the strings live in the request's pool.
    unsafe {
        let r = request.as_ptr();
        if (*r).valid_unparsed_uri() != 0 {
            return (*r).unparsed_uri.as_bytes().into();
        }
        let path = percent_encode((*r).uri.as_bytes(), ESCAPED);
        let mut target: Vec<u8> = path.flat_map(str::bytes).collect();
        if (*r).args.len > 0 {
            target.push(b'?');
            target.extend_from_slice((*r).args.as_bytes());
        }
        target.into()
    }
}

/// What may not stand in a path, beside what is not ASCII (`ngx_escape_uri` with `NGX_ESCAPE_URI`).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Is it an absolute path without blanks and control characters?
pub fn is_target(target: &[u8]) -> bool {
    target.first() == Some(&b'/') && !target.iter().any(|b| *b <= b' ' || *b == 0x7f)
}

/// Makes `target` (an absolute path with an optional query) the request's target, as if the
/// client had sent it (`ngx_http_process_request_uri`). `false` when it is not a valid target;
/// nothing has changed then.
pub fn set_target(request: Request, target: &[u8]) -> bool {
    if *target == *self::target(request) {
        return true;
    }
    if !is_target(target) {
        return false;
    }
    // SAFETY: the request is live, and the new target lives in its pool. nginx's parsers read one
    // byte past the end, so the copy has a blank there, as a request line has.
    unsafe {
        let r = request.as_ptr();
        let mut line = Vec::with_capacity(target.len() + 1);
        line.extend_from_slice(target);
        line.push(b' ');
        let Some(line) = pool::copy(request.pool(), &line) else {
            return false;
        };
        let saved = Saved::of(r);
        (*r).uri_start = line.data;
        (*r).uri_end = line.data.add(target.len());
        (*r).args_start = std::ptr::null_mut();
        (*r).uri_ext = std::ptr::null_mut();
        (*r).set_complex_uri(0);
        (*r).set_quoted_uri(0);
        (*r).set_plus_in_uri(0);
        (*r).set_empty_path_in_uri(0);
        if !parse(request) {
            saved.restore(r);
            return false;
        }
        (*r).unparsed_uri = ngx_str_t {
            data: line.data,
            len: target.len(),
        };
        (*r).set_valid_unparsed_uri(1);
        // A location's prefix can only be replaced (`proxy_pass` with a URI, `alias`) in a URI
        // that still begins with it.
        let location = &(*request.core_loc_conf()).name;
        if !(*r).uri.as_bytes().starts_with(location.as_bytes()) {
            (*r).set_valid_location(0);
        }
    }
    true
}

/// Fills `uri`, `args` and `exten` from `uri_start` to `uri_end`.
///
/// # Safety
/// The two are set to a valid string with a byte behind it.
unsafe fn parse(request: Request) -> bool {
    // SAFETY: the two are set to a valid string with a byte behind it.
    unsafe {
        let r = request.as_ptr();
        if ngx_http_parse_uri(r) != OK {
            return false;
        }
        let length = |end: *mut u8, start: *mut u8| end.offset_from(start).max(0) as usize;
        let path_end = if (*r).args_start.is_null() {
            (*r).uri_end
        } else {
            (*r).args_start.sub(1)
        };
        (*r).uri.len = length(path_end, (*r).uri_start);
        (*r).exten = ngx_str_t::empty();
        if (*r).complex_uri() != 0 || (*r).quoted_uri() != 0 {
            pool::count((*r).uri.len + 1);
            (*r).uri.data = ngx::ffi::ngx_pnalloc(request.pool(), (*r).uri.len + 1).cast();
            if (*r).uri.data.is_null() {
                return false;
            }
            let merge_slashes = (*request.core_srv_conf()).merge_slashes as usize;
            if ngx_http_parse_complex_uri(r, merge_slashes) != OK {
                return false;
            }
        } else {
            (*r).uri.data = (*r).uri_start;
            if !(*r).uri_ext.is_null() {
                (*r).exten = ngx_str_t {
                    data: (*r).uri_ext,
                    len: length(path_end, (*r).uri_ext),
                };
            }
        }
        (*r).args = if (*r).args_start.is_null() {
            ngx_str_t::empty()
        } else {
            ngx_str_t {
                data: (*r).args_start,
                len: length((*r).uri_end, (*r).args_start),
            }
        };
    }
    true
}

/// What [`set_target`] changes before it knows that the target is valid.
struct Saved {
    uri: ngx_str_t,
    args: ngx_str_t,
    exten: ngx_str_t,
    pointers: [*mut u8; 4],
    flags: [u32; 4],
}

impl Saved {
    unsafe fn of(r: *mut ngx_http_request_t) -> Saved {
        // SAFETY: `r` is live, as in `set_target`.
        unsafe {
            Saved {
                uri: (*r).uri,
                args: (*r).args,
                exten: (*r).exten,
                pointers: [(*r).uri_start, (*r).uri_end, (*r).args_start, (*r).uri_ext],
                flags: [
                    (*r).complex_uri(),
                    (*r).quoted_uri(),
                    (*r).plus_in_uri(),
                    (*r).empty_path_in_uri(),
                ],
            }
        }
    }

    unsafe fn restore(self, r: *mut ngx_http_request_t) {
        // SAFETY: `r` is live, as in `set_target`.
        unsafe {
            (*r).uri = self.uri;
            (*r).args = self.args;
            (*r).exten = self.exten;
            [(*r).uri_start, (*r).uri_end, (*r).args_start, (*r).uri_ext] = self.pointers;
            (*r).set_complex_uri(self.flags[0]);
            (*r).set_quoted_uri(self.flags[1]);
            (*r).set_plus_in_uri(self.flags[2]);
            (*r).set_empty_path_in_uri(self.flags[3]);
        }
    }
}
