//! Responses that nginx fetches in slices (`ngx_http_slice_filter_module`). Its filters run before
//! this module's: the header of each slice says the length of the whole by then.

use crate::nginx::request::Request;

impl Request {
    /// Is it a clone of its parent (`NGX_HTTP_SUBREQUEST_CLONE`, for slices), which starts in the
    /// content phase? Clones in the background only fill the cache.
    pub fn is_clone(self) -> bool {
        // SAFETY: the request is live; a subrequest has a parent, and a clone its parent's URI.
        unsafe {
            let r = self.as_ptr();
            !self.is_main() && (*r).background() == 0 && (*r).uri.data == (*(*r).parent).uri.data
        }
    }

    /// Is its response one slice of a longer one? The first is the main request's.
    pub fn is_sliced(self) -> bool {
        // SAFETY: the request is live; only the slice filter sets the flag.
        unsafe { (*self.as_ptr()).subrequest_ranges() != 0 }
    }

    /// Is it the first slice, from behind the beginning of the whole, as the client wants a range?
    pub fn is_sliced_behind_start(self) -> bool {
        // SAFETY: the request is live; only the slice filter sets the flag.
        unsafe { self.is_sliced() && (*self.as_ptr()).headers_out.content_offset > 0 }
    }

    /// May the range filter make a range of the slices? The slice filter stops behind the range only if it
    /// knows of it when it has passed on the first slice's header.
    pub fn wants_range_of_slices(self) -> bool {
        // SAFETY: the request is live; only the slice filter sets the flag.
        unsafe {
            let r = self.as_ptr();
            let asked = !(*r).headers_in.range.is_null() && (*r).allow_ranges() != 0;
            self.is_main() && self.is_sliced() && asked
        }
    }

    /// A further slice is cut to the client's range if the first one was, and only then.
    pub fn range_as_main(self) {
        // SAFETY: the request is live; only the slice filter sets the flag; the main request lives as long as its
        // subrequests.
        unsafe {
            let main = (*self.as_ptr()).main;
            (*self.as_ptr()).set_allow_ranges((*main).allow_ranges());
        }
    }

    /// Has the header of the main request told the body's length?
    pub fn main_has_length(self) -> bool {
        // SAFETY: the request is live; only the slice filter sets the flag; the main request lives as long as its
        // subrequests.
        unsafe { (*(*self.as_ptr()).main).headers_out.content_length_n >= 0 }
    }
}
