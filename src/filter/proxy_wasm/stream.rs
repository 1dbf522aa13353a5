//! A stream of Proxy-Wasm's as a request of nginx's.

use std::rc::{Rc, Weak};

use proxy_wasm_host::{
    BufferType, HttpStream, LocalResponse, MapType, OwnedPairs, Status, StreamType,
};

use crate::filter::chain::context::Context;
use crate::filter::chain::context::change::Lines;
use crate::filter::chain::filter::DirectionState;
use crate::filter::chain::stage::{Direction, RequestStage, ResponseStage};
use crate::filter::chain::{filter_state, properties, upstream};
use crate::message::headers::{request, response};
use crate::message::local::LocalReply;
use crate::net::origin::Owner;
use crate::nginx::pool::LINE;
use crate::nginx::request::Request;

/// One filter's view of a request.
#[derive(Clone)]
pub struct Stream {
    context: Rc<Context>,
    index: usize,
}

impl Stream {
    pub fn new(context: Rc<Context>, index: usize) -> Stream {
        Stream { context, index }
    }

    /// The request, until it ends.
    pub fn request(&self) -> Option<Request> {
        self.context.request()
    }

    /// Says when the request has ended.
    pub fn owner(&self) -> Weak<dyn Owner> {
        let context: Rc<dyn Owner> = self.context.clone();
        Rc::downgrade(&context)
    }

    fn live(&self) -> Result<Request, Status> {
        self.request().ok_or(Status::BadArgument)
    }

    /// The request when the map of its headers, of its response's or of that one's trailers is there.
    fn readable(&self, map: MapType) -> Option<Request> {
        let there = match map {
            MapType::RequestHeaders => true,
            MapType::ResponseHeaders | MapType::ResponseTrailers => {
                self.context.response.stage() != ResponseStage::New
            }
            _ => false,
        };
        self.request().filter(|_| there)
    }

    /// The request, as long as something can still become of it.
    fn active(&self) -> Result<Request, Status> {
        self.context.active().ok_or(Status::BadArgument)
    }

    fn half(&self, direction: Direction) -> Result<&DirectionState, Status> {
        let filter = self.context.filters().get(self.index);
        Ok(filter.ok_or(Status::BadArgument)?.half(direction))
    }

    fn body(&self, buffer: BufferType) -> Result<&DirectionState, Status> {
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            BufferType::ResponseBody => Direction::Response,
            _ => return Err(Status::NotFound),
        };
        // There is no filter yet while its context is made.
        self.half(direction).map_err(|_| Status::NotFound)
    }

    /// Applies a change of a map, of so many bytes, if it can still have an effect.
    fn change(
        &self,
        map: MapType,
        name: &[u8],
        bytes: usize,
        on_request: impl FnOnce(Request) -> Result<(), Status>,
        on_response: impl FnOnce(Request) -> Result<(), Status>,
        on_trailers: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let (context, index) = (&self.context, self.index);
        match map {
            MapType::RequestHeaders => {
                context.change_or_refuse(index, Lines::Request, name, bytes, on_request)
            }
            MapType::ResponseHeaders => {
                context.change_or_refuse(index, Lines::Response, name, bytes, on_response)
            }
            MapType::ResponseTrailers => {
                context.change_or_refuse(index, Lines::ResponseTrailers, name, bytes, on_trailers)
            }
            _ => Err(Status::BadArgument),
        }
    }
}

impl HttpStream for Stream {
    fn map_visit(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        match (map, self.readable(map)) {
            (_, None) => {}
            (MapType::RequestHeaders, Some(request)) => request::visit(request, visit),
            (MapType::ResponseTrailers, Some(r)) => response::trailers::visit(r, visit),
            (_, Some(request)) => response::visit(request, visit),
        }
        Ok(())
    }

    fn map_get(
        &self,
        map: MapType,
        key: &[u8],
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Status> {
        Ok(match (map, self.readable(map)) {
            (_, None) => false,
            (MapType::RequestHeaders, Some(request)) => request::get(request, key, found),
            (MapType::ResponseTrailers, Some(r)) => response::trailers::get(r, key, found),
            (_, Some(request)) => response::get(request, key, found),
        })
    }

    fn map_add(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
        self.change(
            map,
            key,
            line(key, value),
            |r| request::add(r, &self.context.incoming.lines, key, value),
            |r| response::add(r, self.context.response.length(), key, value),
            |r| response::trailers::add(r, key, value),
        )
    }

    fn map_replace(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
        self.change(
            map,
            key,
            line(key, value),
            |r| request::replace(r, &self.context.incoming.lines, key, value),
            |r| response::replace(r, self.context.response.length(), key, value),
            |r| response::trailers::replace(r, key, value),
        )
    }

    fn map_remove(&self, map: MapType, key: &[u8]) -> Result<(), Status> {
        self.change(
            map,
            key,
            0,
            |r| request::remove(r, &self.context.incoming.lines, key),
            |r| response::remove(r, key),
            |r| response::trailers::remove(r, key),
        )
    }

    fn map_set_pairs(&self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
        self.change(
            map,
            b"",
            lines(pairs),
            |r| request::set_pairs(r, &self.context.incoming.lines, pairs),
            |r| response::set_pairs(r, self.context.response.length(), pairs),
            |r| response::trailers::set_pairs(r, pairs),
        )
    }

    fn buffer_len(&self, buffer: BufferType) -> Result<usize, Status> {
        let body = self.body(buffer)?.body.borrow();
        Ok(body.as_ref().ok_or(Status::NotFound)?.len())
    }

    fn buffer_read(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Status> {
        let body = self.body(buffer)?.body.borrow();
        body.as_ref()
            .ok_or(Status::NotFound)?
            .read(start, len, found)
    }

    fn buffer_replace(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        data: &[u8],
    ) -> Result<(), Status> {
        let mut body = self.body(buffer)?.body.borrow_mut();
        // In the last callbacks there may still be what a filter held back.
        let ending = self.context.life.ending.get();
        let body = body.as_mut().filter(|_| !ending);
        let body = body.ok_or(Status::BadArgument)?;
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            _ => Direction::Response,
        };
        let made = body.len_with(start, len, data.len());
        self.context
            .check_made(self.index, direction, body.len(), made)?;
        body.replace(start, len, data)
    }

    fn property(&self, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status> {
        let request = self.request().ok_or(Status::NotFound)?;
        properties::get(&self.context, self.index, request, path, out)
    }

    fn set_property(&self, path: &[&[u8]], value: &[u8]) -> Result<(), Status> {
        let request = self.request().ok_or(Status::NotFound)?;
        properties::set(&self.context, self.index, request, path, value)
    }

    fn continue_stream(&self, stream: StreamType) -> Result<(), Status> {
        let direction = match stream {
            StreamType::Request => Direction::Request,
            StreamType::Response => Direction::Response,
            _ => return Err(Status::BadArgument),
        };
        self.active()?;
        self.half(direction)?.resume.set(true);
        self.context.wake_if_paused();
        Ok(())
    }

    fn close_stream(&self, stream: StreamType) -> Result<(), Status> {
        match stream {
            StreamType::Request | StreamType::Response => {}
            _ => return Err(Status::BadArgument),
        }
        self.active()?;
        self.context.stops.close();
        self.context.stop_asked();
        Ok(())
    }

    fn inject_response_body(&self, body: &[u8], end: bool) -> Result<(), Status> {
        self.context.inject(self.index, body, end)
    }

    /// The location is chosen again when the request's callbacks are done.
    fn clear_route_cache(&self) -> Result<(), Status> {
        self.active()?;
        self.context.route.cleared.set(true);
        Ok(())
    }

    fn upstream_hosts(&self) -> Result<OwnedPairs, Status> {
        upstream::hosts(self.request().ok_or(Status::NotFound)?)
    }

    /// The upstream is asked for a server when the filters have passed the request on, or the first piece
    /// of a body that streams.
    fn set_upstream_override_host(&self, host: &[u8]) -> Result<(), Status> {
        let request = self.active()?;
        let streams = self.context.incoming.stage.get() == RequestStage::Streaming;
        if !self.context.takes_change(Lines::Request) || streams && request.has_balancer() {
            return Err(Status::BadArgument);
        }
        self.context.route.chosen.set(host)
    }

    fn set_filter_state(&self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        filter_state::set(&self.context, self.index, self.live()?, name, value)
    }

    fn send_local_response(&self, response: &LocalResponse<'_>) -> Result<(), Status> {
        self.active()?;
        if self.context.life.ending.get() {
            return Err(Status::BadArgument);
        }
        let (context, direction) = (&self.context, Direction::Response);
        context.check_made(self.index, direction, 0, response.body.len())?;
        context.write(self.index, direction, lines(response.headers), |_| Ok(()))?;
        context.stops.answer(|| {
            let reply = LocalReply::new(response);
            if reply.status() != response.status {
                context.status_refused(self.index, response.status);
            }
            reply
        });
        self.context.stop_asked();
        Ok(())
    }
}

/// What a line takes at least.
fn line(name: &[u8], value: &[u8]) -> usize {
    name.len() + value.len() + LINE
}

fn lines(pairs: &[(&[u8], &[u8])]) -> usize {
    pairs.iter().map(|(name, value)| line(name, value)).sum()
}
