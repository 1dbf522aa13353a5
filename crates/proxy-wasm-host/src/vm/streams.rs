//! The stream contexts and their callbacks.

use super::instance::Vm;
use crate::abi::Action;
use crate::callbacks::{
    Callback, REQUEST_BODY, REQUEST_HEADERS, REQUEST_TRAILERS, RESPONSE_BODY, RESPONSE_HEADERS,
    RESPONSE_TRAILERS,
};
use crate::context::{Context, ContextKind, Phase};
use crate::error::CallError;
use crate::functions::{Answer1, Answer2, HeadersFn};
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
        let id = self.add_stream(root, stream)?;
        let result = self.call_create(id, root.get());
        if result.is_err() {
            self.state().remove_context(id);
        }
        result.map(|()| id)
    }

    /// Would [`Vm::announce_stream`] save an entry into the guest?
    #[inline]
    pub fn joins_creation(&self) -> bool {
        self.joined.begin.is_some() && !self.proxy().times_callbacks()
    }

    /// The same as [`Vm::create_stream`], but that the guest is told together with the first callback of the stream. That is
    /// cheaper where it is [`Vm::on_request_headers`]. No code of the guest's runs now.
    pub fn announce_stream(
        &mut self,
        root: ContextId,
        stream: P::Stream,
    ) -> Result<ContextId, CallError> {
        let id = self.add_stream(root, stream)?;
        self.uncreated.push((id, root));
        Ok(id)
    }

    fn add_stream(&mut self, root: ContextId, stream: P::Stream) -> Result<ContextId, CallError> {
        self.guest.check()?;
        let state = self.state();
        let plugin = match state.contexts.get(root) {
            Some(context) if context.is_live(ContextKind::Root) => context.plugin.clone(),
            _ => return Err(CallError::UnknownContext),
        };
        Ok(state.add_context(Context {
            plugin,
            root: Some(root),
            stream: Some(stream),
            kind: ContextKind::Stream,
            phase: Phase::Live,
        }))
    }

    /// `count`: number of headers. [`CallError::EndedAtCreation`], which is no failure: see [`Vm::announce_stream`].
    pub fn on_request_headers(
        &mut self,
        id: ContextId,
        count: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        match self.take_uncreated(id) {
            Some(root) => self.begin(id, root, count, end_of_stream),
            None => self.headers(id, REQUEST_HEADERS, count, end_of_stream),
        }
    }

    /// `proxy_on_context_create` and `proxy_on_request_headers`; the latter is not made if the guest has asked for the end of the
    /// stream in the former.
    fn begin(
        &mut self,
        id: ContextId,
        root: ContextId,
        number: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.state().ends_stream = None;
        let told = match &self.joined.begin {
            Some(begin) if !self.proxy().times_callbacks() => {
                let arguments = (id.get(), root.get(), count(number), end_of_stream.into());
                let (told, action) = self.guest.enter_joined(id, begin, arguments)?;
                self.finish_done();
                (told != 0).then_some(action)
            }
            _ => {
                self.call_create(id, root.get())?;
                None
            }
        };
        match told {
            Some(action) => Ok(Action::from_headers(action)),
            None if self.state().ends_stream == Some(id) => Err(CallError::EndedAtCreation),
            None => self.headers(id, REQUEST_HEADERS, number, end_of_stream),
        }
    }

    /// The root context of a stream that the guest has not been told of.
    #[inline]
    fn take_uncreated(&mut self, id: ContextId) -> Option<ContextId> {
        let place = self.uncreated.iter().position(|(known, _)| *known == id)?;
        Some(self.uncreated.swap_remove(place).1)
    }

    /// Tells the guest of a context before another callback of it.
    #[inline]
    pub(super) fn create_announced(&mut self, id: ContextId) -> Result<(), CallError> {
        match self.uncreated.is_empty() {
            true => Ok(()),
            false => self.create_late(id),
        }
    }

    #[cold]
    fn create_late(&mut self, id: ContextId) -> Result<(), CallError> {
        match self.take_uncreated(id) {
            Some(root) => self.call_create(id, root.get()),
            None => Ok(()),
        }
    }

    /// `size`: bytes now in the buffer.
    pub fn on_request_body(
        &mut self,
        id: ContextId,
        size: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.body(id, REQUEST_BODY, size, end_of_stream)
    }

    /// `count`: number of trailers.
    pub fn on_request_trailers(
        &mut self,
        id: ContextId,
        count: usize,
    ) -> Result<Action, CallError> {
        self.trailers(id, REQUEST_TRAILERS, count)
    }

    /// `count`: number of headers.
    pub fn on_response_headers(
        &mut self,
        id: ContextId,
        count: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.headers(id, RESPONSE_HEADERS, count, end_of_stream)
    }

    /// `size`: bytes now in the buffer.
    pub fn on_response_body(
        &mut self,
        id: ContextId,
        size: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.body(id, RESPONSE_BODY, size, end_of_stream)
    }

    /// `count`: number of trailers.
    pub fn on_response_trailers(
        &mut self,
        id: ContextId,
        count: usize,
    ) -> Result<Action, CallError> {
        self.trailers(id, RESPONSE_TRAILERS, count)
    }

    fn headers(
        &mut self,
        id: ContextId,
        callback: Callback<HeadersFn>,
        number: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.callable(id)?;
        let number = count(number);
        let action = match (callback.function)(&self.exports) {
            None => return Ok(Action::Continue),
            Some(HeadersFn::WithEnd(function)) => {
                let arguments = (id.get(), number, end_of_stream.into());
                self.guest.enter(id, callback.name, function, arguments)?
            }
            Some(HeadersFn::WithoutEnd(function)) => {
                self.guest
                    .enter(id, callback.name, function, (id.get(), number))?
            }
        };
        self.finish_done();
        Ok(Action::from_headers(action))
    }

    fn body(
        &mut self,
        id: ContextId,
        callback: Callback<Answer2>,
        size: usize,
        end_of_stream: bool,
    ) -> Result<Action, CallError> {
        self.callable(id)?;
        let arguments = (id.get(), count(size), end_of_stream.into());
        let action = self.call(id, callback, arguments)?;
        Ok(action.map_or(Action::Continue, Action::from_body))
    }

    fn trailers(
        &mut self,
        id: ContextId,
        callback: Callback<Answer1>,
        number: usize,
    ) -> Result<Action, CallError> {
        self.callable(id)?;
        let action = self.call(id, callback, (id.get(), count(number)))?;
        Ok(action.map_or(Action::Continue, Action::from_trailers))
    }

    /// Is this a stream that has not begun to end? The guest knows of it then.
    #[inline]
    fn callable(&mut self, id: ContextId) -> Result<(), CallError> {
        self.guest.check()?;
        match self.guest.store.data().is_live(id, ContextKind::Stream) {
            true => self.create_announced(id),
            false => Err(CallError::UnknownContext),
        }
    }
}
