//! `wasm_property name value;`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::location::LocConf;
use crate::nginx::complex::Complex;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};

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
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read_property) }
}

fn read_property(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    let [name, text] = cf.arguments() else {
        return Err("wasm_property takes a name and a value".into());
    };
    let shown = String::from_utf8_lossy(name.as_bytes());
    let name = name.as_bytes();
    let name = name.strip_prefix(XDS).unwrap_or(name);
    if name.split(|&b| b == b'.').any(<[u8]>::is_empty) {
        return Err(format!("invalid name \"{shown}\" of a wasm_property").into());
    }
    if name.starts_with(b"nginx.") || name.starts_with(b"plugin_") {
        return Err(format!(
            "wasm_property cannot set \"{shown}\": this name has a meaning of its own"
        )
        .into());
    }
    if conf.properties.0.iter().any(|(known, _)| known == name) {
        return Err(format!("duplicate wasm_property \"{shown}\"").into());
    }
    let value = Complex::compile(cf, text);
    let value = value.ok_or_else(|| format!("invalid value of wasm_property \"{shown}\""))?;
    conf.properties.0.push((name.to_vec(), value));
    Ok(())
}
