//! `compress` and `uncompress`: zlib's format (RFC 1950), without arguments besides the data.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use wasm_runtime::Guard;

use crate::abi::Status;
use crate::memory::Fault;

/// Largest result of `uncompress`, in bytes; Envoy has no limit.
const MAX_UNCOMPRESSED: usize = 16 << 20;

/// Most bytes that are read, and that the result grows by, between two looks at the clock.
const STEP: usize = 128 << 10;

/// With zlib's default level.
pub(super) fn compress(guard: &mut Guard, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut zlib = Compress::new(Compression::default(), true);
    loop {
        guard.check().map_err(Fault::Trap)?;
        let rest = rest(data, zlib.total_in())?;
        let (part, flush) = match rest.get(..STEP) {
            Some(part) => (part, FlushCompress::None),
            None => (rest, FlushCompress::Finish),
        };
        out.reserve((part.len() / 2).clamp(64, STEP));
        let status = zlib
            .compress_vec(part, out, flush)
            .map_err(|_| Status::SerializationFailure)?;
        match status {
            flate2::Status::StreamEnd => return Ok(()),
            flate2::Status::Ok | flate2::Status::BufError => {}
        }
    }
}

/// Bytes behind the end of the compressed data are left alone, as zlib's `uncompress` does.
/// `SerializationFailure`: the data is broken or incomplete, or its result too large.
pub(super) fn uncompress(guard: &mut Guard, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut zlib = Decompress::new(true);
    loop {
        guard.check().map_err(Fault::Trap)?;
        // One byte more tells that it is too much.
        let room = (MAX_UNCOMPRESSED + 1).saturating_sub(out.len());
        out.reserve_exact(data.len().saturating_mul(2).clamp(64, STEP).min(room));
        let before = (zlib.total_in(), out.len());
        let status = zlib
            .decompress_vec(rest(data, zlib.total_in())?, out, FlushDecompress::None)
            .map_err(|_| Status::SerializationFailure)?;
        if out.len() > MAX_UNCOMPRESSED {
            return Err(Status::SerializationFailure.into());
        }
        if status == flate2::Status::StreamEnd {
            return Ok(());
        }
        if before == (zlib.total_in(), out.len()) {
            return Err(Status::SerializationFailure.into());
        }
    }
}

fn rest(data: &[u8], taken: u64) -> Result<&[u8], Status> {
    usize::try_from(taken)
        .ok()
        .and_then(|taken| data.get(taken..))
        .ok_or(Status::InternalFailure)
}
