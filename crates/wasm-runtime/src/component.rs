//! Components: compiling them, or finding them compiled, and the engine of a process that runs them.

use std::borrow::Cow;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use wasmparser::WasmFeatures;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload, Validator};
use wasmtime::component::Component;
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::artifact::{self, Artifact, sha256};
use crate::engine::Engine;
use crate::error::{Error, broken, one_line};
use crate::guard::Guard;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::settings::config;
use crate::source::any_binary;
use crate::stack;
use crate::ticker::Clock;

/// What a component imports and exports by name, in its order: interfaces as `wasi:http/types@0.2.12`, and functions and
/// types that stand alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentOutline {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// How many instances a process can have at a time. Memory is taken as it is used; what is said here takes addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Instances of components.
    pub instances: u32,
    /// Elements that a table can have at the most.
    pub table: usize,
    /// Bytes of a guest's stack.
    pub stack: usize,
}

impl Default for Pool {
    fn default() -> Pool {
        let limits = Limits::default();
        Pool {
            instances: 1000,
            table: limits.table,
            stack: limits.stack,
        }
    }
}

/// Core instances of a component: those of C libraries that Python links at run time are some dozens.
const CORE_INSTANCES: u32 = 8;
/// The same of tables, of which shims have one each.
const TABLES: u32 = 4;
/// Bytes of addresses of a memory: all that there are in 32 bits.
const MEMORY: usize = 4 << 30;
/// Bytes of a memory that stay in the process when its instance is gone, to be set back by the next.
const KEPT: usize = 4 << 20;
/// Most bytes of what Wasmtime itself keeps for an instance.
const INSTANCE_SIZE: usize = 4 << 20;

/// The engine of a process for components. Clone = refcount.
///
/// It is to be made in the process that uses it, after the fork. It starts no thread; the [`Ticker`](crate::Ticker) of the
/// engine that it comes from ticks for its guests as well.
#[derive(Clone)]
pub struct ComponentEngine {
    inner: wasmtime::Engine,
    clock: Arc<Clock>,
}

impl ComponentEngine {
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// The artifact's component in this process, mapped from its memory file.
    pub fn load(&self, artifact: &Artifact) -> Result<Component, Error> {
        load(&self.inner, artifact)
    }

    /// What holds an instance to its limits of memory.
    pub fn guard(&self, limits: Limits) -> Guard {
        Guard::with_clock(self.clock.clone(), limits)
    }

    /// What holds a guest to so much processor time.
    pub fn meter(&self, limit: Duration) -> Meter {
        Meter::new(self.clock.clone(), limit)
    }
}

impl Engine {
    /// An engine for components whose instances come from a pool.
    pub fn for_components(&self, pool: &Pool) -> Result<ComponentEngine, Error> {
        let mut config = config();
        config.max_wasm_stack(pool.stack);
        config.async_stack_size(pool.stack + stack::HOST);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(pool)));
        let inner = wasmtime::Engine::new(&config).map_err(|e| Error::Engine(one_line(&e)))?;
        self.clock().add(&inner);
        Ok(ComponentEngine {
            inner,
            clock: self.clock().clone(),
        })
    }

    /// Compiles a component of the binary or text format, as [`Engine::compile_if`] does a module.
    pub fn compile_component_if<R, E: From<Error>>(
        &self,
        bytes: &[u8],
        check: impl FnOnce(&ComponentOutline) -> Result<R, E>,
    ) -> Result<(Artifact, R), E> {
        let binary = component_binary(bytes)?;
        let key = sha256(&[&sha256(bytes)[..], b"component"].concat());
        let found = self.look_up_with(&key, |artifact| self.load_component(artifact).map(drop));
        artifact::count(found.is_ok());
        if found.is_err() {
            self.validate_component(&binary)?;
        }
        let checked = check(&ComponentOutline::of(&binary)?)?;
        let artifact = match found {
            Ok(artifact) => artifact,
            Err(miss) => self.compile_binary(key, &binary, miss)?,
        };
        Ok((artifact, checked))
    }

    /// The component in the engine that compiles, to be looked at; its instances are not pooled.
    pub fn load_component(&self, artifact: &Artifact) -> Result<Component, Error> {
        load(self.wasmtime(), artifact)
    }

    fn validate_component(&self, binary: &[u8]) -> Result<(), Error> {
        let features = WasmFeatures::default() | WasmFeatures::CM_ASYNC;
        let Err(error) = Validator::new_with_features(features).validate_all(binary) else {
            return Ok(());
        };
        match Validator::new_with_features(WasmFeatures::all()).validate_all(binary) {
            Ok(_) => Err(Error::Feature(error.to_string())),
            Err(_) => Err(Error::InvalidComponent(error.to_string())),
        }
    }
}

impl ComponentOutline {
    /// The outline of a component of the binary or text format.
    pub fn read(bytes: &[u8]) -> Result<ComponentOutline, Error> {
        ComponentOutline::of(&component_binary(bytes)?)
    }

    fn of(binary: &[u8]) -> Result<ComponentOutline, Error> {
        let mut outline = ComponentOutline::default();
        // Components and modules within have sections of their own.
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(binary) {
            match payload.map_err(broken)? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import.map_err(broken)?;
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            outline.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(broken)?;
                        if export.kind != ComponentExternalKind::Type {
                            outline.exports.push(export.name.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }
}

/// Are these the bytes of a component, of the binary or text format?
pub fn is_component(bytes: &[u8]) -> bool {
    component_binary(bytes).is_ok()
}

/// The binary format, converted from the text format if need be.
fn component_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let binary = any_binary(bytes)?;
    match Parser::is_component(&binary) {
        true => Ok(binary),
        false => Err(Error::NotComponent),
    }
}

fn pooling(pool: &Pool) -> PoolingAllocationConfig {
    let many = |of: u32| pool.instances.saturating_mul(of);
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(pool.instances)
        .total_core_instances(many(CORE_INSTANCES))
        .total_memories(pool.instances)
        .total_tables(many(TABLES))
        .total_stacks(many(2))
        .max_core_instances_per_component(64)
        .max_tables_per_component(64)
        .max_memories_per_component(1)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_memory_size(MEMORY)
        .table_elements(pool.table)
        .max_tables_per_module(TABLES)
        .linear_memory_keep_resident(KEPT)
        .table_keep_resident(KEPT)
        // Which pages a guest has written is asked of the system, where it tells: only those are set back.
        .pagemap_scan(Enabled::Auto);
    config
}

#[allow(unsafe_code)]
fn load(engine: &wasmtime::Engine, artifact: &Artifact) -> Result<Component, Error> {
    let path = format!("/proc/self/fd/{}", artifact.file().as_raw_fd());
    // SAFETY: the file holds what this program's own `Engine::precompile` made of a component, and is sealed, so nothing has changed it
    // since, nor can. Wasmtime checks that the settings are the same.
    unsafe { Component::deserialize_file(engine, path) }.map_err(|e| Error::Artifact(one_line(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_inner_components_are_not_its_own() {
        let outline = ComponentOutline::read(
            br#"(component
                (component $inner (import "inner" (func)))
                (import "a:b/c@0.1.0" (instance))
                (instance $i)
                (export "d:e/f@0.2.0" (instance $i)))"#,
        );
        let outline = outline.unwrap();
        assert_eq!(outline.imports, ["a:b/c@0.1.0"]);
        assert_eq!(outline.exports, ["d:e/f@0.2.0"]);
    }
}
