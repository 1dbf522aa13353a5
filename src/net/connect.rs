//! Making connections, and giving them back.

pub mod open;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{io, ptr};

use hyper::rt::{Read, ReadBufCursor, Write};
use ngx::ffi::ngx_connection_t;

use crate::net::address::Address;
use crate::net::connect::open::open;
use crate::net::connection::{Connection, given_up};
use crate::net::error::Error;
use crate::net::origin::Origin;
use crate::net::resolve::resolve;
use crate::net::slots::Slot;
use crate::net::target::{Target, Upstream};
use crate::net::timer::timeout;
use crate::net::tls::Tls;
use crate::net::upstream::peer::Peer;
use crate::net::{close, pool, tls};
use crate::nginx::log::Level;

/// What a connection is wanted for.
#[derive(Clone)]
pub struct Want {
    pub tls: Option<Tls>,
    /// Not one that has served a request before.
    pub fresh: bool,
    /// When the call's own time is over. A server of an `upstream` block that has given no answer
    /// by then has failed, as with nginx's `proxy_read_timeout`.
    pub deadline: Option<Instant>,
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
    owner: Owner,
    /// Given back behind the connection.
    _slot: Slot,
}

/// Where a connection goes when it has served its call.
enum Owner {
    /// The pool of this worker, under this name.
    Pool(String),
    /// nginx's balancer and keep-alive of an `upstream` block.
    Peer(Peer),
}

impl Conn {
    /// Has it served other requests? Its server may have closed it just now, so a request that
    /// gets no byte of a response may be sent again on a fresh one.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// The server's address, for messages.
    pub fn server(&self) -> &str {
        self.io.server()
    }

    /// Time between two successive reads; `None` for none.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.io.set_read_timeout(timeout);
    }

    /// Gives the connection back. One that is only dropped is closed.
    pub fn release(self, outcome: Outcome) {
        let raw = match outcome {
            Outcome::KeepAlive if !self.io.is_stale() => self.io.detach(),
            _ => ptr::null_mut(),
        };
        // SAFETY: it was attached, so it is open, has a pool, and is now nobody else's.
        unsafe {
            match self.owner {
                Owner::Peer(mut peer) if raw.is_null() => {
                    peer.free(outcome == Outcome::Failed);
                }
                // nginx's proxy takes what is kept in a block without a look at whom TLS was made
                // for, and whether that was verified.
                Owner::Peer(mut peer) if tls::is_tls(raw) => {
                    let name = kept_name(peer.name(), self.io.server());
                    peer.free(false);
                    pool::put(name, raw);
                }
                Owner::Peer(peer) => {
                    if let Some(raw) = peer.keep(raw) {
                        close::close(raw);
                    }
                }
                Owner::Pool(target) if !raw.is_null() => pool::put(target, raw),
                Owner::Pool(_) => {}
            }
        }
    }
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

/// A connection to the target, in TLS if that is wanted: an idle one, or a new one to the first
/// server that can be reached.
pub async fn connect(origin: &Origin, target: &Target, want: &Want) -> Result<Conn, Error> {
    if given_up() {
        return Err(Error::Internal {
            reason: "the worker is shutting down".into(),
        });
    }
    let name = target.to_string();
    let wait = timeout(origin.conf.connect_timeout, origin.caller.slots.take());
    let slot = wait.await;
    let slot = slot.ok_or_else(|| Error::NoConnection { name: name.clone() })?;
    if !want.fresh
        && !matches!(target, Target::Upstream(_))
        && let Some(raw) = pool::take(&name, context(origin, want), want.tls.as_ref())
    {
        return Ok(Conn {
            // SAFETY: the pool gave it away.
            io: unsafe { reuse(origin, &name, raw) },
            reused: true,
            owner: Owner::Pool(name),
            _slot: slot,
        });
    }
    let io = match target {
        Target::Upstream(upstream) => return to_upstream(origin, upstream, want, slot).await,
        Target::Name { host, port } => {
            let addresses = resolve(origin, host, *port).await?;
            to_any(origin, &addresses, want).await?
        }
        Target::Address(address) => open(origin, address, want).await?,
    };
    Ok(Conn {
        io,
        reused: false,
        owner: Owner::Pool(name),
        _slot: slot,
    })
}

/// A connection to the first of these addresses that can be reached.
async fn to_any(origin: &Origin, addresses: &[Address], want: &Want) -> Result<Connection, Error> {
    let mut failed = None;
    for address in addresses {
        if let Some(error) = failed {
            try_next(origin, &error);
        }
        match open(origin, address, want).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or(Error::Internal {
        reason: "no addresses".into(),
    }))
}

/// A connection to a server of the block: an idle one of nginx's keep-alive, or a new one to the
/// first server that can be reached (`ngx_http_upstream_connect` and `ngx_http_upstream_next`).
async fn to_upstream(
    origin: &Origin,
    upstream: &Upstream,
    want: &Want,
    slot: Slot,
) -> Result<Conn, Error> {
    let mut peer = Peer::new(origin, upstream, want.deadline)?;
    let mut failed = None;
    loop {
        let choice = match peer.choose() {
            Ok(choice) => choice,
            Err(error) => return Err(failed.unwrap_or(error)),
        };
        if let Some(error) = &failed {
            try_next(origin, error);
        }
        if let Some(raw) = choice.idle {
            // SAFETY: nginx's keep-alive gave it away.
            unsafe {
                if !want.fresh
                    && tls::serves(raw, context(origin, want), want.tls.as_ref())
                    && !close::has_news(raw)
                {
                    return Ok(Conn {
                        io: reuse(origin, choice.address.text(), raw),
                        reused: true,
                        owner: Owner::Peer(peer),
                        _slot: slot,
                    });
                }
                close::close(raw);
            }
        }
        let name = kept_name(&upstream.name, choice.address.text());
        if want.tls.is_some()
            && !want.fresh
            && let Some(raw) = pool::take(&name, context(origin, want), want.tls.as_ref())
        {
            return Ok(Conn {
                // SAFETY: the pool gave it away.
                io: unsafe { reuse(origin, choice.address.text(), raw) },
                reused: true,
                owner: Owner::Peer(peer),
                _slot: slot,
            });
        }
        match open(origin, &choice.address, want).await {
            Ok(io) => {
                return Ok(Conn {
                    io,
                    reused: false,
                    owner: Owner::Peer(peer),
                    _slot: slot,
                });
            }
            Err(error) => {
                if !peer.free(true) {
                    return Err(error);
                }
                failed = Some(error);
            }
        }
    }
}

/// Where the pool keeps TLS to a server of a block; no target is displayed like this.
fn kept_name(upstream: &str, server: &str) -> String {
    format!("upstream {upstream} {server}")
}

fn try_next(origin: &Origin, error: &Error) {
    let line = format_args!("[wasm] {error}, trying the next server");
    origin.write_line(Level::Error, line);
}

/// # Safety
/// As for [`Connection::attach`].
unsafe fn reuse(origin: &Origin, server: &str, raw: *mut ngx_connection_t) -> Connection {
    let conf = &origin.conf;
    let connection = Connection::prepare(server, conf.read_timeout, conf.send_timeout);
    // SAFETY: by the contract.
    unsafe {
        (*raw).requests += 1;
        connection.attach(raw);
    }
    connection
}

fn context<'a>(origin: &'a Origin, want: &Want) -> Option<&'a tls::SslContext> {
    want.tls.as_ref()?;
    origin.conf.tls.as_ref().map(Rc::as_ref)
}
