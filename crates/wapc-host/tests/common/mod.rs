//! A proxy that records what a guest does to it, and guests written as the body of their one callback.
#![allow(
    dead_code,
    reason = "each test program, and the fuzz target, use some of it"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use wapc_host::{
    CallError, Engine, LogLevel, Plugin, PluginConfig, Program, ServiceError, Services, StartError,
};

/// Where guests have the operation.
pub const OPERATION: usize = 1024;
/// Where they have the message.
pub const MESSAGE: usize = 4096;

/// All imports of a guest.
pub const IMPORTS: &str = r#"
    (import "wapc" "__guest_request" (func $guest_request (param i32 i32)))
    (import "wapc" "__guest_response" (func $guest_response (param i32 i32)))
    (import "wapc" "__guest_error" (func $guest_error (param i32 i32)))
    (import "wapc" "__host_call"
        (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
    (import "wapc" "__host_response" (func $host_response (param i32)))
    (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
    (import "wapc" "__host_error" (func $host_error (param i32)))
    (import "wapc" "__console_log" (func $console_log (param i32 i32)))
    (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ_sizes_get (param i32 i32) (result i32)))
"#;

/// A guest with two pages of memory. `items` are further items of the module; `body` is that of `__guest_call`, with the
/// lengths `$operation` and `$message`.
pub fn guest_with(items: &str, body: &str) -> String {
    format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 2)
            {items}
            (func (export "__guest_call") (param $operation i32) (param $message i32) (result i32)
                {body}))"#
    )
}

pub fn guest(body: &str) -> String {
    guest_with("", body)
}

/// The body of a guest that answers with the message.
pub const ECHO: &str = "(call $guest_request (i32.const 1024) (i32.const 4096))
    (call $guest_response (i32.const 4096) (local.get $message))
    (i32.const 1)";

#[derive(Clone, Default)]
pub struct Mock(Rc<Data>);

/// Value and compare-and-swap number.
type Shared = (Vec<u8>, u32);

#[derive(Default)]
struct Data {
    quiet: Cell<bool>,
    logs: RefCell<Vec<(LogLevel, String)>>,
    shared: RefCell<HashMap<Vec<u8>, Shared>>,
    queue: RefCell<Vec<Vec<u8>>>,
    counters: RefCell<HashMap<Vec<u8>, u64>>,
    variables: RefCell<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Mock {
    pub fn take_logs(&self) -> Vec<(LogLevel, String)> {
        self.0.logs.take()
    }

    pub fn lines(&self) -> Vec<String> {
        self.take_logs().into_iter().map(|(_, line)| line).collect()
    }

    /// No line is written from now on.
    pub fn be_quiet(&self) {
        self.0.quiet.set(true);
    }

    pub fn queued(&self) -> Vec<Vec<u8>> {
        self.0.queue.borrow().clone()
    }

    pub fn set(&self, name: &[u8], value: &[u8]) {
        let mut variables = self.0.variables.borrow_mut();
        variables.insert(name.to_vec(), value.to_vec());
    }

    pub fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.0.variables.borrow().get(name).cloned()
    }
}

impl Services for Mock {
    fn log_enabled(&self, _: LogLevel) -> bool {
        !self.0.quiet.get()
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        assert!(!self.0.quiet.get(), "asked before");
        let line = String::from_utf8_lossy(message).into_owned();
        self.0.logs.borrow_mut().push((level, line));
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::Trace
    }

    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, ServiceError> {
        let shared = self.0.shared.borrow();
        let (value, cas) = shared.get(key).ok_or(ServiceError::NotFound)?;
        out.extend_from_slice(value);
        Ok(*cas)
    }

    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), ServiceError> {
        if value == b"too much" {
            return Err(ServiceError::NoRoom);
        }
        let mut shared = self.0.shared.borrow_mut();
        let (old, number) = shared.entry(key.to_vec()).or_default();
        if cas != 0 && cas != *number {
            return Err(ServiceError::CasMismatch);
        }
        *old = value.to_vec();
        *number += 1;
        Ok(())
    }

    fn enqueue(&self, queue: &[u8], message: &[u8]) -> Result<(), ServiceError> {
        if queue != b"jobs" {
            return Err(ServiceError::NotFound);
        }
        self.0.queue.borrow_mut().push(message.to_vec());
        Ok(())
    }

    fn increment_counter(&self, name: &[u8], by: u64) -> Result<u64, ServiceError> {
        let mut counters = self.0.counters.borrow_mut();
        let counter = counters.entry(name.to_vec()).or_default();
        *counter += by;
        Ok(*counter)
    }

    fn variable(&self, name: &[u8], out: &mut Vec<u8>) -> Result<(), ServiceError> {
        let value = self.get(name).ok_or(ServiceError::NotFound)?;
        out.extend_from_slice(&value);
        Ok(())
    }

    fn set_variable(&self, name: &[u8], value: &[u8]) -> Result<(), ServiceError> {
        self.set(name, value);
        Ok(())
    }
}

/// A plugin, and what it talks to.
pub struct Host {
    pub plugin: Plugin<Mock>,
    pub mock: Mock,
}

pub fn try_start(wat: &str, mock: &Mock, config: PluginConfig) -> Result<Plugin<Mock>, StartError> {
    let engine = Engine::new().expect("an engine");
    let program =
        Program::compile(&engine, wat.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{wat}"));
    Plugin::start(&engine, &program, mock.clone(), Rc::new(config))
}

impl Host {
    pub fn start(wat: &str) -> Host {
        Host::with(wat, PluginConfig::default())
    }

    pub fn with(wat: &str, config: PluginConfig) -> Host {
        let mock = Mock::default();
        let plugin = try_start(wat, &mock, config).unwrap_or_else(|e| panic!("{e}\n{wat}"));
        Host { plugin, mock }
    }

    pub fn call(&mut self, operation: &str, message: &[u8]) -> Result<Vec<u8>, CallError> {
        let response = self.plugin.call(operation.as_bytes(), message.to_vec());
        response.map(<[u8]>::to_vec)
    }

    /// What a call traps with.
    pub fn trap(&mut self) -> String {
        match self.call("", b"") {
            Err(CallError::Trap(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}
