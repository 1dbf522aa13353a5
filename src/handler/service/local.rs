//! A worker has one thread, whose requests and connections only it may use. Others' interfaces want what can be sent to any.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use send_wrapper::SendWrapper;

/// A body that stays in its thread, and says that it need not. Used in another thread, it panics.
pub struct Local<B>(SendWrapper<Pin<Box<B>>>);

impl<B> Local<B> {
    pub fn new(body: B) -> Local<B> {
        Local(SendWrapper::new(Box::pin(body)))
    }
}

impl<B: Body<Data = Bytes>> Body for Local<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.0.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
