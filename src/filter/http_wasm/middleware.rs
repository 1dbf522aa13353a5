//! What an http-wasm guest has to do with one request: the chain's callbacks, as the two calls that the guest knows.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use http_wasm_host::{Answer, BodyKind, Next};
use proxy_wasm_host::{Action, CallError, ContextId};

use crate::filter::chain::context::Context;
use crate::filter::chain::context::stops::Stops;
use crate::filter::chain::guest::{Callback, Failure, Guest};
use crate::filter::chain::stage::Direction;
use crate::filter::http_wasm::exchange::View;
use crate::filter::http_wasm::instances::NoInstance;
use crate::filter::http_wasm::maker::Instance;
use crate::filter::http_wasm::module::Module;
use crate::message::body::Body;
use crate::message::local::LocalReply;
use crate::net::executor::{Task, spawn};
use crate::net::turn::Turn;
use crate::worker::modules::Waiter;

/// How far the guest is with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    New,
    /// All of the request's body comes before `handle_request`.
    AwaitsBody,
    /// All instances are in use.
    AwaitsInstance,
    /// The request goes on, and what the guest has written takes the place of its body.
    ReplacesBody,
    /// The next handler is at it.
    Next,
    /// All of the response comes before `handle_response`.
    AwaitsResponse,
    /// The guest has written what goes before the response's body.
    Prefixes,
    Done,
}

/// What becomes of the request if the guest fails.
#[derive(Clone, Copy)]
enum Fails {
    /// It has not got the request.
    Unavailable,
    InRequest,
    InResponse,
}

/// One filter's part in one request.
pub struct Middleware {
    this: Weak<Middleware>,
    pub module: Rc<Module>,
    context: Weak<Context>,
    pub index: usize,
    pub stage: Cell<Stage>,
    fails: Cell<Fails>,
    /// From `handle_request` to the end of `handle_response`.
    pub instance: RefCell<Option<Instance>>,
    /// What the guest has written in the place of the request's body.
    body: RefCell<Vec<u8>>,
    /// What it has said of the response before the next handler.
    pub answer: RefCell<Answer>,
    /// Waits for an instance.
    line: RefCell<Option<Task>>,
}

impl Middleware {
    pub fn new(module: Rc<Module>, context: &Rc<Context>, index: usize) -> Rc<Middleware> {
        Rc::new_cyclic(|this| Middleware {
            this: this.clone(),
            module,
            context: Rc::downgrade(context),
            index,
            stage: Cell::new(Stage::New),
            fails: Cell::new(Fails::Unavailable),
            instance: RefCell::default(),
            body: RefCell::default(),
            answer: RefCell::default(),
            line: RefCell::default(),
        })
    }

    /// The request's context. It is there while it makes callbacks.
    pub fn context(&self) -> Result<Rc<Context>, Failure> {
        self.context
            .upgrade()
            .ok_or(CallError::UnknownContext.into())
    }

    /// The request's header has come; `end`: there is no body.
    fn request_headers(&self, end: bool) -> Result<Action, Failure> {
        let imports = self.module.imports;
        // A body that the guest can ask for is read first: it cannot wait. So is one that it may replace while it waits for an
        // instance, since the header would be gone by then.
        let first =
            imports.reads_bodies || imports.writes_bodies && !self.module.instances.is_free();
        if !end && first {
            self.stage.set(Stage::AwaitsBody);
            return Ok(Action::Pause);
        }
        match self.take()? {
            Some(instance) => self.serve(instance, !end),
            None => Ok(Action::PauseAll),
        }
    }

    /// Some of the request's body, or all that had come before, is with the filter.
    fn request_body(&self, end: bool) -> Result<Action, Failure> {
        match (self.stage.get(), end) {
            (Stage::AwaitsBody, false) => Ok(Action::Pause),
            (Stage::AwaitsBody, true) => match self.take()? {
                Some(instance) => self.serve(instance, true),
                None => Ok(Action::Pause),
            },
            (Stage::ReplacesBody, end) => {
                let body = match end {
                    true => Body::made_of(self.body.take()),
                    false => Body::nothing(),
                };
                let context = self.context()?;
                let half = context.filters()[self.index].half(Direction::Request);
                half.body.replace(Some(body));
                match end {
                    true => self.stage.set(Stage::Next),
                    false => return Ok(Action::Pause),
                }
                Ok(Action::Continue)
            }
            _ => Ok(Action::Continue),
        }
    }

    /// An instance. `None`: the request waits for one.
    fn take(&self) -> Result<Option<Instance>, Failure> {
        match self.module.instances.take() {
            Some(taken) => taken.map(Some).map_err(without),
            None => {
                self.stage.set(Stage::AwaitsInstance);
                let (module, this) = (self.module.clone(), self.this.clone());
                let wait = async move {
                    let taken = module.instances.wait().await;
                    match (this.upgrade(), taken) {
                        (Some(this), taken) => this.goes_on(taken),
                        (None, Ok(instance)) => module.instances.give_back(instance),
                        (None, Err(_)) => {}
                    }
                };
                self.line.replace(Some(spawn(wait)));
                Ok(None)
            }
        }
    }

    /// The request has waited for an instance.
    fn goes_on(&self, taken: Result<Instance, NoInstance>) {
        self.leave_line();
        let context = self.context.upgrade();
        let context = context.filter(|context| context.active().is_some());
        let Some(context) = context.filter(|_| self.stage.get() == Stage::AwaitsInstance) else {
            if let Ok(instance) = taken {
                self.module.instances.give_back(instance);
            }
            return;
        };
        let served = match taken {
            // There is no body that would be replaced, or it is here.
            Ok(instance) => {
                let turn = &self.module.turn;
                turn.run(true, || self.serve(instance, false))
            }
            Err(reason) => Err(without(reason)),
        };
        match served {
            Ok(_) => {
                let half = context.filters()[self.index].half(Direction::Request);
                half.resume.set(true);
            }
            Err(failure) => context.filter_failed(self.index, &failure),
        }
        context.wake.post(&context);
    }

    /// Gives up the place in line, from within the task, too.
    fn leave_line(&self) {
        let task = self.line.take();
        drop(task);
    }

    /// Has the guest handle the request; `has_body`: one is still to come.
    fn serve(&self, mut instance: Instance, has_body: bool) -> Result<Action, Failure> {
        let context = self.context()?;
        self.fails.set(Fails::InRequest);
        let view = View::new(context.clone(), self.index, self.module.clone());
        let next = instance.call("handle_request", |vm| vm.handle_request(view));
        let next = match next {
            Ok(next) => next,
            Err(error) => {
                self.give_back(instance);
                return Err(failure(error));
            }
        };
        let answer = instance.vm.take_answer();
        if next == Next::Stop {
            self.give_back(instance);
            let status = answer.status.unwrap_or(200);
            let reply = || LocalReply::plain(status, answer.headers, answer.body);
            context.stops.answer(reply);
            context.stop_asked();
            return Ok(Action::Continue);
        }
        if !answer.is_empty() {
            self.answer.replace(answer);
        }
        self.stage.set(Stage::Next);
        let written = instance.vm.take_body(BodyKind::Request);
        let eaten = instance.vm.eaten();
        self.instance.replace(Some(instance));
        match (written, eaten) {
            (None, 0) => Ok(Action::Continue),
            (written, eaten) => self.change_body(&context, written, eaten, has_body),
        }
    }

    /// The guest has written a body, or has read some of it that nobody else gets.
    fn change_body(
        &self,
        context: &Context,
        written: Option<Vec<u8>>,
        eaten: usize,
        has_body: bool,
    ) -> Result<Action, Failure> {
        let half = context.filters()[self.index].half(Direction::Request);
        let mut body = half.body.borrow_mut();
        match (body.as_mut(), written) {
            (Some(body), Some(written)) => *body = Body::made_of(written),
            (Some(body), None) => {
                // Unless a file cannot be read, which ends the request when it is passed on.
                let _ = body.replace(0, eaten, &[]);
            }
            (None, None) => {}
            (None, Some(written)) if has_body => {
                self.body.replace(written);
                self.stage.set(Stage::ReplacesBody);
                return Ok(Action::Pause);
            }
            (None, Some(written)) => {
                let is_main = context.request().is_some_and(|request| request.is_main());
                if is_main && !written.is_empty() {
                    self.body.replace(written);
                    self.stage.set(Stage::ReplacesBody);
                    context.incoming.body_made_by.set(Some(self.index));
                }
            }
        }
        Ok(Action::Continue)
    }

    /// The guest is through with the request.
    pub fn give_back(&self, instance: Instance) {
        self.stage.set(Stage::Done);
        self.module.instances.give_back(instance);
    }

    /// A response has come that is not the next handler's, or before it was asked.
    pub fn is_passed_over(&self) {
        self.leave_line();
        self.stage.set(Stage::Done);
    }

    /// The guest gets the response, or what it has of it.
    pub fn call_response(&self, instance: &mut Instance, failed: bool) -> Result<(), Failure> {
        self.fails.set(Fails::InResponse);
        let result = instance.call("handle_response", |vm| vm.handle_response(failed));
        result.map_err(failure)
    }
}

fn without(reason: NoInstance) -> Failure {
    match reason {
        NoInstance::Full => Failure::NoInstance,
        NoInstance::NotStarted => Failure::NotStarted,
    }
}

/// As the chain has it.
pub fn failure(error: http_wasm_host::CallError) -> Failure {
    match error {
        http_wasm_host::CallError::Trap { function, reason } => CallError::Trap {
            callback: function,
            reason,
        },
        http_wasm_host::CallError::Poisoned => CallError::Poisoned,
        http_wasm_host::CallError::NoRequest => CallError::UnknownContext,
    }
    .into()
}

impl Guest for Middleware {
    fn name(&self) -> &str {
        &self.module.outside().name
    }

    fn turn(&self) -> &Rc<Turn> {
        &self.module.turn
    }

    /// Its instance has no other request, so it fails in this one's callbacks alone.
    fn is_alive(&self) -> bool {
        true
    }

    fn watch(&self, _: Weak<dyn Waiter>) {}

    fn call(&self, _: ContextId, callback: Callback) -> Result<Action, Failure> {
        match callback {
            Callback::Headers(Direction::Request, _, end) => self.request_headers(end),
            Callback::Body(Direction::Request, _, end) => self.request_body(end),
            Callback::Headers(Direction::Response, _, end) => self.response_headers(end),
            Callback::Body(Direction::Response, _, end) => self.response_body(end),
            Callback::ResponseTrailers(_) => self.response_body(true),
        }
    }

    /// A guest that still waits for the response is told that there is none; without the request, it is not called.
    fn finish(&self, _: ContextId, log: bool) -> Result<(), Failure> {
        self.leave_line();
        let Some(mut instance) = self.instance.take() else {
            return Ok(());
        };
        let told = match log {
            true => self.call_response(&mut instance, true),
            false => Ok(()),
        };
        self.give_back(instance);
        told
    }

    fn request_ended(&self) {}

    fn end_request(&self, stops: &Stops) {
        match self.fails.get() {
            Fails::Unavailable => stops.fail(),
            Fails::InRequest => stops.fail_with(500),
            // Some of the response may have been sent.
            Fails::InResponse => stops.close(),
        }
    }
}
