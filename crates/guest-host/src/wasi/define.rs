//! All functions of WASI, by name.

use wasm_runtime::wasmtime::{Linker, Result};

use super::errno::Errno;
use super::host::Wasi;
use super::{clocks, descriptors, environment, process};

/// Both names of the same functions.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Defines functions that only answer with an errno.
macro_rules! answer {
    ($linker:ident, $module:ident: $($errno:ident { $($name:literal($($parameter:ty),*))+ })+) => {
        $($($linker.func_wrap($module, $name, |$(_: $parameter),*| Errno::$errno as u32)?;)+)+
    };
}

/// Defines all of it, under both names. A guest imports functions that it never calls, so none is left out.
pub fn define<T: Wasi>(linker: &mut Linker<T>) -> Result<()> {
    for module in MODULES {
        linker
            .func_wrap(module, "args_sizes_get", environment::args_sizes_get::<T>)?
            .func_wrap(module, "environ_get", environment::environ_get::<T>)?
            .func_wrap(
                module,
                "environ_sizes_get",
                environment::environ_sizes_get::<T>,
            )?
            .func_wrap(module, "clock_res_get", clocks::clock_res_get::<T>)?
            .func_wrap(module, "clock_time_get", clocks::clock_time_get::<T>)?
            .func_wrap(module, "fd_fdstat_get", descriptors::fd_fdstat_get::<T>)?
            .func_wrap(module, "fd_seek", descriptors::fd_seek::<T>)?
            .func_wrap(module, "fd_write", descriptors::fd_write::<T>)?
            .func_wrap(module, "poll_oneoff", process::poll_oneoff::<T>)?
            .func_wrap(module, "proc_exit", process::proc_exit)?
            .func_wrap(module, "random_get", process::random_get::<T>)?;
        answer!(linker, module:
            Success {
                "args_get"(u32, u32)
                "fd_advise"(u32, u64, u64, u32)
                "fd_close"(u32)
                "sched_yield"()
            }
            Badf {
                "fd_allocate"(u32, u64, u64)
                "fd_datasync"(u32)
                "fd_fdstat_set_rights"(u32, u64, u64)
                "fd_filestat_get"(u32, u32)
                "fd_filestat_set_size"(u32, u64)
                "fd_filestat_set_times"(u32, u64, u64, u32)
                "fd_pread"(u32, u32, u32, u64, u32)
                // Ends the guest's search for preopened directories.
                "fd_prestat_get"(u32, u32)
                "fd_prestat_dir_name"(u32, u32, u32)
                "fd_pwrite"(u32, u32, u32, u64, u32)
                "fd_readdir"(u32, u32, u32, u64, u32)
                "fd_renumber"(u32, u32)
                "fd_sync"(u32)
                "fd_tell"(u32, u32)
                "proc_raise"(u32)
            }
            Noent {
                "path_open"(u32, u32, u32, u32, u32, u64, u64, u32, u32)
            }
            Nosys {
                "fd_fdstat_set_flags"(u32, u32)
                "fd_read"(u32, u32, u32, u32)
            }
            Notsup {
                "path_create_directory"(u32, u32, u32)
                "path_filestat_get"(u32, u32, u32, u32, u32)
                "path_filestat_set_times"(u32, u32, u32, u32, u64, u64, u32)
                "path_link"(u32, u32, u32, u32, u32, u32, u32)
                "path_readlink"(u32, u32, u32, u32, u32, u32)
                "path_remove_directory"(u32, u32, u32)
                "path_rename"(u32, u32, u32, u32, u32, u32)
                "path_symlink"(u32, u32, u32, u32, u32)
                "path_unlink_file"(u32, u32, u32)
                "sock_accept"(u32, u32, u32)
                "sock_recv"(u32, u32, u32, u32, u32, u32)
                "sock_send"(u32, u32, u32, u32, u32)
                "sock_shutdown"(u32, u32)
            }
        );
    }
    Ok(())
}
