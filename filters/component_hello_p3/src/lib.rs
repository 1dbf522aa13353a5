//! Greets who is named in the request's body: the smallest service that is a component of wasi:http 0.3.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Hello);

struct Hello;

impl Guest for Hello {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (_, read) = wit_future::new(|| Ok(()));
        let (body, _trailers) = Request::consume_body(request, read);
        let name = String::from_utf8_lossy(&body.collect().await).into_owned();

        let json = [("content-type".to_owned(), b"application/json".to_vec())];
        let fields = Fields::from_list(&json).expect("valid fields");
        let (mut writer, body) = wit_stream::new();
        let (end, ended) = wit_future::new(|| Ok(None));
        drop(end);
        let (response, _sent) = Response::new(fields, Some(body), ended);
        wit_bindgen::spawn_local(async move {
            let text = format!("{{\"message\":\"Hello {name}\"}}");
            // A client that does not read it is gone.
            let _ = writer.write_all(text.into_bytes()).await;
        });
        Ok(response)
    }
}
