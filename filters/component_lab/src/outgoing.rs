//! Outgoing requests. An argument is scheme and authority, then a path: `http://backend/x`.

use std::io::{Read, Write};

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingRequest, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, ResponseOutparam, Scheme,
};

use crate::{start, text, whole};

fn outgoing(url: &str) -> OutgoingRequest {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let request = OutgoingRequest::new(Fields::new());
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request
        .set_authority(Some(authority))
        .expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    request
}

fn wait(response: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    response.subscribe().block();
    response
        .get()
        .expect("it is there")
        .expect("it is taken once")
}

/// Passes a response on as it comes.
pub fn proxy(out: ResponseOutparam, url: &str) {
    let options = RequestOptions::new();
    options
        .set_connect_timeout(Some(30_000_000_000))
        .expect("offered");
    options
        .set_first_byte_timeout(Some(20_000_000_000))
        .expect("offered");
    let came = handle(outgoing(url), Some(options)).and_then(|response| wait(&response));
    let response = match came {
        Ok(response) => response,
        Err(error) => return text(out, &format!("error: {error:?}")),
    };
    let to = start(out);
    let mut writer = to.write().expect("it is taken once");
    write!(writer, "{}: ", response.status()).expect("the client reads");
    let from = response.consume().expect("it is consumed once");
    let mut reader = from.stream().expect("it is taken once");
    if let Err(error) = std::io::copy(&mut reader, &mut writer) {
        println!("{error}");
        return;
    }
    drop((reader, writer));
    OutgoingBody::finish(to, None).expect("no length was announced");
}

/// Writes a body while nobody waits for the response, then passes that on.
pub fn upload(request: IncomingRequest, out: ResponseOutparam, url: &str) {
    let bytes = whole(&request);
    let outgoing = outgoing(url);
    outgoing.set_method(&Method::Post).expect("a method");
    let body = outgoing.body().expect("it is taken once");
    let response = match handle(outgoing, None) {
        Ok(response) => response,
        Err(error) => return text(out, &format!("error: {error:?}")),
    };
    let mut stream = body.write().expect("it is taken once");
    stream.write_all(&bytes).expect("the server reads");
    drop(stream);
    OutgoingBody::finish(body, None).expect("no length was announced");
    match wait(&response) {
        Ok(response) => text(out, &format!("{}: {}", response.status(), read(&response))),
        Err(error) => text(out, &format!("error: {error:?}")),
    }
}

fn read(response: &IncomingResponse) -> String {
    let body = response.consume().expect("it is consumed once");
    let mut bytes = String::new();
    let mut stream = body.stream().expect("it is taken once");
    match stream.read_to_string(&mut bytes) {
        Ok(_) => bytes,
        Err(error) => format!("error: {error}"),
    }
}

/// Sends many requests at once: how many get a response.
pub fn fan(out: ResponseOutparam, many: &str) {
    let many: usize = many.parse().unwrap_or(1);
    let sent: Vec<_> = (0..many)
        .map(|i| handle(outgoing(&format!("http://backend/{i}")), None))
        .collect();
    let came = sent
        .into_iter()
        .map(|sent| sent.and_then(|response| wait(&response)));
    let (good, bad): (Vec<_>, Vec<_>) = came.partition(|came| came.is_ok());
    let error = bad.into_iter().find_map(Result::err);
    text(out, &format!("{} {error:?}", good.len()));
}

/// Sends a request and does not wait for its response.
pub fn abandon(out: ResponseOutparam, url: &str) {
    drop(handle(outgoing(url), None));
    text(out, "done");
}
