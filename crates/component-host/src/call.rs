//! A guest's run for one request.

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

/// Runs a guest for one request, from its start to its end. To drop it is to end the guest.
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

/// Answers for the guest, should it never do so.
struct Last(Rc<Slot>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.fill(Err(Failure::Dropped));
    }
}

impl Call {
    pub(crate) fn new(
        handler: Handler,
        instance: Option<Instance>,
        request: http::Request<Body>,
        platform: Rc<dyn Platform>,
    ) -> (Call, Answer) {
        let meter = Arc::new(handler.meter());
        let slot = Rc::<Slot>::default();
        let answer = Answer::new(slot.clone());
        let spawner = match &instance {
            Some(instance) => (*instance.store.data().spawner).clone(),
            None => Spawner::default(),
        };
        let last = Last(slot);
        let guest = run(
            handler,
            instance,
            request,
            platform,
            meter.clone(),
            spawner.clone(),
            last,
        );
        let call = Call {
            guest: Box::pin(guest),
            background: Background::new(spawner),
            meter,
        };
        (call, answer)
    }
}

async fn run(
    handler: Handler,
    instance: Option<Instance>,
    request: http::Request<Body>,
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
    let result = instance.run(request, &last.0).await;
    let state = instance.store.data_mut();
    let outcome = match result {
        Ok(()) if last.0.is_filled() => Ok(()),
        Ok(()) => Err(Failure::NoResponse),
        Err(error) => Err(Failure::of(&error, state)),
    };
    state.end();
    instance.served += 1;
    let again = outcome.is_ok() && instance.served < handler.settings().reuse;
    ended(outcome, again.then_some(instance), &last)
}

fn ended(outcome: Result<(), Failure>, instance: Option<Instance>, last: &Last) -> Ended {
    if let Err(failure) = &outcome {
        last.0.fill(Err(failure.clone()));
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
            if let Poll::Ready(ended) = meter.run(|| guest.as_mut().poll(cx)) {
                return Poll::Ready(ended);
            }
            // What the guest has begun is to run at once; if it is done already, the guest goes on.
            if !(background.has_new() && background.poll(cx)) {
                return Poll::Pending;
            }
        }
    }
}
