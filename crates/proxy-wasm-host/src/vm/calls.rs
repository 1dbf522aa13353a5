//! What comes in for a guest from outside of its streams.

use super::{ContextId, Vm};
use crate::calls::{CallId, CallResponse, GrpcEvent};
use crate::error::CallError;
use crate::traits::Proxy;

impl<P: Proxy> Vm<P> {
    /// An HTTP call has ended: `proxy_on_http_call_response` of the context that made it. Nothing
    /// happens when the call is unknown, or its context gone.
    pub fn on_http_call_response(
        &mut self,
        id: CallId,
        response: CallResponse,
    ) -> Result<(), CallError> {
        let _ = (id, response);
        Ok(())
    }

    /// Something came of a gRPC call or stream: the callback for it, of the context that opened
    /// it. Nothing happens when the call is unknown, or its context gone.
    pub fn on_grpc(&mut self, id: CallId, event: GrpcEvent) -> Result<(), CallError> {
        let _ = (id, event);
        Ok(())
    }

    /// `proxy_on_queue_ready` of a root context.
    pub fn on_queue_ready(&mut self, root: ContextId, queue: u32) -> Result<(), CallError> {
        let _ = (root, queue);
        Ok(())
    }

    /// `proxy_on_foreign_function` of any context; `arguments` are in the guest's buffer for them
    /// meanwhile.
    pub fn on_foreign_function(
        &mut self,
        id: ContextId,
        function: u32,
        arguments: &[u8],
    ) -> Result<(), CallError> {
        let _ = (id, function, arguments);
        Ok(())
    }
}
