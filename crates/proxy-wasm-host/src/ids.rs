//! Numbers that a guest knows things by.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(u32);

            impl $name {
                /// The number that a guest gives, which need not be one of anything.
                pub fn new(number: u32) -> $name {
                    $name(number)
                }

                /// As the guest has it.
                pub fn get(self) -> u32 {
                    self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )+
    };
}

ids! {
    /// Number of a context within its VM; never 0, and not used again while the context is there.
    ContextId
    /// Number of an HTTP, gRPC or Redis call within its VM; never 0, and not used again while the call lives.
    CallId
}
