//! Outgoing requests. An argument is scheme and authority, then a path: `http://backend/x`.

use wasip3::http::client::send;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::StreamReader;
use wasip3::wit_future;

use crate::{body, end, respond, text};

fn outgoing(url: &str, body: Option<StreamReader<u8>>) -> Request {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let options = RequestOptions::new();
    options
        .set_connect_timeout(Some(30_000_000_000))
        .expect("offered");
    options
        .set_first_byte_timeout(Some(20_000_000_000))
        .expect("offered");
    let (request, _sent) = Request::new(Fields::new(), body, end(Ok(None)), Some(options));
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

fn failed(error: ErrorCode) -> Response {
    text(format!("error: {error:?}"))
}

/// Passes a response on as it comes.
pub async fn proxy(url: &str) -> Response {
    let response = match send(outgoing(url, None)).await {
        Ok(response) => response,
        Err(error) => return failed(error),
    };
    let status = response.get_status_code();
    let (_, read) = wit_future::new(|| Ok(()));
    let (mut from, trailers) = Response::consume_body(response, read);
    let body = body(async move |mut writer| {
        let mut buffer = format!("{status}: ").into_bytes();
        while writer.write_all(buffer).await.is_empty() {
            let (result, read) = from.read(Vec::with_capacity(64 << 10)).await;
            buffer = read;
            if matches!(result, wasip3::wit_bindgen::StreamResult::Dropped) {
                writer.write_all(buffer).await;
                return;
            }
        }
    });
    respond(Fields::new(), Some(body), trailers)
}

/// Sends the request's body on, then passes the response on.
pub async fn upload(request: Request, url: &str) -> Response {
    let (_, read) = wit_future::new(|| Ok(()));
    let (body, _trailers) = Request::consume_body(request, read);
    let bytes = body.collect().await;
    let body = crate::body(async move |mut writer| {
        writer.write_all(bytes).await;
    });
    let outgoing = outgoing(url, Some(body));
    outgoing.set_method(&Method::Post).expect("a method");
    match send(outgoing).await {
        Ok(response) => {
            let status = response.get_status_code();
            let (_, read) = wit_future::new(|| Ok(()));
            let (body, _trailers) = Response::consume_body(response, read);
            let body = String::from_utf8_lossy(&body.collect().await).into_owned();
            text(format!("{status}: {body}"))
        }
        Err(error) => failed(error),
    }
}

/// Sends many requests at once: how many get a response.
pub async fn fan(many: &str) -> Response {
    let many: usize = many.parse().unwrap_or(1);
    let mut sent: Vec<_> = (0..many)
        .map(|i| Box::pin(send(outgoing(&format!("http://backend/{i}"), None))))
        .collect();
    let (mut good, mut error) = (Vec::new(), None);
    // All of them are begun before one is waited for.
    std::future::poll_fn(|cx| {
        sent.retain_mut(|sent| match sent.as_mut().poll(cx) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(Ok(response)) => {
                good.push(response);
                false
            }
            std::task::Poll::Ready(Err(code)) => {
                error = Some(code);
                false
            }
        });
        match sent.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    text(format!("{} {error:?}", good.len()))
}
