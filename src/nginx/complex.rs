//! nginx's complex values: text of the configuration with variables in it.

use std::ptr::NonNull;

use ngx::ffi::{
    ngx_http_compile_complex_value, ngx_http_compile_complex_value_t, ngx_http_complex_value,
    ngx_http_complex_value_t, ngx_str_t,
};

use crate::nginx::conf::Cf;
use crate::nginx::request::Request;
use crate::nginx::{OK, pool};

/// A value that each request evaluates for itself; lives as long as the configuration.
#[derive(Clone, Copy)]
pub struct Complex(NonNull<ngx_http_complex_value_t>);

impl Complex {
    /// `None`: the text has a mistake, which nginx has logged, or there is no memory.
    pub fn compile(cf: Cf<'_>, text: &ngx_str_t) -> Option<Complex> {
        let cf = cf.as_ptr();
        // SAFETY: nginx is reading the configuration, in a directive whose parameter the text is. Both structures are plain data, for which zero means "nothing"; the result lies in the
        // configuration's pool, as what nginx's own directives compile does.
        unsafe {
            let value: *mut ngx_http_complex_value_t = pool::zeroed((*cf).pool);
            let value = NonNull::new(value)?;
            let mut text = *text;
            let mut compile: ngx_http_compile_complex_value_t = std::mem::zeroed();
            compile.cf = cf;
            compile.value = &mut text;
            compile.complex_value = value.as_ptr();
            (ngx_http_compile_complex_value(&mut compile) == OK).then_some(Complex(value))
        }
    }

    /// Is it the same text for every request, which evaluates it without memory of its own?
    pub fn is_constant(&self) -> bool {
        // SAFETY: the value lives as long as the configuration, under which the caller runs.
        unsafe { self.0.as_ref() }.lengths.is_null()
    }

    /// The value for a request, in whose pool it lives; `None`: there is no memory.
    pub fn value<'a>(&self, request: Request) -> Option<&'a [u8]> {
        let mut text = ngx_str_t::empty();
        // SAFETY: the value lives as long as the configuration, under which the caller runs; the request is live,
        // and nginx puts the text into its pool or answers the configuration's own, which the request keeps.
        unsafe {
            if ngx_http_complex_value(request.as_ptr(), self.0.as_ptr(), &mut text) != OK {
                return None;
            }
            Some(match text.len {
                0 => &[],
                len => std::slice::from_raw_parts(text.data, len),
            })
        }
    }
}
