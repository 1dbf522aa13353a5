//! `wasm_buffer_size size [headers=size];`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_str_t};

use crate::conf::location::LocConf;
use crate::nginx::conf::{self, Answer, Cf, Mistake, read_directive};

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
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    let (body, headers) = match cf.arguments() {
        [body] => (body, None),
        [body, headers] => (body, Some(headers)),
        _ => return Err("invalid number of arguments in \"wasm_buffer_size\" directive".into()),
    };
    let mut size = BufferSize {
        body: bytes(body.as_bytes(), body)?,
        ..BufferSize::default()
    };
    if let Some(headers) = headers {
        let Some(value) = headers.as_bytes().strip_prefix(b"headers=") else {
            return Err(format!(
                "invalid parameter \"{headers}\" in \"wasm_buffer_size\" directive, it may be \
                 headers="
            )
            .into());
        };
        size.headers = bytes(value, headers)?;
    }
    match conf.buffer_size.replace(size) {
        None => Ok(()),
        Some(_) => Err("\"wasm_buffer_size\" directive is duplicate".into()),
    }
}

/// A size as nginx writes it; `shown` is what stands in the configuration.
fn bytes(value: &[u8], shown: &ngx_str_t) -> Result<usize, String> {
    conf::size(value).filter(|size| *size > 0).ok_or_else(|| {
        format!(
            "invalid value \"{shown}\" in \"wasm_buffer_size\" directive, it must be a size, \
                 such as \"64m\", and not 0"
        )
    })
}
