//! Variables that live on from call to call.

use std::collections::HashMap;

use wasm_runtime::wasmtime::{Caller, Linker, Result};

use crate::error::Refusal;
use crate::imports::ENV;
use crate::kernel::{fill, give, parts};
use crate::services::Services;
use crate::state::State;

/// What each var counts beside its key and value, in bytes: as much as in the Rust host, so that guests that fit there do here.
const OVERHEAD: u64 = 48;

/// The vars of an instance.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    values: HashMap<String, Vec<u8>>,
    /// Bytes of all, as they are counted.
    bytes: u64,
}

impl Vars {
    fn cost(key: &str, value: usize) -> u64 {
        key.len() as u64 + value as u64 + OVERHEAD
    }

    fn get(&self, key: &str) -> Option<&Vec<u8>> {
        self.values.get(key)
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, value)) = self.values.remove_entry(key) {
            self.bytes -= Vars::cost(&key, value.len());
        }
    }

    /// The value that is replaced counts, too, as in the Rust host.
    fn set(&mut self, key: &str, value: &[u8], max: u64) -> Result<(), Refusal> {
        let cost = Vars::cost(key, value.len());
        if self.bytes + cost > max {
            return Err(Refusal::VarsFull);
        }
        self.bytes += cost;
        match self.values.get_mut(key) {
            Some(old) => {
                self.bytes -= Vars::cost(key, old.len());
                value.clone_into(old);
            }
            None => {
                self.values.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    linker.func_wrap(ENV, "var_get", var_get::<S>)?;
    linker.func_wrap(ENV, "var_set", var_set::<S>)?;
    Ok(())
}

const KEY: &str = "a var's key";
const VALUE: &str = "a var's value";

/// The value of a var; 0 where there is none, or an empty one. The key is freed.
fn var_get<S: Services>(mut caller: Caller<'_, State<S>>, key: u64) -> Result<u64> {
    let (memory, state) = parts(&mut caller)?;
    let range = state.kernel.block(memory, key, KEY)?;
    let name = str::from_utf8(&memory[range]).map_err(|_| Refusal::Utf8(KEY))?;
    if state.settings.shared_vars {
        let mut value = Vec::new();
        let found = state.services.var(name, &mut value);
        state.kernel.blocks.free(memory, key);
        return match found.map_err(Refusal::Vars)? {
            true => give(&mut caller, &value),
            false => Ok(0),
        };
    }
    let Some(length) = state.vars.get(name).map(Vec::len) else {
        state.kernel.blocks.free(memory, key);
        return Ok(0);
    };
    // The new block takes no place of the key's, which is still needed.
    let name = name.to_owned();
    state.kernel.blocks.free(memory, key);
    fill(&mut caller, length, |block, state| {
        if let Some(value) = state.vars.get(&name) {
            block.copy_from_slice(value);
        }
    })
}

/// Sets a var; one whose value is 0 is removed. Both are freed.
fn var_set<S: Services>(mut caller: Caller<'_, State<S>>, key: u64, value: u64) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    let max = state.settings.max_vars;
    if max == 0 {
        return Err(Refusal::VarsDisabled.into());
    }
    let range = state.kernel.block(memory, key, KEY)?;
    let name = str::from_utf8(&memory[range]).map_err(|_| Refusal::Utf8(KEY))?;
    let range = state.kernel.block(memory, value, VALUE)?;
    let bytes = (value != 0).then(|| &memory[range]);
    match (state.settings.shared_vars, bytes) {
        (true, bytes) => state.services.set_var(name, bytes).map_err(Refusal::Vars)?,
        (false, None) => state.vars.remove(name),
        (false, Some(bytes)) => state.vars.set(name, bytes, max)?,
    }
    state.kernel.blocks.free(memory, value);
    state.kernel.blocks.free(memory, key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_that_of_the_rust_host() {
        let mut vars = Vars::default();
        assert!(vars.set("ab", &[0; 50], 99).is_err());
        vars.set("ab", &[0; 50], 100).unwrap();
        assert!(
            vars.set("ab", &[0; 1], 150).is_err(),
            "the old value counts"
        );
        vars.set("ab", &[0; 1], 151).unwrap();
        assert_eq!(vars.bytes, 51);
        vars.remove("ab");
        vars.remove("ab");
        assert_eq!(vars.bytes, 0);
    }
}
