//! What of a module can be called.

use std::collections::HashMap;

use guest_host::InterfaceError;
use wasm_runtime::{Outline, Type};

use crate::error::Failure;
use crate::imports::written;

/// An export that can be called, of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(pub(crate) u32);

/// What a function's result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// A code.
    Code,
    Nothing,
}

/// A function that can be called.
#[derive(Debug)]
pub struct Callable {
    pub name: String,
    pub returns: Returns,
}

/// What the main module exports.
#[derive(Debug)]
pub struct Exports {
    callable: Vec<Callable>,
    by_name: HashMap<String, u32>,
    /// What is exported and cannot be called, with its type.
    others: HashMap<String, String>,
}

/// Not for callers, but for the host and for linkers.
const RESERVED: [&str; 4] = ["_start", "_initialize", "__wasm_call_ctors", "hs_init"];

/// The function after whose call everything is to be new.
pub const START: &str = "_start";

impl Exports {
    pub fn of(outline: &Outline) -> Exports {
        let mut exports = Exports {
            callable: Vec::new(),
            by_name: HashMap::new(),
            others: HashMap::new(),
        };
        for export in &outline.exports {
            let name = export.name.clone();
            match returns(&export.ty) {
                Some(returns) => {
                    let index = exports.callable.len() as u32;
                    exports.by_name.insert(name.clone(), index);
                    exports.callable.push(Callable { name, returns });
                }
                None => {
                    exports.others.insert(name, written(&export.ty));
                }
            }
        }
        exports
    }

    pub fn callable(&self) -> &[Callable] {
        &self.callable
    }

    pub fn get(&self, function: Function) -> Option<&Callable> {
        self.callable.get(function.0 as usize)
    }

    pub fn find(&self, name: &str) -> Result<Function, Failure> {
        if let Some(index) = self.by_name.get(name) {
            return Ok(Function(*index));
        }
        Err(match self.others.get(name) {
            Some(ty) => Failure::NotCallable {
                name: name.to_owned(),
                ty: ty.clone(),
            },
            None => Failure::NotFound(name.to_owned()),
        })
    }

    /// The one function that answers a code, or else the one that answers nothing.
    pub fn only(&self) -> Option<Function> {
        let one = |returns| {
            let mut matching = self.callable.iter().enumerate().filter(|(_, callable)| {
                callable.returns == returns && !RESERVED.contains(&callable.name.as_str())
            });
            match (matching.next(), matching.next()) {
                (Some((index, _)), None) => Ok(Some(Function(index as u32))),
                (None, _) => Ok(None),
                _ => Err(()),
            }
        };
        match one(Returns::Code) {
            Ok(None) => one(Returns::Nothing).ok().flatten(),
            found => found.ok().flatten(),
        }
    }
}

fn returns(ty: &Type) -> Option<Returns> {
    let Type::Func { params, results } = ty else {
        return None;
    };
    match (params.as_slice(), results.as_slice()) {
        ([], []) => Some(Returns::Nothing),
        ([], [result]) if result == "i32" => Some(Returns::Code),
        _ => None,
    }
}

/// The functions that are called first of all in an instance, in their order.
pub fn initializers(outline: &Outline) -> Result<Vec<&'static str>, InterfaceError> {
    let is_plain = |name| outline.export(name).map(returns) == Some(Some(Returns::Nothing));
    if let Some(ty) = outline.export("hs_init") {
        if !matches!(ty, Type::Func { params, .. } if params == &["i32", "i32"]) {
            return Err(InterfaceError::ExportType {
                name: "hs_init".into(),
                module: written(ty),
                expected: "(i32, i32) -> ()".into(),
            });
        }
        return Ok(match is_plain("_initialize") {
            true => vec!["_initialize", "hs_init"],
            false => vec!["hs_init"],
        });
    }
    let name = match outline.export("__wasm_call_ctors") {
        Some(_) => "__wasm_call_ctors",
        None => "_initialize",
    };
    Ok(match is_plain(name) {
        true => vec![name],
        false => Vec::new(),
    })
}
