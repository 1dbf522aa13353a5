//! The certificates that the system trusts: OpenSSL's default file, and its directory, which OpenSSL reads when it looks
//! for a certificate.
//!
//! To parse the file takes tens of milliseconds, and what comes of it some megabytes. So it is done in the master, once,
//! and workers and later configurations have the same memory; a file that has changed is read again.

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use ngx::ffi::{
    X509_STORE, X509_STORE_free, X509_STORE_new, X509_STORE_set_default_paths, X509_STORE_up_ref,
    X509_get_default_cert_dir, X509_get_default_cert_dir_env, X509_get_default_cert_file,
    X509_get_default_cert_file_env, ngx_test_config,
};

/// A reference to a store of OpenSSL's.
struct Store(*mut X509_STORE);

// SAFETY: OpenSSL's reference counts are atomic.
unsafe impl Send for Store {}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: this is one of its references.
        unsafe { X509_STORE_free(self.0) };
    }
}

/// Where a store has come from.
#[derive(PartialEq)]
struct Source {
    file: OsString,
    directory: OsString,
    /// The file's device, inode, time of change and size.
    state: Option<(u64, u64, i64, i64, u64)>,
}

/// The last store that was made.
static KEPT: Mutex<Option<(Source, Store)>> = Mutex::new(None);

/// A new reference to the store of the system's certificates. `None` in a process that only checks the configuration:
/// OpenSSL takes any file, or none, for a mistake, so there is nothing to check. The error is the function that failed.
pub fn of_system() -> Result<Option<*mut X509_STORE>, &'static str> {
    // SAFETY: nginx's own, of this thread.
    if unsafe { ngx_test_config } != 0 {
        return Ok(None);
    }
    let source = Source::current();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let store = match &*kept {
        Some((known, store)) if *known == source => store.0,
        _ => {
            let store = load()?;
            let made = store.0;
            *kept = Some((source, store));
            made
        }
    };
    // SAFETY: the store is kept, for `kept` is locked.
    match unsafe { X509_STORE_up_ref(store) } {
        1 => Ok(Some(store)),
        _ => Err("X509_STORE_up_ref"),
    }
}

fn load() -> Result<Store, &'static str> {
    // SAFETY: a new store, which is this function's.
    unsafe {
        let store = X509_STORE_new();
        if store.is_null() {
            return Err("X509_STORE_new");
        }
        let store = Store(store);
        match X509_STORE_set_default_paths(store.0) {
            1 => Ok(store),
            _ => Err("X509_STORE_set_default_paths"),
        }
    }
}

impl Source {
    /// What OpenSSL would read now.
    fn current() -> Source {
        // SAFETY: OpenSSL's texts are constant.
        let (file, directory) = unsafe {
            (
                path(
                    X509_get_default_cert_file_env(),
                    X509_get_default_cert_file(),
                ),
                path(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()),
            )
        };
        let state = std::fs::metadata(&file).ok().map(|file| {
            let changed = (file.ctime(), file.ctime_nsec());
            (file.dev(), file.ino(), changed.0, changed.1, file.size())
        });
        Source {
            file,
            directory,
            state,
        }
    }
}

/// The value of a variable of the environment, or the default.
///
/// # Safety
/// Both are texts, constant and with a NUL at the end.
unsafe fn path(variable: *const c_char, default: *const c_char) -> OsString {
    // SAFETY: both are texts, constant and with a NUL at the end.
    let [variable, default] = unsafe {
        [variable, default].map(|text| OsStr::from_bytes(CStr::from_ptr(text).to_bytes()))
    };
    std::env::var_os(variable).unwrap_or_else(|| default.to_owned())
}
