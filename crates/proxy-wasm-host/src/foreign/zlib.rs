//! `compress` and `uncompress`: zlib's format (RFC 1950), without arguments besides the data.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::abi::Status;

/// Largest result of `uncompress`, in bytes; Envoy has no limit.
const MAX_UNCOMPRESSED: usize = 16 << 20;

/// Most bytes that the result grows by at once.
const STEP: usize = 256 << 10;

/// With zlib's default level.
pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let mut zlib = Compress::new(Compression::default(), true);
    loop {
        let rest = rest(data, zlib.total_in())?;
        out.reserve((rest.len() / 2).clamp(64, STEP));
        let status = zlib
            .compress_vec(rest, out, FlushCompress::Finish)
            .map_err(|_| Status::SerializationFailure)?;
        match status {
            flate2::Status::StreamEnd => return Ok(()),
            flate2::Status::Ok | flate2::Status::BufError => {}
        }
    }
}

/// Bytes behind the end of the compressed data are left alone, as zlib's `uncompress` does.
/// `SerializationFailure`: the data is broken or incomplete, or its result too large.
pub(super) fn uncompress(data: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let mut zlib = Decompress::new(true);
    loop {
        // One byte more tells that it is too much.
        let room = (MAX_UNCOMPRESSED + 1).saturating_sub(out.len());
        out.reserve_exact(data.len().saturating_mul(2).clamp(64, STEP).min(room));
        let before = (zlib.total_in(), out.len());
        let status = zlib
            .decompress_vec(rest(data, zlib.total_in())?, out, FlushDecompress::None)
            .map_err(|_| Status::SerializationFailure)?;
        if out.len() > MAX_UNCOMPRESSED {
            return Err(Status::SerializationFailure);
        }
        if status == flate2::Status::StreamEnd {
            return Ok(());
        }
        if before == (zlib.total_in(), out.len()) {
            return Err(Status::SerializationFailure);
        }
    }
}

fn rest(data: &[u8], taken: u64) -> Result<&[u8], Status> {
    usize::try_from(taken)
        .ok()
        .and_then(|taken| data.get(taken..))
        .ok_or(Status::InternalFailure)
}
