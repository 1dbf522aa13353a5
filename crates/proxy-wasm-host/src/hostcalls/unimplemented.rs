//! Imports that are there for every guest and answer `Unimplemented`, without trapping.

use wasm_runtime::wasmtime::{Linker, Result};

use crate::abi::Status;
use crate::state::State;
use crate::traits::Proxy;

/// Defines functions that take these parameters and return `Unimplemented`.
macro_rules! unimplemented {
    ($linker:ident: $($name:literal($($parameter:ty),*))+) => {
        $($linker.func_wrap("env", $name, |$(_: $parameter),*| Status::Unimplemented as u32)?;)+
    };
}

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    unimplemented!(linker:
        "proxy_http_call"(u32, u32, u32, u32, u32, u32, u32, u32, u32, u32)
        "proxy_grpc_call"(u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32)
        "proxy_grpc_stream"(u32, u32, u32, u32, u32, u32, u32, u32, u32)
        "proxy_grpc_send"(u32, u32, u32, u32)
        "proxy_grpc_cancel"(u32)
        "proxy_grpc_close"(u32)
        "proxy_get_status"(u32, u32, u32)
        "proxy_get_shared_data"(u32, u32, u32, u32, u32)
        "proxy_set_shared_data"(u32, u32, u32, u32, u32)
        "proxy_register_shared_queue"(u32, u32, u32)
        "proxy_resolve_shared_queue"(u32, u32, u32, u32, u32)
        "proxy_enqueue_shared_queue"(u32, u32, u32)
        "proxy_dequeue_shared_queue"(u32, u32, u32)
        "proxy_define_metric"(u32, u32, u32, u32)
        "proxy_record_metric"(u32, u64)
        "proxy_increment_metric"(u32, u64)
        "proxy_get_metric"(u32, u32)
        "proxy_call_foreign_function"(u32, u32, u32, u32, u32, u32)
    );
    Ok(())
}
