//! A stream of Proxy-Wasm's as a request of nginx's.

use std::rc::{Rc, Weak};

use proxy_wasm_host::{BufferType, HttpStream, LocalResponse, MapType, Status, StreamType};

use super::context::{Context, Direction, Half, LINE};
use super::filter_state;
use super::headers::{request, response};
use super::local::LocalReply;
use super::properties;
use super::response::Stage;
use crate::net::Owner;
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

    /// The request, as long as something can still become of it.
    fn active(&self) -> Result<Request, Status> {
        self.context.active().ok_or(Status::BadArgument)
    }

    /// The request when its response headers are there.
    fn responding(&self) -> Result<Request, Status> {
        match self.context.response.stage() {
            Stage::New => Err(Status::BadArgument),
            _ => self.live(),
        }
    }

    fn half(&self, direction: Direction) -> Result<&Half, Status> {
        let filter = self.context.filters().get(self.index);
        Ok(filter.ok_or(Status::BadArgument)?.half(direction))
    }

    fn body(&self, buffer: BufferType) -> Result<&Half, Status> {
        match buffer {
            BufferType::RequestBody => self.half(Direction::Request),
            BufferType::ResponseBody => self.half(Direction::Response),
            _ => Err(Status::NotFound),
        }
    }

    /// Applies a change of a map, of so many bytes; header lines of the request are derived values
    /// elsewhere.
    fn change(
        &self,
        map: MapType,
        bytes: usize,
        on_request: impl FnOnce(Request) -> Result<(), Status>,
        on_response: impl FnOnce(Request) -> Result<(), Status>,
        on_trailers: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        match map {
            MapType::RequestHeaders => {
                self.context.request_changed.set(true);
                self.write(Direction::Request, bytes, on_request)
            }
            MapType::ResponseHeaders | MapType::ResponseTrailers => {
                self.responding()?;
                let trailers = map == MapType::ResponseTrailers;
                self.write(Direction::Response, bytes, |request| match trailers {
                    true => on_trailers(request),
                    false => on_response(request),
                })
            }
            _ => Err(Status::BadArgument),
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
        // As in Envoy, a map that is not there now has no pairs, while its values are refused.
        let responding = self.responding();
        match (map, responding) {
            (MapType::RequestHeaders, _) => request::visit(self.live()?, visit),
            (MapType::ResponseHeaders, Ok(request)) => response::visit(request, visit),
            (MapType::ResponseTrailers, Ok(request)) => response::trailers::visit(request, visit),
            _ => {}
        }
        Ok(())
    }

    fn map_get(
        &self,
        map: MapType,
        key: &[u8],
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Status> {
        match map {
            MapType::RequestHeaders => Ok(request::get(self.live()?, key, found)),
            MapType::ResponseHeaders => Ok(response::get(self.responding()?, key, found)),
            MapType::ResponseTrailers => {
                Ok(response::trailers::get(self.responding()?, key, found))
            }
            _ => Err(Status::BadArgument),
        }
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
        let body = body.as_mut().ok_or(Status::NotFound)?;
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
        self.context.close.set(true);
        self.context.stop_asked();
        Ok(())
    }

    /// The location is chosen again when the request's callbacks are done.
    fn clear_route_cache(&self) -> Result<(), Status> {
        self.active()?;
        self.context.route_cleared.set(true);
        Ok(())
    }

    fn set_filter_state(&self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        filter_state::set(&self.context, self.index, self.live()?, name, value)
    }

    fn send_local_response(&self, response: &LocalResponse<'_>) -> Result<(), Status> {
        self.active()?;
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
