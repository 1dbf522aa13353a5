//! The state of an instance, for others to start with.

use std::sync::Arc;

use wasmtime::{
    Extern, Global, Instance, InstancePre, Memory, Module, ModuleExport, Result, Store, Trap,
    TypedFunc, Val,
};

use super::image::Image;
use super::memory::{Backing, with_image};
use super::rewrite::{MEMORY, PREFIX, START, Segment};
use crate::error::Error;

/// What a module that was rewritten for snapshots does when an instance starts.
#[derive(Clone)]
pub struct Initial {
    pub(crate) data: Arc<[Segment]>,
    /// The module drops no data.
    pub(crate) rewinds: bool,
}

impl Initial {
    /// Can instances be taken back to the snapshot? Not those that drop data: nothing gives it back to them.
    pub fn rewinds(&self) -> bool {
        self.rewinds
    }

    /// What the instance that a snapshot is taken of does first: its data is written, and its start function runs.
    pub fn start<T: 'static>(&self, store: &mut Store<T>, instance: &Instance) -> Result<()> {
        match self.write(store, instance)? {
            Some(start) => start.call(store, ()),
            None => Ok(()),
        }
    }

    /// The same without the call of the start function, which is answered.
    pub fn write<T: 'static>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> Result<Option<TypedFunc<(), ()>>> {
        if let Some(memory) = instance.get_memory(&mut *store, MEMORY) {
            for segment in self.data.iter() {
                memory
                    .write(&mut *store, segment.address as usize, &segment.bytes)
                    .map_err(|_| Trap::MemoryOutOfBounds)?;
            }
        }
        match instance.get_func(&mut *store, START) {
            Some(start) => Ok(Some(start.typed::<(), ()>(&*store)?)),
            None => Ok(None),
        }
    }
}

/// The state of an instance: its memory and its globals.
pub struct Snapshot {
    image: Arc<Image>,
    globals: Vec<(ModuleExport, Val)>,
}

/// Takes an instance that was started from a snapshot back to it.
pub struct Rewind {
    image: Arc<Image>,
    memory: Option<(Memory, Arc<Backing>)>,
    globals: Vec<(Global, Val)>,
}

impl Snapshot {
    /// Takes the state of an instance of a rewritten module.
    pub fn take<T>(
        store: &mut Store<T>,
        instance: &Instance,
        module: &Module,
    ) -> Result<Snapshot, Error> {
        let memory = instance.get_memory(&mut *store, MEMORY);
        let memory = memory.map_or(&[][..], |memory| memory.data(&*store));
        let image = Image::new(memory).map_err(Error::Snapshot)?;
        let mut globals = Vec::new();
        for export in module.exports().filter(|e| e.name().starts_with(PREFIX)) {
            let index = module.get_export_index(export.name());
            if let Some(index) = index
                && let Some(Extern::Global(global)) =
                    instance.get_module_export(&mut *store, &index)
            {
                globals.push((index, global.get(&mut *store)));
            }
        }
        Ok(Snapshot { image, globals })
    }

    /// Makes an instance of the same module with this state, without running any of its code.
    pub fn instantiate<T: 'static>(
        &self,
        pre: &InstancePre<T>,
        store: &mut Store<T>,
    ) -> Result<(Instance, Rewind)> {
        self.instantiate_with(store, |store| pre.instantiate(store))
    }

    /// The same where the instance is made by `make`, and nothing else that has a memory.
    pub fn instantiate_with<T: 'static>(
        &self,
        store: &mut Store<T>,
        make: impl FnOnce(&mut Store<T>) -> Result<Instance>,
    ) -> Result<(Instance, Rewind)> {
        let (instance, backing) = with_image(&self.image, || make(&mut *store));
        let instance = instance?;
        let mut globals = Vec::with_capacity(self.globals.len());
        for (index, value) in &self.globals {
            if let Some(Extern::Global(global)) = instance.get_module_export(&mut *store, index) {
                global.set(&mut *store, *value)?;
                globals.push((global, *value));
            }
        }
        let rewind = Rewind {
            image: self.image.clone(),
            memory: instance.get_memory(&mut *store, MEMORY).zip(backing),
            globals,
        };
        Ok((instance, rewind))
    }

    /// Is it this snapshot's?
    pub fn has(&self, rewind: &Rewind) -> bool {
        Arc::ptr_eq(&self.image, &rewind.image)
    }
}

impl Rewind {
    /// The instance's memory.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref().map(|(memory, _)| memory)
    }

    /// Takes the instance, which must not have trapped, back to the snapshot. `false`: it cannot be, and is to be dropped.
    ///
    /// The guard of the store is to be told what memory there is then. The module must be one whose instances [can be](Initial::rewinds). `store` is the one that the instance was started in.
    pub fn rewind<T: 'static>(&self, store: &mut Store<T>) -> bool {
        let mut globals = self.globals.iter();
        if !globals.all(|(global, value)| global.set(&mut *store, *value).is_ok()) {
            return false;
        }
        let Some((memory, backing)) = &self.memory else {
            return true;
        };
        if !self.image.restore(memory.data_mut(&mut *store)) {
            return false;
        }
        let size = self.image.size();
        let fits = |store: &Store<T>| memory.data_size(store) == size;
        // To grow by nothing has Wasmtime look at the size again.
        fits(store) || backing.shrink(size) && memory.grow(&mut *store, 0).is_ok() && fits(store)
    }
}
