//! A request to a component: its instance, its response, and what becomes of it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use component_host::{Answer, Body, Call, Ended, Failure as GuestFailure};
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use ngx::ffi::{
    NGX_HTTP_BAD_REQUEST, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SERVICE_UNAVAILABLE, ngx_int_t,
};

use crate::conf::location::LocConf;
use crate::handler::service::error::upload_error;
use crate::handler::service::exchange::{Exchange, begin};
use crate::handler::service::local::Local;
use crate::handler::service::places::Place;
use crate::handler::service::platform::NginxPlatform;
use crate::handler::service::request;
use crate::handler::service::respond::{Broken, respond};
use crate::handler::service::services::{Service, Services};
use crate::message::stream::cut::cut;
use crate::message::stream::upload::Upload;
use crate::net::executor::yield_now;
use crate::net::timer::timeout;
use crate::nginx::request::Request;

/// How long a guest may go on behind the end of its response.
const LINGERS: Duration = Duration::from_secs(60);

/// How often a guest goes on behind the end of its response before that of the request.
const TURNS: usize = 3;

/// Has the component of this number answer the request. The result is nginx's.
pub fn serve(request: Request, module: usize) -> ngx_int_t {
    serve_with(request, module, Vec::new())
}

/// Header lines that take the place of those that the client has sent.
pub type Lines = Vec<(HeaderName, HeaderValue)>;

/// The same for a request with these lines as well.
pub fn serve_with(request: Request, module: usize, lines: Lines) -> ngx_int_t {
    let services = Services::of(request);
    match services.and_then(|services| services.module(module)) {
        Some(service) => begin(request, |exchange| answer(service, exchange, lines)),
        None => NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t,
    }
}

/// How a request ends that has not come to its end.
enum Failed {
    /// Nothing of the response has been sent: this status.
    Before(u32, String),
    Behind(String),
    /// What nginx has said about the request's body.
    Upload(ngx_int_t),
    /// nginx has said why.
    Unsent,
}

async fn answer(service: Rc<Service>, exchange: Exchange, lines: Lines) -> ngx_int_t {
    let begun = exchange.download.clone();
    let (request, log) = (exchange.request, exchange.request.log());
    match run(&service, exchange, lines).await {
        Ok(rc) => rc,
        Err(Failed::Before(status, why)) => {
            service.report(log, &why);
            status as ngx_int_t
        }
        Err(Failed::Behind(why)) => {
            service.report(log, &why);
            cut(request)
        }
        Err(Failed::Upload(rc)) if !begun.has_begun() => rc,
        Err(Failed::Upload(_) | Failed::Unsent) => cut(request),
    }
}

async fn run(service: &Rc<Service>, exchange: Exchange, lines: Lines) -> Result<ngx_int_t, Failed> {
    service.turn.wait().await;
    let place = service.places.take().await.map_err(|_| {
        let why = "all of instances= are in use, and queue= is full";
        Failed::Before(NGX_HTTP_SERVICE_UNAVAILABLE, why.to_owned())
    })?;
    let (call, answer) = start(service, &exchange, lines)?;
    let mut guest = Guest {
        service: service.clone(),
        call: Some(call),
        failure: None,
        place: Some(place),
        answered: false,
    };
    let sent = {
        let mut reply = pin!(reply(&exchange, answer));
        poll_fn(|context| {
            guest.poll(context);
            // Whatever the guest makes of a body that cannot be read, the client is told what nginx says.
            if let Some(rc) = exchange.events.failure(context) {
                return Poll::Ready(Err(Failed::Upload(rc)));
            }
            reply.as_mut().poll(context)
        })
        .await
    };
    let rc = sent.map_err(|failed| guest.explain(failed))?;
    guest.answered = true;
    // Most guests come to their end then, while the request is there for their last lines.
    for _ in 0..TURNS {
        if guest.call.is_none() {
            break;
        }
        yield_now().await;
        poll_fn(|context| {
            guest.poll(context);
            Poll::Ready(())
        })
        .await;
    }
    if let Some(failure) = guest.failure.take() {
        service.report(exchange.request.log(), &failure.to_string());
    }
    Ok(rc)
}

fn start(
    service: &Rc<Service>,
    exchange: &Exchange,
    lines: Lines,
) -> Result<(Call, Answer), Failed> {
    let nginx = exchange.request;
    let upload = Local::new(Upload::new(exchange.events.clone()));
    let body = Body::new(upload.map_err(upload_error));
    let mut request = request::request(nginx, body).ok_or_else(|| {
        let why = "the request cannot be told to a component: its method, its host or its target";
        Failed::Before(NGX_HTTP_BAD_REQUEST, why.to_owned())
    })?;
    for (name, value) in lines {
        request.headers_mut().insert(name, value);
    }
    let settings = LocConf::of(nginx).call().cloned().ok_or_else(|| {
        let why = "the location has no settings for calls";
        Failed::Before(NGX_HTTP_INTERNAL_SERVER_ERROR, why.to_owned())
    })?;
    let platform = NginxPlatform::of_request(service.clone(), nginx, settings, &exchange.owner);
    let platform = Rc::new(platform);
    let call = service.call(request, platform);
    call.ok_or_else(|| {
        let why = "the component handles no requests";
        Failed::Before(NGX_HTTP_INTERNAL_SERVER_ERROR, why.to_owned())
    })
}

async fn reply(exchange: &Exchange, answer: Answer) -> Result<ngx_int_t, Failed> {
    let response = answer
        .await
        .map_err(|failure| Failed::Before(failure.status().as_u16().into(), failure.to_string()))?;
    let (events, download) = (&exchange.events, &exchange.download);
    let sent = respond(exchange.request, events, download, response).await;
    sent.map_err(|broken| match broken {
        Broken::Before(failure) => {
            Failed::Before(NGX_HTTP_INTERNAL_SERVER_ERROR, failure.to_string())
        }
        Broken::Behind(failure) if failure.is_of_nginx() => Failed::Unsent,
        Broken::Behind(failure) => Failed::Behind(failure.to_string()),
    })
}

/// A guest that runs.
struct Guest {
    service: Rc<Service>,
    /// Until it has come to its end.
    call: Option<Call>,
    failure: Option<GuestFailure>,
    place: Option<Place>,
    /// nginx has all of its response: the end of the request is not its own.
    answered: bool,
}

impl Drop for Guest {
    /// The request ends: as it should, or as the client leaves, which it may do as soon as it has the response.
    fn drop(&mut self) {
        if self.answered && self.call.is_some() {
            let rest = Guest {
                service: self.service.clone(),
                call: self.call.take(),
                failure: None,
                place: self.place.take(),
                answered: false,
            };
            rest.go_on();
        }
    }
}

impl Guest {
    /// Runs it, if its module has time.
    fn poll(&mut self, context: &mut Context<'_>) {
        let Some(call) = &mut self.call else {
            return;
        };
        let turn = &self.service.turn;
        if let Poll::Ready(ended) = turn.poll(context, |context| Pin::new(call).poll(context)) {
            self.call = None;
            self.failure = self.service.ended(ended);
            self.place = None;
        }
    }

    /// What has failed, by what is known of the guest.
    fn explain(&mut self, failed: Failed) -> Failed {
        match (failed, self.failure.take()) {
            (Failed::Before(_, _), Some(failure)) => {
                Failed::Before(failure.status().as_u16().into(), failure.to_string())
            }
            (Failed::Behind(_), Some(failure)) => Failed::Behind(failure.to_string()),
            (failed, _) => failed,
        }
    }

    /// The response is complete, and the guest may go on for a while.
    fn go_on(mut self) {
        let service = self.service.clone();
        service.linger(async move {
            let rest = poll_fn(|context| {
                self.poll(context);
                match &self.call {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(()),
                }
            });
            let ended = timeout(LINGERS, rest).await;
            let log = crate::nginx::log::Log::of_cycle();
            match (ended, self.failure.take()) {
                (None, _) => self
                    .service
                    .report(log, "ended a minute behind its response"),
                (_, Some(failure)) => self.service.report(log, &failure.to_string()),
                _ => {}
            }
        });
    }
}

impl Service {
    /// A guest has come to its end. What it has failed of, if it has.
    pub fn ended(&self, ended: Ended) -> Option<GuestFailure> {
        if let Some(instance) = ended.instance {
            self.requests.keep(instance);
        }
        self.failure(ended.outcome)
    }

    /// The same for one that has taken a message.
    pub fn message_ended(&self, ended: Ended) -> Option<GuestFailure> {
        if let Some(instance) = ended.instance {
            self.messages.keep(instance);
        }
        self.failure(ended.outcome)
    }

    fn failure(&self, outcome: Result<(), GuestFailure>) -> Option<GuestFailure> {
        let failure = outcome.err()?;
        if let (Some(metrics), GuestFailure::Trapped(why) | GuestFailure::OutOfTime(why)) =
            (&self.metrics, &failure)
        {
            metrics.of_another().trapped(why);
        }
        Some(failure)
    }
}
