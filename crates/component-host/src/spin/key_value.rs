//! `key-value` of Spin: stores by name.

use std::rc::Rc;

use wasmtime::Result;
use wasmtime::component::{
    Accessor, ComponentType, FutureReader, Lift, Linker, LinkerInstance, Lower, Resource,
    StreamReader,
};

use crate::platform::Sent;
use crate::spin::define::{Calls, Handle, method, open, resource, server};
use crate::state::State;
use crate::stores::{KeyValue, KeyValueError};

pub(crate) const BLOCKING: &str = "fermyon:spin/key-value@2.0.0";
pub(crate) const ASYNC: &str = "spin:key-value/key-value@3.0.0";

/// What the server has open.
type Kept = dyn KeyValue;
/// An open store.
type Store = Resource<Handle<dyn KeyValue>>;

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "store-table-full")]
    StoreTableFull,
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

impl From<KeyValueError> for Error {
    fn from(error: KeyValueError) -> Error {
        match error {
            KeyValueError::Full => Error::StoreTableFull,
            KeyValueError::NoSuchStore => Error::NoSuchStore,
            KeyValueError::Denied => Error::AccessDenied,
            KeyValueError::Other(text) => Error::Other(text),
        }
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut blocking = linker.instance(BLOCKING)?;
    common(&mut blocking, Calls::Blocking)?;
    method(
        &mut blocking,
        Calls::Blocking,
        "[method]store.get-keys",
        |store: &Kept, (_,): (Store,)| {
            let keys = store.keys();
            Box::pin(async move { keys.await.map_err(Error::from) })
        },
    )?;
    let mut concurrent = linker.instance(ASYNC)?;
    common(&mut concurrent, Calls::Async)?;
    concurrent.func_wrap_concurrent("[method]store.get-keys", |accessor, (store,): (Store,)| {
        Box::pin(async move { Ok((stream(accessor, store).await?,)) })
    })
}

fn common(linker: &mut LinkerInstance<'_, State>, calls: Calls) -> Result<()> {
    resource::<dyn KeyValue>(linker, "store")?;
    open(
        linker,
        calls,
        "[static]store.open",
        |state, name| -> std::result::Result<Rc<dyn KeyValue>, Error> {
            state.platform().open_store(name).map_err(Error::from)
        },
    )?;
    let get = |store: &Kept, (_, key): (Store, String)| {
        let value = store.get(&key);
        Box::pin(async move { value.await.map_err(Error::from) }) as _
    };
    method(linker, calls, "[method]store.get", get)?;
    let set = |store: &Kept, (_, key, value): (Store, String, Vec<u8>)| {
        let set = store.set(&key, value);
        Box::pin(async move { set.await.map_err(Error::from) }) as _
    };
    method(linker, calls, "[method]store.set", set)?;
    let delete = |store: &Kept, (_, key): (Store, String)| {
        let deleted = store.delete(&key);
        Box::pin(async move { deleted.await.map_err(Error::from) }) as _
    };
    method(linker, calls, "[method]store.delete", delete)?;
    let exists = |store: &Kept, (_, key): (Store, String)| {
        let exists = store.exists(&key);
        Box::pin(async move { exists.await.map_err(Error::from) }) as _
    };
    method(linker, calls, "[method]store.exists", exists)
}

type Keys = (
    StreamReader<String>,
    FutureReader<std::result::Result<(), Error>>,
);

/// The keys as a stream, and how it ended.
async fn stream(accessor: &Accessor<State>, store: Store) -> Result<Keys> {
    let keys = accessor.with(|mut access| {
        let store = server(&access.data_mut().table, &store)?;
        wasmtime::error::Ok(Sent::new(store.keys()))
    })?;
    let (keys, end) = match keys.await {
        Ok(keys) => (keys, Ok(())),
        Err(error) => (Vec::new(), Err(Error::from(error))),
    };
    accessor.with(|mut access| {
        let keys = StreamReader::new(&mut access, keys)?;
        let end = FutureReader::new(&mut access, async move { wasmtime::error::Ok(end) })?;
        Ok((keys, end))
    })
}
