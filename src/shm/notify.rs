//! A worker's event that others wake it with, to have its listeners told.

use ngx::ffi::{
    NGX_USE_CLEAR_EVENT, ngx_connection_t, ngx_event_flags, ngx_event_t, ngx_free_connection,
    ngx_get_connection, ngx_handle_read_event,
};

use crate::nginx::log::{Level, Log};
use crate::nginx::{OK, exit};
use crate::shm::lease;
use crate::shm::queue::queues::SharedQueues;
use crate::shm::wakers::Wakers;

/// Has nginx's event loop deliver what this process's listeners are to be told. `false` when nginx
/// cannot, which has been logged.
///
/// # Safety
/// This process serves requests, and its event loop is set up; `queues` and `wakers` live as long
/// as the process.
pub unsafe fn listen(queues: &SharedQueues, wakers: &Wakers, log: Log) -> bool {
    let Some(fd) = wakers.fd(wakers.own_slot()) else {
        return false;
    };
    // SAFETY: by the contract. As nginx does it for its channel to the master: the connection
    // has no request, and none is missed when the worker exits with it. It is idle, so that nginx
    // calls its handler when a graceful shutdown begins (`ngx_close_idle_connections`).
    unsafe {
        let connection = ngx_get_connection(fd, log.as_ptr());
        if connection.is_null() {
            return false;
        }
        (*connection).data = (&raw const *queues).cast_mut().cast();
        (*connection).set_idle(1);
        let read = (*connection).read;
        (*read).log = log.as_ptr();
        (*read).handler = Some(handle);
        (*read).set_channel(1);
        (*(*connection).write).set_channel(1);
        if ngx_handle_read_event(read, 0) != OK {
            (*connection).fd = -1;
            ngx_free_connection(connection);
            log.write(
                Level::Alert,
                format_args!("[wasm] queues of this worker are not ready for others' messages"),
            );
            return false;
        }
    }
    true
}

unsafe extern "C" fn handle(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: by the contract of `listen`.
        let (queues, leaves, level_triggered) = unsafe {
            let connection: *const ngx_connection_t = (*event).data.cast_const().cast();
            let queues: *const SharedQueues = (*connection).data.cast_const().cast();
            (
                &*queues,
                (*connection).close() != 0,
                ngx_event_flags & NGX_USE_CLEAR_EVENT as usize == 0,
            )
        };
        if level_triggered {
            queues.clear();
        }
        lease::look();
        match leaves {
            true => {
                exit::tell();
                queues.leave();
            }
            false => queues.deliver(),
        }
    });
}
