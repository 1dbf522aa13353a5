//! A guest's run for one request, or one message.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasm_runtime::Meter;

use crate::answer::{Answer, Slot};
use crate::background::{Background, Spawner};
use crate::body::Body;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::instance::Instance;
use crate::platform::{LocalFuture, Platform};

/// Runs a guest for one request, or one message, from its start to its end. To drop it is to end the guest.
pub struct Call {
    guest: LocalFuture<Ended>,
    background: Background,
    meter: Arc<Meter>,
}

/// What came of a call.
pub struct Ended {
    /// Why the guest did not come to its end as it should. The answer, if there was none yet, says the same.
    pub outcome: Result<(), Failure>,
    /// The instance, where it may serve another request.
    pub instance: Option<Instance>,
}

/// What a guest runs for. (Nearly all are requests, which need no box of their own.)
#[allow(clippy::large_enum_variant)]
pub(crate) enum Work {
    /// A request, and where the response goes.
    Request(http::Request<Body>, Rc<Slot>),
    Message(Vec<u8>),
}

/// Answers for the guest, should it never do so. Nobody waits for the answer to a message.
struct Last(Option<Rc<Slot>>);

impl Last {
    fn fill(&self, failure: Failure) {
        if let Some(slot) = &self.0 {
            slot.fill(Err(failure));
        }
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.fill(Failure::Dropped);
    }
}

impl Call {
    pub(crate) fn of_request(
        handler: Handler,
        instance: Option<Instance>,
        request: http::Request<Body>,
        platform: Rc<dyn Platform>,
    ) -> (Call, Answer) {
        let slot = Rc::<Slot>::default();
        let call = Call::new(
            handler,
            instance,
            Work::Request(request, slot.clone()),
            platform,
        );
        let answer = Answer::new(slot, call.meter.clone());
        (call, answer)
    }

    pub(crate) fn new(
        handler: Handler,
        instance: Option<Instance>,
        work: Work,
        platform: Rc<dyn Platform>,
    ) -> Call {
        let meter = Arc::new(handler.meter());
        let spawner = match &instance {
            Some(instance) => (*instance.store.data().spawner).clone(),
            None => Spawner::default(),
        };
        let last = Last(match &work {
            Work::Request(_, slot) => Some(slot.clone()),
            Work::Message(_) => None,
        });
        let guest = run(
            handler,
            instance,
            work,
            platform,
            meter.clone(),
            spawner.clone(),
            last,
        );
        Call {
            guest: Box::pin(guest),
            background: Background::new(spawner),
            meter,
        }
    }
}

async fn run(
    handler: Handler,
    instance: Option<Instance>,
    work: Work,
    platform: Rc<dyn Platform>,
    meter: Arc<Meter>,
    spawner: Spawner,
    last: Last,
) -> Ended {
    let started = match instance {
        Some(mut instance) => {
            instance.renew(platform, meter);
            Ok(instance)
        }
        None => Instance::new(&handler, platform, meter, spawner).await,
    };
    let mut instance = match started {
        Ok(instance) => instance,
        Err(failure) => return ended(Err(failure), None, &last),
    };
    let result = instance.run(work).await;
    let state = instance.store.data_mut();
    // One that says what is wrong is as good as before.
    let returned = result.is_ok();
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => Err(Failure::of(&error, state)),
    };
    state.end();
    instance.served += 1;
    let again = returned
        && outcome != Err(Failure::NoResponse)
        && instance.served < handler.settings().reuse;
    ended(outcome, again.then_some(instance), &last)
}

fn ended(outcome: Result<(), Failure>, instance: Option<Instance>, last: &Last) -> Ended {
    if let Err(failure) = &outcome {
        last.fill(failure.clone());
    }
    Ended { outcome, instance }
}

impl Future for Call {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let Call {
            guest,
            background,
            meter,
        } = &mut *self;
        background.poll(cx);
        loop {
            if let Poll::Ready(ended) = meter.poll(cx, |cx| guest.as_mut().poll(cx)) {
                return Poll::Ready(ended);
            }
            // What the guest has begun is to run at once; if it is done already, the guest goes on.
            if !(background.has_new() && background.poll(cx)) {
                return Poll::Pending;
            }
        }
    }
}
