//! For an nginx that was built with OpenSSL.

use std::cell::UnsafeCell;
use std::ffi::{CString, c_long, c_void};
use std::future::poll_fn;
use std::rc::Rc;
use std::{mem, ptr};

use ngx::ffi::{
    NGX_SSL_CLIENT, NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, SSL, SSL_CTRL_MODE,
    SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_CTX_ctrl, SSL_CTX_set_cert_store,
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_ctrl, SSL_get_SSL_CTX,
    SSL_get_verify_result, SSL_get0_param, SSL_set_alpn_protos, TLSEXT_NAMETYPE_host_name,
    X509_V_OK, X509_VERIFY_PARAM_set1_ip_asc, X509_verify_cert_error_string, ngx_connection_t,
    ngx_pool_cleanup_t, ngx_ssl_check_host, ngx_ssl_cleanup_ctx, ngx_ssl_create,
    ngx_ssl_create_connection, ngx_ssl_handshake, ngx_ssl_t, ngx_ssl_trusted_certificate,
    ngx_str_t,
};

use crate::net::connection::{Connection, on_handshake};
use crate::net::error::Error;
use crate::net::tls::{Logged, ServerName, Tls, Trust};
use crate::nginx::conf::Cf;
use crate::nginx::{AGAIN, OK, borrowed_str, pool};

/// OpenSSL's settings and trusted certificates, made when the configuration is read.
pub struct SslContext {
    /// Boxed: nginx keeps pointers into it.
    ssl: Box<UnsafeCell<ngx_ssl_t>>,
    verify: bool,
}

impl SslContext {
    /// An error is a mistake in the certificates; there is always a context otherwise.
    pub fn new(cf: Cf<'_>, trust: &Trust) -> Result<Option<Rc<SslContext>>, Logged> {
        // SAFETY: nginx makes its own from zeroes.
        let ssl = Box::new(UnsafeCell::new(unsafe { mem::zeroed::<ngx_ssl_t>() }));
        // SAFETY: nginx is reading the configuration; the box does not move what is in it. What is made here is
        // freed by `drop`.
        unsafe {
            (*ssl.get()).log = cf.log().as_ptr();
            let protocols = NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3;
            if ngx_ssl_create(ssl.get(), protocols as usize, ptr::null_mut()) != OK {
                return Err(Logged);
            }
            let context = SslContext {
                ssl,
                verify: trust.verify,
            };
            let ssl = context.ssl.get();
            // hyper may write from another place what it could not write before.
            let mode = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
            SSL_CTX_ctrl(
                (*ssl).ctx,
                SSL_CTRL_MODE as i32,
                mode as c_long,
                ptr::null_mut(),
            );
            if trust.verify || trust.file.is_some() {
                // nginx makes a full path of the name, in its pool, and keeps it.
                let mut file = match &trust.file {
                    Some(file) => pool::copy((*cf.as_ptr()).pool, file).ok_or(Logged)?,
                    None => ngx_str_t::empty(),
                };
                let depth = trust.depth as isize;
                if ngx_ssl_trusted_certificate(cf.as_ptr(), ssl, &mut file, depth) != OK {
                    return Err(Logged);
                }
            }
            if trust.verify && trust.file.is_none() {
                match crate::net::tls::roots::of_system() {
                    // The context takes the reference.
                    Ok(Some(store)) => SSL_CTX_set_cert_store((*ssl).ctx, store),
                    Ok(None) => {}
                    Err(function) => {
                        cf.error(format_args!("{function}() failed"));
                        return Err(Logged);
                    }
                }
            }
            Ok(Some(Rc::new(context)))
        }
    }
}

impl Drop for SslContext {
    fn drop(&mut self) {
        // SAFETY: `new` has made it; connections that still use it have references of their own.
        unsafe { ngx_ssl_cleanup_ctx(self.ssl.get().cast()) };
    }
}

/// Makes TLS of a connection that has just been established.
pub async fn handshake(
    connection: &Connection,
    context: &SslContext,
    tls: &Tls,
) -> Result<(), Error> {
    let failed = |reason: String| Error::Tls {
        with: format!("{} ({})", tls.name, connection.server()),
        reason,
    };
    let raw = connection.as_ptr();
    // SAFETY: the connection is open, and was not TLS; `ssl` is there from here on.
    let result = unsafe {
        if ngx_ssl_create_connection(context.ssl.get(), raw, NGX_SSL_CLIENT as usize) != OK {
            return Err(failed(connection.said("out of memory")));
        }
        prepare((*(*raw).ssl).connection, tls).map_err(|reason| failed(reason.into()))?;
        let result = ngx_ssl_handshake(raw);
        (*(*raw).ssl).handler = Some(on_handshake);
        result
    };
    if result == AGAIN {
        poll_fn(|context| connection.poll_handshake(context)).await;
    } else if result != OK {
        return Err(failed(connection.said("handshake failed")));
    }
    // SAFETY: the connection is open, and was not TLS; `ssl` is there from here on.
    unsafe {
        if (*(*raw).ssl).handshaked() == 0 {
            return Err(failed(connection.said("handshake failed")));
        }
        if context.verify {
            verify(raw, &tls.name).map_err(failed)?;
        }
        mark(raw, tls).map_err(|reason| failed(reason.into()))
    }
}

/// Sets the server's name and the protocol.
///
/// # Safety
/// `ssl` has not shaken hands yet.
unsafe fn prepare(ssl: *mut SSL, tls: &Tls) -> Result<(), &'static str> {
    // SAFETY: `ssl` has not shaken hands yet; OpenSSL copies both.
    unsafe {
        if let ServerName::Dns(name) = &tls.name {
            let name = CString::new(name.as_str()).map_err(|_| "invalid server name")?;
            let (set, host_name) = (SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name);
            if SSL_ctrl(
                ssl,
                set as i32,
                host_name.into(),
                name.as_ptr().cast_mut().cast(),
            ) != 1
            {
                return Err("invalid server name");
            }
        }
        if let ServerName::Ip(ip) = &tls.name {
            let ip = CString::new(ip.to_string()).map_err(|_| "invalid address")?;
            if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), ip.as_ptr()) != 1 {
                return Err("invalid address");
            }
        }
        if tls.alpn.is_empty() {
            return Ok(());
        }
        match SSL_set_alpn_protos(ssl, tls.alpn.as_ptr(), tls.alpn.len() as u32) {
            0 => Ok(()),
            _ => Err("SSL_set_alpn_protos() failed"),
        }
    }
}

/// Is the server's certificate to be trusted, and is it for this name?
///
/// # Safety
/// `raw` has shaken hands.
unsafe fn verify(raw: *mut ngx_connection_t, name: &ServerName) -> Result<(), String> {
    // SAFETY: `raw` has shaken hands; a text of OpenSSL's is constant.
    unsafe {
        let ssl = (*(*raw).ssl).connection;
        let result = SSL_get_verify_result(ssl);
        if result != c_long::from(X509_V_OK) {
            let text = X509_verify_cert_error_string(result);
            let text = std::ffi::CStr::from_ptr(text).to_string_lossy();
            return Err(format!("certificate verify error: ({result}:{text})"));
        }
        match name {
            ServerName::Dns(name)
                if ngx_ssl_check_host(raw, &mut borrowed_str(name.as_bytes())) != OK =>
            {
                Err(format!("certificate does not match \"{name}\""))
            }
            // `prepare` has OpenSSL check addresses.
            _ => Ok(()),
        }
    }
}

/// Notes on the connection whom it was made for: nginx's keep-alive tells idle connections apart
/// by their addresses alone.
///
/// # Safety
/// `raw` is open and has a pool.
unsafe fn mark(raw: *mut ngx_connection_t, tls: &Tls) -> Result<(), &'static str> {
    // SAFETY: `raw` is open and has a pool; the pool drops the note, and so does it if there is no room.
    unsafe {
        let note = Box::into_raw(Box::new(tls.clone()));
        if pool::on_destroy((*raw).pool, drop_note, note.cast()).is_null() {
            drop(Box::from_raw(note));
            return Err("out of memory");
        }
        Ok(())
    }
}

unsafe extern "C" fn drop_note(note: *mut c_void) {
    // SAFETY: it came from a box in `mark`, and the pool calls this once.
    crate::nginx::guard::guard((), || unsafe { drop(Box::from_raw(note.cast::<Tls>())) });
}

/// Is it TLS?
///
/// # Safety
/// `raw` is open.
pub unsafe fn is_tls(raw: *mut ngx_connection_t) -> bool {
    // SAFETY: `raw` is open.
    unsafe { !(*raw).ssl.is_null() }
}

/// Can an idle connection serve a call that wants this? TLS must have been made by the same
/// context, which stands for what was verified, with the same name and protocol.
///
/// # Safety
/// `raw` is open and has a pool.
pub unsafe fn serves(
    raw: *mut ngx_connection_t,
    context: Option<&SslContext>,
    tls: Option<&Tls>,
) -> bool {
    // SAFETY: `raw` is open and has a pool; with the handler of `mark` comes its note.
    unsafe {
        let (Some(context), Some(tls)) = (context, tls) else {
            return (*raw).ssl.is_null() && tls.is_none();
        };
        let Some(ssl) = (*raw).ssl.as_ref() else {
            return false;
        };
        if SSL_get_SSL_CTX(ssl.connection) != (*context.ssl.get()).ctx {
            return false;
        }
        let mut next: *const ngx_pool_cleanup_t = (*(*raw).pool).cleanup;
        while let Some(cleanup) = next.as_ref() {
            let is_note = |handler: unsafe extern "C" fn(*mut c_void)| {
                ptr::fn_addr_eq(handler, drop_note as unsafe extern "C" fn(*mut c_void))
            };
            if cleanup.handler.is_some_and(is_note) {
                return *cleanup.data.cast_const().cast::<Tls>() == *tls;
            }
            next = cleanup.next;
        }
        false
    }
}
