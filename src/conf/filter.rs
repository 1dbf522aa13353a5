//! `wasm_filter name [configuration|@file [root_id=id]] | off;`, `wasm_filter_phase rewrite | access;` and
//! `wasm_pause_timeout time;`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_str_t};

use crate::conf::chain::Phase;
use crate::conf::location::{FilterUse, LocConf};
use crate::nginx::conf::{self, Answer, Cf, Mistake, read_directive};

pub unsafe extern "C" fn wasm_filter(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read_filter) }
}

pub unsafe extern "C" fn wasm_filter_phase(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read_phase) }
}

pub unsafe extern "C" fn wasm_pause_timeout(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read_pause_timeout) }
}

const BESIDE_OFF: &str = "\"wasm_filter off\" stands beside another wasm_filter directive";

fn read_filter(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    let (name, configuration, parameters) = match cf.arguments() {
        [name, configuration, parameters @ ..] => (name, Some(configuration), parameters),
        [name] => (name, None, &[][..]),
        [] => return Err("wasm_filter needs the name of a module".into()),
    };
    if name.as_bytes() == b"off" {
        return match (configuration, &conf.uses) {
            (Some(_), _) => Err("\"wasm_filter off\" takes no configuration".into()),
            (None, Some(_)) => Err(BESIDE_OFF.into()),
            (None, None) => {
                conf.uses = Some(Vec::new());
                Ok(())
            }
        };
    }
    let root_id = root_id(parameters)?;
    let uses = match &mut conf.uses {
        Some(uses) if uses.is_empty() => return Err(BESIDE_OFF.into()),
        uses => uses.get_or_insert_default(),
    };
    let name = name.to_string();
    let configuration = cf
        .text_or_file(configuration.map_or(&[], |text| text.as_bytes()))
        .map_err(|error| format!("configuration of wasm filter \"{name}\": {error}"))?;
    uses.push(FilterUse {
        module: name,
        configuration,
        root_id,
        place: cf.place(),
    });
    Ok(())
}

/// Reads what stands behind the configuration: as the configuration may be any text, it is there in
/// any case, be it empty.
fn root_id(parameters: &[ngx_str_t]) -> Result<Vec<u8>, String> {
    let mut root_id = None;
    for parameter in parameters {
        let Some(id) = parameter.as_bytes().strip_prefix(b"root_id=") else {
            return Err(format!(
                "wasm_filter takes a name, one configuration and root_id=, not \"{}\"; quote a \
                 configuration that has spaces",
                String::from_utf8_lossy(parameter.as_bytes())
            ));
        };
        if id.is_empty() {
            return Err("empty root_id=".into());
        }
        if root_id.replace(id.to_vec()).is_some() {
            return Err("duplicate parameter root_id=".into());
        }
    }
    Ok(root_id.unwrap_or_default())
}

fn read_phase(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    let value = cf.arguments().first().map(|v| v.as_bytes());
    let phase = match value {
        Some(b"rewrite") => Phase::Rewrite,
        Some(b"access") => Phase::Access,
        other => {
            return Err(format!(
                "invalid value \"{}\" in \"wasm_filter_phase\" directive, it must be \"rewrite\" \
                 or \"access\"",
                String::from_utf8_lossy(other.unwrap_or_default())
            )
            .into());
        }
    };
    match conf.phase.replace(phase) {
        None => Ok(()),
        Some(_) => Err("\"wasm_filter_phase\" directive is duplicate".into()),
    }
}

fn read_pause_timeout(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    let text = cf.arguments().first().map_or(&b""[..], |v| v.as_bytes());
    let Some(time) = conf::milliseconds(text).filter(|time| *time > 0) else {
        let text = String::from_utf8_lossy(text);
        return Err(format!(
            "invalid value \"{text}\" in \"wasm_pause_timeout\" directive, it must be a time, \
             such as \"60s\", and not 0"
        )
        .into());
    };
    match conf.pause_timeout.replace(time) {
        None => Ok(()),
        Some(_) => Err("\"wasm_pause_timeout\" directive is duplicate".into()),
    }
}
