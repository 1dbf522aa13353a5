//! What a guest exports: types, checked when it is compiled, and the functions of an instance.

use guest_host::exports;
use wasm_runtime::Outline;
use wasm_runtime::wasmtime::{Func, Instance, Module, ModuleExport, Store, TypedFunc};

use crate::abi::AbiVersion;
use crate::callbacks::Callbacks;
use crate::error::LoadError;
use crate::memory::ALLOCATORS;

/// Marker exports, the newest first: a module that has several gets the newest.
const ABI_MARKERS: [(&str, AbiVersion); 4] = [
    ("proxy_abi_version_0_2_100", AbiVersion::V0_2_100),
    ("proxy_abi_version_0_2_1", AbiVersion::V0_2_1),
    ("proxy_abi_version_0_2_0", AbiVersion::V0_2_0),
    ("proxy_abi_version_0_1_0", AbiVersion::V0_1_0),
];
const ABI_MARKER: &str = "proxy_abi_version_";

const VOID: &[&str] = &["() -> ()"];
const ID: &[&str] = &["(i32) -> ()"];
const ID_1: &[&str] = &["(i32, i32) -> ()"];
const ID_2: &[&str] = &["(i32, i32, i32) -> ()"];
const ID_3: &[&str] = &["(i32, i32, i32, i32) -> ()"];
const ID_4: &[&str] = &["(i32, i32, i32, i32, i32) -> ()"];
const ANSWER: &[&str] = &["(i32) -> i32"];
const ANSWER_1: &[&str] = &["(i32, i32) -> i32"];
const ANSWER_2: &[&str] = &["(i32, i32, i32) -> i32"];
/// 0.1.0 has no end of stream; guests mix the two, so the type decides and not the version.
const HEADERS: &[&str] = &["(i32, i32, i32) -> i32", "(i32, i32) -> i32"];
/// C's, with or without arguments and result.
const MAIN: &[&str] = &["(i32, i32) -> i32", "() -> i32", "() -> ()"];

/// Every callback of the ABI with the types it may have.
const CALLBACKS: [(&str, Callbacks, &[&str]); 26] = [
    ("proxy_on_context_create", Callbacks::CONTEXT_CREATE, ID_1),
    ("proxy_on_vm_start", Callbacks::VM_START, ANSWER_1),
    ("proxy_on_configure", Callbacks::CONFIGURE, ANSWER_1),
    ("proxy_on_tick", Callbacks::TICK, ID),
    ("proxy_on_queue_ready", Callbacks::QUEUE_READY, ID_1),
    (
        "proxy_on_request_headers",
        Callbacks::REQUEST_HEADERS,
        HEADERS,
    ),
    ("proxy_on_request_body", Callbacks::REQUEST_BODY, ANSWER_2),
    (
        "proxy_on_request_trailers",
        Callbacks::REQUEST_TRAILERS,
        ANSWER_1,
    ),
    (
        "proxy_on_response_headers",
        Callbacks::RESPONSE_HEADERS,
        HEADERS,
    ),
    ("proxy_on_response_body", Callbacks::RESPONSE_BODY, ANSWER_2),
    (
        "proxy_on_response_trailers",
        Callbacks::RESPONSE_TRAILERS,
        ANSWER_1,
    ),
    (
        "proxy_on_http_call_response",
        Callbacks::HTTP_CALL_RESPONSE,
        ID_4,
    ),
    (
        "proxy_on_redis_call_response",
        Callbacks::REDIS_CALL_RESPONSE,
        ID_3,
    ),
    (
        "proxy_on_grpc_receive_initial_metadata",
        Callbacks::GRPC_RECEIVE_INITIAL_METADATA,
        ID_2,
    ),
    ("proxy_on_grpc_receive", Callbacks::GRPC_RECEIVE, ID_2),
    (
        "proxy_on_grpc_receive_trailing_metadata",
        Callbacks::GRPC_RECEIVE_TRAILING_METADATA,
        ID_2,
    ),
    ("proxy_on_grpc_close", Callbacks::GRPC_CLOSE, ID_2),
    ("proxy_on_new_connection", Callbacks::NEW_CONNECTION, ANSWER),
    (
        "proxy_on_downstream_data",
        Callbacks::DOWNSTREAM_DATA,
        ANSWER_2,
    ),
    ("proxy_on_upstream_data", Callbacks::UPSTREAM_DATA, ANSWER_2),
    (
        "proxy_on_downstream_connection_close",
        Callbacks::DOWNSTREAM_CONNECTION_CLOSE,
        ID_1,
    ),
    (
        "proxy_on_upstream_connection_close",
        Callbacks::UPSTREAM_CONNECTION_CLOSE,
        ID_1,
    ),
    (
        "proxy_on_foreign_function",
        Callbacks::FOREIGN_FUNCTION,
        ID_2,
    ),
    ("proxy_on_done", Callbacks::DONE, ANSWER),
    ("proxy_on_log", Callbacks::LOG, ID),
    ("proxy_on_delete", Callbacks::DELETE, ID),
];

/// Checks a module's exports; tells its version and which callbacks it has.
pub(crate) fn check(module: &Outline) -> Result<(AbiVersion, Callbacks), LoadError> {
    let abi = ABI_MARKERS
        .iter()
        .find(|(name, _)| module.export(name).is_some())
        .map(|(_, abi)| *abi);
    let Some(abi) = abi else {
        let mut exports = module.exports.iter();
        let other = exports.find(|export| export.name.starts_with(ABI_MARKER));
        return Err(match other {
            Some(other) => LoadError::UnsupportedAbi(other.name.clone()),
            None => LoadError::NoAbi,
        });
    };

    exports::check_memory(module)?;

    let mut callbacks = Callbacks::default();
    for (name, callback, types) in CALLBACKS {
        if exports::check(module, name, types)? {
            callbacks.insert(callback);
        }
    }
    // What is not used may have any type.
    for name in ALLOCATORS {
        if exports::check(module, name, ANSWER)? {
            break;
        }
    }
    if !exports::check(module, "_initialize", VOID)? && exports::check(module, "_start", VOID)? {
        return Ok((abi, callbacks));
    }
    exports::check(module, "main", MAIN)?;
    Ok((abi, callbacks))
}

/// A callback with the context, a number, and an answer.
pub(crate) type Answer1 = TypedFunc<(u32, u32), u32>;
/// A callback with the context, two numbers, and an answer.
pub(crate) type Answer2 = TypedFunc<(u32, u32, u32), u32>;

/// A callback with the context and two numbers, without an answer.
pub(crate) type Event = TypedFunc<(u32, u32, u32), ()>;

/// `proxy_on_http_call_response`.
pub(crate) type CallEvent = TypedFunc<(u32, u32, u32, u32, u32), ()>;

/// `proxy_on_redis_call_response`.
pub(crate) type RedisEvent = TypedFunc<(u32, u32, u32, u32), ()>;

/// `proxy_on_request_headers` and `proxy_on_response_headers`, of either type.
pub(crate) enum HeadersFn {
    WithEnd(Answer2),
    WithoutEnd(Answer1),
}

/// The callbacks of an instance.
pub(crate) struct Exports {
    pub context_create: Option<TypedFunc<(u32, u32), ()>>,
    pub vm_start: Option<Answer1>,
    pub configure: Option<Answer1>,
    pub tick: Option<TypedFunc<u32, ()>>,
    pub queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    pub request_headers: Option<HeadersFn>,
    pub request_body: Option<Answer2>,
    pub request_trailers: Option<Answer1>,
    pub response_headers: Option<HeadersFn>,
    pub response_body: Option<Answer2>,
    pub response_trailers: Option<Answer1>,
    pub http_call_response: Option<CallEvent>,
    pub redis_call_response: Option<RedisEvent>,
    pub grpc_initial_metadata: Option<Event>,
    pub grpc_receive: Option<Event>,
    pub grpc_trailing_metadata: Option<Event>,
    pub grpc_close: Option<Event>,
    pub foreign_function: Option<Event>,
    pub done: Option<TypedFunc<u32, u32>>,
    pub log: Option<TypedFunc<u32, ()>>,
    pub delete: Option<TypedFunc<u32, ()>>,
}

impl Exports {
    /// Looks up the functions of an instance of a checked module.
    pub fn of<T: 'static>(
        store: &mut Store<T>,
        mut find: impl FnMut(&mut Store<T>, &'static str) -> Option<Func>,
    ) -> Exports {
        macro_rules! find {
            ($name:literal) => {
                find(store, $name).and_then(|function| function.typed(&*store).ok())
            };
        }
        macro_rules! headers {
            ($name:literal) => {
                find!($name)
                    .map(HeadersFn::WithEnd)
                    .or_else(|| find!($name).map(HeadersFn::WithoutEnd))
            };
        }
        Exports {
            context_create: find!("proxy_on_context_create"),
            vm_start: find!("proxy_on_vm_start"),
            configure: find!("proxy_on_configure"),
            tick: find!("proxy_on_tick"),
            queue_ready: find!("proxy_on_queue_ready"),
            request_headers: headers!("proxy_on_request_headers"),
            request_body: find!("proxy_on_request_body"),
            request_trailers: find!("proxy_on_request_trailers"),
            response_headers: headers!("proxy_on_response_headers"),
            response_body: find!("proxy_on_response_body"),
            response_trailers: find!("proxy_on_response_trailers"),
            http_call_response: find!("proxy_on_http_call_response"),
            redis_call_response: find!("proxy_on_redis_call_response"),
            grpc_initial_metadata: find!("proxy_on_grpc_receive_initial_metadata"),
            grpc_receive: find!("proxy_on_grpc_receive"),
            grpc_trailing_metadata: find!("proxy_on_grpc_receive_trailing_metadata"),
            grpc_close: find!("proxy_on_grpc_close"),
            foreign_function: find!("proxy_on_foreign_function"),
            done: find!("proxy_on_done"),
            log: find!("proxy_on_log"),
            delete: find!("proxy_on_delete"),
        }
    }
}

/// Where a module has its callbacks, for instances that are made in a hurry.
pub(crate) struct Places(Vec<(&'static str, ModuleExport)>);

impl Places {
    pub fn of(module: &Module) -> Places {
        let names = CALLBACKS.iter().map(|(name, ..)| *name);
        Places(
            names
                .filter_map(|name| Some((name, module.get_export_index(name)?)))
                .collect(),
        )
    }

    pub fn exports<T: 'static>(&self, store: &mut Store<T>, instance: &Instance) -> Exports {
        Exports::of(store, |store, wanted| {
            let (_, place) = self.0.iter().find(|(name, _)| *name == wanted)?;
            instance.get_module_export(store, place)?.into_func()
        })
    }
}
