//! A mock platform, an executor of one thread, and the guests.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

mod executor;
mod mock;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use component_host::{
    Body, BodyError, Ended, Engine, Failure, Handler, Instance, Pool, Program, Runtime, Settings,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use send_wrapper::SendWrapper;

pub use executor::{Executor, run};
pub use mock::Mock;

/// A component with what it stands on.
pub struct Host {
    pub handler: Handler,
    pub mock: Mock,
    _runtime: Runtime,
    _ticker: component_host::Ticker,
}

/// A sample guest, built by scripts/filters.
pub fn sample(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(format!("target/filters/{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/filters {name}", path.display()))
}

/// The guests that have a path for each thing, of both versions.
pub const LABS: [&str; 2] = ["component_lab", "component_lab_p3"];

/// A component of WASI 0.2 in the text format, with these imports, whose handler does this and sets no response.
pub fn handler(imports: &str, body: &str) -> String {
    let (arguments, inner) = match imports.contains("$open") {
        true => (
            r#"(with "" (instance (export "open" (func $open)) (export "memory" (memory $m "memory"))))"#,
            r#"(import "" "open" (func $open OPEN)) (import "" "memory" (memory 1))"#,
        ),
        false => ("", ""),
    };
    let inner = match imports.contains("(result u32))") {
        true => inner.replace("OPEN", "(param i32 i32) (result i32)"),
        false => inner.replace("OPEN", "(param i32 i32 i32)"),
    };
    format!(
        r#"(component
          (import "wasi:http/types@0.2.0" (instance $types
            (export "incoming-request" (type (sub resource)))
            (export "response-outparam" (type (sub resource)))))
          (alias export $types "incoming-request" (type $request))
          (alias export $types "response-outparam" (type $out))
          {imports}
          (core module $main
            {inner}
            (func (export "handle") (param i32 i32) {body}))
          (core instance $i (instantiate $main {arguments}))
          (func $handle (param "request" (own $request)) (param "response-out" (own $out))
            (canon lift (core func $i "handle")))
          (instance $handler (export "handle" (func $handle)))
          (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    )
}

/// Compiles bytes once for all tests.
fn compiled(engine: &Engine, bytes: &[u8]) -> Program {
    static ALL: Mutex<Vec<Program>> = Mutex::new(Vec::new());
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that live are found.
    let program = Program::compile(engine, bytes).unwrap_or_else(|error| panic!("{error}"));
    all.push(program.clone());
    program
}

/// What a request came to.
#[derive(Debug)]
pub struct Came {
    pub head: Result<Response<()>, Failure>,
    /// The body's bytes, up to its end or its error.
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    pub error: Option<String>,
    pub outcome: Result<(), Failure>,
}

impl Came {
    pub fn status(&self) -> StatusCode {
        self.head.as_ref().unwrap().status()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of a response that is whole.
    pub fn whole(&self) -> String {
        assert_eq!(self.error, None, "{self:?}");
        assert_eq!(self.outcome, Ok(()), "{self:?}");
        self.text()
    }
}

pub fn pool() -> Pool {
    Pool {
        instances: 20,
        ..Pool::default()
    }
}

impl Host {
    pub fn new(bytes: &[u8]) -> Host {
        Host::with(bytes, Settings::default())
    }

    pub fn with(bytes: &[u8], settings: Settings) -> Host {
        let engine = Engine::new().unwrap();
        let program = compiled(&engine, bytes);
        let ticker = engine.start_ticker(settings.limits.cpu_time).unwrap();
        let runtime = Runtime::new(&engine, &pool()).unwrap();
        let handler = runtime.handler(&program, settings).unwrap();
        Host {
            handler,
            mock: Mock::default(),
            _runtime: runtime,
            _ticker: ticker,
        }
    }

    pub fn lab(name: &str) -> Host {
        Host::with_lab(name, |_| {})
    }

    pub fn with_lab(name: &str, set: impl FnOnce(&mut Settings)) -> Host {
        let mut settings = Settings::default();
        set(&mut settings);
        Host::with(&sample(name), settings)
    }

    pub fn get(&self, path: &str) -> Came {
        self.send(request("GET", path, empty()))
    }

    pub fn post(&self, path: &str, body: &str) -> Came {
        self.send(request("POST", path, full(body)))
    }

    /// Sends a request to an instance of its own.
    pub fn send(&self, request: Request<Body>) -> Came {
        let (came, _) = self.send_to(None, request);
        came
    }

    pub fn send_to(
        &self,
        instance: Option<Instance>,
        request: Request<Body>,
    ) -> (Came, Option<Instance>) {
        let platform = Rc::new(self.mock.clone());
        let (call, answer) = match instance {
            Some(instance) => instance.handle(request, platform),
            None => self.handler.handle(request, platform),
        };
        let executor = Executor::default();
        let came = executor.spawn(async move {
            match answer.await {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    let (body, trailers, error) = read(body).await;
                    (Ok(Response::from_parts(parts, ())), body, trailers, error)
                }
                Err(failure) => (Err(failure), Vec::new(), None, None),
            }
        });
        let ended = executor.spawn(call);
        executor.run();
        let (head, body, trailers, error) = came.take().expect("an answer");
        let Ended { outcome, instance } = ended.take().expect("an end");
        let came = Came {
            head,
            body,
            trailers,
            error,
            outcome,
        };
        (came, instance)
    }
}

/// All of a body.
pub async fn read(mut body: Body) -> (Vec<u8>, Option<HeaderMap>, Option<String>) {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            Err(error) => return (bytes, trailers, Some(error.to_string())),
        }
    }
    (bytes, trailers, None)
}

pub fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("http://example.com{path}"))
        .header("host", "example.com")
        .body(body)
        .unwrap()
}

pub fn empty() -> Body {
    Body::new(Empty::new().map_err(|never: std::convert::Infallible| match never {}))
}

pub fn full(text: &str) -> Body {
    let full = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    Body::new(full.map_err(|never: std::convert::Infallible| match never {}))
}

/// A body with these trailers.
pub fn with_trailers(text: &str, trailers: &[(&'static str, &'static str)]) -> Body {
    let trailers: HeaderMap = trailers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    Body::new(full(text).with_trailers(async move { Some(Ok(trailers)) }))
}

/// A body of so many pieces, and how many of them have been taken.
pub fn pieces(piece: Bytes, many: usize) -> (Body, Rc<Cell<usize>>) {
    let taken = Rc::new(Cell::new(0));
    let counted = SendWrapper::new(taken.clone());
    let body = StreamBody::new(futures_util::stream::poll_fn(move |_| {
        let taken = counted.get();
        if taken == many {
            return Poll::Ready(None);
        }
        counted.set(taken + 1);
        Poll::Ready(Some(Ok(Frame::data(piece.clone()))))
    }));
    (Body::new(body), taken)
}

/// A body that breaks after this.
pub fn broken(text: &'static str) -> Body {
    let frames = [
        Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
        Err(BodyError::ConnectionTerminated),
    ];
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// How many threads this process has.
pub fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("Threads:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
