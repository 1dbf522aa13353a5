//! Making connections, and giving them back.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use ngx::ffi::{
    ngx_connection_log_error_e_NGX_ERROR_ERR, ngx_connection_t, ngx_create_pool, ngx_cycle,
    ngx_event_connect_peer, ngx_event_get_peer, ngx_peer_connection_t, ngx_tcp_nodelay,
};

use super::address::Address;
use super::close;
use super::connection::Connection;
use super::error::{Error, Wait};
use super::origin::Origin;
use super::target::Target;
use super::timer::timeout;
use super::tls::{self, Tls};
use crate::nginx::{AGAIN, OK, borrowed_str};

/// What a connection is wanted for.
#[derive(Clone)]
pub struct Want {
    pub tls: Option<Tls>,
    /// Not one that has served a request before.
    pub fresh: bool,
}

/// How a call has left its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Request and response are complete, and it may serve another request.
    KeepAlive,
    /// It is not to be used again, through no fault of the server.
    Close,
    /// The server failed: no whole response has come. Counts towards its `max_fails`.
    Failed,
}

/// A connection for one call.
pub struct Conn {
    io: Connection,
    reused: bool,
}

impl Conn {
    /// Has it served other requests? Its server may have closed it just now, so a request that
    /// gets no byte of a response may be sent again on a fresh one.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// Time between two successive reads; `None` for none.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.io.set_read_timeout(timeout);
    }

    /// The server's address, for messages.
    pub fn server(&self) -> &str {
        self.io.server()
    }

    /// Gives the connection back. One that is only dropped is closed.
    pub fn release(self, _outcome: Outcome) {}
}

impl Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// A connection to the target, in TLS if that is wanted.
pub async fn connect(origin: &Origin, target: &Target, want: &Want) -> Result<Conn, Error> {
    match target {
        Target::Address(address) => Ok(Conn {
            io: open(origin, address, want).await?,
            reused: false,
        }),
        Target::Upstream(_) | Target::Name { .. } => Err(Error::Internal {
            reason: "not there yet".into(),
        }),
    }
}

/// A new connection to this address, ready for a request.
pub(super) async fn open(
    origin: &Origin,
    address: &Address,
    want: &Want,
) -> Result<Connection, Error> {
    let conf = &origin.conf;
    let connection = Connection::prepare(address.text(), conf.read_timeout, conf.send_timeout);
    let opening = async {
        if start(&connection, address)? {
            poll_fn(|context| connection.poll_writable(context)).await;
        }
        established(&connection)?;
        match &want.tls {
            None => Ok(()),
            Some(wanted) => match conf.tls() {
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

/// TLS and nginx's keep-alive want a pool that lives as long as the connection.
///
/// # Safety
/// `raw` is open and has no pool.
unsafe fn give_pool(raw: *mut ngx_connection_t) -> bool {
    // SAFETY: by the contract.
    unsafe {
        (*raw).log = (*ngx_cycle).log;
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
        reason: io::Error::from_raw_os_error(error).to_string(),
    })
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
