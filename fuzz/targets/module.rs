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
    BufferType, ContextId, Engine, Limits, LoadError, MapType, Program, StartError, Ticker, Vm,
    VmConfig, fuzzing,
};
use wasm_smith::{Config, Module};

/// What a guest may call and execute before it is ended, by itself: so it ends at the same place
/// in every run.
const FUEL: u32 = 20_000;

struct Fixture {
    engine: Engine,
    imports: Vec<u8>,
    /// Those that answer the same in every run.
    repeatable: Vec<u8>,
    _ticker: Ticker,
}

// The ticker stays on its thread until the process ends.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let engine = Engine::new().expect("an engine");
    Fixture {
        imports: imports(|_| true),
        repeatable: imports(|name| !name.contains("time") && name != "random_get"),
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

/// The imports of these names, as wasm-smith wants them: a module.
fn imports(wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let functions = ENV.iter().map(|f| ("env", f));
    let wasi = WASI.iter().map(|f| (WASI_MODULES[0], f));
    let imports: String = functions
        .chain(wasi)
        .filter(|(_, f)| wanted(f.0))
        .map(|(module, f)| import(module, f, f.0))
        .collect();
    wat::parse_str(format!("(module {imports})")).expect("imports")
}

/// Some callbacks, allocators and entry points of the ABI's types.
fn exports(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let abi = *u.choose(&["0_1_0", "0_2_0", "0_2_1"])?;
    let pages = u.int_in_range(0..=17)?;
    let mut fields =
        format!("(memory (export \"memory\") {pages}) (func (export \"proxy_abi_version_{abi}\"))");
    let body = "unreachable";
    for (name, params, result) in CALLBACKS {
        // Random answers refuse the start.
        let starts = matches!(name, "vm_start" | "configure");
        if u.ratio(if starts { 1 } else { 3 }, 4)? {
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

/// A module, and whether requests are to have instances of their own.
fn module(data: &[u8]) -> Result<(Vec<u8>, bool)> {
    let mut u = Unstructured::new(data);
    let snapshots = u.arbitrary()?;
    let imports = match snapshots {
        true => &FIXTURE.repeatable,
        false => &FIXTURE.imports,
    };
    let fuel: bool = u.ratio(7, 8)?;
    let config = Config {
        available_imports: Some(imports.clone()),
        exports: Some(exports(&mut u)?),
        // Besides the exported one.
        max_memories: 0,
        max_memory32_bytes: 4 << 20,
        max_tables: 4,
        max_table_elements: 2000,
        max_instructions: 200,
        // A trap ends most of the others at once.
        disallow_traps: u.ratio(2, 3)?,
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
    Ok((module.to_bytes(), snapshots))
}

fuzz::mutator!();

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok((bytes, snapshots)) = module(data) else {
        return Corpus::Reject;
    };
    let engine = &FIXTURE.engine;
    let program = match snapshots {
        true => Program::compile_for_snapshots(engine, &bytes),
        false => Program::compile(engine, &bytes),
    };
    let program = match program {
        Ok(program) => program,
        // Garbage collection's types, without which wasm-smith cannot do; tables that change.
        Err(LoadError::Runtime(error)) => {
            let line = error.to_string();
            one_line(&line);
            let known = line.contains("gc types") || snapshots && line.contains("each request");
            assert!(known, "{line}");
            return Corpus::Reject;
        }
        // It has the ABI's imports and exports, and nothing else.
        Err(error) => panic!("{error}"),
    };
    if let Err(error) = run(&program, snapshots) {
        one_line(&error.to_string());
    }
    Corpus::Keep
});

fn run(program: &Program, snapshots: bool) -> std::result::Result<(), StartError> {
    let engine = &FIXTURE.engine;
    let config = VmConfig {
        limits: limits(),
        ..vm_config()
    };
    let mut vm = Vm::start(engine, program, MockProxy::default(), config)?;
    assert!(vm.memory_bytes() <= limits().memory);
    let root = vm.create_root(plugin_config())?;
    if snapshots {
        let snapshot = vm.snapshot(engine)?;
        // What one request leaves behind, the next one does not see.
        let one = request(snapshot.start(MockProxy::default())?, root);
        let other = request(snapshot.start(MockProxy::default())?, root);
        let timely = |end: &End| end.error.as_ref().is_none_or(|e| !e.contains("cpu_time"));
        if timely(&one) && timely(&other) {
            assert_eq!(one.error, other.error);
            assert!(one.memory == other.memory, "the memories are not the same");
        }
    }
    request(vm, root);
    Ok(())
}

/// What came of a request.
struct End {
    error: Option<String>,
    memory: Vec<u8>,
}

fn request(mut vm: Vm<MockProxy>, root: ContextId) -> End {
    let stream = MockStream::default()
        .map(MapType::RequestHeaders, &[(":path", "/")])
        .map(MapType::ResponseHeaders, &[(":status", "200")])
        .buffer(BufferType::RequestBody, b"the request")
        .buffer(BufferType::ResponseBody, b"body");
    let mut run = || {
        let id = vm.create_stream(root, stream.clone())?;
        vm.on_request_headers(id, 1, false)?;
        vm.on_request_body(id, 11, true)?;
        vm.on_tick(root)?;
        vm.on_response_headers(id, 1, false)?;
        vm.on_response_body(id, 4, true)?;
        vm.finish(id, true)
    };
    let error = run().err().map(|error| error.to_string());
    if let Some(error) = &error {
        one_line(error);
    }
    assert!(vm.memory_bytes() <= limits().memory);
    let memory = fuzzing::memory(&mut vm).to_vec();
    vm.shutdown();
    drop(vm);
    assert_eq!(stream.handles(), 1, "a handle of the stream is left");
    End { error, memory }
}
