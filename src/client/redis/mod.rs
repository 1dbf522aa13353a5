//! A client for Redis over nginx's event loop.
//!
//! A [`Client`] belongs to a worker. Its connections are shared by all that call the same server with the same
//! login: commands are written one behind the other without waiting for replies. It knows nothing of guests: whoever has
//! a [`Service`], a [`Command`] and a share of a budget can call.

pub mod cluster;
pub mod command;
pub mod failure;
pub mod frame;
pub mod link;
pub mod service;
pub mod subscription;
pub mod url;

use std::cell::RefCell;
use std::rc::Rc;

use crate::client::budget::{Budget, CALL};
use crate::client::redis::cluster::{Node, Redirect, Slots};
use crate::client::redis::command::Command;
use crate::client::redis::failure::Failure;
use crate::client::redis::link::{Bytes, Key, Link, Links};
use crate::client::redis::service::Service;
use crate::net::error::{Error, Wait};
use crate::net::origin::Origin;
use crate::net::timer::timeout;
use crate::nginx::log::Log;

/// Redirections that one call follows; the Redis Cluster specification sets no number, its clients take about as many.
const MAX_REDIRECTS: usize = 5;

/// The connections of a worker, and what it knows of clusters. Clone = refcount.
#[derive(Clone, Default)]
pub struct Client(Rc<Inner>);

#[derive(Default)]
struct Inner {
    links: Links,
    slots: RefCell<Slots>,
}

/// A command for a service.
pub struct Call {
    /// Without a request.
    origin: Origin,
    service: Service,
    command: Rc<Bytes>,
    slot: Option<u16>,
    alone: bool,
    budget: Budget,
}

impl Client {
    /// Makes a call: the reply in RESP2, which may be an error of the server's.
    pub async fn call(&self, call: Call) -> Result<Vec<u8>, Failure> {
        // The connection that a reply is due on.
        let link: RefCell<Option<Rc<Link>>> = RefCell::default();
        let limit = match call.service.timeout.is_zero() {
            true => call.origin.conf.read_timeout,
            false => call.service.timeout,
        };
        if let Some(result) = timeout(limit, self.tries(&call, &link)).await {
            return result;
        }
        if let Some(link) = link.take() {
            link.late();
        }
        Err(Failure::Timeout(Error::Timeout {
            with: call.service.target.to_string(),
            wait: Wait::Call,
        }))
    }

    async fn tries(
        &self,
        call: &Call,
        current: &RefCell<Option<Rc<Link>>>,
    ) -> Result<Vec<u8>, Failure> {
        let whole = Node {
            target: call.service.target.clone(),
            tls: call.service.tls.clone(),
        };
        let service = Key::new(&call.origin, &whole, &call.service);
        // A node of a cluster, and not the service itself.
        let mut node = self.0.slots.borrow().node(&service, call.slot);
        let mut asking = false;
        let mut redirects = 0;
        let mut again = true;
        loop {
            let link = self.link(call, node.as_ref().unwrap_or(&whole));
            let link = link.ok_or(Failure::TooMany)?;
            current.replace(Some(link.clone()));
            let share = call.budget.share();
            let limit = call.origin.conf.buffer_size;
            let reply = match asking {
                true => link.send(&[asking_command(), call.command.clone()], limit, share),
                false => link.send(std::slice::from_ref(&call.command), limit, share),
            };
            let (reply, share) = match (reply.await, &node) {
                (Ok(reply), _) => reply,
                // What is known of the cluster is out of date.
                (Err(Failure::Connect(_)), Some(lost)) if again => {
                    self.0.slots.borrow_mut().lost(&service, lost);
                    (node, asking, again) = (None, false, false);
                    continue;
                }
                (Err(Failure::Unsent(_)), _) if again => {
                    again = false;
                    continue;
                }
                (Err(failure), _) => return Err(failure),
            };
            let redirect = Redirect::parse(&reply).filter(|_| redirects < MAX_REDIRECTS);
            let Some((redirect, next)) = redirect.and_then(|redirect| {
                let next = redirect.node(&call.service, &link.server())?;
                Some((redirect, next))
            }) else {
                drop(share);
                return Ok(reply);
            };
            redirects += 1;
            asking = redirect.ask;
            if !redirect.ask {
                let mut slots = self.0.slots.borrow_mut();
                slots.moved(&service, redirect.slot, next.clone());
            }
            node = Some(next);
        }
    }

    fn link(&self, call: &Call, node: &Node) -> Option<Rc<Link>> {
        let open = |place| Link::open(place, &call.origin, node, &call.service);
        match call.alone {
            true => self.0.links.alone(open),
            false => {
                let key = Key::new(&call.origin, node, &call.service);
                self.0.links.get(&key, open)
            }
        }
    }
}

impl Call {
    /// The cycle's, which lives as long as the call.
    pub fn log(&self) -> Log {
        self.origin.log()
    }

    /// Nothing of the origin's request is kept. `None`: the budget has no room.
    pub fn new(
        origin: &Origin,
        service: &Service,
        command: Command,
        budget: &Budget,
    ) -> Option<Call> {
        // It is copied once more to be written.
        let share = budget.take(CALL + 2 * command.bytes.len())?;
        Some(Call {
            origin: origin.detached(),
            service: service.clone(),
            slot: command.slot,
            alone: command.alone,
            command: Bytes::new(command.bytes, Some(share)),
            budget: budget.clone(),
        })
    }
}

/// What comes before a command that ASK has sent to another node.
fn asking_command() -> Rc<Bytes> {
    Bytes::new(b"*1\r\n$6\r\nASKING\r\n".to_vec(), None)
}
