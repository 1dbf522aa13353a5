//! `wasm_property name value;`

use std::ffi::{c_char, c_void};

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::filter::set;
use crate::conf::{LocConf, arguments};
use crate::nginx::complex::Complex;

/// Properties that a location has of its own, by their names without `xds.`.
#[derive(Default)]
pub struct Properties(Vec<(Vec<u8>, Complex)>);

/// The attributes of Envoy's that have this before their names are there without it, too.
const XDS: &[u8] = b"xds.";

impl Properties {
    /// The value of the property of this path.
    pub fn get(&self, path: &[&[u8]]) -> Option<Complex> {
        if self.0.is_empty() {
            return None;
        }
        let path = match path {
            [b"xds", path @ ..] if !path.is_empty() => path,
            path => path,
        };
        let name = path.join(&b'.');
        let mut all = self.0.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// Takes what is set above and not here.
    pub fn inherit(&mut self, above: &Properties) {
        for (name, value) in &above.0 {
            if self.0.iter().all(|(known, _)| known != name) {
                self.0.push((name.clone(), *value));
            }
        }
    }
}

pub unsafe extern "C" fn wasm_property(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration and what `create_loc_conf` made.
    unsafe { set(cf, conf, |cf, conf| read_property(cf, conf)) }
}

/// # Safety
/// `cf` is the configuration that nginx passed to the directive's handler.
unsafe fn read_property(cf: *mut ngx_conf_t, conf: &mut LocConf) -> Result<(), String> {
    // SAFETY: by the contract.
    let [name, text] = (unsafe { arguments(cf) }) else {
        return Err("wasm_property takes a name and a value".into());
    };
    let shown = String::from_utf8_lossy(name.as_bytes());
    let name = name.as_bytes();
    let name = name.strip_prefix(XDS).unwrap_or(name);
    if name.split(|&b| b == b'.').any(<[u8]>::is_empty) {
        return Err(format!("invalid name \"{shown}\" of a wasm_property"));
    }
    if name.starts_with(b"nginx.") || name.starts_with(b"plugin_") {
        return Err(format!(
            "wasm_property cannot set \"{shown}\": this name has a meaning of its own"
        ));
    }
    if conf.properties.0.iter().any(|(known, _)| known == name) {
        return Err(format!("duplicate wasm_property \"{shown}\""));
    }
    // SAFETY: by the contract.
    let value = unsafe { Complex::compile(cf, text) };
    let value = value.ok_or_else(|| format!("invalid value of wasm_property \"{shown}\""))?;
    conf.properties.0.push((name.to_vec(), value));
    Ok(())
}
