//! The families of host functions.

/// Makes the families out of lines: the name in code, that in a configuration, and whether it is there by default, and
/// its calls go to upstreams that can be listed.
macro_rules! families {
    ($($(#[$doc:meta])* $family:ident $name:literal default: $default:literal upstreams: $upstreams:literal)+) => {
        /// A family of host functions. A kind of guest that has none of its functions takes its name all the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Capability {
            $($(#[$doc])* $family,)+
        }

        impl Capability {
            pub const ALL: &[Capability] = &[$(Capability::$family,)+];

            /// As it is written in a configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $(Capability::$family => $name,)+
                }
            }

            /// May guests use it when a configuration does not say?
            pub fn is_default(self) -> bool {
                match self {
                    $(Capability::$family => $default,)+
                }
            }

            /// Do its functions make calls to upstreams, which a configuration can list?
            pub fn has_upstreams(self) -> bool {
                match self {
                    $(Capability::$family => $upstreams,)+
                }
            }
        }
    };
}

families! {
    /// HTTP calls.
    HttpCall "http_call" default: true upstreams: true
    /// gRPC calls and streams.
    GrpcCall "grpc_call" default: true upstreams: true
    /// Redis calls.
    Redis "redis" default: true upstreams: true
    /// The servers of a request's upstream: reading which there are, and choosing one.
    UpstreamHosts "upstream_hosts" default: true upstreams: false
    SharedData "shared_data" default: true upstreams: false
    SharedQueue "shared_queue" default: true upstreams: false
    /// Metrics: defining, changing and reading.
    Metrics "metrics" default: true upstreams: false
    /// Setting properties and filter state; reading is free.
    PropertiesWrite "properties_write" default: true upstreams: false
    /// All environment variables of the process; a guest's own are those that the proxy chose, so it is the proxy that
    /// heeds this one.
    Env "env" default: false upstreams: false
    /// The time, also WASI's.
    Clock "clock" default: true upstreams: false
    /// WASI's random bytes.
    Random "random" default: true upstreams: false
}

impl Capability {
    #[inline]
    pub(super) fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// For questions to DNS, which are of no family: the bit behind all of them.
pub(super) const RESOLVE: u32 = 1 << Capability::ALL.len();
