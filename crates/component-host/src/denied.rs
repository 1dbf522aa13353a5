//! Interfaces that are not offered, but that guests can import: SDKs import more than a guest uses.
//!
//! Each function answers an error of its interface's own where it has one that says so, else it traps with a message that does.

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType, Type, Val};
use wasmtime::{Result, bail};

use crate::interfaces::{Name, is_denied, is_offered};
use crate::state::State;

/// Cases of an error that say that something is not there, the best first.
const CASES: &[&str] = &[
    "access-denied",
    "not-supported",
    "unsupported",
    "other",
    "connection-failed",
    "runtime-error",
    "provider",
    "upstream",
    "io",
    "error",
];

/// What the cases with a text say.
const TEXT: &str = "not available";

/// Resources of such interfaces, of which there are none.
struct Nothing;

/// Defines what this component imports of them.
pub(crate) fn define(linker: &mut Linker<State>, component: &Component) -> Result<()> {
    let engine = component.engine().clone();
    for (import, item) in component.component_type().imports(&engine) {
        let name = Name::parse(import);
        if is_offered(&name) || !is_denied(&name) {
            continue;
        }
        if let ComponentItem::ComponentInstance(instance) = item.ty {
            let mut defined = linker.instance(import)?;
            for (item, of) in instance.exports(&engine) {
                define_item(&mut defined, import, item, of.ty)?;
            }
        }
    }
    Ok(())
}

fn define_item(
    linker: &mut LinkerInstance<'_, State>,
    interface: &str,
    name: &str,
    item: ComponentItem,
) -> Result<()> {
    match item {
        ComponentItem::ComponentFunc(function) => {
            let full = format!("{interface}#{name}");
            match function.async_() {
                true => linker.func_new_concurrent(name, move |_, ty, _, results| {
                    let answered = answer(&full, &ty, results);
                    Box::pin(async move { answered })
                }),
                false => {
                    linker.func_new(name, move |_, ty, _, results| answer(&full, &ty, results))
                }
            }
        }
        ComponentItem::Resource(_) => {
            linker.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(()))
        }
        _ => Ok(()),
    }
}

fn answer(name: &str, ty: &ComponentFunc, results: &mut [Val]) -> Result<()> {
    let mut types = ty.results();
    if let (Some(Type::Result(ty)), [result]) = (types.next(), results)
        && let Some(error) = ty.err().and_then(|ty| error(&ty))
    {
        *result = Val::Result(Err(Some(Box::new(error))));
        return Ok(());
    }
    bail!("{name} is not available");
}

/// A value of an error's type that says so.
fn error(ty: &Type) -> Option<Val> {
    match ty {
        Type::Enum(ty) => {
            let case = CASES
                .iter()
                .find(|case| ty.names().any(|name| name == **case))?;
            Some(Val::Enum((*case).to_owned()))
        }
        Type::Variant(ty) => CASES.iter().find_map(|name| {
            let mut cases = ty.cases();
            let case = cases.find(|case| case.name == *name)?;
            let payload = match case.ty {
                None => None,
                Some(Type::String) => Some(Box::new(Val::String(TEXT.to_owned()))),
                Some(Type::Option(_)) => Some(Box::new(Val::Option(None))),
                Some(_) => return None,
            };
            Some(Val::Variant((*name).to_owned(), payload))
        }),
        Type::String => Some(Val::String(TEXT.to_owned())),
        _ => None,
    }
}
