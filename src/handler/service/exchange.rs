//! A request that a component answers, from the content phase to its end.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_connection_t, ngx_http_finalize_request,
    ngx_http_run_posted_requests, ngx_int_t,
};

use crate::handler::services::Exchange as Owned;
use crate::message::stream::download::Download;
use crate::message::stream::events::{Events, Listening};
use crate::message::stream::upload;
use crate::net::executor::{Task, spawn};
use crate::net::timer::keeping_worker;
use crate::nginx::request::Request;
use crate::nginx::{AGAIN, DONE, OK, pool, watch};

/// What a task needs of the request that it answers. The request is live as long as the task runs.
pub struct Exchange {
    pub request: Request,
    pub events: Rc<Events>,
    pub download: Rc<Download>,
    /// On whose behalf calls are made.
    pub owner: Rc<Owned>,
}

/// What the request's pool keeps: the end of the request ends the task.
struct Kept {
    listening: RefCell<Option<Listening>>,
    owner: Rc<Owned>,
    task: RefCell<Option<Task>>,
    /// nginx may still send from it when the task is over.
    _download: Rc<Download>,
}

impl Kept {
    /// nginx has the request again.
    fn end(&self) {
        self.owner.end();
        let listening = self.listening.take();
        drop(listening);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
        let task = self.task.take();
        drop(task);
    }
}

/// Has a task answer the request, whose content phase this is. The result of what `answer` makes is one to finalize the
/// request with.
pub fn begin<F>(request: Request, answer: impl FnOnce(Exchange) -> F) -> ngx_int_t
where
    F: Future<Output = ngx_int_t> + 'static,
{
    let listening = Listening::new(request);
    let exchange = Exchange {
        request,
        events: listening.events().clone(),
        download: Rc::new(Download::new()),
        owner: Owned::new(request),
    };
    let kept = Kept {
        owner: exchange.owner.clone(),
        _download: exchange.download.clone(),
        listening: RefCell::new(Some(listening)),
        task: RefCell::default(),
    };
    // SAFETY: the request is live. What is kept is dropped with the pool, before which the task ends: so it has a live
    // request as long as it runs.
    let kept: Option<&'static Kept> = unsafe { pool::boxed(request.pool(), kept).as_ref() };
    let Some(kept) = kept.filter(|_| watch::client(request)) else {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    };
    // SAFETY: the request is live; the reference is given back when the request is finalized.
    unsafe {
        let main = request.main().as_ptr();
        (*main).set_count((*main).count() + 1);
    }
    let answer = answer(exchange);
    let task = spawn(async move {
        let rc = keeping_worker(answer).await;
        finish(request, kept, rc);
    });
    kept.task.replace(Some(task));
    DONE
}

fn finish(request: Request, kept: &Kept, rc: ngx_int_t) {
    kept.end();
    if rc == OK || rc == AGAIN {
        upload::discard(request);
    }
    // SAFETY: the request is live until it is finalized. As in nginx's own event handlers, subrequests that were posted run
    // behind it; the connection is there for that, or closed with its flag.
    unsafe {
        let connection: *mut ngx_connection_t = request.connection();
        ngx_http_finalize_request(request.as_ptr(), rc);
        ngx_http_run_posted_requests(connection);
    }
}
