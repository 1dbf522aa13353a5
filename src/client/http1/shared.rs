//! The body of a request that may have to be sent twice, as long as nobody has begun to read it.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What hyper wants of an error of a body.
pub trait BodyError: Into<Box<dyn StdError + Send + Sync>> {}

impl<E: Into<Box<dyn StdError + Send + Sync>>> BodyError for E {}

/// A body; clones are the same one.
pub struct Shared<B: Body>(Rc<RefCell<Inner<B>>>);

struct Inner<B: Body> {
    body: Pin<Box<B>>,
    /// What has been read ahead.
    first: Option<Result<Frame<Bytes>, B::Error>>,
    ended: bool,
    touched: bool,
}

impl<B: Body> Clone for Shared<B> {
    fn clone(&self) -> Shared<B> {
        Shared(self.0.clone())
    }
}

impl<B: Body<Data = Bytes>> Shared<B> {
    pub fn new(body: B) -> Shared<B> {
        Shared(Rc::new(RefCell::new(Inner {
            ended: body.is_end_stream(),
            body: Box::pin(body),
            first: None,
            touched: false,
        })))
    }

    /// Has anybody begun to read it?
    pub fn is_touched(&self) -> bool {
        self.0.borrow().touched
    }

    /// Looks whether there is a body at all, if it does not say so: a request without one is to be sent without chunks. Is it
    /// known now?
    pub async fn look(&self) -> bool {
        poll_fn(|context| {
            let inner = &mut *self.0.borrow_mut();
            let known = inner.ended || inner.first.is_some();
            if known || inner.body.size_hint().exact().is_some() {
                return Poll::Ready(true);
            }
            match inner.body.as_mut().poll_frame(context) {
                Poll::Pending => return Poll::Ready(false),
                Poll::Ready(None) => inner.ended = true,
                Poll::Ready(first) => inner.first = first,
            }
            Poll::Ready(true)
        })
        .await
    }
}

impl<B: Body<Data = Bytes>> Body for Shared<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let inner = &mut *self.0.borrow_mut();
        inner.touched = true;
        if let Some(first) = inner.first.take() {
            return Poll::Ready(Some(first));
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        inner.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.0.borrow();
        inner.first.is_none() && (inner.ended || inner.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.0.borrow();
        match (&inner.first, inner.ended) {
            (None, true) => SizeHint::with_exact(0),
            // What was read ahead is not in it any more.
            (Some(_), _) => SizeHint::default(),
            (None, false) => inner.body.size_hint(),
        }
    }
}
