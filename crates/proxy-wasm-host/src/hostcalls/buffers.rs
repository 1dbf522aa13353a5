//! Buffers: bodies, and what this crate has itself: the configurations and what has come in.

use guest_host::memory::{parts, slice, slice_mut, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::abi::{BufferType, Status};
use crate::memory::{Fault, Out, allocate};
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_get_buffer_bytes", get::<P>)?
        .func_wrap("env", "proxy_get_buffer_status", status::<P>)?
        .func_wrap("env", "proxy_set_buffer_bytes", set::<P>)?
        .func_wrap("env", "proxy_get_configuration", configuration::<P>)?;
    Ok(())
}

/// Where a buffer's bytes are.
enum Source<'a, S> {
    /// Bytes that the guest cannot change.
    Own(&'a [u8]),
    Stream(BufferType, &'a S),
}

impl<S: HttpStream> Source<'_, S> {
    fn len(&self) -> Result<usize, Status> {
        match self {
            Source::Own(bytes) => Ok(bytes.len()),
            Source::Stream(buffer, stream) => stream.buffer_len(*buffer),
        }
    }

    fn read(&self, start: usize, len: usize, found: &mut dyn FnMut(&[u8])) -> Result<(), Status> {
        match self {
            Source::Own(bytes) => {
                found(bytes.get(start..).unwrap_or_default());
                Ok(())
            }
            Source::Stream(buffer, stream) => stream.buffer_read(*buffer, start, len, found),
        }
    }
}

fn source<P: Proxy>(state: &State<P>, buffer: u32) -> Result<Source<'_, P::Stream>, Status> {
    match BufferType::try_from(buffer)? {
        BufferType::VmConfiguration => Ok(Source::Own(&state.config.configuration)),
        BufferType::PluginConfiguration => {
            let current = state.current().ok_or(Status::NotFound)?;
            Ok(Source::Own(&current.plugin.configuration))
        }
        BufferType::CallResponseBody
        | BufferType::GrpcMessage
        | BufferType::RedisReply
        | BufferType::ForeignArguments => {
            let incoming = state.incoming.as_ref().ok_or(Status::NotFound)?;
            let bytes = incoming.buffer(BufferType::try_from(buffer)?);
            Ok(Source::Own(bytes.ok_or(Status::NotFound)?))
        }
        buffer => {
            let stream = state.stream().ok_or(Status::NotFound)?;
            Ok(Source::Stream(buffer, stream))
        }
    }
}

/// [start, start + len) cut to a buffer of `size` bytes.
fn cut(start: u32, len: u32, size: usize) -> (usize, usize) {
    let start = (start as usize).min(size);
    (start, (len as usize).min(size - start))
}

fn get<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    buffer: u32,
    start: u32,
    max: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    ending(read(&mut caller, buffer, start, max, Out { ptr, len }))
}

fn read<P: Proxy>(
    caller: &mut Caller<'_, State<P>>,
    buffer: u32,
    start: u32,
    max: u32,
    out: Out,
) -> Result<(), Fault> {
    let (memory, state) = parts(caller)?;
    BufferType::try_from(buffer)?;
    start.checked_add(max).ok_or(Status::BadArgument)?;
    out.check(memory)?;

    let (start, len) = cut(start, max, source(state, buffer)?.len()?);
    if len == 0 {
        out.write(memory, 0, 0)?;
        return Ok(());
    }

    // At most `max`, so it is 32 bits.
    let address = allocate(caller, len as u32)?;

    let (memory, state) = parts(caller)?;
    let place = slice_mut(memory, address, len as u32)?;
    let mut written = 0;
    source(state, buffer)?.read(start, len, &mut |piece| {
        let piece = &piece[..piece.len().min(len - written)];
        place[written..written + piece.len()].copy_from_slice(piece);
        written += piece.len();
    })?;
    out.write(memory, address, written as u32)?;
    Ok(())
}

fn status<P: Proxy>(mut caller: Caller<'_, State<P>>, buffer: u32, len: u32, flags: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let size = source(state, buffer)?.len()?;
        Out {
            ptr: len,
            len: flags,
        }
        .check(memory)?;
        write_u32(memory, len, u32::try_from(size).unwrap_or(u32::MAX))?;
        // The reference host has no flag either.
        Ok(write_u32(memory, flags, 0)?)
    };
    code(run())
}

fn set<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    buffer: u32,
    start: u32,
    len: u32,
    data: u32,
    data_len: u32,
) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        // As in Envoy, a question about a buffer that is not there is answered with NotFound, a
        // change of it with BadArgument.
        let gone = |status| match status {
            Status::NotFound => Status::BadArgument,
            status => status,
        };
        match source(state, buffer).map_err(gone)? {
            Source::Own(_) => Err(Status::BadArgument),
            Source::Stream(buffer, stream) => {
                let size = stream.buffer_len(buffer).map_err(gone)?;
                let (start, len) = cut(start, len, size);
                stream.buffer_replace(buffer, start, len, slice(memory, data, data_len)?)
            }
        }
    };
    code(run())
}

/// 0.1.0: the VM's configuration in `proxy_on_vm_start`, else the plugin's.
fn configuration<P: Proxy>(mut caller: Caller<'_, State<P>>, ptr: u32, len: u32) -> Result<u32> {
    let state = caller.data();
    let buffer = if state.in_vm_start || state.current().is_none() {
        BufferType::VmConfiguration
    } else {
        BufferType::PluginConfiguration
    };
    ending(read(
        &mut caller,
        buffer as u32,
        0,
        u32::MAX,
        Out { ptr, len },
    ))
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn ranges_are_cut_to_the_buffer() {
        assert_eq!(cut(0, 5, 10), (0, 5));
        assert_eq!(cut(8, 5, 10), (8, 2));
        assert_eq!(cut(10, 5, 10), (10, 0));
        assert_eq!(cut(11, u32::MAX, 10), (10, 0));
        assert_eq!(cut(0, u32::MAX, 10), (0, 10));
        assert_eq!(cut(u32::MAX, u32::MAX, 0), (0, 0));
    }
}
