//! What the module offers to Lua's FFI: one symbol, which gives a table of functions. `lua/resty/proxy-wasm.lua` declares the
//! same.
//!
//! All of it is called in nginx's thread, by Lua's code. None of it runs Lua's code: LuaJIT allows that in no function that it
//! has compiled a call of.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;
use std::rc::Rc;

use ngx::ffi::ngx_http_request_t;

use crate::lua::answer::{Answer, take_reply};
use crate::lua::plugins::{Plugin, PluginContext};
use crate::lua::process::{Place, log, main};
use crate::lua::streams::{Driven, find};
use crate::lua::wait::{self, Post};
use crate::lua::{request, response};
use crate::nginx::guard::guard;
use crate::nginx::log::Level;
use crate::nginx::request::Request;

/// The version of the table. A function is only added, at its end; what changes otherwise is another version.
const VERSION: c_uint = 1;

/// Bytes that stay as they are until Lua's code calls again.
#[repr(C)]
pub struct Bytes {
    data: *const u8,
    len: usize,
}

type Handle<T> = *const T;

/// The functions. Handles come from `load` and `configure`, and end with `unload` and `remove`; requests are live ones, or null.
#[repr(C)]
pub struct Table {
    load: unsafe extern "C" fn(
        *const c_char,
        usize,
        *const c_char,
        usize,
        *const c_char,
        usize,
        c_int,
    ) -> Handle<Plugin>,
    unload: unsafe extern "C" fn(Handle<Plugin>),
    configure:
        unsafe extern "C" fn(Handle<Plugin>, *const c_char, usize, c_int) -> Handle<PluginContext>,
    remove: unsafe extern "C" fn(Handle<PluginContext>),
    request_headers: OnHeaders,
    request_body: OnBody,
    response_headers: OnHeaders,
    response_body: OnBody,
    resume: OnHeaders,
    wait: unsafe extern "C" fn(
        Handle<PluginContext>,
        *mut ngx_http_request_t,
        Option<Post>,
        *mut c_void,
    ) -> c_int,
    forget: unsafe extern "C" fn(*mut c_void),
    reply: Take,
    incoming: Take,
    response: Take,
}

type OnHeaders = unsafe extern "C" fn(Handle<PluginContext>, *mut ngx_http_request_t) -> c_int;
type OnBody = unsafe extern "C" fn(
    Handle<PluginContext>,
    *mut ngx_http_request_t,
    *const c_char,
    usize,
    c_int,
) -> c_int;
type Take =
    unsafe extern "C" fn(Handle<PluginContext>, *mut ngx_http_request_t, *mut Bytes) -> c_int;

static TABLE: Table = Table {
    load,
    unload,
    configure,
    remove,
    request_headers,
    request_body,
    response_headers,
    response_body,
    resume,
    wait,
    forget,
    reply,
    incoming,
    response,
};

/// The table of this version; null when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ngx_http_wasm_ffi_table(version: c_uint) -> *const Table {
    match version {
        VERSION => &raw const TABLE,
        _ => ptr::null(),
    }
}

/// # Safety
/// `data` has `len` bytes that stay as they are during the call, or is null.
unsafe fn bytes<'a>(data: *const c_char, len: usize) -> &'a [u8] {
    match data.is_null() {
        true => &[],
        // SAFETY: the caller says so.
        false => unsafe { std::slice::from_raw_parts(data.cast(), len) },
    }
}

/// The value behind a handle, which keeps its own reference.
///
/// # Safety
/// The handle is null, or has been given out by [`handle`] and not been taken back.
unsafe fn value<T>(handle: Handle<T>) -> Option<Rc<T>> {
    // SAFETY: the caller says so.
    unsafe {
        handle.as_ref()?;
        Rc::increment_strong_count(handle);
        Some(Rc::from_raw(handle))
    }
}

fn handle<T>(value: Rc<T>) -> Handle<T> {
    Rc::into_raw(value)
}

/// # Safety
/// As for [`value`]; it is not used any more.
unsafe fn take_back<T>(handle: Handle<T>) {
    // SAFETY: the caller says so.
    guard((), || unsafe {
        if !handle.is_null() {
            drop(Rc::from_raw(handle));
        }
    });
}

/// Null: it was not loaded; the log says why. `parameters`: `name=value`, with a NUL behind each. `init`: in `init_by_lua`.
///
/// # Safety
/// The texts are as [`bytes`] wants them.
unsafe extern "C" fn load(
    name: *const c_char,
    name_len: usize,
    code: *const c_char,
    code_len: usize,
    parameters: *const c_char,
    parameters_len: usize,
    init: c_int,
) -> Handle<Plugin> {
    // SAFETY: the caller says so.
    let (name, code, parameters) = unsafe {
        (
            bytes(name, name_len),
            bytes(code, code_len),
            bytes(parameters, parameters_len),
        )
    };
    guard(ptr::null(), || {
        let name = String::from_utf8_lossy(name);
        let parameters = parameters.split(|&b| b == 0).map(<[u8]>::to_vec);
        let parameters: Vec<_> = parameters.filter(|p| !p.is_empty()).collect();
        let loaded = match main() {
            Some(main) => Plugin::load(main, Place::new(init != 0), &name, code, &parameters),
            None => Err("there is no http block".to_owned()),
        };
        loaded.map(handle).unwrap_or_else(|error| {
            log().write(Level::Error, format_args!("[wasm] {name}: {error}"));
            ptr::null()
        })
    })
}

/// # Safety
/// As for [`take_back`].
unsafe extern "C" fn unload(plugin: Handle<Plugin>) {
    // SAFETY: the caller says so.
    unsafe { take_back(plugin) };
}

/// Null: the guest refuses the configuration, or fails; the log says so.
///
/// # Safety
/// The handle is as [`value`] wants it, the text as [`bytes`] does.
unsafe extern "C" fn configure(
    plugin: Handle<Plugin>,
    text: *const c_char,
    len: usize,
    init: c_int,
) -> Handle<PluginContext> {
    // SAFETY: the caller says so.
    let (plugin, text) = unsafe { (value(plugin), bytes(text, len)) };
    guard(ptr::null(), || {
        let Some(plugin) = plugin else {
            return ptr::null();
        };
        let context = PluginContext::new(&plugin, Place::new(init != 0), text);
        context.map(handle).unwrap_or_else(|error| {
            plugin.complain(log(), error);
            ptr::null()
        })
    })
}

/// # Safety
/// As for [`take_back`].
unsafe extern "C" fn remove(context: Handle<PluginContext>) {
    // SAFETY: the caller says so.
    unsafe { take_back(context) };
}

/// Calls a filter for a request of a client's.
///
/// # Safety
/// The handle is as [`value`] wants it, and the request is null or a live one.
unsafe fn call(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    run: impl FnOnce(Request, &Rc<PluginContext>) -> Answer,
) -> c_int {
    guard(Answer::Failed, || {
        // SAFETY: the caller says so.
        let (Some(context), Some(request)) = (unsafe { (value(context), Request::new(r)) }) else {
            return Answer::NoRequest;
        };
        match request.is_of_client() {
            true => run(request, &context),
            false => Answer::NoRequest,
        }
    })
    .into()
}

/// # Safety
/// As for [`call`].
unsafe extern "C" fn request_headers(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
) -> c_int {
    // SAFETY: the caller says so.
    unsafe { call(context, r, request::headers) }
}

/// # Safety
/// As for [`call`] and [`bytes`].
unsafe extern "C" fn request_body(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    piece: *const c_char,
    len: usize,
    end: c_int,
) -> c_int {
    // SAFETY: the caller says so.
    unsafe {
        let piece = bytes(piece, len);
        call(context, r, |r, context| {
            request::body(r, context, piece, end != 0)
        })
    }
}

/// # Safety
/// As for [`call`].
unsafe extern "C" fn response_headers(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
) -> c_int {
    // SAFETY: the caller says so.
    unsafe { call(context, r, response::headers) }
}

/// # Safety
/// As for [`call`] and [`bytes`].
unsafe extern "C" fn response_body(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    piece: *const c_char,
    len: usize,
    end: c_int,
) -> c_int {
    // SAFETY: the caller says so.
    unsafe {
        let piece = bytes(piece, len);
        call(context, r, |r, context| {
            response::body(r, context, piece, end != 0)
        })
    }
}

/// Lua's code was woken, or thinks so.
///
/// # Safety
/// As for [`call`].
unsafe extern "C" fn resume(context: Handle<PluginContext>, r: *mut ngx_http_request_t) -> c_int {
    // SAFETY: the caller says so.
    unsafe { call(context, r, request::resume) }
}

/// Has a semaphore of Lua's posted, once, when the filter may go on.
///
/// # Safety
/// As for [`call`]; `post` is Lua's own function for the semaphore, which is live until [`forget`] is called with it.
unsafe extern "C" fn wait(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    post: Option<Post>,
    semaphore: *mut c_void,
) -> c_int {
    let wait = |request, plugin: &Rc<PluginContext>| match (find(request, plugin), post) {
        (Some(context), Some(post)) => {
            wait::wait(&context, post, semaphore);
            Answer::Done
        }
        _ => Answer::Failed,
    };
    // SAFETY: the caller says so.
    unsafe { call(context, r, wait) }
}

/// The semaphore goes.
unsafe extern "C" fn forget(semaphore: *mut c_void) {
    guard((), || wait::forget(semaphore));
}

/// Makes the filter's own response the request's. The result is its status; Lua's code sends it with the body that it gets here.
///
/// # Safety
/// As for [`call`]; `body` can be written.
unsafe extern "C" fn reply(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    body: *mut Bytes,
) -> c_int {
    let mut status = None;
    let take = |request, plugin: &Rc<PluginContext>| {
        let context = find(request, plugin);
        status = context.and_then(|context| {
            let status = take_reply(&context, request)?;
            let reply = Driven::of(&context)?.reply.borrow();
            // SAFETY: the caller says so. The bytes stay in the context, which stays as long as the request.
            unsafe { show(&reply, body) };
            Some(status)
        });
        Answer::Done
    };
    // SAFETY: the caller says so.
    let result = unsafe { call(context, r, take) };
    let status = status.and_then(|status| c_int::try_from(status).ok());
    status.unwrap_or(match result {
        0 => Answer::Failed.into(),
        result => result,
    })
}

/// The request's body as the filter has made it.
///
/// # Safety
/// As for [`reply`].
unsafe extern "C" fn incoming(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    body: *mut Bytes,
) -> c_int {
    // SAFETY: the caller says so.
    unsafe {
        output(context, r, body, |driven| {
            driven.incoming.borrow_mut().take()
        })
    }
}

/// What goes on of the response's body.
///
/// # Safety
/// As for [`reply`].
unsafe extern "C" fn response(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    body: *mut Bytes,
) -> c_int {
    // SAFETY: the caller says so.
    unsafe {
        output(context, r, body, |driven| {
            driven.response.borrow_mut().take()
        })
    }
}

/// # Safety
/// As for [`reply`].
unsafe fn output(
    context: Handle<PluginContext>,
    r: *mut ngx_http_request_t,
    body: *mut Bytes,
    take: impl FnOnce(&Driven) -> Vec<u8>,
) -> c_int {
    let give = |request, plugin: &Rc<PluginContext>| {
        let Some(context) = find(request, plugin) else {
            return Answer::Failed;
        };
        let Some(driven) = Driven::of(&context) else {
            return Answer::Failed;
        };
        let mut kept = driven.reply.borrow_mut();
        *kept = take(driven);
        // SAFETY: the caller says so. The bytes stay in the context, which stays as long as the request.
        unsafe { show(&kept, body) };
        Answer::Done
    };
    // SAFETY: the caller says so.
    unsafe { call(context, r, give) }
}

/// # Safety
/// `into` can be written.
unsafe fn show(bytes: &[u8], into: *mut Bytes) {
    // SAFETY: the caller says so.
    unsafe {
        into.write(Bytes {
            data: bytes.as_ptr(),
            len: bytes.len(),
        });
    }
}
