//! A guest's standard output and error: lines for the platform. Its input is empty.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use guest_host::LogLevel;
use send_wrapper::SendWrapper;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::streams::{OutputStream, StreamResult};

use crate::platform::{Output, Platform};

/// Bytes that a guest can write at a time.
const BUDGET: usize = 64 << 10;

/// What an instance writes. Clone = refcount.
#[derive(Clone)]
pub(crate) struct Stdio(Arc<Mutex<State>>);

struct State {
    platform: SendWrapper<Rc<dyn Platform>>,
    lines: guest_host::Output,
}

impl Stdio {
    pub fn new(platform: Rc<dyn Platform>) -> Stdio {
        Stdio(Arc::new(Mutex::new(State {
            platform: SendWrapper::new(platform),
            lines: guest_host::Output::default(),
        })))
    }

    /// The lines from now on are this platform's.
    pub fn set_platform(&self, platform: Rc<dyn Platform>) {
        self.with(|state| state.platform = SendWrapper::new(platform));
    }

    /// Has what has no end yet told.
    pub fn end(&self) {
        self.with(|State { platform, lines }| {
            lines.end(|level, line| platform.print(output(level), line));
        });
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn stream(&self, output: Output) -> Stream {
        Stream {
            stdio: self.clone(),
            output,
        }
    }
}

fn output(level: LogLevel) -> Output {
    match level {
        LogLevel::Error => Output::Stderr,
        _ => Output::Stdout,
    }
}

/// One of the two streams.
#[derive(Clone)]
pub(crate) struct Stream {
    stdio: Stdio,
    output: Output,
}

impl Stream {
    fn put(&self, text: &[u8]) {
        let level = match self.output {
            Output::Stdout => LogLevel::Info,
            Output::Stderr => LogLevel::Error,
        };
        self.stdio.with(|State { platform, lines }| {
            lines.write(level, text, |line| platform.print(self.output, line));
        });
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi_io::poll::Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.put(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(BUDGET)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        text: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.put(text);
        Poll::Ready(Ok(text.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
