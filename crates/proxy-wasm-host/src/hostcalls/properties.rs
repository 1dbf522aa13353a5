//! Properties.

use guest_host::Capability;
use guest_host::memory::{parts, slice};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::abi::Status;
use crate::foreign;
use crate::memory::{Out, give_scratch};
use crate::pending::Incoming;
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_get_property", get::<P>)?
        .func_wrap("env", "proxy_set_property", set::<P>)?;
    Ok(())
}

/// No known property has a longer path.
pub(crate) const MAX_SEGMENTS: usize = 16;

/// Calls `f` with the segments of a path that joins them by `\0`. One `\0` at the end, which some
/// guests send, is none.
pub(crate) fn with_path<R>(
    path: &[u8],
    f: impl FnOnce(&[&[u8]]) -> Result<R, Status>,
) -> Result<R, Status> {
    let path = path.strip_suffix(&[0]).unwrap_or(path);
    if path.is_empty() {
        return Err(Status::NotFound);
    }
    let mut segments: [&[u8]; MAX_SEGMENTS] = [&[]; MAX_SEGMENTS];
    let mut count = 0;
    for segment in path.split(|byte| *byte == 0) {
        *segments.get_mut(count).ok_or(Status::NotFound)? = segment;
        count += 1;
    }
    f(&segments[..count])
}

fn get<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    path: u32,
    path_len: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    ending(give_scratch(
        &mut caller,
        Out { ptr, len },
        |memory, state, value| {
            with_path(slice(memory, path, path_len)?, |path| {
                if let [name] = path {
                    if let Some(own) = own(state, name) {
                        value.extend_from_slice(own);
                        return Ok(());
                    }
                    if *name == b"plugin_vm_memory" {
                        value.extend_from_slice(&(memory.len() as u64).to_le_bytes());
                        return Ok(());
                    }
                }
                if path == [&b"call"[..], b"error"] {
                    let error = state.incoming.as_ref().map_or("", Incoming::error);
                    value.extend_from_slice(error.as_bytes());
                    return if error.is_empty() {
                        Err(Status::NotFound)
                    } else {
                        Ok(())
                    };
                }
                match state.stream() {
                    Some(stream) => match (stream.property(path, value), path) {
                        (Err(Status::NotFound), [name]) => foreign::property(stream, name, value),
                        (result, _) => result,
                    },
                    None => state.proxy.property(path, value),
                }
            })
        },
    ))
}

/// What this crate knows without the proxy. Before there is a context the root id is empty, as
/// guests expect it.
fn own<'a, P: Proxy>(state: &'a State<P>, name: &[u8]) -> Option<&'a [u8]> {
    let plugin = state.current().map(|current| &**current.plugin);
    match name {
        b"plugin_name" => plugin.map(|plugin| &*plugin.name),
        b"plugin_root_id" => Some(plugin.map_or(&[], |plugin| &*plugin.root_id)),
        b"plugin_vm_id" => Some(&state.config.vm_id),
        _ => None,
    }
}

fn set<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    path: u32,
    path_len: u32,
    value: u32,
    value_len: u32,
) -> u32 {
    let mut run = || {
        let state = caller.data_mut();
        state.require(Capability::PropertiesWrite, "proxy_set_property")?;
        let (memory, state) = parts(&mut caller)?;
        let value = slice(memory, value, value_len)?;
        with_path(slice(memory, path, path_len)?, |path| {
            if let [name] = path
                && let Some(result) = foreign::set_property(state, name, value)
            {
                return result;
            }
            let stream = state.stream().ok_or(Status::NotFound)?;
            stream.set_property(path, value)
        })
    };
    code(run())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(path: &[u8]) -> Result<Vec<Vec<u8>>, Status> {
        with_path(path, |p| Ok(p.iter().map(|s| s.to_vec()).collect()))
    }

    #[test]
    fn paths() {
        assert_eq!(split(b"a\0bc\0d").unwrap(), [&b"a"[..], b"bc", b"d"]);
        assert_eq!(split(b"a\0").unwrap(), [b"a"]);
        assert_eq!(split(b"a\0\0b").unwrap(), [&b"a"[..], b"", b"b"]);
        assert_eq!(split(b""), Err(Status::NotFound));
        assert_eq!(split(b"\0"), Err(Status::NotFound));
        let longest = [b'a', 0].repeat(MAX_SEGMENTS);
        assert_eq!(split(&longest).unwrap().len(), MAX_SEGMENTS);
        let longer = [b'a', 0].repeat(MAX_SEGMENTS + 1);
        assert_eq!(split(&longer), Err(Status::NotFound));
    }
}
