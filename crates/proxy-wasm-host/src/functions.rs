//! The types that callbacks have. The first argument of each is the context.

use wasm_runtime::wasmtime::{AsContext, Func, TypedFunc};

/// A callback's function, of one of the types that it may have.
pub(crate) trait CallbackFunction: Sized {
    /// The types, as `(i32, i32) -> i32`.
    const TYPES: &'static [&'static str];

    /// `None`: the function has none of them.
    fn of(function: Func, store: impl AsContext) -> Option<Self>;
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $params:ty => $result:ty, $text:literal;)+) => {
        $(
            $(#[$doc])*
            pub(crate) type $name = TypedFunc<$params, $result>;

            impl CallbackFunction for $name {
                const TYPES: &'static [&'static str] = &[$text];

                fn of(function: Func, store: impl AsContext) -> Option<$name> {
                    function.typed(store).ok()
                }
            }
        )+
    };
}

functions! {
    /// No number beside the context, and no answer.
    Event = u32 => (), "(i32) -> ()";
    /// One number.
    Event1 = (u32, u32) => (), "(i32, i32) -> ()";
    Event2 = (u32, u32, u32) => (), "(i32, i32, i32) -> ()";
    Event3 = (u32, u32, u32, u32) => (), "(i32, i32, i32, i32) -> ()";
    Event4 = (u32, u32, u32, u32, u32) => (), "(i32, i32, i32, i32, i32) -> ()";
    /// No number beside the context, and an answer.
    Answer = u32 => u32, "(i32) -> i32";
    Answer1 = (u32, u32) => u32, "(i32, i32) -> i32";
    Answer2 = (u32, u32, u32) => u32, "(i32, i32, i32) -> i32";
}

/// A callback for a header. 0.1.0 has no end of stream; guests mix the two, so the type decides and not the version.
pub(crate) enum HeadersFn {
    WithEnd(Answer2),
    WithoutEnd(Answer1),
}

impl CallbackFunction for HeadersFn {
    const TYPES: &'static [&'static str] = &["(i32, i32, i32) -> i32", "(i32, i32) -> i32"];

    fn of(function: Func, store: impl AsContext) -> Option<HeadersFn> {
        match Answer2::of(function, &store) {
            Some(function) => Some(HeadersFn::WithEnd(function)),
            None => Answer1::of(function, store).map(HeadersFn::WithoutEnd),
        }
    }
}
