//! Variables of Spin, by name; and `wasi:config`, which gives the same.

use wasmtime::component::{ComponentType, Lift, Linker, Lower};
use wasmtime::{Result, StoreContextMut};

use crate::platform::Sent;
use crate::spin::define::{Calls, function};
use crate::state::State;
use crate::stores::VariableError;

pub(crate) const BLOCKING: &str = "fermyon:spin/variables@2.0.0";
pub(crate) const ASYNC: &str = "spin:variables/variables@3.0.0";
pub(crate) const CONFIG: &str = "wasi:config/store@0.2.0-draft-2024-09-27";

type Outcome<T, E> = std::result::Result<T, E>;

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "invalid-name")]
    InvalidName(String),
    #[component(name = "undefined")]
    Undefined(String),
    #[component(name = "provider")]
    Provider(String),
    #[component(name = "other")]
    Other(String),
}

impl From<VariableError> for Error {
    fn from(error: VariableError) -> Error {
        match error {
            VariableError::InvalidName(text) => Error::InvalidName(text),
            VariableError::Undefined(text) => Error::Undefined(text),
            VariableError::Other(text) => Error::Other(text),
        }
    }
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum ConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    for (interface, calls) in [(BLOCKING, Calls::Blocking), (ASYNC, Calls::Async)] {
        function(
            &mut linker.instance(interface)?,
            calls,
            "get",
            |state, (name,): (String,)| {
                let value = state.platform().variable(&name).map_err(Error::from);
                Ok(Sent::new(Box::pin(async move { value })))
            },
        )?;
    }
    let mut config = linker.instance(CONFIG)?;
    config.func_wrap(
        "get",
        |mut store: StoreContextMut<'_, State>, (name,): (String,)| {
            Ok((match store.data_mut().platform().variable(&name) {
                Ok(value) => Ok(Some(value)),
                // Names are the guest's own here, so one that cannot be there is one that is not.
                Err(VariableError::Undefined(_) | VariableError::InvalidName(_)) => Ok(None),
                Err(VariableError::Other(text)) => Err(ConfigError::Upstream(text)),
            },))
        },
    )?;
    config.func_wrap(
        "get-all",
        |mut store: StoreContextMut<'_, State>, (): ()| {
            let all = store.data_mut().platform().variables();
            Ok((Outcome::<_, ConfigError>::Ok(all),))
        },
    )
}
