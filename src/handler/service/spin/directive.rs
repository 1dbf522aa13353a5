//! `wasm_spin manifest [base=path] [variable=name:value] [variables=file] …;`

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::rc::Rc;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_http_core_loc_conf_t};

use crate::conf::handler::HandlerConf;
use crate::conf::location::LocConf;
use crate::conf::main::MainConf;
use crate::handler::entry::handle;
use crate::handler::service::spin::load::{SpinDirective, load};
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::core_module;

pub unsafe extern "C" fn wasm_spin(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    if conf.handler.is_some() {
        return Err("\"wasm_spin\" stands beside another handler".into());
    }
    let [manifest, parameters @ ..] = cf.arguments() else {
        return Err("wasm_spin needs a manifest".into());
    };
    // SAFETY: nginx's core module has its own configuration in every location; nobody else uses it now.
    let core = unsafe { cf.location::<ngx_http_core_loc_conf_t>(core_module()) };
    let core = core.ok_or(Mistake::Said)?;
    let mut given = SpinDirective {
        path: cf.full_name(manifest.as_bytes())?,
        base: base(core),
        variables: BTreeMap::new(),
    };
    for parameter in parameters {
        let text = parameter.to_str().map_err(|_| "parameters must be UTF-8")?;
        let unknown = || format!("unknown parameter \"{text}\" of wasm_spin");
        match text.split_once('=').ok_or_else(unknown)? {
            ("base", path) if path.starts_with('/') => given.base = path.to_owned(),
            ("base", _) => return Err(format!("invalid base \"{text}\": it begins with /").into()),
            ("variable", value) => {
                let (name, value) = value
                    .split_once(':')
                    .ok_or_else(|| format!("invalid \"{text}\": it is variable=name:value"))?;
                given.variables.insert(name.to_owned(), value.to_owned());
            }
            ("variables", file) => {
                let text = cf.read_file(file.as_bytes())?;
                let text = String::from_utf8_lossy(&text);
                let values = spin_app::parse_values(&text)
                    .map_err(|error| format!("variables \"{file}\": {error}"))?;
                // What is said in nginx.conf comes first.
                for (name, value) in values {
                    given.variables.entry(name).or_insert(value);
                }
            }
            _ => return Err(unknown().into()),
        }
    }
    // SAFETY: the module's own configuration of the http block; nobody else uses it now.
    let main = unsafe { cf.main::<MainConf>() }.ok_or(Mistake::Said)?;
    let spin = load(cf, main, &given)?;
    core.handler = Some(handle);
    conf.handler = Some(HandlerConf::spin(cf.place(), Rc::new(spin)));
    Ok(())
}

/// What stands before all routes: the location's own beginning, if it is one.
fn base(core: &ngx_http_core_loc_conf_t) -> String {
    let name = core.name.to_string();
    // A regular expression is a name as well, and seldom begins so.
    match core.named() != 0 || !name.starts_with('/') {
        true => "/".to_owned(),
        false => name,
    }
}
