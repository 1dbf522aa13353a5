//! Outbound HTTP requests.

use std::collections::BTreeMap;
use std::future::poll_fn;

use guest_host::Capability;
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::request::{self, checked};
use crate::error::Refusal;
use crate::imports::ENV;
use crate::kernel::{give, parts};
use crate::services::{HttpRequest, HttpResult, Services};
use crate::state::State;

/// What guests are told of the last response.
#[derive(Debug, Default)]
pub struct LastResponse {
    /// 0 before there is one.
    status: u16,
    header: BTreeMap<String, String>,
}

/// The import that makes a guest one that waits.
pub const WAITS: &str = "http_request";

pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    linker.func_wrap_async(
        ENV,
        WAITS,
        |caller: Caller<'_, State<S>>, (request, body): (u64, u64)| {
            Box::new(http_request(caller, request, body))
        },
    )?;
    linker.func_wrap(ENV, "http_status_code", |caller: Caller<'_, State<S>>| {
        i32::from(caller.data().response.status)
    })?;
    linker.func_wrap(ENV, "http_headers", http_headers::<S>)?;
    Ok(())
}

/// Sends a request, waits for the response, and answers its body: 0 where that is empty. Both arguments are freed; a body
/// of 0 is none. Any status is a success; whatever else happens ends the call.
async fn http_request<S: Services>(
    mut caller: Caller<'_, State<S>>,
    request: u64,
    body: u64,
) -> Result<u64> {
    let request = take(&mut caller, request, body)?;
    let waiting = {
        let state = caller.data_mut();
        let response = state.services.http_request(request);
        state.waiting.begin(response);
        state.guard.pause();
        state.waiting.clone()
    };
    let result = poll_fn(|_| waiting.poll_result()).await;
    let state = caller.data_mut();
    state.guard.resume();
    state.guard.check()?;
    receive(&mut caller, result)
}

/// Reads the arguments, and checks whether the guest may do that.
fn take<S: Services>(
    caller: &mut Caller<'_, State<S>>,
    request: u64,
    body: u64,
) -> Result<HttpRequest> {
    let (memory, state) = parts(caller)?;
    state.response = LastResponse::default();
    if !state.permits(Capability::HttpCall, WAITS) {
        return Err(Refusal::HttpDenied.into());
    }
    let range = state.kernel.block(memory, request, "an HTTP request")?;
    let json = request::parse(&memory[range])?;
    let range = state
        .kernel
        .block(memory, body, "the body of an HTTP request")?;
    let bytes = memory[range].to_vec();
    state.kernel.blocks.free(memory, request);
    state.kernel.blocks.free(memory, body);
    Ok(HttpRequest {
        request: checked(json, bytes, &state.settings.allowed_hosts)?,
        timeout: state.guard.time_left(),
        max_response: state.settings.max_response,
    })
}

fn receive<S: Services>(caller: &mut Caller<'_, State<S>>, result: HttpResult) -> Result<u64> {
    let response = result.map_err(Refusal::Http)?;
    let state = caller.data_mut();
    state.response.status = response.status().as_u16();
    if state.settings.response_headers {
        // Of several lines of one name, guests are told the last.
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                let name = name.as_str().to_owned();
                state.response.header.insert(name, value.to_owned());
            }
        }
    }
    let max = state.settings.max_response;
    if response.body().len() as u64 > max {
        return Err(Refusal::HttpTooLarge(max).into());
    }
    give(caller, response.body())
}

/// The header of the last response, as JSON: names, in lower case, and values. 0 where that is off.
fn http_headers<S: Services>(mut caller: Caller<'_, State<S>>) -> Result<u64> {
    let state = caller.data();
    if !state.settings.response_headers {
        return Ok(0);
    }
    let json = serde_json::to_vec(&state.response.header)?;
    give(&mut caller, &json)
}
