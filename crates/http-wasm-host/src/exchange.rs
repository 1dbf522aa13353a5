//! What a proxy offers to a guest.

use guest_host::Services;

use crate::error::Misuse;

/// Whose headers a guest means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKind {
    Request,
    Response,
    RequestTrailers,
    ResponseTrailers,
}

impl HeaderKind {
    /// By the ABI's number.
    pub(crate) fn of(number: u32) -> Result<HeaderKind, Misuse> {
        match number {
            0 => Ok(HeaderKind::Request),
            1 => Ok(HeaderKind::Response),
            2 => Ok(HeaderKind::RequestTrailers),
            3 => Ok(HeaderKind::ResponseTrailers),
            _ => Err(Misuse::HeaderKind(number)),
        }
    }
}

/// Whose body a guest means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    Request,
    Response,
}

impl BodyKind {
    /// By the ABI's number.
    pub(crate) fn of(number: u32) -> Result<BodyKind, Misuse> {
        match number {
            0 => Ok(BodyKind::Request),
            1 => Ok(BodyKind::Response),
            _ => Err(Misuse::BodyKind(number)),
        }
    }
}

/// A value that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// What a proxy offers to an instance; its [`Services`] are those outside of requests.
pub trait Proxy: Services + 'static {
    type Exchange: Exchange;
}

/// A request and its response, as one guest of the proxy sees them. No method waits.
///
/// Whether the guest may ask at that time is seen to before. Names of headers are compared without regard to case, and a
/// request's host is the header `host`.
pub trait Exchange: 'static {
    /// Would a line of this level be written to the request's log?
    fn log_enabled(&self, level: guest_host::LogLevel) -> bool;

    /// Writes one; it need not be UTF-8.
    fn log(&self, level: guest_host::LogLevel, message: &[u8]);

    /// The method, as it was sent.
    fn method(&self, found: &mut dyn FnMut(&[u8]));

    fn set_method(&self, method: &[u8]) -> Result<(), Invalid>;

    /// Path and query, as they were sent, with their escapes.
    fn uri(&self, found: &mut dyn FnMut(&[u8]));

    /// `uri` is not empty.
    fn set_uri(&self, uri: &[u8]) -> Result<(), Invalid>;

    /// `HTTP/1.1`, `HTTP/2.0`
    fn protocol_version(&self, found: &mut dyn FnMut(&[u8]));

    /// The client's address, `ip:port`.
    fn source_addr(&self, found: &mut dyn FnMut(&[u8]));

    /// The names of all headers of a kind, in lower case; one that is there twice may come twice, and their order is any.
    fn names(&self, kind: HeaderKind, visit: &mut dyn FnMut(&[u8]));

    /// The values of all headers of a name, in their order.
    fn values(&self, kind: HeaderKind, name: &[u8], visit: &mut dyn FnMut(&[u8]));

    /// Leaves one header of this name, with this value. What cannot be sent is the proxy's to see to.
    fn set_header(&self, kind: HeaderKind, name: &[u8], value: &[u8]);

    /// Adds a header behind the others; as [`Exchange::set_header`].
    fn add_header(&self, kind: HeaderKind, name: &[u8], value: &[u8]);

    /// Drops all headers of this name.
    fn remove_header(&self, kind: HeaderKind, name: &[u8]);

    /// The status of the next handler's response.
    fn status(&self) -> u32;

    /// Sets it; it is from 200 to 999.
    fn set_status(&self, status: u32);

    /// Copies bytes of a body, as it has come, from an offset on: as many as there are and `buffer` has room for. Of a
    /// response, it is asked for only with [`Features::BUFFER_RESPONSE`](crate::Features::BUFFER_RESPONSE).
    fn read_body(&self, kind: BodyKind, offset: usize, buffer: &mut [u8])
    -> Result<usize, Invalid>;

    /// May the guest write a body of so many bytes? If not, that is the proxy's to see to; nothing is written.
    fn takes_body(&self, kind: BodyKind, bytes: usize) -> bool;

    /// May the guest add a header of so many bytes, name and value, to the response that is kept here? As
    /// [`Exchange::takes_body`].
    fn takes_header(&self, bytes: usize) -> bool;
}
