//! The least that a filter can be: two callbacks that do nothing, and no SDK. What it costs is what the host costs.

#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Answers Continue.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_context: u32, _count: u32, _end_of_stream: u32) -> u32 {
    0
}

/// Answers Continue.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(
    _context: u32,
    _count: u32,
    _end_of_stream: u32,
) -> u32 {
    0
}
