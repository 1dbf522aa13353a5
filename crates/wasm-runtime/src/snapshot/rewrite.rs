//! Rewrites a module so that its instances can be started from a snapshot.
//!
//! Outside of an instance nobody sees its private state. So its memory and mutable globals are exported, under names that no guest has; data
//! is written, and the start function called, by the host, and only in the one instance that the snapshot is taken of. The rest
//! of the module stays as it is, byte for byte.

use wasm_encoder::{DataSection, ExportKind, ExportSection, RawSection};
use wasmparser::{
    ConstExpr, Data, DataKind, FunctionBody, Operator, Parser, Payload, TypeRef, ValType,
};

use crate::error::{Error, broken};

/// What begins the names of the exports that are added.
pub(crate) const PREFIX: &str = "\u{1}snapshot ";
/// The export of the memory, whether or not the guest exports it itself.
pub(crate) const MEMORY: &str = "\u{1}snapshot memory";
/// The export of the start function.
pub(crate) const START: &str = "\u{1}snapshot start";

/// A rewritten module, and what its first instance needs beside it.
pub(crate) struct Rewritten {
    pub binary: Vec<u8>,
    pub data: Vec<Segment>,
}

/// Bytes for the memory, and where they go.
#[derive(Clone)]
pub(crate) struct Segment {
    pub address: u32,
    pub bytes: Vec<u8>,
}

/// Rewrites a module, which need not be valid; the result is so only if it is. An error says what stands in the way of a
/// snapshot, or what is broken; there may be more in the code, at which only [`check_code`] looks.
pub(crate) fn rewrite(binary: &[u8]) -> Result<Rewritten, Error> {
    let mut output = wasm_encoder::Module::new();
    let mut data = Vec::new();
    let mut globals = Vec::new();
    let mut start = None;
    let mut has_memory = false;
    for payload in Parser::new(0).parse_all(binary) {
        let payload = payload.map_err(broken)?;
        match &payload {
            Payload::GlobalSection(section) => {
                for (index, global) in section.clone().into_iter().enumerate() {
                    let ty = global.map_err(broken)?.ty;
                    if ty.mutable && matches!(ty.content_type, ValType::Ref(_)) {
                        return Err(stateful("a mutable global that holds a reference"));
                    }
                    if ty.mutable {
                        globals.push(index as u32);
                    }
                }
            }
            Payload::MemorySection(section) => has_memory = section.count() > 0,
            // What others have, too, is not this instance's alone.
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let ty = import.map_err(broken)?.ty;
                    if !matches!(ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                        return Err(stateful("an import that is no function"));
                    }
                }
            }
            // Stands in front of the start section, which has to be known here.
            Payload::ExportSection(_) => start = start_function(binary)?,
            Payload::StartSection { .. } => continue,
            _ => {}
        }
        match payload {
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section {
                    let export = export.map_err(broken)?;
                    if export.name.starts_with(PREFIX) {
                        return Err(stateful("an export of a reserved name"));
                    }
                    exports.export(export.name, export.kind.into(), export.index);
                }
                for global in &globals {
                    exports.export(
                        &format!("{PREFIX}global {global}"),
                        ExportKind::Global,
                        *global,
                    );
                }
                if has_memory {
                    exports.export(MEMORY, ExportKind::Memory, 0);
                }
                if let Some(start) = start {
                    exports.export(START, ExportKind::Func, start);
                }
                output.section(&exports);
            }
            Payload::DataSection(section) => {
                let mut segments = DataSection::new();
                for segment in section {
                    let segment = segment.map_err(broken)?;
                    match active(&segment)? {
                        // The index stays, for `memory.init`, to which a used one is empty.
                        Some(active) => {
                            segments.passive([]);
                            data.push(active);
                        }
                        None => {
                            segments.passive(segment.data.iter().copied());
                        }
                    }
                }
                output.section(&segments);
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    output.section(&RawSection {
                        id,
                        data: &binary[range],
                    });
                }
            }
        }
    }
    Ok(Rewritten {
        binary: output.finish(),
        data,
    })
}

fn start_function(binary: &[u8]) -> Result<Option<u32>, Error> {
    for payload in Parser::new(0).parse_all(binary) {
        if let Payload::StartSection { func, .. } = payload.map_err(broken)? {
            return Ok(Some(func));
        }
    }
    Ok(None)
}

/// Where a segment goes that is written when an instance starts.
fn active(segment: &Data<'_>) -> Result<Option<Segment>, Error> {
    let DataKind::Active { offset_expr, .. } = &segment.kind else {
        return Ok(None);
    };
    let address = constant(offset_expr)?.ok_or_else(|| stateful("data at a computed address"))?;
    Ok(Some(Segment {
        address,
        bytes: segment.data.to_vec(),
    }))
}

fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, Error> {
    let mut operators = expression.get_operators_reader();
    let first = operators.read().map_err(broken)?;
    let second = operators.read().map_err(broken)?;
    Ok(match (first, second) {
        (Operator::I32Const { value }, Operator::End) => Some(value as u32),
        _ => None,
    })
}

/// A snapshot does not have the tables: they must stay as an instance starts with them. Answers whether there is the
/// instruction `data.drop`.
pub(crate) fn check_code(binary: &[u8]) -> Result<bool, Error> {
    let mut drops_data = false;
    for payload in Parser::new(0).parse_all(binary) {
        if let Payload::CodeSectionEntry(body) = payload.map_err(broken)? {
            drops_data |= check_function(&body)?;
        }
    }
    Ok(drops_data)
}

fn check_function(body: &FunctionBody<'_>) -> Result<bool, Error> {
    let mut drops_data = false;
    for operator in body.get_operators_reader().map_err(broken)? {
        let name = match operator.map_err(broken)? {
            Operator::TableSet { .. } => "table.set",
            Operator::TableGrow { .. } => "table.grow",
            Operator::TableFill { .. } => "table.fill",
            Operator::TableCopy { .. } => "table.copy",
            Operator::TableInit { .. } => "table.init",
            Operator::DataDrop { .. } => {
                drops_data = true;
                continue;
            }
            _ => continue,
        };
        return Err(stateful(&format!("the instruction {name}")));
    }
    Ok(drops_data)
}

fn stateful(what: &str) -> Error {
    Error::Snapshot(format!("the module has {what}"))
}
