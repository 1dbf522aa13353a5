//! A request of nginx's, as an http-wasm guest sees it.

use std::rc::Rc;

use http_wasm_host::{BodyKind, Exchange, HeaderKind, Invalid, LogLevel};
use proxy_wasm_host::Status;

use crate::filter::chain::context::Context;
use crate::filter::chain::context::change::Lines;
use crate::filter::chain::properties;
use crate::filter::chain::stage::Direction;
use crate::filter::http_wasm::module::Module;
use crate::message::headers::{request, response};
use crate::nginx::pool::LINE;
use crate::nginx::request::Request;
use crate::worker::guest_log;

/// One filter's view of a request.
pub struct View {
    context: Rc<Context>,
    index: usize,
    module: Rc<Module>,
}

/// A change of a header.
type Change<'a> = &'a dyn Fn(Request) -> Result<(), Status>;

impl View {
    pub fn new(context: Rc<Context>, index: usize, module: Rc<Module>) -> View {
        View {
            context,
            index,
            module,
        }
    }

    /// Passes something of the request on; it is there as long as its filters' contexts are.
    #[inline]
    fn with(&self, look: impl FnOnce(Request)) {
        if let Some(request) = self.context.request() {
            look(request);
        }
    }

    /// Changes a header that must be a proper one. What goes over a limit, or cannot be sent, ends the request by
    /// the context's own means.
    #[inline]
    fn change(&self, lines: Lines, name: &[u8], value: &[u8], change: Change<'_>) {
        let bytes = name.len() + value.len() + LINE;
        let change = |request| match name.first() {
            // A pseudo-header is none of this ABI's.
            Some(b':') => Err(Status::BadArgument),
            _ => change(request),
        };
        let (context, index) = (&self.context, self.index);
        let _ = context.change_or_refuse(index, lines, name, bytes, change);
    }

    /// Changes what is no header.
    fn change_line(&self, value: &[u8], name: &[u8]) -> Result<(), Invalid> {
        let lines = &self.context.incoming.lines;
        let replace = |r| request::replace(r, lines, name, value);
        let bytes = value.len() + LINE;
        let changed = self
            .context
            .change_lines(self.index, Lines::Request, bytes, replace);
        match changed {
            Err(Status::BadArgument) => Err(Invalid),
            _ => Ok(()),
        }
    }
}

impl Exchange for View {
    fn log_enabled(&self, level: LogLevel) -> bool {
        let request = self.context.request();
        request.is_some_and(|request| guest_log::is_enabled(request.log(), level))
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        let outside = self.module.outside();
        self.with(|request| {
            guest_log::write(request.log(), &outside.rate, &outside.name, level, message);
        });
    }

    fn method(&self, found: &mut dyn FnMut(&[u8])) {
        self.with(|r| {
            request::get(r, b":method", found);
        });
    }

    fn set_method(&self, method: &[u8]) -> Result<(), Invalid> {
        self.change_line(method, b":method")
    }

    fn uri(&self, found: &mut dyn FnMut(&[u8])) {
        self.with(|r| {
            request::get(r, b":path", found);
        });
    }

    fn set_uri(&self, uri: &[u8]) -> Result<(), Invalid> {
        self.change_line(uri, b":path")
    }

    fn protocol_version(&self, found: &mut dyn FnMut(&[u8])) {
        // SAFETY: the request is live, and its strings with it.
        self.with(|r| found(unsafe { (*r.as_ptr()).http_protocol.as_bytes() }));
    }

    fn source_addr(&self, found: &mut dyn FnMut(&[u8])) {
        self.with(|r| properties::source_address(r, found));
    }

    fn names(&self, kind: HeaderKind, visit: &mut dyn FnMut(&[u8])) {
        let mut header = |name: &[u8], _: &[u8]| match name {
            b":authority" => visit(b"host"),
            [b':', ..] => {}
            name => visit(name),
        };
        self.with(|r| match kind {
            HeaderKind::Request => request::visit(r, &mut header),
            HeaderKind::Response => response::visit(r, &mut header),
            HeaderKind::ResponseTrailers => response::trailers::visit(r, &mut header),
            // nginx has none.
            HeaderKind::RequestTrailers => {}
        });
    }

    fn values(&self, kind: HeaderKind, name: &[u8], visit: &mut dyn FnMut(&[u8])) {
        self.with(|r| match kind {
            _ if name.first() == Some(&b':') => {}
            HeaderKind::Request if name.eq_ignore_ascii_case(b"host") => {
                request::get(r, b":authority", visit);
            }
            HeaderKind::Request => request::values(r, name, visit),
            HeaderKind::Response => response::values(r, name, visit),
            HeaderKind::ResponseTrailers => response::trailers::values(r, name, visit),
            HeaderKind::RequestTrailers => {}
        });
    }

    fn set_header(&self, kind: HeaderKind, name: &[u8], value: &[u8]) {
        let context = &self.context;
        let length = context.response.length();
        match kind {
            HeaderKind::Request => self.change(Lines::Request, name, value, &|r| {
                request::replace(r, &context.incoming.lines, name, value)
            }),
            HeaderKind::Response => self.change(Lines::Response, name, value, &|r| {
                response::replace(r, length, name, value)
            }),
            HeaderKind::ResponseTrailers => {
                self.change(Lines::ResponseTrailers, name, value, &|r| {
                    response::trailers::replace(r, name, value)
                });
            }
            HeaderKind::RequestTrailers => {}
        }
    }

    fn add_header(&self, kind: HeaderKind, name: &[u8], value: &[u8]) {
        let context = &self.context;
        let length = context.response.length();
        match kind {
            HeaderKind::Request => self.change(Lines::Request, name, value, &|r| {
                request::add(r, &context.incoming.lines, name, value)
            }),
            HeaderKind::Response => self.change(Lines::Response, name, value, &|r| {
                response::add(r, length, name, value)
            }),
            HeaderKind::ResponseTrailers => {
                self.change(Lines::ResponseTrailers, name, value, &|r| {
                    response::trailers::add(r, name, value)
                });
            }
            HeaderKind::RequestTrailers => {}
        }
    }

    fn remove_header(&self, kind: HeaderKind, name: &[u8]) {
        let (context, index) = (&self.context, self.index);
        // What is not there cannot be removed: there is nothing to refuse.
        let _ = match kind {
            HeaderKind::Request => context.change_lines(index, Lines::Request, 0, |r| {
                request::remove(r, &context.incoming.lines, name)
            }),
            HeaderKind::Response => {
                context.change_lines(index, Lines::Response, 0, |r| response::remove(r, name))
            }
            HeaderKind::ResponseTrailers => {
                let remove = |r| response::trailers::remove(r, name);
                context.change_lines(index, Lines::ResponseTrailers, 0, remove)
            }
            HeaderKind::RequestTrailers => Ok(()),
        };
    }

    fn status(&self) -> u32 {
        let request = self.context.request();
        // A status has three digits.
        request.map_or(0, |request| request.status() as u32)
    }

    fn set_status(&self, status: u32) {
        // As for headers.
        let _ = self
            .context
            .change_lines(self.index, Lines::Response, 0, |request| {
                request.set_status(status as usize);
                Ok(())
            });
    }

    fn read_body(
        &self,
        kind: BodyKind,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<usize, Invalid> {
        let direction = direction(kind);
        let Some(filter) = self.context.filters().get(self.index) else {
            return Ok(0);
        };
        let body = filter.half(direction).body.borrow();
        let Some(body) = body.as_ref() else {
            return Ok(0);
        };
        let mut len = 0;
        let room = buffer.len();
        let read = body.read(offset, room, &mut |part| {
            if let Some(to) = buffer.get_mut(len..len + part.len()) {
                to.copy_from_slice(part);
                len += part.len();
            }
        });
        read.map(|()| len).map_err(|_| Invalid)
    }

    fn takes_body(&self, kind: BodyKind, bytes: usize) -> bool {
        let (context, direction) = (&self.context, direction(kind));
        !context.life.ending.get() && context.check_made(self.index, direction, 0, bytes).is_ok()
    }

    fn takes_header(&self, bytes: usize) -> bool {
        let (context, direction) = (&self.context, Direction::Response);
        let counted = context.write(self.index, direction, bytes + LINE, |_| Ok(()));
        counted.is_ok()
    }
}

fn direction(kind: BodyKind) -> Direction {
    match kind {
        BodyKind::Request => Direction::Request,
        BodyKind::Response => Direction::Response,
    }
}
