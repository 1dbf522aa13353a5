//! `wasi:keyvalue`, in the draft that Spin offers.

use std::rc::Rc;

use send_wrapper::SendWrapper;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};

use crate::platform::{LocalFuture, Sent};
use crate::spin::define::{Calls, Handle, method, open, resource, server};
use crate::state::State;
use crate::stores::{KeyValue, KeyValueError};

pub(crate) const STORE: &str = "wasi:keyvalue/store@0.2.0-draft2";
pub(crate) const ATOMICS: &str = "wasi:keyvalue/atomics@0.2.0-draft2";
pub(crate) const BATCH: &str = "wasi:keyvalue/batch@0.2.0-draft2";

/// What the server has open.
type Kept = dyn KeyValue;
type Bucket = Resource<Handle<dyn KeyValue>>;
type Outcome<T, E = Error> = std::result::Result<T, E>;
type Value = Option<Vec<u8>>;

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
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
            KeyValueError::NoSuchStore => Error::NoSuchStore,
            KeyValueError::Denied => Error::AccessDenied,
            other => Error::Other(other.to_string()),
        }
    }
}

/// All keys at once, so there is never more to come.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct KeyResponse {
    keys: Vec<String>,
    cursor: Option<String>,
}

/// A value as it was, which is to be replaced if it still is so.
pub(crate) struct Cas {
    store: SendWrapper<Rc<dyn KeyValue>>,
    key: String,
    /// What was seen; `None` before [`Cas`] was asked.
    seen: Option<Value>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum CasError {
    #[component(name = "store-error")]
    Store(Error),
    #[component(name = "cas-failed")]
    Failed(Resource<Cas>),
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    store(linker)?;
    batch(linker)?;
    atomics(linker)
}

fn store(linker: &mut Linker<State>) -> Result<()> {
    let mut linker = linker.instance(STORE)?;
    let l = &mut linker;
    resource::<dyn KeyValue>(l, "bucket")?;
    open(
        l,
        Calls::Blocking,
        "open",
        |state, name| -> Outcome<Rc<dyn KeyValue>> {
            state.platform().open_store(name).map_err(Error::from)
        },
    )?;
    let get = |store: &Kept, (_, key): (Bucket, String)| converted(store.get(&key));
    method(l, Calls::Blocking, "[method]bucket.get", get)?;
    let set = |store: &Kept, (_, key, value): (Bucket, String, Vec<u8>)| {
        converted(store.set(&key, value))
    };
    method(l, Calls::Blocking, "[method]bucket.set", set)?;
    let delete = |store: &Kept, (_, key): (Bucket, String)| converted(store.delete(&key));
    method(l, Calls::Blocking, "[method]bucket.delete", delete)?;
    let exists = |store: &Kept, (_, key): (Bucket, String)| converted(store.exists(&key));
    method(l, Calls::Blocking, "[method]bucket.exists", exists)?;
    let list = |store: &Kept,
                (_, cursor): (Bucket, Option<String>)|
     -> LocalFuture<Outcome<KeyResponse>> {
        let keys = store.keys();
        Box::pin(async move {
            let keys = match cursor {
                // No response has given one out.
                Some(_) => return Err(Error::Other("no such cursor".into())),
                None => keys.await?,
            };
            Ok(KeyResponse { keys, cursor: None })
        })
    };
    method(l, Calls::Blocking, "[method]bucket.list-keys", list)
}

fn converted<T: 'static>(
    future: LocalFuture<Outcome<T, KeyValueError>>,
) -> LocalFuture<Outcome<T>> {
    Box::pin(async move { future.await.map_err(Error::from) })
}

fn batch(linker: &mut Linker<State>) -> Result<()> {
    let mut linker = linker.instance(BATCH)?;
    let l = &mut linker;
    let get = |store: &Kept,
               (_, keys): (Bucket, Vec<String>)|
     -> LocalFuture<Outcome<Vec<(String, Value)>>> {
        let values: Vec<_> = keys.iter().map(|key| store.get(key)).collect();
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for (key, value) in keys.into_iter().zip(values) {
                found.push((key, value.await?));
            }
            Ok(found)
        })
    };
    method(l, Calls::Blocking, "get-many", get)?;
    let set =
        |store: &Kept, (_, values): (Bucket, Vec<(String, Vec<u8>)>)| -> LocalFuture<Outcome<()>> {
            let set: Vec<_> = values
                .into_iter()
                .map(|(key, value)| store.set(&key, value))
                .collect();
            Box::pin(async move { all(set).await })
        };
    method(l, Calls::Blocking, "set-many", set)?;
    let delete = |store: &Kept, (_, keys): (Bucket, Vec<String>)| -> LocalFuture<Outcome<()>> {
        let deleted: Vec<_> = keys.iter().map(|key| store.delete(key)).collect();
        Box::pin(async move { all(deleted).await })
    };
    method(l, Calls::Blocking, "delete-many", delete)
}

async fn all(futures: Vec<LocalFuture<Outcome<(), KeyValueError>>>) -> Outcome<()> {
    for future in futures {
        future.await?;
    }
    Ok(())
}

fn atomics(linker: &mut Linker<State>) -> Result<()> {
    let mut linker = linker.instance(ATOMICS)?;
    let l = &mut linker;
    l.resource("cas", ResourceType::host::<Cas>(), |mut store, rep| {
        store
            .data_mut()
            .table
            .delete(Resource::<Cas>::new_own(rep))?;
        Ok(())
    })?;
    let increment =
        |store: &Kept, (_, key, by): (Bucket, String, i64)| converted(store.increment(&key, by));
    method(l, Calls::Blocking, "increment", increment)?;
    l.func_wrap(
        "[static]cas.new",
        |mut store: StoreContextMut<'_, State>, (bucket, key): (Bucket, String)| {
            let table = &mut store.data_mut().table;
            let cas = Cas {
                store: SendWrapper::new(server(table, &bucket)?),
                key,
                seen: None,
            };
            Ok((Outcome::<_, Error>::Ok(table.push(cas)?),))
        },
    )?;
    l.func_wrap_async(
        "[method]cas.current",
        |mut store: StoreContextMut<'_, State>, (cas,): (Resource<Cas>,)| {
            Box::new(async move {
                let found = store.data().table.get(&cas)?;
                let value = Sent::new(found.store.get(&found.key)).await;
                Ok((match value {
                    Ok(value) => {
                        store.data_mut().table.get_mut(&cas)?.seen = Some(value.clone());
                        Ok(value)
                    }
                    Err(error) => Err(Error::from(error)),
                },))
            })
        },
    )?;
    l.func_wrap_async(
        "swap",
        |mut store: StoreContextMut<'_, State>, (cas, value): (Resource<Cas>, Vec<u8>)| {
            Box::new(async move {
                let cas = store.data_mut().table.delete(cas)?;
                Ok((match Sent::new(swap(&cas, value)).await {
                    Ok(true) => Ok(()),
                    Ok(false) => {
                        let again = Cas { seen: None, ..cas };
                        Err(CasError::Failed(store.data_mut().table.push(again)?))
                    }
                    Err(error) => Err(CasError::Store(Error::from(error))),
                },))
            })
        },
    )
}

/// A value that was never looked at is replaced as it is now.
fn swap(cas: &Cas, value: Vec<u8>) -> LocalFuture<Outcome<bool, KeyValueError>> {
    let (store, key, seen) = (Rc::clone(&cas.store), cas.key.clone(), cas.seen.clone());
    Box::pin(async move {
        let seen = match seen {
            Some(seen) => seen,
            None => store.get(&key).await?,
        };
        store.swap(&key, seen, value).await
    })
}
