//! `wasm_buffer_size size [headers=size];`

use std::ffi::{c_char, c_void};

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_parse_size, ngx_str_t};

use crate::conf::filter::set;
use crate::conf::{LocConf, arguments};

/// How much filters may hold back and write, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSize {
    /// Of a body: what is held back at once, and what is made of a piece of it.
    pub body: usize,
    /// Of headers and what is like them, for a request and for its response.
    pub headers: usize,
}

impl Default for BufferSize {
    fn default() -> BufferSize {
        BufferSize {
            body: 64 << 20,
            headers: 1 << 20,
        }
    }
}

pub unsafe extern "C" fn wasm_buffer_size(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration and what `create_loc_conf` made.
    unsafe { set(cf, conf, |cf, conf| read(cf, conf)) }
}

/// # Safety
/// `cf` is the configuration that nginx passed to the directive's handler.
unsafe fn read(cf: *mut ngx_conf_t, conf: &mut LocConf) -> Result<(), String> {
    // SAFETY: by the contract.
    let (body, headers) = match unsafe { arguments(cf) } {
        [body] => (body, None),
        [body, headers] => (body, Some(headers)),
        _ => return Err("invalid number of arguments in \"wasm_buffer_size\" directive".into()),
    };
    let mut size = BufferSize {
        body: bytes(*body, body)?,
        ..BufferSize::default()
    };
    if let Some(headers) = headers {
        let Some(value) = headers.as_bytes().strip_prefix(b"headers=") else {
            return Err(format!(
                "invalid parameter \"{headers}\" in \"wasm_buffer_size\" directive, it may be \
                 headers="
            ));
        };
        let mut text = *headers;
        text.len = value.len();
        // SAFETY: the value is the parameter's end.
        text.data = unsafe { headers.data.add(headers.len - value.len()) };
        size.headers = bytes(text, headers)?;
    }
    match conf.buffer_size.replace(size) {
        None => Ok(()),
        Some(_) => Err("\"wasm_buffer_size\" directive is duplicate".into()),
    }
}

/// A size as nginx writes it; `shown` is what stands in the configuration.
fn bytes(mut value: ngx_str_t, shown: &ngx_str_t) -> Result<usize, String> {
    // SAFETY: nginx's parser only reads the text.
    let size = unsafe { ngx_parse_size(&mut value) };
    usize::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .ok_or_else(|| {
            format!(
                "invalid value \"{shown}\" in \"wasm_buffer_size\" directive, it must be a size, \
                 such as \"64m\", and not 0"
            )
        })
}
