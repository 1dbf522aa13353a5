//! A guest of ABI 0.1.0, built with the SDK of that time: header callbacks
//! without an end-of-stream flag, `_start` instead of `_initialize`, and the
//! imports that later versions replaced.

use std::ptr::null_mut;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    // SAFETY: called once, by the host, before anything else.
    unsafe { __wasm_call_ctors() };
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
}

/// The status of reading a request header, which the SDK does not tell.
fn header_status(name: &str) -> u32 {
    let (mut data, mut len) = (null_mut(), 0);
    // SAFETY: the host reads the name and writes to the two variables.
    unsafe { proxy_get_header_map_value(0, name.as_ptr(), name.len(), &mut data, &mut len) }
}

#[derive(Default)]
struct Root {
    value: String,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = self.get_configuration().unwrap_or_default();
        log::info!(
            "on_configure size={size} configuration={} bytes",
            text.len()
        );
        self.value = String::from_utf8_lossy(&text).into_owned();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            value: self.value.clone(),
        }))
    }
}

struct Stream {
    value: String,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize) -> Action {
        log::info!("on_request_headers count={count}");
        // 0.1.0 answers Ok (0) and no value, where later versions answer NotFound.
        log::info!("missing header: status {}", header_status("x-missing"));
        self.set_http_request_header("x-abi-request", Some(&self.value));
        let path = self.get_http_request_header(":path").unwrap_or_default();
        if path.starts_with("/continue") {
            self.clear_http_route_cache();
            self.resume_http_request();
            return Action::Pause;
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, count: usize) -> Action {
        log::info!("on_response_headers count={count}");
        self.add_http_response_header("x-abi-response", &self.value);
        Action::Continue
    }

    fn on_log(&mut self) {
        log::info!("on_log");
    }
}
