//! The input of a call.

use std::io;

use crate::message::body::Body;
use crate::nginx::request::Request;

/// What a plugin gets.
pub enum Input {
    Body(Body),
    Json(Vec<u8>),
    /// What was published to a channel.
    Message(Vec<u8>),
}

impl Input {
    fn size(&self) -> usize {
        match self {
            Input::Body(body) => body.len(),
            Input::Json(bytes) | Input::Message(bytes) => bytes.len(),
        }
    }

    /// Writes all of it into as many bytes.
    fn write(&self, memory: &mut [u8]) -> io::Result<()> {
        match self {
            Input::Body(body) => write(body, memory),
            Input::Json(bytes) | Input::Message(bytes) => {
                memory.copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl extism_host::Input for &Input {
    fn size(&self) -> usize {
        Input::size(self)
    }

    fn write(self, memory: &mut [u8]) -> io::Result<()> {
        Input::write(self, memory)
    }
}

impl wapc_host::Message for Input {
    fn size(&self) -> usize {
        Input::size(self)
    }

    fn write(&self, memory: &mut [u8]) -> io::Result<()> {
        Input::write(self, memory)
    }
}

/// The body of a request, as it was read: pieces in memory, and in nginx's temporary file. A subrequest has that of its
/// main request where it has the same method, as nginx's mirrors do; one that is included is a GET without a body.
pub fn body(request: Request) -> Body {
    let mut body = Body::default();
    // SAFETY: both requests are live.
    let same = unsafe { (*request.as_ptr()).method == (*request.main().as_ptr()).method };
    if request.is_main() || same {
        // SAFETY: the buffers live as long as the request, and nobody changes them while its content is made.
        unsafe {
            for buf in crate::nginx::buf::iter(request.body()) {
                body.push(buf, 0, usize::MAX);
            }
        }
    }
    body
}

/// Writes all of it into as many bytes.
fn write(body: &Body, mut memory: &mut [u8]) -> io::Result<()> {
    let mut failed = None;
    let read = body.read(0, body.len(), &mut |piece| {
        if let Err(error) = io::Write::write_all(&mut memory, piece) {
            failed = Some(error);
        }
    });
    match (read, failed) {
        (Ok(()), None) => Ok(()),
        (_, Some(error)) => Err(error),
        (Err(_), None) => Err(unreadable()),
    }
}

fn unreadable() -> io::Error {
    io::Error::other("the body cannot be read")
}
