//! `wasm_shared_data zone=name:size [evict=lru|none];`, `wasm_shared_queue zone=name:size;` and
//! `wasm_metrics_zone zone=name:size;`

use std::ffi::c_void;
use std::rc::Rc;

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::main::MainConf;
use crate::nginx::conf::{self, Answer, Cf, Mistake, read_directive};
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
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read_data) }
}

pub unsafe extern "C" fn wasm_shared_queue(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read_queue) }
}

fn read_data(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.zones.data.is_some() {
        return Err(Mistake::Duplicate);
    }
    let mut evict = None;
    let (name, size) = options(cf, "wasm_shared_data", |key, value| {
        let value = match (key, value) {
            ("evict", "lru") => true,
            ("evict", "none") => false,
            ("evict", _) => return Err(format!("invalid evict \"{value}\"").into()),
            _ => return Ok(false),
        };
        match evict.replace(value) {
            None => Ok(true),
            Some(_) => Err("duplicate parameter \"evict\"".into()),
        }
    })?;
    conf.zones.data = Some(DataZone {
        zone: add(cf, &DATA_TAG, &name, size)?,
        evict: evict.unwrap_or(true),
    });
    Ok(())
}

fn read_queue(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.zones.queues.is_some() {
        return Err(Mistake::Duplicate);
    }
    let (name, size) = options(cf, "wasm_shared_queue", |_, _| Ok(false))?;
    conf.zones.queues = Some(add(cf, &QUEUES_TAG, &name, size)?);
    Ok(())
}

/// `wasm_metrics_zone zone=name:size;`
pub unsafe extern "C" fn wasm_metrics_zone(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read_metrics) }
}

fn read_metrics(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    if conf.zones.metrics.is_some() {
        return Err(Mistake::Duplicate);
    }
    let (name, size) = options(cf, "wasm_metrics_zone", |_, _| Ok(false))?;
    conf.zones.metrics = Some(add(cf, &METRICS_TAG, &name, size)?);
    Ok(())
}

impl MainConf {
    /// Gives a configuration that may have guests the zones that no directive speaks of; `None` on an error, which has
    /// been logged. To be called when all directives have been read.
    pub fn add_default_zones(&mut self, cf: Cf<'_>) -> Option<()> {
        if !self.may_have_guests() {
            return Some(());
        }
        let zones = &mut self.zones;
        if zones.data.is_none() {
            zones.data = Some(DataZone {
                zone: Declared::add(cf, &DATA_TAG, "wasm_shared_data", DEFAULT_SIZE)?,
                evict: true,
            });
        }
        if zones.queues.is_none() {
            zones.queues = Some(Declared::add(
                cf,
                &QUEUES_TAG,
                "wasm_shared_queue",
                DEFAULT_SIZE,
            )?);
        }
        if zones.metrics.is_none() {
            zones.metrics = Some(Declared::add(
                cf,
                &METRICS_TAG,
                "wasm_metrics",
                DEFAULT_SIZE,
            )?);
        }
        Some(())
    }
}

fn add<T: Root>(
    cf: Cf<'_>,
    tag: &'static u8,
    name: &str,
    size: usize,
) -> Result<Declared<T>, Mistake> {
    Declared::add(cf, tag, name, size).ok_or(Mistake::Said)
}

/// The zone's name and size in bytes, of `zone=name:size` among the parameters. `other` takes
/// the rest by name and value, and answers whether there is such a parameter.
fn options(
    cf: Cf<'_>,
    directive: &str,
    mut other: impl FnMut(&str, &str) -> Result<bool, Mistake>,
) -> Result<(String, usize), Mistake> {
    let mut zone = None;
    for argument in cf.arguments() {
        let argument = String::from_utf8_lossy(argument.as_bytes());
        let (key, value) = argument.split_once('=').unwrap_or((&argument, ""));
        let known = match key {
            "zone" if argument.len() > key.len() => {
                if zone.replace(name_and_size(value)?).is_some() {
                    return Err("duplicate parameter \"zone\"".into());
                }
                true
            }
            _ => other(key, value)?,
        };
        if !known {
            return Err(format!("invalid parameter \"{argument}\"").into());
        }
    }
    zone.ok_or_else(|| format!("\"{directive}\" must have \"zone\" parameter").into())
}

/// `name:size`, with errors as nginx's own directives give them.
fn name_and_size(zone: &str) -> Result<(String, usize), Mistake> {
    let invalid = || Mistake::Text(format!("invalid zone size \"zone={zone}\""));
    let (name, size) = zone.split_once(':').ok_or_else(invalid)?;
    if name.is_empty() {
        return Err(format!("invalid zone name \"zone={zone}\"").into());
    }
    let size = conf::size(size.as_bytes()).ok_or_else(invalid)?;
    if size < minimum_size() {
        return Err(format!("zone \"{name}\" is too small").into());
    }
    Ok((name.to_owned(), size))
}
