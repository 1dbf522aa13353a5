//! Random modules that are valid, from loading to the end of a request.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use fuzz::common::imports::{ENV, WASI, WASI_MODULES, import};
use fuzz::common::{MockProxy, MockStream, plugin_config, vm_config};
use fuzz::guest::CALLBACKS;
use fuzz::run::one_line;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use proxy_wasm_host::{
    BufferType, Engine, Limits, LoadError, MapType, Program, StartError, Ticker, Vm, VmConfig,
};
use wasm_smith::{Config, Module};

/// What a guest may call and execute before it is ended, by itself: so it ends at the same place
/// in every run.
const FUEL: u32 = 20_000;

struct Fixture {
    engine: Engine,
    imports: Vec<u8>,
    _ticker: Ticker,
}

// The ticker stays on its thread until the process ends.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let engine = Engine::new().expect("an engine");
    let functions = ENV.iter().map(|f| import("env", f, f.0));
    let wasi = WASI.iter().map(|f| import(WASI_MODULES[0], f, f.0));
    let imports: String = functions.chain(wasi).collect();
    Fixture {
        imports: wat::parse_str(format!("(module {imports})")).expect("imports"),
        _ticker: engine.start_ticker(limits().cpu_time).expect("a ticker"),
        engine,
    }
});

fn limits() -> Limits {
    Limits {
        memory: 1 << 20,
        cpu_time: Duration::from_millis(10),
        table: 1000,
        ..Limits::default()
    }
}

/// Some callbacks, allocators and entry points of the ABI's types.
fn exports(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let abi = *u.choose(&["0_1_0", "0_2_0", "0_2_1"])?;
    let mut fields =
        format!("(memory (export \"memory\") 1) (func (export \"proxy_abi_version_{abi}\"))");
    let body = "unreachable";
    for (name, params, result) in CALLBACKS {
        if u.ratio(3, 4)? {
            let params = "i32 ".repeat(params);
            let result = if result { "(result i32)" } else { "" };
            fields +=
                &format!("(func (export \"proxy_on_{name}\") (param {params}) {result} {body})");
        }
    }
    for (name, ty) in [
        ("_initialize", ""),
        ("_start", ""),
        ("main", "(param i32 i32) (result i32)"),
        ("proxy_on_memory_allocate", "(param i32) (result i32)"),
        ("malloc", "(param i32) (result i32)"),
    ] {
        if u.arbitrary()? {
            fields += &format!("(func (export \"{name}\") {ty} {body})");
        }
    }
    Ok(wat::parse_str(format!("(module {fields})")).expect("exports"))
}

fn module(data: &[u8]) -> Result<Vec<u8>> {
    let mut u = Unstructured::new(data);
    let fuel: bool = u.ratio(7, 8)?;
    let config = Config {
        available_imports: Some(FIXTURE.imports.clone()),
        exports: Some(exports(&mut u)?),
        max_memories: 1,
        max_memory32_bytes: 4 << 20,
        max_tables: 4,
        max_table_elements: 2000,
        max_instructions: 200,
        // What the host has off.
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        wide_arithmetic_enabled: false,
        compact_imports_enabled: false,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut u)?;
    if fuel {
        // Not every module takes it; the limit of time is there as well.
        let _ = module.ensure_termination(FUEL);
    }
    Ok(module.to_bytes())
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(bytes) = module(data) else {
        return Corpus::Reject;
    };
    let program = match Program::compile(&FIXTURE.engine, &bytes) {
        Ok(program) => program,
        // Some of its types are garbage collection's, which wasm-smith cannot do without.
        Err(LoadError::Runtime(error)) if error.to_string().contains("gc types") => {
            return Corpus::Reject;
        }
        // It has the ABI's imports and exports, and nothing else.
        Err(error) => panic!("{error}"),
    };
    if let Err(error) = request(&program) {
        one_line(&error.to_string());
    }
    Corpus::Keep
});

fn request(program: &Program) -> std::result::Result<(), StartError> {
    let config = VmConfig {
        limits: limits(),
        ..vm_config()
    };
    let proxy = MockProxy::default();
    let mut vm = Vm::start(&FIXTURE.engine, program, proxy.clone(), config)?;
    assert!(vm.memory_bytes() <= limits().memory);
    let root = vm.create_root(plugin_config())?;
    let stream = MockStream::default()
        .map(MapType::RequestHeaders, &[(":path", "/")])
        .map(MapType::ResponseHeaders, &[(":status", "200")])
        .buffer(BufferType::RequestBody, b"the request")
        .buffer(BufferType::ResponseBody, b"body");
    let id = vm.create_stream(root, stream.clone())?;
    let mut run = || {
        vm.on_request_headers(id, 1, false)?;
        vm.on_request_body(id, 11, true)?;
        vm.on_tick(root)?;
        vm.on_response_headers(id, 1, false)?;
        vm.on_response_body(id, 4, true)?;
        vm.finish(id, true)
    };
    let result = run();
    assert!(vm.memory_bytes() <= limits().memory);
    vm.shutdown();
    drop(vm);
    assert_eq!(stream.handles(), 1, "a handle of the stream is left");
    Ok(result?)
}
