//! A path for each thing that a component of wasi:http 0.2 can do, or do wrong.

mod common;
mod outgoing;

use std::io::{Read, Write};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wasip2::http::proxy::export!(Lab);

struct Lab;

impl Guest for Lab {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, argument) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/echo" => echo(request, out),
            "/request" => text(out, &describe(&request)),
            "/fields" => text(out, &fields()),
            "/status" => status(out, argument),
            "/trailers" => trailers(out),
            "/trap-early" => panic!("as asked"),
            "/trap-late" => {
                late(out);
                panic!("as asked")
            }
            "/exit-early" => std::process::exit(3),
            "/exit-late" => {
                late(out);
                std::process::exit(3)
            }
            "/length" => length(out, argument),
            "/head-length" => head_length(out),
            "/unfinished" => drop(start(out)),
            "/forgotten" => std::mem::forget(start(out)),
            "/never" => {}
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::ConnectionTimeout)),
            "/no-body" => ResponseOutparam::set(out, Ok(OutgoingResponse::new(Fields::new()))),
            "/sleep" => {
                let time = std::time::Duration::from_millis(argument.parse().unwrap_or(0));
                std::thread::sleep(time);
                text(out, "slept")
            }
            "/spin" => common::spin(),
            "/spin-late" => {
                late(out);
                common::spin()
            }
            "/flood" => flood(out),
            "/pieces" => pieces(out, argument),
            "/hold" => {
                let held: Vec<_> = (0..1_000_000).map(|_| Fields::new()).collect();
                text(out, &held.len().to_string())
            }
            "/proxy" => outgoing::proxy(out, argument),
            "/upload" => outgoing::upload(request, out, argument),
            "/fan" => outgoing::fan(out, argument),
            "/abandon" => outgoing::abandon(out, argument),
            _ => text(
                out,
                &common::text(path, argument).unwrap_or_else(|| "no such path".to_owned()),
            ),
        }
    }
}

/// A response with this text.
fn text(out: ResponseOutparam, text: &str) {
    let body = start(out);
    let mut stream = body.write().expect("it is taken once");
    stream.write_all(text.as_bytes()).expect("the client reads");
    drop(stream);
    OutgoingBody::finish(body, None).expect("no length was announced");
}

fn start(out: ResponseOutparam) -> OutgoingBody {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("it is taken once");
    ResponseOutparam::set(out, Ok(response));
    body
}

/// A response of which something has been written.
fn late(out: ResponseOutparam) {
    let body = start(out);
    let stream = body.write().expect("it is taken once");
    stream
        .blocking_write_and_flush(b"begun")
        .expect("the client reads");
    // Ends it not: neither is dropped.
    std::mem::forget((stream, body));
}

/// The request's body as it comes, and its trailers.
fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let from = request.consume().expect("it is consumed once");
    let to = start(out);
    let mut reader = from.stream().expect("it is taken once");
    let mut writer = to.write().expect("it is taken once");
    if let Err(error) = std::io::copy(&mut reader, &mut writer) {
        println!("{error}");
        return;
    }
    drop((reader, writer));
    let trailers = wasip2::http::types::IncomingBody::finish(from);
    trailers.subscribe().block();
    let trailers = match trailers.get() {
        Some(Ok(Ok(trailers))) => trailers.map(|fields| fields.clone()),
        other => {
            println!("{other:?}");
            None
        }
    };
    OutgoingBody::finish(to, trailers).expect("no length was announced");
}

fn describe(request: &IncomingRequest) -> String {
    let mut text = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.method(),
        request.scheme(),
        request.authority(),
        request.path_with_query()
    );
    for (name, value) in request.headers().entries() {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
    }
    text
}

/// What becomes of header fields.
fn fields() -> String {
    let try_one = |name: &str, value: &str| {
        let field = (name.to_owned(), value.as_bytes().to_vec());
        let came = match Fields::from_list(&[field]) {
            Ok(_) => "taken".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        format!("{name}: {came}\n")
    };
    let mut text = String::new();
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "transfer-encoding",
        "upgrade",
        "host",
        "http2-settings",
        "te",
        "x-mine",
    ] {
        text += &try_one(name, "close");
    }
    text += &try_one("content-length", "x");
    text += &try_one("a b", "c");
    text += &try_one("x-line", "a\nb");
    let twice = ["1", "2"].map(|length| ("content-length".to_owned(), length.as_bytes().to_vec()));
    text += &format!("twice: {}\n", Fields::from_list(&twice).is_ok());
    text
}

fn status(out: ResponseOutparam, status: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let set = response
        .set_status_code(status.parse().unwrap_or(0))
        .is_ok();
    let body = response.body().expect("it is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("it is taken once");
    stream
        .blocking_write_and_flush(set.to_string().as_bytes())
        .expect("the client reads");
    drop(stream);
    OutgoingBody::finish(body, None).expect("no length was announced");
}

fn trailers(out: ResponseOutparam) {
    let body = start(out);
    let stream = body.write().expect("it is taken once");
    stream
        .blocking_write_and_flush(b"body")
        .expect("the client reads");
    drop(stream);
    let trailers = Fields::from_list(&[("x-checksum".to_owned(), b"abc".to_vec())]);
    OutgoingBody::finish(body, Some(trailers.expect("valid fields"))).expect("no length");
}

/// `announced,written`
fn length(out: ResponseOutparam, lengths: &str) {
    let (announced, written) = lengths.split_once(',').unwrap_or((lengths, "0"));
    let field = ("content-length".to_owned(), announced.as_bytes().to_vec());
    let response = OutgoingResponse::new(Fields::from_list(&[field]).expect("valid fields"));
    let body = response.body().expect("it is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("it is taken once");
    let bytes = vec![b'x'; written.parse().unwrap_or(0)];
    let came = stream.blocking_write_and_flush(&bytes);
    println!("write: {}", came.is_ok());
    drop(stream);
    println!("finish: {:?}", OutgoingBody::finish(body, None));
}

/// A length without a body.
fn head_length(out: ResponseOutparam) {
    let field = ("content-length".to_owned(), b"5".to_vec());
    let response = OutgoingResponse::new(Fields::from_list(&[field]).expect("valid fields"));
    ResponseOutparam::set(out, Ok(response));
}

/// Writes for ever, to whoever does not read.
fn flood(out: ResponseOutparam) {
    let body = start(out);
    let stream = body.write().expect("it is taken once");
    while stream.blocking_write_and_flush(&[b'x'; 4096]).is_ok() {}
    println!("the client is gone");
}

/// So many pieces, each of which takes some time to make.
fn pieces(out: ResponseOutparam, count: &str) {
    let body = start(out);
    let stream = body.write().expect("it is taken once");
    for _ in 0..count.parse().unwrap_or(0) {
        common::compute();
        stream
            .blocking_write_and_flush(b"x")
            .expect("the client reads");
    }
    drop(stream);
    OutgoingBody::finish(body, None).expect("no length was announced");
}

/// All of a request's body.
fn whole(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("it is consumed once");
    let mut bytes = Vec::new();
    let mut stream = body.stream().expect("it is taken once");
    stream.read_to_end(&mut bytes).expect("the body comes");
    bytes
}
