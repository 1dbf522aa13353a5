//! `wasm_handler name [function=export] [input=body|json] [content_type=type] [error_status=code] [errors=show|hide]
//! [variable=$name] …;`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_http_core_loc_conf_t, ngx_str_t};

use crate::conf::handler::{Form, HandlerConf};
use crate::conf::location::LocConf;
use crate::handler::entry::handle;
use crate::nginx::complex::Complex;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::core_module;

pub unsafe extern "C" fn wasm_handler(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a LocConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut LocConf) -> Result<(), Mistake> {
    if conf.handler.is_some() {
        return Err(Mistake::Duplicate);
    }
    let [name, parameters @ ..] = cf.arguments() else {
        return Err("wasm_handler needs the name of a module".into());
    };
    let mut handler = HandlerConf::new(name.to_string(), cf.place());
    let mut seen: Vec<&[u8]> = Vec::new();
    for parameter in parameters {
        let bytes = parameter.as_bytes();
        let at = bytes.iter().position(|&byte| byte == b'=');
        let name = &bytes[..at.unwrap_or(bytes.len())];
        if name != b"variable" && seen.contains(&name) {
            let name = String::from_utf8_lossy(name);
            return Err(format!("duplicate parameter {name}= of wasm_handler").into());
        }
        seen.push(name);
        handler
            .for_plugins
            .push(String::from_utf8_lossy(name).into_owned());
        set(cf, &mut handler, parameter, at)?;
    }
    if !handler.variables.is_empty() && handler.form != Form::Json {
        return Err("variable= of wasm_handler needs input=json".into());
    }
    // SAFETY: nginx's core module has its own configuration in every location; nobody else uses it now.
    let core = unsafe { cf.location::<ngx_http_core_loc_conf_t>(core_module()) };
    core.ok_or(Mistake::Said)?.handler = Some(handle);
    conf.handler = Some(handler);
    Ok(())
}

/// Takes one parameter; `at`: where its sign stands.
fn set(
    cf: Cf<'_>,
    handler: &mut HandlerConf,
    parameter: &ngx_str_t,
    at: Option<usize>,
) -> Result<(), Mistake> {
    let bytes = parameter.as_bytes();
    let unknown = || format!("unknown parameter \"{parameter}\" of wasm_handler");
    let at = at.ok_or_else(unknown)?;
    let (name, value) = (&bytes[..at], &bytes[at + 1..]);
    let invalid = |expected: &str| {
        let (name, value) = (
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(value),
        );
        format!("invalid value \"{value}\" of {name}=, it must be {expected}")
    };
    let compile = || {
        let text = ngx_str_t {
            len: value.len(),
            // SAFETY: the value is the end of the parameter, which lives as long as the configuration.
            data: unsafe { parameter.data.add(at + 1) },
        };
        Complex::compile(cf, &text).ok_or_else(|| invalid("a text with variables"))
    };
    match name {
        b"function" if value.is_empty() => return Err(invalid("the name of an export").into()),
        b"function" => {
            handler.function = Some(compile()?);
            handler.function_text = value.to_vec();
        }
        b"content_type" if value.is_empty() => return Err(invalid("a media type").into()),
        b"content_type" => handler.content_type = Some(compile()?),
        b"input" => {
            handler.form = match value {
                b"body" => Form::Body,
                b"json" => Form::Json,
                _ => return Err(invalid("\"body\" or \"json\"").into()),
            }
        }
        b"errors" => {
            handler.shows_errors = match value {
                b"show" => true,
                b"hide" => false,
                _ => return Err(invalid("\"show\" or \"hide\"").into()),
            }
        }
        b"error_status" => {
            let status = str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
            let status = status.filter(|status| (400..=599).contains(status));
            handler.error_status = status.ok_or_else(|| invalid("a number from 400 to 599"))?;
        }
        b"variable" => match value.strip_prefix(b"$") {
            Some(variable) if !variable.is_empty() => {
                handler.variables.push(variable.to_ascii_lowercase());
            }
            _ => return Err(invalid("a variable, such as $request_id").into()),
        },
        _ => return Err(unknown().into()),
    }
    Ok(())
}
