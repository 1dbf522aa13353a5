//! Defines functions, once as blocking ones, once as asynchronous ones.

use std::rc::Rc;

use send_wrapper::SendWrapper;
use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceTable,
    ResourceType,
};
use wasmtime::{Result, StoreContextMut};

use crate::platform::{LocalFuture, Sent};
use crate::state::State;

/// How a function of an interface is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Calls {
    /// The guest stands still meanwhile.
    Blocking,
    /// The guest goes on, if it wants to.
    Async,
}

/// What the server has given for a resource that guests hold.
pub(crate) struct Handle<S: ?Sized>(pub SendWrapper<Rc<S>>);

impl<S: ?Sized> Handle<S> {
    pub fn new(server: Rc<S>) -> Handle<S> {
        Handle(SendWrapper::new(server))
    }
}

/// Parameters whose first is the resource.
pub(crate) trait OfResource<S: ?Sized> {
    fn resource(&self) -> &Resource<Handle<S>>;
}

macro_rules! of_resource {
    ($($parameter:ident),*) => {
        impl<S: ?Sized, $($parameter),*> OfResource<S> for (Resource<Handle<S>>, $($parameter),*) {
            fn resource(&self) -> &Resource<Handle<S>> {
                &self.0
            }
        }
    };
}

of_resource!();
of_resource!(A);
of_resource!(A, B);

/// Defines a resource that is a [`Handle`].
pub(crate) fn resource<S: ?Sized + 'static>(
    linker: &mut LinkerInstance<'_, State>,
    name: &str,
) -> Result<()> {
    linker.resource(name, ResourceType::host::<Handle<S>>(), |mut store, rep| {
        let handle = Resource::<Handle<S>>::new_own(rep);
        store.data_mut().table.delete(handle)?;
        Ok(())
    })
}

/// What stands behind a guest's handle.
pub(crate) fn server<S: ?Sized + 'static>(
    table: &ResourceTable,
    handle: &Resource<Handle<S>>,
) -> Result<Rc<S>> {
    Ok(Rc::clone(&table.get(handle)?.0))
}

/// Defines a function of a resource.
pub(crate) fn method<S, P, R, F>(
    linker: &mut LinkerInstance<'_, State>,
    calls: Calls,
    name: &str,
    call: fn(&S, P) -> LocalFuture<std::result::Result<R, F>>,
) -> Result<()>
where
    S: ?Sized + 'static,
    P: OfResource<S> + ComponentNamedList + Lift + Send + Sync + 'static,
    R: Lower + ComponentType + Send + Sync + 'static,
    F: Lower + ComponentType + Send + Sync + 'static,
{
    let begin = move |state: &mut State, parameters: P| {
        let server = server(&state.table, parameters.resource())?;
        wasmtime::error::Ok(Sent::new(call(&server, parameters)))
    };
    function(linker, calls, name, begin)
}

/// Defines a function that the server begins with the state of the guest's store, and that goes on without it.
pub(crate) fn function<P, R, F>(
    linker: &mut LinkerInstance<'_, State>,
    calls: Calls,
    name: &str,
    begin: impl Fn(&mut State, P) -> Result<Sent<std::result::Result<R, F>>>
    + Copy
    + Send
    + Sync
    + 'static,
) -> Result<()>
where
    P: ComponentNamedList + Lift + Send + Sync + 'static,
    R: Lower + ComponentType + Send + Sync + 'static,
    F: Lower + ComponentType + Send + Sync + 'static,
{
    match calls {
        Calls::Blocking => linker.func_wrap_async(
            name,
            move |mut store: StoreContextMut<'_, State>, parameters: P| {
                let begun = begin(store.data_mut(), parameters);
                Box::new(async move { Ok((begun?.await,)) })
            },
        ),
        Calls::Async => linker.func_wrap_concurrent(name, move |accessor, parameters: P| {
            Box::pin(async move {
                let begun = accessor.with(|mut store| begin(store.data_mut(), parameters));
                Ok((begun?.await,))
            })
        }),
    }
}

/// Defines a function that opens a resource; it never waits.
pub(crate) fn open<S, F>(
    linker: &mut LinkerInstance<'_, State>,
    calls: Calls,
    name: &str,
    open: fn(&mut State, &str) -> std::result::Result<Rc<S>, F>,
) -> Result<()>
where
    S: ?Sized + 'static,
    F: Lower + ComponentType + Send + Sync + 'static,
{
    let begin = move |state: &mut State, (name,): (String,)| {
        let opened = match open(state, &name) {
            Ok(server) => Ok(state.table.push(Handle::new(server))?),
            Err(error) => Err(error),
        };
        wasmtime::error::Ok(opened)
    };
    match calls {
        Calls::Blocking => linker.func_wrap(
            name,
            move |mut store: StoreContextMut<'_, State>, parameters: (String,)| {
                Ok((begin(store.data_mut(), parameters)?,))
            },
        ),
        Calls::Async => {
            linker.func_wrap_concurrent(name, move |accessor, parameters: (String,)| {
                Box::pin(async move {
                    let opened = accessor.with(|mut store| begin(store.data_mut(), parameters));
                    Ok((opened?,))
                })
            })
        }
    }
}
