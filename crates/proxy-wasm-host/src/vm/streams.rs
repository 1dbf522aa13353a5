//! The stream contexts and their callbacks.

use super::instance::Vm;
use crate::abi::Action;
use crate::context::{Context, Kind, Phase};
use crate::error::CallError;
use crate::exports::{Answer1, Answer2, Exports, HeadersFn};
use crate::ids::ContextId;
use crate::traits::Proxy;

/// What a guest sees of a number of bytes or pairs.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl<P: Proxy> Vm<P> {
    /// Makes a context for a stream, below a root context: `proxy_on_context_create`.
    ///
    /// The context is gone again when the guest traps.
    pub fn create_stream(
        &mut self,
        root: ContextId,
        stream: P::Stream,
    ) -> Result<ContextId, CallError> {
        self.guest.check()?;
        let state = self.state();
        let plugin = match state.contexts.get(root) {
            Some(context) if context.is_live(Kind::Root) => context.plugin.clone(),
            _ => return Err(CallError::UnknownContext),
        };
        let id = state.add_context(Context {
            plugin,
            root: Some(root),
            stream: Some(stream),
            kind: Kind::Stream,
            phase: Phase::Live,
        });
        let result = self.call_create(id, root);
        if result.is_err() {
            self.state().remove_context(id);
        }
        result.map(|()| id)
    }

    /// `count`: number of headers.
    pub fn on_request_headers(
        &mut self,
        id: ContextId,
        count: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.headers(
            id,
            "proxy_on_request_headers",
            |exports| exports.request_headers.as_ref(),
            count,
            end_of_stream,
        )
    }

    /// `size`: bytes now in the buffer.
    pub fn on_request_body(
        &mut self,
        id: ContextId,
        size: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.body(
            id,
            "proxy_on_request_body",
            |exports| exports.request_body.as_ref(),
            size,
            end_of_stream,
        )
    }

    /// `count`: number of trailers.
    pub fn on_request_trailers(
        &mut self,
        id: ContextId,
        count: usize,
    ) -> Result<Action, CallError> {
        self.trailers(
            id,
            "proxy_on_request_trailers",
            |exports| exports.request_trailers.as_ref(),
            count,
        )
    }

    /// `count`: number of headers.
    pub fn on_response_headers(
        &mut self,
        id: ContextId,
        count: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.headers(
            id,
            "proxy_on_response_headers",
            |exports| exports.response_headers.as_ref(),
            count,
            end_of_stream,
        )
    }

    /// `size`: bytes now in the buffer.
    pub fn on_response_body(
        &mut self,
        id: ContextId,
        size: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.body(
            id,
            "proxy_on_response_body",
            |exports| exports.response_body.as_ref(),
            size,
            end_of_stream,
        )
    }

    /// `count`: number of trailers.
    pub fn on_response_trailers(
        &mut self,
        id: ContextId,
        count: usize,
    ) -> Result<Action, CallError> {
        self.trailers(
            id,
            "proxy_on_response_trailers",
            |exports| exports.response_trailers.as_ref(),
            count,
        )
    }

    fn headers(
        &mut self,
        id: ContextId,
        name: &'static str,
        callback: fn(&Exports) -> Option<&HeadersFn>,
        number: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.live(id, Kind::Stream)?;
        let number = count(number);
        let action = match callback(&self.exports) {
            None => return Ok(Action::Continue),
            Some(HeadersFn::WithEnd(callback)) => {
                let arguments = (id, number, end_of_stream.into());
                self.guest.enter(id, name, callback, arguments)?
            }
            Some(HeadersFn::WithoutEnd(callback)) => {
                self.guest.enter(id, name, callback, (id, number))?
            }
        };
        self.finish_done();
        Ok(Action::from_headers(action))
    }

    fn body(
        &mut self,
        id: ContextId,
        name: &'static str,
        callback: fn(&Exports) -> Option<&Answer2>,
        size: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.live(id, Kind::Stream)?;
        let arguments = (id, count(size), end_of_stream.into());
        let action = self.call(id, name, callback, arguments)?;
        Ok(action.map_or(Action::Continue, Action::from_body))
    }

    fn trailers(
        &mut self,
        id: ContextId,
        name: &'static str,
        callback: fn(&Exports) -> Option<&Answer1>,
        number: usize,
    ) -> Result<Action, CallError> {
        self.live(id, Kind::Stream)?;
        let action = self.call(id, name, callback, (id, count(number)))?;
        Ok(action.map_or(Action::Continue, Action::from_trailers))
    }

    /// Is this a live context of this kind?
    pub(super) fn live(&self, id: ContextId, kind: Kind) -> Result<(), CallError> {
        self.guest.check()?;
        match self.guest.store.data().is_live(id, kind) {
            true => Ok(()),
            false => Err(CallError::UnknownContext),
        }
    }
}
