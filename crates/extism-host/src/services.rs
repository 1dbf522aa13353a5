//! The seam to the embedder: what it must offer to a plugin.

use std::future::Future;
use std::time::Duration;

use guest_host::ServiceError;

/// An outbound request of a guest's.
#[derive(Debug)]
pub struct HttpRequest {
    /// Its URI is absolute, of the scheme `http` or `https`, without user information and fragment. The header has no lines that
    /// frame the message, which is the client's to do; `host` may be there, and is to be sent then.
    pub request: http::Request<Vec<u8>>,
    /// What is left of the call's time; `None`: there is no end.
    pub timeout: Option<Duration>,
    /// Most bytes of the response's body; more than that is an error.
    pub max_response: u64,
}

/// What comes of it; an error is the reason, as one line.
pub type HttpResult = Result<http::Response<Vec<u8>>, String>;

/// What a plugin needs of the embedder, beside what guests of every kind do.
///
/// All methods are called while the guest runs, some of them on its own stack, on which the host has 256 KiB. They must not
/// call the plugin.
pub trait Services: guest_host::Services + 'static {
    /// Resolves with the response. It is polled by the [call](crate::Plugin::call)'s own future, not on the guest's
    /// stack, and dropped with it. Redirects are not to be followed: the guest's allowed hosts were checked for this one.
    fn http_request(&self, request: HttpRequest) -> impl Future<Output = HttpResult> + 'static;

    /// Appends a var to `out`, which is empty, and answers whether there is one. Only asked with
    /// [`PluginConfig::shared_vars`](crate::PluginConfig::shared_vars).
    fn var(&self, key: &str, out: &mut Vec<u8>) -> Result<bool, ServiceError> {
        let _ = (key, out);
        Err(ServiceError::Unavailable)
    }

    /// Sets a var, or removes it.
    fn set_var(&self, key: &str, value: Option<&[u8]>) -> Result<(), ServiceError> {
        let _ = (key, value);
        Err(ServiceError::Unavailable)
    }
}
