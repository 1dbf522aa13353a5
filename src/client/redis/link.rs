//! A connection to a Redis server, which many calls share: commands are written one behind the
//! other, and replies come in the same order.

pub mod run;
pub mod slot;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

use crate::client::budget::Share;
use crate::client::redis::cluster::Node;
use crate::client::redis::failure::Failure;
use crate::client::redis::link::slot::{Reply, Slot};
use crate::client::redis::service::{Login, Service};
use crate::net::executor::Task;
use crate::net::origin::Origin;
use crate::net::timer::{is_cancelable, spawn_call};

/// Calls with the same key may share a connection.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    server: String,
    tls: Option<String>,
    login: Login,
    /// The address of the location's configuration, which says how to trust a server.
    conf: usize,
}

impl Key {
    pub fn new(origin: &Origin, node: &Node, service: &Service) -> Key {
        Key {
            server: node.target.to_string(),
            tls: node.tls.as_ref().map(|tls| tls.name.to_string()),
            login: service.login.clone(),
            conf: Rc::as_ptr(&origin.conf).addr(),
        }
    }
}

/// A connection, or one that is being made. Dropping it closes it.
pub struct Link {
    pipe: Rc<Pipe>,
    _task: Task,
    _place: Place,
}

/// What those who call and the task that writes and reads have in common.
pub struct Pipe {
    phase: RefCell<Phase>,
    /// Nothing of these has been written.
    unsent: RefCell<VecDeque<Entry>>,
    /// How many of them there may be before some are looked for that nobody wants.
    prune: Cell<usize>,
    /// Whose replies are to come, in order.
    waiting: RefCell<VecDeque<Rc<Slot>>>,
    task: Cell<Option<Waker>>,
    retired: Cell<bool>,
    /// Its address, once there is a connection.
    server: RefCell<String>,
}

enum Phase {
    Connecting,
    Open,
    Failed(Failure),
}

/// A command's bytes, with what they take of a budget for as long as anybody has them.
pub struct Bytes {
    bytes: Box<[u8]>,
    _share: Option<Share>,
}

impl Bytes {
    pub fn new(bytes: Vec<u8>, share: Option<Share>) -> Rc<Bytes> {
        Rc::new(Bytes {
            bytes: bytes.into(),
            _share: share,
        })
    }
}

/// Commands that are to be written together, each with the slot of its reply.
struct Entry {
    commands: Vec<(Rc<Bytes>, Rc<Slot>)>,
}

impl Entry {
    /// Does anybody wait for the reply to the last one?
    fn is_wanted(&self) -> bool {
        let last = self.commands.last();
        last.is_some_and(|(_, slot)| !slot.is_abandoned())
    }
}

/// So many commands may wait to be written before those that nobody wants any more are looked for.
const PRUNE: usize = 64;

impl Link {
    pub fn open(place: Place, origin: &Origin, node: &Node, service: &Service) -> Link {
        let pipe = Rc::new(Pipe {
            phase: RefCell::new(Phase::Connecting),
            unsent: RefCell::default(),
            prune: Cell::new(PRUNE),
            waiting: RefCell::default(),
            task: Cell::default(),
            retired: Cell::new(false),
            server: RefCell::default(),
        });
        let (node, login) = (node.clone(), service.login.clone());
        let run = run::run(pipe.clone(), origin.clone(), node, login);
        Link {
            pipe,
            _place: place,
            _task: spawn_call(!is_cancelable(), run),
        }
    }

    /// Can commands be sent, now or when the connection is made?
    pub fn is_usable(&self) -> bool {
        !self.pipe.retired.get() && !matches!(*self.pipe.phase.borrow(), Phase::Failed(_))
    }

    /// A reply is late: the connection is left to those that wait for one. One that is still being made has a time
    /// limit of its own.
    pub fn late(&self) {
        if matches!(*self.pipe.phase.borrow(), Phase::Open) {
            self.pipe.retired.set(true);
        }
    }

    /// The address of the server.
    pub fn server(&self) -> String {
        self.pipe.server.borrow().clone()
    }

    /// Sends commands and waits for the reply to the last one. `limit`: bytes of a reply, which `share` is charged with.
    pub fn send(&self, commands: &[Rc<Bytes>], limit: usize, share: Share) -> Reply {
        let slots = Slot::of(commands.len(), limit, share);
        let last = slots.last().cloned();
        if let Phase::Failed(failure) = &*self.pipe.phase.borrow() {
            slots.iter().for_each(|slot| slot.end(Err(failure.clone())));
        } else {
            let commands = commands.iter().cloned().zip(slots).collect();
            self.pipe.push(Entry { commands });
            if let Some(waker) = self.pipe.task.take() {
                waker.wake();
            }
        }
        Reply::new(last)
    }
}

impl Pipe {
    /// Commands of calls that have ended meanwhile do not pile up while a connection is being made, or takes nothing.
    fn push(&self, entry: Entry) {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.len() >= self.prune.get() {
            unsent.retain(Entry::is_wanted);
            self.prune.set(PRUNE.max(2 * unsent.len()));
        }
        unsent.push_back(entry);
    }

    /// The connection is over: whoever waits is told.
    fn fail(&self, failure: Failure) {
        self.phase.replace(Phase::Failed(failure.clone()));
        let waiting = self.waiting.take();
        for slot in waiting {
            slot.end(Err(failure.clone()));
        }
        let unsent = self.unsent.take();
        let failure = match failure {
            Failure::Connect(_) | Failure::Refused { .. } => failure,
            failure => Failure::Unsent(failure.to_string()),
        };
        for (_, slot) in unsent.into_iter().flat_map(|entry| entry.commands) {
            slot.end(Err(failure.clone()));
        }
    }
}

/// Connections of a worker, shared or not.
const MAX_LINKS: usize = 512;

/// The connections of a worker.
#[derive(Default)]
pub struct Links {
    /// Those that calls share.
    shared: RefCell<Vec<(Key, Rc<Link>)>>,
    count: Rc<Cell<usize>>,
}

/// One of as many connections as there may be.
pub struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Idle connections that are kept at most: twice as many as for gRPC, since each node of a cluster has one.
const MAX_IDLE: usize = 64;

impl Links {
    /// A connection of its own; `None`: there are too many.
    pub fn alone(&self, open: impl FnOnce(Place) -> Link) -> Option<Rc<Link>> {
        self.place().map(|place| Rc::new(open(place)))
    }

    fn place(&self) -> Option<Place> {
        let count = self.count.get();
        (count < MAX_LINKS).then(|| {
            self.count.set(count + 1);
            Place(self.count.clone())
        })
    }

    /// The connection for this key; `None`: there are too many.
    pub fn get(&self, key: &Key, open: impl FnOnce(Place) -> Link) -> Option<Rc<Link>> {
        let mut links = self.shared.borrow_mut();
        if let Some((_, link)) = links.iter().find(|(known, _)| known == key)
            && link.is_usable()
        {
            return Some(link.clone());
        }
        // Guests name upstreams as they like, so what is of no use is not kept; nor are the oldest of
        // too many.
        let mut idle = links
            .iter()
            .filter(|(_, link)| link.is_usable() && Rc::strong_count(link) == 1)
            .count();
        let mut dropped = Vec::new();
        let mut index = 0;
        while index < links.len() {
            let link = &links[index].1;
            let over = Rc::strong_count(link) == 1 && idle >= MAX_IDLE;
            if link.is_usable() && !over {
                index += 1;
                continue;
            }
            idle -= usize::from(over && link.is_usable());
            dropped.push(links.remove(index));
        }
        drop(links);
        // It closes connections, which is done when nothing is borrowed.
        drop(dropped);
        let link = self.alone(open)?;
        let mut links = self.shared.borrow_mut();
        links.push((key.clone(), link.clone()));
        Some(link)
    }
}
