//! Temporary files of nginx's for bodies that are too large to be kept in memory.

use std::cell::Cell;

use ngx::ffi::{
    NGX_INVALID_FILE, NGX_LOG_WARN, ngx_buf_t, ngx_chain_t, ngx_file_t, ngx_temp_file_t,
    ngx_write_chain_to_temp_file,
};
use proxy_wasm_host::Status;

use crate::nginx::request::Request;
use crate::nginx::{ERROR, pool};

/// A temporary file that is only appended to, made at the first write. It is closed when the
/// request's pool goes.
pub struct Spool(Cell<*mut ngx_temp_file_t>);

impl Default for Spool {
    fn default() -> Spool {
        Spool(Cell::new(std::ptr::null_mut()))
    }
}

impl Spool {
    /// A file for a request body that filters have made, as `ngx_http_write_request_body` makes it.
    pub fn for_request_body(request: Request) -> Result<Spool, Status> {
        let spool = Spool::default();
        let file = spool.open(request)?;
        // SAFETY: the request and the file, which is in its pool, are live.
        unsafe {
            let r = request.as_ptr();
            (*file).warn = c"a rewritten request body is buffered to a temporary file"
                .as_ptr()
                .cast_mut();
            (*file).set_log_level((*r).request_body_file_log_level());
            (*file).set_persistent((*r).request_body_in_persistent_file());
            (*file).set_clean((*r).request_body_in_clean_file());
        }
        Ok(spool)
    }

    /// Null before the first write.
    pub fn as_ptr(&self) -> *mut ngx_temp_file_t {
        self.0.get()
    }

    /// Bytes of the file, those that nobody needs any more included.
    pub fn len(&self) -> u64 {
        // SAFETY: the file is in the live request's pool.
        unsafe { self.0.get().as_ref().map_or(0, |file| file.offset as u64) }
    }

    /// Nobody needs what is in the file. Cut off rather than written over: what nginx has passed to the
    /// kernel by `sendfile` may not have left it.
    pub fn rewind(&self) {
        // SAFETY: the file is in the live request's pool; the file is open once there is something in it.
        unsafe {
            if let Some(file) = self.0.get().as_mut()
                && file.offset > 0
                && libc::ftruncate(file.file.fd, 0) == 0
            {
                file.offset = 0;
            }
        }
    }

    fn open(&self, request: Request) -> Result<*mut ngx_temp_file_t, Status> {
        if self.0.get().is_null() {
            // SAFETY: the request is live.
            unsafe {
                let file: *mut ngx_temp_file_t = pool::zeroed(request.pool());
                let f = file.as_mut().ok_or(Status::InternalFailure)?;
                f.file.fd = NGX_INVALID_FILE as _;
                f.file.log = (*request.connection()).log;
                f.path = (*request.core_loc_conf()).client_body_temp_path;
                f.pool = request.pool();
                f.warn = c"a body that a filter holds back is buffered to a temporary file"
                    .as_ptr()
                    .cast_mut();
                f.set_log_level(NGX_LOG_WARN);
                self.0.set(file);
            }
        }
        Ok(self.0.get())
    }

    /// Appends bytes; where they are now.
    pub fn write(&self, request: Request, bytes: &[u8]) -> Result<(*mut ngx_file_t, u64), Status> {
        let file = self.open(request)?;
        // SAFETY: the file is the live request's; nginx only reads the buffer, during the call.
        unsafe {
            let start = (*file).offset as u64;
            if bytes.is_empty() {
                return Ok((&raw mut (*file).file, start));
            }
            let mut buf: ngx_buf_t = std::mem::zeroed();
            buf.pos = bytes.as_ptr().cast_mut();
            buf.last = buf.pos.add(bytes.len());
            buf.start = buf.pos;
            buf.end = buf.last;
            buf.set_memory(1);
            let mut chain = ngx_chain_t {
                buf: &mut buf,
                next: std::ptr::null_mut(),
            };
            let written = ngx_write_chain_to_temp_file(file, &mut chain);
            if written == ERROR || written as usize != bytes.len() {
                return Err(Status::InternalFailure);
            }
            (*file).offset += written as i64;
            Ok((&raw mut (*file).file, start))
        }
    }
}
