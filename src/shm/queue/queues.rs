//! The shared queues as a process sees them: what its guests have registered, and how they are
//! told of messages.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm_host::{ContextId, Status};

use crate::nginx::event::{Event, Round};
use crate::nginx::log::Log;
use crate::shm::Complaint;
use crate::shm::queue::listeners::Who;
use crate::shm::queue::store::{Queues, Refused};
use crate::shm::wakers::Wakers;
use crate::shm::zone::{Locked, Usage, Zone};

/// A root context that listens to queues.
pub trait Listener {
    /// Tells it that the queue has got a message; called from nginx's event loop. `false`: it
    /// cannot be told any more.
    fn queue_ready(&self, queue: u32) -> bool;

    /// Is there time for another message in this turn of the event loop?
    fn has_time(&self) -> bool;
}

/// A queue that a root context has registered.
#[derive(Clone)]
struct Registration {
    instance: u64,
    root: ContextId,
    queue: u32,
    space: Rc<[u8]>,
    name: Rc<[u8]>,
    listener: Rc<dyn Listener>,
}

/// The shared queues of one process, for one configuration.
pub struct SharedQueues {
    zone: Zone<Queues>,
    /// None in a dry run, which nobody else sees and where nothing is told.
    wakers: Option<Rc<Wakers>>,
    registrations: RefCell<Vec<Registration>>,
    /// Last [`Queues::epoch`] seen.
    epoch: Cell<Option<u32>>,
    /// The process is shutting down: others are to listen.
    leaving: Cell<bool>,
    complaint: Complaint,
    /// Has the next round of the event loop begin without a pause.
    hurry: Event,
}

/// What there is of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueUsage {
    pub zone: Usage,
    pub queues: u64,
    pub messages: u64,
}

/// How often one root context is told in one round of the event loop.
const ROUND: u64 = 64;

impl SharedQueues {
    pub fn new(zone: Zone<Queues>, wakers: Option<Rc<Wakers>>) -> SharedQueues {
        SharedQueues {
            zone,
            wakers,
            registrations: RefCell::default(),
            epoch: Cell::new(None),
            leaving: Cell::new(false),
            complaint: Complaint::default(),
            hurry: Event::new(|| {}),
        }
    }

    /// The number of a queue, which is made if there is none; never 0, the same in all processes.
    /// `listener`, a root context of `instance`, is told of its messages from now on, and of those
    /// that nobody has been told of. `Err(InternalFailure)`: no room, which is said in `log`.
    pub fn register(
        &self,
        (instance, root): (u64, ContextId),
        listener: Rc<dyn Listener>,
        space: &[u8],
        name: &[u8],
        log: Log,
    ) -> Result<u32, Status> {
        let registered = self.try_register(instance, root, listener, space, name);
        if registered.is_none() {
            self.complain(log, format_args!("no room for a queue"));
        }
        registered.ok_or(Status::InternalFailure)
    }

    fn try_register(
        &self,
        instance: u64,
        root: ContextId,
        listener: Rc<dyn Listener>,
        space: &[u8],
        name: &[u8],
    ) -> Option<u32> {
        let who = self.who(instance, root);
        let (queue, ready) = {
            let mut guard = self.lock()?;
            let (queues, slab) = guard.parts();
            let queue = queues.open(slab, space, name)?;
            match self.leaving.get() {
                true => (queue, false),
                false => {
                    let (listeners, messages) = queues.listeners(queue)?;
                    (queue, listeners.add(slab, who, messages)?)
                }
            }
        };
        let mut registrations = self.registrations.borrow_mut();
        registrations.retain(|r| (r.instance, r.root, r.queue) != (instance, root, queue));
        registrations.push(Registration {
            instance,
            root,
            queue,
            space: space.into(),
            name: name.into(),
            listener,
        });
        if ready {
            self.wake(Some(who));
        }
        Some(queue)
    }

    /// The number of a queue; `Err(NotFound)`: there is none.
    pub fn resolve(&self, space: &[u8], name: &[u8]) -> Result<u32, Status> {
        let guard = self.lock().ok_or(Status::InternalFailure)?;
        guard.find(space, name).ok_or(Status::NotFound)
    }

    /// Appends a message to a queue, of whatever space. `Err(NotFound)`: no such queue;
    /// `Err(InternalFailure)`: no room, which is said in `log`, not too often.
    pub fn enqueue(&self, queue: u32, message: &[u8], log: Log) -> Result<(), Status> {
        let pushed = {
            let mut guard = self.lock().ok_or(Status::InternalFailure)?;
            let (queues, slab) = guard.parts();
            queues.push(slab, queue, message)
        };
        match pushed {
            Ok(who) => {
                self.wake(who);
                Ok(())
            }
            Err(Refused::NoSuchQueue) => Err(Status::NotFound),
            Err(Refused::Full) => {
                let len = message.len();
                self.complain(log, format_args!("no room for a message of {len} bytes"));
                Err(Status::InternalFailure)
            }
        }
    }

    /// Takes the oldest message of a queue, of whatever space, appending it to `out`.
    /// `Err(NotFound)`: no such queue; `Err(Empty)`: it has none.
    pub fn dequeue(&self, queue: u32, out: &mut Vec<u8>) -> Result<(), Status> {
        let mut guard = self.lock().ok_or(Status::InternalFailure)?;
        let (queues, slab) = guard.parts();
        match queues.pop(slab, queue, out) {
            Some(true) => Ok(()),
            Some(false) => Err(Status::Empty),
            None => Err(Status::NotFound),
        }
    }

    pub fn usage(&self) -> QueueUsage {
        let zone = self.zone.usage();
        let guard = self.lock();
        guard.map_or_else(QueueUsage::default, |queues| QueueUsage {
            zone,
            queues: queues.queues,
            messages: queues.messages,
        })
    }

    /// An instance is gone: what its root contexts were to be told, others are.
    pub fn forget(&self, instance: u64) {
        self.unlisten(|registration| registration.instance == instance);
    }

    /// This process shuts down: other processes are to be told from now on. Its guests can still
    /// use the queues.
    pub fn leave(&self) {
        self.leaving.set(true);
        self.unlisten(|_| true);
    }

    fn unlisten(&self, which: impl Fn(&Registration) -> bool) {
        let mut gone = Vec::new();
        self.registrations.borrow_mut().retain(|registration| {
            let goes = which(registration);
            if goes {
                gone.push((registration.queue, self.who_of(registration)));
            }
            !goes
        });
        if gone.is_empty() {
            return;
        }
        let Some(mut guard) = self.lock() else {
            return;
        };
        let (queues, slab) = guard.parts();
        let others: Vec<_> = gone
            .into_iter()
            .map(|(queue, who)| {
                let (listeners, _) = queues.listeners(queue)?;
                listeners.remove(slab, |listener| *listener == who)
            })
            .collect();
        drop(guard);
        others.into_iter().for_each(|who| self.wake(who));
    }

    /// Tells this process's listeners of what they have not been told; from the event loop.
    pub fn deliver(&self) {
        let registrations = self.registrations.borrow().clone();
        let mut more = false;
        for registration in registrations {
            let who = self.who_of(&registration);
            let due = |most| {
                let mut queues = self.lock()?;
                queues.listeners(registration.queue)?.0.take_due(who, most)
            };
            for told in 0.. {
                // What it is told is taken one by one: others are told the rest when it goes.
                let most = u64::from(told < ROUND && registration.listener.has_time());
                match due(most) {
                    Some((1.., _)) => {}
                    left => {
                        more |= left.is_some_and(|(_, left)| left > 0);
                        break;
                    }
                }
                if !registration.listener.queue_ready(registration.queue) {
                    self.forget(registration.instance);
                    break;
                }
            }
        }
        if more {
            // In the next round of the event loop.
            self.hurry.post(Round::Next, Log::of_cycle());
            self.wake(Some(self.who(0, ContextId::new(0))));
        }
    }

    /// The event method calls as long as the eventfd is readable, which it is not any more after
    /// this; `deliver` is due.
    pub fn clear(&self) {
        let Some(wakers) = &self.wakers else { return };
        let slot = wakers.own_slot();
        wakers.clear(slot);
        let others = |guard: Locked<'_, Queues>| guard.others_due(slot, pid());
        if self.lock().is_some_and(others) {
            wakers.wake(slot);
        }
    }

    /// The zone. When it was made anew, because a process died while it changed it, what this
    /// process had registered is there again.
    fn lock(&self) -> Option<Locked<'_, Queues>> {
        let mut guard = self.zone.lock()?;
        let (queues, slab) = guard.parts();
        let epoch = queues.epoch;
        if self.epoch.replace(Some(epoch)).is_some_and(|e| e != epoch) {
            if let Ok(registrations) = self.registrations.try_borrow() {
                for registration in registrations.iter() {
                    queues.open(slab, &registration.space, &registration.name);
                    if !self.leaving.get()
                        && let Some((listeners, messages)) = queues.listeners(registration.queue)
                    {
                        listeners.add(slab, self.who_of(registration), messages);
                    }
                }
            }
            // The others are to do the same.
            if let Some(wakers) = &self.wakers {
                wakers.wake_all();
            }
        }
        Some(guard)
    }

    fn who_of(&self, registration: &Registration) -> Who {
        self.who(registration.instance, registration.root)
    }

    fn who(&self, instance: u64, root: ContextId) -> Who {
        Who {
            pid: pid(),
            slot: self.wakers.as_ref().map_or(0, |wakers| wakers.own_slot()),
            instance,
            root: root.get(),
        }
    }

    fn wake(&self, who: Option<Who>) {
        if let (Some(wakers), Some(who)) = (&self.wakers, who) {
            wakers.wake(who.slot);
        }
    }

    fn complain(&self, log: Log, what: std::fmt::Arguments<'_>) {
        let zone = self.zone.name();
        self.complaint.write(
            log,
            format_args!("{what} in the shared queue zone \"{zone}\""),
        );
    }
}

fn pid() -> libc::pid_t {
    rustix::process::getpid().as_raw_pid()
}
