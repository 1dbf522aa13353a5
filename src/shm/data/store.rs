//! The shared data as a process sees it: values by space and key, each with a number for
//! compare-and-swap.
//!
//! A key that is not there can be set with any number, as in Envoy (proxy-wasm-cpp-host,
//! `shared_data.cc`). A number never comes again for another value, whatever was evicted.

use proxy_wasm_host::Status;

use crate::nginx::log::Log;
use crate::shm::Complaint;
use crate::shm::data::table::{Data, Refused};
use crate::shm::zone::{Usage, Zone};

/// The shared data as a process sees it.
pub struct SharedData {
    zone: Zone<Data>,
    evict: bool,
    complaint: Complaint,
}

/// What there is of shared data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataUsage {
    pub zone: Usage,
    pub keys: u64,
    /// Keys that had to go for others, since the zone was made.
    pub evictions: u64,
}

impl SharedData {
    /// `evict`: a full zone gives up the keys used least recently, of any space.
    pub fn new(zone: Zone<Data>, evict: bool) -> SharedData {
        SharedData {
            zone,
            evict,
            complaint: Complaint::default(),
        }
    }

    /// Appends the value to `out`, and answers its compare-and-swap number, which is never 0.
    /// `Err(NotFound)`: there is none.
    pub fn get(&self, space: &[u8], key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let mut data = self.zone.lock().ok_or(Status::InternalFailure)?;
        data.get(space, key, out).ok_or(Status::NotFound)
    }

    /// Sets a value. `Err(CasMismatch)`: the key is there with another number than `cas`, which is
    /// not 0. `Err(InternalFailure)`: the zone is full, or smaller than the value; that is said in
    /// `log`, not too often.
    pub fn set(
        &self,
        space: &[u8],
        key: &[u8],
        value: &[u8],
        cas: u32,
        log: Log,
    ) -> Result<(), Status> {
        let set = {
            let mut guard = self.zone.lock().ok_or(Status::InternalFailure)?;
            let (data, slab) = guard.parts();
            data.set(slab, space, key, value, cas, self.evict)
        };
        set.map_err(|refused| match refused {
            Refused::Mismatch => Status::CasMismatch,
            Refused::Full => {
                let (len, zone) = (value.len(), self.zone.name());
                let message =
                    format_args!("no room for {len} bytes in the shared data zone \"{zone}\"");
                self.complaint.write(log, message);
                Status::InternalFailure
            }
        })
    }

    /// Does away with a value, if it is there.
    pub fn delete(&self, space: &[u8], key: &[u8]) -> Result<(), Status> {
        let mut guard = self.zone.lock().ok_or(Status::InternalFailure)?;
        let (data, slab) = guard.parts();
        data.delete(slab, space, key);
        Ok(())
    }

    /// The keys of a space. It takes a look at each key of the zone, while other processes wait.
    pub fn keys(&self, space: &[u8]) -> Result<Vec<Vec<u8>>, Status> {
        let data = self.zone.lock().ok_or(Status::InternalFailure)?;
        Ok(data.keys(space))
    }

    pub fn usage(&self) -> DataUsage {
        let zone = self.zone.usage();
        let guard = self.zone.lock();
        guard.map_or_else(DataUsage::default, |data| DataUsage {
            zone,
            keys: data.keys,
            evictions: data.evictions,
        })
    }
}
