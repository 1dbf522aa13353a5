//! A path for each thing that a component of wasi:http 0.3 can do, or do wrong.

#[path = "../../component_lab/src/common.rs"]
mod common;
mod outgoing;

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

wasip3::http::service::export!(Lab);

struct Lab;

/// Trailers, as they come.
type Trailers = FutureReader<Result<Option<Fields>, ErrorCode>>;

impl Guest for Lab {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, argument) = target.split_once('?').unwrap_or((&target, ""));
        Ok(match path {
            "/echo" => echo(request),
            "/through" => through(request),
            "/request" => text(describe(&request)),
            "/fields" => text(fields()),
            "/status" => status(argument),
            "/trailers" => trailers(),
            "/trap-early" => panic!("as asked"),
            "/trap-late" => late(|| panic!("as asked")),
            "/exit-early" => std::process::exit(3),
            "/exit-late" => late(|| std::process::exit(3)),
            "/length" => length(argument),
            "/head-length" => with_length("5", None, end(Ok(None))),
            "/unfinished" => unfinished(),
            "/error" => return Err(ErrorCode::ConnectionTimeout),
            "/no-body" => respond(Fields::new(), None, end(Ok(None))),
            "/sleep" => {
                let time: u64 = argument.parse().unwrap_or(0);
                wasip3::clocks::monotonic_clock::wait_for(time * 1_000_000).await;
                text("slept".to_owned())
            }
            "/linger" => {
                let time: u64 = argument.parse().unwrap_or(0);
                wit_bindgen::spawn_local(async move {
                    wasip3::clocks::monotonic_clock::wait_for(time * 1_000_000).await;
                    println!("behind the response");
                });
                text("answered".to_owned())
            }
            "/spin" => common::spin(),
            "/spin-late" => late(|| common::spin()),
            "/flood" => flood(),
            "/pieces" => pieces(argument),
            "/hold" => {
                let held: Vec<_> = (0..1_000_000).map(|_| Fields::new()).collect();
                text(held.len().to_string())
            }
            "/streams" => {
                let held: Vec<_> = (0..1_000_000).map(|_| wit_stream::new::<u8>()).collect();
                text(held.len().to_string())
            }
            "/proxy" => outgoing::proxy(argument).await,
            "/upload" => outgoing::upload(request, argument).await,
            "/fan" => outgoing::fan(argument).await,
            _ => text(common::text(path, argument).unwrap_or_else(|| "no such path".to_owned())),
        })
    }
}

fn respond(fields: Fields, body: Option<StreamReader<u8>>, trailers: Trailers) -> Response {
    let (response, _sent) = Response::new(fields, body, trailers);
    response
}

/// A body's end.
fn end(of: Result<Option<Fields>, ErrorCode>) -> Trailers {
    let (writer, reader) = wit_future::new(|| Ok(None));
    wit_bindgen::spawn_local(async move {
        // Nobody may want it.
        let _ = writer.write(of).await;
    });
    reader
}

/// A body that is written so.
fn body<F: Future<Output = ()> + 'static>(
    write: impl FnOnce(StreamWriter<u8>) -> F,
) -> StreamReader<u8> {
    let (writer, reader) = wit_stream::new();
    wit_bindgen::spawn_local(write(writer));
    reader
}

/// A response with this text.
fn text(text: String) -> Response {
    let body = body(async move |mut writer| {
        writer.write_all(text.into_bytes()).await;
    });
    respond(Fields::new(), Some(body), end(Ok(None)))
}

/// A response of which something has been written when this is done.
fn late(then: impl FnOnce() + 'static) -> Response {
    let body = body(async move |mut writer| {
        writer.write_all(b"begun".to_vec()).await;
        then();
        drop(writer);
    });
    respond(Fields::new(), Some(body), end(Ok(None)))
}

/// The request's body as it comes, and its trailers, read and written here.
fn echo(request: Request) -> Response {
    let (_, read) = wit_future::new(|| Ok(()));
    let (mut from, trailers) = Request::consume_body(request, read);
    let (end, ended) = wit_future::new(|| Ok(None));
    let body = body(async move |mut writer| {
        let mut buffer = Vec::with_capacity(64 << 10);
        loop {
            let (result, read) = from.read(buffer).await;
            buffer = writer.write_all(read).await;
            if !buffer.is_empty() || matches!(result, wit_bindgen::StreamResult::Dropped) {
                break;
            }
        }
        // Trailers come when the body is not read any more.
        drop((writer, from));
        let trailers = trailers.await;
        if let Err(error) = &trailers {
            println!("{error:?}");
        }
        // Nobody may want it.
        let _ = end.write(trailers).await;
    });
    respond(Fields::new(), Some(body), ended)
}

/// The request's body, handed on as it is.
fn through(request: Request) -> Response {
    let (_, read) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, read);
    respond(Fields::new(), Some(body), trailers)
}

fn describe(request: &Request) -> String {
    let mut text = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.get_method(),
        request.get_scheme(),
        request.get_authority(),
        request.get_path_with_query()
    );
    for (name, value) in request.get_headers().copy_all() {
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

fn status(status: &str) -> Response {
    let response = text(String::new());
    let set = response
        .set_status_code(status.parse().unwrap_or(0))
        .is_ok();
    match set {
        true => {
            let made = text(set.to_string());
            made.set_status_code(response.get_status_code())
                .expect("it was taken before");
            made
        }
        false => text(set.to_string()),
    }
}

fn trailers() -> Response {
    let trailers = Fields::from_list(&[("x-checksum".to_owned(), b"abc".to_vec())]);
    let body = body(async |mut writer| {
        writer.write_all(b"body".to_vec()).await;
    });
    respond(
        Fields::new(),
        Some(body),
        end(Ok(Some(trailers.expect("valid fields")))),
    )
}

fn with_length(length: &str, body: Option<StreamReader<u8>>, trailers: Trailers) -> Response {
    let field = ("content-length".to_owned(), length.as_bytes().to_vec());
    respond(
        Fields::from_list(&[field]).expect("valid fields"),
        body,
        trailers,
    )
}

/// `announced,written`
fn length(lengths: &str) -> Response {
    let (announced, written) = lengths.split_once(',').unwrap_or((lengths, "0"));
    let written = written.parse().unwrap_or(0);
    let body = body(async move |mut writer| {
        let left = writer.write_all(vec![b'x'; written]).await;
        println!("write: {}", left.is_empty());
    });
    with_length(announced, Some(body), end(Ok(None)))
}

/// A body whose end is an error.
fn unfinished() -> Response {
    let body = body(async |mut writer| {
        writer.write_all(b"begun".to_vec()).await;
    });
    respond(
        Fields::new(),
        Some(body),
        end(Err(ErrorCode::HttpProtocolError)),
    )
}

/// Writes for ever, to whoever does not read.
/// So many pieces, each of which takes some time to make.
fn pieces(count: &str) -> Response {
    let count = count.parse().unwrap_or(0);
    let body = body(async move |mut writer| {
        for _ in 0..count {
            common::compute();
            writer.write_all(b"x".to_vec()).await;
        }
    });
    respond(Fields::new(), Some(body), end(Ok(None)))
}

fn flood() -> Response {
    let body = body(async |mut writer| {
        while writer.write_all(vec![b'x'; 4096]).await.is_empty() {}
        println!("the client is gone");
    });
    respond(Fields::new(), Some(body), end(Ok(None)))
}
