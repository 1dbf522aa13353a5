//! Greets who is named in the request's body: the smallest service that is a component of wasi:http 0.2.

use std::io::{Read, Write};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wasip2::http::proxy::export!(Hello);

struct Hello;

impl Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let body = request.consume().expect("it is consumed once");
        let mut name = String::new();
        let mut stream = body.stream().expect("it is taken once");
        stream.read_to_string(&mut name).expect("the body comes");
        drop(stream);

        let json = [("content-type".to_owned(), b"application/json".to_vec())];
        let fields = Fields::from_list(&json).expect("valid fields");
        let response = OutgoingResponse::new(fields);
        let body = response.body().expect("it is taken once");
        ResponseOutparam::set(out, Ok(response));

        let mut stream = body.write().expect("it is taken once");
        write!(stream, "{{\"message\":\"Hello {name}\"}}").expect("the client reads");
        drop(stream);
        OutgoingBody::finish(body, None).expect("no length was announced");
    }
}
