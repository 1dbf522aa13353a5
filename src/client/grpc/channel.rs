//! HTTP/2 connections, each shared by the gRPC calls to an upstream.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use hyper::client::conn::http2::{Builder, SendRequest};

use crate::client::body::Feed;
use crate::net::connect::{Want, connect};
use crate::net::executor::{Task, TaskGroup, spawn};
use crate::net::origin::Origin;
use crate::net::target::Target;
use crate::net::timer::{cancelable, is_cancelable};
use crate::net::tls::Tls;

/// Idle connections that are kept at most; nginx's manual shows the same number for `keepalive`.
const MAX_IDLE: usize = 32;

/// Bytes of a header list that are taken.
const MAX_HEADER: u32 = 64 * 1024;

/// The HTTP/2 connections of a worker.
#[derive(Clone, Default)]
pub struct Channels(Rc<RefCell<HashMap<Key, Rc<Channel>>>>);

/// Calls with the same key may share a connection.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    upstream: String,
    tls: bool,
    /// The address of the location's configuration, which says how to trust a server.
    conf: usize,
    /// The address of what stands for the module: others must not have to wait for its connections.
    module: usize,
}

/// A connection, or one that is being made.
pub struct Channel {
    state: RefCell<State>,
    /// Has there been an answer?
    pub worked: Cell<bool>,
    retired: Cell<bool>,
    /// What hyper has running for the streams of the connection.
    streams: TaskGroup,
    task: RefCell<Option<Task>>,
}

enum State {
    Connecting(Vec<Waker>),
    Open(SendRequest<Feed>),
    Failed(String),
}

impl Channels {
    /// The connection to an upstream.
    pub fn get(&self, origin: &Origin, target: &Target, tls: Option<&Tls>) -> Rc<Channel> {
        let key = Key {
            upstream: target.to_string(),
            tls: tls.is_some(),
            conf: Rc::as_ptr(&origin.conf).addr(),
            module: Rc::as_ptr(&origin.caller.slots).addr(),
        };
        let mut channels = self.0.borrow_mut();
        if let Some(channel) = channels.get(&key)
            && channel.is_usable()
        {
            return channel.clone();
        }
        // Guests name upstreams as they like, so what is of no use is not kept.
        channels.retain(|_, channel| channel.is_usable());
        let (module, full) = (key.module, origin.caller.slots.is_full());
        let mut idle = 0;
        channels.retain(|key, channel| {
            idle += usize::from(Rc::strong_count(channel) == 1);
            let room = idle < MAX_IDLE && !(key.module == module && full);
            Rc::strong_count(channel) > 1 || room
        });
        let channel = Channel::open(origin.detached(), target.clone(), tls.cloned());
        channels.insert(key, channel.clone());
        channel
    }
}

impl Channel {
    fn open(origin: Origin, target: Target, tls: Option<Tls>) -> Rc<Channel> {
        let channel = Rc::new(Channel {
            state: RefCell::new(State::Connecting(Vec::new())),
            worked: Cell::new(false),
            retired: Cell::new(false),
            streams: TaskGroup::default(),
            task: RefCell::new(None),
        });
        let run = run(Rc::downgrade(&channel), origin, target, tls);
        let task = match is_cancelable() {
            true => spawn(cancelable(run)),
            false => spawn(run),
        };
        channel.task.replace(Some(task));
        channel
    }

    /// Can a stream be opened, now or when the connection is made?
    fn is_usable(&self) -> bool {
        !self.retired.get()
            && match &*self.state.borrow() {
                State::Connecting(_) => true,
                State::Open(sender) => !sender.is_closed(),
                State::Failed(_) => false,
            }
    }

    /// Leaves the connection to the streams that it has; new ones get another.
    pub fn retire(&self) {
        self.retired.set(true);
    }

    /// Waits for the connection. The error is one line.
    pub async fn sender(&self) -> Result<SendRequest<Feed>, String> {
        poll_fn(|cx| match &mut *self.state.borrow_mut() {
            State::Connecting(wakers) => {
                if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
            State::Open(sender) => Poll::Ready(Ok(sender.clone())),
            State::Failed(error) => Poll::Ready(Err(error.clone())),
        })
        .await
    }

    fn set(&self, state: State) {
        if let State::Connecting(wakers) = self.state.replace(state) {
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// Makes the connection, and keeps it working.
async fn run(channel: Weak<Channel>, origin: Origin, target: Target, tls: Option<Tls>) {
    let Some(executor) = channel.upgrade().map(|channel| channel.streams.executor()) else {
        return;
    };
    let opened = async {
        let want = Want {
            tls,
            fresh: true,
            deadline: None,
        };
        let conn = connect(&origin, &target, &want)
            .await
            .map_err(|error| error.to_string())?;
        // A stream may be silent for as long as its two ends like.
        conn.set_read_timeout(None);
        Builder::new(executor)
            .max_header_list_size(MAX_HEADER)
            .handshake::<_, Feed>(conn)
            .await
            .map_err(|error| error.to_string())
    };
    let opened = opened.await;
    let Some(channel) = channel.upgrade() else {
        return;
    };
    match opened {
        Ok((sender, connection)) => {
            channel.set(State::Open(sender));
            // The task belongs to the channel.
            drop(channel);
            // Streams get their own errors.
            let _ = connection.await;
        }
        Err(error) => channel.set(State::Failed(error)),
    }
}
