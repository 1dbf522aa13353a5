//! What the embedder offers to its plugins, under `extism:host/user`.
//!
//! Arguments and results are offsets of blocks, so that PDKs can declare them as functions of strings, bytes and numbers. A
//! number is 8 bytes, little-endian. The arguments stay the guest's, who frees them: PDKs do. What changes something answers
//! 0 when it is done, or else a block with one of the words of [`ServiceError::word`].

use guest_host::operations::{
    compare_and_swap, increment_counter, log, number, shared_data_with_cas,
};
use guest_host::{Capability, ServiceError};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use crate::imports::USER;
use crate::kernel::{give, parts};
use crate::services::Services;
use crate::state::State;

const DENIED: &str = "denied";

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
            |services: &S, [key]| found(|out| shared_data_with_cas(services, key, out));
        "shared_data_set" (key, value) Some(SharedData), Errors,
            |services: &S, [key, value]| done(services.set_shared_data(key, value, 0));
        "shared_data_compare_and_swap" (key, value, cas) Some(SharedData), Errors,
            |services: &S, [key, value, cas]| done(number(cas).and_then(|cas| compare_and_swap(services, key, value, cas)));
        "enqueue" (queue, message) Some(SharedQueue), Errors,
            |services: &S, [queue, message]| done(services.enqueue(queue, message));
        "counter_increment" (name, by) Some(Metrics), Values,
            |services: &S, [name, by]| found(|out| increment_counter(services, name, by, out));
        "variable_get" (name) None, Values,
            |services: &S, [name]| found(|out| services.variable(name, out));
        "variable_set" (name, value) Some(PropertiesWrite), Errors,
            |services: &S, [name, value]| done(services.set_variable(name, value));
        "log" (level, message) None, Errors,
            |services: &S, [level, message]| done(log(services, level, message));
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
        _ => run(&state.services, bytes).map_err(ServiceError::word),
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
