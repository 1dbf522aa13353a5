//! The callbacks of the ABI: one table, of which all else follows.

use guest_host::{InterfaceError, exports};
use wasm_runtime::Outline;
use wasm_runtime::wasmtime::{Func, Store};

use crate::functions::{
    Answer, Answer1, Answer2, CallbackFunction, Event, Event1, Event2, Event3, Event4, HeadersFn,
};

/// Which callbacks a module exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Callbacks(u32);

impl Callbacks {
    /// Those of a stream, of a guest that is no module of this ABI's: the headers of request and response, and bodies and
    /// the response's trailers as far as the guest sees them.
    pub fn of_stream(request_body: bool, response_body: bool) -> Callbacks {
        let mut places = vec![Place::request_headers, Place::response_headers];
        if request_body {
            places.push(Place::request_body);
        }
        if response_body {
            places.extend([Place::response_body, Place::response_trailers]);
        }
        let bits = places.into_iter().map(|place| 1 << place as u32);
        Callbacks(bits.fold(0, |all, bit| all | bit))
    }
}

/// A callback of the table.
#[derive(Clone, Copy)]
pub(crate) struct Callback<F: 'static> {
    /// The name of its export.
    pub name: &'static str,
    /// Its function in an instance; `None` when it is not exported.
    pub function: fn(&Exports) -> Option<&F>,
}

/// Makes of each line: the constant by which the callback is called, the method that tells whether a module has it, and
/// the function of an instance.
macro_rules! callbacks {
    ($($method:ident $constant:ident $export:literal $function:ty;)+) => {
        /// The places of the callbacks in the table.
        // Its names are those of the methods.
        #[allow(non_camel_case_types)]
        enum Place {
            $($method,)+
        }

        /// The names of the exports, by place.
        pub(crate) const NAMES: &[&str] = &[$($export,)+];

        $(
            // Those of TCP connections are never called.
            #[allow(dead_code)]
            pub(crate) const $constant: Callback<$function> = Callback {
                name: $export,
                function: |exports| exports.$method.as_ref(),
            };
        )+

        impl Callbacks {
            $(
                #[doc = concat!("Is `", $export, "` exported?")]
                pub fn $method(self) -> bool {
                    self.0 & (1 << Place::$method as u32) != 0
                }
            )+

            /// Those of a module, whose types are checked.
            pub(crate) fn of(module: &Outline) -> Result<Callbacks, InterfaceError> {
                let mut callbacks = Callbacks::default();
                $(
                    if exports::check(module, $export, <$function>::TYPES)? {
                        callbacks.0 |= 1 << Place::$method as u32;
                    }
                )+
                Ok(callbacks)
            }
        }

        /// The callbacks of an instance.
        pub(crate) struct Exports {
            $($method: Option<$function>,)+
        }

        impl Exports {
            /// Those of an instance of a checked module. `find` looks a function up by its place in the table.
            pub fn of<T: 'static>(
                store: &mut Store<T>,
                mut find: impl FnMut(&mut Store<T>, usize) -> Option<Func>,
            ) -> Exports {
                Exports {
                    $(
                        $method: find(store, Place::$method as usize)
                            .and_then(|function| CallbackFunction::of(function, &*store)),
                    )+
                }
            }
        }
    };
}

callbacks! {
    context_create CONTEXT_CREATE "proxy_on_context_create" Event1;
    vm_start VM_START "proxy_on_vm_start" Answer1;
    configure CONFIGURE "proxy_on_configure" Answer1;
    tick TICK "proxy_on_tick" Event;
    queue_ready QUEUE_READY "proxy_on_queue_ready" Event1;
    request_headers REQUEST_HEADERS "proxy_on_request_headers" HeadersFn;
    request_body REQUEST_BODY "proxy_on_request_body" Answer2;
    request_trailers REQUEST_TRAILERS "proxy_on_request_trailers" Answer1;
    response_headers RESPONSE_HEADERS "proxy_on_response_headers" HeadersFn;
    response_body RESPONSE_BODY "proxy_on_response_body" Answer2;
    response_trailers RESPONSE_TRAILERS "proxy_on_response_trailers" Answer1;
    http_call_response HTTP_CALL_RESPONSE "proxy_on_http_call_response" Event4;
    redis_call_response REDIS_CALL_RESPONSE "proxy_on_redis_call_response" Event3;
    grpc_receive_initial_metadata GRPC_RECEIVE_INITIAL_METADATA "proxy_on_grpc_receive_initial_metadata" Event2;
    grpc_receive GRPC_RECEIVE "proxy_on_grpc_receive" Event2;
    grpc_receive_trailing_metadata GRPC_RECEIVE_TRAILING_METADATA "proxy_on_grpc_receive_trailing_metadata" Event2;
    grpc_close GRPC_CLOSE "proxy_on_grpc_close" Event2;
    new_connection NEW_CONNECTION "proxy_on_new_connection" Answer;
    downstream_data DOWNSTREAM_DATA "proxy_on_downstream_data" Answer2;
    upstream_data UPSTREAM_DATA "proxy_on_upstream_data" Answer2;
    downstream_connection_close DOWNSTREAM_CONNECTION_CLOSE "proxy_on_downstream_connection_close" Event1;
    upstream_connection_close UPSTREAM_CONNECTION_CLOSE "proxy_on_upstream_connection_close" Event1;
    foreign_function FOREIGN_FUNCTION "proxy_on_foreign_function" Event2;
    done DONE "proxy_on_done" Answer;
    log LOG "proxy_on_log" Event;
    delete DELETE "proxy_on_delete" Event;
}
