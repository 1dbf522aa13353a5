//! What the embedder offers to its plugins, under `extism:host/user`.
//!
//! Arguments and results are offsets of blocks, so that PDKs can declare them as functions of strings, bytes and numbers. A
//! number is 8 bytes, little-endian. The arguments stay the guest's, who frees them: PDKs do. What changes something answers
//! 0 when it is done, or else a block with one of the words of [`word`].

use guest_host::{Capability, LogLevel, ServiceError};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use crate::imports::USER;
use crate::kernel::{give, parts};
use crate::services::Services;
use crate::state::State;

const DENIED: &str = "denied";

/// How an error is told to a guest.
fn word(error: ServiceError) -> &'static str {
    match error {
        ServiceError::NotFound => "not_found",
        ServiceError::BadArgument => "bad_argument",
        ServiceError::CasMismatch => "cas_mismatch",
        ServiceError::NoRoom => "no_room",
        ServiceError::Unavailable => "unavailable",
    }
}

/// What a function answers: bytes, which may be none, or nothing but an error.
type Answer = Result<Vec<u8>, ServiceError>;

/// Defines functions by lines: name, arguments, what allows them, whether an error is told, and what they do.
macro_rules! functions {
    ($linker:ident; $($name:literal ($($argument:ident),*) $capability:expr, $tells:ident, $run:expr;)+) => {
        $($linker.func_wrap(
            USER,
            $name,
            |mut caller: Caller<'_, State<S>>, $($argument: u64),*| {
                call(&mut caller, $name, [$($argument),*], $capability, Tells::$tells, $run)
            },
        )?;)+
    };
}

/// What becomes of an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// The guest gets its word.
    Errors,
    /// The guest gets 0.
    Values,
}

pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    use Capability::{Metrics, PropertiesWrite, SharedData, SharedQueue};
    functions! { linker;
        "shared_data_get" (key) Some(SharedData), Values,
            |services: &S, [key]| found(|out| services.shared_data(key, out).map(drop));
        "shared_data_get_with_cas" (key) Some(SharedData), Values,
            |services: &S, [key]| with_cas(services, key);
        "shared_data_set" (key, value) Some(SharedData), Errors,
            |services: &S, [key, value]| done(services.set_shared_data(key, value, 0));
        "shared_data_compare_and_swap" (key, value, cas) Some(SharedData), Errors,
            |services: &S, [key, value, cas]| compare_and_swap(services, key, value, cas);
        "enqueue" (queue, message) Some(SharedQueue), Errors,
            |services: &S, [queue, message]| done(services.enqueue(queue, message));
        "counter_increment" (name, by) Some(Metrics), Values,
            |services: &S, [name, by]| increment(services, name, by);
        "variable_get" (name) None, Values,
            |services: &S, [name]| found(|out| services.variable(name, out));
        "variable_set" (name, value) Some(PropertiesWrite), Errors,
            |services: &S, [name, value]| done(services.set_variable(name, value));
        "log" (level, message) None, Errors,
            |services: &S, [level, message]| log(services, level, message);
    }
    Ok(())
}

fn call<S: Services, const N: usize>(
    caller: &mut Caller<'_, State<S>>,
    name: &'static str,
    arguments: [u64; N],
    capability: Option<Capability>,
    tells: Tells,
    run: impl Fn(&S, [&[u8]; N]) -> Answer,
) -> Result<u64> {
    let (memory, state) = parts(caller)?;
    let mut bytes = [&[][..]; N];
    for (bytes, argument) in bytes.iter_mut().zip(arguments) {
        *bytes = &memory[state.kernel.block(memory, argument, name)?];
    }
    let answer = match capability {
        Some(capability) if !state.permits(capability, name) => Err(DENIED),
        _ => run(&state.services, bytes).map_err(word),
    };
    match (answer, tells) {
        (Ok(answer), _) => give(caller, &answer),
        (Err(word), Tells::Errors) => give(caller, word.as_bytes()),
        (Err(_), Tells::Values) => Ok(0),
    }
}

fn done(result: Result<(), ServiceError>) -> Answer {
    result.map(|()| Vec::new())
}

fn found(get: impl FnOnce(&mut Vec<u8>) -> Result<(), ServiceError>) -> Answer {
    let mut value = Vec::new();
    get(&mut value).map(|()| value)
}

/// A number: 8 bytes, little-endian, or 4 of them.
fn number(bytes: &[u8]) -> Result<u64, ServiceError> {
    if let Ok(bytes) = bytes.try_into() {
        return Ok(u64::from_le_bytes(bytes));
    }
    match bytes.try_into() {
        Ok(bytes) => Ok(u32::from_le_bytes(bytes).into()),
        Err(_) => Err(ServiceError::BadArgument),
    }
}

/// The number for compare-and-swap, then the value.
fn with_cas<S: Services>(services: &S, key: &[u8]) -> Answer {
    let mut value = Vec::new();
    let cas = services.shared_data(key, &mut value)?;
    let mut answer = u64::from(cas).to_le_bytes().to_vec();
    answer.extend_from_slice(&value);
    Ok(answer)
}

fn compare_and_swap<S: Services>(services: &S, key: &[u8], value: &[u8], cas: &[u8]) -> Answer {
    let cas = number(cas)?;
    match u32::try_from(cas) {
        // 0 would set it, whatever it is.
        Ok(cas @ 1..) => done(services.set_shared_data(key, value, cas)),
        _ => Err(ServiceError::CasMismatch),
    }
}

fn increment<S: Services>(services: &S, name: &[u8], by: &[u8]) -> Answer {
    let value = services.increment_counter(name, number(by)?)?;
    Ok(value.to_le_bytes().to_vec())
}

fn log<S: Services>(services: &S, level: &[u8], message: &[u8]) -> Answer {
    let level = match level {
        b"trace" => LogLevel::Trace,
        b"debug" => LogLevel::Debug,
        b"info" => LogLevel::Info,
        b"warn" => LogLevel::Warn,
        b"error" => LogLevel::Error,
        _ => return Err(ServiceError::BadArgument),
    };
    if services.log_enabled(level) {
        services.log(level, message);
    }
    Ok(Vec::new())
}
