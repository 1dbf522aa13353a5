//! The outbound calls of one VM that are not over, and what the guest may read of one while it is
//! told.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::abi::{BufferType, MapType, Status};
use crate::calls::{CallResponse, OwnedPairs};
use crate::contexts::IdHasher;
use crate::ids::{CallId, ContextId};

/// Most calls of one VM at a time.
const MAX_CALLS: usize = 10_000;

/// What a call is. As in the reference host (`proxy-wasm-cpp-host`, `wasm.h`) the lowest two bits
/// of an id tell, so that an id of another kind is no unknown id but a bad argument.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Http = 0,
    Grpc = 1,
    GrpcStream = 2,
    Redis = 3,
}

const KIND_BITS: u32 = 3;

impl CallKind {
    pub fn of(id: CallId) -> CallKind {
        match id.get() & KIND_BITS {
            0 => CallKind::Http,
            1 => CallKind::Grpc,
            2 => CallKind::GrpcStream,
            _ => CallKind::Redis,
        }
    }
}

pub(crate) struct Call {
    /// The context that made it.
    pub context: ContextId,
    /// That context's root, which is told what comes of it.
    pub root: ContextId,
    /// The answer of a gRPC call, until its status is known.
    pub message: Option<Vec<u8>>,
    /// The guest has ended its half of a gRPC stream.
    pub local_end: bool,
    /// The other side has ended it; the proxy knows it no more.
    pub over: bool,
}

/// The calls by id. An id is not used again while its call is there.
#[derive(Default)]
pub(crate) struct Calls {
    table: HashMap<CallId, Call, BuildHasherDefault<IdHasher>>,
    last: LastCalls,
}

/// The last number of each kind of call.
pub(crate) type LastCalls = [u32; 4];

impl Calls {
    /// None, whose numbers go on behind these.
    pub fn behind(last: LastCalls) -> Calls {
        Calls {
            last,
            ..Calls::default()
        }
    }

    pub fn last(&self) -> LastCalls {
        self.last
    }

    /// `InternalFailure` when there are too many.
    pub fn insert(
        &mut self,
        kind: CallKind,
        context: ContextId,
        root: ContextId,
    ) -> Result<CallId, Status> {
        if self.table.len() >= MAX_CALLS {
            return Err(Status::InternalFailure);
        }
        let last = &mut self.last[kind as usize];
        let id = loop {
            *last = last.wrapping_add(KIND_BITS + 1);
            let id = CallId::new(*last | kind as u32);
            if id.get() != 0 && !self.table.contains_key(&id) {
                break id;
            }
        };
        let call = Call {
            context,
            root,
            message: None,
            local_end: false,
            over: false,
        };
        self.table.insert(id, call);
        Ok(id)
    }

    pub fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.table.get_mut(&id)
    }

    pub fn remove(&mut self, id: CallId) -> Option<Call> {
        self.table.remove(&id)
    }

    /// Calls made by a context, or by one whose root it is; oldest first unless ids have wrapped.
    pub fn of_context(&self, context: ContextId) -> Vec<CallId> {
        let mut ids: Vec<_> = self
            .table
            .iter()
            .filter(|(_, call)| call.context == context || call.root == context)
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }
}

/// What a callback about something from outside lets the guest read while it runs.
pub(crate) enum Incoming {
    Response(CallResponse),
    InitialMetadata(OwnedPairs),
    Message(Vec<u8>),
    RedisReply(Vec<u8>),
    TrailingMetadata(OwnedPairs),
    ForeignArguments(Vec<u8>),
}

impl Incoming {
    pub fn map(&self, map: MapType) -> Option<&OwnedPairs> {
        match (self, map) {
            (Incoming::Response(response), MapType::CallHeaders) => Some(&response.headers),
            (Incoming::Response(response), MapType::CallTrailers) => Some(&response.trailers),
            (Incoming::InitialMetadata(pairs), MapType::GrpcInitialMetadata)
            | (Incoming::TrailingMetadata(pairs), MapType::GrpcTrailingMetadata) => Some(pairs),
            _ => None,
        }
    }

    pub fn buffer(&self, buffer: BufferType) -> Option<&[u8]> {
        match (self, buffer) {
            (Incoming::Response(response), BufferType::CallResponseBody) => Some(&response.body),
            (Incoming::Message(bytes), BufferType::GrpcMessage)
            | (Incoming::RedisReply(bytes), BufferType::RedisReply)
            | (Incoming::ForeignArguments(bytes), BufferType::ForeignArguments) => Some(bytes),
            _ => None,
        }
    }

    /// The property `call.error`; empty when the call has not failed.
    pub fn error(&self) -> &str {
        match self {
            Incoming::Response(response) => &response.error,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers instead of ids.
    fn insert(calls: &mut Calls, kind: CallKind, context: u32, root: u32) -> Result<u32, Status> {
        let id = calls.insert(kind, ContextId::new(context), ContextId::new(root));
        id.map(CallId::get)
    }

    fn of_context(calls: &Calls, context: u32) -> Vec<u32> {
        let ids = calls.of_context(ContextId::new(context));
        ids.into_iter().map(CallId::get).collect()
    }

    #[test]
    fn ids_tell_their_kind_and_are_never_zero_nor_taken() {
        let mut calls = Calls::default();
        assert_eq!(insert(&mut calls, CallKind::Http, 2, 1), Ok(4));
        assert_eq!(insert(&mut calls, CallKind::Grpc, 2, 1), Ok(5));
        assert_eq!(insert(&mut calls, CallKind::GrpcStream, 2, 1), Ok(6));
        assert_eq!(insert(&mut calls, CallKind::Redis, 2, 1), Ok(7));
        assert_eq!(insert(&mut calls, CallKind::Http, 3, 1), Ok(8));
        assert_eq!(of_context(&calls, 2), [4, 5, 6, 7]);
        assert_eq!(of_context(&calls, 1), [4, 5, 6, 7, 8]);
        assert_eq!(
            [4, 5, 6, 7].map(|id| CallKind::of(CallId::new(id))),
            [
                CallKind::Http,
                CallKind::Grpc,
                CallKind::GrpcStream,
                CallKind::Redis
            ]
        );

        calls.last = [u32::MAX - 7; 4];
        assert_eq!(insert(&mut calls, CallKind::Http, 2, 1), Ok(u32::MAX - 3));
        // Past 0 and the living 4.
        assert!(calls.remove(CallId::new(8)).is_some());
        assert_eq!(insert(&mut calls, CallKind::Http, 2, 1), Ok(8));
        assert_eq!(insert(&mut calls, CallKind::Grpc, 2, 1), Ok(u32::MAX - 2));
        assert_eq!(insert(&mut calls, CallKind::Grpc, 2, 1), Ok(1));
    }

    #[test]
    fn there_is_a_limit() {
        let mut calls = Calls::default();
        for _ in 0..MAX_CALLS {
            insert(&mut calls, CallKind::Http, 2, 1).unwrap();
        }
        let full = Err(Status::InternalFailure);
        assert_eq!(insert(&mut calls, CallKind::Http, 2, 1), full);
        assert_eq!(insert(&mut calls, CallKind::GrpcStream, 2, 1), full);
        assert!(calls.remove(CallId::new(4)).is_some());
        assert!(insert(&mut calls, CallKind::GrpcStream, 2, 1).is_ok());
    }
}
