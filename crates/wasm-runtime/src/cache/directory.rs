//! The directory of a cache: who may write to it, and what is removed from it.

use std::fmt::Write;
use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::entry;
use super::owner::owner;

/// What is not used for so long is removed.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// A file that nobody has completed for so long is a dead process's.
const INCOMPLETE: Duration = Duration::from_secs(24 * 3600);

const SUFFIX: &str = ".cwasm";

/// Makes the directory unless it is there, and checks that its files can be trusted, and be written.
pub fn open(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(format!("cannot make the directory \"{shown}\": {error}"));
        }
        _ => {}
    }
    let metadata = fs::metadata(path)
        .map_err(|error| format!("cannot open the directory \"{shown}\": {error}"))?;
    if !metadata.is_dir() {
        return Err(format!("\"{shown}\" is not a directory"));
    }
    owner(&metadata).map_err(|reason| {
        format!("the directory \"{shown}\" {reason}, but what is in it is run: it must belong to root or to the user that starts nginx, with mode 0700 or 0755")
    })?;
    let probe = entry::temporary(&path.join(name(&[0; 32], &[0; 32])));
    match entry::create(&probe) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ) =>
        {
            Err(format!(
                "cannot write to the directory \"{shown}\": {error}"
            ))
        }
        _ => {
            // It may not be there.
            let _ = fs::remove_file(&probe);
            Ok(())
        }
    }
}

/// The name of a file: the module's hash and part of the version's, so that several versions have files side by side.
pub fn name(sha256: &[u8; 32], version: &[u8; 32]) -> String {
    let mut name = String::with_capacity(64 + 1 + 32 + SUFFIX.len());
    let hex = |name: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
    };
    hex(&mut name, sha256);
    name.push('-');
    hex(&mut name, &version[..16]);
    name.push_str(SUFFIX);
    name
}

/// How long a file of this name is kept since it was last used; `None`: it is none of a cache's.
fn kept(name: &str) -> Option<Duration> {
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (stem, rest) = name.split_once(SUFFIX)?;
    let (sha256, version) = stem.split_once('-')?;
    if !hex(sha256, 64) || !hex(version, 32) {
        return None;
    }
    if rest.is_empty() {
        return Some(UNUSED);
    }
    let numbers = rest.strip_prefix('.')?.strip_suffix(entry::TEMPORARY)?;
    let digits = |b: u8| b.is_ascii_digit() || b == b'-';
    numbers.bytes().all(digits).then_some(INCOMPLETE)
}

/// Removes what has not been used for long. Other processes may do the same.
pub fn clean(path: &Path) {
    let now = SystemTime::now();
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(kept) = name.to_str().and_then(kept) else {
            continue;
        };
        let metadata = entry.metadata();
        let used = metadata
            .ok()
            .filter(Metadata::is_file)
            .and_then(|m| m.modified().ok());
        if used.is_some_and(|used| now.duration_since(used).is_ok_and(|age| age > kept)) {
            // Another process may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_a_cache_are_its_own() {
        let name = name(&[0xab; 32], &[0x01; 32]);
        assert_eq!(name.len(), 64 + 1 + 32 + 6);
        assert_eq!(kept(&name), Some(UNUSED));
        assert_eq!(kept(&format!("{name}.12-3.tmp")), Some(INCOMPLETE));
        for other in [
            "a.cwasm".to_owned(),
            format!("x{name}"),
            format!("{name}.bak"),
            format!("{name}.x.tmp"),
            name.replace("ab", "AB"),
            name.replace(".cwasm", ""),
            "probe.1-2.tmp".to_owned(),
        ] {
            assert_eq!(kept(&other), None, "{other}");
        }
    }
}
