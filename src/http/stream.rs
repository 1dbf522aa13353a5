//! A stream of Proxy-Wasm's as a request of nginx's.

use std::rc::Rc;

use proxy_wasm_host::{BufferType, HttpStream, LocalResponse, MapType, Status, StreamType};

use super::context::{Context, Direction, Half, LINE, RequestStage};
use super::filter_state;
use super::headers::{request, response};
use super::local::LocalReply;
use super::properties;
use super::response::Stage;
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

    fn live(&self) -> Result<Request, Status> {
        self.request().ok_or(Status::BadArgument)
    }

    /// The request when the map of its headers, of its response's or of that one's trailers is there.
    fn readable(&self, map: MapType) -> Option<Request> {
        let there = match map {
            MapType::RequestHeaders => true,
            MapType::ResponseHeaders | MapType::ResponseTrailers => {
                self.context.response.stage() != Stage::New
            }
            _ => false,
        };
        self.request().filter(|_| there)
    }

    fn half(&self, direction: Direction) -> Result<&Half, Status> {
        let filter = self.context.filters().get(self.index);
        Ok(filter.ok_or(Status::BadArgument)?.half(direction))
    }

    fn body(&self, buffer: BufferType) -> Result<&Half, Status> {
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            BufferType::ResponseBody => Direction::Response,
            _ => return Err(Status::NotFound),
        };
        // There is no filter yet while its context is made.
        self.half(direction).map_err(|_| Status::NotFound)
    }

    /// Can a change of this map still have an effect? One of the request's headers until the filters
    /// have passed the request on, one of the response's until its header has been, and one of its
    /// trailers until the end of its body has.
    fn takes_change(&self, map: MapType) -> bool {
        let context = &self.context;
        if context.ending.get() {
            return false;
        }
        match map {
            MapType::RequestHeaders => {
                context.stage.get() != RequestStage::Done && context.response.takes_request()
            }
            MapType::ResponseHeaders => context.response.takes_headers(),
            MapType::ResponseTrailers => context.response.takes_trailers(),
            _ => false,
        }
    }

    /// Applies a change of a map, of so many bytes, if it can still have an effect; header lines of
    /// the request are derived values elsewhere.
    fn change(
        &self,
        map: MapType,
        bytes: usize,
        on_request: impl FnOnce(Request) -> Result<(), Status>,
        on_response: impl FnOnce(Request) -> Result<(), Status>,
        on_trailers: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        if !self.takes_change(map) {
            return Err(Status::BadArgument);
        }
        match map {
            MapType::RequestHeaders => {
                self.context.request_changed.set(true);
                self.write(Direction::Request, bytes, on_request)
            }
            MapType::ResponseTrailers => self.write(Direction::Response, bytes, on_trailers),
            _ => self.write(Direction::Response, bytes, on_response),
        }
    }

    fn write(
        &self,
        direction: Direction,
        bytes: usize,
        write: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        self.context.write(self.index, direction, bytes, write)
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
            line(key, value),
            |r| request::add(r, &self.context.lines, key, value),
            |r| response::add(r, key, value),
            |r| response::trailers::add(r, key, value),
        )
    }

    fn map_replace(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
        self.change(
            map,
            line(key, value),
            |r| request::replace(r, &self.context.lines, key, value),
            |r| response::replace(r, key, value),
            |r| response::trailers::replace(r, key, value),
        )
    }

    fn map_remove(&self, map: MapType, key: &[u8]) -> Result<(), Status> {
        self.change(
            map,
            0,
            |r| request::remove(r, &self.context.lines, key),
            |r| response::remove(r, key),
            |r| response::trailers::remove(r, key),
        )
    }

    fn map_set_pairs(&self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
        self.change(
            map,
            lines(pairs),
            |r| request::set_pairs(r, &self.context.lines, pairs),
            |r| response::set_pairs(r, pairs),
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
        let ending = self.context.ending.get();
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
        self.live()?;
        self.half(direction)?.resume.set(true);
        self.context.wake_if_paused();
        Ok(())
    }

    fn close_stream(&self, stream: StreamType) -> Result<(), Status> {
        match stream {
            StreamType::Request | StreamType::Response => {}
            _ => return Err(Status::BadArgument),
        }
        self.live()?;
        self.context.close.set(true);
        self.context.stop_asked();
        Ok(())
    }

    /// The location is chosen again when the request's callbacks are done.
    fn clear_route_cache(&self) -> Result<(), Status> {
        self.live()?;
        self.context.route_cleared.set(true);
        Ok(())
    }

    fn set_filter_state(&self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        filter_state::set(&self.context, self.index, self.live()?, name, value)
    }

    fn send_local_response(&self, response: &LocalResponse<'_>) -> Result<(), Status> {
        self.live()?;
        if self.context.ending.get() || !(200..=999).contains(&response.status) {
            return Err(Status::BadArgument);
        }
        let (context, direction) = (&self.context, Direction::Response);
        context.check_made(self.index, direction, 0, response.body.len())?;
        context.write(self.index, direction, lines(response.headers), |_| Ok(()))?;
        // As in Envoy, the first response is the one that counts.
        let mut reply = self.context.reply.borrow_mut();
        if reply.is_none() {
            *reply = Some(LocalReply::new(response));
        }
        drop(reply);
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
