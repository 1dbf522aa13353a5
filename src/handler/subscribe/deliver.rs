//! Hands messages to their guests, one after the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::conf::subscription::Receiver;
use crate::handler::handlers::{Handler, Handlers};
use crate::handler::in_use::InUse;
use crate::handler::input::Input;
use crate::handler::instances::NoInstance;
use crate::handler::plugin::Function;
use crate::handler::service::platform::NginxPlatform;
use crate::handler::service::services::{Service, Services};
use crate::handler::services::Exchange;
use crate::handler::subscribe::line::Message;
use crate::handler::subscribe::subscribers::Subscriber;
use crate::net::timer::{keeping_worker, timeout};
use crate::nginx::exit;
use crate::nginx::log::{Level, Log};
use crate::worker::process::Main;

/// How long a guest may take for a message, waiting and all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker that is to quit goes on with messages that wait.
const LAST: Duration = Duration::from_secs(60);

/// Hands out what is in the line, until no more will come.
pub async fn deliver(main: &'static Main, subscriber: Rc<Subscriber>) {
    let mut exits = None;
    while let Some(message) = subscriber.line.next().await {
        keeping_worker(async {
            let mut next = Some(message);
            while let Some(message) = next {
                hand(main, &subscriber, message).await;
                if exit::is_exiting() {
                    let since = *exits.get_or_insert_with(Instant::now);
                    if since.elapsed() >= LAST {
                        give_up(&subscriber);
                    }
                }
                next = subscriber.line.pop();
            }
        })
        .await;
        if let Some(dropped) = subscriber.line.untold() {
            subscriber.tell_dropped(dropped);
        }
    }
}

/// The worker waits no longer.
fn give_up(subscriber: &Subscriber) {
    let left = subscriber.line.clear();
    for _ in 0..left {
        subscriber.count("dropped");
    }
    if left > 0 {
        let line = format_args!("{left} messages dropped: the worker quits");
        subscriber.note(Level::Error, line);
    }
}

/// Hands one out. One that fails costs a line of the log.
async fn hand(main: &'static Main, subscriber: &Subscriber, message: Message) {
    let Message {
        payload,
        share: _share,
    } = message;
    let handed = async {
        match &subscriber.receiver {
            Receiver::Component => {
                let services = main.process.kept::<Services>();
                let service = services.and_then(|services| services.module(subscriber.module));
                let service = service.ok_or("the component cannot be loaded")?;
                to_component(&service, subscriber, payload).await
            }
            Receiver::Export(function) => {
                let function = Function::Export(*function);
                to_plugin(main, subscriber, function, payload).await
            }
            Receiver::Operation(name) => {
                let function = Function::Operation(name);
                to_plugin(main, subscriber, function, payload).await
            }
        }
    };
    let failure = match timeout(PATIENCE, handed).await {
        Some(Ok(())) => return subscriber.count("handled"),
        Some(Err(failure)) => failure,
        None => format!("ended after {} s", PATIENCE.as_secs()),
    };
    subscriber.count("failed");
    subscriber.tell(Level::Error, format_args!("a message failed: {failure}"));
}

async fn to_component(
    service: &Rc<Service>,
    subscriber: &Subscriber,
    payload: Vec<u8>,
) -> Result<(), String> {
    service.turn.wait().await;
    let _place = service.places.wait_for_one().await;
    let platform = Rc::new(NginxPlatform::new(
        service.clone(),
        subscriber.origin.clone(),
    ));
    let mut call = service
        .take_message(payload, platform)
        .ok_or("the component takes no messages")?;
    let turn = &service.turn;
    let ended = poll_fn(|context| turn.poll(context, |context| Pin::new(&mut call).poll(context)));
    match service.message_ended(ended.await) {
        None => Ok(()),
        Some(failure) => Err(failure.to_string()),
    }
}

async fn to_plugin(
    main: &'static Main,
    subscriber: &Subscriber,
    function: Function<'_>,
    payload: Vec<u8>,
) -> Result<(), String> {
    let handlers = main.process.kept::<Handlers>();
    let handler = handlers.and_then(|all| all.module(subscriber.module, subscriber.log));
    let handler = handler.ok_or("the module cannot be loaded")?;
    handler.turn.wait().await;
    let turn = handler.turn.clone();
    turn.meter(call(&handler, subscriber, function, payload))
        .await
}

async fn call(
    handler: &Rc<Handler>,
    subscriber: &Subscriber,
    function: Function<'_>,
    payload: Vec<u8>,
) -> Result<(), String> {
    let instance = match handler.instances.take() {
        Some(taken) => taken,
        None => handler.instances.wait_for_one().await,
    };
    let instance = instance.map_err(|reason| why(handler, reason, subscriber.log))?;
    let mut used = InUse::new(handler.clone(), instance);
    let instance = used.instance().ok_or("there is no instance")?;
    instance.serve(Some(Exchange::of_message(subscriber.origin.clone())));
    if !instance.is_started() {
        let started = instance.start().await;
        started.map_err(|error| why(handler, NoInstance::Start(error), subscriber.log))?;
        handler.attempts.succeeded(subscriber.log);
    }
    let input = Input::Message(payload);
    // Nobody waits for the output.
    let outcome = instance.call(function, input, |result| match result {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.message),
    });
    let outcome = outcome.await;
    instance.serve(None);
    used.give_back();
    outcome
}

/// Why there is no instance for a message.
fn why(handler: &Handler, reason: NoInstance, log: Log) -> String {
    match reason {
        NoInstance::Full => "all of instances= are in use".to_owned(),
        NoInstance::Later => "the module did not start a moment ago".to_owned(),
        NoInstance::Start(error) => {
            handler.start_failed(error, log);
            "the module does not start".to_owned()
        }
    }
}
