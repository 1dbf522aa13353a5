//! Every import that a host must define, with its type: `i` = i32, `L` = i64.

pub const ENV: &[(&str, &str, &str)] = &[
    ("proxy_log", "iii", "i"),
    ("proxy_get_log_level", "i", "i"),
    ("proxy_get_current_time_nanoseconds", "i", "i"),
    ("proxy_set_tick_period_milliseconds", "i", "i"),
    ("proxy_get_buffer_bytes", "iiiii", "i"),
    ("proxy_get_buffer_status", "iii", "i"),
    ("proxy_set_buffer_bytes", "iiiii", "i"),
    ("proxy_get_header_map_size", "ii", "i"),
    ("proxy_get_header_map_pairs", "iii", "i"),
    ("proxy_set_header_map_pairs", "iii", "i"),
    ("proxy_get_header_map_value", "iiiii", "i"),
    ("proxy_add_header_map_value", "iiiii", "i"),
    ("proxy_replace_header_map_value", "iiiii", "i"),
    ("proxy_remove_header_map_value", "iii", "i"),
    ("proxy_continue_stream", "i", "i"),
    ("proxy_close_stream", "i", "i"),
    ("proxy_continue_request", "", "i"),
    ("proxy_continue_response", "", "i"),
    ("proxy_clear_route_cache", "", "i"),
    ("proxy_get_configuration", "ii", "i"),
    ("proxy_inject_encoded_data_to_filter_chain", "iii", "i"),
    ("proxy_send_local_response", "iiiiiiii", "i"),
    ("proxy_http_call", "iiiiiiiiii", "i"),
    ("proxy_grpc_call", "iiiiiiiiiiii", "i"),
    ("proxy_grpc_stream", "iiiiiiiii", "i"),
    ("proxy_grpc_send", "iiii", "i"),
    ("proxy_grpc_cancel", "i", "i"),
    ("proxy_grpc_close", "i", "i"),
    ("proxy_redis_init", "iiiiiii", "i"),
    ("proxy_redis_call", "iiiii", "i"),
    ("proxy_get_status", "iii", "i"),
    ("proxy_get_shared_data", "iiiii", "i"),
    ("proxy_set_shared_data", "iiiii", "i"),
    ("proxy_register_shared_queue", "iii", "i"),
    ("proxy_resolve_shared_queue", "iiiii", "i"),
    ("proxy_enqueue_shared_queue", "iii", "i"),
    ("proxy_dequeue_shared_queue", "iii", "i"),
    ("proxy_define_metric", "iiii", "i"),
    ("proxy_record_metric", "iL", "i"),
    ("proxy_increment_metric", "iL", "i"),
    ("proxy_get_metric", "ii", "i"),
    ("proxy_get_property", "iiii", "i"),
    ("proxy_set_property", "iiii", "i"),
    ("proxy_call_foreign_function", "iiiiii", "i"),
    ("proxy_set_effective_context", "i", "i"),
    ("proxy_done", "", "i"),
    ("abort", "iiii", ""),
    ("emscripten_notify_memory_growth", "i", ""),
    ("pthread_equal", "ii", "i"),
];

/// The functions of `wasi_snapshot_preview1.witx`, all of them.
pub const WASI: &[(&str, &str, &str)] = &[
    ("args_get", "ii", "i"),
    ("args_sizes_get", "ii", "i"),
    ("environ_get", "ii", "i"),
    ("environ_sizes_get", "ii", "i"),
    ("clock_res_get", "ii", "i"),
    ("clock_time_get", "iLi", "i"),
    ("fd_advise", "iLLi", "i"),
    ("fd_allocate", "iLL", "i"),
    ("fd_close", "i", "i"),
    ("fd_datasync", "i", "i"),
    ("fd_fdstat_get", "ii", "i"),
    ("fd_fdstat_set_flags", "ii", "i"),
    ("fd_fdstat_set_rights", "iLL", "i"),
    ("fd_filestat_get", "ii", "i"),
    ("fd_filestat_set_size", "iL", "i"),
    ("fd_filestat_set_times", "iLLi", "i"),
    ("fd_pread", "iiiLi", "i"),
    ("fd_prestat_get", "ii", "i"),
    ("fd_prestat_dir_name", "iii", "i"),
    ("fd_pwrite", "iiiLi", "i"),
    ("fd_read", "iiii", "i"),
    ("fd_readdir", "iiiLi", "i"),
    ("fd_renumber", "ii", "i"),
    ("fd_seek", "iLii", "i"),
    ("fd_sync", "i", "i"),
    ("fd_tell", "ii", "i"),
    ("fd_write", "iiii", "i"),
    ("path_create_directory", "iii", "i"),
    ("path_filestat_get", "iiiii", "i"),
    ("path_filestat_set_times", "iiiiLLi", "i"),
    ("path_link", "iiiiiii", "i"),
    ("path_open", "iiiiiLLii", "i"),
    ("path_readlink", "iiiiii", "i"),
    ("path_remove_directory", "iii", "i"),
    ("path_rename", "iiiiii", "i"),
    ("path_symlink", "iiiii", "i"),
    ("path_unlink_file", "iii", "i"),
    ("poll_oneoff", "iiii", "i"),
    ("proc_exit", "i", ""),
    ("proc_raise", "i", "i"),
    ("sched_yield", "", "i"),
    ("random_get", "ii", "i"),
    ("sock_accept", "iii", "i"),
    ("sock_recv", "iiiiii", "i"),
    ("sock_send", "iiiii", "i"),
    ("sock_shutdown", "ii", "i"),
];

pub const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// `(import "env" "proxy_log" (func $proxy_log (param i32 i32 i32) (result i32)))`
pub fn import(module: &str, (name, params, result): &(&str, &str, &str), id: &str) -> String {
    let types = |list: &str| {
        list.chars()
            .map(|c| if c == 'L' { " i64" } else { " i32" })
            .collect::<String>()
    };
    format!(
        "(import \"{module}\" \"{name}\" (func ${id} (param{}) (result{})))\n",
        types(params),
        types(result)
    )
}

/// The imports of all guests of the tests, which call them by their names: `$proxy_log`,
/// `$fd_write`.
pub fn all() -> String {
    let env = ENV.iter().map(|f| import("env", f, f.0));
    let wasi = WASI.iter().map(|f| import(WASI_MODULES[0], f, f.0));
    env.chain(wasi).collect()
}
