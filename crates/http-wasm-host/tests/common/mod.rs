//! A proxy with one request, and guests written as the bodies of their two handlers.
#![allow(
    dead_code,
    reason = "each test program, and the fuzz target, use some of it"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use http_wasm_host::{
    BodyKind, CallError, Engine, Exchange, HeaderKind, Invalid, LogLevel, Next, Program, Proxy,
    Services, StartError, Vm, VmConfig,
};

/// All imports of a guest.
pub const IMPORTS: &str = r#"
    (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
    (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
    (import "http_handler" "log_enabled" (func $log_enabled (param i32) (result i32)))
    (import "http_handler" "log" (func $log (param i32 i32 i32)))
    (import "http_handler" "get_method" (func $get_method (param i32 i32) (result i32)))
    (import "http_handler" "set_method" (func $set_method (param i32 i32)))
    (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
    (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
    (import "http_handler" "get_protocol_version"
        (func $get_protocol_version (param i32 i32) (result i32)))
    (import "http_handler" "get_source_addr" (func $get_source_addr (param i32 i32) (result i32)))
    (import "http_handler" "get_header_names"
        (func $get_header_names (param i32 i32 i32) (result i64)))
    (import "http_handler" "get_header_values"
        (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
    (import "http_handler" "set_header_value"
        (func $set_header_value (param i32 i32 i32 i32 i32)))
    (import "http_handler" "add_header_value"
        (func $add_header_value (param i32 i32 i32 i32 i32)))
    (import "http_handler" "remove_header" (func $remove_header (param i32 i32 i32)))
    (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
    (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
    (import "http_handler" "get_status_code" (func $get_status_code (result i32)))
    (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
    (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ_sizes_get (param i32 i32) (result i32)))
"#;

/// What guests tell tests with: a number; or text, with dots for NULs. Texts for the guest are from 1024 on, buffers from
/// 4096.
const TELL: &str = r#"
    (func $number (param $value i64)
        (i64.store (i32.const 8) (local.get $value))
        (call $log (i32.const 1) (i32.const 8) (i32.const 8)))
    (func $short (param $value i32) (call $number (i64.extend_i32_u (local.get $value))))
    (func $text (param $ptr i32) (param $len i32)
        (call $log (i32.const 0) (local.get $ptr) (local.get $len)))
    (func $list (param $counted i64)
        (call $number (i64.shr_u (local.get $counted) (i64.const 32)))
        (call $text (i32.const 4096) (i32.wrap_i64 (local.get $counted))))
"#;

/// A guest with two pages of memory, further items, and these bodies of its handlers; the second one has the parameters
/// `$context` and `$failed`.
pub fn guest_with(items: &str, request: &str, response: &str) -> String {
    format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 2)
            {TELL} {items}
            (func (export "handle_request") (result i64) {request})
            (func (export "handle_response") (param $context i32) (param $failed i32) {response}))"#
    )
}

/// One whose requests go on.
pub fn next(items: &str, request: &str, response: &str) -> String {
    guest_with(items, &format!("{request} (i64.const 1)"), response)
}

/// Texts from 1024 on: their definition, and where each is, as arguments.
pub fn texts(all: &[&str]) -> (String, Vec<String>) {
    let mut at = 1024;
    let mut data = String::new();
    let mut places = Vec::new();
    for text in all {
        data.push_str(&format!("(data (i32.const {at}) \"{text}\")"));
        places.push(format!("(i32.const {at}) (i32.const {})", text.len()));
        at += text.len();
    }
    (data, places)
}

type Headers = RefCell<Vec<(String, Vec<u8>)>>;

#[derive(Default)]
pub struct Data {
    pub method: RefCell<Vec<u8>>,
    pub uri: RefCell<Vec<u8>>,
    /// By the ABI's numbers.
    pub headers: [Headers; 4],
    pub bodies: [RefCell<Vec<u8>>; 2],
    pub status: Cell<u32>,
    /// Most bytes that are written.
    pub most: Cell<usize>,
    lines: RefCell<Vec<String>>,
    quiet: Cell<bool>,
}

#[derive(Clone)]
pub struct Mock(pub Rc<Data>);

impl Default for Mock {
    fn default() -> Mock {
        let data = Data::default();
        data.method.replace(b"GET".to_vec());
        data.uri.replace(b"/a%26b?c=d".to_vec());
        data.status.set(200);
        data.most.set(1 << 20);
        Mock(Rc::new(data))
    }
}

/// As the ABI numbers them.
pub fn number(kind: HeaderKind) -> usize {
    match kind {
        HeaderKind::Request => 0,
        HeaderKind::Response => 1,
        HeaderKind::RequestTrailers => 2,
        HeaderKind::ResponseTrailers => 3,
    }
}

impl Mock {
    /// What the guest has told, and forgets it: numbers with `#`.
    pub fn told(&self) -> Vec<String> {
        self.0.lines.take()
    }

    /// No line is written from now on.
    pub fn be_quiet(&self) {
        self.0.quiet.set(true);
    }

    pub fn add(&self, kind: HeaderKind, name: &str, value: &str) {
        let mut headers = self.0.headers[number(kind)].borrow_mut();
        headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    /// All headers of a kind, `name: value`.
    pub fn headers(&self, kind: HeaderKind) -> Vec<String> {
        let headers = self.0.headers[number(kind)].borrow();
        let line = |(name, value): &(String, Vec<u8>)| {
            format!("{name}: {}", String::from_utf8_lossy(value))
        };
        headers.iter().map(line).collect()
    }

    pub fn body(&self, kind: BodyKind, bytes: &[u8]) {
        self.0.bodies[kind as usize].replace(bytes.to_vec());
    }

    fn tell(&self, level: LogLevel, message: &[u8]) {
        assert!(!self.0.quiet.get(), "asked before");
        let line = match <[u8; 8]>::try_from(message) {
            Ok(number) if level == LogLevel::Warn => format!("#{}", i64::from_le_bytes(number)),
            _ => String::from_utf8_lossy(message).replace('\0', "."),
        };
        self.0.lines.borrow_mut().push(line);
    }
}

impl Services for Mock {
    fn log_enabled(&self, level: LogLevel) -> bool {
        !self.0.quiet.get() && level != LogLevel::Debug
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        self.tell(level, message);
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::Info
    }
}

impl Proxy for Mock {
    type Exchange = Mock;
}

impl Exchange for Mock {
    fn log_enabled(&self, level: LogLevel) -> bool {
        Services::log_enabled(self, level)
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        self.tell(level, message);
    }

    fn method(&self, found: &mut dyn FnMut(&[u8])) {
        found(&self.0.method.borrow());
    }

    fn set_method(&self, method: &[u8]) -> Result<(), Invalid> {
        match method.iter().all(u8::is_ascii_uppercase) {
            true => {
                self.0.method.replace(method.to_vec());
                Ok(())
            }
            false => Err(Invalid),
        }
    }

    fn uri(&self, found: &mut dyn FnMut(&[u8])) {
        found(&self.0.uri.borrow());
    }

    fn set_uri(&self, uri: &[u8]) -> Result<(), Invalid> {
        match uri.first() {
            Some(b'/') => {
                self.0.uri.replace(uri.to_vec());
                Ok(())
            }
            _ => Err(Invalid),
        }
    }

    fn protocol_version(&self, found: &mut dyn FnMut(&[u8])) {
        found(b"HTTP/2.0");
    }

    fn source_addr(&self, found: &mut dyn FnMut(&[u8])) {
        found(b"127.0.0.1:1234");
    }

    fn names(&self, kind: HeaderKind, visit: &mut dyn FnMut(&[u8])) {
        for (name, _) in self.0.headers[number(kind)].borrow().iter() {
            visit(name.to_ascii_lowercase().as_bytes());
        }
    }

    fn values(&self, kind: HeaderKind, name: &[u8], visit: &mut dyn FnMut(&[u8])) {
        for (known, value) in self.0.headers[number(kind)].borrow().iter() {
            if known.as_bytes().eq_ignore_ascii_case(name) {
                visit(value);
            }
        }
    }

    fn set_header(&self, kind: HeaderKind, name: &[u8], value: &[u8]) {
        self.remove_header(kind, name);
        self.add_header(kind, name, value);
    }

    fn add_header(&self, kind: HeaderKind, name: &[u8], value: &[u8]) {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut headers = self.0.headers[number(kind)].borrow_mut();
        headers.push((name, value.to_vec()));
    }

    fn remove_header(&self, kind: HeaderKind, name: &[u8]) {
        let mut headers = self.0.headers[number(kind)].borrow_mut();
        headers.retain(|(known, _)| !known.as_bytes().eq_ignore_ascii_case(name));
    }

    fn status(&self) -> u32 {
        self.0.status.get()
    }

    fn set_status(&self, status: u32) {
        assert!((200..=999).contains(&status), "checked before");
        self.0.status.set(status);
    }

    fn read_body(
        &self,
        kind: BodyKind,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<usize, Invalid> {
        let body = self.0.bodies[kind as usize].borrow();
        let rest = body.get(offset..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn takes_body(&self, _: BodyKind, bytes: usize) -> bool {
        bytes <= self.0.most.get()
    }

    fn takes_header(&self, bytes: usize) -> bool {
        bytes <= self.0.most.get()
    }
}

/// A guest, and what it talks to.
pub struct Host {
    pub vm: Vm<Mock>,
    pub mock: Mock,
}

pub fn try_start(wat: &str, mock: &Mock, config: VmConfig) -> Result<Vm<Mock>, StartError> {
    let engine = Engine::new().expect("an engine");
    let program =
        Program::compile(&engine, wat.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{wat}"));
    Vm::start(&engine, &program, mock.clone(), Rc::new(config))
}

impl Host {
    pub fn start(wat: &str) -> Host {
        Host::with(wat, VmConfig::default())
    }

    pub fn with(wat: &str, config: VmConfig) -> Host {
        let mock = Mock::default();
        let vm = try_start(wat, &mock, config).unwrap_or_else(|e| panic!("{e}\n{wat}"));
        Host { vm, mock }
    }

    /// Has the guest see the request. Answers what it has told.
    pub fn request(&mut self) -> Vec<String> {
        self.try_request().unwrap_or_else(|error| panic!("{error}"));
        self.mock.told()
    }

    pub fn try_request(&mut self) -> Result<Next, CallError> {
        self.vm.handle_request(self.mock.clone())
    }

    /// The same for the response.
    pub fn response(&mut self) -> Vec<String> {
        let seen = self.vm.handle_response(false);
        seen.unwrap_or_else(|error| panic!("{error}"));
        self.mock.told()
    }

    /// What the request traps with, without the guest's frames.
    pub fn request_trap(&mut self) -> String {
        let result = self.try_request().map(drop);
        self.trap(result)
    }

    pub fn response_trap(&mut self) -> String {
        let result = self.vm.handle_response(false);
        self.trap(result)
    }

    fn trap(&self, result: Result<(), CallError>) -> String {
        match result {
            Err(CallError::Trap { reason, .. }) => {
                assert!(self.vm.poisoned());
                let end = reason.find(" in ").unwrap_or(reason.len());
                reason[..end].to_owned()
            }
            other => panic!("{other:?}"),
        }
    }
}
