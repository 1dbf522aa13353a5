//! What a module imports and exports, known before it is compiled.

use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

use crate::error::{Error, broken};
use crate::source::binary;

/// What a module imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// In the module's order.
    pub imports: Vec<Import>,
    /// In the module's order; no name is there twice.
    pub exports: Vec<Export>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub ty: Type,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub name: String,
    pub ty: Type,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// A function, with the types of its parameters and results as the text format writes them.
    Func {
        params: Vec<String>,
        results: Vec<String>,
    },
    Memory,
    Other,
}

impl Outline {
    /// The outline of a module of the binary or text format, which may be one that does not validate.
    pub fn read(bytes: &[u8]) -> Result<Outline, Error> {
        Outline::of(&binary(bytes)?)
    }

    /// The outline of a valid module of the binary format.
    pub(crate) fn of(binary: &[u8]) -> Result<Outline, Error> {
        let mut outline = Outline::default();
        // By type, and by function.
        let (mut types, mut functions) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(binary) {
            match payload.map_err(broken)? {
                Payload::TypeSection(section) => {
                    for group in section {
                        types.extend(group.map_err(broken)?.into_types().map(|ty| {
                            match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => Type::Func {
                                    params: ty.params().iter().map(ToString::to_string).collect(),
                                    results: ty.results().iter().map(ToString::to_string).collect(),
                                },
                                _ => Type::Other,
                            }
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(broken)?;
                        let ty = match import.ty {
                            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                                functions.push(index);
                                of_type(&types, index)
                            }
                            TypeRef::Memory(_) => Type::Memory,
                            _ => Type::Other,
                        };
                        outline.imports.push(Import {
                            module: import.module.to_owned(),
                            name: import.name.to_owned(),
                            ty,
                        });
                    }
                }
                Payload::FunctionSection(section) => {
                    for index in section {
                        functions.push(index.map_err(broken)?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(broken)?;
                        let ty = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => functions
                                .get(export.index as usize)
                                .map_or(Type::Other, |index| of_type(&types, *index)),
                            ExternalKind::Memory => Type::Memory,
                            _ => Type::Other,
                        };
                        outline.exports.push(Export {
                            name: export.name.to_owned(),
                            ty,
                        });
                    }
                }
                // Nothing behind it is of interest.
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The type of an export.
    pub fn export(&self, name: &str) -> Option<&Type> {
        let mut exports = self.exports.iter();
        exports.find(|export| export.name == name).map(|e| &e.ty)
    }
}

fn of_type(types: &[Type], index: u32) -> Type {
    types.get(index as usize).cloned().unwrap_or(Type::Other)
}
