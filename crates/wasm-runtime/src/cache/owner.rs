//! Who can change a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Can only its owner write to it, who is root or this process's user? The error says what it is.
pub fn owner(metadata: &Metadata) -> Result<(), &'static str> {
    if metadata.uid() != 0 && metadata.uid() != user() {
        return Err("belongs to another user");
    }
    match metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("can be written by others than its owner"),
    }
}

/// The user whose rights this process has.
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}
