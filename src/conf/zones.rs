//! `wasm_shared_data zone=name:size [evict=lru|none];` and `wasm_shared_queue zone=name:size;`

use std::ffi::{c_char, c_void};
use std::rc::Rc;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_parse_size};

use crate::conf::{CONF_ERROR, CONF_OK, MainConf, arguments};
use crate::nginx::borrowed_str;
use crate::nginx::log::conf_error;
use crate::shm::data::store::SharedData;
use crate::shm::data::table::Data;
use crate::shm::metrics::zone::Store;
use crate::shm::queue::queues::SharedQueues;
use crate::shm::queue::store::Queues;
use crate::shm::wakers::Wakers;
use crate::shm::zone::{Declared, Root, minimum_size};
use crate::shm::{DATA_TAG, METRICS_TAG, QUEUES_TAG, Shared};

/// Bytes of a zone that no directive speaks of.
const DEFAULT_SIZE: usize = 1 << 20;

/// The shared memory zones of a configuration.
#[derive(Default)]
pub struct Zones {
    pub data: Option<DataZone>,
    pub queues: Option<Declared<Queues>>,
    pub metrics: Option<Declared<Store>>,
}

impl Zones {
    /// The zones themselves, and how workers wake each other; `None` while nginx has not mapped
    /// them.
    pub fn open(&self, wakers: Rc<Wakers>) -> Option<Shared> {
        let data = self.data.as_ref()?;
        Some(Shared {
            data: SharedData::new(data.zone.open()?, data.evict),
            queues: SharedQueues::new(self.queues.as_ref()?.open()?, Some(wakers)),
        })
    }

    /// Zones of the same sizes for a dry run, which nobody else sees; `None` when there is not
    /// enough memory.
    pub fn private(&self) -> Option<Shared> {
        let data = self.data.as_ref()?;
        Some(Shared {
            data: SharedData::new(data.zone.private()?, data.evict),
            queues: SharedQueues::new(self.queues.as_ref()?.private()?, None),
        })
    }
}

/// The zone of the shared data.
pub struct DataZone {
    pub zone: Declared<Data>,
    /// Does a full zone give up what was used least recently?
    pub evict: bool,
}

pub unsafe extern "C" fn wasm_shared_data(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration and what `create_main_conf` made.
    unsafe {
        directive(cf, conf, |zones| {
            if zones.data.is_some() {
                return Ok(IS_DUPLICATE);
            }
            let mut evict = None;
            let (name, size) = options(cf, "wasm_shared_data", |key, value| {
                let value = match (key, value) {
                    ("evict", "lru") => true,
                    ("evict", "none") => false,
                    ("evict", _) => return Err(Some(format!("invalid evict \"{value}\""))),
                    _ => return Ok(false),
                };
                match evict.replace(value) {
                    None => Ok(true),
                    Some(_) => Err(Some("duplicate parameter \"evict\"".into())),
                }
            })?;
            zones.data = Some(DataZone {
                zone: add(cf, &DATA_TAG, &name, size)?,
                evict: evict.unwrap_or(true),
            });
            Ok(CONF_OK)
        })
    }
}

pub unsafe extern "C" fn wasm_shared_queue(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: as above.
    unsafe {
        directive(cf, conf, |zones| {
            if zones.queues.is_some() {
                return Ok(IS_DUPLICATE);
            }
            let (name, size) = options(cf, "wasm_shared_queue", |_, _| Ok(false))?;
            zones.queues = Some(add(cf, &QUEUES_TAG, &name, size)?);
            Ok(CONF_OK)
        })
    }
}

/// Gives a configuration that has modules the zones that no directive speaks of, and what wakes
/// workers; `false` on an error, which has been logged.
///
/// # Safety
/// `cf` is the configuration in the postconfiguration step.
pub unsafe fn add_defaults(cf: *mut ngx_conf_t, conf: &mut MainConf) -> bool {
    if conf.modules.is_empty() {
        return true;
    }
    let zones = &mut conf.zones;
    // SAFETY: by the contract.
    let mut added = || unsafe {
        if zones.data.is_none() {
            zones.data = Some(DataZone {
                zone: add(cf, &DATA_TAG, "wasm_shared_data", DEFAULT_SIZE)?,
                evict: true,
            });
        }
        if zones.queues.is_none() {
            zones.queues = Some(add(cf, &QUEUES_TAG, "wasm_shared_queue", DEFAULT_SIZE)?);
        }
        if zones.metrics.is_none() {
            zones.metrics = Some(add(cf, &METRICS_TAG, "wasm_metrics", DEFAULT_SIZE)?);
        }
        Ok::<(), Mistake>(())
    };
    if added().is_err() {
        return false;
    }
    match Wakers::get() {
        Ok(wakers) => conf.wakers.set(wakers).is_ok(),
        Err(error) => {
            // SAFETY: by the contract.
            unsafe { conf_error(cf, format_args!("eventfd() failed: {error}")) };
            false
        }
    }
}

/// What is wrong with a directive; `None` when nginx has said it.
pub type Mistake = Option<String>;

/// nginx itself adds the directive's name and place.
pub const IS_DUPLICATE: *mut c_char = c"is duplicate".as_ptr().cast_mut();

/// # Safety
/// nginx passes `cf` and `conf` to the handler of a directive of the `http` block.
pub unsafe fn directive(
    cf: *mut ngx_conf_t,
    conf: *mut c_void,
    read: impl FnOnce(&mut Zones) -> Result<*mut c_char, Mistake>,
) -> *mut c_char {
    crate::nginx::guard::guard(CONF_ERROR, || {
        // SAFETY: by the contract.
        unsafe {
            match read(&mut (*conf.cast::<MainConf>()).zones) {
                Ok(done) => done,
                Err(mistake) => {
                    if let Some(message) = mistake {
                        conf_error(cf, format_args!("{message}"));
                    }
                    CONF_ERROR
                }
            }
        }
    })
}

/// # Safety
/// As for [`Declared::add`].
pub unsafe fn add<T: Root>(
    cf: *mut ngx_conf_t,
    tag: &'static u8,
    name: &str,
    size: usize,
) -> Result<Declared<T>, Mistake> {
    // SAFETY: by the contract.
    unsafe { Declared::add(cf, tag, name, size) }.ok_or(None)
}

/// The zone's name and size in bytes, of `zone=name:size` among the parameters. `other` takes
/// the rest by name and value, and answers whether there is such a parameter.
///
/// # Safety
/// `cf` is the configuration that nginx passed to the directive's handler.
pub unsafe fn options(
    cf: *mut ngx_conf_t,
    directive: &str,
    mut other: impl FnMut(&str, &str) -> Result<bool, Mistake>,
) -> Result<(String, usize), Mistake> {
    let mut zone = None;
    // SAFETY: by the contract.
    for argument in unsafe { arguments(cf) } {
        let argument = String::from_utf8_lossy(argument.as_bytes());
        let (key, value) = argument.split_once('=').unwrap_or((&argument, ""));
        let known = match key {
            "zone" if argument.len() > key.len() => {
                if zone.replace(name_and_size(value)?).is_some() {
                    return Err(Some("duplicate parameter \"zone\"".into()));
                }
                true
            }
            _ => other(key, value)?,
        };
        if !known {
            return Err(Some(format!("invalid parameter \"{argument}\"")));
        }
    }
    zone.ok_or_else(|| Some(format!("\"{directive}\" must have \"zone\" parameter")))
}

/// `name:size`, with errors as nginx's own directives give them.
fn name_and_size(zone: &str) -> Result<(String, usize), Mistake> {
    let invalid = || Some(format!("invalid zone size \"zone={zone}\""));
    let (name, size) = zone.split_once(':').ok_or_else(invalid)?;
    if name.is_empty() {
        return Err(Some(format!("invalid zone name \"zone={zone}\"")));
    }
    // SAFETY: nginx only reads the text.
    let size = unsafe { ngx_parse_size(&mut borrowed_str(size.as_bytes())) };
    let size = usize::try_from(size).map_err(|_| invalid())?;
    if size < minimum_size() {
        return Err(Some(format!("zone \"{name}\" is too small")));
    }
    Ok((name.to_owned(), size))
}
