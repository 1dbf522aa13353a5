//! The response, on its way back through an http-wasm guest.

use http_wasm_host::{BodyKind, Features};
use proxy_wasm_host::Action;

use crate::filter::chain::context::Context;
use crate::filter::chain::context::change::Lines;
use crate::filter::chain::guest::Failure;
use crate::filter::chain::stage::Direction;
use crate::filter::http_wasm::maker::Instance;
use crate::filter::http_wasm::middleware::{Middleware, Stage};
use crate::message::body::Body;
use crate::message::headers::response;
use crate::nginx::request::Request;

impl Middleware {
    /// The response's header has come; `end`: there is no body.
    pub fn response_headers(&self, end: bool) -> Result<Action, Failure> {
        match self.stage.get() {
            Stage::Next | Stage::ReplacesBody => {}
            Stage::New | Stage::AwaitsBody | Stage::AwaitsInstance => {
                self.is_passed_over();
                return Ok(Action::Continue);
            }
            _ => return Ok(Action::Continue),
        }
        let context = self.context()?;
        let (Some(request), Some(mut instance)) = (context.request(), self.instance.take()) else {
            return Ok(Action::Continue);
        };
        self.add_headers(&context, request);
        // The upstream of a tunnel has no body that would end.
        if !end && request.status() != 101 && self.waits(&instance) {
            self.instance.replace(Some(instance));
            self.stage.set(Stage::AwaitsResponse);
            return Ok(Action::Pause);
        }
        let written = self.respond(&mut instance);
        self.give_back(instance);
        let prefix = std::mem::take(&mut self.answer.borrow_mut().body);
        match written? {
            Some(written) => self.add_to_nothing(&context, &written),
            None if prefix.is_empty() => {}
            None if end => self.add_to_nothing(&context, &prefix),
            None => {
                self.answer.borrow_mut().body = prefix;
                self.stage.set(Stage::Prefixes);
            }
        }
        Ok(Action::Continue)
    }

    /// Some of the response's body is with the filter; `end`: all that there is.
    pub fn response_body(&self, end: bool) -> Result<Action, Failure> {
        match (self.stage.get(), end) {
            (Stage::AwaitsResponse, false) => Ok(Action::Pause),
            (Stage::AwaitsResponse, true) => self.whole_response(),
            (Stage::Prefixes, _) => {
                self.stage.set(Stage::Done);
                self.prefix(&*self.context()?);
                Ok(Action::Continue)
            }
            _ => Ok(Action::Continue),
        }
    }

    /// Does the guest want all of the response before it sees it? Where it can see neither body nor trailers, the header is
    /// all that there is to change.
    fn waits(&self, instance: &Instance) -> bool {
        let (features, imports) = (instance.vm.request_features(), self.module.imports);
        features.has(Features::BUFFER_RESPONSE)
            && (imports.reads_bodies || imports.writes_bodies || features.has(Features::TRAILERS))
    }

    /// Has the guest handle the response. Answers the body that it has written.
    fn respond(&self, instance: &mut Instance) -> Result<Option<Vec<u8>>, Failure> {
        self.call_response(instance, false)?;
        Ok(instance.vm.take_body(BodyKind::Response))
    }

    /// All of the response is here.
    fn whole_response(&self) -> Result<Action, Failure> {
        let Some(mut instance) = self.instance.take() else {
            return Ok(Action::Continue);
        };
        let context = self.context()?;
        self.prefix(&context);
        let written = self.respond(&mut instance);
        self.give_back(instance);
        if let Some(written) = written? {
            self.change_body_of_response(&context, |body| *body = Body::made_of(written));
        }
        Ok(Action::Continue)
    }

    /// Puts what the guest has written before the next handler in front of what there is of the body.
    fn prefix(&self, context: &Context) {
        let prefix = std::mem::take(&mut self.answer.borrow_mut().body);
        if prefix.is_empty() {
            return;
        }
        self.change_body_of_response(context, |body| {
            // Unless a file cannot be read, which ends the response when it is passed on.
            let _ = body.replace(0, 0, &prefix);
        });
    }

    /// The headers that the guest has set before the next handler stand beside the next handler's. Of those that there can
    /// be one of, the next handler's counts; so does its status.
    fn add_headers(&self, context: &Context, request: Request) {
        let headers = std::mem::take(&mut self.answer.borrow_mut().headers);
        for (name, value) in &headers {
            let framing: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
            let skip = name.first() == Some(&b':')
                || framing.iter().any(|known| name.eq_ignore_ascii_case(known))
                || response::has_single(request, name);
            if !skip {
                let length = context.response.length();
                let add = |r| response::add(r, length, name, value);
                // The bytes have been counted.
                let _ = context.change_or_refuse(self.index, Lines::Response, name, 0, add);
            }
        }
    }

    /// Gives a response without a body one, if it is of a kind that may have one.
    fn add_to_nothing(&self, context: &Context, bytes: &[u8]) {
        if !bytes.is_empty() {
            // It is refused where nothing comes of the response any more.
            let _ = context.inject(self.index, bytes, false);
        }
    }

    /// Changes what the filter has of the response's body. With trailers, it may have had nothing.
    fn change_body_of_response(&self, context: &Context, change: impl FnOnce(&mut Body)) {
        let half = context.filters()[self.index].half(Direction::Response);
        let mut body = half.body.borrow_mut();
        if body.is_none() {
            half.held.set(Some(false));
        }
        change(body.get_or_insert_default());
    }
}
