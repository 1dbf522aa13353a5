//! The connection of a subscription: made, kept, and made again.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::client::redis::failure::Failure;
use crate::client::redis::subscription::{Event, Subscription};
use crate::handler::subscribe::subscribers::Subscriber;
use crate::net::timer::sleep;
use crate::nginx::exit;
use crate::nginx::log::Level;
use crate::shm::lease::{Lease, poll_given_back};

/// Before a connection is made again; after each further failure twice as long.
const RETRY: Duration = Duration::from_secs(1);
/// The longest time is so many times as long.
const LONGEST: u32 = 64;
/// A connection that has held for so long was none that failed.
const HELD: Duration = Duration::from_secs(10);
/// Between two looks whether another process has died that had the lease.
const LOOK: Duration = Duration::from_secs(1);

/// Puts what is published into the subscriber's line, until the worker is to quit.
pub async fn listen(subscriber: Rc<Subscriber>) {
    let mut run = pin!(run(&subscriber));
    poll_fn(|context| match exit::poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => run.as_mut().poll(context),
    })
    .await;
    subscriber.line.close();
}

async fn run(subscriber: &Subscriber) {
    let _lease = match subscriber.is_once() {
        true => Some(lease(subscriber).await),
        false => None,
    };
    let mut failures = 0u32;
    // Since when messages are lost.
    let mut lost: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        let failure = session(subscriber, &mut lost).await;
        let since = *lost.get_or_insert_with(Instant::now);
        if since.duration_since(begun) >= HELD {
            failures = 0;
        }
        let after = RETRY * 1u32.checked_shl(failures).unwrap_or(LONGEST).min(LONGEST);
        failures = failures.saturating_add(1);
        let seconds = after.as_secs();
        subscriber.note(
            Level::Error,
            format_args!("{failure}; tried again in {seconds} s"),
        );
        sleep(after).await;
    }
}

/// One connection, from its start to its failure.
async fn session(subscriber: &Subscriber, lost: &mut Option<Instant>) -> Failure {
    let (origin, service, channels) = subscriber.wanted();
    let mut subscription = match Subscription::open(origin, service, channels).await {
        Ok(subscription) => subscription,
        Err(failure) => return failure,
    };
    match lost.take() {
        None => subscriber.note(Level::Info, format_args!("subscribed")),
        Some(since) => {
            let seconds = since.elapsed().as_secs();
            subscriber.note(
                Level::Notice,
                format_args!("subscribed again, {seconds} s after it was lost"),
            );
        }
    }
    loop {
        match subscription.next(origin).await {
            Ok(Event::Message(payload)) => subscriber.take(payload),
            Ok(Event::TooLarge) => subscriber.too_large(),
            Err(failure) => {
                subscription.close(true);
                return failure;
            }
        }
    }
}

/// The lease, when no other process has it.
async fn lease(subscriber: &Subscriber) -> Lease {
    let mut look = sleep(LOOK);
    poll_fn(|context| {
        // First, so that one that is given back meanwhile is not missed.
        let _ = poll_given_back(context);
        if let Some(lease) = subscriber.take_lease() {
            return Poll::Ready(lease);
        }
        while Pin::new(&mut look).poll(context).is_ready() {
            look = sleep(LOOK);
        }
        Poll::Pending
    })
    .await
}
