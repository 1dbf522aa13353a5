//! A shared memory zone of nginx's with one typed structure in it.
//!
//! **Processes that die.** A process that is killed while it holds a zone's lock leaves the lock
//! to nginx's master, which opens it (`ngx_unlock_mutexes`), and the zone as it stood: a list half
//! changed, or the slab allocator itself. So the header says "changing" while the lock is held.
//! Who finds it set with the lock in hand knows that the one before died inside, and has the whole
//! zone made anew ([`Root::create`] is told what is to be kept of the old one, plain numbers). A
//! structure that is right at every single step says so ([`Root::ALWAYS_WHOLE`]) and stays.
//!
//! **Reloads.** nginx hands a zone of the same name and size on to the new configuration, and its
//! contents stay. nginx compares zones' tags too; a tag is an address in this library, so other
//! code of this module never gets a zone laid out by this one. The header's layout number makes sure.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use ngx::ffi::{ngx_cycle, ngx_int_t, ngx_shared_memory_add, ngx_shm_zone_t, ngx_str_t};

use crate::nginx::conf::Cf;
use crate::nginx::log::{Level, Log};
use crate::nginx::{ERROR, OK, pool};
use crate::shm::slab::{Memory, Slab, page_size};

/// Bytes that a zone has at least: 8 pages, as for nginx's own zones.
pub fn minimum_size() -> usize {
    8 * page_size()
}

/// The structure that a zone is for.
///
/// # Safety
/// It is `repr(C)`, and means the same in every process that has the zone: no pointers but into
/// the zone, nothing that is dropped.
pub unsafe trait Root: Sized {
    /// Changes whenever the structure does.
    const LAYOUT: u32;

    /// Does every single step of a change leave the structure whole, and the allocator alone?
    const ALWAYS_WHOLE: bool = false;

    /// Makes the structure in a free zone. `before`: what was there when a process died in the
    /// midst of a change; nothing that it points at may be looked at. `None`: no room.
    fn create(slab: &mut Slab<'_>, before: Option<&Self>) -> Option<Self>;
}

const MAGIC: u32 = u32::from_ne_bytes(*b"wasm");

#[repr(C)]
struct Header<T> {
    magic: u32,
    layout: u32,
    changing: AtomicU32,
    root: T,
}

/// A zone of the configuration, which nginx maps when it has read all of it.
pub struct Declared<T> {
    name: String,
    size: usize,
    zone: *mut ngx_shm_zone_t,
    root: PhantomData<T>,
}

impl<T> Clone for Declared<T> {
    fn clone(&self) -> Declared<T> {
        Declared {
            name: self.name.clone(),
            size: self.size,
            zone: self.zone,
            root: PhantomData,
        }
    }
}

impl<T: Root> Declared<T> {
    /// Has nginx make a zone, or hand on the one of the configuration before. `tag` tells zones
    /// of one use from those of another. `None` on an error, which nginx has logged.
    pub fn add(cf: Cf<'_>, tag: &'static u8, name: &str, size: usize) -> Option<Declared<T>> {
        let cf = cf.as_ptr();
        // SAFETY: nginx is reading the configuration; the name is in the cycle's pool, as nginx wants it, and
        // `init` is of this zone's type.
        unsafe {
            let mut text: ngx_str_t = pool::copy((*cf).pool, name.as_bytes())?;
            let tag = (&raw const *tag).cast_mut().cast();
            let zone = ngx_shared_memory_add(cf, &mut text, size, tag);
            zone.as_mut()?.init = Some(init::<T>);
            Some(Declared {
                name: name.to_owned(),
                size,
                zone,
                root: PhantomData,
            })
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The zone itself; `None` while the configuration is still being read.
    pub fn open(&self) -> Option<Zone<T>> {
        // SAFETY: the zone is in the cycle, as this value is; `init` has seen to its contents.
        let memory = unsafe { Memory::shared(self.zone) }?;
        Some(Zone {
            name: self.name.clone(),
            memory,
            root: PhantomData,
        })
    }

    /// A zone of the same size in this process's own memory, for a dry run; `None` when there is
    /// not enough.
    pub fn private(&self) -> Option<Zone<T>> {
        let memory = Memory::private(self.size)?;
        set_up::<T>(&mut memory.lock(), &self.name).ok()?;
        Some(Zone {
            name: self.name.clone(),
            memory,
            root: PhantomData,
        })
    }
}

/// nginx has mapped the zone, or hands on one with its contents (`ngx_init_cycle`).
unsafe extern "C" fn init<T: Root>(zone: *mut ngx_shm_zone_t, _old: *mut c_void) -> ngx_int_t {
    crate::nginx::guard::guard(ERROR, || {
        // SAFETY: nginx passes the zone.
        unsafe {
            let name = String::from_utf8_lossy((*zone).shm.name.as_bytes());
            let ready = match Memory::shared(zone) {
                Some(memory) => set_up::<T>(&mut memory.lock(), &name),
                None => Err("is not mapped"),
            };
            match ready {
                Ok(()) => OK,
                Err(what) => {
                    Log::new((*zone).shm.log).write(
                        Level::Emerg,
                        format_args!("the shared memory zone \"{name}\" {what}"),
                    );
                    ERROR
                }
            }
        }
    })
}

/// Makes the structure in a new zone; one that has it stays as it is.
fn set_up<T: Root>(slab: &mut Slab<'_>, name: &str) -> Result<(), &'static str> {
    let header: *const Header<T> = slab.data().cast_const().cast();
    if header.is_null() {
        return match create::<T>(slab, None) {
            Some(_) => Ok(()),
            None => Err("is too small"),
        };
    }
    // SAFETY: whatever the layout is, the first two numbers are those of a header.
    match unsafe { ((*header).magic, (*header).layout) } {
        (MAGIC, layout) if layout == T::LAYOUT => {
            recover::<T>(slab, name);
            Ok(())
        }
        _ => Err("was laid out by another version of the module: give it another name or size"),
    }
}

fn create<T: Root>(slab: &mut Slab<'_>, before: Option<&T>) -> Option<NonNull<Header<T>>> {
    let header = slab.alloc(size_of::<Header<T>>())?.cast::<Header<T>>();
    let root = T::create(slab, before)?;
    // SAFETY: the memory is new, large enough, and aligned.
    unsafe {
        header.write(Header {
            magic: MAGIC,
            layout: T::LAYOUT,
            changing: AtomicU32::new(0),
            root,
        });
    }
    slab.set_data(header.as_ptr().cast());
    Some(header)
}

/// The zone's header, made anew when a process died while it changed the zone. `None` when that
/// fails.
fn recover<T: Root>(slab: &mut Slab<'_>, name: &str) -> Option<NonNull<Header<T>>> {
    let Some(header) = NonNull::new(slab.data().cast::<Header<T>>()) else {
        // A process died while it made the zone anew.
        // SAFETY: a zone without header has nothing that is used.
        unsafe { slab.clear() };
        return create(slab, None);
    };
    // SAFETY: `set_up` has made it, or found it to be of this layout.
    unsafe {
        let changing = &header.as_ref().changing;
        if T::ALWAYS_WHOLE || changing.load(Ordering::SeqCst) == 0 {
            return Some(header);
        }
        log().write(
            Level::Alert,
            format_args!(
                "[wasm] a process died while it changed the shared memory zone \"{name}\": \
                 what was in it is gone"
            ),
        );
        // A copy to look at, which is never dropped.
        let before = std::mem::ManuallyDrop::new((&raw const (*header.as_ptr()).root).read());
        slab.clear();
        create(slab, Some(&*before))
    }
}

/// The log of the configuration that is in force.
fn log() -> Log {
    // SAFETY: there is a cycle from the first to the last moment of a process.
    unsafe { Log::new((*ngx_cycle).log) }
}

/// A zone that is there.
pub struct Zone<T> {
    name: String,
    memory: Memory,
    root: PhantomData<T>,
}

/// How full a zone is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the zone.
    pub size: usize,
    /// Bytes in pages that something is in, nginx's own structures included.
    pub used: usize,
}

impl<T: Root> Zone<T> {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The structure, for this process alone until the guard goes. While it is held, neither a
    /// guest may run nor this zone be locked again. `None`: the zone is lost, because a process
    /// died twice while it changed it.
    pub fn lock(&self) -> Option<Locked<'_, T>> {
        let mut slab = self.memory.lock();
        let header = recover::<T>(&mut slab, &self.name)?;
        // SAFETY: `recover` answers a valid header.
        unsafe { header.as_ref().changing.store(1, Ordering::SeqCst) };
        Some(Locked { slab, header })
    }

    /// The structure, to read without the lock what is atomic in it. Only of one that is always
    /// whole, so that it never moves.
    pub fn root(&self) -> Option<NonNull<T>> {
        const { assert!(T::ALWAYS_WHOLE) };
        let header = NonNull::new(self.memory.lock().data().cast::<Header<T>>())?;
        // SAFETY: `set_up` has made it.
        Some(unsafe { NonNull::new_unchecked(&raw mut (*header.as_ptr()).root) })
    }

    pub fn usage(&self) -> Usage {
        let size = self.memory.size();
        Usage {
            size,
            used: size - self.memory.lock().free_bytes().min(size),
        }
    }
}

/// A zone's structure and allocator, locked.
pub struct Locked<'a, T> {
    slab: Slab<'a>,
    header: NonNull<Header<T>>,
}

impl<'a, T> Locked<'a, T> {
    /// The structure and the allocator, side by side.
    pub fn parts(&mut self) -> (&mut T, &mut Slab<'a>) {
        // SAFETY: the lock is held, so nobody else has the structure.
        (unsafe { &mut (*self.header.as_ptr()).root }, &mut self.slab)
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: as in `parts`.
        unsafe { &self.header.as_ref().root }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.parts().0
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        // A panic may have come in the midst of a change, as a signal may.
        if !std::thread::panicking() {
            // SAFETY: as in `parts`; the lock is opened behind this, by the slab's drop.
            unsafe { self.header.as_ref().changing.store(0, Ordering::SeqCst) };
        }
    }
}
