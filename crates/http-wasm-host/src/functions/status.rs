//! The response's status.

use std::ops::RangeInclusive;

use wasm_runtime::wasmtime::{Caller, Result};

use crate::error::Misuse;
use crate::exchange::{Exchange, Proxy};
use crate::state::State;

/// The statuses that end a request: HTTP has none above, and those below come before one.
const STATUSES: RangeInclusive<u32> = 200..=999;

/// Before the next handler, what the guest has set itself; 200 if nothing.
pub fn get<P: Proxy>(caller: Caller<'_, State<P>>) -> Result<u32> {
    let serving = &caller.data().serving;
    Ok(match serving.is_response("the status")? {
        true => serving.exchange()?.status(),
        false => serving.answer.status.unwrap_or(200),
    })
}

pub fn set<P: Proxy>(mut caller: Caller<'_, State<P>>, status: u32) -> Result<()> {
    let serving = &mut caller.data_mut().serving;
    let is_response = serving.is_response("the status")?;
    if !STATUSES.contains(&status) {
        return Err(Misuse::Status(status).into());
    }
    match is_response {
        true => serving.exchange()?.set_status(status),
        false => serving.answer.status = Some(status),
    }
    Ok(())
}
