//! Opening a connection to one address.

use std::future::poll_fn;
use std::io;

use ngx::ffi::{
    ngx_connection_log_error_e_NGX_ERROR_ERR, ngx_connection_t, ngx_create_pool, ngx_cycle,
    ngx_event_connect_peer, ngx_event_get_peer, ngx_peer_connection_t, ngx_tcp_nodelay,
};

use crate::net::address::Address;
use crate::net::connect::Want;
use crate::net::connection::Connection;
use crate::net::error::{Error, Wait};
use crate::net::origin::Origin;
use crate::net::timer::timeout;
use crate::net::{close, pool, tls};
use crate::nginx::{AGAIN, OK, borrowed_str};

/// A new connection to this address, ready for a request.
pub async fn open(origin: &Origin, address: &Address, want: &Want) -> Result<Connection, Error> {
    let conf = &origin.conf;
    pool::shrink(origin.caller.slots.room_for_idle());
    let connection = Connection::prepare(address.text(), conf.read_timeout, conf.send_timeout);
    let opening = async {
        if start(&connection, address)? {
            poll_fn(|context| connection.poll_writable(context)).await;
        }
        established(&connection)?;
        match &want.tls {
            None => Ok(()),
            Some(wanted) => match conf.tls.as_ref() {
                Some(context) => tls::handshake(&connection, context, wanted).await,
                None => Err(Error::Internal {
                    reason: "this nginx is built without SSL".into(),
                }),
            },
        }
    };
    match timeout(conf.connect_timeout, opening).await {
        Some(Ok(())) => Ok(connection),
        Some(Err(error)) => Err(error),
        None => Err(Error::Timeout {
            with: address.to_string(),
            wait: Wait::Connect,
        }),
    }
}

/// Starts to connect; must it be waited for?
fn start(connection: &Connection, address: &Address) -> Result<bool, Error> {
    let mut name = borrowed_str(address.text().as_bytes());
    // SAFETY: nginx makes its own from zeroes; it looks at addresses and names only, and keeps
    // nothing but the log, which lives as long as the connection.
    let (result, raw) = unsafe {
        let mut peer: ngx_peer_connection_t = std::mem::zeroed();
        peer.sockaddr = address.as_ptr().cast_mut();
        peer.socklen = address.len();
        peer.name = &mut name;
        peer.get = Some(ngx_event_get_peer);
        peer.log = connection.log();
        peer.set_log_error(ngx_connection_log_error_e_NGX_ERROR_ERR);
        (ngx_event_connect_peer(&mut peer), peer.connection)
    };
    if raw.is_null() || (result != OK && result != AGAIN) {
        return Err(refused(connection, address.text()));
    }
    // SAFETY: it is open and new; nobody else knows it.
    unsafe {
        if !give_pool(raw) {
            close::close(raw);
            return Err(Error::Internal {
                reason: "out of memory".into(),
            });
        }
        connection.attach(raw);
    }
    Ok(result == AGAIN)
}

/// Counts the first request, and gives a pool: TLS and nginx's keep-alive want one that lives as long as the connection.
///
/// # Safety
/// `raw` is open and has no pool.
unsafe fn give_pool(raw: *mut ngx_connection_t) -> bool {
    // SAFETY: `raw` is open and has no pool.
    unsafe {
        (*raw).log = (*ngx_cycle).log;
        (*raw).requests = 1;
        (*raw).pool = ngx_create_pool(128, (*ngx_cycle).log);
        !(*raw).pool.is_null()
    }
}

/// Has the connection come about?
fn established(connection: &Connection) -> Result<(), Error> {
    let raw = connection.as_ptr();
    let mut error: libc::c_int = 0;
    let mut len = size_of_val(&error) as libc::socklen_t;
    // SAFETY: the socket is open; the option is an int.
    unsafe {
        let (level, option) = (libc::SOL_SOCKET, libc::SO_ERROR);
        if libc::getsockopt((*raw).fd, level, option, (&raw mut error).cast(), &mut len) != 0 {
            error = *libc::__errno_location();
        }
        if error == 0 {
            if ngx_tcp_nodelay(raw) != OK {
                return Err(refused(connection, connection.server()));
            }
            return Ok(());
        }
        (*raw).set_error(1);
    }
    Err(Error::Connect {
        to: connection.server().to_owned(),
        reason: os_error(error),
    })
}

/// As nginx writes it: "111: Connection refused".
fn os_error(number: i32) -> String {
    let text = io::Error::from_raw_os_error(number).to_string();
    let own = format!(" (os error {number})");
    format!("{number}: {}", text.strip_suffix(&own).unwrap_or(&text))
}

/// Why nginx could not connect. Its line ends with "(111: Connection refused)".
fn refused(connection: &Connection, to: &str) -> Error {
    let said = connection.said("");
    let reason = said
        .strip_suffix(')')
        .and_then(|said| said.rsplit_once('('))
        .filter(|(_, reason)| reason.starts_with(|c: char| c.is_ascii_digit()))
        .map_or(said.as_str(), |(_, reason)| reason);
    Error::Connect {
        to: to.to_owned(),
        reason: if reason.is_empty() {
            "out of connections"
        } else {
            reason
        }
        .to_owned(),
    }
}
