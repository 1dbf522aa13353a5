//! Interfaces that are not offered, but that guests can import: SDKs import more than a guest uses.
//!
//! Each function answers an error of its interface's own where it has one that says so, else it traps with a message that does.

use std::sync::Arc;

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType, Type, Val};
use wasmtime::{AsContextMut, Result, StoreContextMut, bail};

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
    let mut resources = Vec::new();
    for (import, item) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let name = Name::parse(import);
        let denied = !is_offered(&name) && is_denied(&name);
        for (name, item) in instance.exports(&engine) {
            match item.ty {
                // Interfaces name those that they use of others, whose they are.
                ComponentItem::Resource(ty) if resources.contains(&ty) => {}
                ComponentItem::Resource(ty) => {
                    resources.push(ty);
                    if denied {
                        let nothing = ResourceType::host::<Nothing>();
                        let mut interface = linker.instance(import)?;
                        interface.resource(name, nothing, |_, _| Ok(()))?;
                    }
                }
                ComponentItem::ComponentFunc(function) if denied => {
                    define_function(&mut linker.instance(import)?, import, name, &function)?;
                }
                _ => {}
            }
        }
        if denied {
            // One that has types alone.
            linker.instance(import)?;
        }
    }
    Ok(())
}

fn define_function(
    linker: &mut LinkerInstance<'_, State>,
    interface: &str,
    name: &str,
    function: &ComponentFunc,
) -> Result<()> {
    let full = format!("{interface}#{name}");
    match function.async_() {
        // Their methods cannot be called: of what they belong to, there is none.
        true => linker.func_new_concurrent(name, move |accessor, ty, _, results| {
            let answered =
                accessor.with(|mut store| answer(store.as_context_mut(), &full, &ty, results));
            Box::pin(async move { answered })
        }),
        false => {
            let full: Arc<str> = full.into();
            linker.func_new_async(name, move |mut store, ty, arguments, results| {
                let full = full.clone();
                Box::new(async move {
                    give_back(store.as_context_mut(), arguments).await?;
                    answer(store, &full, &ty, results)
                })
            })
        }
    }
}

/// Ends what a guest has lent for a call.
async fn give_back(mut store: StoreContextMut<'_, State>, arguments: &[Val]) -> Result<()> {
    for argument in arguments {
        if let Val::Resource(resource) = argument
            && !resource.owned()
        {
            resource.resource_drop_async(&mut store).await?;
        }
    }
    Ok(())
}

fn answer(
    store: StoreContextMut<'_, State>,
    name: &str,
    ty: &ComponentFunc,
    results: &mut [Val],
) -> Result<()> {
    let mut types = ty.results();
    let value = match (types.next(), &*results) {
        (Some(Type::Result(ty)), [_]) => ty
            .err()
            .and_then(|ty| error(&ty))
            .map(|error| Val::Result(Err(Some(Box::new(error))))),
        // A network, which does nothing in turn.
        (Some(Type::Own(ty)), [_]) if ty == ResourceType::host::<Nothing>() => {
            let nothing = Resource::<Nothing>::new_own(0);
            Some(Val::Resource(nothing.try_into_resource_any(store)?))
        }
        _ => None,
    };
    match (value, results) {
        (Some(value), [result]) => *result = value,
        _ => bail!("{name} is not available"),
    }
    Ok(())
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
