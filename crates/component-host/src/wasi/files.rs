//! Streams of files; wasmtime-wasi has a thread read and write some of them.
//!
//! What blocks does so for as long as the disk takes. These are a guest's own files, which the operator has given it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult,
};

use crate::state::State;

const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// Most bytes that are read at a time.
const MOST: usize = 64 << 10;

type Store<'a> = StoreContextMut<'a, State>;
type Made<T> = Result<(Result<Resource<T>, ErrorCode>,)>;

/// Defines it, over what wasmtime-wasi has defined.
pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: Store<'_>, (file, from): (Resource<Descriptor>, u64)| {
            let made = store.data_mut().filesystem().read_via_stream(file, from);
            reader(store.data_mut(), made)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: Store<'_>, (file, from): (Resource<Descriptor>, u64)| {
            let made = store.data_mut().filesystem().write_via_stream(file, from);
            writer(store.data_mut(), made)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: Store<'_>, (file,): (Resource<Descriptor>,)| {
            let made = store.data_mut().filesystem().append_via_stream(file);
            writer(store.data_mut(), made)
        },
    )
}

fn reader(state: &mut State, made: FsResult<Resource<DynInputStream>>) -> Made<DynInputStream> {
    Ok((match made {
        Ok(stream) => {
            let reader: DynInputStream = Box::new(Reader(state.table.delete(stream)?));
            Ok(state.table.push(reader)?)
        }
        Err(error) => Err(error.downcast()?),
    },))
}

fn writer(state: &mut State, made: FsResult<Resource<DynOutputStream>>) -> Made<DynOutputStream> {
    Ok((match made {
        Ok(stream) => {
            let writer: DynOutputStream = Box::new(Writer(state.table.delete(stream)?));
            Ok(state.table.push(writer)?)
        }
        Err(error) => Err(error.downcast()?),
    },))
}

/// What comes of something that does not wait: it blocks.
fn now<T>(work: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(StreamError::trap("a file that is waited for")),
    }
}

/// Reads in this thread.
struct Reader(DynInputStream);

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match size.min(MOST) {
            0 => Ok(Bytes::new()),
            size => now(self.0.blocking_read(size)),
        }
    }
}

/// Writes in this thread.
struct Writer(DynOutputStream);

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        now(self.0.blocking_write_and_flush(bytes))
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.0.check_write()?.min(MOST))
    }
}
