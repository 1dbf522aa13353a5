//! `wasm_filter name [configuration|@file [root_id=id]] | off;`, `wasm_filter_phase rewrite | access;` and
//! `wasm_pause_timeout time;`

use std::ffi::{c_char, c_void};

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_parse_time, ngx_str_t};

use crate::conf::chain::Phase;
use crate::conf::{CONF_ERROR, CONF_OK, FilterUse, LocConf, arguments, text_or_file};
use crate::nginx::log::{Place, conf_error};

pub unsafe extern "C" fn wasm_filter(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration and what `create_loc_conf` made; so below.
    unsafe { set(cf, conf, |cf, conf| read_filter(cf, conf)) }
}

pub unsafe extern "C" fn wasm_filter_phase(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: as above.
    unsafe { set(cf, conf, |cf, conf| read_phase(cf, conf)) }
}

pub unsafe extern "C" fn wasm_pause_timeout(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: as above.
    unsafe { set(cf, conf, |cf, conf| read_pause_timeout(cf, conf)) }
}

/// # Safety
/// The arguments are those that nginx passed to the directive's handler.
pub unsafe fn set(
    cf: *mut ngx_conf_t,
    conf: *mut c_void,
    read: impl FnOnce(*mut ngx_conf_t, &mut LocConf) -> Result<(), String>,
) -> *mut c_char {
    crate::nginx::guard::guard(CONF_ERROR, || {
        // SAFETY: by the contract.
        unsafe {
            match read(cf, &mut *conf.cast::<LocConf>()) {
                Ok(()) => CONF_OK,
                Err(message) => {
                    conf_error(cf, format_args!("{message}"));
                    CONF_ERROR
                }
            }
        }
    })
}

const BESIDE_OFF: &str = "\"wasm_filter off\" stands beside another wasm_filter directive";

/// # Safety
/// `cf` is the configuration that nginx passed to the directive's handler.
unsafe fn read_filter(cf: *mut ngx_conf_t, conf: &mut LocConf) -> Result<(), String> {
    // SAFETY: by the contract.
    let (name, configuration, parameters) = match unsafe { arguments(cf) } {
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
    // SAFETY: by the contract.
    let configuration = unsafe {
        text_or_file(cf, configuration.map_or(&[], |text| text.as_bytes()))
            .map_err(|error| format!("configuration of wasm filter \"{name}\": {error}"))?
    };
    uses.push(FilterUse {
        module: name,
        configuration,
        root_id,
        // SAFETY: by the contract.
        place: unsafe { Place::current(cf) },
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

/// # Safety
/// As for [`read_filter`].
unsafe fn read_phase(cf: *mut ngx_conf_t, conf: &mut LocConf) -> Result<(), String> {
    // SAFETY: by the contract.
    let value = unsafe { arguments(cf) }.first().map(|v| v.as_bytes());
    let phase = match value {
        Some(b"rewrite") => Phase::Rewrite,
        Some(b"access") => Phase::Access,
        other => {
            return Err(format!(
                "invalid value \"{}\" in \"wasm_filter_phase\" directive, it must be \"rewrite\" \
                 or \"access\"",
                String::from_utf8_lossy(other.unwrap_or_default())
            ));
        }
    };
    match conf.phase.replace(phase) {
        None => Ok(()),
        Some(_) => Err("\"wasm_filter_phase\" directive is duplicate".into()),
    }
}

/// # Safety
/// As for [`read_filter`].
unsafe fn read_pause_timeout(cf: *mut ngx_conf_t, conf: &mut LocConf) -> Result<(), String> {
    // SAFETY: by the contract; nginx's parser only reads the text.
    let (text, time) = unsafe {
        let mut text = arguments(cf).first().map_or(ngx_str_t::empty(), |v| *v);
        (text.to_string(), ngx_parse_time(&mut text, 0))
    };
    let time = usize::try_from(time).ok().filter(|time| *time > 0);
    let Some(time) = time else {
        return Err(format!(
            "invalid value \"{text}\" in \"wasm_pause_timeout\" directive, it must be a time, \
             such as \"60s\", and not 0"
        ));
    };
    match conf.pause_timeout.replace(time) {
        None => Ok(()),
        Some(_) => Err("\"wasm_pause_timeout\" directive is duplicate".into()),
    }
}
