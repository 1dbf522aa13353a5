//! Lua's code that waits for a filter: on one of its semaphores, which is posted when the filter may go on.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::{Rc, Weak};

use crate::filter::chain::context::Context;
use crate::filter::chain::wake::Handlers;

/// `ngx_http_lua_ffi_sema_post`: a semaphore of Lua's module, and how many may go on.
pub type Post = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

struct Waiting {
    context: Weak<Context>,
    post: Post,
    semaphore: *mut c_void,
}

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// What is done with a request that Lua's code drives: it is told, and sees to the rest.
pub static HANDLERS: Handlers = Handlers {
    resume: wake,
    settle: |_| (),
    expired: |context| {
        if context.active().is_some() && context.time_out() {
            wake(context);
        }
    },
};

/// Has the semaphore posted when the filter may go on. It is live until [`forget`] is called with it.
pub fn wait(context: &Rc<Context>, post: Post, semaphore: *mut c_void) {
    let context = Rc::downgrade(context);
    WAITING.with_borrow_mut(|all| {
        all.retain(|other| other.context.strong_count() > 0 && !other.context.ptr_eq(&context));
        all.push(Waiting {
            context,
            post,
            semaphore,
        });
    });
}

/// The semaphore goes.
pub fn forget(semaphore: *mut c_void) {
    WAITING.with_borrow_mut(|all| all.retain(|waiting| waiting.semaphore != semaphore));
}

fn wake(context: &Context) {
    if context.active().is_none() {
        return;
    }
    let waiting = WAITING.with_borrow_mut(|all| {
        let at = all
            .iter()
            .position(|waiting| ptr::eq(waiting.context.as_ptr(), context))?;
        Some(all.swap_remove(at))
    });
    if let Some(waiting) = waiting {
        // SAFETY: the function is that of Lua's module for its semaphores, and this one is live, as nobody has said that it
        // goes. It only posts an event of nginx's.
        unsafe { (waiting.post)(waiting.semaphore, 1) };
    }
}
