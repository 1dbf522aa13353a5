//! Numbers that a guest knows things by.

/// Number of a context within its VM; never 0, and not used again while the context is there.
pub type ContextId = u32;

/// Number of an HTTP, gRPC or Redis call within its VM; never 0, and not used again while the call lives.
pub type CallId = u32;
