//! `wasm_spin manifest [base=path] [variable=name:value] [variables=file] …;`, and requests to Spin applications.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::rc::Rc;

use http::{HeaderName, HeaderValue};
use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_FOUND, ngx_command_t, ngx_conf_t,
    ngx_http_core_loc_conf_t, ngx_http_discard_request_body, ngx_int_t,
};

use crate::conf::handler::HandlerConf;
use crate::conf::location::LocConf;
use crate::conf::main::MainConf;
use crate::conf::spin::{SpinAnswer, SpinConf, SpinDirective, load};
use crate::handler::entry::handle;
use crate::handler::send::Reply;
use crate::handler::service::serve::serve_with;
use crate::message::headers::request as headers;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{OK, core_module, variable};

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

/// Has the application answer a request. The result is nginx's.
pub fn answer(request: Request, spin: &SpinConf) -> ngx_int_t {
    let mut target = Vec::new();
    let mut host = None;
    headers::visit(request, &mut |name, value| match name {
        b":path" => target = value.to_vec(),
        b":authority" => host = str::from_utf8(value).ok().map(str::to_owned),
        _ => {}
    });
    let Ok(target) = String::from_utf8(target) else {
        return NGX_HTTP_NOT_FOUND as ngx_int_t;
    };
    let path = target.split('?').next().unwrap_or("/");
    let Some(found) = spin.router.find(path) else {
        return NGX_HTTP_NOT_FOUND as ngx_int_t;
    };
    match spin.answers.get(found.number) {
        Some(SpinAnswer::Module(module)) => {
            let client = client(request);
            let added = spin_app::request_headers(
                &found,
                spin_app::Request {
                    scheme: if request.is_tls() { "https" } else { "http" },
                    host: host.as_deref(),
                    target: &target,
                    client: &client,
                },
            );
            let lines = added.into_iter().filter_map(|(name, value)| {
                let name = HeaderName::try_from(name).ok()?;
                Some((name, HeaderValue::try_from(value).ok()?))
            });
            serve_with(request, *module, lines.collect())
        }
        Some(SpinAnswer::Static {
            status,
            headers,
            body,
        }) => fixed(request, *status, headers, body),
        None => NGX_HTTP_NOT_FOUND as ngx_int_t,
    }
}

/// Address and port of the client.
fn client(request: Request) -> String {
    let part = |name: &str| {
        let mut value = Vec::new();
        variable::get(request, name.as_bytes(), &mut |part| {
            value.extend_from_slice(part)
        });
        String::from_utf8_lossy(&value).into_owned()
    };
    let (address, port) = (part("remote_addr"), part("remote_port"));
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}

fn fixed(request: Request, status: u16, headers: &[(String, String)], body: &str) -> ngx_int_t {
    // SAFETY: the request is live, and in its content phase.
    let rc = unsafe { ngx_http_discard_request_body(request.as_ptr()) };
    if rc != OK {
        return rc;
    }
    let conf = LocConf::of(request).handler.as_ref();
    match (Reply::new(request, status, body.as_bytes()), conf) {
        (Some(mut reply), Some(conf)) => {
            reply.headers = headers.to_vec();
            reply.send(request, conf, |what| {
                // The same for each request, so it is worth a line for somebody who looks for it alone.
                let line = format_args!("[wasm] a static response of a Spin application: {what}");
                request.log().write(Level::Info, line);
            })
        }
        _ => NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t,
    }
}
