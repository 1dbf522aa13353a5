//! Insides for the fuzz targets; no part of the interface.

use crate::abi::Status;
use crate::codec;
use crate::hostcalls::properties;
use crate::traits::Proxy;
use crate::vm::Vm;

pub const MAX_BYTES: usize = codec::MAX_BYTES;
pub const MAX_PAIRS: usize = codec::MAX_PAIRS;
pub const MAX_SEGMENTS: usize = properties::MAX_SEGMENTS;

/// Reads a guest's serialized map.
pub fn parse_map(map: &[u8]) -> Result<Vec<(&[u8], &[u8])>, Status> {
    codec::parse(map)
}

/// The segments of a guest's property path.
pub fn property_path(path: &[u8]) -> Result<Vec<Vec<u8>>, Status> {
    properties::with_path(path, |segments| {
        Ok(segments.iter().map(|segment| segment.to_vec()).collect())
    })
}

/// The guest's memory; empty when it has none.
pub fn memory<P: Proxy>(vm: &mut Vm<P>) -> &mut [u8] {
    vm.memory_mut()
}
