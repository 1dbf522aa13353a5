//! One call: its instance, its function, and what becomes of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_FOUND, NGX_HTTP_SERVICE_UNAVAILABLE,
    ngx_connection_t, ngx_http_finalize_request, ngx_http_run_posted_requests, ngx_int_t,
};

use crate::conf::handler::{Callee, Form, HandlerConf};
use crate::conf::location::LocConf;
use crate::handler::handlers::{Handler, Handlers};
use crate::handler::in_use::InUse;
use crate::handler::input::Input;
use crate::handler::instances::NoInstance;
use crate::handler::linked::StartError;
use crate::handler::plugin::{Failure, Function};
use crate::handler::send::Reply;
use crate::handler::services::Exchange;
use crate::handler::{input, json};
use crate::net::executor::{Task, spawn};
use crate::net::timer::keeping_worker;
use crate::nginx::log::{Level, Log, printable};
use crate::nginx::request::Request;
use crate::nginx::{pool, watch};

/// What is called, and with what.
struct Call {
    request: Request,
    conf: &'static HandlerConf,
    handler: Rc<Handler>,
    /// A name in it lives as long as the request.
    function: Function<'static>,
    input: Input,
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
    if call.handler.linked().waits() || !call.handler.turn.is_free() {
        return call.make_later();
    }
    let turn = call.handler.turn.clone();
    match turn.run(false, || call.make_now()) {
        Ok(rc) => Some(rc),
        Err(call) => call.make_later(),
    }
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
            .module(module, request.log())
            .ok_or(NGX_HTTP_SERVICE_UNAVAILABLE)?;
        let function = match callee {
            Callee::Service => return Err(NGX_HTTP_INTERNAL_SERVER_ERROR),
            Callee::Fixed(function) => Function::Export(function),
            Callee::Named(name) => {
                let name = name.value(request).ok_or(NGX_HTTP_INTERNAL_SERVER_ERROR)?;
                let found = handler.linked().function(name);
                found.map_err(|error| {
                    handler.report(request, &error);
                    NGX_HTTP_NOT_FOUND
                })?
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

    /// Makes a call that does not wait. `Err`: it has to, for an instance.
    fn make_now(self) -> Result<ngx_int_t, Call> {
        let mut instance = match self.handler.instances.take() {
            Some(Ok(instance)) => instance,
            Some(Err(reason)) => return Ok(self.handler.refuses(self.request, reason)),
            None => return Err(self),
        };
        if !instance.is_started() {
            if let Err(error) = instance.start_now() {
                drop(instance);
                self.handler.instances.lost();
                let reason = NoInstance::Start(error);
                return Ok(self.handler.refuses(self.request, reason));
            }
            self.handler.attempts.succeeded(self.request.log());
        }
        let since = self.begins();
        let exchange = Exchange::new(self.request);
        instance.serve(Some(exchange.clone()));
        let (request, conf, handler) = (self.request, self.conf, self.handler);
        let reply = instance.call_now(self.function, self.input, |result| {
            reply(request, conf, &handler, result)
        });
        handler.ends(since);
        exchange.end();
        instance.serve(None);
        handler.instances.give_back(instance);
        Ok(handler.finish(request, conf, reply))
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
        if !watch::client(request) {
            return Some(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t);
        }
        let turn = self.handler.turn.clone();
        let task = spawn(async move {
            let rc = keeping_worker(async {
                turn.wait().await;
                turn.meter(self.make(exchange)).await
            });
            let rc = rc.await;
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
            Some(taken) => taken,
            None => self.handler.instances.wait().await,
        };
        let instance = match taken {
            Ok(instance) => instance,
            Err(reason) => return self.handler.refuses(self.request, reason),
        };
        let mut used = InUse::new(self.handler.clone(), instance);
        let Some(instance) = used.instance() else {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        };
        instance.serve(Some(exchange));
        if !instance.is_started() {
            if let Err(error) = instance.start().await {
                return self.handler.refuses(self.request, NoInstance::Start(error));
            }
            self.handler.attempts.succeeded(self.request.log());
        }
        let since = self.begins();
        let (request, conf, handler) = (self.request, self.conf, self.handler);
        let call = instance.call(self.function, self.input, |result| {
            reply(request, conf, &handler, result)
        });
        let reply = call.await;
        handler.ends(since);
        instance.serve(None);
        used.give_back();
        handler.finish(request, conf, reply)
    }

    /// The time, if anybody wants to know how long calls take.
    fn begins(&self) -> Option<Instant> {
        let shown = self.handler.metrics.as_ref().is_some_and(|m| m.is_shown());
        shown.then(Instant::now)
    }
}

/// What the client gets for what a call has come to. `Err`: a status of an error page.
fn reply(
    request: Request,
    conf: &HandlerConf,
    handler: &Handler,
    result: Result<&[u8], Failure>,
) -> Result<Reply, u32> {
    let memory = NGX_HTTP_INTERNAL_SERVER_ERROR;
    let described = match (result, conf.form) {
        (Ok(output), Form::Body) => return Reply::new(request, 200, output).ok_or(memory),
        (Ok(output), Form::Json) => json::response(output).map_err(Failure::new),
        (Err(failure), _) => Err(failure),
    };
    match described {
        Ok(described) => {
            let reply = Reply::new(request, described.status, &described.body);
            let mut reply = reply.ok_or(memory)?;
            reply.headers = described.headers;
            Ok(reply)
        }
        Err(failure) => {
            handler.report(request, &failure.message);
            failed(request, conf, &failure.message)
        }
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

impl Handler {
    /// Sends what the call has come to. The result is one to finalize the request with.
    fn finish(&self, request: Request, conf: &HandlerConf, reply: Result<Reply, u32>) -> ngx_int_t {
        match reply {
            Ok(reply) => reply.send(request, conf, |what| self.report(request, what)),
            Err(status) => status as ngx_int_t,
        }
    }

    /// A call has ended.
    fn ends(&self, since: Option<Instant>) {
        if let (Some(since), Some(metrics)) = (since, &self.metrics) {
            metrics.callback_ended("call", since.elapsed());
        }
    }

    /// A request gets no instance. The result is its status.
    fn refuses(&self, request: Request, reason: NoInstance) -> ngx_int_t {
        let log = request.log();
        match reason {
            NoInstance::Full => {
                self.report(request, "all of instances= are in use, and queue= is full");
            }
            NoInstance::Later => self.attempts.tell(log),
            NoInstance::Start(error) => self.start_failed(error, log),
        }
        NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t
    }

    /// An instance did not start.
    pub fn start_failed(&self, error: StartError, log: Log) {
        if let Some(metrics) = &self.metrics {
            metrics.of_another().start_failed(error.trap());
        }
        self.attempts.failed(error, log);
    }

    /// Writes a line about a call to the request's log, as far as there may be one.
    pub fn report(&self, request: Request, what: &str) {
        let log = request.log();
        if log.enabled(Level::Error) && self.rate.allows_line() {
            let what = printable(what.as_bytes());
            log.write(Level::Error, format_args!("[wasm] {}: {what}", self.name));
        }
    }
}
