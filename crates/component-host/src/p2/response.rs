//! `wasi:http/types` 0.2, where it differs from wasmtime-wasi-http: bodies that guests write, and statuses.

use http::StatusCode;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::types::{HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_io::streams::DynOutputStream;

use super::TYPES;
use super::body::{Of, OutgoingBody};
use crate::body::content_length;
use crate::state::State;

/// Defines it, over what wasmtime-wasi-http has defined.
pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.resource(
        "outgoing-body",
        ResourceType::host::<OutgoingBody>(),
        |mut store, rep| {
            let body = Resource::<OutgoingBody>::new_own(rep);
            store.data_mut().table.delete(body)?;
            Ok(())
        },
    )?;
    types.func_wrap("[method]outgoing-request.body", request_body)?;
    types.func_wrap("[method]outgoing-response.body", response_body)?;
    types.func_wrap("[method]outgoing-response.set-status-code", set_status_code)?;
    types.func_wrap("[method]outgoing-body.write", write)?;
    types.func_wrap("[static]outgoing-body.finish", finish)?;
    Ok(())
}

type Store<'a> = StoreContextMut<'a, State>;
type Made<T> = Result<(Result<Resource<T>, ()>,)>;

fn request_body(
    mut store: Store<'_>,
    (request,): (Resource<HostOutgoingRequest>,),
) -> Made<OutgoingBody> {
    let table = &mut store.data_mut().table;
    let request = table.get_mut(&request)?;
    if request.body.is_some() {
        return Ok((Err(()),));
    }
    let (body, reader) = OutgoingBody::new(Of::Request, content_length(&request.headers));
    request.body = Some(reader);
    Ok((Ok(table.push(body)?),))
}

fn response_body(
    mut store: Store<'_>,
    (response,): (Resource<HostOutgoingResponse>,),
) -> Made<OutgoingBody> {
    let state = store.data_mut();
    let response = state.table.get_mut(&response)?;
    if response.body.is_some() {
        return Ok((Err(()),));
    }
    let expected = match state.bodies.are_sent() {
        true => content_length(&response.headers),
        false => None,
    };
    let (body, reader) = OutgoingBody::new(Of::Response, expected);
    response.body = Some(reader);
    state.bodies.note(&body);
    Ok((Ok(state.table.push(body)?),))
}

/// Informational responses are the server's.
fn set_status_code(
    mut store: Store<'_>,
    (response, status): (Resource<HostOutgoingResponse>, u16),
) -> Result<(Result<(), ()>,)> {
    let response = store.data_mut().table.get_mut(&response)?;
    match StatusCode::from_u16(status) {
        Ok(status) if !status.is_informational() => {
            response.status = status;
            Ok((Ok(()),))
        }
        _ => Ok((Err(()),)),
    }
}

fn write(mut store: Store<'_>, (id,): (Resource<OutgoingBody>,)) -> Made<DynOutputStream> {
    let table = &mut store.data_mut().table;
    match table.get_mut(&id)?.stream() {
        Some(stream) => Ok((Ok(table.push_child(stream, &id)?),)),
        None => Ok((Err(()),)),
    }
}

fn finish(
    mut store: Store<'_>,
    (body, trailers): (Resource<OutgoingBody>, Option<Resource<FieldMap>>),
) -> Result<(Result<(), ErrorCode>,)> {
    let table = &mut store.data_mut().table;
    let body = table.delete(body)?;
    let trailers = match trailers {
        Some(trailers) => Some(table.delete(trailers)?.into()),
        None => None,
    };
    Ok((body.finish(trailers),))
}
