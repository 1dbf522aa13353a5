//! One call: its instance, its function, and what becomes of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use extism_host::{Failure, Function, Outcome};
use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_FOUND, NGX_HTTP_SERVICE_UNAVAILABLE,
    ngx_connection_t, ngx_http_finalize_request, ngx_http_run_posted_requests,
    ngx_http_test_reading, ngx_int_t,
};

use crate::conf::handler::{Callee, Form, HandlerConf};
use crate::conf::location::LocConf;
use crate::handler::handlers::{Handler, Handlers};
use crate::handler::instances::{Instance, NoInstance};
use crate::handler::send::Reply;
use crate::handler::services::{Exchange, PluginServices};
use crate::handler::{input, json};
use crate::message::body::Body;
use crate::net::executor::{Task, spawn};
use crate::nginx::log::{Level, printable};
use crate::nginx::pool;
use crate::nginx::request::Request;

/// What is called, and with what.
struct Call {
    request: Request,
    conf: &'static HandlerConf,
    handler: Rc<Handler>,
    function: Function,
    input: Input,
}

enum Input {
    Body(Body),
    Json(Vec<u8>),
}

/// An instance that a call has; it goes with the call, if that does not come to its end.
struct InUse {
    handler: Rc<Handler>,
    instance: Option<Instance>,
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            drop(instance);
            self.handler.instances.lost();
        }
    }
}

/// What is left of a call that waits, in the request's pool: the end of the request ends it.
struct Waiting {
    exchange: Rc<Exchange>,
    task: RefCell<Option<Task>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.exchange.end();
        let task = self.task.take();
        drop(task);
    }
}

/// Answers a request whose body has been read. The result is one to finalize it with; `None`: it is finalized later.
pub fn run(request: Request) -> Option<ngx_int_t> {
    let call = match Call::new(request) {
        Ok(call) => call,
        Err(status) => return Some(status as ngx_int_t),
    };
    let waits = call.handler.linked.program().waits();
    if !waits && call.handler.turn.is_free() {
        match call.handler.instances.take() {
            Ok(Some(instance)) => {
                let turn = call.handler.turn.clone();
                return Some(turn.run(false, || call.make_now(instance)));
            }
            Ok(None) => {}
            Err(error) => return Some(call.cannot_start(&error.to_string())),
        }
    }
    call.make_later()
}

impl Call {
    /// An error is the status for the client.
    fn new(request: Request) -> Result<Call, u32> {
        let location: &'static LocConf = LocConf::of(request);
        let conf = location.handler.as_ref();
        let conf = conf.ok_or(NGX_HTTP_INTERNAL_SERVER_ERROR)?;
        let (module, callee) = conf.resolved.ok_or(NGX_HTTP_INTERNAL_SERVER_ERROR)?;
        let handlers = Handlers::of(request).ok_or(NGX_HTTP_SERVICE_UNAVAILABLE)?;
        let handler = handlers
            .module(module)
            .ok_or(NGX_HTTP_SERVICE_UNAVAILABLE)?;
        let function = match callee {
            Callee::Fixed(function) => function,
            Callee::Named(name) => {
                let name = name.value(request).ok_or(NGX_HTTP_INTERNAL_SERVER_ERROR)?;
                named(request, &handler, name).ok_or(NGX_HTTP_NOT_FOUND)?
            }
        };
        let mut body = input::body(request);
        let input = match conf.form {
            Form::Body => Input::Body(body),
            Form::Json => {
                let body = body.take().map_err(|_| NGX_HTTP_INTERNAL_SERVER_ERROR)?;
                Input::Json(json::request(request, conf, body))
            }
        };
        Ok(Call {
            request,
            conf,
            handler,
            function,
            input,
        })
    }

    /// Makes a call that does not wait.
    fn make_now(self, mut instance: Instance) -> ngx_int_t {
        let since = self.begins();
        let exchange = Exchange::new(self.request);
        instance.services().serve(Some(exchange.clone()));
        let (request, conf) = (self.request, self.conf);
        let mut outcome = match &self.input {
            Input::Body(body) => {
                let input = (body.len(), |memory: &mut [u8]| input::write(body, memory));
                instance.call_now(self.function, input)
            }
            Input::Json(json) => instance.call_now(self.function, json.as_slice()),
        };
        let reply = reply(request, conf, &self.handler, &mut outcome);
        drop(outcome);
        self.ends(since);
        exchange.end();
        instance.services().serve(None);
        self.handler.instances.give_back(instance);
        finish(request, conf, reply)
    }

    /// Makes a call that waits, for an instance or within itself.
    fn make_later(self) -> Option<ngx_int_t> {
        let request = self.request;
        let exchange = Exchange::new(request);
        let waiting = Waiting {
            exchange: exchange.clone(),
            task: RefCell::default(),
        };
        // SAFETY: the request is live. What is kept is dropped with the pool, before which the task ends: so it has a live
        // request as long as it runs.
        let waiting = unsafe { pool::boxed(request.pool(), waiting).as_ref() };
        let Some(waiting) = waiting else {
            return Some(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t);
        };
        // SAFETY: the request is live and waits in its content phase: the one thing to look for is a client that leaves.
        unsafe { (*request.as_ptr()).read_event_handler = Some(ngx_http_test_reading) };
        let turn = self.handler.turn.clone();
        let task = spawn(async move {
            turn.wait().await;
            let rc = turn.meter(self.make(exchange)).await;
            // SAFETY: the request is live until it is finalized. As in nginx's own event handlers, subrequests that
            // were posted run behind it; the connection is there for that, or closed with its flag.
            unsafe {
                let connection: *mut ngx_connection_t = request.connection();
                ngx_http_finalize_request(request.as_ptr(), rc);
                ngx_http_run_posted_requests(connection);
            }
        });
        waiting.task.replace(Some(task));
        None
    }

    async fn make(self, exchange: Rc<Exchange>) -> ngx_int_t {
        let taken = match self.handler.instances.take() {
            Ok(Some(instance)) => Ok(instance),
            Ok(None) => self.handler.instances.wait().await,
            Err(error) => Err(NoInstance::Start(error)),
        };
        let instance = match taken {
            Ok(instance) => instance,
            Err(NoInstance::Start(error)) => return self.cannot_start(&error.to_string()),
            Err(NoInstance::Full) => {
                self.report(
                    Level::Error,
                    "all of instances= are in use, and queue= is full",
                );
                return NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t;
            }
        };
        let mut used = InUse {
            handler: self.handler.clone(),
            instance: Some(instance),
        };
        let (request, conf) = (self.request, self.conf);
        let since = self.begins();
        let Some(instance) = used.instance.as_mut() else {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        };
        instance.services().serve(Some(exchange));
        let mut outcome = match &self.input {
            Input::Body(body) => {
                let input = (body.len(), |memory: &mut [u8]| input::write(body, memory));
                instance.call(self.function, input).await
            }
            Input::Json(json) => instance.call(self.function, json.as_slice()).await,
        };
        let reply = reply(request, conf, &self.handler, &mut outcome);
        drop(outcome);
        self.ends(since);
        instance.services().serve(None);
        if let Some(instance) = used.instance.take() {
            self.handler.instances.give_back(instance);
        }
        finish(request, conf, reply)
    }

    /// The time, if anybody wants to know how long calls take.
    fn begins(&self) -> Option<Instant> {
        let shown = self.handler.metrics.as_ref().is_some_and(|m| m.is_shown());
        shown.then(Instant::now)
    }

    fn ends(&self, since: Option<Instant>) {
        if let (Some(since), Some(metrics)) = (since, &self.handler.metrics) {
            metrics.callback_ended("call", since.elapsed());
        }
    }

    fn cannot_start(&self, error: &str) -> ngx_int_t {
        self.report(Level::Error, error);
        NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t
    }

    fn report(&self, level: Level, what: &str) {
        let log = self.request.log();
        if log.enabled(level) && self.handler.rate.allows_line() {
            log.write(level, format_args!("[wasm] {}: {what}", self.handler.name));
        }
    }
}

/// The function that variables name. Not those that start an instance, which a client could name then.
fn named(request: Request, handler: &Handler, name: &[u8]) -> Option<Function> {
    let text = String::from_utf8_lossy(name);
    let program = handler.linked.program();
    let found = match text.starts_with('_') {
        true => Err(Failure::NotFound(text.to_string())),
        false => program.function(&text),
    };
    found
        .inspect_err(|error| {
            let log = request.log();
            if log.enabled(Level::Error) && handler.rate.allows_line() {
                log.write(
                    Level::Error,
                    format_args!("[wasm] {}: {error}", handler.name),
                );
            }
        })
        .ok()
}

/// What the client gets for an outcome. `Err`: a status of an error page.
fn reply(
    request: Request,
    conf: &HandlerConf,
    handler: &Handler,
    outcome: &mut Outcome<'_, PluginServices>,
) -> Result<Reply, u32> {
    let memory = NGX_HTTP_INTERNAL_SERVER_ERROR;
    if outcome.failed() {
        let message = match outcome.failure() {
            Some(failure) => failure.to_string(),
            None => format!("Returned non-zero exit code: {}", outcome.code()),
        };
        handler.failed(request, outcome.failure(), &message);
        return failed(request, conf, &message);
    }
    match conf.form {
        Form::Body => Reply::new(request, 200, outcome.output()).ok_or(memory),
        Form::Json => match json::response(outcome.output()) {
            Ok(described) => {
                let reply = Reply::new(request, described.status, &described.body);
                let mut reply = reply.ok_or(memory)?;
                reply.headers = described.headers;
                Ok(reply)
            }
            Err(message) => {
                handler.failed(request, None, &message);
                failed(request, conf, &message)
            }
        },
    }
}

fn failed(request: Request, conf: &HandlerConf, message: &str) -> Result<Reply, u32> {
    let status = conf.error_status;
    if !conf.shows_errors {
        return Err(status.into());
    }
    let reply = Reply::new(request, status, message.as_bytes());
    let mut reply = reply.ok_or(NGX_HTTP_INTERNAL_SERVER_ERROR)?;
    let kind = ("content-type".to_owned(), "text/plain".to_owned());
    reply.headers.push(kind);
    Ok(reply)
}

fn finish(request: Request, conf: &HandlerConf, reply: Result<Reply, u32>) -> ngx_int_t {
    match reply {
        Ok(reply) => reply.send(request, conf),
        Err(status) => status as ngx_int_t,
    }
}

impl Handler {
    /// A call has failed.
    fn failed(&self, request: Request, failure: Option<&Failure>, message: &str) {
        if let (Some(metrics), Some(Failure::Trap(reason) | Failure::Timeout(reason))) =
            (&self.metrics, failure)
        {
            metrics.of_request().trapped(reason);
        }
        let log = request.log();
        if log.enabled(Level::Error) && self.rate.allows_line() {
            let message = printable(message.as_bytes());
            log.write(
                Level::Error,
                format_args!("[wasm] {}: {message}", self.name),
            );
        }
    }
}
