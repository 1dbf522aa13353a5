//! What hosts of several kinds offer to their guests in the same way, each under names of its own.

use crate::level::LogLevel;
use crate::services::{ServiceError, Services};

/// A number as guests pass it: 8 bytes, little-endian, or 4 of them.
pub fn number(bytes: &[u8]) -> Result<u64, ServiceError> {
    if let Ok(bytes) = bytes.try_into() {
        return Ok(u64::from_le_bytes(bytes));
    }
    match bytes.try_into() {
        Ok(bytes) => Ok(u32::from_le_bytes(bytes).into()),
        Err(_) => Err(ServiceError::BadArgument),
    }
}

/// Appends a shared value to `out`, which is empty: its number for compare-and-swap, 8 bytes, then itself.
pub fn shared_data_with_cas<S: Services>(
    services: &S,
    key: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), ServiceError> {
    let cas = services.shared_data(key, out)?;
    out.splice(..0, u64::from(cas).to_le_bytes());
    Ok(())
}

/// Sets a shared value whose number is still this one.
pub fn compare_and_swap<S: Services>(
    services: &S,
    key: &[u8],
    value: &[u8],
    cas: u64,
) -> Result<(), ServiceError> {
    match u32::try_from(cas) {
        // 0 would set it, whatever it is.
        Ok(cas @ 1..) => services.set_shared_data(key, value, cas),
        _ => Err(ServiceError::CasMismatch),
    }
}

/// Adds to a counter, and appends its value to `out`: 8 bytes.
pub fn increment_counter<S: Services>(
    services: &S,
    name: &[u8],
    by: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), ServiceError> {
    let value = services.increment_counter(name, number(by)?)?;
    out.extend_from_slice(&value.to_le_bytes());
    Ok(())
}

/// Writes a line of a level that is named.
pub fn log<S: Services>(services: &S, level: &[u8], message: &[u8]) -> Result<(), ServiceError> {
    let level = match level {
        b"trace" => LogLevel::Trace,
        b"debug" => LogLevel::Debug,
        b"info" => LogLevel::Info,
        b"warn" => LogLevel::Warn,
        b"error" => LogLevel::Error,
        _ => return Err(ServiceError::BadArgument),
    };
    if services.log_enabled(level) {
        services.log(level, message);
    }
    Ok(())
}
