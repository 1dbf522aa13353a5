//! Bodies through the filters, piece by piece.

use std::rc::Rc;

use proxy_wasm_host::Action;

use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::filter::{DirectionState, Filter};
use crate::filter::chain::guest::Callback;
use crate::filter::chain::stage::{Direction, Stop};
use crate::message::body::Body;
use crate::nginx::log::Level;
use crate::nginx::request::Request;

/// What a filter held back when the next piece came to it.
enum Before {
    Nothing,
    /// It sees that again, before the new piece.
    Seen,
    Unseen(Box<Body>),
}

/// What a filter has said of a piece.
struct Answered {
    index: usize,
    action: Action,
    before: Before,
    /// The piece ends the body.
    end: bool,
}

impl Context {
    /// Passes a piece of a body through the filters from `place` on, as far as they may see it.
    /// `None`: a filter holds it, or has dropped it.
    pub fn pass_body(
        self: &Rc<Self>,
        direction: Direction,
        mut place: usize,
        mut piece: Body,
        end: bool,
    ) -> Result<Option<Body>, Stop> {
        while place < self.limit(direction) {
            let index = self.index(direction, place);
            place += 1;
            let callbacks = self.chain.callbacks[index];
            let half = self.filters()[index].half(direction);
            if !direction.body_callback(callbacks) {
                self.body_goes_on(half);
                continue;
            }
            let before = match self.buffers.any_held.get() {
                true => self.take_held(half, &mut piece)?,
                false => Before::Nothing,
            };
            let size = piece.len();
            half.body.replace(Some(piece));
            let callback = Callback::Body(direction, size, end);
            let call = || self.callback(direction, index, callback);
            let action = match self.filters()[index].instance() {
                Some((guest, _)) => guest.turn().run(self.later.waited(), call),
                None => Ok(Action::Continue),
            };
            piece = half.body.take().unwrap_or_default();
            let action = action?;
            if action != Action::Continue || self.buffers.any_held.get() {
                let answered = Answered {
                    index,
                    action,
                    before,
                    end,
                };
                match self.see_to_answer(direction, answered, piece)? {
                    Some(goes_on) => piece = goes_on,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(piece))
    }

    /// Puts what a filter holds back before the piece that it sees next, or keeps it apart.
    #[cold]
    fn take_held(&self, half: &DirectionState, piece: &mut Body) -> Result<Before, Stop> {
        let (Some(_), Some(mut held)) = (half.held.take(), half.body.take()) else {
            return Ok(Before::Nothing);
        };
        if half.unseen.take() {
            return Ok(Before::Unseen(Box::new(held)));
        }
        let new = std::mem::take(piece);
        held.append(new).map_err(|_| self.io_failure())?;
        *piece = held;
        Ok(Before::Seen)
    }

    /// A filter holds a piece back, drops it, or has held something before. What goes on, if anything does.
    #[cold]
    fn see_to_answer(
        self: &Rc<Self>,
        direction: Direction,
        answered: Answered,
        mut piece: Body,
    ) -> Result<Option<Body>, Stop> {
        let Answered {
            index,
            action,
            before,
            end,
        } = answered;
        let half = self.filters()[index].half(direction);
        // As in Envoy, what had been held before stays.
        if action == Action::Drop && !matches!(before, Before::Seen) {
            piece = Body::nothing();
            if matches!(before, Before::Nothing) && !end {
                return Ok(None);
            }
        }
        if let Before::Unseen(mut held) = before {
            held.append(piece).map_err(|_| self.io_failure())?;
            piece = *held;
        }
        if action != Action::Continue {
            half.unseen.set(action != Action::Pause);
            if action == Action::Drop {
                self.wake.limit(self);
            }
            self.hold(direction, index, piece, end)?;
            return Ok(None);
        }
        self.body_goes_on(half);
        // That goes first.
        if self.filters()[index].has_injected(direction) {
            self.hold(direction, index, piece, end)?;
            half.resume.set(true);
            return Ok(None);
        }
        Ok(Some(piece))
    }

    /// Keeps a piece that a filter holds back, in a file if it is large.
    fn hold(
        self: &Rc<Self>,
        direction: Direction,
        index: usize,
        mut piece: Body,
        end: bool,
    ) -> Result<(), Stop> {
        let half = self.filters()[index].half(direction);
        self.check_held(direction, index, piece.len())?;
        let request = self.request().ok_or(Stop::Failed)?;
        if !piece.is_spooled() && self.nothing_is_spooled(direction) {
            half.spool.rewind();
        }
        piece
            .own()
            .and_then(|()| piece.spool(|bytes| half.spool.write(request, bytes)))
            .map_err(|_| self.io_failure())?;
        self.buffers.any_held.set(true);
        half.body.replace(Some(piece));
        half.held.set(Some(end));
        self.watch_instances();
        Ok(())
    }

    /// Is there nothing on its way that may lie in a filter's temporary file?
    fn nothing_is_spooled(&self, direction: Direction) -> bool {
        let holds_none = |filter: &Filter| {
            let half = filter.half(direction);
            half.held.get().is_none() && !filter.is_waited_for(direction)
        };
        let sent = match direction {
            // What was rewritten of a body that had been read is a copy.
            Direction::Request => self
                .incoming
                .upload
                .get()
                .is_none_or(|upload| upload.is_sent()),
            Direction::Response => self.response.is_sent(),
        };
        sent && self.filters().iter().all(holds_none)
    }

    /// Have filters written more of the response to temporary files than they may hold back?
    pub fn files_are_full(&self, request: Request) -> bool {
        let files = self.filters().iter().map(|f| f.response.spool.len());
        files.sum::<u64>() > LocConf::of(request).buffer_size().body as u64
    }

    /// A piece that goes on by itself, the one that is farthest on its way: what a filter has put into the
    /// body, what one held back and now lets go, or what waited for header callbacks that have been made
    /// meanwhile. With the place of the filter that is to see it, and whether it ends the body.
    pub fn due(&self, direction: Direction) -> Option<(usize, Body, bool)> {
        if !self.buffers.any_held.get() {
            return None;
        }
        // What the header waits for goes on behind the header.
        let header = self.paused_header(direction).unwrap_or(usize::MAX);
        let limit = self.limit(direction);
        for place in (0..self.count(direction)).rev() {
            let filter = &self.filters()[self.index(direction, place)];
            let half = filter.half(direction);
            if place < header
                && let Some((body, end)) = filter.take_injected(direction)
            {
                if end {
                    self.cut_off_before(place);
                }
                return Some((place + 1, body, end));
            }
            if place != header
                && let Some(end) = half.held.get()
                && filter.goes_on(direction)
            {
                half.held.set(None);
                half.unseen.set(false);
                return Some((place + 1, half.body.take().unwrap_or_default(), end));
            }
            if place < limit
                && let Some((body, end)) = filter.take_waiting(direction)
            {
                return Some((place, body, end));
            }
        }
        None
    }

    /// Forgets what filters hold of a body.
    pub fn drop_body(&self, direction: Direction) {
        if !self.buffers.any_held.get() {
            return;
        }
        for filter in self.filters() {
            let half = filter.half(direction);
            half.held.set(None);
            half.unseen.set(false);
            half.body.take();
            filter.take_waiting(direction);
            filter.take_injected(direction);
        }
    }

    /// Notes that a file of nginx's could not be read.
    pub fn io_failure(&self) -> Stop {
        if let Some(request) = self.request() {
            let error = std::io::Error::last_os_error();
            request.log().write(
                Level::Crit,
                format_args!("[wasm] cannot read or buffer a body: {error}"),
            );
        }
        self.stops.fail();
        Stop::Failed
    }
}
