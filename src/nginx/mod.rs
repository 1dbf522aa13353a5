//! nginx's C structures behind small typed functions: everything that is `unsafe` and not an
//! entry point of the module lives here.

pub mod buf;
pub mod complex;
pub mod conf;
pub mod ending;
pub mod event;
pub mod exit;
pub mod file;
pub mod guard;
pub mod log;
pub mod log_rate;
pub mod peers;
pub mod pool;
pub mod request;
pub mod slices;
pub mod table;
pub mod uri;
pub mod variable;
pub mod watch;

use ngx::ffi::{ngx_http_core_module, ngx_int_t, ngx_module_t, ngx_str_t, u_char};

pub const OK: ngx_int_t = 0;
pub const ERROR: ngx_int_t = -1;
pub const AGAIN: ngx_int_t = -2;
pub const DONE: ngx_int_t = -4;
pub const DECLINED: ngx_int_t = -5;

/// nginx's core HTTP module, to read.
pub fn core_module() -> &'static ngx_module_t {
    let module = &raw const ngx_http_core_module;
    // SAFETY: nginx writes its modules before it calls any other.
    unsafe { &*module }
}

/// An nginx string that borrows `bytes`; nginx must not keep it longer, nor write to it.
pub fn borrowed_str(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t {
        len: bytes.len(),
        data: bytes.as_ptr() as *mut u_char,
    }
}
