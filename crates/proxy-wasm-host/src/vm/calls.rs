//! What comes in for a guest from outside of its streams.
//!
//! As in Envoy (`proxy-wasm-cpp-host`, `http_call` and the `grpc_…` functions of `exports.cc`), it
//! is the root context that is told of a call, also of one of its streams': the SDKs know whose
//! it is, and set the effective context.

use wasm_runtime::wasmtime::{TypedFunc, WasmParams};

use super::instance::Vm;
use super::streams::count;
use crate::callbacks::{
    Callback, FOREIGN_FUNCTION, GRPC_CLOSE, GRPC_RECEIVE, GRPC_RECEIVE_INITIAL_METADATA,
    GRPC_RECEIVE_TRAILING_METADATA, HTTP_CALL_RESPONSE, QUEUE_READY, REDIS_CALL_RESPONSE,
};
use crate::calls::{CallResponse, GrpcEvent, RedisReply};
use crate::error::CallError;
use crate::ids::{CallId, ContextId};
use crate::pending::{CallKind, Incoming};
use crate::traits::Proxy;

/// What a guest is told of a Redis call: there is a reply, which may be an error of the server's.
const REDIS_OK: u32 = 0;
/// No reply has come. SDKs take any number but 0 so.
const REDIS_FAILED: u32 = 1;

impl<P: Proxy> Vm<P> {
    /// An HTTP call has ended: `proxy_on_http_call_response` of the root context of the one that
    /// made it. Nothing happens when the call is unknown, or its context gone.
    pub fn on_http_call_response(
        &mut self,
        id: CallId,
        response: CallResponse,
    ) -> Result<(), CallError> {
        self.guest.check()?;
        if CallKind::of(id) != CallKind::Http {
            return Ok(());
        }
        let Some(call) = self.state().calls.get_mut(id) else {
            return Ok(());
        };
        let root = call.root;
        // Its number is not used again before the callback is over.
        call.over = true;
        let arguments = (
            root.get(),
            id.get(),
            count(response.headers.len()),
            count(response.body.len()),
            count(response.trailers.len()),
        );
        let result = self.deliver(
            root,
            HTTP_CALL_RESPONSE,
            arguments,
            Some(Incoming::Response(response)),
        );
        self.state().calls.remove(id);
        self.leave(result)
    }

    /// A Redis call has ended: `proxy_on_redis_call_response` of the root context of the one that
    /// made it. Nothing happens when the call is unknown, or its context gone.
    pub fn on_redis_call_response(
        &mut self,
        id: CallId,
        reply: RedisReply,
    ) -> Result<(), CallError> {
        self.guest.check()?;
        if CallKind::of(id) != CallKind::Redis {
            return Ok(());
        }
        let Some(call) = self.state().calls.get_mut(id) else {
            return Ok(());
        };
        let root = call.root;
        call.over = true;
        // SDKs read the buffer whatever the status is.
        let (status, reply) = match reply {
            RedisReply::Reply(reply) => (REDIS_OK, reply),
            RedisReply::Failed => (REDIS_FAILED, Vec::new()),
        };
        let len = count(reply.len());
        let result = self.deliver(
            root,
            REDIS_CALL_RESPONSE,
            (root.get(), id.get(), status, len),
            Some(Incoming::RedisReply(reply)),
        );
        self.state().calls.remove(id);
        self.leave(result)
    }

    /// Something came of a gRPC call or stream: the callback for it, of the root context of the
    /// one that opened it. Nothing happens when the call is unknown, or its context gone.
    ///
    /// A guest is told of a call, unlike a stream, only once, as in Envoy: of its message when the
    /// status is OK, else of its close.
    pub fn on_grpc(&mut self, id: CallId, event: GrpcEvent) -> Result<(), CallError> {
        self.guest.check()?;
        match CallKind::of(id) {
            CallKind::Grpc => self.on_grpc_call(id, event),
            CallKind::GrpcStream => self.on_grpc_stream(id, event),
            CallKind::Http | CallKind::Redis => Ok(()),
        }
    }

    fn on_grpc_call(&mut self, id: CallId, event: GrpcEvent) -> Result<(), CallError> {
        let Some(call) = self.state().calls.get_mut(id) else {
            return Ok(());
        };
        match event {
            GrpcEvent::InitialMetadata(_) | GrpcEvent::TrailingMetadata(_) => Ok(()),
            GrpcEvent::Message(message) => {
                call.message = Some(message);
                Ok(())
            }
            GrpcEvent::Close { status, message } => match call.message.take() {
                Some(answer) if status == 0 => {
                    let root = call.root;
                    call.over = true;
                    self.state().grpc_status = (status, message);
                    let len = count(answer.len());
                    let result = self.deliver(
                        root,
                        GRPC_RECEIVE,
                        (root.get(), id.get(), len),
                        Some(Incoming::Message(answer)),
                    );
                    self.state().calls.remove(id);
                    self.leave(result)
                }
                _ => self.on_grpc_close(id, status, message),
            },
        }
    }

    fn on_grpc_stream(&mut self, id: CallId, event: GrpcEvent) -> Result<(), CallError> {
        let Some(call) = self.state().calls.get_mut(id) else {
            return Ok(());
        };
        let root = call.root;
        let result = match event {
            GrpcEvent::InitialMetadata(pairs) => self.deliver(
                root,
                GRPC_RECEIVE_INITIAL_METADATA,
                (root.get(), id.get(), count(pairs.len())),
                Some(Incoming::InitialMetadata(pairs)),
            ),
            GrpcEvent::Message(message) => self.deliver(
                root,
                GRPC_RECEIVE,
                (root.get(), id.get(), count(message.len())),
                Some(Incoming::Message(message)),
            ),
            GrpcEvent::TrailingMetadata(pairs) => self.deliver(
                root,
                GRPC_RECEIVE_TRAILING_METADATA,
                (root.get(), id.get(), count(pairs.len())),
                Some(Incoming::TrailingMetadata(pairs)),
            ),
            GrpcEvent::Close { status, message } => {
                return self.on_grpc_close(id, status, message);
            }
        };
        self.leave(result)
    }

    fn on_grpc_close(
        &mut self,
        id: CallId,
        status: u32,
        message: Vec<u8>,
    ) -> Result<(), CallError> {
        let Some(call) = self.state().calls.get_mut(id) else {
            return Ok(());
        };
        let root = call.root;
        call.over = true;
        self.state().grpc_status = (status, message);
        let result = self.deliver(root, GRPC_CLOSE, (root.get(), id.get(), status), None);
        self.state().calls.remove(id);
        self.leave(result)
    }

    /// `proxy_on_queue_ready` of a root context, also while it waits for `proxy_done`.
    pub fn on_queue_ready(&mut self, root: ContextId, queue: u32) -> Result<(), CallError> {
        self.is_root(root)?;
        self.call(root, QUEUE_READY, (root.get(), queue))?;
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
        self.create_announced(id)?;
        let result = self.deliver(
            id,
            FOREIGN_FUNCTION,
            (id.get(), function, count(arguments.len())),
            Some(Incoming::ForeignArguments(arguments.to_vec())),
        );
        self.leave(result)
    }

    /// Calls the guest, which can read what has come in until it returns.
    fn deliver<A: WasmParams>(
        &mut self,
        id: ContextId,
        callback: Callback<TypedFunc<A, ()>>,
        arguments: A,
        incoming: Option<Incoming>,
    ) -> Result<(), CallError> {
        let Some(function) = (callback.function)(&self.exports) else {
            return Ok(());
        };
        self.guest.store.data_mut().incoming = incoming;
        let result = self.guest.enter(id, callback.name, function, arguments);
        self.guest.store.data_mut().incoming = None;
        result
    }

    /// What follows a callback, when all that belongs to it is gone.
    fn leave(&mut self, result: Result<(), CallError>) -> Result<(), CallError> {
        if result.is_ok() {
            self.finish_done();
        }
        result
    }
}
