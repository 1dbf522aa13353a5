//! Parameters of `wasm_module`: `on_failure=closed|open`, `isolation=worker|request` and
//! `header_stop=all|iteration`.

use proxy_wasm_host::AbiVersion;

/// What becomes of a request when a filter of the module fails: it traps, is over a limit, or does not start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The request fails, with 503 where there is still something to answer.
    #[default]
    Closed,
    /// The request goes on without the filter.
    Open,
}

/// Who shares an instance of the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All requests of a worker.
    #[default]
    Worker,
    /// Nobody: each request has its own.
    Request,
}

/// What 1 of a header callback stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderStop {
    /// Header, body and trailers (Envoy's `StopAllIteration`).
    All,
    /// The header; the filter's own body callbacks go on (Envoy's `StopIteration`).
    Iteration,
}

impl HeaderStop {
    pub fn parse(value: &[u8]) -> Result<HeaderStop, &'static str> {
        match value {
            b"all" => Ok(HeaderStop::All),
            b"iteration" => Ok(HeaderStop::Iteration),
            _ => Err("\"all\" or \"iteration\""),
        }
    }

    /// Where the configuration says nothing.
    pub fn of(abi: AbiVersion) -> HeaderStop {
        match abi.stops_headers_alone() {
            true => HeaderStop::Iteration,
            false => HeaderStop::All,
        }
    }
}

impl OnFailure {
    pub fn parse(value: &[u8]) -> Result<OnFailure, &'static str> {
        match value {
            b"closed" => Ok(OnFailure::Closed),
            b"open" => Ok(OnFailure::Open),
            _ => Err("\"closed\" or \"open\""),
        }
    }
}

impl Isolation {
    pub fn parse(value: &[u8]) -> Result<Isolation, &'static str> {
        match value {
            b"worker" => Ok(Isolation::Worker),
            b"request" => Ok(Isolation::Request),
            _ => Err("\"worker\" or \"request\""),
        }
    }
}

/// Where compiled code is kept.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheChoice {
    /// Nothing is said, and there was no module yet.
    #[default]
    Unset,
    /// In a directory beside nginx's other caches, if it can be had.
    Default,
    /// As `wasm_cache` says.
    Said,
}
