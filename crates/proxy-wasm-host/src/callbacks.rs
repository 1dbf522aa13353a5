//! Which callbacks a module exports.

/// A set of callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Callbacks(u32);

macro_rules! callbacks {
    ($($bit:literal $method:ident $constant:ident $export:literal)+) => {
        impl Callbacks {
            $(pub(crate) const $constant: Callbacks = Callbacks(1 << $bit);

            #[doc = concat!("Is `", $export, "` exported?")]
            pub fn $method(self) -> bool {
                self.0 & (1 << $bit) != 0
            })+
        }
    };
}

callbacks! {
    0 context_create CONTEXT_CREATE "proxy_on_context_create"
    1 vm_start VM_START "proxy_on_vm_start"
    2 configure CONFIGURE "proxy_on_configure"
    3 tick TICK "proxy_on_tick"
    4 queue_ready QUEUE_READY "proxy_on_queue_ready"
    5 request_headers REQUEST_HEADERS "proxy_on_request_headers"
    6 request_body REQUEST_BODY "proxy_on_request_body"
    7 request_trailers REQUEST_TRAILERS "proxy_on_request_trailers"
    8 response_headers RESPONSE_HEADERS "proxy_on_response_headers"
    9 response_body RESPONSE_BODY "proxy_on_response_body"
    10 response_trailers RESPONSE_TRAILERS "proxy_on_response_trailers"
    11 http_call_response HTTP_CALL_RESPONSE "proxy_on_http_call_response"
    12 grpc_receive_initial_metadata GRPC_RECEIVE_INITIAL_METADATA "proxy_on_grpc_receive_initial_metadata"
    13 grpc_receive GRPC_RECEIVE "proxy_on_grpc_receive"
    14 grpc_receive_trailing_metadata GRPC_RECEIVE_TRAILING_METADATA "proxy_on_grpc_receive_trailing_metadata"
    15 grpc_close GRPC_CLOSE "proxy_on_grpc_close"
    16 new_connection NEW_CONNECTION "proxy_on_new_connection"
    17 downstream_data DOWNSTREAM_DATA "proxy_on_downstream_data"
    18 upstream_data UPSTREAM_DATA "proxy_on_upstream_data"
    19 downstream_connection_close DOWNSTREAM_CONNECTION_CLOSE "proxy_on_downstream_connection_close"
    20 upstream_connection_close UPSTREAM_CONNECTION_CLOSE "proxy_on_upstream_connection_close"
    21 foreign_function FOREIGN_FUNCTION "proxy_on_foreign_function"
    22 done DONE "proxy_on_done"
    23 log LOG "proxy_on_log"
    24 delete DELETE "proxy_on_delete"
    25 redis_call_response REDIS_CALL_RESPONSE "proxy_on_redis_call_response"
}

impl Callbacks {
    pub(crate) fn insert(&mut self, other: Callbacks) {
        self.0 |= other.0;
    }
}
