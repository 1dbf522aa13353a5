//! The operations of the host's that guests can call, by namespace and operation. The binding is the name of what is
//! acted on.
//!
//! | namespace | operation | binding | payload | response |
//! |---|---|---|---|---|
//! | `shared_data` | `get` | key | – | the value |
//! | | `get_with_cas` | key | – | its number (8 bytes, little-endian), then the value |
//! | | `set` | key | the value | – |
//! | | `compare_and_swap` | key | number (8 bytes), then the value | – |
//! | `queue` | `enqueue` | queue | the message | – |
//! | `counter` | `increment` | name | how much (8 or 4 bytes, little-endian) | its value (8 bytes) |
//! | `variable` | `get` | name | – | the value |
//! | | `set` | name | the value | – |
//! | `log` | `trace`, `debug`, `info`, `warn`, `error` | – | the message | – |
//!
//! What fails answers one word: `not_found`, `bad_argument`, `cas_mismatch`, `no_room`, `unavailable`, `denied`, or
//! `unknown_operation`. None of them waits.

use guest_host::{Capability, ServiceError, Services, operations};

use crate::state::State;

/// A guest's call of its host. All are bytes of the guest's choice.
pub(crate) struct HostCall<'a> {
    pub binding: &'a [u8],
    pub namespace: &'a [u8],
    pub operation: &'a [u8],
    pub payload: &'a [u8],
}

/// What a guest is told instead of a response.
type Word = &'static str;

const DENIED: Word = "denied";
const UNKNOWN: Word = "unknown_operation";

/// Does what a guest asks for; the response is appended to `out`, which is empty.
pub(crate) fn run<S: Services>(
    state: &State<S>,
    call: &HostCall<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Word> {
    let services = &state.services;
    let (name, payload) = (call.binding, call.payload);
    let require = |capability, function| match state.permits(capability, function) {
        true => Ok(()),
        false => Err(DENIED),
    };
    let result = match (call.namespace, call.operation) {
        (b"shared_data", b"get") => {
            require(Capability::SharedData, "shared_data.get")?;
            services.shared_data(name, out).map(drop)
        }
        (b"shared_data", b"get_with_cas") => {
            require(Capability::SharedData, "shared_data.get_with_cas")?;
            operations::shared_data_with_cas(services, name, out)
        }
        (b"shared_data", b"set") => {
            require(Capability::SharedData, "shared_data.set")?;
            services.set_shared_data(name, payload, 0)
        }
        (b"shared_data", b"compare_and_swap") => {
            require(Capability::SharedData, "shared_data.compare_and_swap")?;
            compare_and_swap(services, name, payload)
        }
        (b"queue", b"enqueue") => {
            require(Capability::SharedQueue, "queue.enqueue")?;
            services.enqueue(name, payload)
        }
        (b"counter", b"increment") => {
            require(Capability::Metrics, "counter.increment")?;
            operations::increment_counter(services, name, payload, out)
        }
        (b"variable", b"get") => services.variable(name, out),
        (b"variable", b"set") => {
            require(Capability::PropertiesWrite, "variable.set")?;
            services.set_variable(name, payload)
        }
        (b"log", level) => operations::log(services, level, payload),
        _ => return Err(UNKNOWN),
    };
    result.map_err(ServiceError::word)
}

/// The number stands before the value.
fn compare_and_swap<S: Services>(
    services: &S,
    key: &[u8],
    payload: &[u8],
) -> Result<(), ServiceError> {
    let (cas, value) = payload
        .split_first_chunk()
        .ok_or(ServiceError::BadArgument)?;
    operations::compare_and_swap(services, key, value, u64::from_le_bytes(*cas))
}
