//! What filters put into a response body for the filters behind them.

use proxy_wasm_host::Status;

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::Direction;
use crate::message::body::Body;

impl Context {
    /// A filter puts bytes into the response's body, and with `end` ends it.
    pub fn inject(&self, index: usize, bytes: &[u8], end: bool) -> Result<(), Status> {
        let request = self.active().ok_or(Status::BadArgument)?;
        let response = &self.response;
        let takes = response.takes_trailers() && !response.is_cut_off() && !self.life.ending.get();
        if !takes || index >= self.count(Direction::Response) {
            return Err(Status::BadArgument);
        }
        let mut injected = self.filters()[index].injected().borrow_mut();
        let before = injected.as_ref().map_or(0, |piece| piece.0.len());
        if injected.as_ref().is_some_and(|piece| piece.1) {
            return Err(Status::BadArgument);
        }
        let all = before.saturating_add(bytes.len());
        self.check_made(index, Direction::Response, 0, all)?;
        let piece = injected.get_or_insert_with(|| (Body::nothing(), false));
        // Of a response that has no body, it is the end alone.
        if !response.is_bodiless(request) {
            piece.0.replace(usize::MAX, 0, bytes)?;
        }
        piece.1 = end;
        drop(injected);
        self.buffers.any_held.set(true);
        self.wake.post(self);
        Ok(())
    }

    /// Is there such a piece that has not gone on?
    pub fn has_injected(&self) -> bool {
        let mut filters = self.filters().iter();
        self.buffers.any_held.get()
            && filters.any(|filter| filter.has_injected(Direction::Response))
    }

    /// The filter at this place has ended the body: what has come as far as to it is not used any more.
    pub fn cut_off_before(&self, place: usize) {
        for place in 0..=place {
            let filter = &self.filters()[self.index(Direction::Response, place)];
            let half = &filter.response;
            half.held.set(None);
            half.unseen.set(false);
            half.resume.set(false);
            half.body.take();
            filter.take_waiting(Direction::Response);
            filter.take_injected(Direction::Response);
        }
        self.response.cut_off();
    }
}
