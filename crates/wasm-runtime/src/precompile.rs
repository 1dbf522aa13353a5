//! WebAssembly into machine code, on all processors that this process may use.
//!
//! The compiler has a process of its own for that, since threads in this one would not survive nginx's fork into workers;
//! and what the compiler has taken of memory is gone afterwards.

use std::fs::File;
use std::io::Write;
use std::thread;

use wasmparser::Parser;

use crate::artifact::{CODE, MemoryFile};
use crate::child::{self, Failed};
use crate::engine::Engine;
use crate::error::{Error, one_line};
use crate::settings::parallel;

/// Bytes of a module that is compiled in less time, some ten milliseconds, than a process is worth.
const SMALL: usize = 32 << 10;

/// Bytes of a thread's stack: as many as the main thread has.
const STACK: usize = 8 << 20;

impl Engine {
    /// The code of a valid module or component in the binary format, in a sealed memory file. An artifact of it loads in
    /// all engines.
    pub(crate) fn precompile(&self, binary: &[u8]) -> Result<File, Error> {
        let code = MemoryFile::new(CODE).map_err(|e| Error::Artifact(e.to_string()))?;
        if binary.len() < SMALL {
            self.precompile_here(binary, code.file())?;
        } else {
            match precompile_in_child(self.wasmtime(), binary, code.file()) {
                Ok(compiled) => compiled?,
                Err(Failed::Died(how)) => return Err(Error::Compile(how)),
                Err(Failed::Start(error)) => {
                    self.note(format!(
                        "compiled on one processor: there is no process for it ({error})"
                    ));
                    self.precompile_here(binary, code.file())?;
                }
            }
        }
        code.seal().map_err(|e| Error::Artifact(e.to_string()))
    }

    /// Compiles in this process, without a thread.
    fn precompile_here(&self, binary: &[u8], to: &File) -> Result<(), Error> {
        let code = compile(self.wasmtime(), binary).map_err(Error::Compile)?;
        store(&code, to).map_err(Error::Artifact)
    }
}

fn precompile_in_child(
    engine: &wasmtime::Engine,
    binary: &[u8],
    to: &File,
) -> Result<Result<(), Error>, Failed> {
    // Made before the fork, as it takes locks of Wasmtime's.
    let threaded = wasmtime::Engine::new(&parallel());
    let work = || {
        let code = match &threaded {
            Ok(threaded) => compile_with_threads(threaded, engine, binary),
            Err(_) => compile(engine, binary),
        };
        store(&code?, to)
    };
    let compiled = child::run(work)?;
    Ok(compiled.map_err(Error::Compile))
}

/// Compiles with as many threads as may run at once; if there can be none, without.
fn compile_with_threads(
    threaded: &wasmtime::Engine,
    single: &wasmtime::Engine,
    binary: &[u8],
) -> Result<Vec<u8>, String> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(processors)
        .stack_size(STACK);
    if processors > 1
        && let Ok(threads) = threads.build()
    {
        threads.install(|| compile(threaded, binary))
    } else {
        compile(single, binary)
    }
}

fn compile(engine: &wasmtime::Engine, binary: &[u8]) -> Result<Vec<u8>, String> {
    let code = match Parser::is_component(binary) {
        true => engine.precompile_component(binary),
        false => engine.precompile_module(binary),
    };
    code.map_err(|error| one_line(&error))
}

fn store(code: &[u8], mut to: &File) -> Result<(), String> {
    to.write_all(code)
        .map_err(|e| format!("writing {} bytes to memory: {e}", code.len()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// So many functions that each thread has some of them.
    fn module(functions: usize) -> Vec<u8> {
        let mut text = String::from("(module (memory 1)");
        for number in 0..functions {
            text.push_str(&format!(
                "(func (export \"{number}\") (param i32) (result i32) (i32.load offset={number} (local.get 0)))"
            ));
        }
        text.push(')');
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn a_process_with_threads_makes_the_same_code() {
        let engine = Engine::new().unwrap();
        let binary = module(1000);
        let files = ["here", "child", "threads"].map(|name| MemoryFile::new(name).unwrap());
        engine.precompile_here(&binary, files[0].file()).unwrap();
        precompile_in_child(engine.wasmtime(), &binary, files[1].file())
            .unwrap()
            .unwrap();
        // With more than this machine may have.
        let threaded = wasmtime::Engine::new(&parallel()).unwrap();
        let compiled = child::run(|| {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(4);
            let threads = threads.build().map_err(|e| e.to_string())?;
            store(
                &threads.install(|| compile(&threaded, &binary))?,
                files[2].file(),
            )
        });
        compiled.unwrap().unwrap();
        let [here, others @ ..] = files.map(|file| bytes(file.file()));
        for other in others {
            assert!(here == other, "{} bytes, and {}", here.len(), other.len());
        }
        assert_eq!(engine.take_notes(), Vec::<String>::new());
    }

    #[test]
    fn components_are_compiled_as_well() {
        let engine = Engine::new().unwrap();
        let component = wat::parse_str("(component (core module (func)))").unwrap();
        let code = bytes(&engine.precompile(&component).unwrap());
        let module = bytes(&engine.precompile(&module(1)).unwrap());
        let kind = |code: &[u8]| wasmtime::Engine::detect_precompiled(code);
        assert_eq!(kind(&code), Some(wasmtime::Precompiled::Component));
        assert_eq!(kind(&module), Some(wasmtime::Precompiled::Module));
    }

    #[test]
    fn what_cannot_be_compiled_is_an_error() {
        let engine = Engine::new().unwrap();
        let mut binary = module(10);
        let end = binary.len();
        // The last function does not end.
        binary[end - 1] = 0;
        let file = MemoryFile::new("test").unwrap();
        let here = engine.precompile_here(&binary, file.file()).unwrap_err();
        let child = precompile_in_child(engine.wasmtime(), &binary, file.file());
        assert_eq!(child.unwrap().unwrap_err(), here);
        assert!(
            here.to_string().starts_with("compilation failed: "),
            "{here}"
        );
        assert_eq!(bytes(file.file()), b"");
    }
}
