//! The numbers that WASI's functions answer with.

use crate::memory::OutOfBounds;

#[repr(u32)]
#[derive(Clone, Copy)]
pub(super) enum Errno {
    Success = 0,
    Badf = 8,
    Fault = 21,
    Inval = 28,
    Io = 29,
    Noent = 44,
    Nosys = 52,
    Notsup = 58,
    Notcapable = 76,
}

impl From<OutOfBounds> for Errno {
    fn from(_: OutOfBounds) -> Errno {
        Errno::Fault
    }
}

pub(super) fn code(result: Result<(), Errno>) -> u32 {
    match result {
        Ok(()) => Errno::Success as u32,
        Err(errno) => errno as u32,
    }
}
