//! How much guests may hold back and write for one request (`wasm_buffer_size`).

use std::cell::Cell;
use std::fmt::Arguments;

use proxy_wasm_host::Status;

use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::stage::{Direction, ResponseStage, Stop};
use crate::nginx::log::Level;
use crate::nginx::pool;
use crate::nginx::request::Request;

/// What guests have written and read so far, in bytes of memory that nginx frees with the request.
#[derive(Default)]
pub struct Bounds {
    request: Cell<usize>,
    response: Cell<usize>,
    read: Cell<usize>,
}

/// Values of nginx's variables, which filters read more often than they write headers, may take so
/// many times as much memory.
const READ: usize = 16;

impl Context {
    /// Has a guest write so many bytes into what nginx keeps of the request, or of the response, until
    /// its end. Counted is all the memory that this takes of nginx's pool.
    pub fn write(
        &self,
        index: usize,
        direction: Direction,
        bytes: usize,
        write: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let request = self.request().ok_or(Status::BadArgument)?;
        let written = match direction {
            Direction::Request => &self.buffers.bounds.request,
            Direction::Response => &self.buffers.bounds.response,
        };
        let limit = LocConf::of(request).buffer_size().headers;
        if written.get().saturating_add(bytes) > limit {
            return Err(self.headers_over(index, direction));
        }
        let before = pool::allocated();
        let result = write(request);
        let taken = pool::allocated().wrapping_sub(before);
        written.set(written.get().saturating_add(taken));
        result
    }

    /// Has a guest read variables of nginx's, whose values may stay in memory until the request's end: what is taken
    /// for them is counted.
    pub fn read<R>(
        &self,
        index: usize,
        request: Request,
        read: impl FnOnce(Request) -> R,
    ) -> Result<R, Status> {
        // SAFETY: the pool is the live request's.
        let (result, taken) = unsafe { pool::measured(request.pool(), || read(request)) };
        let read = self.buffers.bounds.read.get().saturating_add(taken);
        self.buffers.bounds.read.set(read);
        let limit = LocConf::of(request).buffer_size().headers;
        if read > limit.saturating_mul(READ) {
            let format = format_args!(
                "read more of nginx's variables than {READ} times the headers= of wasm_buffer_size \
                 ({limit} bytes)"
            );
            self.over_limit(index, self.direction(), format);
            return Err(Status::InternalFailure);
        }
        Ok(result)
    }

    /// Where what belongs to neither of the two is counted: with that which the filters are at.
    pub fn direction(&self) -> Direction {
        match self.response.stage() {
            ResponseStage::New => Direction::Request,
            _ => Direction::Response,
        }
    }

    /// A guest has written more into headers, or what is like them, than it may.
    pub fn headers_over(&self, index: usize, direction: Direction) -> Status {
        if let Some(request) = self.request() {
            let limit = LocConf::of(request).buffer_size().headers;
            let format = format_args!(
                "wrote more into the headers of the {} than the headers= of wasm_buffer_size \
                 ({limit} bytes)",
                direction.name()
            );
            self.over_limit(index, direction, format);
        }
        Status::InternalFailure
    }

    /// May a filter make a piece of so many bytes of one with `before` bytes, or a local response?
    pub fn check_made(
        &self,
        index: usize,
        direction: Direction,
        before: usize,
        len: usize,
    ) -> Result<(), Status> {
        let request = self.request().ok_or(Status::BadArgument)?;
        let limit = LocConf::of(request).buffer_size().body;
        if len <= limit || len <= before {
            return Ok(());
        }
        let format = format_args!(
            "made a {} body of {len} bytes, more than wasm_buffer_size ({limit} bytes)",
            direction.name()
        );
        self.over_limit(index, direction, format);
        Err(Status::InternalFailure)
    }

    /// May this filter hold back so many bytes, beside what others do?
    pub fn check_held(&self, direction: Direction, index: usize, len: usize) -> Result<(), Stop> {
        let request = self.request().ok_or(Stop::Failed)?;
        let limit = LocConf::of(request).buffer_size().body;
        let held = len.saturating_add(self.held(direction));
        if held <= limit {
            return Ok(());
        }
        let format = format_args!(
            "holds back {held} bytes of the {} body, more than wasm_buffer_size ({limit} bytes)",
            direction.name()
        );
        Err(self.over_limit(index, direction, format))
    }

    /// May the filters have made a request body longer by so many bytes?
    pub fn check_grown(&self, request: Request, by: u64) -> Result<(), Stop> {
        let limit = LocConf::of(request).buffer_size().body;
        if by <= limit as u64 {
            return Ok(());
        }
        let last = self.filters().len().saturating_sub(1);
        let format = format_args!(
            "is the last of the filters that made the request body longer by {by} bytes, more than \
             wasm_buffer_size ({limit} bytes)"
        );
        Err(self.over_limit(last, Direction::Request, format))
    }

    /// Bytes that filters hold back, or that wait for header callbacks.
    fn held(&self, direction: Direction) -> usize {
        let filters = self.filters().iter();
        filters
            .map(|filter| {
                let half = filter.half(direction);
                let waiting = filter.look_at_waiting(direction, |body, _| body.len());
                waiting.unwrap_or(0) + half.body.borrow().as_ref().map_or(0, |b| b.len())
            })
            .sum()
    }

    /// The request ends for this filter's sake; the log has one line about it.
    fn over_limit(&self, index: usize, direction: Direction, what: Arguments<'_>) -> Stop {
        if let Some(request) = self.request()
            && self.stops.exceed(direction)
        {
            let name = self.filter_name(index);
            request
                .log()
                .write(Level::Error, format_args!("[wasm] {name}: {what}"));
            self.stop_asked();
        }
        Stop::OverLimit(direction)
    }
}
