//! nginx's events of a request whose content a task makes: they wake the task, and end the request where nginx's own
//! handlers would.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Waker};

use ngx::ffi::{
    NGX_HTTP_CLIENT_CLOSED_REQUEST, NGX_HTTP_REQUEST_TIME_OUT, ngx_add_timer, ngx_del_timer,
    ngx_handle_write_event, ngx_http_finalize_request, ngx_http_request_t, ngx_int_t,
};

use crate::nginx::guard::guard;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, watch};

thread_local! {
    /// Those of the requests that are under way, by their addresses.
    static ALL: RefCell<HashMap<usize, Rc<Events>>> = RefCell::default();
}

/// Who waits for what of a request.
pub struct Events {
    request: Cell<Option<Request>>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    /// Who ends the request.
    ender: Cell<Option<Waker>>,
    /// nginx has read all of the body, or its first piece.
    has_body: Cell<bool>,
    /// What the request is to be finalized with, when its body could not be read.
    failure: Cell<Option<ngx_int_t>>,
}

/// Events come as long as this is there; then the request counts as gone.
pub struct Listening(Rc<Events>);

impl Listening {
    /// Has the events of a request come here. It ends before the request does.
    pub fn new(request: Request) -> Listening {
        let events = Rc::new(Events {
            request: Cell::new(Some(request)),
            reader: Cell::default(),
            writer: Cell::default(),
            ender: Cell::default(),
            has_body: Cell::new(false),
            failure: Cell::default(),
        });
        ALL.with_borrow_mut(|all| all.insert(request.as_ptr().addr(), events.clone()));
        Listening(events)
    }

    pub fn events(&self) -> &Rc<Events> {
        &self.0
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(request) = self.0.request.take() else {
            return;
        };
        ALL.with_borrow_mut(|all| all.remove(&request.as_ptr().addr()));
        // Whoever still waits learns that it is gone.
        let wakers = [&self.0.reader, &self.0.writer].map(Cell::take);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Events {
    /// The request, as long as it is under way.
    pub fn request(&self) -> Option<Request> {
        self.request.get()
    }

    /// Has nginx read all of the body, or its first piece?
    pub fn has_body(&self) -> bool {
        self.has_body.get()
    }

    /// Waits for more of the request's body.
    pub fn wait_to_read(&self, context: &Context<'_>) {
        self.reader.set(Some(context.waker().clone()));
    }

    /// Waits until more of the response can be sent.
    pub fn wait_to_write(&self, context: &Context<'_>) {
        self.writer.set(Some(context.waker().clone()));
    }

    /// The request is to be finalized with this.
    pub fn fail(&self, rc: ngx_int_t) {
        self.failure.set(Some(rc));
        if let Some(waker) = self.ender.take() {
            waker.wake();
        }
    }

    /// What it is to be finalized with, if that has been said. Else who asks is woken when it is.
    pub fn failure(&self, context: &Context<'_>) -> Option<ngx_int_t> {
        if self.failure.get().is_none() {
            self.ender.set(Some(context.waker().clone()));
        }
        self.failure.get()
    }
}

fn find(request: Request) -> Option<Rc<Events>> {
    ALL.with_borrow(|all| all.get(&request.as_ptr().addr()).cloned())
}

/// Has the request's read events come here, as long as more of its body is to come; then its client is watched.
pub fn listen_to_reads(request: Request) {
    // SAFETY: a handle is of a live request.
    unsafe {
        let r = request.as_ptr();
        if (*r).reading_body() != 0 {
            (*r).read_event_handler = Some(on_read);
            return;
        }
    }
    if !watch::client(request)
        && let Some(events) = find(request)
    {
        events.fail(ERROR);
    }
}

/// Has the request's write events come here.
pub fn listen_to_writes(request: Request) {
    // SAFETY: a handle is of a live request.
    unsafe { (*request.as_ptr()).write_event_handler = Some(on_write) };
}

/// For `ngx_http_read_client_request_body`: nginx has read all of the body, or with `request_body_no_buffering` its first piece.
pub unsafe extern "C" fn on_body(r: *mut ngx_http_request_t) {
    guard((), || {
        // SAFETY: nginx calls a handler with a live request.
        let request = unsafe { Request::new(r) };
        if let Some(events) = request.and_then(find) {
            events.has_body.set(true);
            if let Some(waker) = events.reader.take() {
                waker.wake();
            }
        }
    });
}

unsafe extern "C" fn on_read(r: *mut ngx_http_request_t) {
    guard((), || {
        // SAFETY: nginx calls a handler with a live request.
        let Some(request) = (unsafe { Request::new(r) }) else {
            return;
        };
        // SAFETY: the request is live, and its connection has a read event. A request that is finalized is not used
        // after that.
        unsafe {
            let connection = request.connection();
            let read = (*connection).read;
            if (*read).timedout() != 0 {
                (*connection).set_timedout(1);
                return ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT as ngx_int_t);
            }
            // A stream of HTTP/2 or HTTP/3 that the client has reset.
            if (*connection).error() != 0 {
                return ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST as ngx_int_t);
            }
            // The client's time runs while somebody waits for it.
            if (*read).timer_set() != 0 {
                ngx_del_timer(read);
            }
        }
        if let Some(waker) = find(request).and_then(|events| events.reader.take()) {
            waker.wake();
        }
    });
}

unsafe extern "C" fn on_write(r: *mut ngx_http_request_t) {
    guard((), || {
        // SAFETY: nginx calls a handler with a live request.
        let Some(request) = (unsafe { Request::new(r) }) else {
            return;
        };
        // SAFETY: the request is live, and its connection has a write event. A request that is finalized is not used
        // after that.
        unsafe {
            let connection = request.connection();
            let write = (*connection).write;
            if (*write).timedout() != 0 {
                let line = format_args!("client timed out");
                request.log().write(Level::Info, line);
                (*connection).set_timedout(1);
                return ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT as ngx_int_t);
            }
            if (*write).delayed() != 0 {
                if wait_for_client(request) != OK {
                    ngx_http_finalize_request(r, ERROR);
                }
                return;
            }
        }
        if let Some(waker) = find(request).and_then(|events| events.writer.take()) {
            waker.wake();
        }
    });
}

/// Has nginx tell when more can be sent to the client, or that `send_timeout` is over.
pub fn wait_for_client(request: Request) -> ngx_int_t {
    // SAFETY: the request is live, and its connection has a write event.
    unsafe {
        let core = request.core_loc_conf();
        let connection = request.connection();
        let write = (*connection).write;
        // Of several subrequests, one has the connection.
        if (*connection).data.addr() == request.as_ptr().addr()
            && ngx_handle_write_event(write, (*core).send_lowat) != OK
        {
            return ERROR;
        }
        if (*write).delayed() != 0 {
            return OK;
        }
        if (*write).active() != 0 && (*write).ready() == 0 {
            ngx_add_timer(write, (*core).send_timeout);
        } else if (*write).timer_set() != 0 {
            ngx_del_timer(write);
        }
    }
    OK
}
